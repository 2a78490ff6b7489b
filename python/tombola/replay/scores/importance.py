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
from .._prototypes import Prototypes
from .._values import divide_by_similarity
from .arrays import ArrayInput, check_shape, integers, output, read_only, real_numbers, reals, tiles
from .groups import Groups, GroupsInput, read_groups

if TYPE_CHECKING:
    import torch

__all__ = ["group_balance", "importance_scores", "prototype_similarity"]

_CHUNK_ROWS = 2**14
_CHUNK_ELEMENTS = 2**17


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
        table = Prototypes(prototypes)
        rows = len(found)
        _check_fit(tuple(found.shape), codes, table)
    else:
        if features is not None or labels is not None or prototypes is not None:
            msg = "importance_scores takes features, labels and prototypes, or a similarity, but got both"
            raise TypeError(msg)
        given = reals("similarity", similarity)
        rows = len(given)
    balance = _NO_GROUPS if groups is None else read_groups(groups, balance_weight, group_sizes)
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
            _write_balance(balance, scores)
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
    table = Prototypes(prototypes)
    _check_fit(tuple(found.shape), codes, table)
    similarities = output(out, len(found), found, codes)
    _run_features(found, codes, table, _NO_GROUPS, 0.0, similarities)
    return similarities


def group_balance(
    groups: GroupsInput,
    *,
    balance_weight: float | Sequence[float] = 1.0,
    group_sizes: ArrayInput | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return ``(groups / size of the row's group) ** balance_weight`` of each row.

    Inverse class frequency, tempered by a power as in Mahajan et al., "Exploring the Limits of Weakly
    Supervised Pretraining" (2018): weight 1 gives every group the same chance, 0 every row.

    With several levels (superclass, class, ...) the group of a row at a level is its path down to there. The
    first level counts as above; at level l the factor is
    ``(size of the parent / (children of the parent * size of the group)) ** balance_weight[l]``, 1 on average
    inside each parent. Weights of 1 give equal chances to all superclasses, to all classes inside each, and
    so on. For levels that are not nested, such as class and task, combine two balances with `combine_scores`.

    Parameters
    ----------
    groups : array-like of int or torch.Tensor, shape (n,) or (n, levels)
        Group of each row, >= 0; also a sequence of levels, each of shape (n,). Groups without rows do not
        count. Codes should be small: from ``max(65536, 2 * n)`` on they are sorted.
    balance_weight : float or sequence of float
        >= 0; for several levels one for all or one each.
    group_sizes : array-like of int, optional
        Rows of each group, where they are known, for a single level. They are taken as they are: sizes of a
        whole of which `groups` shows a part are welcome. A size of 0 gives the share 1.
    out : ndarray of float64, shape (n,), optional
        Where scores are written; after an error it is partly written.

    Returns
    -------
    ndarray of float64, shape (n,)
        The last bits of powers may differ between platforms, never between thread counts.

    Raises
    ------
    TypeError, ValueError
        If groups are no integers, one is negative (the first row is named), or weights or sizes do not fit.
    IndexError
        If a group is none of `group_sizes` (the first row is named).

    Examples
    --------
    >>> group_balance([0, 0, 0, 1]).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    >>> group_balance([[0, 0, 0, 1], [0, 0, 1, 2]]).round(3).tolist()  # superclasses, classes
    [0.5, 0.5, 1.0, 2.0]
    """
    balance = read_groups(groups, balance_weight, group_sizes)
    scores = output(out, len(balance.codes), balance.codes)
    _write_balance(balance, scores)
    return scores


_NO_CODES: IndexArray = read_only(np.empty(0, dtype=np.int64))
_NO_GROUPS = Groups(_NO_CODES, read_only(np.empty(0)))


def _check_fit(shape: tuple[int, ...], labels: IndexArray, prototypes: Prototypes) -> None:
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
    prototypes: Prototypes,
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
            raise _unknown_group(start + row, int(codes[row]), len(balance.shares))
        if kind == kernels.LABEL:
            bound = f"[0, {prototypes.classes}), the rows of prototypes"
            msg = f"labels must lie in {bound}, but labels[{start + row}] = {int(labels[start + row])}"
            raise IndexError(msg)
        raise ValueError(_bad_features(start + row, tile[row]))


def _write_balance(balance: Groups, out: FloatArray) -> None:
    from . import importance_kernels as kernels
    from .runtime import run

    faults = np.empty(-(-len(out) // _CHUNK_ROWS), dtype=np.int64)
    run(kernels.BALANCE, _CHUNK_ROWS, balance.codes, balance.shares, out, faults, work=len(out))
    fault = int(faults.min(initial=kernels.NO_FAULT))
    if fault != kernels.NO_FAULT:
        row = fault // kernels.FAULT_KINDS
        raise _unknown_group(row, int(balance.codes[row]), len(balance.shares))


def _unknown_group(row: int, group: int, groups: int) -> IndexError:
    bound = f"[0, {groups}), the groups of group_sizes"
    return IndexError(f"groups must lie in {bound}, but groups[{row}] = {group}")


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
