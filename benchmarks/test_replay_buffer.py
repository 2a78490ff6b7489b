"""The balanced replay buffer at 10^6 items of 3x32x32 uint8 (a hundredth of --size, 10^4 at least)."""

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.conftest import Measure
from benchmarks.figures import OURS, Work
from tombola import BalancedBuffer, importance_scores

PER_ITEM, LEAST = 100, 10_000
BATCH, DRAW, WIDTH, CLASSES = 10_000, 256, 64, 100
LOOP = "loop over items"

ADD = Work("BalancedBuffer.add_data, 10^4 of 3x32x32 uint8 and 64 float32", "ns/item", target=5000.0)
BALANCED = Work("BalancedBuffer.get_balanced_data of 256", "ns/item", target=7812.5)
UNIFORM = Work("BalancedBuffer.get_data of 256", "ns/item")
CHANGED = Work("get_balanced_data of 256, all prototypes changed", "ns/stored item")


class Stream:
    """Batches that are made before the clock runs; examples are the same memory."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.examples = torch.randint(0, 255, (BATCH, 3, 32, 32), dtype=torch.uint8, generator=generator)
        self.centres = torch.randn(CLASSES, WIDTH, generator=generator)
        self.labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
        noise = torch.randn(BATCH, WIDTH, generator=generator)
        self.features = self.centres[self.labels] + noise

    def add_to(self, buffer: Any) -> None:
        buffer.add_data(self.examples, self.labels, features=self.features)


class LoopBuffer:
    """What users write: a list of items, weights by `.item()`, numpy's choice."""

    def __init__(self, size: int) -> None:
        self.size, self.seen, self.items = size, 0, list[Any]()
        self.generator = np.random.default_rng(0)

    def add_data(self, examples: torch.Tensor, labels: torch.Tensor, features: torch.Tensor) -> None:
        for item in zip(examples, labels, features, strict=True):
            if self.seen < self.size:
                self.items.append(item)
            elif (slot := int(self.generator.integers(0, self.seen + 1))) < self.size:
                self.items[slot] = item
            self.seen += 1

    def scores(self, prototypes: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
        sizes: dict[int, int] = {}
        for _, label, _ in self.items:
            sizes[label.item()] = sizes.get(label.item(), 0) + 1
        found = []
        for _, label, feature in self.items:
            cosine = torch.nn.functional.cosine_similarity(feature, prototypes[label], dim=0).item()
            found.append(len(sizes) / sizes[label.item()] / ((1 + cosine) / 2 + 1e-6))
        return np.array(found)

    def draw(self, size: int, prototypes: torch.Tensor) -> torch.Tensor:
        scores = self.scores(prototypes)
        slots = self.generator.choice(len(scores), size, replace=False, p=scores / scores.sum())
        return torch.stack([self.items[slot][0] for slot in slots])


@pytest.fixture(scope="module")
def stream() -> Stream:
    return Stream()


@pytest.fixture(scope="module")
def buffer(size: int, stream: Stream) -> BalancedBuffer:
    """A full buffer; more of the stream has come than fits."""
    items = max(LEAST, size // PER_ITEM)
    full = BalancedBuffer(items, adaptive_threshold=1.0)
    for _ in range(items // BATCH + 1):
        stream.add_to(full)
    full.get_balanced_data(1, op_prototypes=stream.centres)
    return full


def test_add(buffer: BalancedBuffer, stream: Stream, measure: Measure) -> None:
    measure(ADD, OURS, lambda: stream.add_to(buffer), n=len(buffer), indices=BATCH)
    assert sum(buffer.group_counts.values()) == len(buffer) == buffer.buffer_size


def test_balanced_draws(buffer: BalancedBuffer, stream: Stream, measure: Measure) -> None:
    def run() -> tuple[torch.Tensor, ...]:
        return buffer.get_balanced_data(DRAW, op_prototypes=stream.centres, return_index=True)

    examples, labels, slots = run()
    assert len(set(slots.tolist())) == DRAW
    assert torch.equal(buffer.get_data_by_index(slots)[0], examples)
    _, stored = buffer.get_all_data() if len(buffer) <= BATCH else (None, None)
    if stored is not None:
        features = buffer._storage.first("features", len(buffer))
        expected = importance_scores(features, stored, stream.centres, stored)
        weights = buffer._balance.weights
        ratios = buffer._balance.factors() / weights.applied
        found = weights.tree.get() * ratios[weights.codes]
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    measure(BALANCED, OURS, run, n=len(buffer), indices=DRAW)
    assert set(labels.tolist()) <= set(range(CLASSES))


def test_uniform_draws(buffer: BalancedBuffer, measure: Measure) -> None:
    assert len(set(buffer.get_data(DRAW, return_index=True)[-1].tolist())) == DRAW
    measure(UNIFORM, OURS, lambda: buffer.get_data(DRAW), n=len(buffer), indices=DRAW)


def test_changed_prototypes(buffer: BalancedBuffer, stream: Stream, measure: Measure) -> None:
    prototypes = stream.centres.clone()

    def run() -> None:
        prototypes.mul_(1.01)
        buffer.get_balanced_data(DRAW, op_prototypes=prototypes)

    measure(CHANGED, OURS, run, n=len(buffer), indices=len(buffer))


def test_loop(stream: Stream, measure: Measure) -> None:
    loop = LoopBuffer(LEAST)
    measure(ADD, LOOP, lambda: stream.add_to(loop), n=LEAST, indices=BATCH)
    features = torch.stack([item[2] for item in loop.items])
    labels = torch.stack([item[1] for item in loop.items])
    expected = importance_scores(features, labels, stream.centres, labels)
    np.testing.assert_allclose(loop.scores(stream.centres), expected, rtol=1e-3)  # float32 cosines
    measure(BALANCED, LOOP, lambda: loop.draw(DRAW, stream.centres), n=LEAST, indices=DRAW)
