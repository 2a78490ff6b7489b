"""One epoch described once, for the core (`tests/compare.py`), the oracle and the golden files.

A case holds every option of a plan. Weights and keys follow from formulas of integers, so that a case is
small, is the same on every platform and can be named in a golden file. `Case` is of rows or weights,
`GroupCase` of rows grouped by key.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests import oracle
from tests.oracle.permutations import I64

Kind = Literal["streaming", "windows", "blocks", "bounded", "stratified", "iid", "rounds"]
WeightKind = Literal["equal", "mixed", "zeros", "steep", "one", "tiny", "huge", "wide"]
WEIGHT_KINDS: tuple[WeightKind, ...] = ("equal", "mixed", "zeros", "steep", "one", "tiny", "huge", "wide")
N_CLASSES = 11


def make_weights(kind: WeightKind, n: int) -> NDArray[np.float64]:
    """Return ``n`` weights: some rows zero, some heavy, at scales up to the ends of float64."""
    i = np.arange(n)
    mixed: NDArray[np.float64] = np.asarray(((i * 7919 + 13) % 101 + 1) / 7.0)
    match kind:
        case "equal":
            return np.ones(n)
        case "mixed":
            return mixed
        case "zeros":
            return np.asarray(np.where(i * 2654435761 % 16 < 11, 0.0, mixed) + (i == n // 2))
        case "steep":
            return np.asarray(2.0 ** -(i * 31 % 60).astype(np.float64))
        case "one":
            return np.where(i == n // 3, 0.3, 0.0)
        case "tiny":
            return np.asarray(mixed * 1e-280)
        case "huge":
            return np.asarray(mixed * 1e300)
        case "wide":
            wide = np.where(i % 3 == 0, 1e-300, np.where(i % 3 == 1, 0.5, 5e-324))
            return np.asarray(wide * (i % 5 > 0) + (i == 0))


def make_codes(n: int, dtype: str) -> I64 | NDArray[Any]:
    """Return a class for each of ``n`` rows; the last class never occurs."""
    i = np.arange(n)
    return np.asarray((i * i + i // 7) % (N_CLASSES - 1)).astype(dtype)


def make_class_weights(kind: WeightKind) -> NDArray[np.float64]:
    """Return a weight for each class; that of the class that never occurs is the largest by far."""
    weights = make_weights(kind, N_CLASSES)
    weights[-1] = weights.max() * 1e6
    return weights


def make_indices(n: int) -> I64:
    """Return a strictly increasing choice among ``[0, n)``: about two rows of three."""
    i = np.arange(n)
    return np.flatnonzero(i * 40503 % 97 < 65)


def make_bounds(n: int, most: int) -> I64:
    """Return bounds of blocks of 1 to ``most`` rows, the last one shorter where it must be."""
    i = np.arange(n)
    ends = np.cumsum(1 + i * 40503 % 97 % most)
    return np.concatenate([[0], ends[ends < n], [n][: n > 0]]).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Every option of one plan; ``weights_dtype`` of an integer type means class codes.

    Bounded blocks have at most ``block_size`` rows.
    """

    kind: Kind
    n: int
    batching: oracle.Batching
    block_size: int = 1
    draws: int = 0
    sampling_size: int = 0
    weights: WeightKind = "equal"
    weights_dtype: str = "float64"
    subset: Literal["", "whole", "subset"] = ""

    @property
    def weighted(self) -> bool:
        """Whether rows are drawn by weight."""
        return self.kind in {"stratified", "iid", "rounds"}

    @property
    def indices(self) -> I64 | None:
        """The rows to choose among, where the case is about a subset."""
        return make_indices(self.n) if self.subset else None

    @property
    def bounds(self) -> I64:
        """Where the blocks of the whole begin, where the case is about such."""
        return make_bounds(self.n, self.block_size)

    @property
    def n_elements(self) -> int:
        """How many rows there are to choose among."""
        indices = self.indices
        return self.n if indices is None else len(indices)

    def weight_arguments(self) -> tuple[bool, tuple[Any, ...]]:
        """Return whether they are codes, and the arguments of the table."""
        indices = self.indices
        rows = self.n if indices is None or self.subset == "whole" else len(indices)
        lookup = indices if self.subset == "whole" else None
        if self.weights_dtype.startswith("int"):
            return True, (make_codes(rows, self.weights_dtype), make_class_weights(self.weights), lookup)
        return False, (make_weights(self.weights, rows).astype(self.weights_dtype), lookup)

    def oracle_weights(self) -> oracle.Quantised:
        """Return the integer weights by the oracle."""
        codes, arguments = self.weight_arguments()
        return oracle.quantise_codes(*arguments) if codes else oracle.quantise_values(*arguments)

    def draw_arguments(self) -> dict[str, Any]:
        """Return what a weighted plan is asked for."""
        draw = "iid" if self.kind == "iid" else "stratified"
        return {"draws": self.draws, "draw": draw, "sampling_size": self.sampling_size}

    def by_oracle(self) -> oracle.OraclePlan:
        """Return the plan by the oracle."""
        indices, n = self.indices, self.n_elements
        if self.weighted:
            return oracle.weighted(
                self.oracle_weights(),
                self.batching,
                block_size=self.block_size,
                indices=indices,
                **self.draw_arguments(),
            )
        if self.kind == "bounded":
            return oracle.bounded_blocks(self.batching, bounds=self.bounds, indices=indices)
        if self.kind == "blocks":
            return oracle.blocks(n, self.batching, block_size=self.block_size, indices=indices)
        return oracle.streaming(n, self.batching, shuffle=self.kind == "windows", indices=indices)


GroupKind = Literal["balanced", "round_robin", "buckets"]
KeyKind = Literal["dense", "scattered", "extremes"]
KEY_KINDS: tuple[KeyKind, ...] = ("dense", "scattered", "extremes")
KEY_DTYPES = ("int8", "int16", "int32", "int64")


def group_keys(kind: KeyKind, n_groups: int, dtype: str) -> NDArray[Any]:
    """Return different keys: from -3 on, all over the dtype, or at both of its ends."""
    bits = 8 * np.dtype(dtype).itemsize
    g = range(n_groups)
    match kind:
        case "dense":
            return np.array([i - 3 for i in g], dtype=dtype)
        case "scattered":
            spread = [(i * 0x9E3779B97F4A7C15 + 77) % 2**bits - 2 ** (bits - 1) for i in g]
            return np.array(spread, dtype=dtype)
        case "extremes":
            ends = [2 ** (bits - 1) - 1 - i // 2 if i % 2 else i // 2 - 2 ** (bits - 1) for i in g]
            return np.array(ends, dtype=dtype)


def deal(n: int) -> I64:
    """Return a permutation of [0, n) that takes neighbours far apart: multiples of a step without divisor."""
    step = max(1, n * 5 // 8)
    while math.gcd(step, n) > 1:
        step += 1
    return np.arange(n) * step % n


@dataclass(frozen=True, kw_only=True)
class GroupCase:
    """Every option of one plan over groups; ``counts`` has the rows of each, ``rows`` says which they are."""

    kind: GroupKind
    counts: tuple[int, ...]
    batching: oracle.Batching
    keys: KeyKind = "dense"
    keys_dtype: str = "int64"
    rows: Literal["", "subset", "beyond_32_bits"] = ""
    wide: bool = False
    shuffle: bool = True
    per_series: int = 1
    uneven: bool = False

    @property
    def n(self) -> int:
        """How many rows there are."""
        return sum(self.counts)

    @property
    def indices(self) -> I64 | None:
        """The rows that are grouped, where they are not all: an ascending choice."""
        if not self.rows:
            return None
        i = np.arange(self.n)
        chosen = i + np.cumsum(i * 40503 % 97 < 32)
        return chosen if self.rows == "subset" else 2**33 + 1000 * chosen

    def make_keys(self) -> NDArray[Any]:
        """Return the key of each row."""
        by_group = np.repeat(group_keys(self.keys, len(self.counts), self.keys_dtype), self.counts)
        return by_group[deal(self.n)]

    @property
    def batch_sizes(self) -> I64 | None:
        """Rows a batch in each bucket, where they differ."""
        return 1 + np.arange(len(self.counts)) * 5 % self.batching.batch_size if self.uneven else None

    def by_oracle(self) -> oracle.RaggedPlan:
        """Return the plan by the oracle."""
        groups = oracle.group(self.make_keys(), self.indices)
        if self.kind == "buckets":
            return oracle.buckets(groups, self.batching, batch_sizes=self.batch_sizes, shuffle=self.shuffle)
        if self.kind == "round_robin":
            return oracle.round_robin(groups, self.batching, shuffle=self.shuffle)
        return oracle.balanced(groups, self.batching, per_series=self.per_series, shuffle=self.shuffle)
