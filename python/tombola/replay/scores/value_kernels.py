"""The kernels of `scores`: values of one row each into scores, and entropies of logits.

Rows are cut into chunks of one fixed size in both forms of a kernel. Exponentials and powers are those of the
system's mathematics library, of which a compiler may take other versions for whole vectors than for what is
left over; with fixed chunks a row meets the same version whatever the number of threads.

A chunk returns its first faulty row, NO_FAULT if there is none. Import this module late: it needs Numba.
"""

from typing import Any

import numpy as np
from numba import prange

from .runtime import Kernel, compiled

__all__ = [
    "CHUNK",
    "DIFFICULTY",
    "ENTROPY",
    "NO_FAULT",
    "POWER",
    "POWER_TIMES",
    "SIMILARITY",
    "TEMPORAL",
    "VALUES",
]

CHUNK = 2**14
NO_FAULT = 2**63 - 1
TEMPORAL, DIFFICULTY, POWER, POWER_TIMES, SIMILARITY = range(5)
INFINITY = np.inf


@compiled(inner=True)
def _temporal_rows(start: Any, stop: Any, ages: Any, half_life: Any, out: Any) -> Any:
    """2 ** (-age / half_life)."""
    for row in range(start, stop):
        age = ages[row]
        if not 0 <= age < INFINITY:
            return row
        out[row] = 2.0 ** (-age / half_life)
    return NO_FAULT


@compiled(inner=True)
def _difficulty_rows(start: Any, stop: Any, losses: Any, epsilon: Any, exponent: Any, out: Any) -> Any:
    """(loss + epsilon) ** exponent."""
    for row in range(start, stop):
        loss = losses[row]
        if not 0 <= loss < INFINITY:
            return row
        score = loss + epsilon
        if exponent != 1:
            score = score**exponent
        if not score < INFINITY:
            return row
        out[row] = score
    return NO_FAULT


@compiled(inner=True)
def _power_rows(start: Any, stop: Any, scores: Any, exponent: Any, times: Any, out: Any) -> Any:
    """Score ** exponent, times what is there."""
    for row in range(start, stop):
        score = scores[row]
        if not 0 <= score < INFINITY:
            return row
        if exponent != 1:
            score = score**exponent
        if times:
            score *= out[row]
        if not score < INFINITY:
            return row
        out[row] = score
    return NO_FAULT


@compiled(inner=True)
def _similarity_rows(start: Any, stop: Any, similarities: Any, epsilon: Any, out: Any) -> Any:
    """Divide what is there by similarity + epsilon."""
    for row in range(start, stop):
        similarity = similarities[row]
        if not 0 <= similarity <= 1:
            return row
        out[row] /= similarity + epsilon
    return NO_FAULT


@compiled(inner=True)
def _value_rows(kind: Any, start: Any, stop: Any, values: Any, first: Any, second: Any, out: Any) -> Any:
    if kind == TEMPORAL:
        return _temporal_rows(start, stop, values, first, out)
    if kind == DIFFICULTY:
        return _difficulty_rows(start, stop, values, first, second, out)
    if kind == SIMILARITY:
        return _similarity_rows(start, stop, values, first, out)
    return _power_rows(start, stop, values, first, kind == POWER_TIMES, out)


@compiled(inner=True)
def _entropy_rows(start: Any, stop: Any, logits: Any, scale: Any, out: Any) -> Any:
    """Entropy of the softmax of each row, times `scale`.

    With e_j = exp(l_j - max) over all but the largest logit and z their sum,
    H = log1p(z) + sum((max - l_j) * e_j) / (1 + z): no term is negative, so none cancels.
    """
    columns = logits.shape[1]
    for row in range(start, stop):
        best = 0
        for column in range(columns):
            logit = logits[row, column]
            if not logit < INFINITY:
                return row
            if logit > logits[row, best]:
                best = column
        largest = np.float64(logits[row, best])
        if largest == -INFINITY:
            return row
        others = 0.0
        weighted = 0.0
        for column in range(columns):
            below = largest - np.float64(logits[row, column])
            if column != best and below < INFINITY:
                share = np.exp(-below)
                others += share
                weighted += below * share
        out[row] = (np.log1p(others) + weighted / (1 + others)) * scale
    return NO_FAULT


@compiled
def _values_parts(
    first: Any, last: Any, kind: Any, values: Any, parameter: Any, second: Any, out: Any, faults: Any
) -> None:
    for part in range(first, last):
        stop = min((part + 1) * CHUNK, out.shape[0])
        faults[part] = _value_rows(kind, part * CHUNK, stop, values, parameter, second, out)


@compiled(parallel=True)
def _values_parallel(kind: Any, values: Any, parameter: Any, second: Any, out: Any, faults: Any) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # the index is unsigned, and would compile the parts once more
        _values_parts(part, part + 1, kind, values, parameter, second, out, faults)


@compiled
def _entropy_parts(first: Any, last: Any, chunk: Any, logits: Any, scale: Any, out: Any, faults: Any) -> None:
    for part in range(first, last):
        stop = min((part + 1) * chunk, out.shape[0])
        faults[part] = _entropy_rows(part * chunk, stop, logits, scale, out)


@compiled(parallel=True)
def _entropy_parallel(chunk: Any, logits: Any, scale: Any, out: Any, faults: Any) -> None:
    for index in prange(faults.shape[0]):
        part = np.int64(index)  # the index is unsigned, and would compile the parts once more
        _entropy_parts(part, part + 1, chunk, logits, scale, out, faults)


VALUES = Kernel(_values_parts, _values_parallel)
"""(kind, values, parameter, second, out, faults): the score of a kind, with two parameters, of each value."""

ENTROPY = Kernel(_entropy_parts, _entropy_parallel)
"""(chunk, logits, scale, out, faults): the entropy of each row of logits."""
