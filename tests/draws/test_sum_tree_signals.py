"""A sum tree where a signal handler uses it, or a process forks, while it is drawn from or changed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import tombola

N = 100_000
MANY = 4_000_000  # draws: several slices


@contextmanager
def alarm(handler: Callable[[], object], seconds: float) -> Iterator[list[int]]:
    """Call a handler once, some time from now, in the middle of what is done then; give the calls so far."""
    calls: list[int] = []

    def called(number: int, _: object) -> None:
        calls.append(number)
        handler()

    before = signal.signal(signal.SIGALRM, called)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield calls
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make() -> tuple[tombola.SumTree, tombola.SumTree]:
    """Return a tree, and one that is as `change` makes it."""
    tree, changed = (tombola.SumTree(N, np.arange(N) % 7 + 1.0) for _ in range(2))
    change(changed)
    return tree, changed


def change(tree: tombola.SumTree) -> None:
    tree.update([5, 6, 7], [1e6, 0.0, 3.0])


@pytest.mark.parametrize("stratified", [False, True])
def test_a_handler_changes_the_tree_that_is_drawn_from(stratified: bool) -> None:
    tree, changed = make()
    expected = changed.draw(MANY, seed=1, stratified=stratified)
    before = tree.draw(MANY, seed=1, stratified=stratified)
    with alarm(lambda: change(tree), 0.03) as calls:
        slots = tree.draw(MANY, seed=1, stratified=stratified)
        while not calls:
            pass
    assert np.array_equal(slots, expected) or np.array_equal(slots, before)
    assert not np.array_equal(before, expected)
    assert np.array_equal(tree.draw(1000, seed=2), changed.draw(1000, seed=2))


@pytest.mark.parametrize("seconds", [0.001, 0.01, 0.04])
def test_a_handler_uses_a_tree_in_any_call(seconds: float) -> None:
    n = 2_000_000
    tree, weights = tombola.SumTree(n, 1.0), np.ones(n)

    def handler() -> None:
        tree.draw(10)
        tree.draw(3, replace=False)
        tree.update([1], [2.0])
        tree.get([1])
        tree.fill(weights)

    calls: list[Callable[[], object]] = [
        lambda: tree.fill(weights),
        lambda: tree.update(np.arange(n), weights),
        lambda: tree.draw(100_000, replace=False),
        lambda: tree.draw(MANY),
        tree.state_dict,
    ]
    for call in calls:
        with alarm(handler, seconds) as called:
            while not called:
                call()
        assert tree.total == n


def test_an_error_of_a_handler_breaks_a_draw_off_and_leaves_the_tree() -> None:
    tree, _ = make()
    expected = tree.draw(100)

    def fail() -> None:
        msg = "stop"
        raise KeyboardInterrupt(msg)

    def draw_on() -> None:
        while True:
            tree.draw(MANY)

    with alarm(fail, 0.02), pytest.raises(KeyboardInterrupt, match="stop"):
        draw_on()
    assert np.array_equal(tree.draw(100), expected)


def test_another_thread_changes_the_tree_between_slices() -> None:
    """What comes is the draw of one tree, in which all weights are those of one call."""
    tree, odd = tombola.SumTree(N, np.arange(N) % 2), np.arange(N) % 2
    stop = threading.Event()

    def work() -> None:
        k = 0
        while not stop.is_set():
            tree.fill((odd == (k := k + 1) % 2).astype(np.float64))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for step in range(5):
            slots = tree.draw(MANY // 2, step=step) % 2
            assert slots.min() == slots.max()
    finally:
        stop.set()
        thread.join()


HALF_CHANGED = 3


def use_in_child(tree: tombola.SumTree) -> int:
    try:
        slots = tree.draw(1000)
    except RuntimeError as error:
        if "another thread was changing the sum tree when this process was forked" not in str(error):
            return 4
        try:
            tree.update([0], [1.0])
        except RuntimeError:
            tree.fill(1.0)
            return HALF_CHANGED if tree.total == N and len(set(tree.draw(1000).tolist())) > 900 else 5
        return 6
    return 0 if (slots % 2 == slots[0] % 2).all() else 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_changes_a_tree_has_a_right_one_or_is_told() -> None:
    tree, odd = tombola.SumTree(N, np.arange(N) % 2), np.arange(N) % 2
    stop = threading.Event()

    def work() -> None:
        slots, k = np.arange(N), 0
        while not stop.is_set():
            tree.update(slots, (odd == (k := k + 1) % 2).astype(np.float64))

    thread = threading.Thread(target=work)
    thread.start()
    found = []
    try:
        for _ in range(30):
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
                os._exit(use_in_child(tree))
            found.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    finally:
        stop.set()
        thread.join()
    assert set(found) <= {0, HALF_CHANGED}
    assert HALF_CHANGED in found
