"""The alias table as users call it; its draws are compared with the oracle in `property`."""

import pickle
from typing import Any

import numpy as np
import pytest

import tombola
from tests import oracle


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
def test_draws_are_the_oracles_for_any_dtype(dtype: Any) -> None:
    weights = (np.arange(50) % 7).astype(dtype)
    rows = tombola.AliasTable(weights).draw(200, seed=4, epoch=2)
    expected = oracle.AliasTable(weights.astype(np.float64)).draw(200, 4, 2)
    assert rows.dtype == np.int64
    assert rows.tolist() == expected.tolist()


def test_seed_epoch_and_size() -> None:
    table = tombola.AliasTable([1, 2, 3])
    long = table.draw(1000).tolist()
    assert long[:10] == table.draw(10, seed=0, epoch=0).tolist()
    assert long != table.draw(1000, seed=1).tolist()
    assert long != table.draw(1000, epoch=1).tolist()
    assert table.draw(1000, seed=1).tolist() != table.draw(1000, epoch=1).tolist()
    assert table.draw(0).tolist() == []


def test_later_changes_change_nothing_and_pickle_works() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    table = tombola.AliasTable(weights)
    draws = table.draw(50).tolist()
    assert pickle.loads(pickle.dumps(table)).draw(50).tolist() == draws
    weights[:] = [1.0, 0.0, 0.0]
    assert table.draw(50).tolist() == draws
    assert len(table) == table.n == 3
    assert repr(table) == "AliasTable(n=3)"


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, -0.5], ValueError, "weights must be finite and >= 0, but weights[1] = -0.5"),
        ([0.0, 0.0], ValueError, "at least one weight must be > 0, but all 2 are 0"),
        ([], ValueError, "weights must not be empty"),
        ([1j], TypeError, "weights must be real numbers that float64 holds, but the dtype is complex128"),
    ],
)
def test_wrong_weights(weights: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        tombola.AliasTable(weights)
    assert str(caught.value) == message


def test_wrong_sizes() -> None:
    with pytest.raises(ValueError, match=r"^size must be an integer >= 0, but is -1$"):
        tombola.AliasTable([1]).draw(-1)
