"""The large proofs at small sizes, and what each of them is there to find, planted."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.large.bitmap import Bitmap
from tests.large.day import MOST_BYTES, Usage, check_growth, prove_day
from tests.large.kill import Rows, check_logs, planned_rows
from tests.large.plate_rank import FETCH_FACTOR, STRATEGY
from tests.large.plates import LABELS, file_sizes, numbers_of, write_plates
from tests.large.ranks import Way, choose_spans, run_spans, ways
from tests.large.record import written_into
from tests.large.tree import Followed, high_product, prove_tree
from tombola import H5adSource, Loader


@pytest.mark.parametrize("way", ways(16), ids=lambda way: way.name)
def test_ranks(way: Way) -> None:
    rows, worlds = 6_001, ((16, 0.3), (5, 0.2), (16, 0.3), (7, 0.3), (1, 0.05), (16, 1.0))
    bitmap = Bitmap(rows)
    taken, longest = run_spans(way.make(rows), choose_spans(376, worlds, random.Random(1)), bitmap)
    bitmap.check_all_came()
    assert [world_size for world_size, _ in taken] == [16, 5, 16, 7, 1, 16]
    assert all(steps for _, steps in taken)
    assert longest < 500


def test_the_bitmap_finds_rows_that_come_twice_or_never() -> None:
    bitmap = Bitmap(20)
    bitmap.add(np.delete(np.arange(19), 3))
    with pytest.raises(AssertionError, match=r"^row 7 came twice$"):
        bitmap.add(np.array([19, 7]))
    with pytest.raises(AssertionError, match=r"^row 20 is none of the 20 rows$"):
        bitmap.add(np.array([20]))
    with pytest.raises(AssertionError, match=r"^row 3 never came"):
        bitmap.check_all_came()
    bitmap.add(np.array([3]))
    with pytest.raises(AssertionError):  # 19 came in an array that was refused: the count says so
        bitmap.check_all_came()


def test_a_tree() -> None:
    found = dict(prove_tree(updates=50_000, n=1_003, draws=20_000, batch=1_000))
    assert "50,000 updates of 1,003 slots" in found


def test_an_update_that_is_lost_is_found() -> None:
    followed = Followed(100)
    followed.update(np.arange(50), np.arange(50.0))
    followed.check(1_000, 0)
    followed.weights[7] = 8.0
    with pytest.raises(AssertionError):
        followed.check(1_000, 0)


def test_products_of_which_no_half_overflows() -> None:
    words = np.random.default_rng(1).integers(0, 2**64, 1_000, dtype=np.uint64)
    words[:2] = 0, 2**64 - 1
    for factor in (0, 1, 2**32 - 1, 2**62 - 1, 3 * 2**60 + 12_345):
        assert high_product(words, factor).tolist() == [word * factor >> 64 for word in words.tolist()]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_a_day() -> None:
    found = list(prove_day(batches=6_000, hours=6, of_pass=40))
    assert len(found) == 4
    assert found[-1][1].endswith(" 0 processes")


@pytest.mark.parametrize(
    ("field", "by"),
    [("memory", MOST_BYTES), ("descriptors", 1), ("threads", 1), ("children", 1), ("blocks", 9_999)],
)
def test_what_grows_is_found(field: str, by: int) -> None:
    hours = [Usage(10**8, 9, 2, 0, 10**6)] * 9
    assert check_growth(hours) == (0, 0)
    grown = [
        hour._replace(**{field: getattr(hour, field) + by * number}) for number, hour in enumerate(hours)
    ]
    with pytest.raises(AssertionError, match=r"more|grown"):
        check_growth(grown)


def of_two_ranks(paths: list[Path], order: list[int], **options: Any) -> list[list[Rows]]:
    """Return the rows of the batches of both ranks, as they are read."""
    source = H5adSource(paths, obs=list(LABELS)).files([paths[number] for number in order])
    loaders = [Loader(source, STRATEGY, 50, FETCH_FACTOR, rank=r, world_size=2, **options) for r in range(2)]
    return [[numbers_of(batch) for batch in loader] for loader in loaders]


def test_files_that_say_which_row_is_which_and_what_the_plan_says(tmp_path: Path) -> None:
    sizes = file_sizes(6_000, 4, 100)
    paths = write_plates(tmp_path / "plates", sizes)
    assert (sum(sizes), len(set(sizes))) == (6_000, 1)
    read = of_two_ranks(paths, [2, 0, 3], seed=5)
    for rank, batches in enumerate(read):
        planned = planned_rows(5, [3_000, 0, 4_500], [1_500] * 3, rank, 50)
        assert np.array_equal(batches, list(planned))
    bitmap = Bitmap(6_000)
    for rows in [*read[0], *read[1], np.arange(1_500, 3_000, dtype=np.int32)]:
        bitmap.add(rows.astype(np.int64))
    bitmap.check_all_came()
    batch = next(iter(Loader(H5adSource(paths, obs=list(LABELS)), STRATEGY, 50)))
    batch["drug"][3] += 1
    with pytest.raises(AssertionError, match=r"^drug is of other rows$"):
        numbers_of(batch)


PLANNED = np.arange(200, dtype=np.int32).reshape(2, 20, 5)
"""Rows of two ranks, 20 batches of 5 each."""


def logs_of_two_attempts() -> list[list[Rows]]:
    """Return logs of 9 and 8 steps, and of those from the sixth on, after a file that held 5."""
    return [[PLANNED[0, :9].copy(), PLANNED[1, :8].copy()], [PLANNED[0, 5:].copy(), PLANNED[1, 5:].copy()]]


def check(logs: list[list[Rows]]) -> int:
    """Check them against the plan."""
    planned: list[Iterator[Rows]] = [iter(PLANNED[0]), iter(PLANNED[1])]
    bitmap = Bitmap(200)
    repeated = check_logs(logs, [5, 20], planned, bitmap)
    bitmap.check_all_came()
    return repeated


def test_logs_of_a_training_that_was_killed() -> None:
    assert check(logs_of_two_attempts()) == 4 + 3
    cut_off = logs_of_two_attempts()
    cut_off[1][1] = cut_off[1][1][:-1]
    with pytest.raises(AssertionError, match=r"^attempt 1, rank 1: the log has 14 of 15 steps$"):
        check(cut_off)
    skipped = logs_of_two_attempts()
    skipped[1][0] = np.roll(skipped[1][0], -1, axis=0)
    with pytest.raises(AssertionError, match=r"^attempt 0, rank 0: the next one does other steps$"):
        check(skipped)
    other_rows = logs_of_two_attempts()
    other_rows[1][0][12, 0] = 0
    with pytest.raises(AssertionError, match=r"^attempt 1, rank 0: step 17 has other rows than the plan$"):
        check(other_rows)


def test_a_section_takes_the_place_of_the_one_before() -> None:
    page = written_into(written_into("", "## tree\n\nold\n"), "## ranks\n\nfirst\n")
    page = written_into(page, "## tree\n\nnew\n")
    assert page.startswith("# Large runs\n")
    assert page.endswith("## ranks\n\nfirst\n\n## tree\n\nnew\n")
    assert "old" not in page
