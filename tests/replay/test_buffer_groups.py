"""Semantic groups: how prototypes come in, which classes are linked, thresholds that follow the data."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import adjusted_rand_score

from tests.replay.scored import CENTRES, CLASSES, WIDTH, batch, weights_of
from tombola import BalancedBuffer
from tombola.replay import AdaptiveThreshold, SemanticSimilarity
from tombola.replay.buffer.classes import linked_groups
from tombola.replay.buffer.prototypes import given_table


def test_groups_are_numbered_by_label() -> None:
    similarity = np.full((6, 6), 0.1)
    for a, b in ((0, 3), (3, 5), (1, 4), (0, 5)):
        similarity[a, b] = similarity[b, a] = 0.8
    labels = np.array([50, 3, 20, 40, 9, 10])
    assert linked_groups(similarity, 0.5, labels).tolist() == [1, 0, 2, 1, 0, 1]
    assert linked_groups(similarity, 0.8, labels).tolist() == [5, 0, 3, 4, 1, 2]
    similarity[2] = similarity[:, 2] = np.nan  # no prototype
    assert linked_groups(similarity, 0.0, labels).tolist() == [0, 0, 1, 0, 0, 0]
    assert linked_groups(np.empty((0, 0)), 0.5, labels[:0]).tolist() == []
    assert linked_groups(np.full((2, 2), np.nan), 0.0, labels[:2]).tolist() == [1, 0]


@given(classes=st.integers(2, 25), seed=st.integers(0, 10**6), share=st.floats(0.0, 1.0))
@settings(max_examples=100, deadline=None)
def test_groups_are_those_of_average_linkage(classes: int, seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    similarity = generator.random((classes, classes))
    similarity = (similarity + similarity.T) / 2
    labels = generator.permutation(1000)[:classes] - 500
    pairs = np.triu_indices(classes, 1)
    joined = linkage(1 - similarity[pairs], "average")
    height = float(np.quantile(joined[:, 2], share)) + 1e-9  # beside what a rounding decides
    expected = fcluster(joined, height, "distance")
    found = linked_groups(similarity, 1 - height, labels)
    assert adjusted_rand_score(expected, found) == 1.0
    smallest = [labels[found == group].min() for group in range(found.max() + 1)]
    assert smallest == sorted(smallest)


def test_of_equal_similarities_the_smallest_labels_join_first() -> None:
    """Whatever the order of classes: 1 is as like 2 as 4, and joins 2; by 4 it would stay apart from 2."""
    alike = {(0, 4): 0.55, (1, 2): 0.8, (1, 3): 0.45, (1, 4): 0.8, (2, 3): 0.45, (2, 4): 0.4, (3, 4): 0.65}
    similarity = np.full((5, 5), 0.2)
    for (a, b), value in alike.items():
        similarity[a, b] = similarity[b, a] = value
    for order in itertools.permutations(range(5)):
        found = linked_groups(similarity[np.ix_(order, order)], 0.7, np.array(order))
        assert found[np.argsort(order)].tolist() == [0, 1, 1, 2, 3]


def test_groups_do_not_chain() -> None:
    """Each class is like the next one; components of alike pairs would make one group of all."""
    angles = np.arange(40) * np.pi / 80
    table = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    similarity = (1 + table @ table.T) / 2
    groups = linked_groups(similarity, similarity[0, 1] - 0.01, np.arange(40))
    assert (np.diff(groups) >= 0).all()
    assert np.bincount(groups).max() <= 10
    assert len(np.bincount(groups)) >= 4


def test_an_adaptive_threshold_keeps_many_classes_apart() -> None:
    """Forty classes in ten superclasses: a pair in six is above mean + deviation, and chains link most."""
    generator = np.random.default_rng(0)
    truth = np.repeat(np.arange(10), 4)
    table = generator.normal(scale=0.6, size=(10, 16))[truth] + generator.normal(scale=0.4, size=(40, 16))
    buffer = BalancedBuffer(400, adaptive_threshold=AdaptiveThreshold())
    labels = np.arange(400) % 40
    buffer.add_data(labels, labels, features=torch.from_numpy(table[labels]).float())
    buffer.get_balanced_data(10, op_prototypes=table)
    similarity, threshold = buffer._balance.groups.similarity, buffer._balance.groups.thresholds[0]
    _, parts = connected_components(similarity > threshold)
    found = [buffer.groups[label] for label in range(40)]
    assert np.bincount(parts).max() > 30
    assert adjusted_rand_score(truth, parts) < 0.1
    assert adjusted_rand_score(truth, found) > 0.5


def two_superclasses() -> tuple[BalancedBuffer, dict[int, Any]]:
    directions = {0: [1, 0.1], 1: [1, -0.1], 2: [-0.1, 1], 3: [0.1, 1], 4: [1, 0]}
    labels = torch.arange(100) % 5
    features = torch.tensor([directions[k] for k in labels.tolist()], dtype=torch.float32)
    buffer = BalancedBuffer(100, adaptive_threshold=0.9)
    buffer.add_data(torch.zeros(100), labels, features=features)
    return buffer, directions


def test_alike_classes_share_a_group() -> None:
    buffer, directions = two_superclasses()
    buffer.get_balanced_data(5, op_prototypes=directions)
    assert buffer.groups == {0: 0, 1: 0, 2: 1, 3: 1, 4: 0}
    assert buffer.group_counts == {0: 60, 1: 40}
    del directions[4]  # without a prototype it is alone, and scores 1 / 0.5
    buffer.get_balanced_data(5, op_prototypes=directions)
    assert buffer.groups == {0: 0, 1: 0, 2: 1, 3: 1, 4: 2}
    scores = buffer._balance.scores[buffer.get_all_data()[1].numpy() == 4]
    np.testing.assert_array_equal(scores, 1 / (0.5 + 1e-6))


class Owner:
    """What a learner may be."""

    def __init__(self, prototypes: Any) -> None:
        self.prototypes = prototypes


@pytest.mark.parametrize(
    "form",
    [
        CENTRES,
        torch.from_numpy(CENTRES).half().float(),
        CENTRES.tolist(),
        {label: torch.from_numpy(CENTRES[label]) for label in range(CLASSES)},
        Owner(CENTRES),
        Owner({label: CENTRES[label] for label in range(CLASSES)}),
        lambda: CENTRES,
        Owner(lambda: CENTRES),
    ],
)
def test_forms_of_prototypes(form: Any) -> None:
    labels = np.array([3, 0, 7])
    table = given_table(form, labels, np.array([1, 1, 1]))
    np.testing.assert_allclose(table, CENTRES[labels], rtol=1e-3)


@pytest.mark.parametrize(
    ("form", "error", "message"),
    [
        (CENTRES[:3], IndexError, "a row for each label, but has 3 and label 7 is stored"),
        (CENTRES[0], ValueError, r"a table of shape \(classes, width\).*shape is \(5,\)"),
        ({0: [1.0, 2.0], 1: [1.0]}, ValueError, r"equally wide, but their widths are \[1, 2\]"),
        ("prototypes", TypeError, "op_prototypes must be a table.*but is str"),
        ({0: [np.nan, 1.0]}, ValueError, "all NaN where missing, but that of label 0 is neither"),
        ({0: [np.inf, 1.0]}, ValueError, "must be finite"),
    ],
)
def test_prototypes_that_cannot_be(form: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        given_table(form, np.array([0, 7]), np.array([1, 1]))


def test_prototypes_of_another_width() -> None:
    buffer = BalancedBuffer(20)
    buffer.add_data(**batch(0, 20))
    with pytest.raises(ValueError, match="as wide as the stored features, 5, but are 4 wide"):
        buffer.get_balanced_data(5, op_prototypes=CENTRES[:, :4])


def test_thresholds_follow_the_data() -> None:
    similarity = SemanticSimilarity(WIDTH)
    threshold = AdaptiveThreshold()
    buffer = BalancedBuffer(100, "cpu", similarity, threshold, WIDTH)
    buffer.add_data(**batch(0, 100))
    buffer.get_balanced_data(10, op_prototypes=CENTRES)
    plain = BalancedBuffer(100, adaptive_threshold=buffer._balance.groups.thresholds[0])
    plain.add_data(**batch(0, 100))
    plain.get_balanced_data(10, op_prototypes=CENTRES)
    assert buffer.groups == plain.groups  # the untrained module is the cosine
    np.testing.assert_allclose(weights_of(buffer), weights_of(plain), rtol=1e-5)
    groups, weights = buffer.groups, weights_of(buffer)
    with torch.no_grad():
        threshold.deviations.fill_(-9.0)
    buffer.get_balanced_data(10, op_prototypes=CENTRES)
    assert len(set(buffer.groups.values())) < len(set(groups.values()))
    with torch.no_grad():
        threshold.deviations.fill_(1.0)
        similarity.projection.weight[0] *= 3.0
    buffer.get_balanced_data(10, op_prototypes=CENTRES)
    assert not np.allclose(weights_of(buffer), weights)


def test_quantiles_of_similarity() -> None:
    counts = []
    for quantile in (0.0, 0.5, 1.0):
        buffer = BalancedBuffer(100, threshold_quantile=quantile)
        buffer.add_data(**batch(0, 100))
        buffer.get_balanced_data(10, op_prototypes=CENTRES)
        counts.append(len(buffer.group_counts))
    assert counts[0] == 1
    assert counts[2] == CLASSES
    assert counts[0] <= counts[1] <= counts[2]


def test_learned_similarities_that_cannot_be() -> None:
    def draw(value: float) -> None:
        buffer = BalancedBuffer(20, semantic_similarity=lambda a, _: torch.full((len(a),), value))
        buffer.add_data(**batch(0, 20))
        buffer.get_balanced_data(5, op_prototypes=CENTRES)

    with pytest.raises(ValueError, match=r"numbers in \[0, 1\], but returned 1\.5"):
        draw(1.5)
    buffer = BalancedBuffer(20, semantic_similarity=lambda a, _: a)
    buffer.add_data(**batch(0, 20))
    with pytest.raises(ValueError, match=r"one number a pair, \(\d,\), but returned \(\d, 5\)"):
        buffer.get_balanced_data(5, op_prototypes=CENTRES)
    buffer = BalancedBuffer(20, adaptive_threshold=lambda _: float("nan"))
    buffer.add_data(**batch(0, 20))
    with pytest.raises(ValueError, match="adaptive_threshold must return a finite number, but returned nan"):
        buffer.get_balanced_data(5, op_prototypes=CENTRES)


def test_half_features_are_scored_in_float32() -> None:
    scores = []
    for dtype in (torch.bfloat16, torch.float32):
        data = batch(0, 50)
        data["features"] = data["features"].bfloat16().to(dtype)
        buffer = BalancedBuffer(50)
        buffer.add_data(**data)
        buffer.get_balanced_data(5, op_prototypes=CENTRES)
        scores.append(weights_of(buffer))
    np.testing.assert_array_equal(scores[0], scores[1])
