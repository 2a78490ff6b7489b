"""A case made by the core, and compared with what the oracle makes of it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tests import oracle
from tests.cases import Case, GroupCase
from tests.composed_cases import MixtureCase, PerClassCase
from tombola import BlockShuffling, Mixture, Strategy, _core


def core_table(case: Case) -> _core.WeightTable:
    """Return the integer weights by the core."""
    codes, arguments = case.weight_arguments()
    table = _core.WeightTable
    return table.from_codes(*arguments) if codes else table.from_values(*arguments)


def core_plan(case: Case) -> _core.Plan:
    """Return the plan by the core."""
    options: dict[str, Any] = asdict(case.batching) | {"indices": case.indices}
    if case.weighted:
        table = core_table(case)
        return _core.plan_weighted(table, block_size=case.block_size, **case.draw_arguments(), **options)
    if case.kind == "bounded":
        bounds = _core.BlockBounds(case.bounds, case.indices)
        assert bounds.n == case.n_elements
        return _core.plan_bounded_blocks(bounds, **options)
    if case.kind == "blocks":
        return _core.plan_blocks(case.n_elements, block_size=case.block_size, **options)
    return _core.plan_streaming(case.n_elements, shuffle=case.kind == "windows", **options)


def core_groups(case: GroupCase) -> _core.Groups:
    """Return the rows by key, by the core."""
    return _core.Groups.from_keys(case.make_keys(), indices=case.indices, wide=case.wide)


def core_group_plan(case: GroupCase) -> _core.Plan:
    """Return the plan over groups by the core."""
    options: dict[str, Any] = asdict(case.batching) | {"shuffle": case.shuffle}
    groups = core_groups(case)
    if case.kind == "buckets":
        return _core.plan_buckets(groups, batch_sizes=case.batch_sizes, **options)
    return _core.plan_series(groups, schedule=case.kind, per_series=case.per_series, **options)


def core_tuple_plan(case: PerClassCase) -> _core.Plan:
    """Return the plan of tuples of classes by the core."""
    tuples = _core.Tuples(core_groups(case.groups), case.rows_per_class, case.repeat)
    return _core.plan_per_class(tuples, **asdict(case.batching))


def mixture_of(case: MixtureCase) -> Mixture:
    """Return the strategy that mixes strata."""
    inner: dict[Any, Strategy] = {s: BlockShuffling(size) for s, size in enumerate(case.blocks) if size}
    return Mixture(shares=case.given_shares(), strategies=inner, **case.options())


AnyPlan = oracle.OraclePlan | oracle.RaggedPlan


def check_plan(core: _core.Plan, expected: AnyPlan, *, offsets_asked: int | None = None) -> None:
    """Check everything that a plan of the core says against the oracle's.

    Each offset is also asked for alone; or only about ``offsets_asked`` of them, where one costs O(k).
    """
    assert len(core) == len(expected)
    assert core.n_rows == len(expected.rows)
    rows, offsets = core.batches(0, len(core))
    assert rows.dtype == offsets.dtype == np.int64
    np.testing.assert_array_equal(rows, expected.rows)
    np.testing.assert_array_equal(offsets, [expected.offset(k) for k in range(len(expected) + 1)])
    step = 1 if offsets_asked is None else len(core) // offsets_asked + 1
    assert [core.offset(k) for k in range(0, len(core) + 1, step)] == offsets[::step].tolist()
    assert core.offset(len(core)) == core.n_rows


def check_ranges(core: _core.Plan, expected: AnyPlan, ranges: Iterable[tuple[int, int]]) -> None:
    """Check some ranges of batches, each asked for alone."""
    for start, stop in ranges:
        rows, offsets = core.batches(start, stop)
        first, last = expected.offset(start), expected.offset(stop)
        np.testing.assert_array_equal(rows, expected.rows[first:last])
        np.testing.assert_array_equal(offsets, [expected.offset(k) - first for k in range(start, stop + 1)])


def compare_errors(core: Callable[[], Any], expected: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what both make, or None twice where the oracle, and so the core, finds the input wrong."""
    try:
        made = expected()
    except ValueError:
        with pytest.raises(ValueError, match="weight"):
            core()
        return None, None
    return core(), made
