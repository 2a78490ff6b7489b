"""Scores of stored rows: beside reading the features once, beside a loop over items, and the first call."""

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
import torch

from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Figures, Work
from tombola import importance_scores
from tombola.replay import (
    combine_scores,
    difficulty_scores,
    group_balance,
    temporal_scores,
    uncertainty_scores,
)

WIDTH, CLASSES, GROUPS = 512, 100, 20
PER_FEATURE_ROW = 100
"""Rows of the data for one row of features: 10^6 of them at the size that the targets are stated for."""
MOST_ITEMS = 5000
WEIGHT, EPS = 0.5, 1e-6
READING = "reading the features"
LOOP = "loop of .item() calls"
NUMPY = "NumPy"

MEMORY = {
    threads: Work(f"importance, {WIDTH} float32 a row, 100 prototypes, {threads} thread(s)", ratio=ratio)
    for threads, ratio in ((1, None), (2, 0.8))
}
ITEMS = Work("importance, beside a loop over items", ratio=20.0)
HALF = Work(f"importance, {WIDTH} bfloat16 a row, 2 threads")
BALANCE = {
    "counted": Work("group balance, groups counted, 2 threads", target=2.0),
    "known": Work("group balance, sizes known, 2 threads", target=2.0),
}
OTHERS = {
    name: Work(f"{name} scores, 2 threads") for name in ("temporal", "difficulty", "combined", "uncertainty")
}
FIRST = Work("first importance_scores of a process: compiled, Numba's import included", "s", target=2.0)
SECOND = Work("first importance_scores of the next process, from the cache", "s")

Sample = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def sample(size: int) -> Sample:
    """Features, labels, prototypes, groups."""
    generator = np.random.default_rng(7)
    rows = max(1000, size // PER_FEATURE_ROW)
    features = generator.standard_normal((rows, WIDTH), dtype=np.float32)
    labels = generator.integers(0, CLASSES, rows)
    groups = generator.integers(0, GROUPS, rows)
    return features, labels, generator.standard_normal((CLASSES, WIDTH), dtype=np.float32), groups


def by_numpy(sample: Sample, rows: int) -> npt.NDArray[np.float64]:
    """Return the importance of the first rows by the formula."""
    features, labels, prototypes, groups = sample
    x = features[:rows].astype(np.float64)
    p = prototypes[labels[:rows]].astype(np.float64)
    cosines = (x * p).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (p * p).sum(axis=1))
    balance = (GROUPS / np.bincount(groups)[groups[:rows]]) ** WEIGHT
    return np.asarray(balance / ((1 + cosines) / 2 + EPS))


def check_importance(scores: npt.NDArray[np.float64], sample: Sample) -> None:
    rows = min(len(scores), MOST_ITEMS)
    bound = 8 * (WIDTH + 8) * 2.0**-53  # four times that of a similarity, as none here is below 1/4
    assert np.abs(scores[:rows] / by_numpy(sample, rows) - 1).max() < bound


@numba.njit(parallel=True)  # type: ignore[untyped-decorator]
def _sum(values: Any) -> Any:
    total = 0
    for k in numba.prange(values.shape[0]):
        total += values[k]
    return total


@pytest.mark.parametrize("threads", [1, 2])
def test_reading(sample: Sample, threads: int, measure: Measure) -> None:
    """What memory allows: the features as integers, summed."""
    words = sample[0].view(np.int64).reshape(-1)
    assert int(_sum(words)) == int(words.sum())
    size_text = f"{sample[0].nbytes / 1e9:.3g} GB"
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    try:
        measure(
            MEMORY[threads],
            READING,
            lambda: _sum(words),
            n=len(sample[0]),
            threads=threads,
            note=size_text,
        )
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_importance(sample: Sample, threads: int, measure: Measure) -> None:
    out = np.empty(len(sample[0]))

    def run() -> npt.NDArray[np.float64]:
        return importance_scores(*sample, balance_weight=WEIGHT, out=out)

    check_importance(run(), sample)
    measure(MEMORY[threads], OURS, run, n=len(out), threads=threads)


def test_half_types(sample: Sample, measure: Measure) -> None:
    features = torch.from_numpy(sample[0]).bfloat16()
    out = np.empty(len(features))

    def run() -> npt.NDArray[np.float64]:
        return importance_scores(features, *sample[1:], balance_weight=WEIGHT, out=out)

    exact = importance_scores(features.float(), *sample[1:], balance_weight=WEIGHT)
    assert run().tobytes() == exact.tobytes()
    measure(HALF, OURS, run, n=len(out), threads=2)


def test_loop(sample: Sample, measure: Measure) -> None:
    features, labels, prototypes, groups = (torch.from_numpy(array) for array in sample)
    rows = min(len(features), MOST_ITEMS)
    sizes = torch.bincount(groups)

    def run() -> list[float]:
        scores = []
        for i in range(rows):
            prototype = prototypes[labels[i].item()]  # type: ignore[index]
            cosine = torch.nn.functional.cosine_similarity(features[i], prototype, dim=0).item()
            size = sizes[groups[i].item()].item()  # type: ignore[index]
            scores.append((GROUPS / size) ** WEIGHT / ((1 + cosine) / 2 + EPS))
        return scores

    assert np.abs(np.array(run()) / by_numpy(sample, rows) - 1).max() < 1e-4  # float32 sums
    measure(ITEMS, LOOP, run, n=rows)


def test_beside_the_loop(sample: Sample, measure: Measure) -> None:
    out = np.empty(len(sample[0]))
    check_importance(importance_scores(*sample, balance_weight=WEIGHT, out=out), sample)
    measure(ITEMS, OURS, lambda: importance_scores(*sample, balance_weight=WEIGHT, out=out), n=len(out))


@pytest.fixture(scope="module")
def groups(size: int) -> npt.NDArray[np.int64]:
    """A group of each row of the whole data."""
    return np.random.default_rng(8).integers(0, GROUPS, size)


@pytest.mark.parametrize("kind", list(BALANCE))
def test_balance(groups: npt.NDArray[np.int64], kind: str, size: int, measure: Measure) -> None:
    sizes = np.bincount(groups)
    out = np.empty(size)
    known = sizes if kind == "known" else None

    def run() -> npt.NDArray[np.float64]:
        return group_balance(groups, balance_weight=WEIGHT, group_sizes=known, out=out)

    assert np.array_equal(run()[: 10**5], ((GROUPS / sizes) ** WEIGHT)[groups[: 10**5]])
    measure(BALANCE[kind], OURS, run, n=size, threads=2)


@pytest.mark.parametrize("kind", list(BALANCE))
def test_balance_by_numpy(groups: npt.NDArray[np.int64], kind: str, size: int, measure: Measure) -> None:
    known = np.bincount(groups)

    def run() -> npt.NDArray[np.float64]:
        sizes = known if kind == "known" else np.bincount(groups)
        return np.asarray(((GROUPS / sizes) ** WEIGHT)[groups])

    assert np.array_equal(run()[:1000], group_balance(groups, balance_weight=WEIGHT)[:1000])
    measure(BALANCE[kind], NUMPY, run, n=size)


@pytest.mark.parametrize("kind", ["temporal", "difficulty", "combined"])
def test_other_scores(kind: str, size: int, measure: Measure) -> None:
    values = np.random.default_rng(9).random(size) * 8
    out = np.empty(size)

    def run() -> npt.NDArray[np.float64]:
        match kind:
            case "temporal":
                return temporal_scores(values, half_life=2.0, out=out)
            case "difficulty":
                return difficulty_scores(values, exponent=0.6, out=out)
        return combine_scores(values, values, weights=[1.0, 0.5], out=out)

    few = values[:1000]
    expected = {"temporal": 2.0 ** (-few / 2), "difficulty": (few + 1e-6) ** 0.6, "combined": few * few**0.5}
    assert np.abs(run()[:1000] / expected[kind] - 1).max() < 4 * 2.0**-52
    measure(OTHERS[kind], OURS, run, n=size, threads=2)


def test_uncertainty(sample: Sample, measure: Measure) -> None:
    logits = np.ascontiguousarray(sample[0][:, :CLASSES])
    out = np.empty(len(logits))
    uncertainty_scores(logits, out=out)
    wide = logits[:1000].astype(np.float64)
    total = np.exp(wide).sum(axis=1)
    expected = np.log(total) - (np.exp(wide) * wide).sum(axis=1) / total
    assert np.abs(out[:1000] / expected - 1).max() < 4 * CLASSES * 2.0**-52
    measure(
        OTHERS["uncertainty"],
        OURS,
        lambda: uncertainty_scores(logits, out=out),
        n=len(out),
        threads=2,
        note=f"{CLASSES} classes",
    )


PROCESS = """
import time
import numpy as np, tombola
tombola.set_num_threads(2)
features, prototypes = np.ones((100_000, 16), dtype=np.float32), np.ones((4, 16))
labels = np.zeros(100_000, dtype=np.int64)
start = time.perf_counter()
tombola.importance_scores(features, labels, prototypes, labels)
print(time.perf_counter() - start)
"""
ROOT = Path(__file__).resolve().parents[1]


def test_first_call(figures: Figures, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    rounds = max(1, min(5, int(pytestconfig.getoption("--seconds")) // 2))
    taken: dict[Work, list[float]] = {FIRST: [], SECOND: []}
    for number in range(rounds):
        for times in taken.values():
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / str(number))}
            command = [sys.executable, "-c", PROCESS]
            result = subprocess.run(
                command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
            )
            times.append(float(result.stdout))
    for work, times in taken.items():
        assert min(times) > 0
        figures.add(work, OURS, statistics.median(times), rounds=rounds)
