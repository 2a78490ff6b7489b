"""The continual example's data, prototypes, learner and measures."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from continual.comparison import BALANCED, UNIFORM, Way, make_ways, paired
from continual.data import SuperclassDesign, load_data, make_superclasses
from continual.learner import ContinualLearner
from continual.metrics import DrawWatch, final_accuracy, forgetting, semantic_consistency, unevenness
from continual.model import ClassPrototypes
from continual.parts import ContinualData
from continual.settings import DATASETS, DatasetName, LearnerOptions, RunOptions
from continual.training import RunRecord, run

SMALL = LearnerOptions(buffer_size=40, sm_weight=0.1, seed=3)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("quick", [True, False])
def test_tasks_share_no_class_and_hold_all(name: DatasetName, quick: bool) -> None:
    data = load_data(name, seed=1, quick=quick)
    dealt = [known for classes in data.tasks for known in classes]
    assert sorted(dealt) == list(range(data.n_classes))
    assert len({len(classes) for classes in data.tasks}) == 1
    assert sum(len(data.train.of(classes)) for classes in data.tasks) == len(data.train)
    for classes in data.tasks:
        part = data.train.of(classes)
        assert set(part.labels.tolist()) == set(classes)
        assert part.inputs.shape == (len(part), *data.shape)
    assert set(data.test.labels.tolist()) == set(dealt)
    assert data.train.inputs.dtype == torch.float32


def rows_of(data: ContinualData) -> set[bytes]:
    return {row.tobytes() for row in data.train.inputs.numpy()}


@pytest.mark.parametrize("name", DATASETS)
def test_the_seed_decides(name: DatasetName) -> None:
    data, again, other = (load_data(name, seed, quick=True) for seed in (1, 1, 2))
    assert torch.equal(data.train.inputs, again.train.inputs)
    assert data.tasks == again.tasks
    assert rows_of(data) != rows_of(other)
    assert data.tasks != other.tasks


def test_digits_are_cut_class_by_class() -> None:
    data = load_data("digits", seed=0)
    assert len(data.train) + len(data.test) == 1_797
    assert not rows_of(data) & {row.tobytes() for row in data.test.inputs.numpy()}
    of_test = torch.bincount(data.test.labels)
    of_all = of_test + torch.bincount(data.train.labels)
    assert torch.equal(of_test, of_all // 4)
    assert 0 <= data.train.inputs.min() <= data.train.inputs.max() <= 1
    groups = {frozenset(torch.where(data.groups == group)[0].tolist()) for group in range(4)}
    assert groups == {frozenset({1, 2, 7, 8}), frozenset({3, 5, 9}), frozenset({4, 6}), frozenset({0})}


def test_superclasses_are_unequal_and_near() -> None:
    design = SuperclassDesign()
    data = make_superclasses(design, seed=0)
    counts = torch.bincount(data.train.labels)
    assert counts.tolist() == design.class_sizes().tolist()
    assert counts.max() == 10 * counts.min()
    means = torch.stack([data.train.of((known,)).inputs.mean(dim=0) for known in range(data.n_classes)])
    distance = torch.cdist(means, means)
    same = data.groups[:, None] == data.groups[None, :]
    own = torch.eye(len(means), dtype=torch.bool)
    assert distance[same & ~own].mean() < distance[~same].mean()
    assert set(torch.bincount(data.test.labels).tolist()) == {design.n_test}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 7}, "n_tasks must divide the 40 classes, but is 7"),
        ({"fewest": 300}, r"fewest must be in \[1, most\], but is 300 beside most = 240"),
    ],
)
def test_a_bad_design(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        SuperclassDesign(**options)


def test_an_unknown_data_set() -> None:
    with pytest.raises(
        ValueError, match=r"^dataset must be one of digits, superclasses, seq-cifar100, but is 'mnist'$"
    ):
        load_data("mnist", seed=0)  # type: ignore[arg-type]


def test_prototypes_follow_the_means_of_their_class() -> None:
    prototypes = ClassPrototypes(3, 2, momentum=0.75)
    assert prototypes.known.tolist() == [False, False, False]
    prototypes.update(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 8.0]]), torch.tensor([2, 2, 0]))
    assert prototypes.known.tolist() == [True, False, True]
    assert prototypes.vectors[[0, 2]].tolist() == [[0.0, 8.0], [2.0, 0.0]]
    prototypes.update(torch.tensor([[6.0, 4.0]]), torch.tensor([2]))
    assert prototypes.vectors[[0, 2]].tolist() == [[0.0, 8.0], [3.0, 1.0]]
    assert prototypes.nearest(torch.tensor([[1.0, 9.0], [5.0, 1.0]])).tolist() == [0, 2]


def test_accuracy_and_forgetting() -> None:
    accuracies = [[1.0], [0.5, 0.75], [0.75, 0.25, 1.0]]
    assert final_accuracy(accuracies) == pytest.approx(2 / 3)
    assert forgetting(accuracies) == pytest.approx((0.25 + 0.5) / 2)
    assert forgetting([[0.5], [0.75, 1.0]]) == -0.25
    assert forgetting([[1.0]]) == 0.0


def test_unevenness_is_what_would_have_to_move() -> None:
    assert unevenness(np.array([5, 5, 5])) == 0
    assert unevenness(np.array([9, 0, 0])) == pytest.approx(2 / 3)
    assert unevenness(np.array([6, 2])) == 0.25


def test_draws_are_counted_by_group_of_earlier_classes() -> None:
    watch = DrawWatch(torch.tensor([0, 0, 1, 2]))
    assert watch.group_unevenness() == 0.0
    watch.begin_task([])
    watch.see(torch.tensor([0, 0, 0]))
    watch.begin_task([0, 1])  # one group only
    watch.see(torch.tensor([0, 1, 2]))
    watch.begin_task([0, 1, 2])
    watch.see(torch.tensor([0, 1]))
    watch.see(torch.tensor([0, 2, 3, 3]))
    assert watch.drawn[2].tolist() == [2, 1, 1, 2]
    assert watch.group_unevenness() == 0.25  # 3 draws of group 0 and one of group 1


def test_consistency_counts_groups() -> None:
    groups = torch.tensor([0, 0, 1])
    nearest, labels = torch.tensor([0, 0, 2, 2]), torch.tensor([0, 1, 2, 0])
    assert semantic_consistency(nearest, labels, groups) == 0.75


def test_paired_differences() -> None:
    found = paired([3.0, 5.0, 4.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    assert found.by_seed == (2.0, 3.0, 1.0, 4.0)
    assert found.standard_error == pytest.approx(math.sqrt(5 / 3) / 2)
    # Student's t with 3 degrees of freedom: its cumulative function is elementary, its 97.5% point 3.182446
    t = 2.5 / (math.sqrt(5 / 3) / 2)
    x = t / math.sqrt(3)
    upper = 0.5 - (x / (1 + x * x) + math.atan(x)) / math.pi
    assert found.p == pytest.approx(2 * upper)
    assert found.interval == pytest.approx(
        (2.5 - 3.182446 * t**-1 * 2.5, 2.5 + 3.182446 * t**-1 * 2.5), abs=1e-5
    )
    assert paired([1.0], [2.0]).interval is None
    assert paired([1.0, 2.0], [1.0, 2.0]).p is None


def test_ways_differ_in_what_they_say_only() -> None:
    options = RunOptions(learner=SMALL)
    ways = {way.name: way.apply(options, 7) for way in make_ways([0.5, 0.5])}
    assert list(ways)[:3] == ["uniform", "balanced", "balanced, weight 0.5"]
    uniform, balanced = ways[UNIFORM.name].learner, ways[BALANCED.name].learner
    assert replace(uniform, use_balanced_sampling=True) == balanced == replace(SMALL, seed=7)
    assert ways["balanced, weight 0.5"].learner == replace(balanced, balance_weight=0.5)
    assert len(make_ways([], variants=False)) == 2


def test_a_step_replays_and_stores() -> None:
    drawn: list[int] = []
    learner = ContinualLearner((5,), 4, SMALL, on_replay=lambda labels: drawn.append(len(labels)))
    random = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn((30, 5), generator=random), torch.arange(30) % 4
    losses = []
    for _ in range(80):
        losses.append(learner.observe(learner.augment(inputs), labels, inputs))
    assert drawn == [30] + [32] * 78  # the buffer gives what it has
    assert len(learner.buffer) == 40
    assert losses[-1] < losses[0]
    stored, stored_labels = learner.buffer.get_all_data()[:2]
    place = (stored[:, None] == inputs).all(dim=2).int().argmax(dim=1)
    assert torch.equal(stored, inputs[place])  # as they came, without noise
    assert torch.equal(stored_labels, labels[place])
    with torch.no_grad():
        right = learner(inputs).argmax(dim=1) == labels
    assert right.sum() > 20  # of 30, where chance would be right in 8


def quick(use_balanced_sampling: bool) -> RunRecord:
    learner = replace(SMALL, use_balanced_sampling=use_balanced_sampling)
    return run(RunOptions(dataset="superclasses", quick=True, epochs=2, learner=learner))


def test_a_run_is_decided_by_its_options() -> None:
    one, again, uniform = quick(True), quick(True), quick(False)
    assert replace(one, seconds=0.0) == replace(again, seconds=0.0)
    assert one.drawn != uniform.drawn
    assert one.stored == uniform.stored  # both store the same
    assert one.losses[0] == pytest.approx(uniform.losses[0], rel=0.5)
    assert sum(one.stored) == 40
    assert [len(row) for row in one.accuracies] == [1, 2, 3, 4]


@pytest.mark.parametrize("way", make_ways([0.5]), ids=lambda way: way.slug)
def test_every_way_runs(way: Way) -> None:
    record = run(way.apply(RunOptions(quick=True, epochs=1, learner=SMALL), seed=1))
    assert sum(record.drawn[-1]) > 0
    assert 0 <= record.final_accuracy <= 1
    assert record.options.learner.seed == 1


def test_a_loss_that_is_not_finite() -> None:
    with pytest.raises(
        ValueError, match=r"^features must stay finite, but found .*: lr or sm_weight is too large$"
    ):
        run(RunOptions(quick=True, learner=replace(SMALL, lr=1e20)))
