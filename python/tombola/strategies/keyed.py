"""What strategies over groups of rows share: one key a row, the groups that the core makes of them.

Keys become integers when the strategy is made; the core's groups are made with the first plan and kept, O(n):
offsets and members, 4 bytes a row where the largest row number is below 2**31, else 8. Epochs share them.
No other thread must write to keys or indices while a strategy or a plan is being made; later changes are
harmless. Rows without a key are refused, or left out of the rows to choose among, which are then held as row
numbers, 8 bytes each.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .. import _core
from .._base.checks import check_choice
from .._base.types import CodeArray, IndexArray
from ..labels.keys import Keys, read_keys
from ..labels.numbering import MISSING, Missing, refuse_all_missing
from .base import Strategy

__all__ = ["KeyedStrategy"]


@dataclass(frozen=True, eq=False, repr=False)
class KeyedStrategy(Strategy):
    """Rows grouped by a key, which is the field that `_key_name` names."""

    missing: Missing = field(default="error", kw_only=True)

    _group_name: ClassVar[str]
    """What rows of one key are called."""

    def __post_init__(self) -> None:
        self._set(missing=check_choice("missing", self.missing, MISSING))
        super().__post_init__()
        if self._given_indices is not None and not self._given_indices.size:
            msg = f"indices must not be empty, for there is no {self._group_name} without rows"
            raise ValueError(msg)
        self._count(None)

    @property
    def _given_indices(self) -> IndexArray | None:
        return super()._indices

    @property
    def _indices(self) -> IndexArray | None:
        """The rows to choose among: those given, without those that have no key."""
        if self.missing == "error":
            return self._given_indices
        return self._once("chosen", self._choose)[0]

    def _keys(self) -> Keys:
        """Return the keys; where there is one for each of ``indices``, those of the rows to choose among."""
        return self._all_keys() if self.missing == "error" else self._once("chosen", self._choose)[1]

    def _all_keys(self) -> Keys:
        keys, missing = getattr(self, self._key_name), self.missing
        name, group = self._key_name, self._group_name
        return self._once("keys", lambda: read_keys(name, keys, group=group, missing=missing))

    def _choose(self) -> tuple[IndexArray | None, Keys, IndexArray | None]:
        """Return the rows to choose among, their keys, and where these are, if not where the rows are."""
        given, keys = self._given_indices, self._all_keys()
        if keys.missing is None:
            return given, keys, None
        there = ~keys.missing
        if given is None:
            return np.flatnonzero(there), keys, None
        if len(keys) == len(given):
            places = np.flatnonzero(there)
            return given[places], keys.of_rows(places), places
        if given.size and int(given[-1]) >= len(keys):
            return given, keys, None  # which is an error of its own
        chosen = given[there[given]]
        if not len(chosen):
            refuse_all_missing(self._key_name, len(given))
        return chosen, keys, None

    def _key_row(self, row: int) -> int:
        """Return where in the keys, as they were given, the key at a position of `_keys` is."""
        places = None if self.missing == "error" else self._once("chosen", self._choose)[2]
        return row if places is None else int(places[row])

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

    def _rows_by_group(self) -> dict[Any, IndexArray]:
        """Return the rows of each group, ascending, by its key as given; in order of first appearance."""
        groups = self._groups()
        firsts = groups.firsts()
        order = np.argsort(firsts).tolist()
        return {self._name_of(firsts[group : group + 1]): groups.members_of(group) for group in order}

    def _name_of(self, row: IndexArray) -> Any:
        """Return the key of a row, an array of one, as given."""
        at = self._key_row(int(self._positions(row)[0]))
        keys = getattr(self, self._key_name)
        value = keys.iloc[at] if hasattr(keys, "iloc") else keys[at]
        return value.item() if hasattr(value, "item") else value

    def _hashes(self) -> dict[str, Any]:
        return {**super()._hashes(), self._key_name: f"{self._groups().fingerprint:016x}"}

    def _compared(self) -> Iterator[object]:
        options = (value for name, value in self._fields() if name != self._key_name)
        return iter((*options, self._groups().fingerprint))

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold; keys by kind and length."""
        return {**super().describe(), "n_groups": self._groups().n_groups}
