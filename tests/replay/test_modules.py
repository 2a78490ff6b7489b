"""The learned similarity and threshold: what they give untrained, their losses, and that training helps."""

import pytest
import torch

from tombola.replay import AdaptiveThreshold, SemanticSimilarity


def test_an_untrained_similarity_is_the_cosine() -> None:
    first, second = torch.randn(2, 30, 7, generator=torch.Generator().manual_seed(1))
    expected = (1 + torch.nn.functional.cosine_similarity(first, second)) / 2
    torch.testing.assert_close(SemanticSimilarity(7)(first, second), expected)
    assert SemanticSimilarity(7)(torch.zeros(1, 7), second[:1]).item() == 0.5


def contrastive_by_loops(features: torch.Tensor, labels: list[int], temperature: float) -> float:
    z = torch.nn.functional.normalize(features.double(), dim=1)
    losses = []
    for i, label in enumerate(labels):
        others = [a for a in range(len(labels)) if a != i]
        partners = [p for p in others if labels[p] == label]
        total = torch.logsumexp(torch.stack([z[i] @ z[a] / temperature for a in others]), 0)
        if partners:
            losses.append(-sum(float(z[i] @ z[p] / temperature - total) for p in partners) / len(partners))
    return sum(losses) / len(losses)


def test_the_contrastive_loss_is_its_formula() -> None:
    features = torch.randn(9, 4, generator=torch.Generator().manual_seed(2))
    labels = [0, 0, 1, 1, 1, 2, 5, 0, 7]
    similarity = SemanticSimilarity(4, temperature=0.5)
    expected = contrastive_by_loops(features, labels, 0.5)
    assert similarity.loss(features, torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-5)


def test_training_the_similarity() -> None:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(40) % 4
    features = torch.randn(40, 6, generator=generator)
    features[:, 0] = labels.float()  # one feature tells the classes, the others don't
    similarity = SemanticSimilarity(6)
    optimizer = torch.optim.Adam(similarity.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = similarity.loss(features, labels)
        loss.backward()
        assert all(bool(torch.isfinite(p.grad).all()) for p in similarity.parameters() if p.grad is not None)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("labels", [[0, 1, 2], [0], []])
def test_a_batch_without_pairs_has_no_loss(labels: list[int]) -> None:
    similarity = SemanticSimilarity(2)
    loss = similarity.loss(torch.ones(len(labels), 2), torch.tensor(labels, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0.0


def test_the_threshold_lies_by_mean_and_deviation() -> None:
    values = torch.tensor([0.1, 0.3, 0.5])
    expected = values.mean() + 2 * values.std(correction=0)
    torch.testing.assert_close(AdaptiveThreshold(initial=2)(values), expected)
    assert AdaptiveThreshold(initial=100)(values).item() == 1.0
    assert AdaptiveThreshold()(torch.empty(0)).item() == 1.0
    assert AdaptiveThreshold()(torch.tensor([0.25])).item() == 0.25


def test_the_threshold_learns_to_tell_pairs() -> None:
    similarity = torch.cat([torch.linspace(0.1, 0.5, 90), torch.linspace(0.7, 0.9, 10)])
    same = torch.arange(100) >= 90
    threshold = AdaptiveThreshold(initial=-1.0)
    optimizer = torch.optim.SGD(threshold.parameters(), lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        threshold.loss(similarity, same).backward()
        optimizer.step()
    assert 0.5 < threshold(similarity).item() < 0.7
    loss = threshold.loss(similarity, same)
    margin = (similarity - threshold(similarity)) / 0.1
    losses = torch.where(same, torch.log1p(torch.exp(-margin)), torch.log1p(torch.exp(margin)))
    torch.testing.assert_close(loss, (losses[same].mean() + losses[~same].mean()) / 2)
    assert threshold.loss(torch.empty(0), torch.empty(0, dtype=torch.bool)).item() == 0.0


def test_modules_refuse() -> None:
    with pytest.raises(ValueError, match="num_feats must be an integer >= 1, but is 0"):
        SemanticSimilarity(0)
    with pytest.raises(ValueError, match=r"features must be num_feats = 3 wide, but have \(2, 4\)"):
        SemanticSimilarity(3)(torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"labels must be one a row, \(2,\), but have \(3,\)"):
        SemanticSimilarity(3).loss(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"same must have the shape of similarity, \(2,\), but has \(3,\)"):
        AdaptiveThreshold().loss(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match="temperature must be a finite number > 0, but is 0"):
        AdaptiveThreshold(temperature=0)
