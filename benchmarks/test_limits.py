"""What memory allows, measured beside the engines: no shuffle is quicker than writing its result once."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.conftest import Measure
from benchmarks.figures import Work

BLOCK = 16
LIMITS = {
    "write": Work("limit: write int64 to touched memory"),
    "copy": Work("limit: copy int64"),
    "touch": Work("limit: write int64 to new memory, pages touched first"),
    "gather": Work("limit: gather blocks of 16 int64 in random order"),
}


@pytest.mark.parametrize("kind", list(LIMITS))
def test_memory(kind: str, size: int, measure: Measure) -> None:
    size -= size % BLOCK
    source: npt.NDArray[np.int64] = np.arange(size)
    target = np.zeros_like(source)
    order = np.random.default_rng(1).permutation(size // BLOCK)
    blocks = source.reshape(-1, BLOCK)

    def run() -> npt.NDArray[np.int64]:
        match kind:
            case "write":
                target.fill(7)
            case "copy":
                np.copyto(target, source)
            case "touch":
                return np.full(size, 7)
            case "gather":
                np.take(blocks, order, axis=0, out=target.reshape(-1, BLOCK), mode="clip")
        return target

    answer = {"write": np.int64(7), "copy": source[-1], "touch": np.int64(7), "gather": blocks[order[-1], -1]}
    assert run()[-1] == answer[kind]
    measure(LIMITS[kind], "NumPy", run, n=size)
