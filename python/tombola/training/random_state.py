"""The states of all global generators (Python, NumPy, torch, CUDA), as tensors and numbers.

Rule: what `torch.load(weights_only=True)` takes. `capture` copies, `restore` sets; O(1), some 8 kB a state.
"""

import random
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

__all__ = ["RandomState", "capture", "restore", "seed_all"]

RandomState: TypeAlias = dict[str, Any]


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


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch on the CPU."""
    random.seed(seed)
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
