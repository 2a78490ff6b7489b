"""The samplers that users write in Python, as peers: loops over lists of ints.

They group once and give the batches of an epoch on demand. The series sampler takes one row of each series in
turn, which is quick to write but lets a series come twice into a batch once few are left.
"""

import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator

__all__ = ["PythonBucketSampler", "PythonSeriesSampler", "tuples_by_lists"]


class PythonSeriesSampler:
    """Batches of different series, by turns: round robin over shuffled series."""

    def __init__(self, series_ids: Iterable[int], batch_size: int) -> None:
        self.batch_size = batch_size
        self.rows: dict[int, list[int]] = defaultdict(list)
        for row, series in enumerate(series_ids):
            self.rows[series].append(row)

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(1)
        turns = []
        for rows in self.rows.values():
            mine = rows.copy()
            rng.shuffle(mine)
            turns.append(mine)
        rng.shuffle(turns)
        waiting, batch = deque(turns), list[int]()
        while waiting:
            mine = waiting.popleft()
            batch.append(mine.pop())
            if mine:
                waiting.append(mine)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch


class PythonBucketSampler:
    """Batches of one bucket each, in random order."""

    def __init__(self, keys: Iterable[int], batch_size: int) -> None:
        self.batch_size = batch_size
        self.rows: dict[int, list[int]] = defaultdict(list)
        for row, key in enumerate(keys):
            self.rows[key].append(row)

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(1)
        batches = []
        for rows in self.rows.values():
            mine = rows.copy()
            rng.shuffle(mine)
            batches += [mine[i : i + self.batch_size] for i in range(0, len(mine), self.batch_size)]
        rng.shuffle(batches)
        yield from batches


def tuples_by_lists(labels: list[int], classes: int, each: int) -> Iterator[list[int]]:
    """Cut shuffled rows of each class into tuples, and take these at random."""
    rng, rows = random.Random(1), defaultdict(list)
    for row, label in enumerate(labels):
        rows[label].append(row)
    for mine in rows.values():
        rng.shuffle(mine)
    while len(rows) >= classes:
        batch = []
        for label in rng.sample(sorted(rows), classes):
            batch += [rows[label].pop() for _ in range(each)]
            if len(rows[label]) < each:
                del rows[label]
        yield batch
