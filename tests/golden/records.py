"""Golden records: what the oracle made when the order was fixed. Written by `python -m tests.golden.records`.

A record says what was computed (``what`` and its arguments) and the result: all numbers, or beyond 160 of
them the first 16 and the SHA-256 of all as little-endian int64. A change of a record is a change of the order
of every user's batches: it needs a new plan version. The program asks the oracle only, never the core.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tests import oracle
from tests.cases import Case, GroupCase, GroupKind, Kind, WeightKind, make_weights
from tests.composed_cases import MixtureCase, PerClassCase
from tests.oracle import Batching, replay
from tests.oracle.philox import Purpose, bounded, derive, lane_word, word

PATH = Path(__file__).with_name("records.json")
SHOWN = 160
LARGEST = 2**63 - 1
UPDATED = [3, 17, 3, 40, 41, 42]
OFFSETS = [0, 1, 1, 30, 31, 100]

Record = dict[str, Any]


def digest(numbers: ArrayLike) -> Record:
    """Return the part of a record that holds the result."""
    values = np.asarray(numbers)
    if len(values) <= SHOWN:
        return {"count": len(values), "values": values.tolist()}
    digested = hashlib.sha256(values.astype("<i8").tobytes()).hexdigest()
    return {"count": len(values), "values": values[:16].tolist(), "sha256": digested}


def far_positions(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return 48 positions spread over [0, n), both ends among them."""
    return np.concatenate([np.arange(16), n // 2 + np.arange(16), n - 16 + np.arange(16)])


def case_of(record: Record) -> Case:
    """Return the plan that a record describes."""
    return Case(**{**record["case"], "batching": Batching(**record["case"]["batching"])})


def group_case_of(record: Record) -> GroupCase:
    """Return the plan over groups that a record describes, its counts ``times`` over."""
    given = record["case"]
    counts = tuple(given["counts"]) * record["times"]
    return GroupCase(**{**given, "counts": counts, "batching": Batching(**given["batching"])})


def tuple_case_of(record: Record) -> PerClassCase:
    """Return the plan of tuples of classes that a record describes."""
    return PerClassCase(**{**record["case"], "batching": Batching(**record["case"]["batching"])})


def mixture_case_of(record: Record) -> MixtureCase:
    """Return the mixture that a record describes."""
    return MixtureCase(**{**record["case"], "batching": Batching(**record["case"]["batching"])})


def by_oracle(record: Record) -> ArrayLike:
    """Return what the oracle makes of a record's arguments."""
    n, key = record.get("n", 0), record.get("key", 0)
    match record["what"]:
        case "derive":
            return derive(record["seed"], record["epoch"], list(Purpose))
        case "word":
            return word(key, record["stream"], np.arange(record["start"], record["start"] + 24))
        case "lane_word":
            return lane_word(key, record["stream"], np.arange(record["start"], record["start"] + 72))
        case "bounded":
            return bounded(key, record["stream"], np.arange(40), record["size"])
        case "permutation":
            return oracle.permutation(n, record["seed"])
        case "random_permutation":
            return oracle.random_permutation(n, key)(np.arange(n))
        case "random_permutation_far":
            return oracle.random_permutation(n, key)(far_positions(n))
        case "alias":
            table = oracle.AliasTable(make_weights(record["weights"], n))
            return table.draw(record["size"], record["seed"], record["epoch"])
        case "grouped_alias":
            grouped = oracle.GroupedAlias(record["offsets"], make_weights(record["weights"], n))
            return grouped.draw(record["size"], record["seed"], record["epoch"])
        case "sum_tree":
            tree = oracle.SumTree(n)
            tree.fill(make_weights(record["weights"], n))
            tree.update(UPDATED, make_weights("mixed", len(UPDATED)) * 100)
            size, seed, step, kind = (record[key] for key in ("size", "seed", "step", "kind"))
            if kind == "distinct":
                return tree.draw_distinct(size, seed, step)
            return tree.draw(size, seed, step, stratified=kind == "stratified")
        case "reservoir":
            return replay.reservoir_slots(record["seed"], record["first"], record["size"], record["slots"])
        case "uniform_draws":
            given = {key: record[key] for key in ("seed", "step", "stored", "size", "replace")}
            return replay.uniform_draws(**given)
        case "unit_draws":  # as integers
            return (replay.unit_draws(record["seed"], record["step"], record["size"]) * 2**53).astype(
                np.int64
            )
        case "plan":
            return case_of(record).by_oracle().rows
        case "group_plan":
            plan = group_case_of(record).by_oracle()
            return np.concatenate([plan.rows, plan.offsets])
        case "tuple_plan":
            return tuple_case_of(record).by_oracle().rows
        case "mixture_plan":
            return mixture_case_of(record).by_oracle().rows
        case what:
            message = f"no such record: {what!r}"
            raise ValueError(message)


def _numbers() -> Iterator[Record]:
    for seed, epoch in [(0, 0), (1, 0), (0, 1), (LARGEST, LARGEST)]:
        yield {"what": "derive", "seed": seed, "epoch": epoch}
    for key, stream in [(0, 0), (0x0123456789ABCDEF, 5), (2**64 - 1, 2**64 - 1)]:
        for start in (0, 2**34 - 12):
            yield {"what": "word", "key": key, "stream": stream, "start": start}
        yield {"what": "lane_word", "key": key, "stream": stream, "start": 0}
    yield {"what": "lane_word", "key": 7, "stream": 1, "start": 2**34 - 36}
    for size in (1, 2, 3, 10, 1000, 2**16, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1):
        yield {"what": "bounded", "key": 0x0123456789ABCDEF, "stream": 3, "size": size}


def _permutations() -> Iterator[Record]:
    for n in (1, 2, 3, 10, 100, 65535, 65536, 65537, 2**20 + 1):
        yield {"what": "permutation", "n": n, "seed": 42}
    yield {"what": "permutation", "n": 20, "seed": LARGEST}
    for n in (1, 2, 3, 64, 65, 100, 128, 1000, 65537):
        yield {"what": "random_permutation", "n": n, "key": 42}
    for n in (2**32 - 1, 2**32 + 1, 10**12):
        yield {"what": "random_permutation_far", "n": n, "key": 42}


def _plans() -> Iterator[Case]:
    drawn: tuple[tuple[WeightKind, str], ...] = (
        ("mixed", "float32"),
        ("steep", "float64"),
        ("zeros", "int16"),
    )
    kinds: tuple[Kind, ...] = ("stratified", "iid")
    small = Batching(batch_size=8, fetch_factor=3, seed=11, epoch=2)
    large = Batching(batch_size=64, fetch_factor=1100, seed=11, epoch=2)
    for n, block_size, batching in ((100, 7, small), (150001, 2, large)):
        yield Case(kind="streaming", n=n, batching=batching)
        yield Case(kind="windows", n=n, batching=batching)
        yield Case(kind="windows", n=n, batching=batching, subset="subset")
        yield Case(kind="blocks", n=n, batching=batching, block_size=block_size)
        yield Case(kind="blocks", n=n, batching=batching, block_size=1)
        for kind in kinds:
            for weights, dtype in drawn:
                yield Case(
                    kind=kind,
                    n=n,
                    batching=batching,
                    block_size=block_size,
                    draws=150,
                    weights=weights,
                    weights_dtype=dtype,
                    subset="whole",
                )
        for size in (5, 50):
            for weights, _ in drawn[:2]:
                yield Case(
                    kind="rounds",
                    n=n,
                    batching=small,
                    block_size=3,
                    draws=120,
                    sampling_size=size,
                    weights=weights,
                )


def _bounded_plans() -> Iterator[Case]:
    small = Batching(batch_size=8, fetch_factor=3, seed=11, epoch=2)
    large = Batching(batch_size=64, fetch_factor=100, drop_last=True, seed=11, epoch=2)
    for n, block_size, batching in ((1, 1, small), (100, 7, small), (100, 1, small), (400001, 9, large)):
        yield Case(kind="bounded", n=n, batching=batching, block_size=block_size)
        yield Case(kind="bounded", n=n, batching=batching, block_size=block_size, subset="subset")


def _group_plans() -> Iterator[tuple[GroupCase, int]]:
    """Yield plans over groups and how often their counts are repeated."""
    kinds: tuple[GroupKind, ...] = ("balanced", "round_robin", "buckets")
    counts = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3)
    for kind in kinds:
        for drop_last in (False, True):
            small = Batching(batch_size=4, drop_last=drop_last, seed=11, epoch=2)
            yield GroupCase(kind=kind, counts=counts, batching=small), 1
            yield GroupCase(kind=kind, counts=counts, batching=small, keys="scattered", rows="subset"), 3
        yield GroupCase(kind=kind, counts=counts, batching=small, shuffle=False), 1
        yield GroupCase(kind=kind, counts=(64, 65, 130), batching=Batching(batch_size=50, seed=11)), 2
        large = Batching(batch_size=16, seed=11, epoch=2)
        yield GroupCase(kind=kind, counts=counts, batching=large, keys="scattered"), 7001
        yield GroupCase(kind=kind, counts=counts, batching=Batching(batch_size=3, seed=12)), 1500
    yield GroupCase(kind="balanced", counts=(30, *counts), batching=large, per_series=3), 1
    yield GroupCase(kind="balanced", counts=(20,), batching=Batching(batch_size=10, seed=11)), 400
    in_blocks = Batching(batch_size=3, seed=12, epoch=1)
    yield GroupCase(kind="balanced", counts=(3, 1, 4, 1, 5, 2, 6, 3), batching=in_blocks), 9000
    yield GroupCase(kind="buckets", counts=counts, batching=large, uneven=True), 9


def _tuple_plans() -> Iterator[PerClassCase]:
    how = Batching(batch_size=6, seed=11, epoch=2)
    for counts in ((3, 9, 4, 1, 5, 9, 2), (64, 65, 40, 130)):
        for repeat in (False, True):
            yield PerClassCase(counts=counts, batching=how, rows_per_class=3, repeat=repeat)
    yield PerClassCase(counts=(300, 600, 550), batching=Batching(batch_size=520), rows_per_class=260)
    yield PerClassCase(counts=(9, 30, 70), batching=how, rows_per_class=2, rows="beyond_32_bits")


def _mixture_plans() -> Iterator[MixtureCase]:
    how = Batching(batch_size=8, fetch_factor=2, seed=11, epoch=2)
    cells = ((3, 20, 65), (7, 70, 9), (2, 30, 4), (9, 5, 8))
    for takes, shares in (((1, 5, 2), ()), ((), (0.17, 0.63, 0.2))):
        yield MixtureCase(counts=cells[:1], batching=how, takes=takes, shares=shares)
        yield MixtureCase(counts=cells, batching=how, takes=takes, shares=shares)
        yield MixtureCase(counts=cells, batching=how, takes=takes, shares=shares, conditions=2, controls=0)
    yield MixtureCase(
        counts=cells, batching=how, takes=(1, 5, 2), total_size=200, even=True, blocks=(0, 4, 1)
    )
    yield MixtureCase(counts=cells[:1], batching=how, schedule=(0, 2, 1), total_size=300)
    last = Batching(batch_size=8, seed=LARGEST, epoch=LARGEST)
    yield MixtureCase(counts=cells, batching=last, shares=(0.17, 0.63, 0.2), rows="beyond_32_bits")


def _replay() -> Iterator[Record]:
    for first, slots in ((0, 20), (1001, 900), (10**12, 2**39)):
        yield {"what": "reservoir", "seed": 3, "first": first, "size": 100, "slots": slots}
    for replace in (False, True):
        sizes = {"stored": 1000, "size": 100, "replace": replace}
        yield {"what": "uniform_draws", "seed": 3, "step": 1, **sizes}
    yield {"what": "unit_draws", "seed": 3, "step": 1, "size": 20}


def records() -> Iterator[Record]:
    """Yield all records without their results."""
    yield from _numbers()
    yield from _permutations()
    for weights in ("mixed", "steep", "zeros"):
        yield {"what": "alias", "weights": weights, "n": 50, "size": 100, "seed": 3, "epoch": 1}
        yield {
            "what": "grouped_alias",
            "weights": weights,
            "n": len(OFFSETS) - 1,
            "offsets": OFFSETS,
            "size": 100,
            "seed": 3,
            "epoch": 1,
        }
        for kind in ("independent", "stratified", "distinct"):
            options = {"n": 100, "size": 25, "seed": 3, "step": 1, "kind": kind}
            yield {"what": "sum_tree", "weights": weights, **options}
    yield from _replay()
    for case in _plans():
        yield {"what": "plan", "case": asdict(case)}
    for group_case, times in _group_plans():
        yield {"what": "group_plan", "case": asdict(group_case), "times": times}
    for case in _bounded_plans():
        yield {"what": "plan", "case": asdict(case)}
    for tuple_case in _tuple_plans():
        yield {"what": "tuple_plan", "case": asdict(tuple_case)}
    for mixture_case in _mixture_plans():
        yield {"what": "mixture_plan", "case": asdict(mixture_case)}


def main() -> None:
    """Write the file, one record a line."""
    lines = [json.dumps(record | digest(by_oracle(record))) for record in records()]
    PATH.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
