"""Random walks of the replay buffer: what it holds and draws is what a model says.

The model is a list of slots: the item each holds, the one given out of it last, and a priority. Fills and
uniform draws equal the oracle's. The weights behind balanced draws equal scores made from scratch. A twin has
the same calls, but is never saved, loaded, copied or forked: draws equal the twin's to the last bit.
"""

import copy
import io
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, precondition, rule

from tests.oracle.replay import reservoir_slots, uniform_draws
from tests.property.walks import Length, Walk, lengths, walk
from tests.replay.scored import CENTRES, CLASSES, WIDTH, scores_from_scratch, weights_of
from tombola import BalancedBuffer

SEED = 3
NOISE = np.random.default_rng(8).standard_normal((997, WIDTH)).astype(np.float32)

Model = dict[str, Any]


def labels_of(items: Any) -> Any:
    """Classes come and go along the stream, and some are rare."""
    return (items * items + items // 50) % (2 + items // 40 % (CLASSES - 1))


def stream(start: int, count: int) -> dict[str, torch.Tensor]:
    """Item i of all streams is i in every part."""
    items = np.arange(start, start + count)
    labels = labels_of(items)
    return {
        "examples": torch.from_numpy(items),
        "labels": torch.from_numpy(labels),
        "features": torch.from_numpy(CENTRES[labels] + NOISE[items % len(NOISE)]),
    }


def saved_and_loaded(buffer: BalancedBuffer) -> BalancedBuffer:
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    other = BalancedBuffer(buffer.buffer_size, balance_weight=buffer.balance_weight, seed=SEED)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


class BufferWalk(Walk):
    """A buffer, its twin and the model."""

    states = Bundle("states")

    @initialize(size=st.sampled_from([1, 7, 40]), weight=st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    def begin(self, size: int, weight: float) -> None:
        self.size, self.weight = size, weight
        self.buffer, self.twin = (BalancedBuffer(size, balance_weight=weight, seed=SEED) for _ in range(2))
        self.model: Model = {"offered": 0, "seen": 0, "steps": 0, "highest": 1.0, "late": 0}
        self.model |= {"items": [], "given": [], "priorities": []}
        self.prototypes = CENTRES.copy()

    def both(self, call: Callable[[BalancedBuffer], Any]) -> Any:
        """Call the buffer and its twin, whose answers must be equal to the last bit."""
        found, expected = call(self.buffer), call(self.twin)
        assert (found is None) == (expected is None)
        for one, other in zip(found or (), expected or (), strict=True):
            assert torch.equal(one, other)
        return found

    def is_empty(self) -> bool:
        return not getattr(self, "model", {"items": []})["items"]

    # ----------------------------------------------------------------------------------------------- changes

    @rule(count=st.sampled_from([0, 1, 2, 5, 30, 100]))
    def add(self, count: int) -> None:
        model = self.model
        self.both(lambda buffer: buffer.add_data(**stream(model["offered"], count)))
        for row, slot in enumerate(reservoir_slots(SEED, model["seen"], count, self.size).tolist()):
            if slot < 0:
                continue
            item = model["offered"] + row
            if slot == len(model["items"]):
                for name in ("items", "given", "priorities"):
                    model[name].append(None)
            model["items"][slot], model["priorities"][slot] = item, model["highest"]
        model["offered"] += count
        model["seen"] += count

    @precondition(lambda self: not self.is_empty())
    @rule(data=st.data(), how=st.sampled_from(["last", "given", "stale"]))
    def update_priorities(self, data: st.DataObject, how: str) -> None:
        model, stored = self.model, len(self.model["items"])
        slots = data.draw(st.lists(st.integers(0, stored - 1), max_size=6))
        values = data.draw(
            st.lists(st.sampled_from([0.1, 1.0, 2.5, 7.0]), min_size=len(slots), max_size=len(slots))
        )
        stamps = {
            "last": None,
            "given": [model["items"][slot] + 1 for slot in slots],
            "stale": [model["items"][slot] + 1 - k % 2 for k, slot in enumerate(slots)],
        }[how]
        self.both(lambda buffer: buffer.update_priorities(slots, values, stamps))
        taken = []
        for k, (slot, value) in enumerate(zip(slots, values, strict=True)):
            item = model["items"][slot]
            meant = model["given"][slot] if stamps is None else stamps[k] - 1
            if meant is None or meant == item:
                model["priorities"][slot] = value
                taken.append(value)
            else:
                model["late"] += 1
        model["highest"] = max([model["highest"], *taken])

    @rule()
    def empty(self) -> None:
        self.both(lambda buffer: buffer.empty())
        self.model |= {"seen": 0, "highest": 1.0, "items": [], "given": [], "priorities": []}

    @rule(label=st.integers(0, CLASSES - 1), by=st.sampled_from([-1.0, 0.5, 3.0]))
    def move_prototype(self, label: int, by: float) -> None:
        self.prototypes[label] += np.float32(by)

    # ------------------------------------------------------------------------------------------------- draws

    @precondition(lambda self: not self.is_empty())
    @rule(size=st.sampled_from([0, 1, 3, 20, 60]))
    def draw_uniformly(self, size: int) -> None:
        model, stored = self.model, len(self.model["items"])
        drawn = self.both(lambda buffer: buffer.get_data(size, return_index=True))
        slots = uniform_draws(SEED, model["steps"], stored, min(size, stored), replace=False).tolist()
        self.check(drawn, slots)
        model["steps"] += 1

    @precondition(lambda self: not self.is_empty())
    @rule(size=st.sampled_from([1, 3, 20, 60]), beta=st.sampled_from([0.0, 0.4, 1.0]))
    def draw_balanced(self, size: int, beta: float) -> None:
        options: dict[str, Any] = {"return_index": True, "return_weights": True, "beta": beta}
        drawn = self.both(
            lambda buffer: buffer.get_balanced_data(size, op_prototypes=self.prototypes, **options)
        )
        slots = drawn[-2].tolist()
        assert len(slots) == len(set(slots)) == min(size, len(self.model["items"]))
        self.check(drawn[:-1], slots)
        self.model["steps"] = self.buffer.state_dict()["steps"]  # as many as rejection took
        if (
            len(set(labels_of(np.array(self.model["items"])).tolist())) > 1
            and len(self.buffer.group_counts) > 1
        ):
            scores = scores_from_scratch(self.buffer, self.prototypes, self.weight)
            scores *= np.array(self.model["priorities"])
            np.testing.assert_allclose(weights_of(self.buffer), scores, rtol=1e-9)
            np.testing.assert_allclose(
                drawn[-1].numpy(), (scores[slots] / scores[slots].min()) ** -beta, rtol=1e-5
            )

    def check(self, drawn: Any, slots: list[int]) -> None:
        """The items of the slots came, and count as given out."""
        items = [self.model["items"][slot] for slot in slots]
        assert drawn[-1].tolist() == slots
        assert drawn[0].tolist() == items
        assert drawn[1].tolist() == labels_of(np.array(items, dtype=np.int64)).tolist()
        for slot, item in zip(slots, items, strict=True):
            self.model["given"][slot] = item

    # ------------------------------------------------------------------------------------------------ states

    @rule(how=st.sampled_from([saved_and_loaded, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))]))
    def go_on_with_a_copy(self, how: Callable[[BalancedBuffer], BalancedBuffer]) -> None:
        self.buffer = how(self.buffer)

    @rule(target=states)
    def save(self) -> Any:
        return self.buffer.state_dict(), copy.deepcopy(self.twin), copy.deepcopy(self.model)

    @rule(saved=states)
    def go_back(self, saved: Any) -> None:
        state, twin, model = saved
        self.buffer.load_state_dict(state)
        self.twin, self.model = copy.deepcopy(twin), copy.deepcopy(model)

    @precondition(lambda self: not self.is_empty())
    @rule()
    def fork(self) -> None:
        """A child has a buffer of its own, which draws what the parent's would."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                drawn = [buffer.get_data(5, return_index=True)[-1] for buffer in (self.buffer, self.twin)]
                self.buffer.add_data(**stream(0, 90))
                code = 0 if torch.equal(*drawn) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    # -------------------------------------------------------------------------------------------- invariants

    @invariant()
    def content(self) -> None:
        if not hasattr(self, "model"):
            return
        assert len(self.buffer) == len(self.model["items"])
        assert self.buffer.num_seen_examples == self.model["seen"]
        if self.model["items"]:
            everything = self.buffer._storage.first("examples", len(self.buffer))
            assert everything.tolist() == self.model["items"]
        assert self.buffer.report()["ignored_priorities"] == self.model["late"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@lengths(short=(8, 15), long=(300, 60))
def test_buffer(length: Length) -> None:
    walk(BufferWalk, length)
