"""Types of the C++ core, see `cpp/bindings`. Users reach it through `tombola`.

Index arrays are int64 (`index_t` in C++), weights float32 or float64 (`weight_t`). Arrays that go in are
C-contiguous and one-dimensional; they are borrowed by tables and plans, never copied. Wrong values raise
ValueError, wrong dtypes TypeError, positions out of range IndexError.
"""

from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

_Indices: TypeAlias = npt.NDArray[np.int64]
_Weights: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]
_Columns: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]
_Codes: TypeAlias = (
    npt.NDArray[np.int8] | npt.NDArray[np.int16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
)

PLAN_VERSION: Final[int]

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def instruction_set() -> str: ...
def available_instruction_sets() -> list[str]: ...
def set_instruction_set(name: str) -> None: ...
def hash_array(a: npt.NDArray[Any]) -> int: ...
def check_increasing(indices: _Indices, n: int | None = None) -> None: ...
def permutation(n: int, seed: int) -> _Indices: ...
def class_counts(codes: _Codes, n_classes: int) -> _Indices: ...

class RandomPermutation:
    """A keyed bijection of [0, n): O(1) an element, O(1) memory."""

    def __init__(self, n: int, key: int) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def key(self) -> int: ...
    def __len__(self) -> int: ...
    def at(self, i: int) -> int: ...
    def inverse_at(self, x: int) -> int: ...
    def fill(self, start: int, stop: int) -> _Indices: ...
    def take(self, positions: _Indices) -> _Indices: ...
    def inverse_take(self, values: _Indices) -> _Indices: ...

class WeightTable:
    """Weights prepared for drawing: O(n) to build, about n / 64 words kept, borrows its arrays."""

    @staticmethod
    def from_values(weights: _Weights, indices: _Indices | None = None) -> WeightTable: ...
    @staticmethod
    def from_codes(
        codes: _Codes,
        class_weights: npt.NDArray[np.float64],
        indices: _Indices | None = None,
        counts: _Indices | None = None,
    ) -> WeightTable: ...
    @staticmethod
    def uniform(n: int) -> WeightTable: ...
    @property
    def n(self) -> int: ...
    @property
    def n_positive(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def scale_exponent(self) -> int: ...
    @property
    def fingerprint(self) -> int: ...

class AliasTable:
    """Unsorted weighted draws with replacement: O(1) a draw, 8 bytes a row."""

    def __init__(self, weights: WeightTable) -> None: ...
    @staticmethod
    def from_columns(columns: npt.NDArray[np.uint32]) -> AliasTable:
        """Return the table of these columns, cut and alias in turns."""

    @property
    def n(self) -> int: ...
    def columns(self) -> npt.NDArray[np.uint32]: ...
    def draw(self, size: int, seed: int, epoch: int = 0) -> _Indices: ...

class GroupedAlias:
    """Draws from groups of rows of equal weight: O(1) a draw, O(groups) memory."""

    def __init__(self, offsets: _Indices, weights: npt.NDArray[np.float64]) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def n_groups(self) -> int: ...
    def draw(self, size: int, seed: int, epoch: int = 0, members: _Columns | None = None) -> _Indices:
        """Return drawn positions, or the members there."""

class SumTree:
    """Weights that change, and draws in proportion to them: O(log n) each.

    Every method takes a lock: readers run side by side, a writer alone.
    """

    def __init__(self, n: int) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def n_positive(self) -> int: ...
    @property
    def scaled_total(self) -> tuple[int, int]:
        """The sum of the masses, and the exponent e of their scale 2**e."""

    def fill(self, weights: _Weights) -> None: ...
    def update(self, slots: _Indices, weights: npt.NDArray[np.float64]) -> None: ...
    def weights(self) -> npt.NDArray[np.float64]: ...
    def get(self, slots: _Indices) -> npt.NDArray[np.float64]: ...
    def probabilities(self, slots: _Indices) -> npt.NDArray[np.float64]: ...
    def draw(
        self, size: int, seed: int, step: int = 0, *, replace: bool = True, stratified: bool = False
    ) -> tuple[_Indices, npt.NDArray[np.float64], int]:
        """Return slots, the probability of each in a draw from all, and the number of positive weights."""

    def state(self) -> tuple[npt.NDArray[np.float64], bool, int, int]: ...
    def restore(self, weights: npt.NDArray[np.float64], chosen: bool, exponent: int, low: int) -> None: ...

class Groups:
    """Rows grouped by key, as CSR: O(n) to build, 4 bytes a row and a group, or 8 for row numbers from 2**31.

    Groups come in ascending order of key where keys span less than twice the number of rows, else of a hash
    of the key; rows of a group ascend. No other thread must write to keys or indices while groups are made;
    they are not borrowed.
    """

    @staticmethod
    def from_keys(keys: _Codes, indices: _Indices | None = None, wide: bool = False) -> Groups: ...
    @property
    def n(self) -> int: ...
    @property
    def n_groups(self) -> int: ...
    @property
    def largest(self) -> int: ...
    @property
    def fingerprint(self) -> int: ...
    def offsets(self) -> _Indices: ...
    def members(self) -> _Indices: ...
    def firsts(self) -> _Indices: ...

class Plan:
    """The immutable batches of one epoch, with random access."""

    @property
    def n_rows(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def fetch_factor(self) -> int: ...
    def __len__(self) -> int: ...
    def offset(self, k: int) -> int: ...
    def batches(self, start: int, stop: int) -> tuple[_Indices, _Indices]: ...

def plan_streaming(
    n: int,
    *,
    shuffle: bool,
    indices: _Indices | None = None,
    batch_size: int,
    fetch_factor: int,
    drop_last: bool,
    seed: int,
    epoch: int,
) -> Plan: ...
def plan_blocks(
    n: int,
    *,
    block_size: int,
    indices: _Indices | None = None,
    batch_size: int,
    fetch_factor: int,
    drop_last: bool,
    seed: int,
    epoch: int,
) -> Plan: ...
def plan_weighted(
    table: WeightTable,
    *,
    block_size: int,
    draws: int,
    draw: Literal["stratified", "iid"],
    sampling_size: int,
    indices: _Indices | None = None,
    batch_size: int,
    fetch_factor: int,
    drop_last: bool,
    seed: int,
    epoch: int,
) -> Plan: ...
def plan_series(
    groups: Groups,
    *,
    schedule: Literal["balanced", "round_robin"],
    per_series: int,
    shuffle: bool,
    batch_size: int,
    fetch_factor: int,
    drop_last: bool,
    seed: int,
    epoch: int,
) -> Plan: ...
def plan_buckets(
    groups: Groups,
    *,
    batch_sizes: _Indices | None,
    shuffle: bool,
    batch_size: int,
    fetch_factor: int,
    drop_last: bool,
    seed: int,
    epoch: int,
) -> Plan: ...
def csr_take(
    data: _Weights, indices: _Columns, indptr: _Indices, rows: _Indices
) -> tuple[_Weights, _Columns, _Indices]: ...
def csr_take_dense(
    data: _Weights, indices: _Columns, indptr: _Indices, rows: _Indices, n_columns: int
) -> _Weights: ...
def csr_check_columns(
    indices: _Columns, indptr: _Indices, n_columns: int, first: int, last: int
) -> tuple[bool, bool]: ...

class BufferPool:
    def __init__(self, *, keep: int, limit: int) -> None: ...
    def empty(self, size: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...
    @property
    def waiting(self) -> int: ...
    def __getstate__(self) -> tuple[int, int]: ...
    def __setstate__(self, state: tuple[int, int]) -> None: ...

def reservoir_slots(seed: int, first: int, count: int, slots: int) -> _Indices:
    """Return the slot of each item of a stream from ``first`` on, -1 where it is left out."""

def uniform_draws(seed: int, step: int, stored: int, size: int, *, replace: bool) -> _Indices: ...
def unit_draws(seed: int, step: int, size: int) -> npt.NDArray[np.float64]: ...
