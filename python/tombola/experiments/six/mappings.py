"""Labels that stand in files of their own: from a value of an obs column, such as a drug, to a class.

Rule: a folder holds tables, CSV or JSON, of which each says which column it goes by.

- ``anything.csv``: the first heading is the obs column, each further one a label; a row is a value. An empty
  cell is no class.
- ``COLUMN_to_LABEL.json``: one object, value to class; ``null`` is no class.
- ``COLUMN.json``: one object, value to an object of label to class.

Classes are numbered in the order of their names. Complexity: O(lines), and O(rows) for the codes.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..labels import Label
from .csv_rows import csv_rows

__all__ = ["LabelMapping", "mapped_label", "read_mappings"]

_Entry = tuple[str, str, str | None]
"""Label, value, class."""


@dataclass(frozen=True)
class LabelMapping:
    """Where the classes of a label come from.

    Parameters
    ----------
    label : str
    column : str
        The obs column whose values say the class.
    classes : mapping of str to str
        Value to class.
    path : Path
        The file.
    """

    label: str
    column: str
    classes: Mapping[str, str]
    path: Path


def read_mappings(folder: Path) -> dict[str, LabelMapping]:
    """Read all tables of a folder, by label.

    Raises
    ------
    ValueError
        If it holds none, a file is no such table, a value comes twice with different classes, or two files
        have the same label. Of a pickle without JSON of its name, too.
    OSError
        If it cannot be read.
    """
    if not folder.is_dir():
        msg = f"label_dir must be a folder of CSV or JSON files, but {folder} is none"
        raise ValueError(msg)
    found: dict[str, LabelMapping] = {}
    for path in sorted(folder.iterdir()):
        _refuse_pickle(path)
        if path.suffix.lower() not in (".csv", ".json") or path.name.startswith("."):
            continue
        for mapping in _read(path):
            if mapping.label in found:
                msg = f"{path}: the label {mapping.label!r} is in {found[mapping.label].path.name}, too"
                raise ValueError(msg)
            found[mapping.label] = mapping
    if not found:
        msg = f"{folder}: label_dir must hold CSV or JSON files, but holds none"
        raise ValueError(msg)
    return found


def _refuse_pickle(path: Path) -> None:
    """Say of a pickled map how to write it as JSON, if that has not been done."""
    json_file = path.with_suffix(".json")
    if path.suffix.lower() in (".pkl", ".pickle") and not json_file.exists():
        cure = f"json.dump(pickle.load(open({str(path)!r}, 'rb')), open({str(json_file)!r}, 'w'))"
        msg = f"{path}: a pickle runs code, so it is not read; {cure} writes JSON of one that you trust"
        raise ValueError(msg)


def mapped_label(mapping: LabelMapping, column: Label) -> Label:
    """Return the label whose class each row of `column` has; rows of values that the file lacks have none.

    Raises
    ------
    ValueError
        If no value of the column is in the file.
    """
    classes = tuple(sorted(set(mapping.classes.values())))
    number = {name: code for code, name in enumerate(classes)}
    of_value = [
        number[mapping.classes[value]] if value in mapping.classes else -1 for value in column.classes
    ]
    if max(of_value, default=-1) < 0:
        shown = ", ".join(map(repr, column.classes[:3]))
        msg = f"{mapping.path}: none of its values is one of the obs column {column.name!r}, such as {shown}"
        raise ValueError(msg)
    # A row without a value has code -1, which is the last place.
    return Label(mapping.label, classes, np.array([*of_value, -1], dtype=np.int64)[column.codes])


def _read(path: Path) -> list[LabelMapping]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        column, entries = _csv(path, text) if path.suffix.lower() == ".csv" else _json(path, text)
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, RecursionError) as error:
        msg = f"{path}: no valid {path.suffix[1:].upper()}: {error}"
        raise ValueError(msg) from None
    tables: dict[str, dict[str, str]] = {}
    for label, value, name in entries:
        table = tables.setdefault(label, {})
        if name is None:
            continue
        if table.setdefault(value, name) != name:
            msg = f"{path}: {column} {value!r} has two classes of {label!r}: {table[value]!r} and {name!r}"
            raise ValueError(msg)
    empty = [label for label, table in tables.items() if not table]
    if empty or not tables:
        msg = f"{path}: a class for each {column} is expected, but {''.join(empty[:1]) or 'all'} is empty"
        raise ValueError(msg)
    return [LabelMapping(label, column, table, path) for label, table in tables.items()]


def _csv(path: Path, text: str) -> tuple[str, list[_Entry]]:
    headings, rows = csv_rows(path, io.StringIO(text, newline=""))
    if len(headings) < 2 or not all(name.strip() for name in headings):
        msg = f"{path}: the first line must name an obs column and one or more labels, but is {headings}"
        raise ValueError(msg)
    column, *labels = (name.strip() for name in headings)
    return column, [
        (label, cells[0].strip(), cell.strip() or None)
        for cells in rows
        for label, cell in zip(labels, cells[1:], strict=True)
    ]


class _Pairs(list[tuple[str, Any]]):
    """The pairs of a JSON object, of which a dict would only keep the last with a key."""


def _json(path: Path, text: str) -> tuple[str, list[_Entry]]:
    pairs = json.loads(text, object_pairs_hook=_Pairs)
    column, _, label = path.stem.partition("_to_")
    if not isinstance(pairs, _Pairs) or not pairs:
        found = "an empty one" if isinstance(pairs, _Pairs) else type(pairs).__name__
        msg = f"{path}: an object of values to classes is expected, but found {found}"
        raise ValueError(msg)
    nested = any(isinstance(part, _Pairs) for _, part in pairs)
    if not nested and not label:
        msg = (
            f"{path}: the name must say what is mapped, as drug_to_moa_fine.json does, "
            "or each value hold an object of labels"
        )
        raise ValueError(msg)
    entries: list[_Entry] = []
    for value, part in pairs:
        of_labels = [(label, part)] if not nested else part if isinstance(part, _Pairs) else [("", part)]
        for name, kind in of_labels:
            if not name or not (kind is None or type(kind) in (str, int)):
                msg = (
                    f"{path}: the class of {value!r} must be a text, or an object of labels to texts, "
                    f"but is {kind!r}"
                )
                raise ValueError(msg)
            entries.append((name, value, None if kind is None else str(kind)))
    return column, entries
