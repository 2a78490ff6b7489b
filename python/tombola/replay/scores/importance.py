"""Importance of stored rows: far from their prototype, and of a rare group.

Balanced instance sampling: ``importance = 1 / (similarity + eps) * (groups / group_size) ** balance_weight``,
with the cosine of feature and class prototype, mapped to [0, 1] by ``(1 + cosine) / 2``. Features are read
once; everything else is O(rows), and O(groups) memory beside the scores. What the similarity of a row is
depends on that row and its prototype only, bit for bit: not on threads, tiles or neighbours.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..._base.checks import check_number
from ..._base.types import FloatArray, IndexArray
from .arrays import ArrayInput, check_shape, integers, output, read_only, real_numbers, reals, tiles
from .groups import NO_GROUPS, Groups, GroupsInput, read_groups, unknown_group, write_balance
from .values import divide_by_similarity

if TYPE_CHECKING:
    import torch

__all__ = ["importance_scores", "prototype_similarity"]

_CHUNK_ROWS = 2**14
_CHUNK_ELEMENTS = 2**17
_LANES = 16


def importance_scores(
    features: ArrayInput | None,
    labels: ArrayInput | None,
    prototypes: ArrayInput | None,
    groups: GroupsInput | None,
    *,
    balance_weight: float | Sequence[float] = 1.0,
    similarity: ArrayInput | None = None,
    group_sizes: ArrayInput | None = None,
    eps: float = 1e-6,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return ``1 / (similarity + eps) * (groups / group_size) ** balance_weight`` of each row.

    Parameters
    ----------
    features, labels, prototypes
        As for `prototype_similarity`, which says what rows of zeros and missing prototypes count as; all None
        where `similarity` is given.
    groups, balance_weight, group_sizes
        As for `group_balance`; with ``groups=None`` nothing is balanced.
    similarity : array-like or torch.Tensor, shape (n,), optional
        Similarity of each row, in [0, 1], such as a learned one.
    eps : float
        > 0; a row that equals its prototype scores ``1 / (1 + eps)``, its opposite ``1 / eps``.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        Finite, > 0 unless a power underflows. The last bits of powers may differ between platforms; all else
        is the same everywhere, and nothing depends on the number of threads.

    Raises
    ------
    TypeError, ValueError
        If types or shapes do not fit, features are not finite, a similarity is not in [0, 1] or a group is
        negative; the first row is named.
    IndexError
        If a label is none of the prototypes', or a group none of the sizes'; the first row is named.

    Notes
    -----
    One pass over the features, at the speed of memory where there are few prototypes; 8 bytes a row for the
    scores, and 8 MB for a tile where features are copied.

    Examples
    --------
    >>> features = np.array([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]], dtype=np.float32)
    >>> prototypes = np.array([[1.0, 0.0]])
    >>> importance_scores(features, [0, 0, 0], prototypes, [0, 0, 1]).round(3).tolist()
    [1.0, 2.0, 2.0]
    """
    epsilon = float(check_number("eps", eps, above=True))
    if similarity is None:
        if features is None or labels is None or prototypes is None:
            msg = "importance_scores needs features, labels and prototypes, or a similarity, but got neither"
            raise TypeError(msg)
        found = real_numbers("features", features, axes=2)
        codes = integers("labels", labels)
        table = _Prototypes(prototypes)
        rows = len(found)
        _check_fit(tuple(found.shape), codes, table)
    else:
        if features is not None or labels is not None or prototypes is not None:
            msg = "importance_scores takes features, labels and prototypes, or a similarity, but got both"
            raise TypeError(msg)
        given = reals("similarity", similarity)
        rows = len(given)
    balance = NO_GROUPS if groups is None else read_groups(groups, balance_weight, group_sizes)
    if groups is not None:
        check_shape("groups", balance.codes.shape, (rows,), "one a row")
    largest = float(balance.shares.max(initial=1.0))
    if not np.isfinite(largest / epsilon):
        msg = f"eps must not make scores overflow, but {largest:.3g} / {epsilon:.3g} does"
        raise ValueError(msg)
    inputs = (given, balance.codes) if similarity is not None else (found, codes, balance.codes)
    scores = output(out, rows, *inputs)
    if similarity is None:
        _run_features(found, codes, table, balance, epsilon, scores)
    else:
        if groups is None:
            scores.fill(1.0)
        else:
            write_balance(balance, scores)
        divide_by_similarity(given, epsilon, scores)
    return scores


def prototype_similarity(
    features: ArrayInput, labels: ArrayInput, prototypes: ArrayInput, *, out: FloatArray | None = None
) -> FloatArray:
    """Return ``(1 + cosine(features[i], prototypes[labels[i]])) / 2`` of each row i.

    Parameters
    ----------
    features : array-like or torch.Tensor, shape (n, width)
        float32 or float64, borrowed where C-contiguous and on the CPU. All else is copied in tiles of 8 MB:
        half types and integers up to 16 bits as float32, wider integers as float64, other memory layouts,
        tensors of other devices. A row of zeros has cosine 0: similarity 0.5. The squares of a row sum to 0
        or to a value in [1e-280, 1e300], as those of float32 always do.
    labels : array-like of int or torch.Tensor, shape (n,)
        In ``[0, len(prototypes))``.
    prototypes : array-like or torch.Tensor, shape (classes, width)
        A row of NaN is a missing prototype, one of zeros has no direction: rows of that class have
        similarity 0.5, neither near nor far, so that in `importance_scores` the balance of groups decides.
    out : ndarray of float64, shape (n,), optional
        Where similarities are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1], the same on all platforms and for any number of threads. Sums are taken in float64; the
        error is below ``(width + 8) * 2**-53``.

    Raises
    ------
    TypeError, ValueError
        If types or shapes do not fit, or a feature is not finite (the first row is named), or a prototype is
        neither finite nor all NaN.
    IndexError
        If a label is none of the prototypes' (the first row is named).

    Examples
    --------
    >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [0.0, 0.0]])
    >>> prototype_similarity(features, [0, 0, 0, 0], [[3.0, 0.0]]).tolist()
    [1.0, 0.5, 0.0, 0.5]
    """
    found = real_numbers("features", features, axes=2)
    codes = integers("labels", labels)
    table = _Prototypes(prototypes)
    _check_fit(tuple(found.shape), codes, table)
    similarities = output(out, len(found), found, codes)
    _run_features(found, codes, table, NO_GROUPS, 0.0, similarities)
    return similarities


def _check_fit(shape: tuple[int, ...], labels: IndexArray, prototypes: "_Prototypes") -> None:
    if shape[1] == 0 or shape[1] != prototypes.width:
        msg = (
            f"features must be as wide as prototypes, {prototypes.width}, and not empty, "
            f"but their width is {shape[1]}"
        )
        raise ValueError(msg)
    check_shape("labels", labels.shape, shape[:1], "one a row of features")


def _run_features(
    features: "npt.NDArray[Any] | torch.Tensor",
    labels: IndexArray,
    prototypes: "_Prototypes",
    balance: Groups,
    epsilon: float,
    out: FloatArray,
) -> None:
    """Score tile by tile, and say what is wrong with the first faulty row."""
    from . import importance_kernels as kernels
    from .runtime import run

    chunk = max(1, min(_CHUNK_ROWS, _CHUNK_ELEMENTS // prototypes.width))
    for start, tile in tiles(features):
        rows = slice(start, start + len(tile))
        codes = balance.codes[rows]
        faults = np.empty(-(-len(tile) // chunk), dtype=np.int64)
        run(
            kernels.IMPORTANCE,
            chunk,
            codes,
            balance.shares,
            tile,
            labels[rows],
            prototypes.table,
            prototypes.lengths,
            epsilon,
            out[rows],
            faults,
            work=tile.size,
        )
        fault = int(faults.min(initial=kernels.NO_FAULT))
        if fault == kernels.NO_FAULT:
            continue
        row, kind = divmod(fault, kernels.FAULT_KINDS)
        if kind == kernels.GROUP:
            raise unknown_group(start + row, int(codes[row]), len(balance.shares))
        if kind == kernels.LABEL:
            bound = f"[0, {prototypes.classes}), the rows of prototypes"
            msg = f"labels must lie in {bound}, but labels[{start + row}] = {int(labels[start + row])}"
            raise IndexError(msg)
        raise ValueError(_bad_features(start + row, tile[row]))


def _bad_features(row: int, features: npt.NDArray[Any]) -> str:
    finite = np.isfinite(features)
    if finite.all():
        largest = float(np.abs(features).max())
        return (
            "the squares of a row of features must sum to 0 or to a value in [1e-280, 1e300], "
            f"but the largest of features[{row}] is {largest:.3g}"
        )
    column = int(np.argmin(finite))
    return f"features must be finite, but features[{row}, {column}] = {float(features[column])!r}"


class _Prototypes:
    """Prototypes and their lengths as the kernel takes them.

    The largest value of each is first brought near 1 by a power of two: that is exact, changes no cosine, and
    no square leaves float64. Squares are summed in the order of the kernel. Missing ones have length 0. The
    table is float32 where that holds every value: half the bytes to move, and products that are exact.
    """

    def __init__(self, prototypes: ArrayInput) -> None:
        values = reals("prototypes", prototypes, axes=2)
        self.classes, self.width = values.shape
        finite = np.all(np.isfinite(values), axis=1)
        if not finite.all():
            odd = ~(finite | np.all(np.isnan(values), axis=1))
            if odd.any():
                row = int(np.argmax(odd))
                msg = f"prototypes must be finite, or all NaN where missing, but prototypes[{row}] is neither"
                raise ValueError(msg)
            values = np.where(finite[:, np.newaxis], values, 0.0)
        largest = np.maximum(values.max(axis=1, initial=0.0), -values.min(axis=1, initial=0.0))
        powers = np.ldexp(1.0, np.clip(-np.frexp(largest)[1], -1022, 1022))
        scaled = _whole_lanes(values * powers[:, np.newaxis])
        self.lengths = read_only(np.sqrt(_square_sums(scaled)))
        with np.errstate(under="ignore"):
            narrow = scaled.astype(np.float32)
        self.table = read_only(narrow if np.array_equal(narrow, scaled) else scaled)


def _whole_lanes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return values with columns of zeros behind, so that the columns fill all lanes."""
    missing = -values.shape[1] % _LANES
    return np.pad(values, ((0, 0), (0, missing))) if missing else values


def _square_sums(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sum of the squares of each row, lane by lane, then of the lanes."""
    squares = np.multiply(table, table).reshape(len(table), table.shape[1] // _LANES, _LANES)
    # Not along the last axis, so one after the other.
    sums: npt.NDArray[np.float64] = np.add.reduce(squares, axis=1)
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
