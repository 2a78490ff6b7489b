"""Threads, forks, the compiler's cache, late import: each in a process of its own."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

from tombola.replay.scores import runtime

COMMON = """
import os, sys, threading
import numpy as np
import tombola
from tombola.replay import *
from tombola.replay.scores import runtime
runtime.PARALLEL_FROM = 0
generator = np.random.default_rng(3)
features = generator.standard_normal((5003, 37)).astype(np.float32)
labels, groups = generator.integers(0, 6, 5003), generator.integers(0, 5, 5003)
prototypes = generator.standard_normal((6, 37))
losses = generator.random(70_001)

def scores():
    return b"".join(
        array.tobytes()
        for array in (
            importance_scores(features, labels, prototypes, groups, balance_weight=0.7),
            group_balance(np.arange(70_001) % 11, balance_weight=0.3),
            difficulty_scores(losses, exponent=0.6),
            temporal_scores(losses, half_life=0.1),
            uncertainty_scores(features, normalised=True),
            combine_scores(losses, losses + 1, weights=[0.3, -0.7]),
        )
    )
"""


def run_script(text: str, common: str = COMMON, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", common + text],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_results_do_not_depend_on_threads() -> None:
    text = """
found = {}
for threads in (1, 4, 7, 100):
    tombola.set_num_threads(threads)
    assert runtime.thread_count() == min(threads, 7)
    found[threads] = scores()
tombola.set_num_threads(7)
runtime.PARALLEL_FROM = 2**62
assert set(found.values()) == {scores()}
import numba
assert numba.get_num_threads() == 7
print("equal")
"""
    assert run_script(text, NUMBA_NUM_THREADS="7") == "equal"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_several_callers_at_once(layer: str) -> None:
    text = """
tombola.set_num_threads(4)
expected = scores()
wrong = []
def call():
    for _ in range(10):
        if scores() != expected:
            wrong.append(1)
threads = [threading.Thread(target=call) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
import numba
print(len(wrong), numba.threading_layer())
"""
    printed = run_script(text, NUMBA_NUM_THREADS="4", NUMBA_THREADING_LAYER=layer).split()
    assert printed[0] == "0"
    assert layer in ("default", printed[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_forked_child_is_serial_and_right(layer: str) -> None:
    """The parent's threads run, and one of them launches, while it forks."""
    text = """
tombola.set_num_threads(4)
expected = scores()
assert runtime.thread_count() == 4
running = True
def call():
    while running:
        scores()
thread = threading.Thread(target=call)
thread.start()
codes = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        grandchild = os.fork()
        right = runtime.thread_count() == 1 and scores() == expected
        if grandchild:
            right = right and os.waitpid(grandchild, 0)[1] == 0
        os._exit(0 if right else 1)
    codes.append(os.waitpid(pid, 0)[1])
running = False
thread.join()
assert scores() == expected and runtime.thread_count() == 4
print(codes)
"""
    printed = run_script(text, NUMBA_NUM_THREADS="4", NUMBA_THREADING_LAYER=layer)
    assert printed == str([0] * 8)


LOADER = """
import torch
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, row):
        return runtime.thread_count(), scores() == expected
if __name__ == "__main__":
    tombola.set_num_threads(2)
    expected = scores()
    loader = torch.utils.data.DataLoader(Rows(), batch_size=None, num_workers=2)
    print([tuple(map(int, row)) for row in loader])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
def test_loader_workers_are_serial() -> None:
    assert run_script(LOADER, NUMBA_NUM_THREADS="2") == str([(1, 1)] * 4)


@pytest.mark.skipif(sys.platform != "linux", reason="forked children of multiprocessing")
def test_a_child_that_inherits_launched_threads_is_serial() -> None:
    """Numba's threads were launched by others before the fork, and tombola is new in the child."""
    text = """
import multiprocessing, numba
@numba.njit(parallel=True)
def total(n):
    found = 0
    for k in numba.prange(n):
        found += k
    return found
total(1000)
def child(queue):
    import tombola.replay.scores.runtime
    queue.put(tombola.replay.scores.runtime.thread_count())
context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=child, args=(queue,))
process.start()
print(queue.get())
process.join()
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
        env=os.environ | {"NUMBA_NUM_THREADS": "2", "TOMBOLA_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert result.stdout.strip() == "1"


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    text = """
tombola.set_num_threads(2)
scores()
from tombola.replay.scores import importance_kernels as first, value_kernels as second
kernels = [first.COUNT, first.BALANCE, first.IMPORTANCE, second.VALUES, second.ENTROPY]
stats = [kernel.parallel.stats for kernel in kernels]
print(sum(sum(s.cache_hits.values()) for s in stats), sum(sum(s.cache_misses.values()) for s in stats))
"""
    options = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2"}
    assert run_script(text, **options) == "0 5"
    assert run_script(text, **options) == "5 0"


@pytest.mark.parametrize("count", [1, 3])
def test_torch_keeps_its_number_of_threads(count: int) -> None:
    """Numba's OpenMP layer, when it starts, sets that of the GNU OpenMP that torch has, too."""
    text = f"""
import numpy as np
import torch
import tombola
torch.set_num_threads({count})
torch.get_num_threads()  # it takes effect when first asked for
tombola.set_num_threads(2)
tombola.importance_scores(np.ones((2**14, 64)), np.zeros(2**14, dtype=int), np.ones((1, 64)), None)
print(torch.get_num_threads())
"""
    found = run_script(text, common="", NUMBA_NUM_THREADS="2", NUMBA_THREADING_LAYER="omp")
    assert found == str(count)


def test_importing_replay_imports_neither_numba_nor_torch() -> None:
    text = "print({'numba', 'torch', 'llvmlite'} & set(sys.modules))"
    code = f"import sys, tombola, tombola.replay\ntombola.importance_scores\n{text}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_without_a_place_for_the_cache_it_compiles_anyway(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    njit = numba.njit

    def refuse(*arguments: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*arguments, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    monkeypatch.setattr(runtime, "_said_uncached", False)
    with caplog.at_level(logging.INFO, logger="tombola"):
        functions = [runtime.compiled(_double), runtime.compiled(_double)]
    assert [function(4) for function in functions] == [8, 8]
    assert [record.message for record in caplog.records] == [
        "kernels are compiled in every process; NUMBA_CACHE_DIR can name a folder: "
        "cannot cache function: no locator available"
    ]


def _double(value: int) -> int:
    return value * 2
