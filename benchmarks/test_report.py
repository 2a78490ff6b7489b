"""No measurement: the report itself, at a tiny size, in this process but for one work."""

import importlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tombola
from benchmarks.diversity import make_labels, mean_bits
from benchmarks.figures import OURS, digits, power_text
from benchmarks.processes import ROOT, Child, ChildError
from benchmarks.report.__main__ import main
from benchmarks.report.jobs import FULL, MEMORY, QUICK, Doer, Job
from benchmarks.report.kernels import KERNELS
from benchmarks.report.measuring import Turn, start_inline
from benchmarks.report.page import limit_rows, markdown
from benchmarks.report.results import LeftOut, Measured, Results
from benchmarks.report.tasks import Call
from benchmarks.report.worker import Made
from benchmarks.report.works import jobs

NAME = "tiny"
SLOW_TO_LOAD = ("AnnLoader", "grain", "lhotse", "transformers")
PICTURES = {f"{NAME}-{kind}.png" for kind in ("growth", "quality", "limits")}


class NotThere:
    """A peer that does not load."""

    made = Made(absent="left out by a test")

    def time(self) -> tuple[float, float]:
        raise AssertionError("it was asked for a time")

    def close(self) -> None:
        pass


class Counted:
    """Memory that needs no process."""

    made = Made()

    def time(self) -> tuple[float, float]:
        return 3.0, 1

    def close(self) -> None:
        pass


def start(job: Job, doer: Doer, call: Call, patience: float, annbatch: str) -> Turn:
    if (doer.package or doer.who) in SLOW_TO_LOAD:
        return NotThere()
    return Counted() if doer.maker == MEMORY else start_inline(job, doer, call, patience, annbatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report."""
    folder = tmp_path_factory.mktemp("report")
    tiny = ["--sizes", "1e4", "--cells", "300", "--seconds", "1e-3", "--name", NAME, "--out", str(folder)]
    assert main(tiny, start=start) == 0
    return folder


def test_all_works_are_on_the_page(folder: Path) -> None:
    page = (folder / f"{NAME}.md").read_text(encoding="utf-8")
    assert [job.name for job in jobs() if job.name not in page and job.section != "limits"] == []
    assert [kernel.name for kernel in KERNELS if kernel.name not in page] == []
    assert {path.name for path in folder.glob("*.png")} == PICTURES
    assert [name for name in PICTURES if f"]({name})" not in page] == []
    assert all(path.stat().st_size > 10_000 for path in folder.glob("*.png"))


def test_figures_of_the_page_are_medians_of_the_times_that_are_kept(folder: Path) -> None:
    kept = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
    page = (folder / f"{NAME}.md").read_text(encoding="utf-8")
    cells = [[part.strip() for part in line.split("|")[1:-1]] for line in page.splitlines() if "|" in line]
    shown = {(row[0], row[1]): row[3] for row in cells if len(row) == 7}
    ours = [one for one in kept["measured"] if one["who"] == OURS and one["section"] != "limits"]
    assert len(ours) > 25
    for one in ours:
        scale = {"ns/index": 1e9, "ms": 1e3, "MB": 1.0}.get(one["unit"])
        values = [scale * amount / count if scale else count / amount for amount, count in one["raw"]]
        assert shown[one["work"], power_text(one["n"])] == digits(statistics.median(values)), one["work"]


def test_a_peer_that_is_missing_is_named(folder: Path) -> None:
    page = (folder / f"{NAME}.md").read_text(encoding="utf-8")
    left_out = page.partition("## Left out")[2]
    assert [who for who in SLOW_TO_LOAD if f"**{who}" not in left_out] == []
    assert "- **lhotse**: left out by a test (in: buckets, epoch)" in left_out


def test_a_page_is_made_again_of_its_json(folder: Path, tmp_path: Path) -> None:
    results = Results.read(folder / f"{NAME}.json")
    assert markdown(results, NAME) == (folder / f"{NAME}.md").read_text(encoding="utf-8")
    results.measured = results.of("memory")  # pictures take long
    path = tmp_path / f"{NAME}.json"
    results.write(path)
    assert main(["--redraw", str(path)]) == 0
    assert (tmp_path / f"{NAME}.md").read_text(encoding="utf-8") == markdown(results, NAME)
    assert {found.name for found in tmp_path.glob("*.png")} == {f"{NAME}-growth.png"}
    path.write_text('{"format": 0}', encoding="utf-8")
    with pytest.raises(ValueError, match="expected a report of format 1, but"):
        main(["--redraw", str(path)])


def test_processes_take_turns(tmp_path: Path) -> None:
    only = ["--only", "blocks of 16, epoch", "--sizes", "1e4", "--seconds", "1e-3"]
    assert main([*only, "--out", str(tmp_path), "--name", NAME]) == 0
    results = Results.read(tmp_path / f"{NAME}.json")
    found = {one.who: one for one in results.of("order")}
    assert found.keys() == {OURS, "scDataset"}
    assert all(one.value > 0 and one.raw[0][1] % 10**4 == 0 for one in found.values())
    assert results.versions["scdataset"] == "0.3.0"
    assert len(results.of("limits")) == 1  # the loop of that name
    assert str(tmp_path) not in (tmp_path / f"{NAME}.json").read_text(encoding="utf-8")


def test_unknown_names_are_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--only", "nothing", "--out", str(tmp_path)]) == 2
    assert "no work's name or section holds any of ['nothing']" in capsys.readouterr().err


def make_results(*measured: Measured) -> Results:
    return Results({"processor": "abacus"}, {"command": "c", "day": "d"}, measured=list(measured))


def test_losses_are_in_plain_sight() -> None:
    def one(who: str, work: str, seconds: float, n: int = 1000) -> Measured:
        return Measured("order", work, "ns/index", who, n, [(seconds, n)])

    results = make_results(
        one(OURS, "won", 1e-6), one("torch", "won", 2e-6), one(OURS, "lost", 4e-6), one("torch", "lost", 2e-6)
    )
    page = markdown(results, NAME)
    assert "- lost, n = 1,000: 4.00 ns/index, torch 2.00: **0.50 times as good**" in page
    assert "| lost | 1,000 | ns/index | 4.00 | torch 2.00 | **0.50, behind** |" in page
    assert "| won | 1,000 | ns/index | 1.00 | torch 2.00 | 2.00 |" in page
    assert "Nowhere in this run." in markdown(make_results(one(OURS, "won", 1e-6)), NAME)


def test_a_peer_of_fewer_rows_says_so_and_limits_are_no_peers() -> None:
    def one(who: str, rows: float, n: int) -> Measured:
        return Measured("training", "read", "rows/s", who, n, [(1.0, rows)])

    found = [one(OURS, 50.0, 10**6), one("torch", 20.0, 10**5), one("limit: the model", 90.0, 10**6)]
    (row,) = make_results(*found).rows("training")
    assert row.ratio == 2.5
    page = markdown(make_results(*found), NAME)
    assert "| 50.0 | torch 20.0 (n = 10^5) | 2.50 | limit: the model 90.0 |" in page


def test_memory_alone() -> None:
    def one(work: str, ns: float) -> Measured:
        return Measured("limits", work, "ns/index", "NumPy", 1000, [(ns * 1e-9, 1)])

    limits = [("write 8 bytes in a cache", 0.4), ("copy 8 bytes", 1.6), ("read 4 bytes anywhere", 5.0)]
    results = make_results(*(one(f"limit: {name}", ns) for name, ns in limits), one("buckets, epoch", 10.8))
    results.instructions = {"counts": {"buckets, epoch": 54.0}}
    ((name, ns, limit, count, _),) = limit_rows(results)
    assert (name, count) == ("buckets, epoch", 54.0)
    assert (ns, limit) == pytest.approx((10.8, 5.4))
    assert "| 10.8 | 8, 0, 1 | 5.40 | 50% | 54.0 | 5.00 |" in markdown(results, NAME)


def test_ours_is_never_left_out(tmp_path: Path) -> None:
    def broken(*_: Any) -> Turn:
        return NotThere()

    only = ["--only", "blocks of 16, epoch", "--out", str(tmp_path)]
    with pytest.raises(RuntimeError, match="tombola failed in 'blocks of 16, epoch': left out by a test"):
        main(only, start=broken)


def test_every_maker_is_there() -> None:
    makers = {doer.maker for job in jobs() for doer in job.doers} - {MEMORY}
    for maker in makers:
        module, _, name = maker.partition(":")
        assert callable(getattr(importlib.import_module(f"benchmarks.report.{module}"), name)), maker
    names = [job.name for job in jobs() if job.section != "limits"]
    assert len(set(names)) == len(names)


def test_loops_are_those_that_are_counted() -> None:
    counted = json.loads((ROOT / "benchmarks" / "instructions.json").read_text(encoding="utf-8"))["counts"]
    # What an epoch of rounds, and one of series in turn, must read is not known.
    assert {kernel.name for kernel in KERNELS} == counted.keys() - {
        "rounds without replacement, epoch",
        "series in turn, epoch",
    }


def test_profiles() -> None:
    assert max(QUICK.rows) == 10**6
    assert max(FULL.rows) == 10**8
    assert QUICK.most(Doer("torch", "x:y")) == 10**6
    assert FULL.most(Doer("torch", "x:y", 10**5)) == 10**5
    assert LeftOut("a", "b", "c").failed is False


def test_bits_are_those_of_the_report_of_a_plan() -> None:
    label = make_labels(5000)["label"]
    plan = tombola.BlockShuffling(16).plan(5000, batch_size=64, fetch_factor=4, seed=1)
    bits = plan.report(label)["classes"]["bits_per_batch"]
    assert mean_bits(label, plan) == pytest.approx(bits, abs=1e-9)
    assert mean_bits(np.zeros(5000, dtype=np.int64), plan) == 0


@pytest.mark.parametrize(
    ("code", "seconds", "said"),
    [
        ("import time; time.sleep(60)", 0.2, "no answer within 0.2 s"),
        ("raise SystemExit(3)", 30, "ended, status 3"),
    ],
)
def test_a_process_without_an_answer(code: str, seconds: float, said: str) -> None:
    child = Child(["-c", code], paths=[], python=sys.executable, seconds=seconds)
    with pytest.raises(ChildError, match=said):
        child.ask("")
    child.close()
