"""The permutations of tombola, plainly: shuffle, exact permutation, keyed random-access bijection.

Sources: Durstenfeld, "Algorithm 235: random permutation", CACM 7(7), 1964; Rao, "Generation of random
permutations of given number of elements using random sampling numbers", Sankhya A 23, 1961, and Sandelius,
JRSS B 24, 1962 (scatter shuffle); Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002
(generalised Feistel network and cycle walking).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.oracle.philox import LOW, U64, Purpose, bounded, derive, high, lane_word, low, u64, word

I64 = NDArray[np.int64]

EXACT_BELOW = 1 << 16
ROUNDS = 12


def shuffle(key: ArrayLike, stream: ArrayLike, values: ArrayLike) -> I64:
    """Return ``values`` shuffled by Durstenfeld's walk from the end."""
    out: list[int] = np.asarray(values, dtype=np.int64).tolist()
    position = np.arange(len(out), dtype=np.uint64)
    partner: list[int] = bounded(key, stream, position, position + np.uint64(1)).tolist()
    for i in range(len(out) - 1, 0, -1):
        j = partner[i]
        out[i], out[j] = out[j], out[i]
    return np.array(out, dtype=np.int64)


def label_bits(n: int) -> int:
    """Return how many bits label a bucket of a large permutation."""
    return max(1, min(14, ((n - 1) >> 17).bit_length()))


def bucket_labels(n: int, seed: int) -> I64:
    """Return the random bucket of each element of a large permutation."""
    bits = label_bits(n)
    element = np.arange(n, dtype=np.uint64)
    chunk, inside = element >> np.uint64(20), element & np.uint64((1 << 20) - 1)
    words = lane_word(derive(seed, n, Purpose.PERMUTATION), chunk, inside >> np.uint64(1))
    half = words >> (np.uint64(16) * (inside & np.uint64(1)))
    return (half & np.uint64((1 << bits) - 1)).astype(np.int64)


def permutation(n: int, seed: int) -> I64:
    """Return an exact uniform permutation: one shuffle, or shuffled buckets of i.i.d. labels in a row."""
    if n < EXACT_BELOW:
        return shuffle(derive(seed, n, Purpose.PERMUTATION), 0, np.arange(n))
    labels = bucket_labels(n, seed)
    elements = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels, minlength=1 << label_bits(n)))
    key = derive(seed, n, Purpose.PERMUTATION_BUCKET)
    return np.concatenate([shuffle(key, b, part) for b, part in enumerate(np.split(elements, ends[:-1]))])


class Bijection:
    """A keyed bijection of [0, n) with its inverse: an exact table for small n, a Feistel network above."""

    def __init__(self, n: int, key: ArrayLike, exact_below: int, rounds: int = ROUNDS) -> None:
        self.n = n
        self.rounds = rounds
        self.table: I64 | None = shuffle(key, n, np.arange(n)) if n < exact_below else None
        if self.table is None:
            self.left_bits = (n - 1).bit_length() // 2
            self.left_size = 1 << self.left_bits
            self.right_size = -(-n // self.left_size)
            self.round_words = word(key, n, np.arange(2 * rounds))

    def __call__(self, x: ArrayLike) -> I64:
        """Return p(x)."""
        if self.table is not None:
            return np.asarray(self.table[np.asarray(x)])
        return self._walk(u64(x), inverse=False)

    def inverse(self, y: ArrayLike) -> I64:
        """Return the x with p(x) = y."""
        if self.table is not None:
            return np.asarray(np.argsort(self.table)[np.asarray(y)])
        return self._walk(u64(y), inverse=True)

    def _walk(self, x: U64, *, inverse: bool) -> I64:
        y = np.array(self._network(x, inverse=inverse))
        while (outside := y >= np.uint64(self.n)).any():
            y[outside] = self._network(y[outside], inverse=inverse)
        return y.astype(np.int64)

    def _network(self, x: U64, *, inverse: bool) -> U64:
        a, b, shift = np.uint64(self.left_size), np.uint64(self.right_size), np.uint64(self.left_bits)
        left, right = x & (a - np.uint64(1)), x >> shift
        for r in reversed(range(self.rounds)) if inverse else range(self.rounds):
            if r % 2 == 0:
                add = self._hash(right, r) >> (np.uint64(32) - shift)
                left = (left + (a - add if inverse else add)) % a
            else:
                add = high(self._hash(left, r) * b)
                right = (right + (b - add if inverse else add)) % b
        return np.asarray(right << shift | left)

    def _hash(self, value: U64, r: int) -> U64:
        t = low((value ^ self.round_words[2 * r]) * np.uint64(0x9E3779B1))
        t = t ^ (t >> np.uint64(15))
        return low(t * ((self.round_words[2 * r + 1] | np.uint64(1)) & LOW))


def random_permutation(n: int, key: int) -> Bijection:
    """Return what ``RandomPermutation(n, key)`` stands for: exact up to 64 elements."""
    return Bijection(n, derive(key, 0, Purpose.RANDOM_PERMUTATION), 65)
