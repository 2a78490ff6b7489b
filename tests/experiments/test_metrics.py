"""Scores against a second computation, from precision and recall, and against scikit-learn's figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tombola.experiments.metrics import confusion_matrix, entropy_bits, majority_scores, score

N_CLASSES = 4
PAIRS = st.lists(
    st.tuples(st.integers(0, N_CLASSES - 1), st.integers(0, N_CLASSES - 1)), min_size=1, max_size=60
)


def f1_by_definition(truth: list[int], predicted: list[int], c: int) -> float | None:
    """Harmonic mean of precision and recall; 0 where either is; None where the class is in neither list."""
    hits = sum(t == p == c for t, p in zip(truth, predicted, strict=True))
    if c not in truth and c not in predicted:
        return None
    if hits == 0:
        return 0.0
    precision, recall = hits / predicted.count(c), hits / truth.count(c)
    return 2 / (1 / precision + 1 / recall)


@given(PAIRS)
def test_scores_follow_from_precision_and_recall(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    counts = np.array([40, 1, 30, 2])  # rarest third of four classes: class 1
    confusion = confusion_matrix(np.array(truth), np.array(predicted), N_CLASSES)
    scores = score(confusion, counts)
    expected = [f1_by_definition(truth, predicted, c) for c in range(N_CLASSES)]
    for one, other in zip(scores.class_f1, expected, strict=True):
        assert one == (None if other is None else pytest.approx(other, rel=1e-12))
    there = [value for value in expected if value is not None]
    assert scores.macro_f1 == pytest.approx(sum(there) / len(there), rel=1e-12)
    assert scores.accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs), rel=1e-12, abs=1e-300)
    assert scores.rare_f1 == pytest.approx(expected[1] or 0.0, rel=1e-12)
    assert confusion.sum() == len(pairs)


def test_figures_of_scikit_learn() -> None:
    # sklearn 1.9.1: f1_score(truth, predicted, average=None) and average="macro"
    truth = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    predicted = np.array([0, 1, 0, 1, 2, 2, 3, 0, 3, 4])
    scores = score(confusion_matrix(truth, predicted, 6), np.bincount(truth, minlength=6))
    assert scores.class_f1[:5] == pytest.approx([2 / 3, 0.5, 2 / 3, 2 / 3, 0.0], rel=1e-12)
    assert scores.class_f1[5] is None
    assert scores.macro_f1 == pytest.approx(0.5, rel=1e-12)
    assert scores.accuracy == 0.6


def test_confusion_has_the_truth_in_rows() -> None:
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([1, 1, 2]), 3)
    assert confusion.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_the_majority_of_training_is_guessed() -> None:
    truth = np.array([0, 0, 0, 1])  # the test rows have another majority than training
    scores = majority_scores(truth, np.array([5, 9]))
    assert scores.accuracy == 0.25
    assert list(scores.class_f1) == pytest.approx([0.0, 0.4], rel=1e-12)
    assert scores.macro_f1 == pytest.approx(0.2, rel=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50))
def test_entropy_is_bounded_and_ignores_order(codes: list[int]) -> None:
    bits = entropy_bits(np.array(codes))
    assert 0.0 <= bits <= np.log2(len(set(codes))) + 1e-12
    assert bits == pytest.approx(entropy_bits(np.array(codes[::-1])), rel=1e-12, abs=1e-300)
    assert (bits == 0.0) == (len(set(codes)) == 1)
