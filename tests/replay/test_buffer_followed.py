"""Scores follow a learned similarity and threshold, whatever way they are given in and changed."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.replay.streams import filled
from tombola import BalancedBuffer
from tombola.replay import AdaptiveThreshold, SemanticSimilarity
from tombola.replay.buffer.followed import WHOLE, values_of

WIDTH = 6
Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sim = SemanticSimilarity(WIDTH)

    def similarity(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return typed(self.sim(first, second))


class Trainer:
    """No module, and much beside: counters and a buffer count for nothing."""

    def __init__(self) -> None:
        self.net = Net()
        self.steps = 0
        self.others = np.zeros(3)

    @property
    def sim(self) -> nn.Module:
        return self.net.sim

    def similarity(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.inner(first, second)

    def inner(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return typed(self.sim(first, second))

    def __len__(self) -> int:
        return 0


class Called:
    __slots__ = ("net",)

    def __init__(self, net: Net) -> None:
        self.net = net

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return typed(self.net.sim(first, second))


GLOBAL = Net()


def use_global(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    def inner() -> torch.Tensor:
        return typed(GLOBAL.sim(first, second))

    return inner()


def with_default(first: torch.Tensor, second: torch.Tensor, *, net: Net = GLOBAL) -> torch.Tensor:
    return typed(net.sim(first, second))


def measured_by(net: Net, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return typed(net.sim(first, second))


def no_grad(measure: Measure) -> Measure:
    @functools.wraps(measure)
    def wrapped(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return measure(first, second)

    return wrapped


def typed(found: Any) -> torch.Tensor:
    """What modules return, which is any type to a type checker."""
    return torch.as_tensor(found)


def of_trainer(how: str) -> tuple[Any, Net]:
    trainer = Trainer()
    return (trainer.similarity if how == "method" else lambda a, b: trainer.sim(a, b)), trainer.net


def net_and(make: Callable[[Net], Any]) -> tuple[Any, Net]:
    net = Net()
    return make(net), net


MEASURES: dict[str, Callable[[], tuple[Any, Net]]] = {
    "module": lambda: net_and(lambda net: net.sim),
    "bound method": lambda: net_and(lambda net: net.similarity),
    "closure": lambda: net_and(lambda net: lambda a, b: net.sim(a, b)),
    "partial": lambda: net_and(lambda net: functools.partial(measured_by, net)),
    "object": lambda: net_and(Called),
    "decorated": lambda: net_and(lambda net: no_grad(net.similarity)),
    "torch's decorator": lambda: net_and(lambda net: torch.no_grad()(net.similarity)),
    "cached": lambda: net_and(lambda net: functools.lru_cache(maxsize=0)(net.similarity)),
    "parts": lambda: net_and(lambda net: (lambda held: lambda a, b: held["x"][0](a, b))({"x": [net.sim]})),
    "method of an object": lambda: of_trainer("method"),
    "closure of an object": lambda: of_trainer("closure"),
    "global": lambda: (use_global, GLOBAL),
    "default": lambda: (with_default, GLOBAL),
}

CHANGES: dict[str, Callable[[nn.Parameter], Any]] = {
    "in place": lambda weight: weight.copy_(torch.randn(WIDTH, WIDTH)),
    "data": lambda weight: weight.data.copy_(torch.randn(WIDTH, WIDTH)),
    "one element of data": lambda weight: weight.data[1, 2].fill_(3.0),
    "new data": lambda weight: setattr(weight, "data", torch.randn(WIDTH, WIDTH)),
}


def scores(buffer: BalancedBuffer) -> list[float]:
    buffer.get_balanced_data(4)
    found: list[float] = buffer._balance.scores.tolist()
    return found


def scores_anew(buffer: BalancedBuffer) -> list[float]:
    buffer.rescore()
    return scores(buffer)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", MEASURES)
def test_a_similarity_that_is_trained_is_followed(name: str, change: str) -> None:
    torch.manual_seed(0)
    measure, net = MEASURES[name]()
    weight: Any = net.sim.projection.weight
    nn.init.eye_(weight)
    buffer = filled(semantic_similarity=measure)
    before = scores(buffer)
    with torch.no_grad():
        CHANGES[change](weight)
    after = scores(buffer)
    assert after != before
    assert after == scores_anew(buffer)


class Scaled(nn.Module):
    """Has a buffer, a plain tensor, an array and a number."""

    centre: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(WIDTH))
        self.hidden = torch.ones(WIDTH)
        self.array = np.ones(1)
        self.scale = 1.0

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        first, second = ((x - self.centre) * self.hidden for x in (first, second))
        cosine = nn.functional.cosine_similarity(first, second, dim=-1)
        return (1 + cosine) / 2 * self.scale * float(self.array[0])


SCALED: dict[str, Callable[[Scaled], Any]] = {
    "buffer": lambda module: module.centre.add_(1.0),
    "buffer's data": lambda module: module.centre.data.add_(1.0),
    "new buffer": lambda module: module.register_buffer("centre", torch.ones(WIDTH)),
    "tensor": lambda module: module.hidden.data[2:].mul_(3.0),
    "array": lambda module: module.array.fill(0.5),
    "number": lambda module: setattr(module, "scale", 0.5),
}


@pytest.mark.parametrize("change", SCALED)
def test_all_that_a_module_has_is_followed(change: str) -> None:
    module = Scaled()
    buffer = filled(semantic_similarity=module)
    before = scores(buffer)
    SCALED[change](module)
    after = scores(buffer)
    assert after != before
    assert after == scores_anew(buffer)


@pytest.mark.parametrize("form", ["module", "bound method", "closure"])
def test_a_threshold_that_is_trained_is_followed(form: str) -> None:
    rule = AdaptiveThreshold(initial=-3.0)
    forms: dict[str, Any] = {"module": rule, "bound method": rule.forward, "closure": lambda s: rule(s)}
    buffer = filled(adaptive_threshold=forms[form])
    buffer.get_balanced_data(4)
    assert len(set(buffer.groups.values())) < 5
    rule.deviations.data.fill_(3.0)
    buffer.get_balanced_data(4)
    assert len(set(buffer.groups.values())) == 5


def test_what_does_not_change_is_not_scored_again() -> None:
    """Neither by counters of an object, nor by training and evaluating in turn."""
    trainer = Trainer()
    buffer = filled(semantic_similarity=trainer.similarity)
    scores(buffer)
    versions = buffer._balance.versions
    trainer.steps += 1
    trainer.others += 1
    trainer.net.train()
    trainer.net.eval()
    scores(buffer)
    assert buffer._balance.versions == versions


def test_what_cannot_be_seen_needs_rescore() -> None:
    hidden = [0.25]

    class Opaque:
        @staticmethod
        def value() -> float:
            return hidden[0]

    def measure(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.full((len(first),), eval("value()", {"value": Opaque.value}))

    buffer = filled(semantic_similarity=measure, refit_every=1000)
    before = scores(buffer)
    hidden[0] = 0.5
    assert scores(buffer) == before
    buffer.rescore()
    other = BalancedBuffer(50, semantic_similarity=measure, refit_every=1000)
    other.load_state_dict(buffer.state_dict())  # what was asked for is part of the state
    assert scores(buffer) != before
    assert scores(other) == scores(buffer)
    hidden[0] = 0.75
    assert scores(buffer) == scores(other)  # once


def test_rescore_reads_the_means_anew() -> None:
    buffer = filled()
    before = scores(buffer)
    buffer._storage.parts["features"][:25].mul_(-1)  # behind its back
    buffer._balance.means.sums[:] = 0
    assert scores(buffer) == before
    assert scores_anew(buffer) != before


def test_values_of_large_tensors_are_sampled() -> None:
    module = nn.Linear(1, WHOLE + 1, bias=False)
    before = values_of(module)
    assert values_of(module) == before
    module.weight.data.mul_(2.0)
    assert values_of(module) != before


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(3, dtype=torch.bfloat16),
        torch.ones(()),
        torch.ones(3, dtype=torch.complex64),
        torch.ones(3, 2).t(),
        torch.ones(3).to_sparse(),
        torch.empty(0),
        torch.ones(2, device="meta"),
        torch.ones(3, dtype=torch.bool),
    ],
)
def test_values_of_any_tensor(tensor: torch.Tensor) -> None:
    def function() -> torch.Tensor:
        return tensor

    assert values_of(function) == values_of(function)
    with torch.inference_mode():
        made = torch.ones(3)
    assert values_of(functools.partial(print, made))
    assert values_of(None) == values_of(len) == values_of(int) == ()
