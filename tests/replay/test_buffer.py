"""The buffer as a store: filling, what comes out, state, devices, threads."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tombola
from tests.oracle import replay as oracle
from tests.replay.streams import equal, filled, items
from tombola import BalancedBuffer, _core
from tombola.replay import BalanceSchedule
from tombola.replay.buffer.items import arrivals

# ------------------------------------------------------------------------------------------------- the core


@pytest.mark.parametrize(("first", "count", "slots"), [(0, 0, 1), (0, 300, 7), (5, 700, 100), (10**12, 9, 2)])
def test_reservoir_slots_equal_the_oracle(first: int, count: int, slots: int) -> None:
    for seed in (0, 2**63 - 1):
        expected = oracle.reservoir_slots(seed, first, count, slots)
        np.testing.assert_array_equal(_core.reservoir_slots(seed, first, count, slots), expected, strict=True)


@pytest.mark.parametrize(("stored", "size"), [(1, 1), (30, 30), (400, 17), (5000, 1000)])
def test_uniform_draws_equal_the_oracle(stored: int, size: int) -> None:
    for replace in (False, True):
        expected = oracle.uniform_draws(3, 4, stored, size, replace=replace)
        np.testing.assert_array_equal(_core.uniform_draws(3, 4, stored, size, replace=replace), expected)
    np.testing.assert_array_equal(_core.unit_draws(5, 6, size), oracle.unit_draws(5, 6, size))


def test_the_core_refuses() -> None:
    with pytest.raises(ValueError, match="as many items as draws to draw from, but there are 3"):
        _core.uniform_draws(0, 0, 3, 4, replace=False)
    with pytest.raises(ValueError, match="slots must be an integer >= 1, but is 0"):
        _core.reservoir_slots(0, 0, 3, 0)


@pytest.mark.parametrize("seen", [0, 3, 9, 100])
def test_the_last_writer_of_a_slot_holds(seen: int) -> None:
    size, count = 8, 500
    expected: dict[int, int] = {}
    for row, slot in enumerate(oracle.reservoir_slots(1, seen, count, size).tolist()):
        if slot >= 0:
            expected[slot] = row
    rows, slots = arrivals(1, seen, count, size)
    assert dict(zip(slots.tolist(), rows.tolist(), strict=True)) == expected
    assert len(slots) == len(expected)
    assert (np.diff(rows) > 0).all()


# ------------------------------------------------------------------------------------------------- content


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [49, 50, 51], [7, 70, 170], list(range(200))])
def test_content_does_not_depend_on_batches(cuts: list[int]) -> None:
    buffer = BalancedBuffer(50)
    for start, stop in zip([0, *cuts], [*cuts, 200], strict=True):
        buffer.add_data(**items(start, stop))
    assert equal(buffer.get_all_data(), filled().get_all_data())
    assert (len(buffer), buffer.num_seen_examples) == (50, 200)


def test_content_is_that_of_the_oracle() -> None:
    expected = {slot: item for item, slot in enumerate(oracle.reservoir_slots(4, 0, 200, 50).tolist())}
    logits = filled(seed=4).get_all_data()[2]
    assert logits[:, 0].tolist() == [expected[slot] for slot in range(50)]


def test_all_parts_of_an_item_stay_together() -> None:
    buffer = filled()
    for batch in (
        buffer.get_data(20),
        buffer.get_balanced_data(20),
        buffer.get_all_data(),
        buffer.get_data_by_index([3, 3, 49]),
    ):
        examples, labels, logits, tasks = batch
        numbers = logits[:, 0].long()
        assert torch.equal(examples[:, 0, 0].long(), numbers % 251)
        assert torch.equal(labels, numbers % 5 * 10)
        assert torch.equal(tasks, numbers % 5 // 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int16, torch.bool])
def test_dtypes_and_shapes_are_kept(dtype: torch.dtype) -> None:
    examples = torch.arange(60).reshape(20, 3).to(dtype)
    buffer = BalancedBuffer(30)
    buffer.add_data(examples)
    (found,) = buffer.get_all_data()
    assert found.dtype == dtype
    assert torch.equal(found, examples)


def test_numpy_arrays_lists_and_views_come_in() -> None:
    buffer = BalancedBuffer(10)
    array = np.arange(12.0).reshape(2, 6)[:, ::-2]
    array.flags.writeable = False
    buffer.add_data(array, [1, 2], logits=torch.arange(6).reshape(3, 2).T)
    examples, labels, logits = buffer.get_all_data()
    assert examples.tolist() == array.tolist()
    assert labels.tolist() == [1, 2]
    assert logits.tolist() == [[0, 2, 4], [1, 3, 5]]


def test_what_comes_out_is_a_copy() -> None:
    buffer = filled()
    before = buffer.get_all_data()
    for part in buffer.get_all_data():
        part.zero_()
    assert equal(buffer.get_all_data(), before)


def test_storage_does_not_grow() -> None:
    buffer = BalancedBuffer(50)
    buffer.add_data(**items(0, 3))
    memory = {name: part.data_ptr() for name, part in buffer._storage.parts.items()}
    buffer.add_data(**items(3, 300))
    assert {name: part.data_ptr() for name, part in buffer._storage.parts.items()} == memory
    assert {len(part) for part in buffer._storage.parts.values()} == {50}


# --------------------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("draw", ["get_data", "get_balanced_data"])
def test_shapes_of_what_is_drawn(draw: str) -> None:
    buffer = filled()
    batch = getattr(buffer, draw)(7, return_index=True, return_weights=True)
    assert [tuple(part.shape) for part in batch] == [(7, 2, 3), (7,), (7, 4), (7,), (7,), (7,)]
    slots, weights = batch[4:]
    assert equal(buffer.get_data_by_index(slots), batch[:4])
    assert slots.dtype == torch.int64
    assert weights.dtype == torch.float32
    assert float(weights.max()) == 1.0
    assert len(getattr(buffer, draw)(0)[0]) == 0


@pytest.mark.parametrize("draw", ["get_data", "get_balanced_data"])
def test_at_most_what_is_stored_comes(draw: str) -> None:
    slots = getattr(filled(), draw)(1000, return_index=True)[-1]
    assert sorted(slots.tolist()) == list(range(50))
    assert len(getattr(filled(replace=True), draw)(1000)[0]) == 1000


def test_draws_follow_the_seed() -> None:
    def slots(seed: int) -> list[list[int]]:
        buffer = filled(seed=seed)
        return [
            draw(9, return_index=True)[-1].tolist()
            for draw in (buffer.get_data, buffer.get_data, buffer.get_balanced_data, buffer.get_balanced_data)
        ]

    assert slots(3) == slots(3)
    assert len({tuple(draw) for draw in slots(3)}) == 4
    assert slots(3) != slots(4)


def test_transform_sees_each_example() -> None:
    buffer = filled()
    for batch in (
        buffer.get_data(5, lambda example: example.float() / 2),
        buffer.get_balanced_data(5, transform=lambda example: example.float() / 2),
        buffer.get_all_data(lambda example: example.float() / 2),
    ):
        assert torch.equal(batch[0][:, 0, 0], batch[2][:, 0] % 251 / 2)


# --------------------------------------------------------------------------------------------------- state


def test_resume_is_exact_at_every_step() -> None:
    def steps(buffer: BalancedBuffer, first: int, last: int) -> list[tuple[torch.Tensor, ...]]:
        found = []
        for k in range(first, last):
            buffer.add_data(**items(100 * k, 100 * k + 30 + k))
            buffer.update_priorities([k, k + 1], [k + 1.0, 0.5]) if k > 3 else None
            found.append(buffer.get_balanced_data(9, return_index=True, return_weights=True))
            found.append(buffer.get_data(9, return_index=True))
        return found

    options: dict[str, Any] = {"seed": 5, "task_weights": {1: 2.0}, "balance_weight": 0.7}
    whole = steps(BalancedBuffer(60, **options), 0, 8)
    for stop in range(8):
        first = BalancedBuffer(60, **options)
        steps(first, 0, stop)
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        resumed = BalancedBuffer(60, **{**options, "seed": 0})
        resumed.load_state_dict(torch.load(file, weights_only=True))
        rest = steps(resumed, stop, 8)
        assert all(equal(a, b) for a, b in zip(rest, whole[2 * stop :], strict=True))


@pytest.mark.parametrize("weight", [0.0, 3, BalanceSchedule(0.0, 2.0, steps=9, kind="cosine")])
@pytest.mark.parametrize("balanced", [False, True])
def test_switches_are_part_of_the_state(weight: float | BalanceSchedule, balanced: bool) -> None:
    buffer = filled(seed=2)
    buffer.get_balanced_data(9)
    buffer.use_balanced_sampling, buffer.balance_weight = balanced, weight
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    other = BalancedBuffer(50)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert (other.use_balanced_sampling, other.balance_weight) == (balanced, weight)
    for _ in range(4):
        assert equal(
            other.get_balanced_data(9, return_index=True), buffer.get_balanced_data(9, return_index=True)
        )
        buffer.add_data(**items(300, 330))
        other.add_data(**items(300, 330))
    assert other.report() == buffer.report()


def test_state_is_a_copy() -> None:
    buffer = filled()
    state, before = buffer.state_dict(), buffer.get_all_data()
    buffer.add_data(**items(200, 400))
    other = BalancedBuffer(50)
    other.load_state_dict(state)
    assert equal(other.get_all_data(), before)
    other.add_data(**items(200, 400))
    assert equal(other.get_all_data(), buffer.get_all_data())


def test_states_of_other_buffers_are_refused() -> None:
    state = filled().state_dict()
    with pytest.raises(ValueError, match="a buffer with buffer_size = 60, but it has 50"):
        BalancedBuffer(60).load_state_dict(state)
    with pytest.raises(ValueError, match=r"a buffer with eps = 0\.5, but it has 1e-06"):
        BalancedBuffer(50, eps=0.5).load_state_dict(state)
    with pytest.raises(ValueError, match="version 3 or 4, but got None"):
        BalancedBuffer(50).load_state_dict({})


def test_copies_and_pickles_go_on_alike() -> None:
    buffer = filled()
    others = [copy.deepcopy(buffer), pickle.loads(pickle.dumps(buffer))]
    expected = buffer.get_balanced_data(9, return_index=True)
    for other in others:
        assert equal(other.get_balanced_data(9, return_index=True), expected)


def test_empty_starts_anew() -> None:
    buffer = filled()
    buffer.empty()
    assert buffer.is_empty()
    assert len(buffer) == buffer.num_seen_examples == 0
    assert buffer.group_counts == buffer.groups == {}
    buffer.add_data(torch.zeros(4))  # other parts and shapes than before
    assert buffer.get_all_data()[0].shape == (4,)


def test_devices() -> None:
    buffer = filled(device=torch.device("cpu"))
    assert buffer.to("cpu") is buffer
    absent = "cuda:77"
    calls: list[Callable[[], object]] = [
        lambda: BalancedBuffer(5, absent),
        lambda: buffer.to(absent),
        lambda: BalancedBuffer(5, "qpu"),
        lambda: buffer.get_data(3, device=absent),
        lambda: buffer.get_balanced_data(3, device=absent),
        lambda: buffer.get_all_data(device="qpu"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"device must be there, such as cpu.*, but is '(cuda:77|qpu)'"):
            call()
    assert buffer.device == torch.device("cpu")


def test_batches_go_to_the_device_that_is_asked_for() -> None:
    buffer, there = filled(), torch.device("meta")
    for batch in (
        buffer.get_data(3, device=there, return_index=True, return_weights=True),
        buffer.get_balanced_data(3, device=there, return_index=True, return_weights=True),
        buffer.get_all_data(None, "meta"),
        buffer.get_data_by_index([1], device=there),
    ):
        assert {part.device for part in batch} == {there}
    assert buffer.get_all_data()[0].device == buffer.device == torch.device("cpu")


def test_replay_as_continual_learning_frameworks_call_it() -> None:
    """Experience replay and DER++ as their published `observe` methods use a buffer, but for its class."""
    buffer = BalancedBuffer(20, "cpu")
    network = torch.nn.Linear(4, 3)
    for step in range(5):
        inputs, labels = torch.randn(8, 4, generator=torch.Generator().manual_seed(step)), torch.arange(8) % 3
        outputs = network(inputs)
        if not buffer.is_empty():
            buf_inputs, buf_labels, buf_logits = buffer.get_data(
                6, transform=lambda example: example * 2, device="cpu"
            )
            assert buf_inputs.shape == (6, 4)
            torch.testing.assert_close(network(buf_inputs / 2), buf_logits)
            torch.nn.functional.cross_entropy(network(buf_inputs), buf_labels)
        buffer.add_data(examples=inputs, labels=labels, logits=outputs.data)
    assert (len(buffer), buffer.num_seen_examples, buffer.buffer_size) == (20, 40, 20)
    assert not buffer.get_all_data()[2].requires_grad


def test_threads_share_a_buffer() -> None:
    buffer, seen, errors = filled(40, 40), [], []

    def work(k: int) -> None:
        try:
            for j in range(20):
                buffer.add_data(**items(1000 * k + 10 * j, 1000 * k + 10 * j + 10))
                _, labels, logits, _ = buffer.get_balanced_data(8)
                seen.append(torch.equal(labels, logits[:, 0].long() % 5 * 10))
        except Exception as error:  # carried out of the thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert seen == [True] * 80
    assert buffer.num_seen_examples == 840
    assert sum(buffer.group_counts.values()) == 40


def test_it_is_a_public_name() -> None:
    from tombola.replay.buffer import BalancedBuffer as defined

    assert tombola.BalancedBuffer is tombola.replay.BalancedBuffer is defined
