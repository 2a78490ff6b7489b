"""Types of the C++ core, see `cpp/bindings`. Users reach it through `tombola`.

Index arrays are int64 (`index_t` in C++), weights float32 or float64 (`weight_t`). Arrays that go in are
C-contiguous and one-dimensional; they are borrowed by tables and plans, never copied. Wrong values raise
ValueError, wrong dtypes TypeError, positions out of range IndexError.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from ._base.types import CodeArray, FloatArray, IndexArray, WeightArray

_Columns: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]
_Data: TypeAlias = npt.NDArray[Any]
_Map: TypeAlias = npt.NDArray[np.int32] | int

class _Batching(TypedDict):
    batch_size: int
    fetch_factor: int
    drop_last: bool
    seed: int
    epoch: int

PLAN_VERSION: Final[int]

def set_num_threads(n: int) -> None:
    """Let calls of the core use `n` threads; batches are the same for any number.

    Parameters
    ----------
    n : int
        At least 1. Before the first call it is ``TOMBOLA_NUM_THREADS``, else the processors of the process.

    Raises
    ------
    ValueError
        If `n` is less than 1.
    """

def get_num_threads() -> int:
    """Return how many threads calls of the core use at most."""

def instruction_set() -> str: ...
def available_instruction_sets() -> list[str]: ...
def set_instruction_set(name: str) -> None: ...
def hash_array(a: npt.NDArray[Any]) -> int: ...
def check_increasing(indices: IndexArray, n: int | None = None) -> None: ...
def permutation(n: int, seed: int) -> IndexArray: ...
def class_counts(codes: CodeArray, n_classes: int) -> IndexArray: ...

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
    def fill(self, start: int, stop: int) -> IndexArray: ...
    def take(self, positions: IndexArray) -> IndexArray: ...
    def inverse_take(self, values: IndexArray) -> IndexArray: ...

class WeightTable:
    """Weights prepared for drawing: O(n) to build, at most 9 bytes for 8 rows kept, borrows its arrays."""

    @staticmethod
    def from_values(weights: WeightArray, indices: IndexArray | None = None) -> WeightTable: ...
    @staticmethod
    def from_codes(
        codes: CodeArray,
        class_weights: FloatArray,
        indices: IndexArray | None = None,
        counts: IndexArray | None = None,
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
    def draw(self, size: int, seed: int, epoch: int = 0) -> IndexArray: ...

class GroupedAlias:
    """Draws from groups of rows of equal weight: O(1) a draw, O(groups) memory."""

    def __init__(self, offsets: IndexArray, weights: FloatArray) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def n_groups(self) -> int: ...
    def draw(self, size: int, seed: int, epoch: int = 0, members: _Columns | None = None) -> IndexArray:
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

    def fill(self, weights: WeightArray) -> None: ...
    def update(self, slots: IndexArray, weights: FloatArray) -> None: ...
    def weights(self) -> FloatArray: ...
    def get(self, slots: IndexArray) -> FloatArray: ...
    def probabilities(self, slots: IndexArray) -> FloatArray: ...
    def draw(
        self, size: int, seed: int, step: int = 0, *, replace: bool = True, stratified: bool = False
    ) -> tuple[IndexArray, FloatArray, int]:
        """Return slots, the probability of each in a draw from all, and the number of positive weights."""

    def state(self) -> tuple[FloatArray, bool, int, int]: ...
    def restore(self, weights: FloatArray, chosen: bool, exponent: int, low: int) -> None: ...

class Groups:
    """Rows grouped by key, as CSR: O(n) to build, 4 bytes a row and a group, or 8 for row numbers from 2**31.

    Groups come in ascending order of key where keys span less than twice the number of rows, else of a hash
    of the key; rows of a group ascend. No other thread must write to keys or indices while groups are made;
    they are not borrowed.
    """

    @staticmethod
    def from_keys(keys: CodeArray, indices: IndexArray | None = None, wide: bool = False) -> Groups: ...
    @property
    def n(self) -> int: ...
    @property
    def n_groups(self) -> int: ...
    @property
    def largest(self) -> int: ...
    @property
    def fingerprint(self) -> int: ...
    def offsets(self) -> IndexArray: ...
    def members(self) -> IndexArray: ...
    def members_of(self, group: int) -> IndexArray: ...
    def firsts(self) -> IndexArray: ...

class BlockBounds:
    """Where blocks begin: O(blocks) to build, 8 bytes a block, a copy."""

    def __init__(self, bounds: IndexArray, indices: IndexArray | None = None) -> None: ...
    @property
    def n(self) -> int: ...
    @property
    def n_blocks(self) -> int: ...
    @property
    def largest(self) -> int: ...

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
    def batches(self, start: int, stop: int) -> tuple[IndexArray, IndexArray]: ...

def batch_lists(
    rows: IndexArray, offsets: IndexArray, first: int, stop: int, step: int
) -> list[list[int]]: ...
def plan_streaming(
    n: int, *, shuffle: bool, indices: IndexArray | None = None, **batching: Unpack[_Batching]
) -> Plan: ...
def plan_blocks(
    n: int, *, block_size: int, indices: IndexArray | None = None, **batching: Unpack[_Batching]
) -> Plan: ...
def plan_bounded_blocks(
    bounds: BlockBounds, *, indices: IndexArray | None = None, **batching: Unpack[_Batching]
) -> Plan: ...
def plan_weighted(
    table: WeightTable,
    *,
    block_size: int,
    draws: int,
    draw: Literal["stratified", "iid"],
    sampling_size: int,
    indices: IndexArray | None = None,
    **batching: Unpack[_Batching],
) -> Plan: ...
def plan_series(
    groups: Groups,
    *,
    schedule: Literal["balanced", "round_robin"],
    per_series: int,
    shuffle: bool,
    **batching: Unpack[_Batching],
) -> Plan: ...
def plan_buckets(
    groups: Groups, *, batch_sizes: IndexArray | None, shuffle: bool, **batching: Unpack[_Batching]
) -> Plan: ...

class Tuples:
    """Rows of each class in tuples of equally many."""

    def __init__(self, classes: Groups, rows_per_class: int, repeat: bool) -> None: ...
    @property
    def n_tuples(self) -> int: ...
    @property
    def n_classes(self) -> int: ...

def plan_per_class(tuples: Tuples, **batching: Unpack[_Batching]) -> Plan: ...
def plan_mixture(
    groups: Groups,
    *,
    portions: str,
    amounts: IndexArray,
    context_firsts: IndexArray,
    context_groups: IndexArray,
    batches: int,
    pass_rows: IndexArray | None = None,
    make_pass: Callable[[int, int], Plan] | None = None,
    **batching: Unpack[_Batching],
) -> Plan: ...
def csr_take(
    data: WeightArray, indices: _Columns, indptr: IndexArray, rows: IndexArray
) -> tuple[WeightArray, _Columns, IndexArray]: ...
def csr_take_dense(
    data: WeightArray, indices: _Columns, indptr: IndexArray, rows: IndexArray, n_columns: int
) -> WeightArray: ...
def csr_dense(
    data: npt.NDArray[Any],
    indices: _Columns,
    indptr: IndexArray,
    n_columns: int,
    first: int,
    out: npt.NDArray[Any],
    background: npt.NDArray[Any] | None = None,
) -> None: ...
def csr_check_columns(
    indices: _Columns, indptr: IndexArray, n_columns: int, first: int, last: int
) -> tuple[bool, bool]: ...
def csr_transform(
    data: _Data, indices: _Columns, indptr: IndexArray, maps: list[_Map], map_of_row: _Map | None, **work: Any
) -> tuple[IndexArray, int, int, bool, bool]: ...
def round_to_bfloat16(values: npt.NDArray[np.float32], words: npt.NDArray[np.uint16]) -> None: ...
def csr_compact(
    data: _Data, indices: _Columns, starts: IndexArray, places: IndexArray, out: _Data, out_indices: _Columns
) -> None: ...

class DenseWork:
    def __init__(self, map: _Map, *, n_columns: int, dtype: np.dtype[Any], **work: Any) -> None: ...
    def apply(self, rows: _Data, places: IndexArray | None, out: _Data) -> None: ...

class DataFile:
    def __init__(self, path: bytes, *, descriptor: int) -> None: ...
    @property
    def path(self) -> bytes: ...
    @property
    def stamp(self) -> tuple[int, int, int, int, int]: ...
    def read(self, address: int, size: int) -> bytes: ...

class ChunkReader:
    def __init__(
        self,
        file: DataFile,
        *,
        rows: int,
        row_bytes: int,
        chunk_rows: int,
        chunk_row_bytes: int,
        item_bytes: int,
        filters: list[str],
        fill: bytes,
        addresses: npt.NDArray[np.uint64],
        sizes: npt.NDArray[np.uint64],
        skipped: npt.NDArray[np.uint32],
        inflate: tuple[int, int, int] | None,
        zstd: tuple[int, int, int] | None,
    ) -> None: ...

_ReadJob: TypeAlias = tuple[
    ChunkReader,
    IndexArray,
    IndexArray,
    IndexArray | None,
    npt.NDArray[np.uint8],
    tuple[str, str] | None,
    DenseWork | None,
]

def read_rows(jobs: list[_ReadJob]) -> tuple[int, int, int, str] | None: ...
def can_convert(stored: str, given: str) -> bool: ...
def most_open_files() -> int: ...
def close_idle_files() -> None: ...

class RowPointers:
    """Where each row of a CSR matrix begins: below 2 bytes a row where rows hold less than 2**14 values.

    Made of indptr in pieces, one pass; O(1) a row looked up, O(log n) a position. Immutable.
    """

    @staticmethod
    def from_pieces(
        pieces: Iterable[npt.NDArray[np.integer[Any]]], expected: int = 0, unit: str = "row"
    ) -> RowPointers: ...
    @property
    def n_values(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def ranges(self, rows: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the start and the stop of each row."""

    def lengths(self, rows: IndexArray) -> IndexArray: ...
    def row_of(self, position: int) -> int:
        """Return the last row that begins at a position or before."""

    def unpack(self) -> IndexArray:
        """Return indptr as it was."""

def heap_texts(descriptor: int, offset: int, count: int) -> bytes | None:
    """Return lengths and bytes of texts in an HDF5 file; None where they are not as expected there."""

def overlong_text(descriptor: int, offset: int, count: int) -> tuple[int, int] | None:
    """Return the first text that the file has no room for, and the length that it claims."""

def texts_at(file: DataFile, references: npt.NDArray[np.uint8]) -> tuple[IndexArray, bytes] | None: ...
def text_keys(texts: bytes, bounds: IndexArray, keys: npt.NDArray[np.uint64]) -> None: ...
def count_repeats(keys: npt.NDArray[np.uint64]) -> int: ...

class BufferPool:
    def __init__(self, *, keep: int, limit: int) -> None: ...
    def empty(self, size: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]: ...
    @property
    def waiting(self) -> int: ...
    def __getstate__(self) -> tuple[int, int]: ...
    def __setstate__(self, state: tuple[int, int]) -> None: ...

def reservoir_slots(seed: int, first: int, count: int, slots: int) -> IndexArray:
    """Return the slot of each item of a stream from ``first`` on, -1 where it is left out."""

def uniform_draws(seed: int, step: int, stored: int, size: int, *, replace: bool) -> IndexArray: ...
def unit_draws(seed: int, step: int, size: int) -> FloatArray: ...
