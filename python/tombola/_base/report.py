"""What reports are: dicts in code, tables on the terminal."""

from collections.abc import Sequence
from typing import Any

__all__ = ["Report"]


class Report(dict[str, Any]):
    """A dict of plain numbers, strings, lists and dicts that prints as a table."""

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict that JSON can hold."""
        return dict(self)

    def _lines(self) -> Sequence[str]:
        """Return the table, line by line."""
        return [f"{name}  {value}" for name, value in self.items()]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    __str__ = __repr__
