"""The core equals the oracle byte for byte on composed batches: tuples of classes, mixtures of strata.

Small plans are searched by hypothesis (derandomised). Sizes at which the core changes its method (64 or 65
rows of a class or stratum, tuples of more than 256 rows, 64-bit rows, runs of 2**15 rows, many passes) come
as fixed cases, each with 1, 4 and 7 threads on every instruction set.
"""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.compare import check_plan, check_ranges, core_tuple_plan, mixture_of
from tests.composed_cases import MixtureCase, PerClassCase
from tests.oracle import Batching
from tests.property.profiles import profiles, ranges_of
from tests.property.searches import searching
from tombola import _core

search = searching(80)
where = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=4)
seeds = st.integers(0, 2**63 - 1)
epochs = st.integers(0, 3) | seeds
row_kinds = st.sampled_from(["", "", "subset", "beyond_32_bits"])


def core_plan(case: PerClassCase | MixtureCase) -> _core.Plan:
    """Return the plan by the core."""
    if isinstance(case, PerClassCase):
        return core_tuple_plan(case)
    how = case.batching
    plan = mixture_of(case).plan(
        batch_size=how.batch_size, fetch_factor=how.fetch_factor, seed=how.seed, epoch=how.epoch
    )
    return plan._core


# ----------------------------------------------------------------------------------------------- searched


@st.composite
def tuple_cases(draw: st.DrawFn) -> PerClassCase:
    """Return any small plan of tuples."""
    counts = draw(profiles())
    repeat = draw(st.booleans())
    each = draw(st.integers(1, 9 if repeat else min(9, max(counts))))
    usable = sum(repeat or count >= each for count in counts)
    batching = Batching(
        batch_size=each * draw(st.integers(1, usable)),
        fetch_factor=draw(st.integers(1, 9)),
        drop_last=draw(st.booleans()),
        seed=draw(seeds),
        epoch=draw(epochs),
    )
    return PerClassCase(
        counts=counts,
        batching=batching,
        rows_per_class=each,
        repeat=repeat,
        rows=draw(row_kinds),  # type: ignore[arg-type]
        wide=draw(st.booleans()),
    )


@given(case=tuple_cases(), where=where)
@search
def test_small_plans_of_tuples(case: PerClassCase, where: list[tuple[float, float]]) -> None:
    core, expected = core_plan(case), case.by_oracle()
    check_plan(core, expected)
    check_ranges(core, expected, ranges_of(len(expected), where))


@st.composite
def mixture_cases(draw: st.DrawFn) -> MixtureCase:
    """Return any small mixture."""
    n_strata = draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["takes", "shares", "shares", "schedule"]))
    conditions = 1 if kind == "schedule" else draw(st.sampled_from([1, 1, 2, 3]))
    cells = conditions * (1 if kind == "schedule" else draw(st.integers(1, 4)))
    each_stratum = st.lists(st.integers(1, 30) | st.integers(60, 70), min_size=n_strata, max_size=n_strata)
    counts = draw(st.lists(each_stratum.map(tuple), min_size=cells, max_size=cells))
    takes = draw(st.lists(st.integers(1, 6), min_size=n_strata, max_size=n_strata))
    batch_size = sum(takes) if kind == "takes" else draw(st.integers(1, 20))
    has_controls = conditions > 1 and n_strata > 1
    total = kind == "schedule" or draw(st.booleans())
    return MixtureCase(
        counts=tuple(counts),
        batching=Batching(
            batch_size=batch_size, fetch_factor=draw(st.integers(1, 3)), seed=draw(seeds), epoch=draw(epochs)
        ),
        takes=tuple(takes) if kind == "takes" else (),
        shares=tuple(take / sum(takes) for take in takes) if kind == "shares" else (),
        schedule=tuple(draw(st.lists(st.integers(0, 3), min_size=n_strata, max_size=n_strata)))
        if kind == "schedule"
        else (),
        conditions=conditions if has_controls else 1,
        controls=draw(st.integers(0, n_strata - 1)) if has_controls else None,
        ends_with=draw(st.sampled_from(["longest", "longest", 0, n_strata - 1])),  # type: ignore[arg-type]
        total_size=batch_size * cells + draw(st.integers(0, 300)) if total else None,
        even=draw(st.booleans()),
        blocks=tuple(draw(st.lists(st.sampled_from([0, 1, 3]), min_size=n_strata, max_size=n_strata))),
        rows=draw(st.sampled_from(["", "", "beyond_32_bits"])),
    )


@given(case=mixture_cases(), where=where)
@search
def test_small_mixtures(case: MixtureCase, where: list[tuple[float, float]]) -> None:
    core, expected = core_plan(case), case.by_oracle()
    check_plan(core, expected)
    check_ranges(core, expected, ranges_of(len(expected), where))


# -------------------------------------------------------------------------------------------- fixed cases


def irregular(count: int, longest: int) -> tuple[int, ...]:
    """Return numbers of rows from 1 to ``longest``."""
    return tuple(1 + i * i * 7919 % longest for i in range(count))


LARGE: dict[str, PerClassCase | MixtureCase] = {
    "tuples": PerClassCase(
        counts=irregular(1000, 130),
        batching=Batching(batch_size=128, seed=3, epoch=1),
        rows_per_class=4,
        repeat=True,
    ),
    "tuples-of-few": PerClassCase(
        counts=irregular(1000, 130), batching=Batching(batch_size=128), rows_per_class=4, rows="subset"
    ),
    "tuples-wide": PerClassCase(
        counts=irregular(900, 130), batching=Batching(batch_size=64, epoch=4), rows_per_class=8, wide=True
    ),
    "tuples-wide-rows": PerClassCase(
        counts=irregular(900, 130), batching=Batching(batch_size=64), rows_per_class=8, rows="beyond_32_bits"
    ),
    "tuples-of-64-and-65": PerClassCase(
        counts=(63, 64, 65, 66) * 200, batching=Batching(batch_size=96, seed=5), rows_per_class=3
    ),
    "tuples-as-long-as-a-run": PerClassCase(
        counts=(256, 257, 511, 512, 900) * 9, batching=Batching(batch_size=1024), rows_per_class=256
    ),
    "tuples-longer-than-a-run": PerClassCase(
        counts=(257, 513, 514, 1000, 1100) * 9, batching=Batching(batch_size=3 * 257), rows_per_class=257
    ),
    "tuples-of-three-runs": PerClassCase(
        counts=(601, 1250, 40, 3) * 4, batching=Batching(batch_size=1202), rows_per_class=601, repeat=True
    ),
    "tuples-of-one-row": PerClassCase(
        counts=irregular(2000, 70), batching=Batching(batch_size=32, epoch=9), rows_per_class=1
    ),
    "tuples-of-a-dominant-class": PerClassCase(
        counts=(70001, *irregular(500, 40)), batching=Batching(batch_size=16), rows_per_class=2
    ),
    "tuples-in-blocks-of-batches": PerClassCase(
        counts=(16,) * 8192, batching=Batching(batch_size=2, seed=2), rows_per_class=1
    ),
    "two-strata": MixtureCase(
        counts=((701, 70001),), batching=Batching(batch_size=64, seed=5, epoch=2), takes=(16, 48)
    ),
    "three-shares": MixtureCase(
        counts=((65, 9001, 64),),
        batching=Batching(batch_size=64, seed=5, epoch=1),
        shares=(0.3, 0.697, 0.003),
        rows="beyond_32_bits",
    ),
    "many-shares": MixtureCase(
        counts=(irregular(40, 90),),
        batching=Batching(batch_size=50, epoch=7),
        shares=tuple((1 + s % 5) / 120 for s in range(40)),
        total_size=20000,
    ),
    "many-passes-of-few-rows": MixtureCase(
        counts=((1, 3, 2000),), batching=Batching(batch_size=20), takes=(5, 5, 10)
    ),
    "a-schedule": MixtureCase(
        counts=((900, 64, 3000),),
        batching=Batching(batch_size=30, epoch=3),
        schedule=(0, 1, 3),
        total_size=70001,
        blocks=(0, 0, 7),
    ),
    "one-large-batch": MixtureCase(
        counts=((900, 64),), batching=Batching(batch_size=40000), takes=(1000, 39000), total_size=80000
    ),
    "contexts": MixtureCase(
        counts=tuple(irregular(3 * i, 90)[-3:] for i in range(1, 50)),
        batching=Batching(batch_size=12, seed=3, epoch=5),
        shares=(0.125, 0.5, 0.375),
    ),
    "conditions": MixtureCase(
        counts=tuple((1 + i % 7, 40 + i * i % 90) for i in range(120)),
        batching=Batching(batch_size=10, seed=3, epoch=2),
        shares=(0.27, 0.73),
        conditions=8,
        controls=0,
        rows="beyond_32_bits",
    ),
    "very-many-batches-of-contexts": MixtureCase(
        counts=((3, 5), (70, 9), (400, 64)),
        batching=Batching(batch_size=2),
        takes=(1, 1),
        total_size=132000,
    ),
    "even-contexts": MixtureCase(
        counts=((3, 5), (70, 9), (400, 64)), batching=Batching(batch_size=5), takes=(2, 3), even=True
    ),
    "strategies": MixtureCase(
        counts=((900, 64), (1000, 30)),
        batching=Batching(batch_size=16, fetch_factor=4, seed=9, epoch=3),
        shares=(0.7, 0.3),
        blocks=(16, 1),
    ),
}


@cache
def expected_plan(name: str) -> oracle.RaggedPlan:
    """Return the oracle's plan, made once for all instruction sets."""
    return LARGE[name].by_oracle()


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.usefixtures("everywhere")
def test_large_plans(name: str) -> None:
    core, expected = core_plan(LARGE[name]), expected_plan(name)
    check_plan(core, expected, offsets_asked=100)
    batches = len(expected)
    some = [(0, 1), (batches - 1, batches), (batches // 2, min(batches, batches // 2 + 3))]
    check_ranges(core, expected, [*some, (batches // 3, 2 * batches // 3), (0, 0), (batches, batches)])


def test_epochs_without_end() -> None:
    """Positions beyond 64 bits: passes are counted modulo 2**64, those of inner strategies modulo 2**63."""
    for epoch in (2**40, 2**62 + 1, 2**63 - 1):
        batching = Batching(batch_size=8, seed=3, epoch=epoch)
        contexts = ((3, 50), (7, 20), (90, 4))
        for case in (
            MixtureCase(counts=((3, 40),), batching=batching, takes=(3, 5)),
            MixtureCase(counts=((3, 40),), batching=batching, takes=(3, 5), blocks=(2, 0)),
            MixtureCase(counts=((3, 40, 5),), batching=batching, shares=(0.31, 0.6, 0.09)),
            MixtureCase(counts=contexts, batching=batching, shares=(0.31, 0.69)),
            MixtureCase(counts=contexts, batching=batching, shares=(0.31, 0.69), conditions=3, controls=0),
            MixtureCase(counts=((3, 40),), batching=batching, schedule=(1, 2), total_size=100),
        ):
            check_plan(core_plan(case), case.by_oracle())
