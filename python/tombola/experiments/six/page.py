"""An experiment's folder as one HTML page: tables, options and pictures, all inlined, no script.

In: what `tombola experiment`, `run` or `demo` wrote. Out: ``report.html``, and the pictures in ``figures``.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tombola import __version__
from tombola._base.files import replacing

from ..plotting import (
    plot_comparison,
    plot_f1_over_seconds,
    plot_time_comparison,
    plot_training_curves,
    save_figure,
)
from .reading import BASELINE, read_object, read_results, read_summary, tasks_of
from .study import EXPERIMENT_FILE, mean_rows
from .summary import mean_text

__all__ = ["write_page"]

PIXELS_AN_INCH = 70
_UNTOLD = ("bytes", "classes", "files", "rows_and_classes", "unseen")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #333; background: #fff; max-width: 1100px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; overflow-wrap: anywhere; }
h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; margin: 1em 0 1.8em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; text-align: right; vertical-align: top; border-bottom: 1px solid #eee;
  white-space: nowrap; }
th { border-bottom-color: #999; } td.best { font-weight: bold; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
tr.baseline td { color: #888; border-top: 1px solid #999; }
table.pairs { table-layout: fixed; width: 100%; } .pairs td:first-child { width: 30%; }
.pairs td { white-space: normal; text-align: left; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
@media (max-width: 700px) { th, td { padding: .25em .5em; } .wide img { max-width: none; }
  .pairs td:first-child { width: 42%; } }
"""


def write_page(folder: Path) -> Path:
    """Draw all pictures of a folder and write its page.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If its table is none.
    OSError
        If it has no ``summary.csv``, or the page cannot be written.
    """
    rows = read_summary(folder)
    tasks = tasks_of(rows)
    try:
        results: dict[str, list[dict[str, Any]]] = read_results(folder)
    except FileNotFoundError:
        results = {}
    figures = folder / "figures"
    drawn: dict[str, Any] = {
        "comparison": plot_comparison(rows)[0],
        "f1_over_seconds": plot_f1_over_seconds(rows, results=results)[0],
        "time": plot_time_comparison(rows)[0],
    }
    if results:
        drawn |= {f"curves_{task}": plot_training_curves(results, task)[0] for task in tasks}
    pictures = [_picture(figure, figures / name) for name, figure in drawn.items()]
    about = _about(folder)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    means = mean_rows([{name: row.get(name, "") for name in columns} for row in rows])
    parts = [
        *_section("Scores on the test rows", _scores(means, tasks)),
        *_section("Speed", _speed(means)),
        *_section("Pictures", pictures),
        *_section("Data", _pairs(_data(about.get("data", {})))),
        *_section("Options", _pairs(about.get("options", {}))),
        *_section("Runs", _table(columns, rows)),
    ]
    title = f"Ways of choosing batches: {folder.resolve().name}"
    version = about.get("tombola", __version__)
    page = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>tombola {escape(str(version))}</p>",
        *parts,
        "</body>\n</html>\n",
    ]
    path = folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text("\n".join(page), encoding="utf-8")
    return path


def _about(folder: Path) -> dict[str, Any]:
    path = folder / EXPERIMENT_FILE
    return read_object(path) if path.exists() else {}


def _section(heading: str, content: Sequence[str]) -> list[str]:
    return [f"<h2>{escape(heading)}</h2>", *content] if content else []


def _picture(figure: Any, path: Path) -> str:
    """Write the picture and return it inlined, as wide as all pictures need for one size of letters."""
    written = save_figure(figure, path)[0]
    data = base64.b64encode(written.read_bytes()).decode("ascii")
    width = round(PIXELS_AN_INCH * figure.get_figwidth())
    alt = escape(f"{figure.get_suptitle()} ({path.name})")
    return f'<p class="wide"><img width="{width}" alt="{alt}" src="data:image/png;base64,{data}"></p>'


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the data as a reader wants it: folders once, classes never seen in words."""
    told = {key: value for key, value in data.items() if key not in _UNTOLD}
    paths = [Path(name) for name in data.get("files", [])]
    for folder in dict.fromkeys(path.parent for path in paths):
        told[f"files in {folder}"] = [path.name for path in paths if path.parent == folder]
    unseen = [
        f"{label}: {len(found['classes'])} in {found['rows']:,} rows ({', '.join(found['classes'])})"
        for label, found in data.get("unseen", {}).items()
    ]
    return {**told, "test classes that no training row has": unseen} if data else {}


def _scores(means: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> list[str]:
    """Return tables of macro-F1 and accuracy: means, with deviations where a strategy has several runs."""
    tables = []
    for measure, heading in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        columns = [f"{measure}_{task}" for task in tasks]
        best = {
            name: max(row.get(f"{name}_mean") or 0.0 for row in means if row["strategy"] != BASELINE)
            for name in columns
        }
        lines = []
        for row in means:
            runs = "" if row["strategy"] == BASELINE else row["runs"]
            cells = [f"<td>{escape(str(row['strategy']))}</td>", f"<td>{runs}</td>"]
            for name in columns:
                is_best = row["strategy"] != BASELINE and row.get(f"{name}_mean") == best[name]
                text = mean_text(row, name, ".3f")
                cells.append(f'<td class="best">{text}</td>' if is_best else f"<td>{text}</td>")
            kind = ' class="baseline"' if row["strategy"] == BASELINE else ""
            lines.append(f"<tr{kind}>{''.join(cells)}</tr>")
        tables += _framed([heading, "runs", *tasks], lines)
    return tables


def _speed(means: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of time and throughput with their repeats."""
    columns = {"seconds": ",.1f", "wait_seconds": ",.1f", "cells_per_second": ",.0f"}
    lines = []
    for row in means:
        if row["strategy"] != BASELINE:
            cells = [str(row["strategy"]), str(row["runs"])]
            cells += [mean_text(row, name, form) for name, form in columns.items()]
            lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return _framed(["strategy", "runs", "seconds", "of them waiting", "cells a second"], lines)


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "<tr>" + "".join(f"<td>{escape(_number(row.get(name, '')))}</td>" for name in columns) + "</tr>"
        for row in rows
    ]
    return _framed(columns, lines)


def _framed(headings: Iterable[str], lines: Sequence[str]) -> list[str]:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return ['<div class="wide"><table>', f"<tr>{head}</tr>", *lines, "</table></div>"]


def _pairs(values: dict[str, Any]) -> list[str]:
    lines = [
        f"<tr><td>{escape(key)}</td><td>{escape(_plain(value))}</td></tr>" for key, value in values.items()
    ]
    return ['<table class="pairs">', *lines, "</table>"] if lines else []


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return "none" if value is None else str(value)


def _number(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() or value >= 10_000 else f"{value:.4g}"
