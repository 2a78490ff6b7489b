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

__all__ = ["BASELINE", "read_results", "read_summary", "strategy_of", "tasks_of"]

BASELINE = "majority_class"
"""The row of a table that is no strategy."""


def read_summary(table: Any) -> list[dict[str, Any]]:
    """Return the rows of ``summary.csv``, numbers as float, what is empty left out.

    Parameters
    ----------
    table : path, DataFrame or sequence of mapping
        The file, its folder, or what was read of it.

    Raises
    ------
    ValueError
        If it is no CSV, has no row of a strategy, no column ``strategy`` or ``macro_f1_TASK``, or a text as
        a number.
    OSError
        If a file cannot be read.
    """
    if isinstance(table, str | Path):
        path = Path(table)
        path = path / "summary.csv" if path.is_dir() else path
        raw: Sequence[Mapping[Any, Any]] = _read_csv(path)
    else:
        raw = table.to_dict("records") if hasattr(table, "to_dict") else list(table)
    rows = [{str(key): _value(str(key), value) for key, value in row.items()} for row in raw]
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    if not any(row.get("strategy", BASELINE) != BASELINE for row in rows) or not tasks_of(rows):
        columns = ", ".join(map(str, raw[0])) if raw else "none"
        msg = f"a table with columns strategy and macro_f1_TASK is expected, but its columns are {columns}"
        raise ValueError(msg)
    return rows


def tasks_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the tasks that a table's columns name, in their order."""
    names = [key.removeprefix("macro_f1_") for row in rows for key in row if key.startswith("macro_f1_")]
    return list(dict.fromkeys(names))


def read_results(folder: Path | str) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each run of a folder, by the run's name, such as ``random-seed0``.

    A last line that a kill cut off is left out.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((Path(folder) / "runs").glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        results[path.stem] = [json.loads(line) for line in lines]
    if not any(results.values()):
        msg = f"{folder}: no records, which are runs/*.jsonl of tombola experiment"
        raise FileNotFoundError(msg)
    order = {name: at for at, name in enumerate(EXPERIMENT)}
    return dict(sorted(results.items(), key=lambda pair: order.get(strategy_of(pair[0]), len(order))))


def strategy_of(run: str) -> str:
    """Return the strategy of a run's name."""
    return run.rpartition("-seed")[0] or run


def _read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table; lines that are longer or shorter than its first are none of a table's."""
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows = list(csv.DictReader(file, restkey=""))
        except (csv.Error, UnicodeDecodeError) as error:
            msg = f"{path}: no CSV: {error}"
            raise ValueError(msg) from None
    for line, row in enumerate(rows, 2):
        if "" in row or None in row.values():
            msg = f"{path}: no CSV: line {line} has more or fewer values than the first"
            raise ValueError(msg)
    return rows


def _value(key: str, value: Any) -> Any:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if key == "strategy":
        return str(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        msg = f"a table of numbers is expected, but its column {key!r} holds {value!r}"
        raise ValueError(msg) from None
