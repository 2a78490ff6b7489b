"""Batches for a device, in the type asked for; the device "meta" stands for one where shapes are enough."""

import dataclasses
import logging
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.data

import tombola
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola import ArraySource, BlockShuffling, H5adSource, Loader
from tombola.loading import delivery, windows
from tombola.loading.windows import Window
from tombola.sources import CsrRows

META: Any = torch.device("meta")


def rows_of(n: int = 20, width: int = 7, background: Any = None) -> CsrRows:
    counts = random_counts(n, width)
    return CsrRows(
        counts.data,
        counts.indices,
        counts.indptr.astype(np.int64),
        (n, width),
        as_dense=True,
        background=background,
    )


def delivered(**options: Any) -> delivery.Delivery:
    return delivery.Delivery(memory=tombola.sources.base.BufferPool(keep=1, limit=1 << 20), **options)


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
@pytest.mark.parametrize("pin", [False, True])
def test_on_the_cpu_nothing_happens(device: Any, pin: bool) -> None:
    x = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    source = ArraySource(x, name=np.arange(50), text=[f"t{i}" for i in range(50)])
    plain = list(Loader(source, BlockShuffling(4), 8, fetch_factor=2))
    for batch, wanted in zip(
        Loader(source, BlockShuffling(4), 8, fetch_factor=2, device=device, pin_memory=pin),
        plain,
        strict=True,
    ):
        assert batch.keys() == wanted.keys()
        for name, column in batch.items():
            assert torch.equal(column, wanted[name])
            assert column.device.type == "cpu"
    given = delivered()
    tensor = torch.from_numpy(x)
    assert given.part(tensor, slice(0, 50), is_x=True).data_ptr() == tensor.data_ptr()
    assert given.part(x, slice(3, 9), is_x=True).data_ptr() == tensor[3:].data_ptr()


@pytest.mark.skipif(torch.cuda.is_available(), reason="pins where there is CUDA")
def test_what_cannot_be_pinned_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    delivery._say_nothing_is_pinned.cache_clear()
    loader = Loader(ArraySource(np.ones((4, 2))), tombola.Streaming(), 2, pin_memory=True)
    with caplog.at_level(logging.INFO, "tombola.loading"):
        assert not next(iter(loader))["X"].is_pinned()
        list(loader)
    assert [record.message for record in caplog.records] == [
        "pin_memory=True does nothing: torch finds no CUDA in this process"
    ]


@pytest.mark.parametrize("background", [None, np.arange(7, dtype=np.float32)])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_rows_become_dense_there_as_here(background: Any, dtype: Any) -> None:
    rows = rows_of(background=background)
    expected = torch.from_numpy(rows.to_dense())
    if dtype is not None:
        expected = expected.to(dtype)
    where = np.array([3, 3, 19, 0])
    here = delivered(dtype=dtype)
    # A device that is the CPU in disguise
    there = delivered(dtype=dtype, device=torch.device("cpu"))
    for each in (here, there):
        assert torch.equal(each.part(rows, slice(2, 20), is_x=True), expected[2:20])
        assert torch.equal(each.part(rows, slice(4, 4), is_x=True), expected[4:4])
        assert torch.equal(each.take(rows, where, is_x=True), expected[where])


def test_batches_go_to_a_device(tmp_path: Path) -> None:
    counts = random_counts()
    for i, (x, x_format) in enumerate(((counts, "dense"), (counts, "csr"), (counts.toarray(), "dense"))):
        path = write_h5ad(tmp_path / f"{i}.h5ad", x)
        source = H5adSource(path, obs="kind", x_format=x_format)  # type: ignore[arg-type]
        loader = Loader(source, BlockShuffling(4), 16, fetch_factor=2, device="meta")
        for each in (loader, pickle.loads(pickle.dumps(loader))):
            batch = next(iter(each))
            assert {name: column.device for name, column in batch.items()} == dict.fromkeys(batch, META)
            assert batch["X"].shape == (16, counts.shape[1])
            assert batch["X"].layout == (torch.sparse_csr if x_format == "csr" else torch.strided)
            assert batch["kind"].dtype == torch.int64


def test_texts_stay_lists() -> None:
    window = {"name": np.array(["a", "b", "c"])}
    given = delivered(device=META)
    assert given.part(window["name"], slice(1, 3), is_x=False) == ["b", "c"]
    assert given.take(window["name"], np.array([2, 0]), is_x=False) == ["c", "a"]


@pytest.mark.parametrize("kind", ["csr", "dense", "csr as csr"])
def test_bfloat16(tmp_path: Path, kind: str) -> None:
    counts = random_counts()
    path = write_h5ad(tmp_path / "a.h5ad", counts.toarray() if kind == "dense" else counts)
    options: dict[str, Any] = {"x_format": "csr"} if kind.endswith("as csr") else {}
    for dtype in ("bfloat16", torch.bfloat16):
        source = H5adSource(path, obs="depth", dtype=dtype, normalize_total=10.5, log1p=True, **options)
        exact = H5adSource(path, normalize_total=10.5, log1p=True, **options)
        assert source.read(np.arange(3))["X"].dtype == np.float32
        pairs = zip(Loader(source, BlockShuffling(4), 16), Loader(exact, BlockShuffling(4), 16), strict=True)
        for batch, wanted in pairs:
            assert batch["X"].dtype == torch.bfloat16
            found, expected = batch["X"], wanted["X"].to(torch.bfloat16)
            if options:
                found, expected = found.to_dense(), expected.to_dense()
            assert torch.equal(found, expected)
            assert batch["depth"].dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        (
            {"device": 1.5},
            TypeError,
            r"device must be a torch\.device or its name, such as 'cuda:0', but is 1\.5",
        ),
        (
            {"device": "gpu"},
            ValueError,
            "device must be one that torch knows, such as 'cuda:0', but is 'gpu'",
        ),
        ({"pin_memory": "yes"}, TypeError, "pin_memory must be True or False, but is 'yes'"),
    ],
)
def test_what_is_refused(options: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        Loader(ArraySource(np.ones((4, 2))), tombola.Streaming(), 2, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_there() -> None:
    loader = Loader(ArraySource(np.ones((4, 2))), tombola.Streaming(), 2, device="cuda:0")
    with pytest.raises(RuntimeError, match="device 'cuda:0' is not there: torch finds no CUDA"):
        next(iter(loader))


def test_workers_do_not_move_batches() -> None:
    loader = Loader(ArraySource(np.ones((4, 2))), tombola.Streaming(), 2, device="meta")
    workers = torch.utils.data.DataLoader(loader, batch_size=None, num_workers=1)
    with pytest.raises(RuntimeError, match="moves batches in the process that trains, not in workers"):
        next(iter(workers))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("pin", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["csr", "dense", "csr as csr"])
def test_on_a_gpu_values_are_those_of_the_cpu(tmp_path: Path, kind: str, dtype: str, pin: bool) -> None:
    counts = random_counts(400, 60)
    path = write_h5ad(tmp_path / "a.h5ad", counts.toarray() if kind == "dense" else counts)
    options: dict[str, Any] = {"x_format": "csr"} if kind.endswith("as csr") else {}
    source = H5adSource(path, obs="kind", dtype=dtype, log1p=True, **options)
    here = list(Loader(source, BlockShuffling(4), 16, fetch_factor=3))
    there = Loader(source, BlockShuffling(4), 16, fetch_factor=3, device="cuda", pin_memory=pin)
    for batch, wanted in zip(there, here, strict=True):
        for name, column in batch.items():
            expected = wanted[name]
            assert column.device.type == "cuda"
            assert column.dtype == expected.dtype
            if options and name == "X":
                column, expected = column.cpu().to_dense(), expected.to_dense()
            assert torch.equal(column.cpu(), expected)


def window_of(column: Any, **options: Any) -> Window:
    return Window(np.arange(20), [0, 8, 16, 20], None, {"X": column}, delivered(**options))


def test_threads_make_batches_where_sparse_rows_become_dense() -> None:
    before = tombola.get_num_threads()
    try:
        for said, made in ((1, 1), (3, 3), (9, 4)):
            tombola.set_num_threads(said)
            assert window_of(rows_of()).threads == made
            assert window_of(rows_of(), device=META).threads == 1
            assert window_of(rows_of().to_dense()).threads == 0
            assert window_of(dataclasses.replace(rows_of(), as_dense=False)).threads == 0
    finally:
        tombola.set_num_threads(before)


def test_large_batches_are_made_by_fewer_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "get_num_threads", lambda: 9)
    taken = 8 * 7 * rows_of().dtype.itemsize
    for limit, made in ((100 * taken, 4), (4 * taken, 3), (3 * taken, 2), (2 * taken, 1), (0, 1)):
        monkeypatch.setattr(windows, "AHEAD_BYTES", limit)
        assert window_of(rows_of()).threads == made


@pytest.mark.parametrize("said", [1, 3, 9])
def test_batches_of_several_threads_are_those_of_one(
    said: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are so large that their memory is used again."""
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(320, 20_000))
    source = H5adSource([path], x_format="dense")
    expected = [batch["X"].sum(1) for batch in Loader(source, BlockShuffling(4), 16, prefetch=0)]
    monkeypatch.setattr(windows, "get_num_threads", lambda: said)
    makers = set()
    make = CsrRows.part_dense

    def part_dense(self: CsrRows, *arguments: Any) -> Any:
        makers.add(threading.get_ident())
        time.sleep(0.002)
        return make(self, *arguments)

    monkeypatch.setattr(CsrRows, "part_dense", part_dense)
    for batch, sums in zip(Loader(source, BlockShuffling(4), 16), expected, strict=True):
        assert torch.equal(batch["X"].sum(1), sums)
    assert 1 <= len(makers) <= 2 * min(said, 4)  # of two windows
    assert (len(makers) > 2) == (said > 1)
