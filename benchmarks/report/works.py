"""All works, and those who do them."""

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import OURS
from benchmarks.report.jobs import LISTS, MEMORY, METRIC, SLOW, SLOWER, SLOWEST, Doer, Job
from benchmarks.report.kernels import KERNELS
from benchmarks.report.results import LIMIT

__all__ = ["jobs"]


def jobs() -> Iterator[Job]:
    """Yield all works."""
    yield from _orders()
    yield from _draws()
    yield from _first_batches()
    yield from _memory()
    yield from _reading()
    yield from _training()
    yield _quality()
    yield from _limits()


def _orders() -> Iterator[Job]:
    def job(name: str, *doers: Doer, **options: Any) -> Job:
        return Job("order", name, "ns/index", doers, options=options)

    yield job(
        "full shuffle, one array",
        Doer(OURS, "plans:permutation"),
        Doer("NumPy", "plans:permutation_numpy"),
        Doer("torch", "plans:permutation_torch"),
    )
    yield job(
        "full shuffle, epoch",
        Doer(OURS, "plans:blocks"),
        Doer("scDataset", "plans:blocks_scdataset"),
        Doer("torch", "plans:shuffle_torch", SLOW),
        Doer("grain", "plans:shuffle_grain", SLOWEST),
        block_size=1,
    )
    yield job(
        "blocks of 16, epoch",
        Doer(OURS, "plans:blocks"),
        Doer("scDataset", "plans:blocks_scdataset"),
        block_size=16,
    )
    yield job(
        "weighted, epoch",
        Doer(OURS, "plans:weighted"),
        Doer("scDataset", "plans:weighted_scdataset", SLOW),
        Doer("torch", "plans:weighted_torch", SLOW),
    )
    yield job(
        "balanced classes, epoch",
        Doer(OURS, "plans:classes"),
        Doer("scDataset", "plans:classes_scdataset", SLOW),
    )
    yield job(
        "series, epoch",
        Doer(OURS, "plans:series"),
        Doer(LISTS, "plans:series_python", SLOWER),
        Doer(METRIC, "plans:series_metric_learning", SLOWEST),
    )
    yield job(
        "buckets, epoch",
        Doer(OURS, "plans:buckets"),
        Doer(LISTS, "plans:buckets_python", SLOWER),
        Doer("transformers", "plans:buckets_transformers", SLOWER),
        Doer("lhotse", "plans:buckets_lhotse", 20_000),
    )
    yield job(
        "16 classes x 4 rows, epoch",
        Doer(OURS, "plans:tuples"),
        Doer(METRIC, "plans:tuples_metric_learning", SLOWER),
        Doer(LISTS, "plans:tuples_python", 50_000),
    )
    yield job(
        "mixture by shares, epoch",
        Doer(OURS, "plans:shares"),
        Doer("NumPy", "plans:shares_numpy", SLOW),
    )


def _draws() -> Iterator[Job]:
    yield Job(
        "order",
        "alias table, draws of 1,024",
        "ns/index",
        (
            Doer(OURS, "replay:alias"),
            Doer("NumPy", "replay:alias_numpy", SLOWER),
            Doer("torch", "replay:alias_torch", SLOWER),
        ),
        options={"batch": 1024},
    )
    for name in ("tree", "updates"):
        what = "draws" if name == "tree" else "updates"
        doers = (
            Doer(OURS, f"replay:{name}"),
            Doer("cpprb", f"replay:{name}_cpprb", SLOW),
            Doer("torchrl", f"replay:{name}_torchrl"),
        )
        yield Job("order", f"sum tree, {what} of 256", "ns/index", doers, options={"batch": 256})


def _first_batches() -> Iterator[Job]:
    def job(name: str, *doers: Doer) -> Job:
        return Job("first", name, "ms", doers)

    yield job(
        "first batch of a new epoch, blocks of 16",
        Doer(OURS, "first:ours", options={"strategy": "blocks"}),
        Doer("scDataset", "first:scdataset"),
        Doer("torch", "first:torch", SLOW),
        Doer("grain", "first:grain"),
    )
    yield job(
        "first batch of a new epoch, series",
        Doer(OURS, "first:ours", options={"strategy": "series"}),
        Doer(LISTS, "first:series_python", SLOWER),
    )
    yield job(
        "first batch of a new epoch, buckets",
        Doer(OURS, "first:ours", options={"strategy": "buckets"}),
        Doer(LISTS, "first:buckets_python", SLOWER),
        Doer("transformers", "first:buckets_transformers", SLOWER),
    )
    yield job(
        "first batch after a resume, blocks of 16",
        Doer(OURS, "first:resume", options={"strategy": "blocks"}),
        Doer("torch", "first:resume_torch", SLOW),
        Doer("grain", "first:resume_grain"),
    )


def _memory() -> Iterator[Job]:
    def job(name: str, script: str, *peers: tuple[str, int | None]) -> Job:
        doers = (Doer(who, MEMORY, most, {"script": script}) for who, most in ((OURS, None), *peers))
        return Job(MEMORY, name, "MB", tuple(doers))

    yield job(
        "blocks of 16 and the first window", "blocks", ("scDataset", None), ("torch", SLOW), ("grain", None)
    )
    yield job("series and the first window", "series", (LISTS, SLOWER))


def _reading() -> Iterator[Job]:
    for stored, form in (("gzip", "csr"), ("gzip", "dense"), ("raw", "csr")):
        for cold in (False, True):
            doers = [Doer(OURS, "reading:ours"), Doer("scDataset", "reading:scdataset")]
            if form == "dense":
                doers.append(Doer("AnnLoader", "reading:anndata"))
            name = f"h5ad {stored}, {'sparse' if form == 'csr' else 'dense'} batches, {_warmth(cold)}"
            options = {"stored": stored, "form": form, "cold": cold}
            yield Job("reading", name, "cells/s", tuple(doers), "cells", options, threads=2)
    for cold in (False, True):
        shuffled = (Doer(OURS, "reading:ours_shuffled"), Doer("annbatch", "reading:annbatch"))
        name = f"shuffled copies, sparse batches, {_warmth(cold)}"
        options = {"form": "csr", "cold": cold}
        yield Job("reading", name, "cells/s", shuffled, "cells", options, threads=2)


def _warmth(cold: bool) -> str:
    return "cold" if cold else "warm"


def _training() -> Iterator[Job]:
    yield Job(
        "training",
        "h5ad gzip into a linear model",
        "cells/s",
        (
            Doer(OURS, "training:cells"),
            Doer("scDataset", "training:cells_scdataset"),
            Doer("AnnLoader", "training:cells_anndata"),
            Doer(f"{LIMIT}the model alone", "training:cells_alone"),
        ),
        "cells",
        threads=2,
    )
    yield Job(
        "training",
        "rows of 128 float32 in memory into a linear model",
        "rows/s",
        (
            Doer(OURS, "training:rows"),
            Doer("torch", "training:rows_torch"),
            Doer("torch, whole batches", "training:rows_torch_by_batches"),
            Doer(f"{LIMIT}the model alone", "training:rows_alone"),
        ),
        "table",
    )


def _quality() -> Job:
    ours = {
        "in order": "in order",
        "blocks of 64": "blocks of 64",
        "blocks of 16": "blocks of 16",
        "blocks of 4": "blocks of 4",
        "blocks of 1": "blocks of 1",
        "blocks of the file": "blocks that follow the file",
        "weighted": "weighted, blocks of 16",
        "balanced": "labels balanced, blocks of 16",
        "series": "series of 3 cells",
        "buckets": "a label a batch",
        "tuples": "4 labels x 16 cells",
        "mixture": "two halves of the plates, 16 and 48",
    }
    theirs = ("in order", "blocks of 64", "blocks of 16", "blocks of 4", "blocks of 1", "balanced")
    doers = [Doer(f"{OURS}: {text}", "reading:ours", options={"strategy": key}) for key, text in ours.items()]
    doers += [
        Doer(f"scDataset: {ours[key]}", "reading:scdataset", options={"strategy": key}, package="scDataset")
        for key in theirs
    ]
    doers.append(Doer("AnnLoader: shuffled", "reading:anndata", package="AnnLoader"))
    doers.append(Doer(f"{OURS}: shuffled copy, stretches of 512", "reading:ours_shuffled"))
    doers.append(Doer("annbatch: shuffled copy, stretches of 512", "reading:annbatch", package="annbatch"))
    options = {"stored": "gzip", "form": "csr", "bits": True}
    return Job("quality", "speed beside quality", "cells/s", tuple(doers), "cells", options, threads=2)


def _limits() -> Iterator[Job]:
    for name, what in (
        ("write", "write 8 bytes in a cache"),
        ("copy", "copy 8 bytes"),
        ("gather", "read 4 bytes anywhere"),
    ):
        yield Job("limits", f"{LIMIT}{what}", "ns/index", (Doer("NumPy", f"memory:{name}"),), "limit")
    for kernel in KERNELS:
        doer = Doer(OURS, kernel.maker, options={**kernel.options, "instructions": "avx2"})
        yield Job("limits", kernel.name, "ns/index", (doer,), "limit")
