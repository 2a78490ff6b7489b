"""Pictures of plans: every mark is a row of its batch, colours are those of labels, large plans are cut."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

import tombola
from tombola import Plan
from tombola.reports.plan_picture import COLOURS, OTHERS

N = 60
LABELS = np.repeat(["a", "b", "c"], [40, 15, 5])
INDICES = np.arange(0, N, 2)

PLANS = {
    "streaming": tombola.Streaming().plan(N, batch_size=7),
    "blocks": tombola.BlockShuffling(4).plan(N, batch_size=6, fetch_factor=3),
    "subset": tombola.BlockShuffling(4, indices=INDICES).plan(batch_size=6),
    "weights": tombola.BlockWeightedSampling(np.arange(N) < 5, total_size=40).plan(batch_size=20),
    "classes": tombola.ClassBalancedSampling(LABELS, 4).plan(batch_size=8, fetch_factor=2),
    "series": tombola.SeriesRoundRobin(np.arange(N) % 20).plan(batch_size=10),
    "buckets": tombola.Bucketed(np.arange(N) // 13).plan(batch_size=4),
    "tuples": tombola.PerClass(LABELS, rows_per_class=2).plan(batch_size=4),
    "mixture": tombola.Mixture(LABELS == "a", {True: 0.25, False: 0.75}).plan(batch_size=8),
}


def marks(axes: Axes) -> dict[str, Counter[tuple[int, int]]]:
    """Return batch and row of each mark, by colour; a mark is as often there as its length says."""
    found: dict[str, Counter[tuple[int, int]]] = {}
    for lines in axes.collections:
        assert isinstance(lines, LineCollection)
        there = found.setdefault(to_hex(np.asarray(lines.get_color())[0]).upper(), Counter())
        for (row, below), (_, above) in lines.get_segments():
            times = 1 + round((below - above - 0.56) / 0.1)
            there[round((below + above) / 2), round(row)] += times
    return found


def batches(plan: Plan, stop: int | None = None) -> Counter[tuple[int, int]]:
    return Counter((k, int(row)) for k, batch in enumerate(plan[:stop]) for row in batch)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_marks_are_rows_of_their_batches(plan: Plan) -> None:
    figure, axes = plan.plot()
    drawn = sum(marks(axes).values(), Counter())
    expected = Counter({place: min(times, 5) for place, times in batches(plan).items()})
    assert drawn == expected
    assert figure.axes == [axes]
    assert axes.get_title(loc="left") == (
        f"{type(plan.strategy).__name__}: all {len(plan)} batches (seed 0, epoch 0)"
    )


@pytest.mark.parametrize("labels", [LABELS, LABELS[INDICES]], ids=["of the whole", "of indices"])
def test_colours_are_those_of_labels(labels: Any) -> None:
    plan = PLANS["subset"]
    _, axes = plan.plot(labels)
    for colour, name in zip(COLOURS, "abc", strict=False):
        rows = {row for _, row in marks(axes)[colour]}
        assert rows == {row for row in INDICES.tolist() if LABELS[row] == name}
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]


def test_a_strategy_brings_its_classes() -> None:
    _, axes = PLANS["classes"].plot()
    assert axes.get_legend() is not None
    assert set(marks(axes)) == set(COLOURS[:3])
    _, plain = PLANS["streaming"].plot()
    assert plain.get_legend() is None


def test_few_labels_have_colours_and_missing_ones_their_own() -> None:
    labels = [None, *(f"_{i % 12}$" for i in range(N - 1))]
    _, axes = PLANS["streaming"].plot(labels)
    found = marks(axes)
    assert set(found) == {*COLOURS[: len(COLOURS) - 1], OTHERS, "#333333"}
    assert found["#333333"] == Counter({(0, 0): 1})
    legend = axes.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names[-2:] == ["6 others", "missing"]
    assert len(names) == len(COLOURS) + 1
    assert names[0].strip().startswith("_")
    assert r"\$" in names[0]


def test_a_large_plan_is_cut_and_says_so() -> None:
    plan = tombola.BlockShuffling(16).plan(10**12, batch_size=64, fetch_factor=256, epoch=3)
    _, axes = plan.plot(max_batches=5, max_rows=100)
    drawn = sum(marks(axes).values(), Counter())
    assert len(drawn) == 100
    assert drawn <= batches(plan, 5)
    assert {batch for batch, _ in drawn} == {0, 1, 2, 3, 4}
    assert axes.get_title(loc="left") == (
        "BlockShuffling: the first 5 of 15,625,000,000 batches, 100 of their 320 rows (seed 0, epoch 3)"
    )
    assert axes.get_xlim()[1] > 10**12


def test_of_large_batches_one_is_drawn() -> None:
    _, axes = tombola.Streaming().plan(5 * 10**6, batch_size=2 * 10**6).plot(max_rows=7)
    assert "the first 1 of 3 batches, 7 of their 2,000,000 rows" in axes.get_title(loc="left")
    assert len(marks(axes)[COLOURS[0]]) == 7


@pytest.mark.parametrize(("n", "title"), [(0, "0 batches"), (3, "1 batch")])
def test_hardly_any_batches(n: int, title: str, tmp_path: Path) -> None:
    figure, axes = tombola.Streaming().plan(n, batch_size=4).plot(["a"] * n if n else None)
    assert axes.get_title(loc="left") == f"Streaming: {title} (seed 0, epoch 0)"
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_arguments() -> None:
    plan = PLANS["streaming"]
    with pytest.raises(ValueError, match=r"^labels must be as long as the whole, n = 60, .* is 3$"):
        plan.plot(["a", "b", "c"])
    with pytest.raises(ValueError, match="max_batches must be"):
        plan.plot(max_batches=0)
    with pytest.raises(ValueError, match="max_rows must be"):
        plan.plot(max_rows=0)


def test_bands_are_fetch_windows() -> None:
    _, axes = PLANS["blocks"].plot()  # 10 batches, 3 a window
    paths = [band.get_path().transformed(band.get_patch_transform()) for band in axes.patches]
    extents = [path.get_extents() for path in paths]
    assert sorted((round(box.y0, 1), round(box.height, 1)) for box in extents) == [(-0.5, 3.0), (5.5, 3.0)]
    assert not PLANS["streaming"].plot()[1].patches
