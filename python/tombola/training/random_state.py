"""The states of all global generators (Python, NumPy, torch, CUDA), as tensors and numbers.

Rule: what `torch.load(weights_only=True)` takes. `capture` copies, `restore` sets; O(1), some 8 kB a state,
and some 100 µs each. `Generators` are put in place and taken out again in a fifth of that: NumPy's generator
is exchanged as an object, not copied, by which it forgets the second of a pair of normal numbers. So what
comes of them depends on where calls end, and going on must make the same calls.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

__all__ = ["Generators", "RandomState", "capture", "restore", "seed_all"]

RandomState: TypeAlias = dict[str, Any]

_numpy: Any = np.random  # its stubs lack the exchange of generators


def capture(*, cuda: bool = True) -> RandomState:
    """Return the states of the global generators; those of CUDA only where it is in use."""
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 - users' code draws from it
    state: RandomState = {
        "python": [version, torch.tensor(words), gauss],
        "numpy": [torch.from_numpy(numpy_state[1].astype(np.int64)), *numpy_state[2:]],
        "torch": torch.get_rng_state(),
    }
    if cuda and torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore(state: Mapping[str, Any]) -> None:
    """Set the global generators; those of CUDA where the state has them and as many devices are there."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    cuda = state.get("cuda", [])
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)


class Generators:
    """A stream of random numbers of its own, for what draws from the global generators on the CPU.

    It begins where the global generators are when it is made.
    """

    def __init__(self) -> None:
        self._numpy: Any = np.random.MT19937(0)
        state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - users' code draws from it
        self._numpy.state = state
        self._python, self._torch = random.getstate(), torch.get_rng_state()

    def call(self, function: Callable[[], Any]) -> Any:
        """Return what a function gives under these generators, which go on with each call; some 30 µs."""
        python, numpy, own_torch = random.getstate(), _numpy.get_bit_generator(), torch.get_rng_state()
        random.setstate(self._python)
        _numpy.set_bit_generator(self._numpy)
        torch.set_rng_state(self._torch)
        try:
            return function()
        finally:
            self._python, self._torch = random.getstate(), torch.get_rng_state()
            self._numpy = _numpy.get_bit_generator()
            random.setstate(python)
            _numpy.set_bit_generator(numpy)
            torch.set_rng_state(own_torch)


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch on the CPU."""
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
