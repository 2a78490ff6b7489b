"""Rows grouped by key, plainly, the random order inside each group, and plans whose batches differ in size.

A group's order is a shuffle (up to 64 rows) or a Feistel network (above), whose random words belong to the
place of the group's first member: no two groups share any.

Sources: as in `tests/oracle/permutations.py`; the mixer of scattered keys is a xor-shift-multiply bijection
of 64 bits, after Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tests.oracle.permutations import I64, Bijection
from tests.oracle.philox import U64, Purpose, derive, high, low, retry, u64, word

MIXER = np.uint64(0xD6E8FEB86659FD93)
SHUFFLED_UP_TO = 64


@dataclass(frozen=True, eq=False)
class Groups:
    """Members of all groups in a row; those of group g are ``members[offsets[g]:offsets[g + 1]]``."""

    offsets: I64
    members: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> I64:
        """Rows in each group."""
        return np.diff(self.offsets)

    @property
    def firsts(self) -> I64:
        """The first member of each group."""
        return self.members[self.offsets[:-1]]


@dataclass(frozen=True, eq=False)
class RaggedPlan:
    """The rows of one epoch and their batches, which differ in size: ``offsets`` has one more entry."""

    rows: I64
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def batch(self, k: int) -> I64:
        """Return the rows of batch ``k``."""
        return self.rows[self.offsets[k] : self.offsets[k + 1]]

    def offset(self, k: int) -> int:
        """Return the first position of batch ``k``; of ``len(self)``, the number of rows."""
        return int(self.offsets[k])


def mix(x: ArrayLike) -> U64:
    """Return 64-bit numbers scattered by a bijection."""
    out = np.atleast_1d(u64(x))
    for _ in range(2):
        out = (out ^ (out >> np.uint64(32))) * MIXER
    return np.asarray(out ^ (out >> np.uint64(32)))


def group(keys: ArrayLike, indices: ArrayLike | None = None) -> Groups:
    """Return the rows (or ``indices``) of each key, ascending, groups in ascending order of key.

    Keys that span 2n or more are ordered by their mixed distance from the least one.
    """
    key: list[int] = np.asarray(keys).tolist()
    rows = np.arange(len(key)) if indices is None else np.asarray(indices, dtype=np.int64)
    least = min(key)
    distance = u64([k - least for k in key])
    place = distance if max(key) - least < 2 * len(key) else mix(distance)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order])) + 1
    return Groups(np.concatenate([[0], starts, [len(key)]]), rows[order])


def shuffles(count: int, firsts: I64, key: U64) -> I64:
    """Return the order of each of some groups of ``count`` rows that begin at ``firsts``, one a row."""
    i = np.arange(1, count, dtype=np.uint64)
    first, last = np.broadcast_arrays(u64(firsts)[:, None], i)
    size = last + np.uint64(1)
    product = np.array(word(key, 0, np.uint64(64) * first + last - np.uint64(1)) * size)
    threshold = (np.uint64(1 << 32) - size) % size
    attempt = 0
    while (rejected := low(product) < threshold).any():
        again = retry(key, first[rejected] + np.uint64(1), last[rejected], attempt)
        product[rejected] = again * size[rejected]
        attempt += 1
    partner = high(product).astype(np.int64)
    values = np.tile(np.arange(count), (len(firsts), 1))
    each = np.arange(len(firsts))
    for place in range(count - 1, 0, -1):
        other = partner[:, place - 1]
        values[each, place], values[each, other] = values[each, other], values[each, place]
    return values


class GroupNetwork(Bijection):
    """The order of a group of more than 64 rows: round words of the epoch, xored with four of the group."""

    def __init__(self, count: int, first: int, own_key: U64, shared_key: U64) -> None:
        super().__init__(count, 0, exact_below=0)
        t = np.arange(2 * self.rounds)
        self.round_words = word(shared_key, 0, t) ^ word(own_key, 0, 64 * first + t % 4)


def group_order(count: int, first: int, own_key: U64, shared_key: U64) -> I64:
    """Return the order of one group of ``count`` rows."""
    if count <= SHUFFLED_UP_TO:
        return np.asarray(shuffles(count, np.array([first]), own_key)[0])
    return GroupNetwork(count, first, own_key, shared_key)(np.arange(count))


def ordered_members(groups: Groups, seed: int, epoch: int, *, shuffle: bool) -> I64:
    """Return the members, those of each group in the epoch's order."""
    if not shuffle:
        return groups.members
    own_key, shared_key = derive(seed, epoch, Purpose.GROUP_ROWS), derive(seed, epoch, Purpose.GROUP_KEYS)
    return permuted_members(groups, own_key, shared_key)


def permuted_members(groups: Groups, own_key: U64, shared_key: U64) -> I64:
    """Return the members, those of each group in the order that two keys give it."""
    permuted = np.empty(len(groups.members), dtype=np.int64)
    for count in np.unique(groups.counts).tolist():
        firsts = groups.offsets[:-1][groups.counts == count]
        if count <= SHUFFLED_UP_TO:
            order = shuffles(count, firsts, own_key)
        else:
            order = np.array([group_order(count, first, own_key, shared_key) for first in firsts.tolist()])
        permuted[firsts[:, None] + np.arange(count)] = firsts[:, None] + order
    return groups.members[permuted]
