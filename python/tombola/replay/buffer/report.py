"""What a buffer holds and has drawn, as a table and as a picture: groups, scores, drawn beside expected.

One pass over the weights of the stored items. The picture is drawn without a display; Matplotlib is imported
when the first one is.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..._base.plot_style import STYLE
from ..scores import temporal_scores
from .balance import Balance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BufferReport", "make_report"]

_SHOWN_GROUPS = 20
_SHOWN_LABELS = 6
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 30
INDEPENDENT = "independent draws"
WITHOUT = "; drawn without replacement, heavy items come less often"
# Okabe and Ito (2008): colour-blind readers tell them apart.
STORED, DRAWN, EXPECTED = "#999999", "#0072B2", "#D55E00"
_MOST_GROUPS = 30


class BufferReport(dict[str, Any]):
    """A report on a `BalancedBuffer`; prints as a table.

    Keys: ``stored``, ``seen``, ``classes``, ``groups``, ``threshold``, ``balance_weight``, ``replace``;
    ``levels``, for each level of groups a dict of ``groups``, ``threshold`` and ``balance_weight``, of which
    these of the first are repeated above;
    ``balanced_draws`` and ``uniform_draws``, in minibatches; ``ignored_priorities``, of items that were gone
    when these came; ``score_quantiles``, level to score over mean; ``score_histogram``, ``counts`` between
    ``edges`` of log10 of that; ``score_parts``, level to value of what scores are made of: ``prototype``,
    that is ``1 / (similarity + eps)``, and, as far as there are such, ``temporal``, ``difficulty``,
    ``uncertainty``, ``task`` and ``priority``; and ``group_table``, for each group that holds items a dict of
    ``labels``, ``items``, ``stored`` (its share of all items), ``next`` (its share of the next draw) and, of
    all balanced draws so far of classes that are still stored, ``drawn`` and ``expected``, NaN before the
    first. ``next`` and ``expected`` are shares of independent draws; where ``replace`` is False heavy items
    come less often than that, as none comes twice in a minibatch.
    """

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def plot(self, path: str | Path) -> None:
        """Write groups, drawn beside expected shares, and scores as one picture; needs matplotlib.

        Parameters
        ----------
        path : str or Path
            The suffix says the format, such as ``.png``.
        """
        _plot(self, Path(path))


def make_report(balance: Balance, stored: int, seen: int, uniform_draws: int) -> BufferReport:
    """Return the report on a buffer's balance."""
    sizes = balance.group_sizes() if balance.labelled else np.empty(0, dtype=np.int64)
    groups = np.flatnonzero(sizes)
    levels = [
        {
            "groups": int(np.count_nonzero(balance.group_sizes(k))) if balance.labelled else 0,
            "threshold": float(threshold),
            "balance_weight": weight,
        }
        for k, (threshold, weight) in enumerate(
            zip(balance.groups.thresholds, balance.options.powers(balance.draws), strict=True)
        )
    ]
    report = BufferReport(
        stored=stored,
        seen=seen,
        classes=int(np.count_nonzero(balance.classes.counts)) if balance.labelled else 0,
        **levels[0],
        levels=levels,
        replace=balance.options.replace,
        balanced_draws=balance.draws,
        uniform_draws=uniform_draws,
        ignored_priorities=balance.storage.stamps.ignored,
    )
    report.update(_scores(balance, stored))
    report["score_parts"] = _parts(balance, stored, seen)
    report["group_table"] = _group_table(balance, groups, sizes)
    return report


def _scores(balance: Balance, stored: int) -> dict[str, Any]:
    """Return the distribution of scores over the mean score."""
    weights = balance.weights
    factors = balance.factors()
    scores = weights.own[:stored] * factors[weights.codes[:stored]] if stored else np.empty(0)
    mean = float(scores.mean()) if stored and np.isfinite(scores).all() else 0.0
    if not 0 < mean < np.inf:
        return {"score_quantiles": {}, "score_histogram": {"edges": [], "counts": []}}
    scores = scores / mean
    positive = scores[scores > 0]
    counts, edges = np.histogram(np.log10(positive), bins=_BINS)
    levels = np.quantile(scores, _QUANTILES)
    return {
        "score_quantiles": dict(zip(_QUANTILES, levels.tolist(), strict=True)),
        "score_histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _parts(balance: Balance, stored: int, seen: int) -> dict[str, dict[float, float]]:
    """Return the distribution of each part of the scores."""
    parts = {"prototype": balance.scores[:stored]}
    scores = balance.item_scores
    if "temporal" in scores.arrays:
        stamps = balance.storage.stamps
        parts["temporal"] = temporal_scores(
            stamps.before + seen - stamps.items[:stored], half_life=scores.half_life
        )
    parts.update({name: scores.arrays[name][:stored] for name in scores.powers})
    if balance.options.factor_of_task:
        parts["task"] = balance.task_factors[:stored]
    if balance.prioritised:
        parts["priority"] = balance.priorities[:stored]
    return {
        name: dict(zip(_QUANTILES, np.quantile(values, _QUANTILES).tolist(), strict=True))
        for name, values in parts.items()
        if stored and np.isfinite(values).all()
    }


def _group_table(
    balance: Balance, groups: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
) -> dict[int, dict[str, Any]]:
    if not len(groups):
        return {}
    of_class, present = balance.groups.groups, balance.classes.counts > 0

    def by_group(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = np.bincount(of_class, weights=np.where(present, values, 0.0), minlength=len(sizes))
        total = float(sums.sum())
        return sums / total if total > 0 else np.full(len(sizes), np.nan)

    columns = {
        "stored": by_group(balance.classes.counts.astype(np.float64)),
        "next": by_group(balance.shares()),
        "drawn": by_group(balance.drawn),
        "expected": by_group(balance.expected),
    }
    table = {}
    for group in groups.tolist():
        labels = np.sort(balance.classes.labels[(of_class == group) & present])
        shares = {name: float(values[group]) for name, values in columns.items()}
        table[group] = {"labels": labels.tolist(), "items": int(sizes[group]), **shares}
    return table


def _lines(report: BufferReport) -> list[str]:
    table = [
        ("items stored", f"{report['stored']:,} of {report['seen']:,} seen"),
        ("classes", f"{report['classes']:,}"),
        ("semantic groups", _by_level(report, "groups", ",")),
        ("threshold of similarity", _by_level(report, "threshold", ".4g")),
        ("balance weight", _by_level(report, "balance_weight", ".4g")),
        ("balanced draws", f"{report['balanced_draws']:,}"),
        ("uniform draws", f"{report['uniform_draws']:,}"),
        ("priorities ignored", f"{report['ignored_priorities']:,}"),
    ]
    for level, score in report["score_quantiles"].items():
        table.append((f"score over mean, {level:.0%}", f"{score:.4g}"))
    for name, levels in report["score_parts"].items() if len(report["score_parts"]) > 1 else ():
        shown = ", ".join(f"{levels[level]:.4g}" for level in (0.05, 0.5, 0.95))
        table.append((f"{name} score", f"{shown} (5%, 50%, 95%)"))
    width = max(len(name) for name, _ in table)
    lines = [f"{name:<{width}}  {text}" for name, text in table]
    groups = sorted(report["group_table"].items(), key=lambda item: -item[1]["items"])
    if not groups:
        return lines
    lines.append(f"{'group':>5} {'items':>9} {'stored':>8} {'next':>8} {'drawn':>8} {'expected':>8}  labels")
    for group, row in groups[:_SHOWN_GROUPS]:
        shares = " ".join(_share(row[name]) for name in ("stored", "next", "drawn", "expected"))
        labels = ", ".join(map(str, row["labels"][:_SHOWN_LABELS]))
        more = len(row["labels"]) - _SHOWN_LABELS
        labels += f" and {more} more" if more > 0 else ""
        lines.append(f"{group:>5} {row['items']:>9,} {shares}  {labels}")
    if len(groups) > _SHOWN_GROUPS:
        lines.append(f"... and {len(groups) - _SHOWN_GROUPS:,} more")
    lines.append(f"next, expected: shares of {INDEPENDENT}" + ("" if report["replace"] else WITHOUT))
    return lines


def _by_level(report: BufferReport, name: str, form: str) -> str:
    return ", ".join(format(level[name], form) for level in report["levels"])


def _share(value: float) -> str:
    return f"{'-':>8}" if np.isnan(value) else f"{value:8.2%}"


def _plot(report: BufferReport, path: Path) -> None:
    """Write the picture of a report; beyond 30 groups, of the 30 largest."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 3)
        rows = sorted(report["group_table"].items(), key=lambda item: -item[1]["items"])[:_MOST_GROUPS]
        _draw_groups(axes[0], rows)
        _draw_shares(axes[1], rows, replace=report["replace"])
        _draw_scores(axes[2], report)
        figure.savefig(path, dpi=150)


def _draw_groups(axes: "Axes", rows: list[tuple[int, dict[str, Any]]]) -> None:
    axes.bar(range(len(rows)), [row["items"] for _, row in rows], color=STORED)
    _name_groups(axes, rows)
    _count(axes, "items stored")
    axes.set_title("Semantic groups, largest first")


def _draw_shares(axes: "Axes", rows: list[tuple[int, dict[str, Any]]], *, replace: bool) -> None:
    places = np.arange(len(rows))
    so_far = bool(rows) and not np.isnan(rows[0][1]["drawn"])
    axes.bar(places, [row["stored"] for _, row in rows], 0.85, color=STORED, alpha=0.4, label="stored")
    if so_far:
        axes.bar(places, [row["drawn"] for _, row in rows], 0.5, color=DRAWN, label="drawn")
    expected = [row["expected" if so_far else "next"] for _, row in rows]
    label = "expected" if replace else "expected of independent draws"
    axes.plot(places, expected, "_", color=EXPECTED, markersize=14, markeredgewidth=2, label=label)
    _name_groups(axes, rows)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title("Share of draws" if so_far else "Share of the next draw")
    if rows:
        axes.set_ylim(0, 1.4 * axes.get_ylim()[1])  # room for the legend above the bars
        axes.legend()


def _draw_scores(axes: "Axes", report: BufferReport) -> None:
    """Draw scores by their logarithms: a logarithmic axis has one label or none where scores are near."""
    from matplotlib.ticker import MaxNLocator

    histogram = report["score_histogram"]
    if histogram["counts"]:
        axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=DRAWN, alpha=0.7)
        axes.axvline(0.0, color=EXPECTED, linestyle="--", linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda power, _: f"{10**power:.2g}")
    axes.set_xlabel("score over its mean (dashed)")
    _count(axes, "items")
    axes.set_title("Scores")


def _count(axes: "Axes", label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(label)


def _name_groups(axes: "Axes", rows: list[tuple[int, dict[str, Any]]]) -> None:
    axes.set_xticks(range(len(rows)), [str(group) for group, _ in rows])
    axes.tick_params(axis="x", labelsize=10 if len(rows) <= 15 else 6)
    axes.set_xlabel("group")
    axes.grid(visible=False, axis="x")
