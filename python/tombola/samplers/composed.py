"""Batch samplers of composed batches in call shapes that users know: P x K, and blends of data sets.

Each is `PlanBatchSampler` over one strategy; batches, ranks, epochs and resume are those of the former. They
take the place of samplers that repeat and skip rows at random: here an epoch has each row once, or as often
as its share says.
"""

from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from .._base.checks import check_integer
from ..labels.numbering import Missing
from ..passes.schedule import Even
from ..strategies.mixture import Mixture
from ..strategies.per_class import FewRows, PerClass
from .batch_sampler import PlanBatchSampler
from .injection import refuse_sampler

__all__ = ["BlendedBatchSampler", "MPerClassBatchSampler"]


class MPerClassBatchSampler(PlanBatchSampler):
    """Batches of ``m`` different rows of each of ``batch_size / m`` classes, for metric learning.

    Goes where torch's DataLoader takes a ``batch_sampler``, in place of a ``sampler`` that gives rows one by
    one: ``DataLoader(data, batch_sampler=MPerClassBatchSampler(labels, 4, 32))``.

    Parameters
    ----------
    labels : array-like, shape (n,)
        The class of each row.
    m : int
        Rows of each class in a batch.
    batch_size : int
        Rows a batch, a multiple of m.
    few, missing : keyword-only
        As in `PerClass`.
    seed, rank, world_size, even, as_array, sampler : keyword-only
        As in `PlanBatchSampler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, or does not fit the labels, as in `PerClass`.

    Notes
    -----
    An epoch has as many batches as the rows fill, each row at most once; its length need not be given.

    Examples
    --------
    >>> from tombola import MPerClassBatchSampler
    >>> labels = [0, 0, 1, 1, 2, 2, 3, 3]
    >>> [sorted(labels[row] for row in batch) for batch in MPerClassBatchSampler(labels, 2, 8)]
    [[0, 0, 1, 1, 2, 2, 3, 3]]
    """

    def __init__(
        self,
        labels: Any,
        m: int,
        batch_size: int,
        *,
        few: FewRows = "error",
        missing: Missing = "error",
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        as_array: bool = False,
        sampler: Sampler[Any] | None = None,
    ) -> None:
        refuse_sampler("labels", labels)
        super().__init__(
            PerClass(labels, rows_per_class=m, few=few, missing=missing),
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            even=even,
            as_array=as_array,
            sampler=sampler,
        )


class BlendedBatchSampler(PlanBatchSampler):
    """Batches of several data sets by weight, as models are trained on blends of corpora.

    Goes where torch's DataLoader takes a ``batch_sampler``, with ``ConcatDataset(datasets)``.

    Parameters
    ----------
    datasets : sequence of data sets, or of int
        In the order of the ConcatDataset; or how many rows each has.
    weights : sequence of float
        Of each data set, above 0; they are divided by their sum.
    batch_size : int
        Rows a batch.
    size : int, optional
        Rows of an epoch, rounded up to whole batches; left out, an epoch ends when each data set has come
        once.
    seed, rank, world_size, even, as_array, sampler : keyword-only
        As in `PlanBatchSampler`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of range, or there is not one weight for each data set.

    Notes
    -----
    After any number of batches each data set has had its share to within a row. A data set goes through all
    of its rows before one comes again, over epochs too.

    Examples
    --------
    >>> from tombola import BlendedBatchSampler
    >>> sampler = BlendedBatchSampler([100, 20], [3, 1], 8, size=40)
    >>> [sum(row < 100 for row in batch) for batch in sampler]
    [6, 6, 6, 6, 6]
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        weights: Sequence[float] | npt.NDArray[np.floating[Any]],
        batch_size: int,
        size: int | None = None,
        *,
        seed: int = 0,
        rank: SupportsIndex | None = None,
        world_size: SupportsIndex | None = None,
        even: Even = "drop",
        as_array: bool = False,
        sampler: Sampler[Any] | None = None,
    ) -> None:
        refuse_sampler("datasets", datasets)
        super().__init__(
            Mixture(_numbers(datasets), _shares(weights, len(datasets)), total_size=size),
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            even=even,
            as_array=as_array,
            sampler=sampler,
        )


def _numbers(datasets: Sequence[Any]) -> npt.NDArray[np.integer[Any]]:
    """Return the number of the data set of each row."""
    sizes = []
    for i, one in enumerate(datasets):
        is_size = isinstance(one, int | np.integer) and not isinstance(one, bool)
        sizes.append(check_integer(f"datasets[{i}]", one if is_size else len(one), minimum=1))
    dtype = np.int8 if len(sizes) <= 2**7 else np.int32
    return np.repeat(np.arange(len(sizes), dtype=dtype), sizes)


def _shares(weights: Any, n_datasets: int) -> dict[int, float]:
    values = [float(weight) for weight in weights]
    if len(values) != n_datasets:
        msg = f"weights must be one for each of {n_datasets} data sets, but are {len(values)}"
        raise ValueError(msg)
    total = sum(values)
    if not total > 0 or not min(values) > 0 or total == float("inf"):
        msg = f"weights must be above 0 and finite, but are {values}"
        raise ValueError(msg)
    return {i: value / total for i, value in enumerate(values)}
