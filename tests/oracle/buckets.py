"""Buckets, plainly: each one's rows in the epoch's order, cut into batches; all batches in random order."""

import numpy as np
from numpy.typing import ArrayLike

from tests.oracle.groups import Groups, RaggedPlan, ordered_members
from tests.oracle.permutations import EXACT_BELOW, Bijection
from tests.oracle.philox import Purpose, derive
from tests.oracle.plans import Batching


def buckets(
    groups: Groups, how: Batching, *, batch_sizes: ArrayLike | None = None, shuffle: bool = True
) -> RaggedPlan:
    """Return the plan of ``Bucketed``; ``batch_sizes`` holds the rows a batch in each bucket."""
    members = ordered_members(groups, how.seed, how.epoch, shuffle=shuffle)
    sizes = np.full(len(groups), how.batch_size) if batch_sizes is None else np.asarray(batch_sizes)
    batches = []
    for start, stop, size in zip(groups.offsets[:-1], groups.offsets[1:], sizes, strict=True):
        rows = members[start:stop]
        cut = [rows[i : i + size] for i in range(0, len(rows), size)]
        batches += [batch for batch in cut if len(batch) == size or not how.drop_last]
    if shuffle and batches:
        key = derive(how.seed, how.epoch, Purpose.BUCKET_BATCHES)
        order = Bijection(len(batches), key, EXACT_BELOW)(np.arange(len(batches)))
        batches = [batches[number] for number in order.tolist()]
    lengths = np.array([0, *map(len, batches)])
    return RaggedPlan(np.concatenate([groups.members[:0], *batches]), np.cumsum(lengths))
