"""The random numbers of tombola, plainly: Philox4x32-10, key derivation, word streams, bounded integers.

Everything is a pure function of a 64-bit key, a 64-bit stream id and a position in the stream, vectorised
over any of them by broadcasting. Words of 32 bits travel in uint64 arrays: a product of two never overflows.

Sources: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox);
Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019 (bounded integers).
"""

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

U64 = NDArray[np.uint64]

LOW = np.uint64(0xFFFFFFFF)
MULTIPLIER = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))


class Purpose(IntEnum):
    """What a derived key is for; two purposes never share a stream."""

    PERMUTATION = 1
    PERMUTATION_BUCKET = 2
    RANDOM_PERMUTATION = 3
    BLOCKS = 4
    WINDOW = 5
    WINDOW_LARGE = 6
    STRATA = 7
    SPLIT = 8
    LEAF = 9
    ROUND = 10
    ROUND_KEYS = 11
    ROUND_BLOCKS = 12
    ALIAS = 13
    SERIES = 14
    GROUP_ROWS = 15
    GROUP_KEYS = 16
    LAYERS = 17
    LAYER_SHUFFLE = 18
    LAYER_SWAPS = 19
    LAYER_CROSSING = 20
    FULL_BATCHES = 21
    SHORT_BATCHES = 22
    BUCKET_BATCHES = 23
    LAYER_BLOCKS = 24
    LAYER_BLOCK_KEYS = 25
    GROUPED_ALIAS = 26
    SUM_TREE = 27
    SUM_TREE_DISTINCT = 28
    RESERVOIR = 29
    UNIFORM_DRAWS = 30
    THINNING = 31
    TUPLE_ROWS = 32
    TUPLE_KEYS = 33
    MIXTURE_ROWS = 34
    MIXTURE_KEYS = 35
    MIXTURE_BATCHES = 36


def u64(value: ArrayLike) -> U64:
    """Return ``value`` (int or array of non-negative integers) as a uint64 array."""
    return np.asarray(value, dtype=np.uint64)


def low(value: ArrayLike) -> U64:
    """Return the low 32 bits."""
    return np.asarray(u64(value) & LOW)


def high(value: ArrayLike) -> U64:
    """Return the high 32 bits."""
    return np.asarray(u64(value) >> np.uint64(32))


def philox(
    c0: ArrayLike, c1: ArrayLike, c2: ArrayLike, c3: ArrayLike, k0: ArrayLike, k1: ArrayLike
) -> tuple[U64, U64, U64, U64]:
    """Return the four 32-bit words of Philox4x32-10 for counter ``c0..c3`` and key ``k0, k1``."""
    a, b, c, d, key0, key1 = (u64(x) for x in (c0, c1, c2, c3, k0, k1))
    for _ in range(10):
        left, right = a * MULTIPLIER[0], c * MULTIPLIER[1]
        a, b, c, d = high(right) ^ b ^ key0, low(right), high(left) ^ d ^ key1, low(left)
        key0, key1 = low(key0 + WEYL[0]), low(key1 + WEYL[1])
    return a, b, c, d


def derive(seed: ArrayLike, epoch: ArrayLike, purpose: ArrayLike) -> U64:
    """Return the 64-bit key for a purpose (or another 64-bit number) in an epoch under a seed."""
    out = philox(low(epoch), high(epoch), low(purpose), high(purpose), low(seed), high(seed))
    return np.asarray(out[0] | out[1] << np.uint64(32))


def word(key: ArrayLike, stream: ArrayLike, t: ArrayLike) -> U64:
    """Return 32-bit word ``t`` of a stream in serial order: the counters one after the other."""
    group, which = u64(t) // np.uint64(4), u64(t) % np.uint64(4)
    out = philox(low(group), high(group), low(stream), high(stream), low(key), high(key))
    return np.asarray(np.choose(which.astype(np.intp), np.broadcast_arrays(*out)))


def lane_word(key: ArrayLike, stream: ArrayLike, t: ArrayLike) -> U64:
    """Return 32-bit word ``t`` of a stream in lane order: 16 counters' first words, their second ones, ..."""
    t = u64(t)
    group = np.uint64(16) * (t // np.uint64(64)) + t % np.uint64(16)
    which = t // np.uint64(16) % np.uint64(4)
    out = philox(low(group), high(group), low(stream), high(stream), low(key), high(key))
    return np.asarray(np.choose(which.astype(np.intp), np.broadcast_arrays(*out)))


def word64(key: ArrayLike, stream: ArrayLike, t: ArrayLike) -> U64:
    """Return 64 bits: serial words ``2t`` (low half) and ``2t + 1`` (high half) of a stream."""
    first = u64(t) * np.uint64(2)
    return np.asarray(word(key, stream, first) | word(key, stream, first + np.uint64(1)) << np.uint64(32))


def retry(key: ArrayLike, stream: ArrayLike, t: ArrayLike, attempt: int) -> U64:
    """Return the word that replaces a rejected ``lane_word(key, stream, t)``; ``t < 2**32``."""
    return philox(t, 0x80000000 | attempt, low(stream), high(stream), low(key), high(key))[0]


def bounded(key: ArrayLike, stream: ArrayLike, t: ArrayLike, size: ArrayLike) -> U64:
    """Return integers uniform in ``[0, size)``, ``1 <= size < 2**32``, without modulo bias."""
    key, stream, t, size = np.broadcast_arrays(u64(key), u64(stream), u64(t), u64(size))
    product = np.array(lane_word(key, stream, t) * size)
    threshold = (np.uint64(1 << 32) - size) % size
    attempt = 0
    while (rejected := low(product) < threshold).any():
        again = retry(key[rejected], stream[rejected], t[rejected], attempt)
        product[rejected] = again * size[rejected]
        attempt += 1
    return high(product)
