"""What strategies over groups of rows share: one key a row, the groups that the core makes of them.

Keys become integers when the strategy is made; the core's groups are made with the first plan and kept, O(n):
offsets and members, 4 bytes a row where the largest row number is below 2**31, else 8. Epochs share them.
No other thread must write to keys or indices while a strategy or a plan is being made; later changes are
harmless.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _core
from .._base.types import CodeArray, IndexArray
from ..labels.keys import Keys, read_keys
from .base import Strategy

__all__ = ["KeyedStrategy"]


@dataclass(frozen=True, eq=False, repr=False)
class KeyedStrategy(Strategy):
    """Rows grouped by a key, which is the field that `_key_name` names."""

    _group_name: ClassVar[str]
    """What rows of one key are called."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self._indices is not None and not self._indices.size:
            msg = f"indices must not be empty, for there is no {self._group_name} without rows"
            raise ValueError(msg)
        self._count(None)

    def _keys(self) -> Keys:
        keys = getattr(self, self._key_name)
        return self._once("keys", lambda: read_keys(self._key_name, keys, group=self._group_name))

    def _key_length(self) -> int:
        return len(self._keys())

    def _chosen_codes(self) -> CodeArray:
        """Return the keys of the rows to choose among."""
        codes = self._keys().codes
        return codes if self._indices is None or self._is_subset_key else codes[self._indices]

    def _positions(self, rows: IndexArray) -> IndexArray:
        """Return where the keys of rows are."""
        if not self._is_subset_key:
            return rows
        return np.searchsorted(self._indices, rows).astype(np.int64)  # type: ignore[arg-type]

    @abstractmethod
    def _group_codes(self) -> CodeArray:
        """Return the group of each row to choose among."""

    def _groups(self) -> _core.Groups:
        return self._once("groups", lambda: _core.Groups.from_keys(self._group_codes(), self._indices))

    def _hashes(self) -> dict[str, Any]:
        return {**super()._hashes(), self._key_name: f"{self._groups().fingerprint:016x}"}

    def _compared(self) -> Iterator[object]:
        options = (value for name, value in self._fields() if name != self._key_name)
        return iter((*options, self._groups().fingerprint))

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold; keys by kind and length."""
        return {**super().describe(), "n_groups": self._groups().n_groups}
