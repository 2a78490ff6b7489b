"""The results as rows of a CSV file and as tables for the terminal.

Scores are given to three digits on the terminal and whole in the file. The best score of each column is bold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from rich.markup import escape
from rich.table import Table

from ..labels import Label
from .data import ExperimentData
from .metrics import Scores
from .training import RunResult

__all__ = [
    "BASELINE_NAME",
    "accuracy_table",
    "key_label",
    "mean_text",
    "means_table",
    "result_table",
    "summary_rows",
]

BASELINE_NAME = "majority class"

_Cells: TypeAlias = Mapping[str, Scores]
_Measure: TypeAlias = Callable[[_Cells], float]


def key_label(data: ExperimentData) -> Label:
    """Return the label with the most classes, whose diversity and rare classes the tables show."""
    return max(data.labels, key=lambda label: len(label.classes))


def summary_rows(
    results: Sequence[RunResult], baseline: Mapping[str, Scores], seeds: Sequence[int] | None = None
) -> list[dict[str, object]]:
    """Return one flat row a run, and a last one for the majority-class baseline with empty speeds.

    A column tells seeds where they are given, one a run.
    """
    rows: list[dict[str, object]] = []
    for at, result in enumerate(results):
        row: dict[str, object] = {"strategy": result.strategy}
        if seeds is not None:
            row["seed"] = seeds[at]
        row |= _score_columns(result.scores)
        row |= {f"loss_{label}": loss for label, loss in result.test_loss.items()}
        row |= {f"diversity_bits_{label}": bits for label, bits in result.diversity_bits.items()}
        row |= {
            "seconds": result.seconds,
            "wait_seconds": result.wait_seconds,
            "cells": result.cells,
            "cells_per_second": result.cells_per_second,
        }
        rows.append(row)
    last: dict[str, object] = dict.fromkeys(rows[0], "")
    rows.append({**last, "strategy": BASELINE_NAME.replace(" ", "_"), **_score_columns(baseline)})
    return rows


def _score_columns(scores: _Cells) -> dict[str, object]:
    columns: dict[str, object] = {}
    for measure in ("macro_f1", "accuracy", "rare_f1"):
        columns |= {f"{measure}_{label}": getattr(score, measure) for label, score in scores.items()}
    return columns


def result_table(results: Sequence[RunResult], baseline: Mapping[str, Scores], data: ExperimentData) -> Table:
    """Return the main table: macro-F1 of each task and of the key label's rare classes, speed, diversity."""
    key = key_label(data).name
    scores = [(label, _measure("macro_f1", label)) for label in baseline]
    scores.append((f"rare {key}", _measure("rare_f1", key)))
    figures: list[tuple[str, Callable[[RunResult], str]]] = [
        ("seconds", lambda result: f"{result.seconds:.1f}"),
        ("cells/s", lambda result: f"{result.cells_per_second:,.0f}"),
        (f"bits ({key})", lambda result: f"{result.diversity_bits[key]:.2f}"),
    ]
    return _table(results, baseline, scores, figures)


def accuracy_table(results: Sequence[RunResult], baseline: Mapping[str, Scores]) -> Table:
    """Return the table of accuracies."""
    return _table(results, baseline, [(label, _measure("accuracy", label)) for label in baseline])


def _measure(measure: str, label: str) -> _Measure:
    return lambda scores: float(getattr(scores[label], measure))


def _table(
    results: Sequence[RunResult],
    baseline: Mapping[str, Scores],
    scores: Sequence[tuple[str, _Measure]],
    figures: Sequence[tuple[str, Callable[[RunResult], str]]] = (),
) -> Table:
    """Return a table of a row a strategy and one of the baseline; columns come with their headings."""
    table = Table()
    table.add_column("strategy", no_wrap=True)
    for heading in [*(heading for heading, _ in scores), *(heading for heading, _ in figures)]:
        table.add_column(escape(heading), justify="right")
    measures = [measure for _, measure in scores]
    best = _best(results, measures)
    for result in results:
        texts = [text(result) for _, text in figures]
        table.add_row(result.strategy, *_formatted(result.scores, measures, best), *texts)
    table.add_section()
    table.add_row(BASELINE_NAME, *_formatted(baseline, measures, None), style="dim")
    return table


def _best(results: Sequence[RunResult], measures: Sequence[_Measure]) -> list[str] | None:
    if len(results) < 2:
        return None
    return [f"{max(measure(result.scores) for result in results):.3f}" for measure in measures]


def _formatted(scores: _Cells, measures: Sequence[_Measure], best: list[str] | None) -> list[str]:
    texts = [f"{measure(scores):.3f}" for measure in measures]
    if best is None:
        return texts
    return [f"[bold]{text}[/bold]" if text == top else text for text, top in zip(texts, best, strict=True)]


def means_table(
    means: Sequence[Mapping[str, object]], data: ExperimentData, measure: str, *, has_speed: bool = True
) -> Table:
    """Return a table of means with standard deviations, a row a strategy, with speed beside the scores.

    Parameters
    ----------
    means : sequence of mapping
        As in ``means.csv``.
    data : ExperimentData
    measure : {"macro_f1", "accuracy", "rare_f1", "loss"}
    has_speed : bool
    """
    columns = {f"{measure}_{label.name}": (label.name, ".3f") for label in data.labels}
    if has_speed:
        columns |= {"seconds": ("seconds", ".1f"), "cells_per_second": ("cells/s", ",.0f")}
    table = Table()
    table.add_column("strategy", no_wrap=True)
    table.add_column("runs", justify="right")
    for heading, _ in columns.values():
        table.add_column(escape(heading), justify="right")
    for row in means:
        cells = [mean_text(row, name, form) for name, (_, form) in columns.items()]
        is_baseline = row["strategy"] == BASELINE_NAME.replace(" ", "_")
        if is_baseline:
            table.add_section()
        name, runs = (BASELINE_NAME, "") if is_baseline else (str(row["strategy"]), str(row["runs"]))
        table.add_row(name, runs, *cells, style="dim" if is_baseline else None)
    return table


def mean_text(row: Mapping[str, object], name: str, form: str) -> str:
    """Return a figure of a row of ``means.csv``, if it is there, with its deviation of several runs."""
    mean, deviation = row.get(f"{name}_mean", ""), row.get(f"{name}_sd", "")
    if mean == "":
        return ""
    return f"{mean:{form}}" if deviation == "" else f"{mean:{form}} ± {deviation:{form}}"
