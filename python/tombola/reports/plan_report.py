"""What a user checks first about a plan: a dict in code, a table on the terminal.

Everything is counted from the plan's own batches: all of them up to ``max_rows`` rows, else whole fetch
windows spread evenly over the epoch, first and last included. O(max_rows log max_rows), and O(n) where labels
are there. Strategies say what they choose among (`Choice`) and add lines of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.report import Report
from .._base.types import CodeArray, IndexArray
from ..labels.classes import Classes
from ..plans.plan import Plan

__all__ = ["Choice", "PlanReport", "Sample", "codes_of", "count_deviation", "make_report", "read_sample"]

_READ_ROWS = 2**16
_CHUNK = 2**20
_SHOWN_CLASSES = 10
_LISTED_CLASSES = 1000


class PlanReport(Report):
    """What is counted of a plan.

    Keys: ``strategy``, ``seed``, ``epoch``, ``rows``, ``batches``, ``batch_sizes`` (batches of each size),
    ``fetch_window`` (rows), ``rows_examined``, ``sampled``; of the rows examined ``distinct_rows``,
    ``most_repeats`` of one row, ``runs_per_window`` (runs of consecutive rows in a fetch window once sorted:
    what reading costs) and ``rows_per_run``; ``rows_shared_with_next_epoch`` (by batch 0 and the next epoch's
    batch 0); for weighted draws ``largest_count_deviation`` (of a row, drawn against expected times); and
    with labels ``classes``: a dict of ``n_classes``, classes and entropy in bits of a batch, and shares drawn
    and expected, by name; where labels are missing ``missing``, the share drawn of rows without one, which
    are no class. Entries that cannot be told are left out.

    For series: ``series``, ``series_per_batch_min`` and ``..._mean`` (different ones),
    ``batches_over_per_series`` (that hold more rows of a series than ``per_series``),
    ``series_shared_with_next_epoch`` (by the two batches 0); in a round robin ``rounds_per_batch_max`` and
    ``batches_over_rounds`` (that stretch over two or more). Of the pairs of series that meet in a batch of
    the epoch, or of those among some series where there are too many: ``series_pairs_counted``,
    ``series_pairs_sampled``, ``series_pairs_meeting_again`` (the share that meets in two batches or more) and
    ``..._of_all`` (as a share of all pairs, whether they meet or not).
    For buckets: ``buckets``, ``bucket_purity`` (share of batches with rows of one bucket) and, of keys that
    are lengths, ``padding_share`` and ``padding_share_of_random_batches`` (same rows, same sizes).
    """

    def _lines(self) -> list[str]:
        return _table(self)


@dataclass(frozen=True, eq=False)
class Sample:
    """The batches that a report looks at.

    Parameters
    ----------
    rows : ndarray of int64
        Their rows, one batch after the other.
    sizes : ndarray of int64
        Rows of each batch.
    windows : ndarray of int64
        The fetch window of each batch, counted from 0 among those looked at.
    whole_windows : bool
        Whether each of these windows is there as a whole.
    complete : bool
        Whether these are all batches.
    next_batch : ndarray of int64
        Rows of the next epoch's batch 0, where there is one.
    """

    rows: IndexArray
    sizes: IndexArray
    windows: IndexArray
    whole_windows: bool
    complete: bool
    next_batch: IndexArray


@dataclass(frozen=True, eq=False)
class Choice:
    """What a plan chooses among, as its strategy says it.

    Parameters
    ----------
    elements : int
        Rows chosen among.
    indices : ndarray of int64 or None
        Which these are; None for all rows of the whole.
    weights : callable
        ``weights(start, stop)`` gives weights in proportion to how often elements [start, stop) are expected,
        or None where that is not known.
    """

    elements: int
    indices: IndexArray | None
    weights: Callable[[int, int], npt.NDArray[np.floating[Any]] | None]

    def positions(self, rows: IndexArray) -> IndexArray:
        """Return which elements rows are."""
        return rows if self.indices is None else np.searchsorted(self.indices, rows).astype(np.int64)


def make_report(
    plan: Plan, sample: Sample, choice: Choice, *, classes: Classes | None, entries: Mapping[str, Any]
) -> PlanReport:
    """Return the report of a plan; see `Plan.report`.

    Parameters
    ----------
    plan, sample
        What is reported, and the batches looked at.
    choice : Choice
        What it chooses among.
    classes : Classes or None
        Classes to speak of, of all rows or of those chosen among.
    entries : mapping
        What its kind of strategy adds.
    """
    sizes, batches = np.unique(sample.sizes, return_counts=True)
    report = PlanReport(
        strategy=repr(plan.strategy),
        seed=plan.seed,
        epoch=plan.epoch,
        rows=plan.n_rows,
        batches=len(plan),
        batch_sizes=dict(zip(sizes.tolist(), batches.tolist(), strict=True)),
        fetch_window=plan.batch_size * plan.fetch_factor,
        rows_examined=len(sample.rows),
        sampled=not sample.complete,
    )
    if len(plan):
        report.update(_repeats(sample))
        report.update(_runs(sample))
        report["rows_shared_with_next_epoch"] = len(np.intersect1d(plan[0], sample.next_batch))
        report.update(entries)
    if classes is not None:
        report["classes"] = _class_entries(plan, sample, choice, classes)
    return report


def count_deviation(sample: Sample, choice: Choice) -> dict[str, float]:
    """Return how far the draws of a row are from their expectation, at most; nothing for a mere sample."""
    elements = choice.elements
    weights = choice.weights(0, elements) if sample.complete and elements <= _CHUNK * 16 else None
    if weights is None:
        return {}
    expected = weights * (len(sample.rows) / weights.sum(dtype=np.float64))
    drawn = np.bincount(choice.positions(sample.rows), minlength=elements)
    return {"largest_count_deviation": float(np.abs(drawn - expected).max())}


def read_sample(plan: Plan, max_rows: int) -> Sample:
    """Return all batches of a plan, or of a longer one those of about ``max_rows`` rows, evenly spread."""
    count, factor = len(plan), plan.fetch_factor
    window_rows = plan.batch_size * factor
    complete = plan.n_rows <= max_rows
    length = factor * max(1, _READ_ROWS // window_rows)  # batches read at once: whole windows
    starts = range(0, count, length)
    taken = length
    if not complete:
        reads = max(2, max_rows // (length * plan.batch_size))
        last = len(starts) - 1
        starts_taken = sorted({starts[i * last // (reads - 1)] for i in range(reads)})
        affordable = max(1, max_rows // (2 * plan.batch_size))
        if affordable < length:
            taken = affordable // factor * factor or affordable
    else:
        starts_taken = list(starts)
    rows, sizes, windows = [], [], []
    for start in starts_taken:
        stop = min(start + taken, count)
        part, offsets = plan.batches(start, stop)
        rows.append(part)
        sizes.append(np.diff(offsets))
        windows.append(np.arange(start, stop) // factor)
    numbers = np.concatenate([*windows, np.empty(0, dtype=np.int64)])
    return Sample(
        rows=np.concatenate([*rows, np.empty(0, dtype=np.int64)]),
        sizes=np.concatenate([*sizes, np.empty(0, dtype=np.int64)]),
        windows=np.cumsum(np.diff(numbers, prepend=numbers[:1]) != 0),
        whole_windows=taken % factor == 0,
        complete=complete,
        next_batch=plan.at_epoch((plan.epoch + 1) % 2**63).batches(0, min(count, 1))[0],
    )


def _repeats(sample: Sample) -> dict[str, int]:
    ordered = np.sort(sample.rows)
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    counts = np.diff(starts, append=len(ordered))
    return {"distinct_rows": len(starts), "most_repeats": int(counts.max())}


def _runs(sample: Sample) -> dict[str, float]:
    if not sample.whole_windows:
        return {}
    windows = np.repeat(sample.windows, sample.sizes)
    n_windows, span = int(windows[-1]) + 1, int(sample.rows.max()) + 1
    if n_windows * span < 2**63:
        windows *= span
        windows += sample.rows
        windows.sort()
        windows, rows = np.divmod(windows, span)
    else:
        rows = sample.rows[np.lexsort((sample.rows, windows))]
    steps = np.diff(rows)
    steps[np.diff(windows) > 0] = 2
    runs = 1 + np.count_nonzero(steps > 1) + np.count_nonzero(steps < 0)
    distinct = 1 + np.count_nonzero(steps)
    return {"runs_per_window": runs / n_windows, "rows_per_run": distinct / runs}


def codes_of(plan: Plan, choice: Choice, classes: Classes, rows: IndexArray) -> tuple[CodeArray, bool]:
    """Return the class code of each row, and whether classes are those of ``indices`` alone.

    Raises
    ------
    ValueError
        If classes are neither as long as the whole nor as ``indices``.
    """
    codes, elements, indices = classes.codes, choice.elements, choice.indices
    on_subset = indices is not None and len(codes) == elements
    whole = elements if indices is None else plan.n
    reach = int(indices[-1]) + 1 if indices is not None and len(indices) else elements
    if not on_subset and (len(codes) < reach or whole not in (None, len(codes))):
        rows_text = "" if whole is None else f", n = {whole},"
        msg = f"labels must be as long as the whole{rows_text} or as indices, but the length is {len(codes)}"
        raise ValueError(msg)
    return codes[choice.positions(rows) if on_subset else rows], on_subset


def _class_entries(plan: Plan, sample: Sample, choice: Choice, classes: Classes) -> dict[str, Any]:
    codes, n_codes = classes.codes, len(classes.counts)
    indices = choice.indices
    drawn_codes, on_subset = codes_of(plan, choice, classes, sample.rows)
    drawn = np.bincount(drawn_codes, minlength=n_codes) / max(1, len(drawn_codes))
    entries: dict[str, Any] = {"n_classes": classes.n_classes}
    if classes.has_missing:
        entries["missing"] = float(drawn[-1])
    entries |= _diversity(sample, drawn_codes, n_codes, classes.has_missing)
    present = np.flatnonzero(classes.class_counts)
    expected = _expected_shares(choice, codes if on_subset or indices is None else codes[indices], n_codes)
    if expected is not None:
        deviation = np.abs(drawn - expected)
        entries["largest_share_deviation"] = float(deviation.max())
    if len(present) <= _LISTED_CLASSES:
        entries["shares"] = {
            classes.name_of(code): {"drawn": float(drawn[code])}
            | ({} if expected is None else {"expected": float(expected[code])})
            for code in present.tolist()
        }
    return entries


def _expected_shares(
    choice: Choice, codes: npt.NDArray[np.integer[Any]], n_codes: int
) -> npt.NDArray[np.float64] | None:
    mass = np.zeros(n_codes)
    for start in range(0, len(codes), _CHUNK):
        part = codes[start : start + _CHUNK]
        weights = choice.weights(start, start + len(part))
        if weights is None:
            return None
        mass += np.bincount(part, weights=weights, minlength=n_codes)
    return mass / mass.sum() if len(codes) else None


def _diversity(
    sample: Sample, codes: npt.NDArray[np.integer[Any]], n_codes: int, has_missing: bool
) -> dict[str, float]:
    """Return how many classes a batch holds, and the mean entropy of its class shares."""
    n_batches = len(sample.sizes)
    if n_batches == 0:
        return {}
    keys = np.repeat(np.arange(n_batches) * n_codes, sample.sizes) + codes
    if has_missing:
        keys = keys[codes != n_codes - 1]
    distinct, counts = np.unique(keys, return_counts=True)
    batch = distinct // n_codes
    shares = counts / np.bincount(batch, weights=counts, minlength=n_batches)[batch]
    entropy = np.bincount(batch, weights=shares * -np.log2(shares), minlength=n_batches)
    per_batch = np.bincount(batch, minlength=n_batches)
    return {
        "per_batch_mean": float(per_batch.mean()),
        "per_batch_min": int(per_batch.min()),
        "bits_per_batch": float(entropy.mean()),
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _table(report: PlanReport) -> list[str]:
    table = []
    for name, value in report.items():
        if name == "batch_sizes":
            sizes = sorted(value.items(), key=lambda item: -item[1])
            text = ", ".join(f"{count:,} of {size:,}" for size, count in sizes[:4])
            table.append(("batches of size", text + (", ..." if len(sizes) > 4 else "")))
        elif name == "classes":
            table.append(("classes", _text(value["n_classes"])))
            others = {n: v for n, v in value.items() if n not in ("n_classes", "shares")}
            table += [(f"classes: {n.replace('_', ' ')}", _text(v)) for n, v in others.items()]
        else:
            table.append((name.replace("_", " "), _text(value)))
    width = max(len(name) for name, _ in table)
    lines = [f"{name:<{width}}  {text}" for name, text in table]
    if report["sampled"]:
        lines.append(f"(a sample: {report['rows_examined']:,} of {report['rows']:,} rows were looked at)")
    return lines + _share_lines(report.get("classes", {}).get("shares", {}))


def _share_lines(shares: dict[str, dict[str, float]]) -> list[str]:
    """Return a table of class shares: those furthest from what is expected, or the largest."""
    if not shares:
        return []

    def importance(item: tuple[str, dict[str, float]]) -> float:
        share = item[1]
        return -abs(share["drawn"] - share["expected"]) if "expected" in share else -share["drawn"]

    chosen = sorted(shares.items(), key=importance)[:_SHOWN_CLASSES]
    width = max(len("class"), *(len(name) for name, _ in chosen))
    lines = [f"{'class':<{width}}     drawn  expected"]
    for name, share in chosen:
        expected = f"{share['expected']:9.2%}" if "expected" in share else "        -"
        lines.append(f"{name:<{width}} {share['drawn']:9.2%} {expected}")
    if len(shares) > len(chosen):
        lines.append(f"... and {len(shares) - len(chosen):,} more")
    return lines
