"""Streams whose labels change for ever: classes that are gone leave nothing behind, memory stays bounded."""

import io
from typing import Any

import numpy as np
import pytest
import torch

from tests.replay.scored import weights_of
from tests.replay.streams import equal
from tombola import BalancedBuffer, importance_scores
from tombola.replay.buffer.classes import Classes

SIZE, WIDTH = 40, 5


def vector(label: int) -> Any:
    return np.random.default_rng(label % 7).standard_normal(WIDTH) + label % 3


def batch(step: int, count: int = 20) -> dict[str, torch.Tensor]:
    """Items of labels that no later batch but the next one has."""
    generator = np.random.default_rng(step)
    labels = 10**9 * (step % 3 - 1) + 10 * (step // 2) + generator.integers(0, 10, count)
    features = np.array([vector(label) for label in labels.tolist()])
    return {
        "examples": torch.from_numpy(labels),
        "labels": torch.from_numpy(labels),
        "features": torch.from_numpy(features + 0.1 * generator.standard_normal((count, WIDTH))).float(),
    }


def stay_young(buffer: BalancedBuffer) -> None:
    """Let the reservoir go on taking much of what comes, so that classes go soon."""
    buffer.num_seen_examples = min(buffer.num_seen_examples, 2 * SIZE)
    buffer.seed += 1  # else the same places of the stream would take the same slots


def bytes_of(buffer: BalancedBuffer) -> int:
    arrays = buffer.state_dict()["balance"]["arrays"]
    return sum(array.numel() * array.element_size() for array in arrays.values())


def prototypes_of(buffer: BalancedBuffer) -> dict[int, Any]:
    labels = set(buffer.get_all_data()[1].tolist())
    return {label: vector(label) for label in labels if label % 5}


def scores_from_scratch(buffer: BalancedBuffer) -> Any:
    given, labels = prototypes_of(buffer), buffer.get_all_data()[1].tolist()
    distinct = sorted(set(labels))
    table = np.array([given.get(label, np.full(WIDTH, np.nan)) for label in distinct])
    codes = np.searchsorted(distinct, labels)
    groups = np.array([buffer.groups[label] for label in labels])
    return importance_scores(buffer._storage.first("features", len(buffer)), codes, table, groups)


@pytest.mark.parametrize("given", [False, True])
def test_memory_is_bounded_over_a_long_stream(given: bool) -> None:
    buffer = BalancedBuffer(SIZE)
    seen: set[int] = set()
    largest = 0
    for step in range(600):
        buffer.add_data(**batch(step))
        stay_young(buffer)
        labels = buffer.get_all_data()[1].tolist()
        seen |= set(labels)
        if step % 3 == 0:
            buffer.get_balanced_data(10, op_prototypes=prototypes_of(buffer) if given else None)
            if given:
                np.testing.assert_allclose(weights_of(buffer), scores_from_scratch(buffer), rtol=1e-12)
        classes = buffer._balance.classes
        assert set(buffer.groups) == set(labels) == set(classes.labels[classes.counts > 0].tolist())
        assert sum(buffer.group_counts.values()) == SIZE or step < 2
        assert max(buffer.group_counts) < len(classes) <= 2 * SIZE
        if step == 60:
            largest = bytes_of(buffer)
    assert len(seen) > 2000
    assert bytes_of(buffer) <= 1.5 * largest
    means: dict[int, list[torch.Tensor]] = {label: [] for label in set(labels)}
    for label, row in zip(labels, buffer._storage.first("features", SIZE).double(), strict=True):
        means[label].append(row)
    table = buffer._balance.means.table(classes.counts)
    for code in np.flatnonzero(classes.counts).tolist():
        expected = torch.stack(means[int(classes.labels[code])]).mean(dim=0)
        np.testing.assert_allclose(table[code], expected, rtol=1e-9, atol=1e-12)
    shares = [row["drawn"] for row in buffer.report()["group_table"].values()]
    assert sum(shares) == pytest.approx(1.0)


def test_resume_is_exact_while_classes_come_and_go() -> None:
    def go(buffer: BalancedBuffer, first: int, last: int) -> list[tuple[torch.Tensor, ...]]:
        found = []
        for step in range(first, last):
            buffer.add_data(**batch(step))
            stay_young(buffer)
            found.append(buffer.get_balanced_data(9, return_index=True, return_weights=True))
        return found

    whole = go(BalancedBuffer(SIZE, seed=4), 0, 40)
    for stop in range(1, 40, 6):
        first, resumed = BalancedBuffer(SIZE, seed=4), BalancedBuffer(SIZE)
        go(first, 0, stop)
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        resumed.load_state_dict(torch.load(file, weights_only=True))
        assert all(equal(a, b) for a, b in zip(go(resumed, stop, 40), whole[stop:], strict=True))


def test_codes_are_used_again() -> None:
    classes = Classes()
    codes, begun = classes.codes(np.array([7, -2, 7]))
    assert (codes.tolist(), begun.tolist()) == ([1, 0, 1], [0, 1])
    classes.count(codes, 1)
    classes.count(np.array([0], dtype=np.int32), -1)
    assert classes.known(np.array([7, -2, 3])).tolist() == [True, False, False]
    codes, begun = classes.codes(np.array([9, 7, 8]))
    assert (codes.tolist(), begun.tolist()) == ([2, 1, 0], [0, 2])
    again, begun = classes.codes(np.array([9]))  # nothing was counted: given out anew
    assert len(classes) == 3
    assert again.tolist() == begun.tolist() == [0]


def test_a_class_that_comes_back_is_a_new_one() -> None:
    """Its old prototype does not count, nor what was drawn of it."""
    buffer = BalancedBuffer(3, adaptive_threshold=1.0, refit_every=1000)

    def fill_with(label: int) -> None:
        for seed in range(100):  # the fourth item of a stream takes one of three slots, or none
            buffer.num_seen_examples, buffer.seed = 3, seed
            buffer.add_data(torch.zeros(1), torch.tensor([label]), features=torch.ones(1, 2))

    buffer.add_data(torch.zeros(3), torch.tensor([5, 5, 0]), features=torch.ones(3, 2))
    prototypes = {0: [1.0, 1.0], 5: [-1.0, 0.0], 6: [0.0, 1.0]}
    buffer.get_balanced_data(3, op_prototypes=prototypes)
    assert buffer.report()["group_table"][1]["drawn"] == pytest.approx(2 / 3)
    fill_with(6)
    assert set(buffer.groups) == {6}
    fill_with(5)
    table = buffer.report()["group_table"]
    assert [row["labels"] for row in table.values()] == [[5]]
    assert np.isnan(table[buffer.groups[5]]["drawn"])
    np.testing.assert_array_equal(buffer._balance.scores, 1 / (0.5 + 1e-6))
