"""Running the kernel that makes scores of single values, and saying what is wrong with one."""

import math
from collections.abc import Callable

import numpy as np

from .._base.types import FloatArray

__all__ = ["bad_value", "divide_by_similarity", "score_values"]


def score_values(
    kind: str,
    values: FloatArray,
    first: float,
    second: float,
    out: FloatArray,
    complain: Callable[[int], str],
) -> FloatArray:
    """Run the kernel of a kind of score and return `out`.

    Raises
    ------
    ValueError
        With the text that `complain` gives for the first faulty row.
    """
    from .scores import value_kernels as kernels
    from .scores.runtime import run

    faults = np.empty(-(-len(values) // kernels.CHUNK), dtype=np.int64)
    run(kernels.VALUES, getattr(kernels, kind), values, first, second, out, faults, work=len(values))
    fault = int(faults.min(initial=kernels.NO_FAULT))
    if fault != kernels.NO_FAULT:
        raise ValueError(complain(fault))
    return out


def bad_value(name: str, values: FloatArray, power: float = 1.0) -> Callable[[int], str]:
    """Return what says why a row cannot be scored."""

    def complain(row: int) -> str:
        value = float(values[row])
        if 0 <= value < math.inf:
            return f"{name}[{row}] = {value!r} makes a score that is not finite; the exponent is {power!r}"
        return f"{name} must be finite and >= 0, but {name}[{row}] = {value!r}"

    return complain


def divide_by_similarity(similarity: FloatArray, eps: float, out: FloatArray) -> None:
    """Divide scores by similarities plus eps.

    Raises
    ------
    ValueError
        If a similarity is not in [0, 1]; the first row is named.
    """

    def complain(row: int) -> str:
        return f"similarity must lie in [0, 1], but similarity[{row}] = {float(similarity[row])!r}"

    score_values("SIMILARITY", similarity, eps, 0.0, out, complain)
