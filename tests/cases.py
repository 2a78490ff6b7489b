"""One epoch described once, for the core (`tests/compare.py`), the oracle and the golden files.

A case holds every option of a plan. Weights follow from a formula of integers, so that a case is small, is
the same on every platform and can be named in a golden file.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests import oracle
from tests.oracle.permutations import I64

Kind = Literal["streaming", "windows", "blocks", "stratified", "iid", "rounds"]
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


@dataclass(frozen=True, kw_only=True)
class Case:
    """Every option of one plan; ``weights_dtype`` of an integer type means class codes."""

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
        if self.kind == "blocks":
            return oracle.blocks(n, self.batching, block_size=self.block_size, indices=indices)
        return oracle.streaming(n, self.batching, shuffle=self.kind == "windows", indices=indices)
