"""P x K, plainly: the rows of each class in the epoch's order, cut into tuples; tuples scheduled as series.

The schedule is the balanced one of `tests/oracle/series.py` with full batches only, where a class is a series
and its tuples are the rows of it, in the order in which they were cut. A class of fewer rows than a tuple has
none, or one in which its rows come again, each as often as the others or once more.
"""

import numpy as np

from tests.oracle.groups import Groups, RaggedPlan, permuted_members
from tests.oracle.permutations import I64
from tests.oracle.philox import Purpose, derive
from tests.oracle.plans import Batching
from tests.oracle.series import balanced


def tuples_of(classes: Groups, how: Batching, rows_per_class: int) -> list[list[I64]]:
    """Return the tuples of each class in an epoch; of a class with fewer rows one that repeats them."""
    own_key = derive(how.seed, how.epoch, Purpose.TUPLE_ROWS)
    shared_key = derive(how.seed, how.epoch, Purpose.TUPLE_KEYS)
    members = permuted_members(classes, own_key, shared_key)
    tuples = []
    for start, stop in zip(classes.offsets[:-1].tolist(), classes.offsets[1:].tolist(), strict=True):
        rows = members[start:stop]
        whole = len(rows) // rows_per_class * rows_per_class
        tuples.append(
            list(rows[:whole].reshape(-1, rows_per_class)) if whole else [np.resize(rows, rows_per_class)]
        )
    return tuples


def per_class(classes: Groups, how: Batching, *, rows_per_class: int, repeat: bool = False) -> RaggedPlan:
    """Return the plan of ``PerClass``; without ``repeat`` classes with fewer rows are left out."""
    taken = classes.counts >= (1 if repeat else rows_per_class)
    tuples = [
        one for one, is_taken in zip(tuples_of(classes, how, rows_per_class), taken, strict=True) if is_taken
    ]
    numbered = np.arange(sum(map(len, tuples)))
    series = Groups(np.cumsum([0, *map(len, tuples)]), numbered)
    size = how.batch_size // rows_per_class
    how_scheduled = Batching(batch_size=size, drop_last=True, seed=how.seed, epoch=how.epoch)
    schedule = balanced(series, how_scheduled, numbered=True)
    rows = np.concatenate([*tuples])[schedule.rows] if len(schedule) else classes.members[:0]
    return RaggedPlan(np.asarray(rows).ravel(), schedule.offsets * rows_per_class)
