"""The generated photo series, their split, and the batches of both ways."""

import math

import numpy as np
import pytest

from ranker.ablation import sign_test
from ranker.batches import BatchWatch, PairDataset, make_loader
from ranker.data import PairData, PairSplit, SeriesDesign, make_pairs, split_by_series

SMALL = SeriesDesign(n_series=200, seed=3)


@pytest.fixture(name="data", scope="module")
def fixture_data() -> PairData:
    return make_pairs(SMALL)


def test_pairs_are_all_pairs_of_a_series(data: PairData) -> None:
    images = np.stack([data.winner, data.loser])
    low, high = images.min(axis=0), images.max(axis=0)
    assert len(np.unique(low * len(data.features) + high)) == len(data)
    for series in np.unique(data.series):
        of_series = np.unique(images[:, data.series == series])
        assert np.array_equal(of_series, np.arange(of_series[0], of_series[-1] + 1))
        assert np.sum(data.series == series) == math.comb(len(of_series), 2)
        assert 2 <= len(of_series) <= SMALL.max_images
    assert len(np.unique(images)) == len(data.features)


def test_images_of_a_series_show_one_scene(data: PairData) -> None:
    scene = data.features[:, :24]
    within = np.linalg.norm(scene[data.winner] - scene[data.loser], axis=1)
    across = np.linalg.norm(scene[data.winner] - np.roll(scene[data.loser], len(data) // 2, axis=0), axis=1)
    assert within.max() < across.min()


def test_winners_are_preferred_by_shared_taste_without_any_other() -> None:
    with_taste, without = (make_pairs(SeriesDesign(n_series=400, taste=taste)) for taste in (2.0, 0.0))
    assert without.shared_margin is not None
    assert with_taste.shared_margin is not None
    assert np.mean(without.shared_margin > 0) > np.mean(with_taste.shared_margin > 0) > 0.5


def test_the_seed_decides(data: PairData) -> None:
    again, other = make_pairs(SMALL), make_pairs(SeriesDesign(n_series=200, seed=4))
    assert np.array_equal(again.features, data.features)
    assert np.array_equal(again.winner, data.winner)
    assert not np.array_equal(other.features[:10], data.features[:10])


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_parts_share_no_series(data: PairData, fraction: float) -> None:
    split = split_by_series(data, fraction=fraction, seed=1)
    series = [set(data.series[rows].tolist()) for rows in split.parts().values()]
    assert [len(part) for part in series] == [round(fraction * n) for n in (140, 30, 30)]
    assert len(set.union(*series)) == round(fraction * 200)
    for rows, of_part in zip(split.parts().values(), series, strict=True):
        assert len(rows) == np.sum(np.isin(data.series, list(of_part)))


def test_the_default_is_as_large_as_said() -> None:
    data = make_pairs(SeriesDesign())
    split = split_by_series(data)
    assert len(np.unique(data.series[split.train])) == 3_466
    loader = make_loader(PairDataset(data, split.train), 64, use_series_sampler=True, seed=0)
    assert len(loader) == math.ceil(len(split.train) / 64)


@pytest.mark.parametrize("use", [True, False])
def test_every_pair_comes_once_an_epoch(data: PairData, use: bool) -> None:
    split = split_by_series(data)
    dataset = PairDataset(data, split.train)
    loader = make_loader(dataset, 32, use_series_sampler=use, seed=5)
    watch, seen = BatchWatch(32), []
    for _ in range(2):
        watch.begin_epoch()
        batches = list(loader)
        for batch in batches:
            watch.see(batch)
        rows = np.concatenate([batch["row"].numpy() for batch in batches])
        assert np.array_equal(np.sort(rows), split.train)
        seen.append(rows)
        distinct = [len(set(batch["series"].tolist())) for batch in batches]
        assert watch.distinct == distinct
        assert watch.repeats == len(rows) - sum(distinct)
        assert (watch.repeats == 0) == use
        for batch in batches:
            assert np.array_equal(batch["winner"].numpy(), data.features[data.winner[batch["row"]]])
            assert np.array_equal(batch["loser"].numpy(), data.features[data.loser[batch["row"]]])
    assert not np.array_equal(seen[0], seen[1])
    first, second = (set(data.series[rows[: watch.sizes[0]]].tolist()) for rows in seen)
    assert watch.overlap == len(first & second)


def test_one_item_is_as_in_a_batch(data: PairData) -> None:
    dataset = PairDataset(data, np.array([4, 9]))
    assert len(dataset) == 2
    assert dataset[1]["row"].item() == 9
    assert np.array_equal(dataset[1]["winner"].numpy(), data.features[data.winner[9]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_series": 5}, "n_series must be >= 20, but is 5"),
        ({"more_images": 1.0}, r"more_images must be in \[0, 1\), but is 1"),
        ({"taste": math.inf}, "taste must be a finite number >= 0, but is inf"),
    ],
)
def test_a_bad_design(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        SeriesDesign(**options)  # type: ignore[arg-type]


def test_too_few_series_to_deal_out(data: PairData) -> None:
    with pytest.raises(ValueError, match="each of three parts must hold a series, but there are 2 series"):
        split_by_series(data, fraction=0.01)


def test_parts_are_named() -> None:
    rows = np.arange(3)
    split = PairSplit(train=rows[:1], validation=rows[1:2], test=rows[2:])
    assert list(split.parts()) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("count", "of", "chance"), [(6, 6, 2 / 64), (5, 6, 14 / 64), (3, 6, 1.0), (0, 3, 0.25)]
)
def test_sign_test(count: int, of: int, chance: float) -> None:
    assert sign_test(count, of) == chance
