"""Scores from age, loss and logits, and the weighted product that joins scores. O(rows), one kernel each."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..._base.checks import check_bool, check_number
from ..._base.types import FloatArray
from .arrays import ArrayInput, check_shape, output, real_numbers, reals, tiles

__all__ = [
    "combine_scores",
    "difficulty_scores",
    "divide_by_similarity",
    "temporal_scores",
    "uncertainty_scores",
]


def temporal_scores(age: ArrayInput, *, half_life: float, out: FloatArray | None = None) -> FloatArray:
    """Return ``2 ** (-age / half_life)``: 1 for what is new, half of it after each half-life.

    Exponential decay, as in Cormode et al., "Forward Decay: A Practical Time Decay Model for Streaming
    Systems" (ICDE 2009). To prefer what is old, combine it with a negative weight.

    Parameters
    ----------
    age : array-like or torch.Tensor, shape (n,)
        How long ago each row was stored, >= 0, in any unit.
    half_life : float
        In the same unit, > 0.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]. The last bits may differ between platforms, never between thread counts.

    Raises
    ------
    TypeError, ValueError
        If ages are no real numbers, or one is negative or not finite (the first row is named).

    Examples
    --------
    >>> temporal_scores([0, 10, 20], half_life=10).tolist()
    [1.0, 0.5, 0.25]
    """
    decay = float(check_number("half_life", half_life, above=True))
    ages = reals("age", age)
    return _score("TEMPORAL", ages, decay, 0.0, output(out, len(ages), ages), _bad_value("age", ages))


def difficulty_scores(
    loss: ArrayInput, *, exponent: float = 1.0, eps: float = 1e-6, out: FloatArray | None = None
) -> FloatArray:
    """Return ``(loss + eps) ** exponent``: rows that were predicted badly come more often.

    The proportional priority of Schaul et al., "Prioritized Experience Replay" (2016), with the loss for the
    absolute TD error and `exponent` for its alpha; `eps` keeps a chance for rows of loss 0.

    Parameters
    ----------
    loss : array-like or torch.Tensor, shape (n,)
        Loss of each row, finite and >= 0.
    exponent : float
        0 gives every row the score 1.
    eps : float
        >= 0.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        >= 0. The last bits of powers may differ between platforms, never between thread counts.

    Raises
    ------
    TypeError, ValueError
        If losses are no real numbers, or one is negative, not finite, or too large for the power (the first
        row is named).

    Examples
    --------
    >>> difficulty_scores([0.0, 3.0], eps=1.0, exponent=0.5).tolist()
    [1.0, 2.0]
    """
    power = float(check_number("exponent", exponent))
    offset = float(check_number("eps", eps))
    losses = reals("loss", loss)
    scores = output(out, len(losses), losses)
    return _score("DIFFICULTY", losses, offset, power, scores, _bad_value("loss", losses, power))


def uncertainty_scores(
    logits: ArrayInput, *, normalised: bool = False, out: FloatArray | None = None
) -> FloatArray:
    """Return the entropy of each row's softmax, ``-sum(p * log(p))`` with ``p = softmax(logits)``.

    Shannon's entropy in nats, as in uncertainty sampling (Settles, "Active Learning Literature Survey",
    2009). It is taken from the logits without subtracting near-equal numbers, so that sure predictions keep
    their digits.

    Parameters
    ----------
    logits : array-like or torch.Tensor, shape (n, classes)
        Minus infinity leaves a class out of a row. Half types are upcast in tiles.
    normalised : bool
        Divide by ``log(classes)``, so that a uniform prediction scores 1; 0 for a single class.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        The last bits may differ between platforms, never between thread counts.

    Raises
    ------
    TypeError, ValueError
        If logits are no real numbers, there is no class, or a row holds NaN or plus infinity, or minus
        infinity only (the first row is named).

    Examples
    --------
    >>> uncertainty_scores([[0.0, 0.0, 0.0, 0.0], [100.0, 0.0, 0.0, 0.0]], normalised=True).round(3).tolist()
    [1.0, 0.0]
    """
    from . import value_kernels as kernels
    from .runtime import run

    values = real_numbers("logits", logits, axes=2)
    rows, classes = values.shape
    if classes == 0:
        msg = f"logits must have a class or more, but the shape is {tuple(values.shape)}"
        raise ValueError(msg)
    scale = 1.0
    if check_bool("normalised", normalised) and classes > 1:
        scale = 1 / math.log(classes)
    scores = output(out, rows, values)
    chunk = max(1, kernels.CHUNK // classes)
    for start, tile in tiles(values):
        faults = np.empty(-(-len(tile) // chunk), dtype=np.int64)
        run(kernels.ENTROPY, chunk, tile, scale, scores[start : start + len(tile)], faults, work=tile.size)
        fault = int(faults.min(initial=kernels.NO_FAULT))
        if fault != kernels.NO_FAULT:
            msg = (
                "logits must be finite, or minus infinity for some of a row's classes, "
                f"but logits[{start + fault}] holds {_odd_logit(tile[fault])}"
            )
            raise ValueError(msg)
    return scores


def combine_scores(
    *scores: ArrayInput, weights: Sequence[float] | None = None, out: FloatArray | None = None
) -> FloatArray:
    """Return the weighted product of scores, ``prod_k scores[k] ** weights[k]``.

    The logarithmic opinion pool (Genest and Zidek, "Combining Probability Distributions", 1986): what one
    score rules out stays out, and the units of scores cancel when draws normalise the product.

    Parameters
    ----------
    *scores : array-like or torch.Tensor, shape (n,)
        One array or more, finite and >= 0.
    weights : sequence of float, optional
        One a score, any finite numbers; 1 by default. 0 leaves a score out.
    out : ndarray of float64, shape (n,), optional
        Where the product is written; it must not overlap a score. After an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        Multiplied from left to right. The last bits of powers may differ between platforms, never between
        thread counts.

    Raises
    ------
    TypeError, ValueError
        If there are no scores, their lengths or the number of weights differ, or a value is negative, not
        finite or becomes so (score and first row are named).

    Examples
    --------
    >>> combine_scores([1.0, 2.0], [4.0, 9.0], weights=[1, 0.5]).tolist()
    [2.0, 6.0]
    """
    if not scores:
        msg = "combine_scores needs one score or more, but got none"
        raise TypeError(msg)
    arrays = [reals(f"scores[{k}]", score) for k, score in enumerate(scores)]
    powers = [1.0] * len(arrays) if weights is None else [_weight(k, w) for k, w in enumerate(weights)]
    if len(powers) != len(arrays):
        msg = f"weights must be one a score, {len(arrays)}, but there are {len(powers)}"
        raise ValueError(msg)
    for k, array in enumerate(arrays):
        check_shape(f"scores[{k}]", array.shape, arrays[0].shape, "as long as scores[0]")
    product = output(out, len(arrays[0]), *arrays)
    for k, (array, power) in enumerate(zip(arrays, powers, strict=True)):
        kind = "POWER_TIMES" if k else "POWER"
        _score(kind, array, power, 0.0, product, _bad_value(f"scores[{k}]", array, power))
    return product


def divide_by_similarity(similarity: FloatArray, eps: float, out: FloatArray) -> None:
    """Divide scores by similarities plus eps.

    Raises
    ------
    ValueError
        If a similarity is not in [0, 1]; the first row is named.
    """

    def complain(row: int) -> str:
        return f"similarity must lie in [0, 1], but similarity[{row}] = {float(similarity[row])!r}"

    _score("SIMILARITY", similarity, eps, 0.0, out, complain)


def _score(
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
    from . import value_kernels as kernels
    from .runtime import run

    faults = np.empty(-(-len(values) // kernels.CHUNK), dtype=np.int64)
    run(kernels.VALUES, getattr(kernels, kind), values, first, second, out, faults, work=len(values))
    fault = int(faults.min(initial=kernels.NO_FAULT))
    if fault != kernels.NO_FAULT:
        raise ValueError(complain(fault))
    return out


def _bad_value(name: str, values: FloatArray, power: float = 1.0) -> Callable[[int], str]:
    """Return what says why a row cannot be scored."""

    def complain(row: int) -> str:
        value = float(values[row])
        if 0 <= value < math.inf:
            return f"{name}[{row}] = {value!r} makes a score that is not finite; the exponent is {power!r}"
        return f"{name} must be finite and >= 0, but {name}[{row}] = {value!r}"

    return complain


def _odd_logit(row: "np.ndarray[tuple[int, ...], np.dtype[np.floating]]") -> str:
    odd = row[np.isnan(row) | (row == np.inf)]
    return repr(float(odd[0])) if len(odd) else "minus infinity only"


def _weight(k: int, weight: float) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float | np.integer | np.floating):
        msg = f"weights must be finite numbers, but weights[{k}] is {weight!r}"
        raise TypeError(msg)
    if not math.isfinite(weight):
        msg = f"weights must be finite numbers, but weights[{k}] is {weight!r}"
        raise ValueError(msg)
    return float(weight)
