"""Fifty rows in batches of four, as samplers, loaders and their plan give them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tombola import ArraySource, BlockShuffling, Loader, PlanBatchSampler

__all__ = [
    "DATA",
    "N_ROWS",
    "STRATEGY",
    "as_json",
    "counted",
    "lazily",
    "make_loader",
    "make_sampler",
    "place",
    "planned",
    "rows",
]

N_ROWS = 50
STRATEGY = BlockShuffling(block_size=4)
DATA: Any = range(N_ROWS)
"""Row i is i."""


def make_sampler(**options: Any) -> PlanBatchSampler:
    return PlanBatchSampler(STRATEGY, N_ROWS, batch_size=4, fetch_factor=3, **options)


def make_loader(**options: Any) -> Loader:
    values: npt.NDArray[np.float32] = np.arange(N_ROWS * 3, dtype=np.float32).reshape(N_ROWS, 3)
    return Loader(ArraySource(values), STRATEGY, batch_size=4, fetch_factor=3, **options)


def planned(epoch: int) -> list[list[int]]:
    """All batches of an epoch, asked of the plan one by one."""
    plan = STRATEGY.plan(N_ROWS, batch_size=4, fetch_factor=3, epoch=epoch)
    return [plan[k].tolist() for k in range(len(plan))]


def lazily(batches: Iterable[Any]) -> Iterator[list[int]]:
    """The rows of each batch, as they are asked for."""
    for batch in batches:
        yield (batch["row"] if isinstance(batch, dict) else batch).tolist()


def rows(batches: Iterable[Any]) -> list[list[int]]:
    return list(lazily(batches))


def counted(batches: list[list[int]]) -> Counter[tuple[int, ...]]:
    return Counter(map(tuple, batches))


def as_json(state: dict[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(state))
    return loaded


def place(owner: Any) -> tuple[int, int]:
    """Epoch and batches of it that are consumed, by the state of a DataLoader, sampler or loader."""
    position = as_json(owner.state_dict()["position"])
    batches = sum(span[1] * span[2] + span[3] if len(span) == 4 else span[1] for span in position["spans"])
    return position["epoch"], batches
