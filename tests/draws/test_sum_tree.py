"""The sum tree as users call it; its draws are compared with the oracle in `property`."""

import copy
import multiprocessing
import pickle
import threading
from typing import Any, cast

import numpy as np
import pytest

import tombola


def test_updates_and_what_can_be_read() -> None:
    tree = tombola.SumTree(6)
    assert (len(tree), tree.n, tree.n_positive, tree.total) == (6, 6, 0, 0.0)
    tree.update([0, 5, 2], [1, 2, 0.25])
    tree.update(np.array([2], dtype=np.int8), 0.5)
    tree.update([], [])
    assert tree.get().tolist() == [1.0, 0.0, 0.5, 0.0, 0.0, 2.0]
    assert tree.get([5, 1]).tolist() == [2.0, 0.0]
    assert (tree.n_positive, tree.total) == (3, 3.5)
    assert tree.probabilities([5, 5, 1]).tolist() == [4 / 7, 4 / 7, 0.0]
    assert repr(tree) == "SumTree(n=6, n_positive=3, total=3.5)"
    tree.fill(0.1)
    assert tree.get().tolist() == [0.1] * 6
    assert tombola.SumTree(3, [1, 2, 3]).get().tolist() == [1.0, 2.0, 3.0]
    assert tombola.SumTree(3, np.array([1, 2, 3], dtype=np.float32)).total == 6.0
    assert tombola.SumTree(4, 2.0).total == 8.0


def test_weights_are_kept_as_they_were_given() -> None:
    weights = np.random.default_rng(1).standard_exponential(1000) * 1e-9
    assert tombola.SumTree(1000, weights).get().tolist() == weights.tolist()


def test_the_last_weight_of_a_slot_holds() -> None:
    tree = tombola.SumTree(100)
    tree.update([7, 7, 8, 7], [5.0, 1e30, 1.0, 3.0])
    assert tree.total == 4.0
    assert set(tree.draw(200).tolist()) == {7, 8}


def test_slots_of_weight_zero_never_come() -> None:
    weights = np.zeros(1000)
    weights[[0, 17, 512, 998]] = [1.0, 1e-12, 1e9, 1e-300]
    tree = tombola.SumTree(1000, weights)
    assert set(tree.draw(50_000, stratified=True).tolist()) <= {0, 17, 512, 998}
    assert sorted(tree.draw(4, replace=False).tolist()) == [0, 17, 512, 998]
    tree.update([512, 0], 0.0)
    assert set(tree.draw(1000).tolist()) <= {17, 998}


def test_seed_step_and_size() -> None:
    tree = tombola.SumTree(50, np.arange(50.0))
    for replace in (True, False):
        long = tree.draw(40, replace=replace).tolist()
        assert long[:10] == tree.draw(10, seed=0, step=0, replace=replace).tolist()
        assert long != tree.draw(40, seed=1, replace=replace).tolist()
        assert long != tree.draw(40, step=1, replace=replace).tolist()
    assert tree.draw(40).tolist() != tree.draw(40, replace=False).tolist()
    assert tree.draw(0).dtype == np.int64


def test_stratified_draws_are_one_in_each_part() -> None:
    tree = tombola.SumTree(8, np.ones(8))
    assert tree.draw(8, seed=5, stratified=True).tolist() == list(range(8))
    assert tree.draw(4, seed=5, stratified=True).tolist() != tree.draw(4, seed=6, stratified=True).tolist()


def test_correction_weights() -> None:
    weights = np.array([4.0, 2.0, 1.0, 1.0, 0.0])
    tree = tombola.SumTree(5, weights)
    p = weights / 8
    for options in ({}, {"stratified": True}, {"replace": False}):
        slots, corrections = tree.draw_with_correction(4, seed=3, beta=0.5, **options)
        assert slots.tolist() == tree.draw(4, seed=3, **options).tolist()
        expected = (4 * p[slots]) ** -0.5
        np.testing.assert_allclose(corrections, expected / expected.max(), rtol=1e-12)
        assert corrections.max() == 1.0
    assert tombola.correction_weights([0.5, 0.25], 2, 0).tolist() == [1.0, 1.0]
    assert tombola.correction_weights([0.5, 0.25], 2, 1, normalise=False).tolist() == [1.0, 2.0]
    assert tombola.correction_weights([], 2, 1).tolist() == []


@pytest.mark.parametrize("how", ["state", "pickle", "deepcopy"])
def test_states(how: str) -> None:
    tree = tombola.SumTree(300, 1.0)
    tree.update(np.arange(300), 1e-3)  # the scale is one that the weights alone would not choose
    tree.update([1, 2], [3.0, 0.0])
    match how:
        case "state":
            other = tombola.SumTree(300)
            other.load_state_dict(tree.state_dict())
        case "pickle":
            other = pickle.loads(pickle.dumps(tree))
        case _:
            other = copy.deepcopy(tree)
    for step in range(3):
        assert other.draw(100, step=step).tolist() == tree.draw(100, step=step).tolist()
        for each in (tree, other):
            each.update([step], 1e6**step)
    assert other.state_dict()["scale"] == tree.state_dict()["scale"]
    state = tree.state_dict()
    tree.update([0], 5.0)
    assert state["weights"][0] == 1.0  # a copy


def test_states_of_something_else() -> None:
    tree = tombola.SumTree(3, 1.0)
    with pytest.raises(ValueError, match=r"version 1 with n = 3, but got version 1 with n = 2$"):
        tree.load_state_dict(tombola.SumTree(2).state_dict())
    with pytest.raises(ValueError, match=r"version 1 with n = 3, but got version None with n = None$"):
        tree.load_state_dict({})
    broken = tree.state_dict()
    broken["scale"]["exponent"] = 90
    with pytest.raises(ValueError, match="a scale that is not of its weights"):
        tree.load_state_dict(broken)


IN_RANGE = "weights must be finite, >= 0 and at most 2**900, but "


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: tombola.SumTree(0), ValueError, "n must be an integer >= 1, but is 0"),
        (lambda t: tombola.SumTree(cast(Any, "2")), TypeError, "n must be an integer >= 1, but is '2'"),
        (
            lambda t: tombola.SumTree(2**41),
            ValueError,
            "a sum tree must have 1 to 2**40 slots, but is asked for 2199023255552",
        ),
        (
            lambda t: tombola.SumTree(2, [1.0]),
            ValueError,
            "there must be one weight for each of the 2 slots, but are 1",
        ),
        (lambda t: t.update([0, 9], 1.0), IndexError, "slots must lie in [0, 4), but slots[1] = 9"),
        (lambda t: t.update([-1], 1.0), IndexError, "slots must lie in [0, 4), but slots[0] = -1"),
        (lambda t: t.update([0.5], 1.0), TypeError, "slots must be integers, but the dtype is float64"),
        (lambda t: t.update([0], -1), ValueError, IN_RANGE + "weights[0] = -1"),
        (lambda t: t.update([0, 1], [1, np.nan]), ValueError, IN_RANGE + "weights[1] = nan"),
        (lambda t: t.update([0], np.inf), ValueError, IN_RANGE + "weights[0] = inf"),
        (
            lambda t: t.update([0], [1, 2]),
            ValueError,
            "there must be one weight for each of the 1 slots, but are 2",
        ),
        (
            lambda t: t.update([0], "x"),
            TypeError,
            "weights must be real numbers that float64 holds, but the dtype is <U1",
        ),
        (lambda t: t.get([4]), IndexError, "slots must lie in [0, 4), but slots[0] = 4"),
        (lambda t: t.probabilities([4]), IndexError, "slots must lie in [0, 4), but slots[0] = 4"),
        (lambda t: t.draw(-1), ValueError, "size must be an integer >= 0, but is -1"),
        (
            lambda t: t.draw(4, replace=False),
            ValueError,
            "without replacement at most as many slots can be drawn as have a weight > 0, 3, but size is 4",
        ),
        (
            lambda t: t.draw(1, replace=False, stratified=True),
            ValueError,
            "stratified draws are with replacement: leave out stratified=True or replace=False",
        ),
        (lambda t: t.draw(1, replace=0), TypeError, "replace must be True or False, but is 0"),
        (
            lambda t: tombola.SumTree(3).draw(1),
            ValueError,
            "at least one weight must be > 0 to draw, but all 3 are 0",
        ),
        (
            lambda t: t.draw_with_correction(1, beta=-1),
            ValueError,
            "beta must be a finite number >= 0, but is -1",
        ),
        (
            lambda t: tombola.correction_weights([0.5, 0], 2, 1),
            ValueError,
            "probabilities must be > 0 and <= 1, but probabilities[1] = 0.0",
        ),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], message: str) -> None:
    tree = tombola.SumTree(4, [1.0, 0.0, 2.0, 3.0])
    before = tree.draw(50).tolist()
    with pytest.raises(error) as caught:
        call(tree)
    assert str(caught.value) == message
    assert tree.get().tolist() == [1.0, 0.0, 2.0, 3.0]
    assert tree.draw(50).tolist() == before


def test_draws_and_updates_from_many_threads() -> None:
    """Every draw is one of a tree before or after an update, never of one in between."""
    n, states = 4096, [np.tile([1.0, 0.0], 2048), np.tile([0.0, 1e9], 2048)]
    tree = tombola.SumTree(n, states[0])
    slots, wrong, stop = np.arange(n), [], threading.Event()

    def draw() -> None:
        step = 0
        while not stop.is_set():
            odd = tree.draw(64, step=(step := step + 1)) % 2
            if odd.min() != odd.max():
                wrong.append(odd)

    threads = [threading.Thread(target=draw) for _ in range(3)]
    for thread in threads:
        thread.start()
    for k in range(60):
        tree.update(slots, states[k % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def _draw_in_child(tree: tombola.SumTree, queue: Any) -> None:
    tree.update([0], 5.0)
    queue.put(tree.draw(20, seed=1).tolist())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own_tree() -> None:
    tree = tombola.SumTree(100, 1.0)
    tree.draw(10)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_draw_in_child, args=(tree, queue))
    child.start()
    drawn = queue.get(timeout=60)
    child.join()
    assert tree.get([0]).tolist() == [1.0]
    tree.update([0], 5.0)
    assert tree.draw(20, seed=1).tolist() == drawn


def check_no_drift(updates: int, n: int = 10**5, batch: int = 10**5) -> None:
    """Update at random, over 2**-40 to 2**20; compare with a tree that was built from the weights."""
    generator = np.random.default_rng(4)
    tree = tombola.SumTree(n, 1.0)
    for step in range(updates // batch):
        low = generator.integers(-40, 0)
        slots, weights = generator.integers(n, size=batch), generator.uniform(low, low + 20, size=batch)
        tree.update(slots, np.exp2(weights))
        if step % max(1, updates // batch // 10) == 0:
            anew = pickle.loads(pickle.dumps(tree))
            assert tree._tree.scaled_total == anew._tree.scaled_total
            drawn = tree.draw(10**5, step=step, stratified=True)
            assert np.array_equal(drawn, anew.draw(10**5, step=step, stratified=True))
            # n masses, each half a unit off at most
            assert abs(tree.total / float(tree.get().sum()) - 1) < 1e-6


def test_a_million_updates_do_not_drift() -> None:
    check_no_drift(10**6)


@pytest.mark.slow
@pytest.mark.statistical_long
def test_10_8_updates_do_not_drift() -> None:
    check_no_drift(10**8)
