"""Semantic groups: how prototypes come in, which classes are linked, thresholds that follow the data."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.scored import CENTRES, CLASSES, WIDTH, batch, weights_of
from tombola import BalancedBuffer
from tombola.replay import AdaptiveThreshold, SemanticSimilarity
from tombola.replay._prototype_table import given_table
from tombola.replay._semantic_groups import linked_groups


def test_linked_groups_are_components_numbered_by_label() -> None:
    similarity = np.full((6, 6), 0.1)
    for a, b in ((0, 3), (3, 5), (1, 4)):
        similarity[a, b] = similarity[b, a] = 0.8
    labels = np.array([50, 3, 20, 40, 9, 10])
    assert linked_groups(similarity, 0.5, labels).tolist() == [1, 0, 2, 1, 0, 1]
    assert linked_groups(similarity, 0.8, labels).tolist() == [5, 0, 3, 4, 1, 2]
    similarity[2] = similarity[:, 2] = np.nan  # no prototype
    assert linked_groups(similarity, 0.0, labels).tolist() == [0, 0, 1, 0, 0, 0]


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
    "given",
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
def test_forms_of_prototypes(given: Any) -> None:
    labels = np.array([3, 0, 7])
    table = given_table(given, labels, np.array([1, 1, 1]))
    np.testing.assert_allclose(table, CENTRES[labels], rtol=1e-3)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (CENTRES[:3], IndexError, "a row for each label, but has 3 and label 7 is stored"),
        (CENTRES[0], ValueError, r"a table of shape \(classes, width\).*shape is \(5,\)"),
        ({0: [1.0, 2.0], 1: [1.0]}, ValueError, r"equally wide, but their widths are \[1, 2\]"),
        ("prototypes", TypeError, "op_prototypes must be a table.*but is str"),
        ({0: [np.nan, 1.0]}, ValueError, "all NaN where missing, but that of label 0 is neither"),
        ({0: [np.inf, 1.0]}, ValueError, "must be finite"),
    ],
)
def test_prototypes_that_cannot_be(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        given_table(given, np.array([0, 7]), np.array([1, 1]))


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
    plain = BalancedBuffer(100, adaptive_threshold=buffer._balance.groups.threshold)
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
    np.testing.assert_array_equal(*scores)
