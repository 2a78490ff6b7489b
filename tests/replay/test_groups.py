"""Group balance: flat and of several levels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tombola.replay import group_balance


def test_by_hand(form: str) -> None:
    assert group_balance([0, 0, 0, 0, 2]).tolist() == [0.5, 0.5, 0.5, 0.5, 2.0]
    assert group_balance([0, 0, 0, 0, 2], balance_weight=0.5).tolist()[4] == 2.0**0.5
    assert group_balance([5, 5], balance_weight=0).tolist() == [1.0, 1.0]
    assert group_balance([]).tolist() == []
    assert group_balance(torch.tensor([1, 1, 0], dtype=torch.uint8)).tolist() == [1.0, 1.0, 2.0]


def test_known_sizes() -> None:
    assert group_balance([0, 1], group_sizes=[4, 1, 0]).tolist() == [0.5, 2.0]
    assert group_balance([2], group_sizes=[4, 1, 0]).tolist() == [1.0]


@pytest.mark.parametrize("largest", [3, 2**16 - 1, 2**16, 30_000_000, 2**62])
def test_codes_of_any_size(largest: int, form: str) -> None:
    groups = np.arange(100_000) % 3 * (largest // 3)
    expected = (3 / np.bincount(np.arange(100_000) % 3))[np.arange(100_000) % 3]
    assert group_balance(groups).tobytes() == expected.tobytes()


@given(
    codes=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_levels_share_alike(codes: list[tuple[int, int, int]]) -> None:
    array = np.array(codes)
    scores = group_balance(array)
    top = [float(scores[array[:, 0] == g].sum()) for g in np.unique(array[:, 0])]
    assert top == pytest.approx([top[0]] * len(top), rel=1e-12)
    for depth in (1, 2):
        paths = [tuple(row[: depth + 1]) for row in array.tolist()]
        totals: dict[Any, dict[Any, float]] = {}
        for path, score in zip(paths, scores.tolist(), strict=True):
            children = totals.setdefault(path[:-1], {})
            children[path] = children.get(path, 0.0) + score
        for children in totals.values():
            values = list(children.values())
            assert values == pytest.approx([values[0]] * len(values), rel=1e-12)


def test_levels_in_all_forms() -> None:
    coarse, fine = [0, 0, 0, 1], [0, 0, 1, 0]
    expected = [0.5, 0.5, 1.0, 2.0]  # (2/3) * (3/(2*2)), (2/3) * (3/(2*1)), 2 * 1
    for levels in (
        [coarse, fine],
        np.array([coarse, fine]).T,
        torch.tensor([coarse, fine]).T,
        (coarse, fine),
    ):
        assert group_balance(levels).tolist() == pytest.approx(expected, rel=1e-15)
    by_level = group_balance([coarse, fine], balance_weight=[1, 0])
    assert by_level.tobytes() == group_balance(coarse).tobytes()
    large = [[2**61, 2**61, 2**61, 3], [9, 9, 2**61, 9]]
    assert group_balance(large).tolist() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("groups", "options", "error", "text"),
    [
        ([0.5], {}, TypeError, "groups must be integers, but the dtype is float64"),
        ([True], {}, TypeError, "groups must be integers, but the dtype is bool"),
        ([0, -3], {}, ValueError, "groups must be >= 0, but row 1 is -3"),
        ([[0, 0], [0, -3]], {}, ValueError, "level 1 of groups must be >= 0, but row 1 is -3"),
        ([[0, 0], [0]], {}, ValueError, r"level 1 of groups must have the shape \(2,\), .* \(1,\)"),
        (np.zeros((2, 0), dtype=int), {}, ValueError, "groups must have a level or more, but have none"),
        ([0], {"balance_weight": [1, 2]}, ValueError, "balance_weight must be one number or one a level, 1,"),
        ([0], {"balance_weight": "1"}, TypeError, "balance_weight"),
        ([[0], [0]], {"group_sizes": [1]}, ValueError, "group_sizes must be None where groups have several"),
        ([0], {"group_sizes": [-1]}, ValueError, r"group_sizes must be >= 0, but group_sizes\[0\] = -1"),
        ([0], {"group_sizes": []}, IndexError, r"groups must lie in \[0, 0\), .* groups\[0\] = 0"),
        ([0, 5], {"group_sizes": [1]}, IndexError, r"groups must lie in \[0, 1\), .* groups\[1\] = 5"),
    ],
)
def test_bad_input(groups: Sequence[Any], options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        group_balance(groups, **options)
