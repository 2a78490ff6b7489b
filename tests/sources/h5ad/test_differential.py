"""Rows of random files are anndata's; a failure prints the one command that compares its file alone."""

from pathlib import Path

import numpy as np
import pytest

from tests.sources.h5ad.differential import compare_seeds
from tests.sources.h5ad.random_files import Made, make_file
from tombola._base.types import IndexArray
from tombola.sources import Column, CsrRows, H5adSource

SHORT, LONG, BLOCKS = 25, 500, 20


@pytest.mark.parametrize("block", range(4))
def test_some_random_files(tmp_path: Path, block: int) -> None:
    seeds = range(block * SHORT, (block + 1) * SHORT)
    assert compare_seeds(seeds, tmp_path)["cases"] == SHORT


@pytest.mark.differential_long
@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_files(tmp_path: Path, block: int) -> None:
    first = 10_000 + block * LONG
    counts = compare_seeds(range(first, first + LONG), tmp_path)
    print(f"seeds {first} to {first + LONG - 1}: {dict(counts)}")
    assert counts["cases"] == LONG


def test_a_seed_makes_one_file(tmp_path: Path) -> None:
    made: list[Made] = [make_file(tmp_path / f"{i}.h5ad", np.random.default_rng(5)) for i in range(2)]
    assert made[0].notes == made[1].notes
    np.testing.assert_array_equal(made[0].values, made[1].values)


def test_a_difference_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is wrong in one value is told from a right one."""
    right = H5adSource.read

    def wrong(source: H5adSource, rows: IndexArray) -> dict[str, Column]:
        batch = right(source, rows)
        x = batch["X"]
        values = x.data if isinstance(x, CsrRows) else x.reshape(-1)
        if len(values):
            values[-1] = values[-1] == 0
        return batch

    monkeypatch.setattr(H5adSource, "read", wrong)
    with pytest.raises(
        AssertionError, match=r"(?s)seed \d+ .*again: python -m tests\.sources\.h5ad\.diff.* \d+$"
    ):
        compare_seeds(range(20), tmp_path)
