"""A buffer where a process forks or a signal handler runs in the middle of a call: right, or told."""

import faulthandler
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from tests.replay.streams import CENTRES, filled, items
from tombola import BalancedBuffer
from tombola.replay import SemanticSimilarity
from tombola.replay.buffer import guard
from tombola.replay.buffer.guard import Guard

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
forks_beside_threads = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
RIGHT, TOLD = 0, 3


# ------------------------------------------------------------------------------------------------- the guard


def test_a_guard_that_is_used_rightly() -> None:
    held = Guard()
    with held, held, held:
        pass
    with held, held.change(), held.change():
        pass
    with held.renew():
        pass
    with held:
        pass
    assert isinstance(pickle.loads(pickle.dumps(held)), Guard)


def test_nobody_comes_in_during_a_change() -> None:
    held = Guard()
    with held, held.change():
        for enter in (held, held.renew()):
            with (
                pytest.raises(RuntimeError, match="a signal handler, or a function that the buffer calls"),
                enter,
            ):
                pytest.fail("came in")
    with held:
        pass


def test_nobody_changes_what_is_read() -> None:
    held = Guard()
    with held, held:
        with pytest.raises(RuntimeError, match="cannot change the buffer"), held.change():
            pytest.fail("changed")
        with pytest.raises(RuntimeError, match="cannot change the buffer"), held.renew():
            pytest.fail("changed")
    with held, held.change():
        pass


def fail() -> None:
    msg = "stop"
    raise KeyboardInterrupt(msg)


@pytest.mark.parametrize("inner", [False, True])
def test_a_change_that_is_broken_off_is_noticed(inner: bool) -> None:
    held = Guard()
    with pytest.raises(KeyboardInterrupt), held, held.change(undone=inner):
        with held.change() if inner else nullcontext():
            fail()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="was broken off: empty"), held:
            pytest.fail("came in")
    with pytest.raises(KeyboardInterrupt), held.renew():
        fail()
    with pytest.raises(RuntimeError, match="was broken off: empty"), held:
        pytest.fail("came in")
    with held.renew():
        pass
    with held:
        pass


def test_a_change_that_is_undone_leaves_nothing() -> None:
    held = Guard()
    with pytest.raises(KeyboardInterrupt), held, held.change(undone=True):
        fail()
    with held:
        pass


# --------------------------------------------------------------------------------------------------- forks


def use_in_child(buffer: BalancedBuffer) -> int:
    """Draw, add and draw; or begin anew where it is said that another thread was changing the buffer."""
    torch.set_num_threads(1)  # As in a worker: a child has none of the threads of torch.
    try:
        buffer.get_data(3)
    except RuntimeError as error:
        if str(error) != guard.FORKED:
            return 4
        buffer.empty()
        buffer.add_data(**items(0, 200))
        return TOLD if sum(buffer.group_counts.values()) == 50 else 5
    for _ in range(3):
        _, labels, logits, _ = buffer.get_balanced_data(20)
        if not torch.equal(labels, logits[:, 0].long() % 5 * 10):
            return 6
        buffer.add_data(**items(0, 40))
    weights = buffer._balance.weights
    total = float(weights.tree.get().sum())
    right = abs(weights.tree.total - total) <= 1e-6 * total
    return RIGHT if right and sum(buffer.group_counts.values()) == len(buffer) == 50 else 7


def slow(example: torch.Tensor) -> torch.Tensor:
    threading.Event().wait(0.0005)
    return example


WORK: dict[str, Callable[[BalancedBuffer, int], Any]] = {
    "get_data": lambda buffer, k: buffer.get_data(20, transform=slow),
    "get_balanced_data": lambda buffer, k: buffer.get_balanced_data(40),
    "fitting": lambda buffer, k: buffer.get_balanced_data(20, op_prototypes=prototypes(k)),
    "add_data": lambda buffer, k: buffer.add_data(**items(20 * k, 20 * k + 20)),
    "update_priorities": lambda buffer, k: buffer.update_priorities(range(50), [k % 7 + 1.0] * 50),
}


def prototypes(k: int) -> dict[int, torch.Tensor]:
    return {10 * label: CENTRES[label] + k % 5 for label in range(5)}


@needs_fork
@forks_beside_threads
@pytest.mark.parametrize("name", WORK)
def test_a_child_forked_while_a_thread_uses_a_buffer(name: str) -> None:
    buffer, stop = filled(seed=1), threading.Event()
    buffer.get_balanced_data(5)

    def work() -> None:
        k = 0
        while not stop.is_set():
            WORK[name](buffer, k := k + 1)

    thread = threading.Thread(target=work)
    thread.start()
    found = []
    try:
        for _ in range(12):
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)
                code = 8
                try:
                    code = use_in_child(buffer)
                finally:
                    faulthandler.dump_traceback(all_threads=False) if code > TOLD else None
                    os._exit(code)
            found.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            stop.wait(0.003)
    finally:
        stop.set()
        thread.join()
    assert set(found) <= ({RIGHT} if name == "get_data" else {RIGHT, TOLD})
    assert RIGHT in found
    buffer.get_balanced_data(5)


@needs_fork
@forks_beside_threads
def test_a_child_forked_in_the_middle_of_a_change_is_told() -> None:
    buffer = filled(seed=1)
    here, on = threading.Event(), threading.Event()
    write = buffer._storage.write

    def stopped(*arguments: Any) -> None:
        here.set()
        on.wait(60)
        write(*arguments)

    storage: Any = buffer._storage
    storage.write = stopped
    thread = threading.Thread(target=lambda: buffer.add_data(**items(200, 300)))
    thread.start()
    assert here.wait(60)
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        del storage.write
        os._exit(use_in_child(buffer))
    on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == TOLD
    assert len(buffer.get_balanced_data(5)[0]) == 5


# ------------------------------------------------------------------------------------------------- signals


@contextmanager
def at(place: Any, name: str, handler: Callable[[], object]) -> Iterator[None]:
    """Let a signal come, and be handled, when something is called."""
    inner, handling = getattr(place, name), list[int]()

    def called(*arguments: Any, **options: Any) -> Any:
        if not handling:
            signal.raise_signal(signal.SIGUSR1)
        return inner(*arguments, **options)

    def handle(number: int, _: object) -> None:
        handling.append(number)
        try:
            handler()
        finally:
            handling.clear()

    before = signal.signal(signal.SIGUSR1, handle)
    setattr(place, name, called)
    try:
        yield
    finally:
        delattr(place, name)
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_reads_what_is_read() -> None:
    buffer, seen = filled(seed=1), []

    def handler() -> None:
        seen.append(buffer.state_dict()["num_seen_examples"])
        seen.append(len(buffer.get_data(3)[0]))

    with at(buffer._storage, "read", handler):
        assert len(buffer.get_data(4)[0]) == 4
    assert seen[:2] == [200, 3]


def test_a_handler_cannot_change_what_is_read() -> None:
    buffer = filled(seed=1)
    before = buffer.get_all_data()
    for call in (lambda: buffer.add_data(**items(200, 300)), buffer.empty):
        with at(buffer._storage, "read", call), pytest.raises(RuntimeError, match="a signal handler"):
            buffer.get_data(4)
    assert all(torch.equal(a, b) for a, b in zip(buffer.get_all_data(), before, strict=True))


def test_a_handler_cannot_use_what_is_being_changed() -> None:
    buffer, said = filled(seed=1), []

    def handler() -> None:
        for call in (lambda: buffer.get_data(3), buffer.state_dict, lambda: buffer.add_data(**items(0, 9))):
            try:
                call()
            except RuntimeError as error:
                said.append(str(error))

    with at(buffer._storage, "write", handler):
        buffer.add_data(**items(200, 300))
    assert said == [guard.IN_USE] * 3
    assert sum(buffer.group_counts.values()) == 50


def test_an_interrupt_in_the_middle_of_a_change_is_noticed() -> None:
    buffer = filled(seed=1)
    state = buffer.state_dict()
    with at(buffer._storage, "write", fail), pytest.raises(KeyboardInterrupt):
        buffer.add_data(**items(200, 300))
    with pytest.raises(RuntimeError, match="was broken off: empty"):
        buffer.get_data(3)
    buffer.load_state_dict(state)
    assert len(buffer.get_balanced_data(3)[0]) == 3


def test_an_interrupt_while_slots_are_taken_out_is_made_up_for() -> None:
    buffer = filled(seed=1)
    buffer.get_balanced_data(5)
    weights = buffer._balance.weights
    before = weights.tree.get().tolist()
    calls = []

    def handler() -> None:
        calls.append(1)
        if len(calls) == 2:
            fail()

    with at(weights.tree, "draw", handler), pytest.raises(KeyboardInterrupt):
        buffer.get_balanced_data(50)  # all there are: in several goes
    assert weights.tree.get().tolist() == before
    assert len(buffer.get_balanced_data(50)[0]) == 50


def test_prototypes_may_be_made_from_the_buffer() -> None:
    buffer = filled(seed=1)

    def of_buffer() -> dict[int, torch.Tensor]:
        labels = set(buffer.get_all_data()[1].tolist())
        return {label: CENTRES[label // 10] for label in labels}

    assert len(buffer.get_balanced_data(5, op_prototypes=of_buffer)[0]) == 5


def test_a_similarity_cannot_use_the_buffer() -> None:
    module = SemanticSimilarity(6)

    def measure(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        buffer.get_all_data()
        return torch.as_tensor(module(first, second))

    buffer = filled(seed=1, semantic_similarity=measure)
    with pytest.raises(RuntimeError, match="a function that the buffer calls"):
        buffer.get_balanced_data(5)
    assert len(buffer.get_data(5)[0]) == 5
