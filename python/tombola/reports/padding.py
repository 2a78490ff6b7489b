"""How much of batches is padding, beside random batches of the same sizes.

A batch is as long as its longest row: it takes ``rows * longest``, of which the sum of the lengths is real.
Rows of several parts that are padded each for itself, such as stages, count part by part. Everything is
counted in 64-bit integers, exactly, or refused. O(rows).
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import INDEX_LIMIT, check_integer, index_array, refuse_masked
from .._base.report import Report
from .._base.types import IndexArray
from ..plans.plan import Plan
from .plan_report import read_sample

__all__ = ["PaddingReport", "can_count_padding", "padding_report", "padding_share"]


class PaddingReport(Report):
    """How much is padding.

    Keys: ``rows``, ``batches``, ``sampled``, ``length`` (of all rows together); and of random batches
    (``..._before``) and of these (``..._after``): ``padded_length``, ``padding_share`` (of the padded length)
    and ``largest_padding_share`` (in one batch).
    """

    def _lines(self) -> list[str]:
        lines = [f"{'':23}{'random batches':>16}{'these batches':>16}"]
        for name, form in (
            ("padded_length", ",d"),
            ("padding_share", ".2%"),
            ("largest_padding_share", ".2%"),
        ):
            before, after = (format(self[f"{name}_{when}"], form) for when in ("before", "after"))
            lines.append(f"{name.replace('_', ' '):<23}{before:>16}{after:>16}")
        sample = "a sample: " if self["sampled"] else ""
        figures = f"{self['rows']:,} rows in {self['batches']:,} batches, {self['length']:,} long in all"
        return [*lines, f"({sample}{figures})"]


def padding_report(
    lengths: npt.ArrayLike,
    batches: Plan | Iterable[npt.ArrayLike],
    *,
    max_rows: int = 10**7,
    seed: int = 0,
) -> PaddingReport:
    """Return how much of batches is padding, after what made them and before: in random batches.

    Parameters
    ----------
    lengths : array-like of int, shape (n,) or (n, parts)
        Length of each row of the whole, >= 0; with several columns those of parts that are padded each for
        itself, 0 where a row lacks one.
    batches : Plan, or iterable of array-likes of int
        What is judged: a plan, or the rows of each batch. Give a sampler as the list of its batches, or
        rather its strategy's plan: iterating a sampler is a pass, and moves it on to the next epoch.
    max_rows : int
        Of longer plans about so many rows are looked at, evenly spread; the report says so.
    seed : int
        In ``[0, 2**63)``; picks the random batches, which hold the same rows and are of the same sizes.

    Returns
    -------
    PaddingReport
        A dict that prints as a table.

    Raises
    ------
    TypeError
        If lengths or rows are no integers.
    ValueError
        If a length is negative or masked (the first one is named), there is neither one nor two axes, or all
        rows padded to the longest come to 2**63 or more.
    IndexError
        If a batch holds a row without a length.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> lengths = np.arange(1000) % 50
    >>> plan = tombola.Bucketed(lengths, n_buckets=5).plan(batch_size=10)
    >>> report = tombola.padding_report(lengths, plan)
    >>> report["rows"], report["padding_share_after"] < 0.2 < 0.4 < report["padding_share_before"]
    (1000, True)
    """
    checked = _length_array(lengths)
    rows, sizes, sampled = _rows(batches, check_integer("max_rows", max_rows, minimum=1))
    outside = (rows < 0) | (rows >= len(checked))
    if outside.any():
        row = int(rows[np.argmax(outside)])
        msg = f"the rows of batches must lie in [0, {len(checked)}), the rows of lengths, but one is {row}"
        raise IndexError(msg)
    chosen = checked[rows]
    order = _core.permutation(len(rows), check_integer("seed", seed))
    if not can_count_padding(chosen):
        longest = int(chosen.max())
        came = f"{len(rows):,} rows of batches are up to {longest:,} long"
        msg = f"lengths must be such that all rows, padded to the longest, stay below 2**63, but {came}"
        raise ValueError(msg)
    report = PaddingReport(rows=len(rows), batches=len(sizes), sampled=sampled, length=int(chosen.sum()))
    figures = {"before": _figures(chosen[order], sizes), "after": _figures(chosen, sizes)}
    for name in figures["after"]:
        report.update({f"{name}_{when}": figures[when][name] for when in ("before", "after")})
    return report


def can_count_padding(lengths: IndexArray) -> bool:
    """Tell whether these rows, all padded to the longest, stay below 2**63, and so do any batches of them."""
    return sum(map(int, _parts(lengths).max(axis=0, initial=0))) * len(lengths) < INDEX_LIMIT


def padding_share(lengths: IndexArray, sizes: IndexArray) -> float:
    """Return which share of batches is padding; 0 where nothing has a length.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n,) or (n, parts)
        Lengths of the rows, one batch after the other, of which `can_count_padding` is true.
    sizes : ndarray of int64
        Rows of each batch, >= 1; their sum is n.
    """
    share: float = _figures(lengths, sizes)["padding_share"]
    return share


def _figures(lengths: IndexArray, sizes: IndexArray) -> dict[str, Any]:
    """Return the padded length, its share of padding, and the largest such share of a batch."""
    starts = np.cumsum(sizes) - sizes
    parts = _parts(lengths)
    real = np.add.reduceat(parts, starts, axis=0).sum(axis=1)
    padded = np.maximum.reduceat(parts, starts, axis=0).sum(axis=1) * sizes
    total = int(padded.sum())
    return {
        "padded_length": total,
        "padding_share": 1 - int(real.sum()) / total if total else 0.0,
        "largest_padding_share": float((1 - real / np.maximum(padded, 1))[padded > 0].max(initial=0.0)),
    }


def _parts(lengths: IndexArray) -> IndexArray:
    return lengths if lengths.ndim == 2 else lengths[:, np.newaxis]


def _length_array(lengths: npt.ArrayLike) -> IndexArray:
    refuse_masked("lengths", lengths)
    array: npt.NDArray[np.generic] = np.asarray(lengths)
    if array.ndim != 2:
        checked = index_array("lengths", lengths)
    else:
        checked = index_array("lengths", array.reshape(-1)).reshape(array.shape)
    if checked.size and int(checked.min()) < 0:
        row = int(np.argmax((checked < 0).reshape(len(checked), -1).any(axis=1)))
        msg = f"lengths must be >= 0, but lengths[{row}] is {checked[row].tolist()}"
        raise ValueError(msg)
    return checked


def _rows(batches: Plan | Iterable[npt.ArrayLike], max_rows: int) -> tuple[IndexArray, IndexArray, bool]:
    """Return the rows of batches, the sizes of those that are not empty, and whether they are a sample."""
    if isinstance(batches, Plan):
        sample = read_sample(batches, max_rows)
        return sample.rows, sample.sizes, not sample.complete
    arrays = (index_array(f"batch {k}", batch) for k, batch in enumerate(batches))
    parts = [array for array in arrays if len(array)]
    rows = np.concatenate(list(chain(parts, [np.empty(0, dtype=np.int64)])))
    return rows, np.array([len(part) for part in parts], dtype=np.int64), False
