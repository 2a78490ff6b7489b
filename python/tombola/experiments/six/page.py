"""An experiment's folder as one HTML page: tables, options and pictures, all inlined, no script.

In: what `tombola experiment`, `run` or `demo` wrote. Out: ``report.html``, and the pictures in ``figures``.
"""

import base64
import json
from collections.abc import Iterable, Sequence
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
from .reading import BASELINE, read_results, read_summary, tasks_of
from .study import EXPERIMENT_FILE, mean_rows

__all__ = ["write_page"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #333; max-width: 1100px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.best { font-weight: bold; }
tr.baseline td { color: #888; border-top: 1px solid #999; } img { max-width: 100%; height: auto; }
td.text { white-space: normal; text-align: left; overflow-wrap: anywhere; }
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
    drawn = {
        "comparison": plot_comparison(rows)[0],
        "f1_over_seconds": plot_f1_over_seconds(rows, results=results)[0],
        "time": plot_time_comparison(rows)[0],
    }
    if results:
        drawn |= {f"curves_{task}": plot_training_curves(results, task)[0] for task in tasks}
    pictures = [_picture(save_figure(figure, figures / name)[0]) for name, figure in drawn.items()]
    about = _about(folder)
    parts = [
        *_section("Scores on the test rows", _scores(rows, tasks)),
        *_section("Pictures", pictures),
        *_section("Data", _pairs(about.get("data", {}))),
        *_section("Options", _pairs(about.get("options", {}))),
        *_section("Runs", _table(list(dict.fromkeys(key for row in rows for key in row)), rows)),
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
    if not path.exists():
        return {}
    about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return about


def _section(heading: str, content: Sequence[str]) -> list[str]:
    return [f"<h2>{escape(heading)}</h2>", *content] if content else []


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<p><img alt="{escape(path.stem)}" src="data:image/png;base64,{data}"></p>'


def _scores(rows: Sequence[dict[str, Any]], tasks: Sequence[str]) -> list[str]:
    """Return tables of macro-F1 and accuracy: means, with deviations where a strategy has several runs."""
    means = mean_rows([{**dict.fromkeys(rows[0], ""), **row} for row in rows])
    tables = []
    for measure, heading in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        columns = [f"{measure}_{task}" for task in tasks]
        best = {
            name: max(float(str(row[f"{name}_mean"])) for row in means if row["strategy"] != BASELINE)
            for name in columns
        }
        lines = []
        for row in means:
            runs = "" if row["strategy"] == BASELINE else row["runs"]
            cells = [f"<td>{escape(str(row['strategy']))}</td>", f"<td>{runs}</td>"]
            for name in columns:
                mean, deviation = row[f"{name}_mean"], row[f"{name}_sd"]
                is_best = row["strategy"] != BASELINE and mean == best[name]
                text = f"{mean:.3f}" + ("" if deviation == "" else f" ± {deviation:.3f}")
                cells.append(f'<td class="best">{text}</td>' if is_best else f"<td>{text}</td>")
            kind = ' class="baseline"' if row["strategy"] == BASELINE else ""
            lines.append(f"<tr{kind}>{''.join(cells)}</tr>")
        tables += _framed([heading, "runs", *tasks], lines)
    return tables


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
        f'<tr><td>{escape(key)}</td><td class="text">{escape(_plain(value))}</td></tr>'
        for key, value in values.items()
        if key not in ("bytes", "classes")
    ]
    return ["<table>", *lines, "</table>"] if lines else []


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() or value >= 10_000 else f"{value:.4g}"
