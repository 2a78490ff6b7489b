"""Batches of pairs under torch's DataLoader, with tombola's series sampler or at random, and what is in them.

The sampler is the only difference between the two: `BalancedSeriesBatchSampler` gives each batch pairs of
different series, ``shuffle=True`` any pairs. Both give every pair once an epoch.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from tombola import BalancedSeriesBatchSampler
from tombola.strategies.series import SeriesSchedule

from .data import PairData

__all__ = ["Batch", "BatchWatch", "PairDataset", "make_loader"]

_logger = logging.getLogger("ranker.batches")

Batch = dict[str, torch.Tensor]


class PairDataset(Dataset[Batch]):
    """Pairs as dicts of the winner's features, the loser's, the pair's row and its series.

    Parameters
    ----------
    data : PairData
    rows : ndarray of int64
        Pairs to take out of `data`.
    """

    def __init__(self, data: PairData, rows: npt.NDArray[np.int64]) -> None:
        self.features = torch.from_numpy(data.features)
        self.winner = torch.from_numpy(data.winner[rows])
        self.loser = torch.from_numpy(data.loser[rows])
        self.series = torch.from_numpy(data.series[rows])
        self.row = torch.from_numpy(rows)

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, index: int) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([index]).items()}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a whole batch at once; DataLoader asks for this where it is offered."""
        chosen = torch.as_tensor(indices)
        return {
            "winner": self.features[self.winner[chosen]],
            "loser": self.features[self.loser[chosen]],
            "row": self.row[chosen],
            "series": self.series[chosen],
        }


def make_loader(
    dataset: PairDataset,
    batch_size: int,
    *,
    use_series_sampler: bool,
    schedule: SeriesSchedule = "balanced",
    seed: int,
    num_workers: int = 0,
) -> DataLoader[Batch]:
    """Return the loader of training batches; every pass over it is a new epoch."""
    persistent = num_workers > 0
    if use_series_sampler:
        _logger.info("Using series-aware batch sampler")
        sampler = BalancedSeriesBatchSampler(dataset.series.numpy(), batch_size, schedule=schedule, seed=seed)
        return DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=num_workers,
            persistent_workers=persistent,
            collate_fn=_as_it_is,
        )
    _logger.info("Using random batches")
    return DataLoader(
        dataset,
        batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
        num_workers=num_workers,
        persistent_workers=persistent,
        collate_fn=_as_it_is,
    )


def _as_it_is(batch: Any) -> Batch:
    """Collate nothing: `PairDataset` gives whole batches."""
    whole: Batch = batch
    return whole


@dataclass
class BatchWatch:
    """Counts distinct series in each batch, and those of a first batch that return in the next epoch's.

    Parameters
    ----------
    batch_size : int
        What a full batch holds; the log says "k/64 unique series" where it holds 64.
    """

    batch_size: int
    sizes: list[int] = field(default_factory=list)
    distinct: list[int] = field(default_factory=list)
    overlap: int | None = None
    """Series of batch 0 that were in the epoch before's batch 0, too; None in the first epoch."""

    _first: frozenset[int] | None = None
    _epoch: int = -1

    def begin_epoch(self) -> None:
        """Forget the batches, but not the first one."""
        self._epoch += 1
        self.sizes, self.distinct = [], []

    def see(self, batch: Batch) -> None:
        """Count a batch, and log it."""
        size, distinct = len(batch["series"]), len(torch.unique(batch["series"]))
        if not self.sizes:
            first = frozenset(batch["series"].tolist())
            self.overlap = None if self._first is None else len(first & self._first)
            self._first = first
            if self.overlap is not None:
                text = "epoch %d: batch 0 shares %d/%d series with the epoch before's"
                _logger.debug(text, self._epoch, self.overlap, distinct)
        _logger.debug("epoch %d, batch %d: %d/%d unique series", self._epoch, len(self.sizes), distinct, size)
        self.sizes.append(size)
        self.distinct.append(distinct)

    @property
    def repeats(self) -> int:
        """Pairs of the epoch whose series was in their batch already."""
        return sum(self.sizes) - sum(self.distinct)
