"""The two permutations as users call them; what they choose is tested in `property` and `statistical`."""

import pickle
from typing import Any

import numpy as np
import pytest

import tombola
from tests import oracle


@pytest.mark.parametrize("n", [0, 1, 2, 64, 65, 1000])
def test_permutation_is_the_oracles(n: int) -> None:
    order = tombola.permutation(n, seed=5)
    assert order.dtype == np.int64
    assert order.tolist() == oracle.permutation(n, 5).tolist()


def test_the_seed_may_be_left_out() -> None:
    assert tombola.permutation(100).tolist() == tombola.permutation(100, seed=0).tolist()
    assert tombola.permutation(100).tolist() != tombola.permutation(100, 1).tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, "n must be an integer >= 0, but is -1"),
        ((2.5,), TypeError, "n must be an integer >= 0, but is 2.5"),
        ((10, -1), ValueError, "seed must be an integer >= 0, but is -1"),
        ((10, 2**63), ValueError, "seed must be an integer >= 0 and < 2**63, but is 9223372036854775808"),
        ((10, None), TypeError, "seed must be an integer >= 0, but is None"),
    ],
)
def test_wrong_arguments_of_permutation(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        tombola.permutation(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("n", [1, 2, 64, 65, 300])
def test_every_way_to_ask_gives_the_same(n: int) -> None:
    p = tombola.RandomPermutation(n, key=2**64 - 1)
    whole = p.fill(0, n)
    assert sorted(whole.tolist()) == list(range(n))
    assert list(p) == whole.tolist()
    assert [p[i] for i in range(n)] == whole.tolist()
    assert [p[i - n] for i in range(n)] == whole.tolist()
    assert p[:].tolist() == whole.tolist()
    assert p[::-1].tolist() == whole[::-1].tolist()
    assert p[1:n:3].tolist() == whole[1:n:3].tolist()
    assert p[n:0].tolist() == []
    assert p[np.arange(-n, n)].tolist() == [*whole, *whole]
    assert p.inverse(whole).tolist() == list(range(n))
    assert [p.inverse(x) for x in whole] == list(range(n))
    assert len(p) == p.n == n


def test_arrays_keep_their_shape() -> None:
    p = tombola.RandomPermutation(100, key=3)
    where = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16)
    assert p[where].shape == p.inverse(where).shape == (2, 3)
    assert p.inverse(p[where]).tolist() == where.tolist()
    assert p[[7, 8]].tolist() == [p[7], p[8]]
    assert p[[]].tolist() == p[np.empty(0, dtype=np.int64)].tolist() == []
    assert type(p[np.int32(7)]) is type(p.inverse(7)) is int


def test_large_domains() -> None:
    p = tombola.RandomPermutation(10**12, key=1)
    where = [0, -1, 10**12 - 1, 5]
    assert p.inverse(p[where]).tolist() == [0, 10**12 - 1, 10**12 - 1, 5]
    assert p.fill(10**12 - 3, 10**12).tolist() == [p[-3], p[-2], p[-1]]


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda p: p[10], IndexError, "i must lie in [-10, 10), but is 10"),
        (lambda p: p[-11], IndexError, "i must lie in [-10, 10), but is -11"),
        (lambda p: p[[0, 1, 10]], IndexError, "i must lie in [-10, 10), but element 2 is 10"),
        (lambda p: p[0.5], TypeError, "i must be an integer, but is 0.5"),
        (lambda p: p[True], TypeError, "i must be an integer, but is True"),
        (lambda p: p[[0.0]], TypeError, "i must be integers, but the dtype is float64"),
        (lambda p: p.inverse(-1), IndexError, "x must lie in [0, 10), but is -1"),
        (lambda p: p.inverse(10), IndexError, "x must lie in [0, 10), but is 10"),
        (lambda p: p.inverse([3, -1]), IndexError, "x must lie in [0, 10), but element 1 is -1"),
        (
            lambda p: p.fill(0, 11),
            IndexError,
            "start and stop must satisfy start <= stop <= 10, but are 0 and 11",
        ),
        (
            lambda p: p.fill(4, 3),
            IndexError,
            "start and stop must satisfy start <= stop <= 10, but are 4 and 3",
        ),
        (lambda p: p.fill(-1, 3), ValueError, "start must be an integer >= 0, but is -1"),
    ],
)
def test_wrong_questions(ask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        ask(tombola.RandomPermutation(10, key=0))
    assert str(caught.value) == message


def test_wrong_arguments_of_random_permutation() -> None:
    with pytest.raises(
        ValueError, match=r"^key must be an integer >= 0 and < 2\*\*64, but is 18446744073709551616$"
    ):
        tombola.RandomPermutation(10, 2**64)
    with pytest.raises(ValueError, match=r"^n must be an integer >= 0 and < 2\*\*61, but is "):
        tombola.RandomPermutation(2**61, 0)


def test_equality_and_pickle() -> None:
    p = tombola.RandomPermutation(100, key=3)
    copy = pickle.loads(pickle.dumps(p))
    assert copy == p
    assert hash(copy) == hash(p)
    assert copy.fill(0, 100).tolist() == p.fill(0, 100).tolist()
    assert p != tombola.RandomPermutation(100, key=4)
    assert repr(p) == "RandomPermutation(n=100, key=3)"
