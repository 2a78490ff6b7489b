"""Label columns of all kinds, splits by file and by share, and what is refused."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tombola import H5adSource
from tombola.experiments import open_data
from tombola.experiments.labels import MAX_NUMBER_CLASSES, are_whole, label_of, left_out_text
from tombola.experiments.misfits import raw_counts


def write(path: Path, n: int, columns: dict[str, Any], n_genes: int = 4) -> Path:
    obs = pd.DataFrame(columns, index=[f"{path.stem}_{i}" for i in range(n)])
    x = sp.random(n, n_genes, density=0.5, format="csr", dtype=np.float32, random_state=1)
    anndata.AnnData(x, obs=obs).write_h5ad(path)
    return path


@pytest.fixture(name="files")
def fixture_files(tmp_path: Path) -> list[Path]:
    def columns(shift: int, n: int) -> dict[str, Any]:
        names = np.array(["x", "y", "z"])[(np.arange(n) + shift) % 3]
        return {
            "drug": pd.Categorical(names),
            "gap": pd.Categorical([None if i == 2 else name for i, name in enumerate(names)]),
            "text": names.astype(object),
            "day": np.arange(n) % 2 * 7,
            "dead": np.arange(n) % 2 == 0,
            "depth": np.arange(n) / 2,
            "same": pd.Categorical(["only"] * n),
            "id": np.arange(n) * 3 + shift * 10**6,
        }

    return [write(tmp_path / f"f{k}.h5ad", n, columns(k, n)) for k, n in enumerate((10, 6, 8))]


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ("drug", ("x", "y", "z")),
        ("text", ("x", "y", "z")),
        ("day", ("0", "7")),
        ("dead", ("False", "True")),
    ],
)
def test_columns_become_classes(files: list[Path], label: str, classes: tuple[str, ...]) -> None:
    data = open_data(files, [label], holdout_files=files[1:2])
    (column,) = data.labels
    seen = [column.classes[code] for code in column.codes]
    expected = [str(value) for path in files for value in anndata.read_h5ad(path).obs[label]]
    assert seen == expected
    assert column.classes == classes


def test_files_are_held_out_whether_named_twice_or_not(files: list[Path]) -> None:
    among = open_data(files, ["drug"], holdout_files=[files[1]])
    assert among.train_rows.tolist() == [*range(10), *range(16, 24)]
    assert among.test_rows.tolist() == [*range(10, 16)]
    assert among.file_bounds.tolist() == [0, 10, 16, 24]
    beside = open_data([files[0], files[2]], ["drug"], holdout_files=[files[1]])
    assert beside.source.paths == (files[0], files[2], files[1])
    assert beside.test_rows.tolist() == [*range(18, 24)]


def test_a_share_is_drawn_by_seed(files: list[Path]) -> None:
    first = open_data(files, ["drug"], holdout_fraction=0.25, seed=3)
    again = open_data(files, ["drug"], holdout_fraction=0.25, seed=3)
    other = open_data(files, ["drug"], holdout_fraction=0.25, seed=4)
    assert len(first.test_rows) == 6
    assert sorted([*first.train_rows, *first.test_rows]) == list(range(24))
    assert np.array_equal(first.test_rows, again.test_rows)
    assert not np.array_equal(first.test_rows, other.test_rows)


def test_rows_without_a_label_are_left_out(files: list[Path]) -> None:
    data = open_data(files, ["drug", "gap"], holdout_files=files[2:])
    assert data.n_dropped == 3
    assert data.left_out == {"drug": 0, "gap": 3}
    expected = "3 rows left out for what they miss ('gap' 3)"
    assert left_out_text(data.left_out, data.n_dropped) == expected
    assert left_out_text({"drug": 0}, 0) == ""
    assert data.train_rows.tolist() == [0, 1, *range(3, 12), *range(13, 16)]
    assert data.test_rows.tolist() == [16, 17, *range(19, 24)]


def test_integers_with_gaps_are_labels(tmp_path: Path) -> None:
    path = tmp_path / "gaps.h5ad"
    obs = pd.DataFrame({"day": pd.array([3, None, 1, 3], dtype="Int64"), "depth": [0.5, np.nan, 1, 2]})
    obs.index = obs.index.astype(str)
    anndata.AnnData(np.ones((4, 2), dtype=np.float32), obs=obs).write_h5ad(path)
    label = label_of(H5adSource(path), "day")
    assert (label.classes, label.codes.tolist()) == (("1", "3"), [1, -1, 0, 1])
    with pytest.raises(ValueError, match="'depth' must hold categories, text or integers, but holds float64"):
        label_of(H5adSource(path), "depth")


@pytest.mark.parametrize("odd", [np.inf, -np.inf, 1e300, 2.0**53 + 2])
def test_numbers_that_no_integer_holds_are_no_labels_and_no_counts(odd: float) -> None:
    """And are found out without a warning of NumPy."""
    assert not are_whole(np.array([1.0, odd]))
    assert raw_counts(np.array([12.0, odd])) is None
    assert are_whole(np.array([1.0, -(2.0**53), 0.0]))


def test_counts_are_those_of_the_training_rows(files: list[Path]) -> None:
    data = open_data(files, ["drug", "day"], holdout_files=files[1:])
    drug, day = data.labels
    assert data.train_counts(drug).tolist() == [4, 3, 3]
    assert data.train_counts(day).tolist() == [5, 5]
    assert sorted(data.combination_counts().tolist()) == [1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["dose"], {}, "obs has no column 'dose'; it has drug, gap, text"),
        (["depth"], {}, "'depth' must hold categories, text or integers, but holds float64"),
        (["same"], {}, "'same' must have at least 2 classes among the training rows, but has only 'only'"),
        ([], {}, "labels must name at least one column"),
        (["drug"], {"holdout_fraction": 1.5}, "holdout_fraction must be between 0 and 1, but is 1.5"),
        (["drug"], {"holdout_fraction": 0.0}, "holdout_fraction must be between 0 and 1, but is 0"),
        (["drug"], {"holdout_fraction": None}, "exactly one of holdout_files and holdout_fraction"),
        (["drug"], {"join": "outer"}, "join must be exact or inner, but is 'outer'"),
    ],
)
def test_what_does_not_do_is_refused(
    files: list[Path], labels: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, KeyError), match=message):
        open_data(files, labels, **{"holdout_fraction": 0.5, **options})


def test_everything_held_out_is_refused(files: list[Path]) -> None:
    with pytest.raises(ValueError, match="the split leaves no training rows of 24"):
        open_data(files, ["drug"], holdout_files=files)


def test_a_measurement_is_no_label(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5ad", MAX_NUMBER_CLASSES + 1, {"umis": np.arange(MAX_NUMBER_CLASSES + 1)})
    with pytest.raises(ValueError, match="at most 1000 distinct integers, but holds 1001: it looks like a"):
        open_data([path], ["umis"], holdout_fraction=0.5)


def test_files_of_different_genes_need_inner(tmp_path: Path) -> None:
    drug = {"drug": ["a", "b"] * 3}
    files = [write(tmp_path / f"g{n}.h5ad", 6, drug, n_genes=n) for n in (4, 3)]
    with pytest.raises(ValueError, match=r"g3\.h5ad"):
        open_data(files, ["drug"], holdout_files=files[1:])
    assert open_data(files, ["drug"], holdout_files=files[1:], join="inner").source.n_vars == 3
