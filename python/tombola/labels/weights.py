"""Weights as the core takes them, and weights that balance classes.

Weights become float32 or float64 arrays, without a lossy cast. What balances classes is computed from their
counts; classes are read by `classes`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.checks import (
    borrowable,
    check_bool,
    check_choice,
    check_number,
    check_one_dimensional,
    is_ready,
    refuse_masked,
)
from .._base.types import FloatArray, IndexArray, WeightArray
from .classes import factorise, label_columns
from .numbering import MISSING, Missing

__all__ = ["class_weights", "compute_balanced_weights", "weight_array"]

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_EXACT = 2**53  # float64 holds all integers up to here


def compute_balanced_weights(
    *labels: Any, min_count_baseline: float = 1000, normalize: bool = True, missing: Missing = "error"
) -> FloatArray:
    """Return one weight a row that makes classes equally frequent, rare ones up to a limit.

    Parameters
    ----------
    *labels : array-like, shape (n,), or DataFrame
        Labels of the rows; with several columns their combinations are the classes. Integers, strings,
        objects that hash, or pandas categoricals. A list or tuple of sequences is read as columns, so for one
        tuple a row pass ``*zip(*rows)``.
    min_count_baseline : number
        Added to each count, so that classes much rarer than this are not blown up. 0 balances exactly.
    normalize : bool
        Scale the weights to the sum n, the number of rows that have a label.
    missing : {"error", "drop"}
        Whether a missing label is refused, or its row gets the weight 0; the others then have the weights
        that they would have without it.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``n / (n_combinations * (count + min_count_baseline))``, scaled if asked for.

    Raises
    ------
    TypeError
        If labels are floats or otherwise no labels.
    ValueError
        If a label is missing (the first row is named), or the columns differ in length.

    Examples
    --------
    >>> import tombola
    >>> tombola.compute_balanced_weights(["a", "a", "a", "b"], min_count_baseline=0).tolist()
    [0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 2.0]
    """
    if not labels:
        msg = "compute_balanced_weights needs at least one array of labels"
        raise TypeError(msg)
    check_bool("normalize", normalize)
    check_choice("missing", missing, MISSING)
    classes = factorise(
        labels[0] if len(labels) == 1 else [c for label in labels for c in label_columns(label)],
        missing=missing,
    )
    counts = classes.class_counts
    weights = class_weights(counts, min_count_baseline)
    if normalize:
        weights *= int(counts.sum()) / float(weights @ counts)
    return weights[classes.codes]


def class_weights(counts: IndexArray, min_count_baseline: float) -> FloatArray:
    """Return ``n / (n_classes * (count + baseline))`` for each class that occurs, 0 for the others."""
    baseline = check_number("min_count_baseline", min_count_baseline)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = int(counts.sum()) / (np.count_nonzero(present) * (counts[present] + float(baseline)))
    return weights


def weight_array(name: str, values: npt.ArrayLike, *, missing: Missing = "error") -> WeightArray:
    """Return weights as a C-contiguous, aligned float32 or float64 array; one that is so is borrowed.

    With ``missing="drop"`` NaN becomes 0, in a copy.

    Raises
    ------
    TypeError
        If the values are no real numbers, or a cast would lose digits.
    ValueError
        If they have not one axis, or one is masked.
    """
    if missing == "error" and (is_ready(values, _FLOAT64) or is_ready(values, _FLOAT32)):
        return values
    refuse_masked(name, values)
    array: npt.NDArray[Any] = np.asarray(values)
    check_one_dimensional(name, array)
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f" and bits <= 64:
        if missing == "drop" and (is_gap := np.isnan(array)).any():
            array = np.where(is_gap, 0, array)
        return _as_floats(array, double=bits == 64)
    if kind in "biu":
        if bits == 64 and array.size and max(-int(array.min()), int(array.max())) > _EXACT:
            msg = f"{name} must be floats or integers up to 2**53, but {array.dtype} holds larger ones"
            raise TypeError(msg)
        return _as_floats(array, double=bits > 16)
    msg = f"{name} must be real numbers that float64 holds, but the dtype is {array.dtype}"
    raise TypeError(msg)


def _as_floats(array: npt.NDArray[Any], *, double: bool) -> WeightArray:
    floats: WeightArray = borrowable(array, np.float64 if double else np.float32)
    return floats
