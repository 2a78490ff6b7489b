"""A fault on the way leaves the buffer as it was, and the next call right."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tombola import BalancedBuffer
from tombola.replay import SemanticSimilarity


class Failing(nn.Module):
    """A cosine that fails when told to."""

    fails = False

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if self.fails:
            msg = "the measure fails"
            raise RuntimeError(msg)
        return (1 + nn.functional.cosine_similarity(first, second, dim=-1)) / 2


def items(count: int, classes: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    features = torch.randn(count, 4, generator=generator) + 3 * nn.functional.one_hot(labels % 4, 4)
    return {"examples": torch.arange(count), "labels": labels, "features": features}


def table(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def make(measure: Any = None) -> BalancedBuffer:
    buffer = BalancedBuffer(60, semantic_similarity=measure, adaptive_threshold=0.95, seed=3)
    buffer.add_data(**items(100, 3))
    return buffer


def draws(buffer: BalancedBuffer, prototypes: torch.Tensor) -> list[list[int]]:
    return [buffer.get_balanced_data(20, op_prototypes=prototypes)[0].tolist() for _ in range(3)]


def test_a_fit_that_failed_is_made_up_for() -> None:
    measure = Failing()
    undisturbed, buffer = make(Failing()), make(measure)
    for each in (undisturbed, buffer):
        each.get_balanced_data(20, op_prototypes=table(0))
    measure.fails = True
    with pytest.raises(RuntimeError, match="the measure fails"):
        buffer.get_balanced_data(20, op_prototypes=table(1))
    measure.fails = False
    assert draws(buffer, table(1)) == draws(undisturbed, table(1))


def test_items_that_cannot_be_scored_leave_nothing_behind() -> None:
    measure = Failing()
    buffer = make(measure)
    buffer.get_balanced_data(5)
    measure.fails = True
    with pytest.raises(RuntimeError, match="the measure fails"):
        buffer.add_data(**items(50, 5, seed=1))
    measure.fails = False
    assert sum(buffer.group_counts.values()) == 60
    buffer.add_data(**items(50, 5, seed=1))
    assert len(buffer.get_balanced_data(30)[0]) == 30


def test_items_that_cannot_be_stored_are_refused_first() -> None:
    buffer = make()
    before = buffer.group_counts
    some = items(50, 3, seed=1)
    with pytest.raises(TypeError, match="examples must be dense, but the layout is"):
        buffer.add_data(**{**some, "examples": some["examples"].to_sparse()})
    assert buffer.group_counts == before


def test_a_module_trained_since_the_last_draw_counts_after_loading() -> None:
    torch.manual_seed(0)
    measure = SemanticSimilarity(4)
    buffer = make(measure)
    buffer.get_balanced_data(20, op_prototypes=table(0))
    with torch.no_grad():
        measure.projection.weight.add_(torch.randn(4, 4))
    loaded = BalancedBuffer(60, semantic_similarity=measure, adaptive_threshold=0.95, seed=9)
    loaded.load_state_dict(buffer.state_dict())
    assert draws(loaded, table(0)) == draws(buffer, table(0))


def test_a_damaged_state_changes_nothing() -> None:
    buffer, other = make(), make()
    state = buffer.state_dict()
    del state["balance"]["numbers"]
    with pytest.raises(KeyError, match="numbers"):
        buffer.load_state_dict(state)
    assert draws(buffer, table(0)) == draws(other, table(0))


def test_thresholds_of_numpy_and_no_prototypes_at_all() -> None:
    half: Any = np.float32(0.5)
    buffer = BalancedBuffer(60, adaptive_threshold=half)
    buffer.add_data(**items(100, 3))
    assert len(buffer.get_balanced_data(7, op_prototypes=table(0))[0]) == 7
    assert len(buffer.get_balanced_data(7, op_prototypes={})[0]) == 7
