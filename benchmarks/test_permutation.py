"""Uniform permutations: the exact one as an array, and the random-access one filled in batches."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tombola
from benchmarks.checks import check_cover, check_permutation
from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work
from tombola import _core

EXACT = Work("exact permutation, int64", target=6.0)
EXACT_TWO = Work("exact permutation, int64, two threads", target=3.5)
RANDOM_ACCESS = {
    "auto": Work("random-access permutation, filled in batches", target=3.0),
    "avx2": Work("random-access permutation, filled in batches, AVX2", target=5.0),
}
BATCH = 64 * 256


@pytest.mark.parametrize("who", ["numpy", "torch", OURS])
def test_exact(who: str, size: int, measure: Measure) -> None:
    generator = np.random.default_rng(1)
    torch_generator = torch.Generator().manual_seed(1)
    runs: dict[str, Callable[[], Any]] = {
        "numpy": lambda: generator.permutation(size),
        "torch": lambda: torch.randperm(size, generator=torch_generator),
        OURS: lambda: tombola.permutation(size, seed=1),
    }
    check_permutation(runs[who](), size)
    measure(EXACT, who, runs[who], n=size)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_exact_by_two_threads(size: int, measure: Measure) -> None:
    one = tombola.permutation(size, seed=1)
    tombola.set_num_threads(2)
    assert np.array_equal(tombola.permutation(size, seed=1), one)
    del one
    measure(EXACT_TWO, OURS, lambda: tombola.permutation(size, seed=1), n=size, threads=2)


@pytest.mark.parametrize("instructions", ["auto", "avx2"])
def test_random_access(instructions: str, size: int, measure: Measure) -> None:
    if instructions not in ("auto", *_core.available_instruction_sets()):
        pytest.skip(f"needs {instructions}")
    p = tombola.RandomPermutation(size, key=1)
    batches = [(start, min(start + BATCH, size)) for start in range(0, size, BATCH)]

    def run() -> None:
        for start, stop in batches:
            p.fill(start, stop)

    _core.set_instruction_set(instructions)
    try:
        check_cover((p.fill(start, stop) for start, stop in batches), size)
        assert p.inverse(p[size // 3]) == size // 3
        measure(RANDOM_ACCESS[instructions], OURS, run, n=size)
    finally:
        _core.set_instruction_set("auto")
