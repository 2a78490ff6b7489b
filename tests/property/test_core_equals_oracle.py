"""The core equals the oracle byte for byte: permutations, weights and every kind of plan.

Shapes are searched by hypothesis (derandomised). Sizes at which the core changes its method, that is, 2**16
and 2**20 elements, come as fixed cases, each with 1, 4 and 7 threads on every instruction set; those of plans
are in `test_large_plans.py`.
"""

from dataclasses import asdict, replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import oracle
from tests.cases import N_CLASSES, WEIGHT_KINDS, Case, Kind, WeightKind
from tests.compare import check_plan, check_ranges, compare_errors, core_plan, core_table
from tests.oracle import Batching
from tests.oracle.draws import draw_and_reject
from tests.oracle.permutations import I64
from tests.property.searches import searching
from tombola import _core

Subset = Literal["", "whole", "subset"]

DTYPES = ("float64", "float32", "int8", "int16", "int32", "int64")
BEYOND_FLOAT32 = {"tiny", "huge", "wide"}
KINDS: tuple[Kind, ...] = ("streaming", "windows", "blocks", "bounded", "stratified", "iid", "rounds")
SUBSETS: tuple[Subset, ...] = ("", "whole", "subset")

search = searching(600)
weights_and_dtypes = st.tuples(st.sampled_from(WEIGHT_KINDS), st.sampled_from(DTYPES)).filter(
    lambda pair: pair[1] != "float32" or pair[0] not in BEYOND_FLOAT32
)


@cache
def expected_permutation(n: int, seed: int) -> I64:
    """Return the oracle's permutation, made once for all instruction sets."""
    return oracle.permutation(n, seed)


@pytest.mark.parametrize(
    "n", [1, 2, 3, 16, 17, 63, 64, 65, 1000, 65535, 65536, 65537, 131072, 131073, 300007]
)
@pytest.mark.parametrize("seed", [0, 2**63 - 1])
@pytest.mark.usefixtures("everywhere")
def test_permutation(n: int, seed: int) -> None:
    result = _core.permutation(n, seed)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, expected_permutation(n, seed))


@pytest.mark.parametrize("n", [2**20 - 1, 2**20, 2**20 + 12345, 2 * 2**20 + 1])
@pytest.mark.usefixtures("everywhere")
def test_permutation_of_several_chunks(n: int) -> None:
    np.testing.assert_array_equal(_core.permutation(n, 5), expected_permutation(n, 5))


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 66, 127, 128, 129, 1000, 65535, 65536, 65537, 10**6 + 3])
@pytest.mark.parametrize("key", [0, 1, 2**63 - 1])
@pytest.mark.usefixtures("everywhere")
def test_random_permutation(n: int, key: int) -> None:
    expected, p = oracle.random_permutation(n, key), _core.RandomPermutation(n, key)
    assert (len(p), p.n, p.key) == (n, n, key)
    start, stop = n // 3, n // 3 + min(n - n // 3, 20011)
    positions = np.arange(start, stop)
    values = expected(positions)
    np.testing.assert_array_equal(p.fill(start, stop), values)
    np.testing.assert_array_equal(p.take(positions[::-1].copy()), values[::-1])
    np.testing.assert_array_equal(p.inverse_take(values), positions)
    assert [p.at(i) for i in range(start, min(stop, start + 50))] == values[:50].tolist()
    assert [p.inverse_at(x) for x in values[:50].tolist()] == positions[:50].tolist()


@pytest.mark.parametrize("n", [2**32 - 1, 2**32, 2**32 + 1, 10**12, 2**61 - 12345])
@pytest.mark.usefixtures("everywhere")
def test_random_permutation_beyond_32_bits(n: int) -> None:
    expected, p = oracle.random_permutation(n, 77), _core.RandomPermutation(n, 77)
    positions = np.concatenate([np.arange(33), n - 1 - np.arange(33), np.arange(1000) * (n // 1000)])
    values = expected(positions)
    np.testing.assert_array_equal(p.take(positions), values)
    np.testing.assert_array_equal(p.inverse_take(values), positions)
    np.testing.assert_array_equal(p.fill(n - 1001, n), expected(np.arange(n - 1001, n)))


@given(pair=weights_and_dtypes, n=st.integers(1, 20000), subset=st.sampled_from(SUBSETS))
@search
def test_weight_table(pair: tuple[WeightKind, str], n: int, subset: Subset) -> None:
    case = Case(
        kind="iid",
        n=n,
        batching=Batching(batch_size=1),
        weights=pair[0],
        weights_dtype=pair[1],
        subset=subset,
    )
    table, expected = compare_errors(lambda: core_table(case), case.oracle_weights)
    if expected is not None:
        assert table.scale_exponent == expected.exponent
        assert table.total == expected.total
        assert table.n_positive == expected.n_positive
        assert table.n == len(expected.q)


@pytest.mark.parametrize(
    "scale", [1e-300, 1e-290, 1e-287, 1e-286, 1e-285, 1e-200, 1.0, 1e200, 1e305, 1.7e308]
)
@pytest.mark.parametrize("n", [1, 2, 100])
def test_scale_at_the_ends_of_float64(scale: float, n: int) -> None:
    w = np.arange(n, 0, -1) / n * scale
    table, expected = compare_errors(
        lambda: _core.WeightTable.from_values(w), lambda: oracle.quantise_values(w)
    )
    if expected is not None:
        assert (table.scale_exponent, table.total) == (expected.exponent, expected.total)


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.usefixtures("everywhere")
def test_scale_follows_the_stated_order_of_additions(codes: bool) -> None:
    """Normalise weights, so that the last bit of their sum decides on the scale."""
    generator = np.random.default_rng(6)
    exponents = set()
    for n in generator.integers(9000, 20000, size=30).tolist():
        if codes:
            code = generator.integers(N_CLASSES, size=n)
            classes = generator.random(N_CLASSES)
            classes /= float(classes[code].sum())
            expected, table = (
                oracle.quantise_codes(code, classes),
                _core.WeightTable.from_codes(code, classes),
            )
        else:
            weights = generator.random(n)
            weights /= float(weights.sum())
            expected, table = oracle.quantise_values(weights), _core.WeightTable.from_values(weights)
        exponents.add(expected.exponent)
        assert (table.scale_exponent, table.total) == (expected.exponent, expected.total)
    assert exponents == {60, 61}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [-0.5, np.nan, np.inf, -np.inf])
def test_wrong_weights_are_named(dtype: str, wrong: float) -> None:
    weights = np.where(np.arange(40) == 17, wrong, 1.0)
    if dtype.startswith("float"):
        make = partial(_core.WeightTable.from_values, weights.astype(dtype))
    else:
        make = partial(_core.WeightTable.from_codes, np.arange(40).astype(dtype), weights)
    with pytest.raises(ValueError, match=r"finite and >= 0.*\[17\]"):
        make()


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("wrong", [-1, 40, 127])
def test_codes_out_of_range_are_named(dtype: str, wrong: int) -> None:
    codes = np.where(np.arange(40) == 17, wrong, np.arange(40)).astype(dtype)
    with pytest.raises(ValueError, match=rf"\[17\].*{wrong}"):
        _core.WeightTable.from_codes(codes, np.ones(40))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Return any small plan."""
    batching = Batching(
        batch_size=draw(st.integers(1, 80)),
        fetch_factor=draw(st.integers(1, 9)),
        drop_last=draw(st.booleans()),
        seed=draw(st.integers(0, 2**63 - 1)),
        epoch=draw(st.integers(0, 3) | st.integers(0, 2**63 - 1)),
    )
    weights, dtype = draw(weights_and_dtypes)
    case = Case(
        kind=draw(st.sampled_from(KINDS)),
        n=draw(st.integers(1, 600)),
        batching=batching,
        block_size=draw(st.just(1) | st.integers(1, 40)),
        draws=draw(st.integers(1, 1500)),
        weights=weights,
        weights_dtype=dtype,
        subset=draw(st.sampled_from(SUBSETS)),
    )
    if case.kind != "rounds":
        return case
    size = draw(st.integers(1, max(1, n_positive(case))))
    return replace(case, sampling_size=size, draws=draw(st.integers(1, 6 * size + 5)))


def n_positive(case: Case) -> int:
    """Return how many rows can be drawn; 0 where the weights are wrong."""
    try:
        return case.oracle_weights().n_positive
    except ValueError:
        return 0


@given(case=cases(), where=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=5))
@search
def test_small_plans(case: Case, where: list[tuple[float, float]]) -> None:
    core, expected = compare_errors(lambda: core_plan(case), case.by_oracle)
    if expected is None:
        return
    check_plan(core, expected)
    batches = len(expected)
    check_ranges(core, expected, [(int(min(w) * batches), int(max(w) * batches)) for w in where])


def test_the_last_attempt_of_rejection() -> None:
    """Draw rounds of 2 of which many end just before, at or after the 68th and last attempt."""
    weights = np.array([476.0, 1.0, 2.0, 0.5, 0.0, 0.7, 1.3, 0.6, 0.9])
    table, expected = _core.WeightTable.from_values(weights), oracle.quantise_values(weights)
    last = 0
    for epoch in range(600):
        batching = Batching(batch_size=2, seed=1, epoch=epoch)
        options: dict[str, Any] = {"block_size": 1, "draws": 2, "draw": "stratified", "sampling_size": 2}
        core = _core.plan_weighted(table, **options, **asdict(batching))
        check_plan(core, oracle.weighted(expected, batching, **options))
        fewer = draw_and_reject(expected, 2, 0, 1, epoch, attempts=67)
        last += len(fewer) < len(draw_and_reject(expected, 2, 0, 1, epoch))
    assert last > 0
