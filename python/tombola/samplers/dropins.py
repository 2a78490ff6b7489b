"""Batch samplers in the call shapes that users' own code has: by series, and by bucket.

Each is `PlanBatchSampler` over one strategy; batches, ranks, epochs and resume are those of the former.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
from torch.utils.data import Sampler

from ..labels.numbering import Missing
from ..passes.schedule import Even
from ..strategies.bucketed import Bucketed
from ..strategies.keyed import KeyedStrategy
from ..strategies.series import SeriesRoundRobin, SeriesSchedule
from .batch_sampler import PlanBatchSampler
from .injection import refuse_sampler

__all__ = ["BalancedSeriesBatchSampler", "BucketSampler"]

_logger = logging.getLogger("tombola.samplers.dropins")

DEPTH = "compression_depth"


class BalancedSeriesBatchSampler(PlanBatchSampler):
    """Batches of rows, such as pairs of photos, of different series; other ones each epoch.

    Goes where torch's DataLoader takes a ``batch_sampler``, and logs once what it found. Every pass moves on
    to the next epoch.

    Parameters
    ----------
    series_ids : array-like, shape (n,)
        The series of each row: a list, an array, a pandas column; integers or anything that hashes.
    batch_size : int
        Rows a batch.
    drop_last : bool
        Whether all batches are full; what rows are left out differs from epoch to epoch.
    shuffle : bool
        False: series in order of first appearance and their rows in order, every epoch alike.
    schedule, per_series, missing : keyword-only
        As in `SeriesRoundRobin`.
    seed, rank, world_size, even, as_array, sampler : keyword-only
        As in `PlanBatchSampler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, or an id is missing (the first row is named) where
        ``missing`` is "error".

    Notes
    -----
    Works with any ``num_workers``, forked or spawned, persistent or not: DataLoader keeps its batch sampler
    in the parent process and sends row numbers to the workers, so that epochs advance in one place.

    Examples
    --------
    >>> from tombola import BalancedSeriesBatchSampler
    >>> series = ["sea", "sea", "sea", "wood", "wood", "hill"]
    >>> sampler = BalancedSeriesBatchSampler(series, 2)
    >>> [len({series[row] for row in batch}) for batch in sampler]
    [2, 2, 2]
    """

    def __init__(
        self,
        series_ids: Any,
        batch_size: int,
        drop_last: bool = False,
        shuffle: bool = True,
        *,
        schedule: SeriesSchedule = "balanced",
        per_series: int = 1,
        missing: Missing = "error",
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        as_array: bool = False,
        sampler: Sampler[Any] | None = None,
    ) -> None:
        refuse_sampler("series_ids", series_ids)
        strategy = SeriesRoundRobin(
            series_ids, schedule=schedule, per_series=per_series, shuffle=shuffle, missing=missing
        )
        super().__init__(
            strategy,
            batch_size=batch_size,
            drop_last=drop_last,
            seed=seed,
            rank=rank,
            world_size=world_size,
            even=even,
            as_array=as_array,
            sampler=sampler,
        )
        _logger.info(
            "BalancedSeriesBatchSampler: %s pairs, %s unique series, batch size %d, shuffle %s, %s",
            f"{strategy._count(None):,}",
            f"{strategy._groups().n_groups:,}",
            batch_size,
            "on" if shuffle else "off",
            f"{len(self):,} batches{_sizes(strategy, batch_size, drop_last)}",
        )

    @property
    def series_to_indices(self) -> dict[Any, list[int]]:
        """The rows of each series, ascending; series in order of first appearance. Made anew, O(n)."""
        return _lists(self.strategy)

    @property
    def unique_series(self) -> list[Any]:
        """The series, in order of first appearance. Made anew, O(n)."""
        return list(self.series_to_indices)


class BucketSampler(PlanBatchSampler):
    """Batches of rows of one bucket, such as histories of one compression depth, in an order new each epoch.

    Goes where torch's DataLoader takes a ``batch_sampler``. Every pass moves on to the next epoch.

    Parameters
    ----------
    dataset_or_keys : dataset, or array-like, shape (n,)
        A dataset whose ``samples[i]["compression_depth"]`` is the bucket of row i, or the bucket of each row:
        an array, a pandas column, a list or another sequence without ``samples``; integers or anything that
        hashes.
    batch_size : int
        Rows a batch; the last one of each bucket may be shorter.
    shuffle : bool
        False: buckets in ascending order of key, as `Bucketed` has it, their rows in order, every epoch
        alike.
    drop_last : bool
        Whether batches that are not full, one a bucket, are left out.
    boundaries, n_buckets, max_tokens : keyword-only
        As in `Bucketed`, where keys are lengths.
    missing : keyword-only
        As in `Bucketed`.
    seed, rank, world_size, even, as_array, sampler : keyword-only
        As in `PlanBatchSampler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, a key is missing, or the dataset has no ``samples``
        or one of them no ``"compression_depth"`` (the first row is named).

    Notes
    -----
    Works with any ``num_workers``, forked or spawned, persistent or not: DataLoader keeps its batch sampler
    in the parent process and sends row numbers to the workers, so that epochs advance in one place.

    Examples
    --------
    >>> from tombola import BucketSampler
    >>> depths = [0, 2, 0, 1, 2, 0]
    >>> sorted(sorted(depths[row] for row in batch) for batch in BucketSampler(depths, 2))
    [[0], [0, 0], [1], [2, 2]]
    """

    def __init__(
        self,
        dataset_or_keys: Any,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        *,
        boundaries: Any = None,
        n_buckets: int | None = None,
        max_tokens: int | None = None,
        missing: Missing = "error",
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        as_array: bool = False,
        sampler: Sampler[Any] | None = None,
    ) -> None:
        refuse_sampler("dataset_or_keys", dataset_or_keys)
        keys = dataset_or_keys if _is_column(dataset_or_keys) else _depths(dataset_or_keys)
        strategy = Bucketed(
            keys,
            boundaries=boundaries,
            n_buckets=n_buckets,
            max_tokens=max_tokens,
            shuffle=shuffle,
            missing=missing,
        )
        super().__init__(
            strategy,
            batch_size=batch_size,
            drop_last=drop_last,
            seed=seed,
            rank=rank,
            world_size=world_size,
            even=even,
            as_array=as_array,
            sampler=sampler,
        )

    @property
    def buckets(self) -> dict[Any, list[int]]:
        """The rows of each bucket, ascending, by key, or number where keys are lengths. Made anew, O(n)."""
        return _lists(self.strategy)


def _sizes(strategy: SeriesRoundRobin, batch_size: int, drop_last: bool) -> str:
    """Say how many rows batches hold, where that is not `batch_size` in all but the last."""
    if not strategy.sizes_vary(drop_last=drop_last):
        return ""
    least, more = divmod(strategy._count(None), len(strategy.plan(batch_size=batch_size)))
    return f" of {least} or {least + 1}" if more else f" of {least}" if least < batch_size else ""


def _lists(strategy: Any) -> dict[Any, list[int]]:
    keyed: KeyedStrategy = strategy
    return {name: rows.tolist() for name, rows in keyed._rows_by_group().items()}


def _is_column(value: object) -> bool:
    """Tell keys from a dataset."""
    if isinstance(value, list | tuple | range | np.ndarray):
        return True
    if hasattr(value, "__array__") or (hasattr(value, "categories") and hasattr(value, "codes")):
        return True
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return is_sequence and not hasattr(value, "samples")


def _depths(dataset: Any) -> list[Any]:
    """Return the compression depth of each sample of a dataset."""
    kind = type(dataset).__name__
    if not hasattr(dataset, "samples"):
        msg = (
            f'dataset_or_keys must be keys, one a row, or a dataset with samples[i]["{DEPTH}"], '
            f"but {kind} has no samples"
        )
        raise TypeError(msg)
    samples = dataset.samples
    if hasattr(dataset, "__len__") and len(dataset) != len(samples):
        msg = f"samples must be as long as the dataset, {len(dataset)}, but the length is {len(samples)}"
        raise ValueError(msg)
    return [_depth(samples[row], row) for row in range(len(samples))]


def _depth(sample: Any, row: int) -> Any:
    try:
        depth = sample[DEPTH]
    except (KeyError, IndexError, TypeError):
        came = f"is {sample!r}"
        if isinstance(sample, Mapping):
            came = f"has the keys {', '.join(map(repr, sample))}" if sample else "has no keys"
        msg = f'samples[{row}]["{DEPTH}"] must be there, but samples[{row}] {came}'
        raise ValueError(msg) from None
    return depth.item() if hasattr(depth, "item") else depth
