"""What the continual learner's options do: stored logits, schedule, factors of tasks, scores of losses."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from continual.learner import ContinualLearner
from continual.settings import LearnerOptions
from tombola.replay import BalanceSchedule

LABELS = torch.arange(12) % 4
INPUTS = torch.randn((12, 5), generator=torch.Generator().manual_seed(0))


def learner_of(**options: Any) -> ContinualLearner:
    return ContinualLearner((5,), 4, LearnerOptions(buffer_size=12, noise=0.0, minibatch_size=6, **options))


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_dark_experience_replay(beta: float) -> None:
    """The loss of a step: of new labels, beta times of drawn ones, alpha times of stored logits."""
    learner = learner_of(alpha=0.3, beta=beta, sm_weight=0.0)
    with torch.no_grad():
        before = learner(INPUTS)
    first = learner.observe(INPUTS, LABELS, INPUTS)
    assert first == pytest.approx(F.cross_entropy(before, LABELS).item())  # nothing is stored yet
    inputs, _, logits = learner.buffer.get_all_data()
    assert torch.equal(inputs, INPUTS)
    torch.testing.assert_close(logits, before)  # of before the step
    state = learner.buffer.state_dict()
    drawn, drawn_labels, stored = learner.buffer.get_balanced_data(
        6, op_prototypes=learner.prototypes.vectors
    )
    learner.buffer.load_state_dict(state)  # so that the step draws the same
    with torch.no_grad():
        new, old = learner(INPUTS), learner(drawn)
    expected = (
        F.cross_entropy(new, LABELS)
        + beta * F.cross_entropy(old, drawn_labels)
        + 0.3 * F.mse_loss(old, stored)
    )
    assert learner.observe(INPUTS, LABELS, INPUTS) == pytest.approx(expected.item(), rel=1e-5)


def test_without_alpha_no_logits_are_stored() -> None:
    """And the loss is the mean over new and drawn samples alike."""
    learner = learner_of(sm_weight=0.0)
    learner.observe(INPUTS, LABELS, INPUTS)
    assert len(learner.buffer.get_all_data()) == 2
    state = learner.buffer.state_dict()
    drawn, drawn_labels = learner.buffer.get_balanced_data(6, op_prototypes=learner.prototypes.vectors)
    learner.buffer.load_state_dict(state)
    with torch.no_grad():
        logits = learner(torch.cat([INPUTS, drawn]))
    expected = F.cross_entropy(logits, torch.cat([LABELS, drawn_labels])).item()
    assert learner.observe(INPUTS, LABELS, INPUTS) == pytest.approx(expected, rel=1e-5)


def test_difficulty_follows_the_losses_of_draws() -> None:
    learner = learner_of(difficulty_weight=1.0, task_weights=(2.0, 0.5))
    learner.observe(INPUTS, LABELS, INPUTS)
    scores = learner.buffer._balance.item_scores.arrays["difficulty"]
    before = scores.copy()
    with torch.no_grad():
        losses = F.cross_entropy(learner(INPUTS), LABELS, reduction="none").double()
    learner.task = 1
    learner.observe(INPUTS[:1], LABELS[:1], INPUTS[:1])
    changed = [k for k in range(12) if scores[k] != before[k]]
    kept = [k for k in changed if learner.buffer.stamps([k]).item() == k + 1]
    assert 5 <= len(kept) <= 6  # of the six that were drawn one may have been replaced
    torch.testing.assert_close(torch.from_numpy(scores[kept]), losses[kept] + 1e-6, rtol=1e-4, atol=0)
    tasks = learner.buffer.get_all_data()[2]
    factors = learner.buffer._balance.task_factors
    assert [factors[k] for k in range(12)] == [(2.0, 0.5)[task] for task in tasks.tolist()]


def test_the_balance_weight_follows_a_schedule() -> None:
    learner = learner_of(balance_schedule="linear", balance_weight=0.2, balance_end=1.0, balance_steps=4)
    assert learner.buffer.balance_weight == BalanceSchedule(0.2, 1.0, steps=4, kind="linear")
    weights = []
    for _ in range(7):
        learner.observe(INPUTS, LABELS, INPUTS)
        weights.append(learner.buffer.report()["balance_weight"])
    assert weights == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])
