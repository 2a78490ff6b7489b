"""Work done ahead: in order, bounded, errors in their place, threads that end with their consumer."""

import gc
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tombola import ArraySource, Loader, Streaming
from tombola.loading.prefetch import in_order


def prefetching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tombola-prefetch")]


def wait_until(condition: Callable[[], bool]) -> bool:
    for _ in range(3000):
        if condition():
            return True
        time.sleep(0.01)
    return False


class Work:
    """Squares, in some time; remembers what was begun and where."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.begun: list[int] = []
        self.threads: set[str] = set()
        self.fail_at = fail_at

    def __call__(self, job: int) -> int:
        self.begun.append(job)
        self.threads.add(threading.current_thread().name)
        time.sleep(0.001)
        if job == self.fail_at:
            raise OSError(f"job {job}")
        return job * job


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
@pytest.mark.parametrize("n_jobs", [0, 1, 5, 20])
def test_results_come_in_order(ahead: int, n_jobs: int) -> None:
    work = Work()
    assert list(in_order(iter(range(n_jobs)), work, ahead=ahead)) == [job * job for job in range(n_jobs)]
    assert work.begun == list(range(n_jobs))
    here = {threading.current_thread().name}
    assert work.threads <= here if ahead == 0 else work.threads.isdisjoint(here)
    assert len(work.threads) <= 1


@pytest.mark.parametrize("threads", [2, 3])
def test_jobs_are_done_side_by_side_and_come_in_order(threads: int) -> None:
    together = threading.Barrier(threads, timeout=30)
    names: set[str] = set()

    def work(job: int) -> int:
        names.add(threading.current_thread().name)
        if job < 2 * threads:
            together.wait()
        if job % 3 == 0:
            time.sleep(0.002)
        return job

    assert list(in_order(iter(range(30)), work, ahead=threads + 1, threads=threads)) == list(range(30))
    assert len(names) == threads
    assert wait_until(lambda: prefetching() == [])


@pytest.mark.parametrize("ahead", [1, 2, 4])
@pytest.mark.parametrize("threads", [1, 3])
def test_reading_ahead_is_bounded(ahead: int, threads: int) -> None:
    work = Work()
    results = in_order(itertools.count(), work, ahead=ahead, threads=threads)
    for taken in range(1, 8):
        next(results)
        assert wait_until(lambda taken=taken: len(work.begun) == taken + ahead)  # type: ignore[misc]
        time.sleep(0.01)
        assert len(work.begun) == taken + ahead
    results.close()
    assert wait_until(lambda: prefetching() == [])


def test_the_first_job_may_be_alone() -> None:
    alone = threading.Event()
    begun: list[int] = []

    def work(job: int) -> int:
        begun.append(job)
        if job == 0:
            time.sleep(0.05)
            assert begun == [0]
            alone.set()
        assert alone.is_set()
        return job

    assert list(in_order(iter(range(9)), work, ahead=4, threads=3, first_alone=True)) == list(range(9))
    assert wait_until(lambda: prefetching() == [])


def test_nothing_begins_before_the_first_result_is_asked_for() -> None:
    work = Work()
    results = in_order(iter(range(3)), work, ahead=2)
    assert prefetching() == []
    results.close()
    assert work.begun == []


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_place(ahead: int, threads: int) -> None:
    work = Work(fail_at=2)
    results = in_order(itertools.count(), work, ahead=ahead, threads=threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="job 2"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    assert wait_until(lambda: prefetching() == [])


def test_jobs_not_begun_are_forgotten() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def work(job: int) -> None:
        begun.append(job)
        if job:
            go_on.wait(30)

    results = in_order(itertools.count(), work, ahead=8)
    next(results)
    assert wait_until(lambda: len(begun) == 2)
    results.close()
    go_on.set()
    assert wait_until(lambda: prefetching() == [])
    assert begun == [0, 1]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_results_handed_out_are_let_go(ahead: int) -> None:
    class Result:
        alive = 0

        def __init__(self, _: int) -> None:
            Result.alive += 1

        def __del__(self) -> None:
            Result.alive -= 1

    results = in_order(iter(range(10)), Result, ahead=ahead)
    for result in results:
        assert Result.alive <= ahead + 1
        del result
    assert wait_until(lambda: Result.alive == 0)


@pytest.mark.parametrize("ending", ["break", "drop", "close", "exhaust", "error"])
def test_threads_of_a_loader_end_with_their_pass(ending: str) -> None:
    def fetch_transform(window: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.001)
        if ending == "error" and window["row"][0] > 20:
            raise OSError("disk on fire")
        return window

    loader = Loader(ArraySource(np.ones((50, 2))), Streaming(), 4, 3, fetch_transform=fetch_transform)
    batches = iter(loader)
    next(batches)
    assert prefetching()
    if ending == "break":
        for _ in loader:
            break
    if ending == "close":
        batches.close()
        assert list(batches) == []
    elif ending == "exhaust":
        assert len(list(batches)) == 12
    elif ending == "error":
        with pytest.raises(OSError, match="disk on fire"):
            list(batches)
    else:
        del batches
        gc.collect()
    assert wait_until(lambda: prefetching() == [])
    assert loader.epoch == 1 + (ending == "break")


def test_the_interpreter_ends_with_a_pass_under_way() -> None:
    program = """
import time
import numpy as np
from tombola import ArraySource, Loader, Streaming
loader = Loader(ArraySource(np.ones((1000, 2))), Streaming(), 4, 2, prefetch=4)
batches = iter(loader)
print(next(batches)["row"].tolist())
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (result.stdout, result.stderr) == ("[0, 1, 2, 3]\n", "")
