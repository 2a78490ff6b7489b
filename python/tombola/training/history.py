"""The history as ``history.jsonl``: one JSON object a line, what the checkpoint holds and what came since.

Rule: checkpoints hold the history up to them; when training begins or goes on, the file is written anew from
there, whole or not at all, and then grows by lines. So no record is lost or doubled, wherever a run was
killed. Numbers that JSON has not (NaN, infinity) become null.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._base.files import write_whole

__all__ = ["HistoryFile"]


class HistoryFile:
    """The file of records.

    Parameters
    ----------
    path : Path
    records : list of dict
        What it begins with; `append` adds the last one, once it is there.

    Raises
    ------
    OSError
        If it cannot be written.
    """

    def __init__(self, path: Path, records: list[dict[str, Any]]) -> None:
        self.path, self._records = path, records
        self._is_whole = False
        self.append()

    def append(self) -> None:
        """Add the last record; all of them, where an earlier one could not be written."""
        if self._is_whole:
            self._is_whole = False
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(self._records[-1]))
        else:
            text = "".join(map(_line, self._records))
            write_whole(self.path, lambda file: file.write(text.encode()))
        self._is_whole = True


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_finite(record), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
