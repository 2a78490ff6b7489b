"""The model: heads, loss, and the scale that features are brought to."""

import pytest
import torch
from torch import nn

from tombola.experiments.model import MultiTaskLinear

CLASSES = {"drug": 5, "phase": 2}


def make(centre: torch.Tensor | None = None, spread: float = 1.0) -> MultiTaskLinear:
    model = MultiTaskLinear(3, CLASSES, centre=torch.zeros(3) if centre is None else centre, spread=spread)
    with torch.no_grad():
        model.linear.weight.copy_(torch.arange(21.0).reshape(7, 3))
        model.linear.bias.copy_(torch.arange(7.0))
    return model


def test_it_begins_at_zero_and_predicts_nothing() -> None:
    model = MultiTaskLinear(3, CLASSES, centre=torch.zeros(3))
    assert all(bool((parameter == 0).all()) for parameter in model.parameters())
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    targets = {"drug": torch.tensor([0, 1, 2, 3]), "phase": torch.tensor([0, 1, 0, 1])}
    assert model.loss(x, targets).item() == pytest.approx(float(torch.log(torch.tensor(10.0))), rel=1e-6)


def test_heads_are_columns_of_one_matrix() -> None:
    x = torch.tensor([[1.0, -2.0, 3.0], [0.0, 1.0, 0.0]])
    logits = make()(x)
    together = torch.cat([logits["drug"], logits["phase"]], dim=1)
    assert {name: tuple(value.shape) for name, value in logits.items()} == {"drug": (2, 5), "phase": (2, 2)}
    assert torch.equal(together, x @ torch.arange(21.0).reshape(7, 3).T + torch.arange(7.0))


def test_rows_are_centred_and_scaled() -> None:
    x = torch.tensor([[1.0, -2.0, 3.0]])
    centre = torch.tensor([1.0, 1.0, 1.0])
    assert torch.equal(make(centre, 2.0)(x)["drug"], make()((x - centre) / 2.0)["drug"])


def test_the_loss_is_the_sum_of_the_heads() -> None:
    x = torch.tensor([[0.1, -0.2, 0.3], [0.0, 0.1, 0.0]])
    targets = {"phase": torch.tensor([0, 1]), "drug": torch.tensor([4, 0])}
    model = make()
    logits = model(x)
    expected = [nn.functional.cross_entropy(logits[name], targets[name]).item() for name in CLASSES]
    assert model.loss(x, targets).item() == pytest.approx(sum(expected), rel=1e-6)
