"""What reports add for rows in groups: how batches mix series, how pure and how padded those of buckets are.

Everything is counted from the batches that a report looks at, but for the rounds of a round robin, which
follow from the sizes of the series. O(rows examined * log), and O(pairs) for series that meet: beyond
`PAIRS` meetings the pairs among some of the series, drawn at random, are counted, which the report says.
"""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.types import IndexArray
from ..plans.plan import Plan
from .padding import can_count_padding, padding_share
from .plan_report import Sample

__all__ = ["bucket_entries", "series_entries"]

PAIRS = 2**22
"""So many meetings of two series are counted at most, but for chance."""


def series_entries(
    plan: Plan,
    sample: Sample,
    *,
    series: npt.NDArray[np.integer[Any]],
    next_series: npt.NDArray[np.integer[Any]],
    counts: IndexArray,
    per_series: int,
    in_rounds: bool,
) -> dict[str, Any]:
    """Return the entries for batches of series.

    Parameters
    ----------
    plan, sample
        What is reported, and the batches looked at.
    series, next_series : ndarray of int
        The series of the sample's rows, and of the rows of the next epoch's batch 0.
    counts : ndarray of int64
        Rows of each series.
    per_series : int
        Rows of a series that a batch should hold at most.
    in_rounds : bool
        Whether rows come in rounds of one a series.
    """
    distinct, numbers = np.unique(series, return_inverse=True)
    width = len(distinct)
    batches = np.repeat(np.arange(len(sample.sizes)), sample.sizes)
    members, times = np.unique(batches * width + numbers, return_counts=True)
    batch, number = np.divmod(members, width)
    per_batch = np.bincount(batch, minlength=len(sample.sizes))
    over = np.unique(batch[times > per_series])
    entries = {
        "series": len(counts),
        "series_per_batch_min": int(per_batch.min()),
        "series_per_batch_mean": float(per_batch.mean()),
        "batches_over_per_series": len(over),
        "series_shared_with_next_epoch": len(
            np.intersect1d(series[: sample.sizes[0]], next_series)  # batch 0 is in every sample
        ),
    }
    if in_rounds:
        entries |= _rounds(plan, counts)
    if sample.complete:
        entries |= _meetings(batch, number, per_batch)
    return entries


def _rounds(plan: Plan, counts: IndexArray) -> dict[str, int]:
    """Return over how many rounds batches stretch: round r has a row of each series longer than r.

    Rounds between two lengths of series that follow on each other are equally long. O(batches * log lengths).
    """
    lengths, times = np.unique(counts, return_counts=True)
    in_round = len(counts) - np.cumsum(times) + times  # in the rounds up to each length
    begun = np.append(0, lengths[:-1])
    ends = np.cumsum((lengths - begun) * in_round)
    starts = np.append(0, ends[:-1])

    def round_of(positions: IndexArray) -> IndexArray:
        at = np.searchsorted(ends, positions, side="right")
        found: IndexArray = begun[at] + (positions - starts[at]) // in_round[at]
        return found

    firsts = np.arange(len(plan), dtype=np.int64) * plan.batch_size
    lasts = np.minimum(firsts + plan.batch_size, plan.n_rows) - 1
    rounds = round_of(lasts) - round_of(firsts) + 1
    return {"rounds_per_batch_max": int(rounds.max()), "batches_over_rounds": int((rounds > 1).sum())}


def _meetings(batch: IndexArray, number: IndexArray, per_batch: IndexArray) -> dict[str, Any]:
    """Return the shares of pairs that meet in two batches or more, among those that meet and among all.

    Parameters
    ----------
    batch, number : ndarray of int64
        The distinct series of each batch, in order of batch, then of number, which counts from 0.
    per_batch : ndarray of int64
        How many there are.
    """
    meetings = int((per_batch * (per_batch - 1) // 2).sum())
    width = int(number.max()) + 1
    sampled, n_series = meetings > PAIRS, width
    if sampled:
        n_series = max(2, int(width * sqrt(PAIRS / meetings)))
        chosen = np.zeros(width, dtype=np.bool_)
        chosen[_core.permutation(width, 0)[:n_series]] = True
        kept = chosen[number]
        batch, number = batch[kept], number[kept]
    ends = np.searchsorted(batch, batch, side="right")
    at = np.arange(len(batch))
    pairs = []
    step = 1
    while len(at := at[at + step < ends[at]]):
        pairs.append(number[at] * width + number[at + step])
        step += 1
    if not pairs:
        return {}
    times = np.unique(np.concatenate(pairs), return_counts=True)[1]
    again = int(np.count_nonzero(times > 1))
    return {
        "series_pairs_counted": len(times),
        "series_pairs_sampled": sampled,
        "series_pairs_meeting_again": again / len(times),
        "series_pairs_meeting_again_of_all": again / (n_series * (n_series - 1) // 2),
    }


def bucket_entries(
    sample: Sample, *, buckets: npt.NDArray[np.integer[Any]], n_buckets: int, lengths: IndexArray | None
) -> dict[str, Any]:
    """Return the entries for batches of buckets.

    Parameters
    ----------
    sample : Sample
        The batches looked at.
    buckets : ndarray of int
        The bucket of each of their rows.
    n_buckets : int
        Number of buckets that have rows.
    lengths : ndarray of int64 or None
        The length of each of their rows, if keys are lengths. Where these are so large that their padding
        cannot be counted in 64 bits, as of times, nothing is said of it.
    """
    starts = np.cumsum(sample.sizes) - sample.sizes
    pure = np.maximum.reduceat(buckets, starts) == np.minimum.reduceat(buckets, starts)
    entries = {"buckets": n_buckets, "bucket_purity": float(pure.mean())}
    if lengths is None or not can_count_padding(lengths):
        return entries
    shuffled = lengths[_core.permutation(len(lengths), 0)]
    return {
        **entries,
        "padding_share": padding_share(lengths, sample.sizes),
        "padding_share_of_random_batches": padding_share(shuffled, sample.sizes),
    }
