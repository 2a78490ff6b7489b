"""What memory allows, by NumPy: an order must be written, and a row number must come from where it lies."""

import numpy as np

from benchmarks.report.tasks import Call, Task, counted

WINDOW = 64 * 256
TAKEN = 2**20


def write(call: Call) -> Task:
    """Write int64 into a fetch window, which stays in a cache."""
    window = np.zeros(WINDOW, dtype=np.int64)
    times = max(1, min(call.n, 2**24) // WINDOW)

    def run() -> int:
        for number in range(times):
            window.fill(number)
        return times * WINDOW

    run()
    assert int(window[-1]) == times - 1
    return Task(run)


def copy(call: Call) -> Task:
    """Copy int64 from memory to memory."""
    source = np.arange(call.n)
    target = np.zeros_like(source)
    np.copyto(target, source)
    assert int(target[-1]) == call.n - 1
    return Task(counted(lambda: np.copyto(target, source), call.n))


def gather(call: Call) -> Task:
    """Read single 4-byte numbers wherever they lie."""
    source = np.arange(call.n, dtype=np.int32)
    generator = np.random.default_rng(7)
    places = [generator.integers(0, call.n, 2**14) for _ in range(TAKEN // 2**14)]
    out = np.empty(2**14, dtype=np.int32)

    def run() -> int:
        for place in places:
            source.take(place, out=out, mode="clip")
        return TAKEN

    run()
    assert np.array_equal(out, places[-1])
    return Task(run)
