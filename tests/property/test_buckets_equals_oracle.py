"""The core equals the oracle byte for byte on buckets, however it is run.

Profiles of counts are searched by hypothesis (derandomised). Sizes at which the core changes its method come
as fixed cases, each with 1, 4 and 7 threads on every instruction set.
"""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.cases import KEY_KINDS, GroupCase
from tests.compare import check_plan, check_ranges, core_group_plan
from tests.oracle import Batching
from tests.property.profiles import batchings, profiles, ranges_of
from tests.property.searches import searching

search = searching(250)


@st.composite
def cases(draw: st.DrawFn) -> GroupCase:
    """Return any small plan over buckets."""
    return GroupCase(
        kind="buckets",
        counts=draw(profiles()),
        batching=draw(batchings()),
        keys=draw(st.sampled_from(KEY_KINDS)),
        keys_dtype=draw(st.sampled_from(["int16", "int32", "int64"])),
        rows=draw(st.sampled_from(["", "", "subset", "beyond_32_bits"])),
        wide=draw(st.booleans()),
        shuffle=draw(st.sampled_from([True, True, True, False])),
        uneven=draw(st.booleans()),
    )


@given(case=cases(), where=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
@search
def test_small_plans(case: GroupCase, where: list[tuple[float, float]]) -> None:
    core, expected = core_group_plan(case), case.by_oracle()
    check_plan(core, expected)
    check_ranges(core, expected, ranges_of(len(expected), where))


LARGE = {
    "four": GroupCase(
        kind="buckets",
        counts=(70001, 64, 131072, 4999),
        batching=Batching(batch_size=64, seed=4, fetch_factor=7),
        keys_dtype="int8",
    ),
    "four-drop-last": GroupCase(
        kind="buckets", counts=(70001, 63, 131072, 4999), batching=Batching(batch_size=64, drop_last=True)
    ),
    "ten-thousand": GroupCase(
        kind="buckets",
        counts=tuple(1 + i * i * 7919 % 40 for i in range(10000)),
        batching=Batching(batch_size=16, epoch=9),
        keys="scattered",
        rows="subset",
    ),
    "ten-thousand-uneven": GroupCase(
        kind="buckets",
        counts=tuple(1 + i * i * 7919 % 40 for i in range(10000)),
        batching=Batching(batch_size=16, drop_last=True),
        rows="beyond_32_bits",
        uneven=True,
    ),
    "two-to-the-16-batches": GroupCase(
        kind="buckets", counts=(2**15, 2**16 + 1, 2**15 - 1), batching=Batching(batch_size=2)
    ),
    "batches-of-one": GroupCase(
        kind="buckets", counts=(70001, 3), batching=Batching(batch_size=1, seed=2**63 - 1), wide=True
    ),
    "many-alone": GroupCase(kind="buckets", counts=(1,) * 70001, batching=Batching(batch_size=64)),
    "one-batch": GroupCase(kind="buckets", counts=(70001,), batching=Batching(batch_size=10**6)),
    "in-order": GroupCase(
        kind="buckets", counts=(70001, 64, 4999), batching=Batching(batch_size=64), shuffle=False
    ),
    "in-order-uneven": GroupCase(
        kind="buckets",
        counts=tuple(1 + i * 31 % 200 for i in range(300)),
        batching=Batching(batch_size=7, drop_last=True),
        shuffle=False,
        uneven=True,
        keys="scattered",
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
    check_plan(core, expected, offsets_asked=20)
    batches = len(expected)
    some = [(0, 1), (batches - 1, batches), (batches // 2, min(batches, batches // 2 + 3))]
    check_ranges(core, expected, [*some, (batches // 3, 2 * batches // 3), (0, 0), (batches, batches)])
