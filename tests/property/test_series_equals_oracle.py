"""The core equals the oracle byte for byte on series: balanced and round robin, however it is run.

Profiles of counts are searched by hypothesis (derandomised). Sizes at which the core changes its method (64
or 65 batches or rows of a series, 2**14 batches, 2**16 rows or series) come as fixed cases, each with 1, 4
and 7 threads on every instruction set.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.cases import KEY_KINDS, GroupCase, GroupKind
from tests.compare import check_plan, check_ranges, core_group_plan
from tests.oracle import Batching
from tests.oracle.philox import Purpose, derive, low, word
from tests.oracle.series import BLOCK, in_blocks, make_line
from tests.property.profiles import batchings, profiles, ranges_of
from tests.property.searches import searching

search = searching(300)


@st.composite
def cases(draw: st.DrawFn) -> GroupCase:
    """Return any small plan over series."""
    kinds: tuple[GroupKind, ...] = ("balanced", "balanced", "round_robin")
    kind = draw(st.sampled_from(kinds))
    return GroupCase(
        kind=kind,
        counts=draw(profiles()),
        batching=draw(batchings()),
        keys=draw(st.sampled_from(KEY_KINDS)),
        keys_dtype=draw(st.sampled_from(["int16", "int32", "int64"])),
        rows=draw(st.sampled_from(["", "", "subset", "beyond_32_bits"])),
        wide=draw(st.booleans()),
        shuffle=draw(st.sampled_from([True, True, True, False])),
        per_series=draw(st.integers(1, 4)) if kind == "balanced" else 1,
    )


@given(case=cases(), where=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
@search
def test_small_plans(case: GroupCase, where: list[tuple[float, float]]) -> None:
    core, expected = core_group_plan(case), case.by_oracle()
    check_plan(core, expected)
    check_ranges(core, expected, ranges_of(len(expected), where))


# ------------------------------------------------------------------------------------------------ fixed cases


def irregular(n_series: int, longest: int) -> tuple[int, ...]:
    """Return counts from 1 to ``longest``, most of them small."""
    return tuple(1 + i * i * 7919 % longest // (1 + i % 7) for i in range(n_series))


# Series of 23 rows in up to 64 batches of 10 and in more: one lies across almost every boundary of layers.
CROSSINGS = {
    f"crossings-{batches}": GroupCase(
        kind="balanced",
        counts=(23,) * (10 * batches // 23) + (10 * batches % 23,),
        batching=Batching(batch_size=10, seed=5, epoch=batches),
    )
    for batches in (24, 30, 64, 65, 66, 101, 131)
}

# From 2**16 batches on blocks of 2**14 positions are permuted, if series are short.
BLOCKS = {
    "blocks-fewest-batches": GroupCase(
        kind="balanced", counts=(4,) * 65536, batching=Batching(batch_size=4, seed=8)
    ),
    "blocks-no-row-in-the-last-tail": GroupCase(
        kind="balanced", counts=(16,) * 12293, batching=Batching(batch_size=3, epoch=2)
    ),
    "blocks-longest-series": GroupCase(
        kind="balanced", counts=(*(1,) * 80000, 64, *(2,) * 28000), batching=Batching(batch_size=2)
    ),
    "blocks-drop-last": GroupCase(
        kind="balanced",
        counts=irregular(120001, 11),
        batching=Batching(batch_size=4, drop_last=True),
        rows="beyond_32_bits",
        per_series=2,
    ),
    "blocks-irregular": GroupCase(
        kind="balanced", counts=irregular(150001, 11), batching=Batching(batch_size=5), rows="subset"
    ),
    "blocks-across-a-tail-of-1": GroupCase(
        kind="balanced", counts=(4,) * 65537, batching=Batching(batch_size=4, epoch=3)
    ),
}

NO_BLOCKS = {
    "no-blocks-one-batch-too-few": GroupCase(
        kind="balanced", counts=(4,) * 65535, batching=Batching(batch_size=4, seed=8)
    ),
    "no-blocks-a-longer-series": GroupCase(
        kind="balanced", counts=(*(1,) * 80000, 65, *(2,) * 28000), batching=Batching(batch_size=2)
    ),
    "no-blocks-one-row-too-uneven": GroupCase(
        kind="balanced", counts=(*(16,) * 12292, 17), batching=Batching(batch_size=3, epoch=2)
    ),
    "no-blocks-long-series": GroupCase(
        kind="balanced", counts=(8000,) * 10 + (1500,) * 50 + (1,) * 8, batching=Batching(batch_size=2)
    ),
}

LARGE = CROSSINGS | BLOCKS | NO_BLOCKS
LARGE |= {
    "short-last-layer": GroupCase(
        kind="balanced", counts=(7,) * 555, batching=Batching(batch_size=60, seed=2, fetch_factor=9)
    ),
    "irregular": GroupCase(
        kind="balanced",
        counts=irregular(5000, 90),
        batching=Batching(batch_size=64, seed=2**63 - 1, epoch=2**63 - 1),
        keys="scattered",
        rows="subset",
    ),
    "irregular-drop-last": GroupCase(
        kind="balanced",
        counts=irregular(5000, 150),
        batching=Batching(batch_size=64, drop_last=True),
        rows="beyond_32_bits",
    ),
    "wide": GroupCase(
        kind="balanced", counts=irregular(2000, 90), batching=Batching(batch_size=33), wide=True
    ),
    "one-series": GroupCase(kind="balanced", counts=(70001,), batching=Batching(batch_size=64)),
    "one-series-in-parts": GroupCase(
        kind="balanced", counts=(70001,), batching=Batching(batch_size=64), per_series=5
    ),
    "dominant": GroupCase(
        kind="balanced", counts=(66000, *irregular(3000, 30)), batching=Batching(batch_size=64)
    ),
    "dominant-in-parts": GroupCase(
        kind="balanced",
        counts=(66000, *irregular(3000, 30)),
        batching=Batching(batch_size=16),
        per_series=7,
    ),
    "dominant-drop-last": GroupCase(
        kind="balanced",
        counts=(66000, *irregular(3000, 30)),
        batching=Batching(batch_size=16, drop_last=True),
        per_series=2,
    ),
    "two-to-the-16-batches": GroupCase(
        kind="balanced", counts=irregular(9000, 100), batching=Batching(batch_size=1)
    ),
    "large-crossings": GroupCase(
        kind="balanced",
        counts=(69999, 30000, 50000, 60001, *irregular(900, 50)),
        batching=Batching(batch_size=3),
    ),
    "small-crossings-of-many-batches": GroupCase(
        kind="balanced", counts=(7,) * 39001, batching=Batching(batch_size=4, seed=1)
    ),
    "many-series": GroupCase(
        kind="balanced", counts=irregular(70001, 6), batching=Batching(batch_size=64), keys="scattered"
    ),
    "two-to-the-16-series": GroupCase(
        kind="balanced", counts=(1, 3) * 2**15, batching=Batching(batch_size=100, epoch=1)
    ),
    "in-order": GroupCase(
        kind="balanced", counts=irregular(5000, 90), batching=Batching(batch_size=64), shuffle=False
    ),
    "in-order-scattered": GroupCase(
        kind="balanced",
        counts=irregular(5000, 90),
        batching=Batching(batch_size=64, drop_last=True),
        shuffle=False,
        keys="scattered",
    ),
    "rounds": GroupCase(
        kind="round_robin", counts=irregular(5000, 90), batching=Batching(batch_size=64, fetch_factor=3)
    ),
    "rounds-of-many-series": GroupCase(
        kind="round_robin",
        counts=irregular(70001, 6),
        batching=Batching(batch_size=1000, drop_last=True),
        keys="scattered",
    ),
    "rounds-of-one-series": GroupCase(kind="round_robin", counts=(70001,), batching=Batching(batch_size=64)),
    "rounds-of-a-dominant-one": GroupCase(
        kind="round_robin",
        counts=(66000, 70, 64, 65, *irregular(3000, 30)),
        batching=Batching(batch_size=7),
    ),
    "rounds-in-order": GroupCase(
        kind="round_robin", counts=irregular(5000, 90), batching=Batching(batch_size=64), shuffle=False
    ),
    "rounds-wide": GroupCase(
        kind="round_robin",
        counts=irregular(2000, 90),
        batching=Batching(batch_size=33),
        wide=True,
        rows="beyond_32_bits",
    ),
}


@cache
def expected_plan(name: str) -> oracle.RaggedPlan:
    """Return the oracle's plan, made once for all instruction sets."""
    return LARGE[name].by_oracle()


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.usefixtures("everywhere")
def test_large_plans(name: str) -> None:
    core, expected = core_group_plan(LARGE[name]), expected_plan(name)
    check_plan(core, expected, offsets_asked=1000)
    batches = len(expected)
    some = [(0, 1), (batches - 1, batches), (batches // 2, min(batches, batches // 2 + 3))]
    check_ranges(core, expected, [*some, (batches // 3, 2 * batches // 3), (0, 0), (batches, batches)])


def test_the_fixed_cases_cross_in_every_way() -> None:
    """By swaps (up to 8 positions before the boundary) and by two permutations (9 and more)."""
    seen = set()
    for name, case in CROSSINGS.items():
        for epoch in range(8):
            how = replace(case.batching, epoch=epoch)
            line = make_line(oracle.group(case.make_keys()), how, per_series=1, shuffle=True)
            assert line.batches == int(name.removeprefix("crossings-"))
            seen |= {(line.batches > 64, line.crossing(layer)[0]) for layer in range(line.layers - 1)}
    assert {(large, before) for large in (False, True) for before in range(1, 23)} <= seen


def test_the_fixed_cases_cross_blocks_in_every_way() -> None:
    """Not at all, in the tail alone, and into the last whole block."""
    seen = set()
    for name, case in (BLOCKS | NO_BLOCKS).items():
        groups = oracle.group(case.make_keys())
        line = make_line(groups, case.batching, per_series=case.per_series, shuffle=True)
        assert in_blocks(line) is (name in BLOCKS), name
        tail = (line.batches - 1) % BLOCK + 1
        if name in BLOCKS:
            before = [line.crossing(layer)[0] for layer in range(line.layers - 1)]
            seen |= {-1 if a == 0 else max(0, -(-(a - tail) // BLOCK)) for a in before}
    assert seen == {-1, 0, 1}


def test_epochs_follow_each_other() -> None:
    """Plans of many epochs over the same groups: what is kept between epochs is never taken for another's."""
    for epoch in (*range(40), 2**62):
        batching = Batching(batch_size=6, seed=3, epoch=epoch)
        for kind in ("balanced", "round_robin"):
            case = GroupCase(kind=kind, counts=(3, 9, 1, 1, 12, 70), batching=batching)
            check_plan(core_group_plan(case), case.by_oracle())


@pytest.mark.parametrize("kind", ["balanced", "round_robin", "buckets"])
@pytest.mark.usefixtures("everywhere")
def test_a_random_number_that_is_rejected(kind: GroupKind) -> None:
    """About one number in 10**8 that shuffle series is rejected; the fifth series has one here."""
    batching = Batching(batch_size=16, seed=7, epoch=32091)
    word_of_19 = word(derive(7, 32091, Purpose.GROUP_ROWS), 0, 64 * (4 * 64) + 19 - 1)
    assert low(word_of_19 * np.uint64(20)) < 2**32 % 20
    case = GroupCase(kind=kind, counts=(64,) * 6, batching=batching)
    check_plan(core_group_plan(case), case.by_oracle())
