"""Scores against a second computation, from precision and recall, and against scikit-learn's figures.

Scores come of torchmetrics, in float64. They were of the package's own formula before, `former_scores`, and
have to stay what they were to the last bit.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from tombola.experiments.six.metrics import LabelScores, Scores, entropy_bits, majority_scores

N_CLASSES = 4
PAIRS = st.lists(
    st.tuples(st.integers(0, N_CLASSES - 1), st.integers(0, N_CLASSES - 1)), min_size=1, max_size=60
)


Codes = np.ndarray[tuple[int], np.dtype[np.int64]]


def score(truth: Codes, predicted: Codes, train_counts: Codes) -> Scores:
    scores = LabelScores(train_counts)
    for part in np.array_split(np.arange(len(truth)), min(2, len(truth))):
        scores.add(truth[part], predicted[part])
    return scores.result()


def former_scores(truth: Codes, predicted: Codes, train_counts: Codes) -> Scores:
    n = len(train_counts)
    confusion = np.bincount(truth * n + predicted, minlength=n * n).reshape(n, n)
    right = confusion.diagonal()
    seen = confusion.sum(axis=0) + confusion.sum(axis=1)
    f1 = np.divide(2.0 * right, seen, out=np.full(len(seen), np.nan), where=seen > 0)
    rare = np.argsort(train_counts, kind="stable")[: max(1, len(train_counts) // 3)]
    rare_f1 = f1[rare][seen[rare] > 0]
    return Scores(
        macro_f1=float(f1[seen > 0].mean()),
        accuracy=float(right.sum() / confusion.sum()),
        rare_f1=float(rare_f1.mean()) if len(rare_f1) else 0.0,
        class_f1=tuple(None if np.isnan(value) else float(value) for value in f1),
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
    scores = score(np.array(truth), np.array(predicted), counts)
    expected = [f1_by_definition(truth, predicted, c) for c in range(N_CLASSES)]
    for one, other in zip(scores.class_f1, expected, strict=True):
        assert one == (None if other is None else pytest.approx(other, rel=1e-12))
    there = [value for value in expected if value is not None]
    assert scores.macro_f1 == pytest.approx(sum(there) / len(there), rel=1e-12)
    assert scores.accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs), rel=1e-12, abs=1e-300)
    assert scores.rare_f1 == pytest.approx(expected[1] or 0.0, rel=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_what_they_were_and_what_scikit_learn_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_classes, n_rows = int(rng.integers(2, 60)), int(rng.integers(1, 3_000))
    here = rng.choice(n_classes, int(rng.integers(1, n_classes + 1)), replace=False)  # others do not occur
    truth = rng.choice(here, n_rows)
    predicted = np.where(rng.random(n_rows) < rng.random(), truth, rng.choice(here, n_rows))
    counts = rng.integers(0, 50, n_classes)
    scores = score(truth, predicted, counts)
    assert scores == former_scores(truth, predicted, counts)
    occurring = np.union1d(truth, predicted)
    expected = f1_score(truth, predicted, labels=occurring, average=None, zero_division=0)
    assert [scores.class_f1[c] for c in occurring] == pytest.approx(expected.tolist(), rel=1e-12)
    assert {c for c, f1 in enumerate(scores.class_f1) if f1 is not None} == {*occurring.tolist()}
    assert scores.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"), rel=1e-12)
    assert scores.accuracy == accuracy_score(truth, predicted)


def test_rare_classes_that_do_not_occur_score_nothing() -> None:
    codes = np.array([1, 1, 2])
    assert score(codes, codes, np.array([1, 5, 5])) == Scores(1.0, 1.0, 0.0, (None, 1.0, 1.0))


def test_figures_of_scikit_learn() -> None:
    # sklearn 1.9.1: f1_score(truth, predicted, average=None) and average="macro"
    truth = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    predicted = np.array([0, 1, 0, 1, 2, 2, 3, 0, 3, 4])
    scores = score(truth, predicted, np.bincount(truth, minlength=6))
    assert scores.class_f1[:5] == pytest.approx([2 / 3, 0.5, 2 / 3, 2 / 3, 0.0], rel=1e-12)
    assert scores.class_f1[5] is None
    assert scores.macro_f1 == pytest.approx(0.5, rel=1e-12)
    assert scores.accuracy == 0.6


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
