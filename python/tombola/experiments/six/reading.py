"""What an experiment wrote, read again: the table ``summary.csv`` and the records of runs.

Complexity: O(rows), O(records). pandas is not needed, but its DataFrame is taken.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tombola.strategies.names import EXPERIMENT

from .csv_rows import csv_rows

__all__ = ["BASELINE", "read_object", "read_results", "read_summary", "strategy_of", "tasks_of"]

BASELINE = "majority_class"
"""The row of a table that is no strategy."""
_SCORE = "macro_f1_{}"
_OF_A_RECORD = {"kind", "cells", "seconds"}


def read_summary(table: Any) -> list[dict[str, Any]]:
    """Return the rows of ``summary.csv``, numbers as float, what is empty left out.

    Parameters
    ----------
    table : path, DataFrame or sequence of mapping
        The file, its folder, or what was read of it.

    Raises
    ------
    ValueError
        If it is no CSV, has no row of a strategy, or no column ``strategy`` or ``macro_f1_TASK``, or a row
        is cut off, is of nothing, or holds what is no finite number.
    OSError
        If a file cannot be read.
    """
    if isinstance(table, str | Path):
        path = Path(table)
        path = path / "summary.csv" if path.is_dir() else path
        place, raw = str(path), _read_csv(path)
    else:
        raw = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
        place = "the table"
    rows = [_row(f"{place}, row {number}", row) for number, row in enumerate(raw, start=1)]
    tasks = tasks_of(rows)
    if not any(row.get("strategy", BASELINE) != BASELINE for row in rows) or not tasks:
        columns = ", ".join(map(str, raw[0])) if raw else "none"
        msg = f"a table with columns strategy and macro_f1_TASK is expected, but its columns are {columns}"
        raise ValueError(msg)
    for number, row in enumerate(rows, start=1):
        needed = ["strategy"] if row.get("strategy") == BASELINE else ["strategy", *map(_SCORE.format, tasks)]
        lacking = [name for name in needed if name not in row]
        if lacking:
            msg = f"{place}, row {number}: {lacking[0]} must be there, but is empty"
            raise ValueError(msg)
    return rows


def _read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table; ValueError names a line that has fewer or more cells than headings."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            headings, rows = csv_rows(path, file, "the same command writes the table anew")
            return [dict(zip(headings, cells, strict=True)) for cells in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: no valid CSV: {error}"
        raise ValueError(msg) from None


def _row(place: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    values = {str(key): _value(f"{place}: {key}", str(key), value) for key, value in row.items()}
    return {key: value for key, value in values.items() if value is not None}


def _value(place: str, key: str, value: Any) -> Any:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if key == "strategy":
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        msg = f"{place} must be a finite number or empty, but is {value!r}"
        raise ValueError(msg)
    return number


def tasks_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tasks that a table's columns name, in their order."""
    names = [key.removeprefix(_SCORE[:-2]) for row in rows for key in row if key.startswith(_SCORE[:-2])]
    return list(dict.fromkeys(names))


def read_results(folder: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each run of a folder, by the run's name, such as ``random-seed0``.

    A last line that a kill cut off is left out.

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If a line is none.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((Path(folder) / "runs").glob("*.jsonl")):
        lines = path.read_bytes().split(b"\n")[:-1]
        results[path.stem] = [_record(path, number, line) for number, line in enumerate(lines, start=1)]
    if not any(results.values()):
        msg = f"{folder}: no records, which are runs/*.jsonl of tombola experiment"
        raise FileNotFoundError(msg)
    order = {name: at for at, name in enumerate(EXPERIMENT)}
    return dict(sorted(results.items(), key=lambda pair: order.get(strategy_of(pair[0]), len(order))))


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not record.keys() >= _OF_A_RECORD:
        msg = f"{path}, line {number}: a record of a run is expected, but it is {line[:40]!r}"
        raise ValueError(msg)
    return record


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises
    ------
    ValueError
        If it holds none.
    OSError
        If it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        msg = f"{path}: no valid JSON: {error}"
        raise ValueError(msg) from None
    if not isinstance(content, dict):
        msg = f"{path}: an object is expected, but it holds {type(content).__name__}"
        raise ValueError(msg)
    return content


def strategy_of(run: str) -> str:
    """Return the strategy of a run's name."""
    return run.rpartition("-seed")[0] or run
