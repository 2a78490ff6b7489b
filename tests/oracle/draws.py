"""Weighted draws, plainly: stratified, independent, and without replacement. All return drawn rows, sorted.

Sources: stratified draws with one uniform a stratum, Kitagawa, JCGS 5(1), 1996; order statistics by binary
splitting, Devroye, "Non-uniform random variate generation", 1986, chapter V; draws without replacement by
exponential keys, Efraimidis and Spirakis, IPL 97, 2006.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive, word, word64
from tests.oracle.weights import Quantised

SQRT_HALF = 0.70710678118654752440
LN_2 = 0.693147180559945309417


def stratified(weights: Quantised, draws: int, seed: int, epoch: int) -> I64:
    """Return one row per stratum of equal mass: no count is 2 or more off its expectation."""
    step = (weights.total << 64) // draws
    edge = [(i * step) >> 64 for i in range(draws + 1)]
    uniform: list[int] = word(derive(seed, epoch, Purpose.STRATA), 0, np.arange(draws)).tolist()
    return weights.row([edge[i] + ((uniform[i] * (edge[i + 1] - edge[i])) >> 32) for i in range(draws)])


def iid_depth(draws: int) -> int:
    """Return the depth of the splitting tree: leaves expect at most 16 draws."""
    depth = 0
    while draws > 16 << depth:
        depth += 1
    return depth


def ragged(lengths: I64) -> tuple[I64, I64]:
    """Return the owner of each element and its place there, for owners with ``lengths`` elements in a row."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def leaf_counts(draws: int, seed: int, epoch: int) -> I64:
    """Return how many of the independent draws fall in each leaf of the splitting tree.

    A node with k draws hands to its left child as many as are set among the first k bits of its stream, a
    Binomial(k, 1/2) number.
    """
    key = derive(seed, epoch, Purpose.SPLIT)
    counts = np.array([draws])
    for level in range(iid_depth(draws)):
        node, t = ragged(-(-counts // 32))
        words = word(key, (1 << level) + node, t)
        wanted = np.minimum(counts[node] - 32 * t, 32).astype(np.uint64)
        bits = words & ((np.uint64(1) << wanted) - np.uint64(1))
        ones = np.unpackbits(bits.astype("<u4").view(np.uint8)).reshape(-1, 32).sum(axis=1)
        left = np.bincount(node, weights=ones, minlength=len(counts)).astype(np.int64)
        counts = np.column_stack([left, counts - left]).ravel()
    return counts


def iid_targets(total: int, draws: int, seed: int, epoch: int) -> list[int]:
    """Return the sorted targets of independent draws; a leaf's number is the head of its draws' fractions."""
    depth = iid_depth(draws)
    leaf, j = ragged(leaf_counts(draws, seed, epoch))
    tails: list[int] = word64(derive(seed, epoch, Purpose.LEAF), leaf, j).tolist()
    fractions = [(x << 64 - depth) | (v >> depth) for x, v in zip(leaf.tolist(), tails, strict=True)]
    return [(u * total) >> 64 for u in sorted(fractions)]


def iid(weights: Quantised, draws: int, seed: int, epoch: int) -> I64:
    """Return independent draws, sorted: their counts are multinomial."""
    return weights.row(iid_targets(weights.total, draws, seed, epoch))


def ln(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the natural logarithm for x in (0, 1), by plain IEEE operations: 2 artanh((f - 1) / (f + 1))."""
    f, exponent = np.frexp(x)
    small = f < SQRT_HALF
    f = np.where(small, f * 2, f)
    exponent = np.where(small, exponent - 1, exponent)
    s = (f - 1) / (f + 1)
    z = s * s
    p = np.full_like(s, 1 / 21)
    for odd in (19, 17, 15, 13, 11, 9, 7, 5, 3, 1):
        p = p * z + 1 / odd
    return np.asarray(exponent * LN_2 + 2 * s * p)


def round_keys(weights: Quantised, rows: I64, number: int, seed: int, epoch: int) -> NDArray[np.float64]:
    """Return the exponential key of each row, with rate its weight; the smallest come first."""
    v = word64(derive(seed, epoch, Purpose.ROUND_KEYS), number, rows)
    x = ((v >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return -ln(x) / weights.q[rows].astype(np.float64)


def draw_and_reject(
    weights: Quantised, size: int, number: int, seed: int, epoch: int, *, attempts: int | None = None
) -> set[int]:
    """Return up to ``size`` different rows: draws with replacement, those seen before rejected."""
    attempt = np.arange(2 * size + 64 if attempts is None else attempts)
    values: list[int] = word64(derive(seed, epoch, Purpose.ROUND), number, attempt).tolist()
    accepted: set[int] = set()
    for row in weights.row([(v * weights.total) >> 64 for v in values]).tolist():
        accepted.add(row)
        if len(accepted) == size:
            break
    return accepted


def without_replacement_round(weights: Quantised, size: int, number: int, seed: int, epoch: int) -> I64:
    """Return the rows of one round, sorted: distributed as ``size`` successive draws without replacement."""
    accepted: set[int] = set()
    if 4 * size <= weights.n_positive:
        accepted = draw_and_reject(weights, size, number, seed, epoch)
    missing = size - len(accepted)
    if missing:
        rest = np.array([r for r in np.flatnonzero(weights.q).tolist() if r not in accepted], dtype=np.int64)
        order = np.argsort(round_keys(weights, rest, number, seed, epoch), kind="stable")
        accepted.update(rest[order[:missing]].tolist())
    return np.array(sorted(accepted), dtype=np.int64)
