"""How files are opened: what is read and what is not, codes of several files in one array."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import random_counts, rewrite_dataset
from tombola import _core
from tombola.sources import H5adSource
from tombola.sources.h5ad import files, layout, obs_table
from tombola.sources.h5ad.plain_layout import NotPlainError

DRUGS = ["dmso", "taxol", "aspirin"]
COLUMNS = ["drug", "line", "depth"]
SIZES = (7, 1, 20, 12)


def write(path: Path, n: int, seed: int, drugs: list[str] = DRUGS) -> Path:
    rng = np.random.default_rng(seed)
    drug = pd.Categorical.from_codes(rng.integers(-1, len(drugs), n), pd.Index(drugs))
    line = pd.Categorical.from_codes(rng.integers(0, 200, n), pd.Index([f"line_{i}" for i in range(200)]))
    obs = pd.DataFrame({"drug": drug, "line": line, "depth": rng.random(n)})
    obs.index = pd.Index([f"cell_{i}" for i in range(n)])
    anndata.AnnData(X=random_counts(n, 5, seed=seed), obs=obs).write_h5ad(path)
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / f"{i}.h5ad", n, i) for i, n in enumerate(SIZES)]


@pytest.fixture(params=["few rows", "many rows", "some of both"])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which files are read when they are opened, which later."""
    monkeypatch.setattr(
        layout, "FEW_ROWS", {"few rows": 100, "many rows": -1, "some of both": 10}[request.param]
    )
    return str(request.param)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that HDF5 opens for a look at their frames."""
    names: list[str] = []

    @contextmanager
    def open_and_note(path: Path) -> Iterator[h5py.File]:
        names.append(path.stem)
        with files.open_alone(path) as file:
            yield file

    for module in (layout, obs_table):
        monkeypatch.setattr(module, "open_alone", open_and_note)
    return names


def stored(paths: list[Path], name: str) -> list[Any]:
    values: list[Any] = []
    for path in paths:
        column = anndata.read_h5ad(path).obs[name]
        values += [None if pd.isna(value) else value for value in column]
    return values


def check(source: H5adSource, paths: list[Path]) -> None:
    for name in COLUMNS:
        column = source.obs[name]
        given = column.tolist()
        assert given == stored(paths, name), name
    at = np.arange(0, len(source), 3)
    np.testing.assert_array_equal(source.read(at)["drug"], source.obs["drug"].codes[at])


def test_the_same_categories(paths: list[Path], rows: str) -> None:
    source = H5adSource(paths, obs=COLUMNS)
    check(source, paths)
    assert (source.obs["drug"].codes.dtype, source.obs["line"].codes.dtype) == (np.int8, np.int16)
    assert source.categories["drug"].tolist() == DRUGS


@pytest.mark.parametrize(
    "drugs",
    [
        [DRUGS, DRUGS[::-1], DRUGS[:1], ["new", *DRUGS]],
        [[f"drug_{100 * i + k}" for k in range(100)] for i in range(4)],
        [[f"drug_{k}" for k in range(n)] for n in (3, 130, 5, 300)],
    ],
    ids=["others", "more than a byte holds", "other widths"],
)
def test_other_categories(tmp_path: Path, rows: str, drugs: list[list[str]]) -> None:
    paths = [write(tmp_path / f"{i}.h5ad", n, i, drugs[i]) for i, n in enumerate(SIZES)]
    source = H5adSource(paths, obs=COLUMNS)
    check(source, paths)
    assert source.categories["drug"].tolist() == list(dict.fromkeys(name for part in drugs for name in part))
    given = H5adSource(paths, obs=COLUMNS, categories={"drug": sorted(source.categories["drug"])})
    check(given, paths)


@pytest.mark.parametrize("kind", [">i1", ">i2", "<i4", "<i8", "u1", ">u2", "u8"])
@pytest.mark.parametrize("which", [0, 2])
def test_codes_of_any_type(paths: list[Path], rows: str, kind: str, which: int) -> None:
    expected = [stored(paths, name) for name in COLUMNS]
    with h5py.File(paths[which], "r+") as file:
        codes = file["obs/drug/codes"]
        codes[...] = np.maximum(codes[()], 0)
    expected[0] = stored(paths, "drug")
    rewrite_dataset(paths[which], "obs/drug/codes", dtype=np.dtype(kind))
    source = H5adSource(paths, obs=COLUMNS)
    assert [source.obs[name].tolist() for name in COLUMNS] == expected
    assert source.obs["drug"].codes.dtype == np.int8


@pytest.mark.parametrize("options", [{"chunks": (3,)}, {"chunks": (5,), "compression": "gzip"}])
@pytest.mark.parametrize("name", ["X/indptr", "obs/drug/codes", "obs/drug/categories", "var/_index"])
def test_chunks(paths: list[Path], rows: str, name: str, options: dict[str, Any]) -> None:
    for path in paths[:2] if name == "var/_index" else paths[2:]:
        rewrite_dataset(
            path, name, **(options if name != "obs/drug/categories" else {**options, "chunks": (2,)})
        )
    check(H5adSource(paths, obs=COLUMNS), paths)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda codes: codes.__setitem__(5, 3),
            r"codes must be in \[-1, 3\) for 3 categories, but row 5 has 3",
        ),
        (lambda codes: codes.__setitem__(5, -2), r"but row 5 has -2"),
        (
            lambda codes: codes.resize((11,)),
            r"must have shape \(12,\) as obs has 12 rows, but has shape \(11,\)",
        ),
    ],
)
def test_wrong_codes(paths: list[Path], rows: str, change: Callable[[h5py.Dataset], None], text: str) -> None:
    rewrite_dataset(paths[3], "obs/drug/codes", maxshape=(None,))
    with h5py.File(paths[3], "r+") as file:
        change(file["obs/drug/codes"])
    with pytest.raises(ValueError, match=rf"3\.h5ad: obs column 'drug'.*{text}"):
        H5adSource(paths, obs=COLUMNS)
    assert H5adSource(paths, obs="line").obs["line"].tolist() == stored(paths[:3], "line") + line_of(paths[3])


def line_of(path: Path) -> list[str]:
    with h5py.File(path, "r") as file:
        names = file["obs/line/categories"].asstr()[()]
        return [str(names[code]) for code in file["obs/line/codes"][()]]


def test_row_names_are_not_read(paths: list[Path], rows: str) -> None:
    with h5py.File(paths[0], "r+") as file:
        del file["obs/_index"]
        file["obs/_index"] = np.array([b"\xff\xfe"] * SIZES[0])
    assert len(H5adSource(paths, obs="drug")) == sum(SIZES)


@pytest.fixture
def by_hdf5(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be found without HDF5."""

    def refuse(*_: Any) -> None:
        raise NotPlainError

    monkeypatch.setattr(layout, "plain_contents", refuse)


def test_usual_files_of_few_rows_are_read_without_hdf5(paths: list[Path], opened: list[str]) -> None:
    source = H5adSource(paths, obs=COLUMNS)
    assert opened == []
    check(source, paths)
    assert opened == []


def test_labels_of_usual_files_are_read_without_hdf5(paths: list[Path], rows: str, opened: list[str]) -> None:
    source = H5adSource(paths, obs=COLUMNS[:2])
    assert source.obs["drug"].tolist() == stored(paths, "drug")
    assert opened == []


def test_labels_of_a_file_that_changes_while_it_is_opened(
    paths: list[Path], rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before is that of the file as it was; what was to be read later is refused."""
    expected = [stored(paths, name) for name in COLUMNS[:2]]
    read_codes = _core.read_codes

    def after_a_change(jobs: Any) -> Any:
        rewrite_dataset(paths[2], "obs/line/codes", chunks=(3,))
        return read_codes(jobs)

    monkeypatch.setattr(_core, "read_codes", after_a_change)
    if rows == "few rows":
        source = H5adSource(paths, obs=COLUMNS[:2])
        assert [source.obs[name].tolist() for name in COLUMNS[:2]] == expected
    else:
        with pytest.raises(OSError, match=r"2\.h5ad: the file was replaced or written to since"):
            H5adSource(paths, obs=COLUMNS[:2])


@pytest.mark.usefixtures("by_hdf5")
def test_files_are_opened_once_or_once_more(paths: list[Path], rows: str, opened: list[str]) -> None:
    source = H5adSource(paths, obs=COLUMNS)
    assert (
        opened == list("0123") + {"few rows": [], "many rows": list("0123"), "some of both": list("23")}[rows]
    )
    check(source, paths)
    copy = pickle.loads(pickle.dumps(source))
    del opened[:]
    check(copy, paths)
    assert opened == list("0123")  # all columns in use together


@pytest.mark.usefixtures("by_hdf5")
def test_many_files_of_few_rows_are_not_all_read_on_the_way(
    paths: list[Path], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MOST_ROWS", 10)
    check(H5adSource(paths, obs=COLUMNS), paths)
    assert opened == list("012323")


def test_var_names_that_agree_are_one_list(paths: list[Path]) -> None:
    rewrite_dataset(paths[1], "var/_index", chunks=(2,))
    names = [layout.read_layout(path, "X", files.OpenFiles(), layout.Opening())[1] for path in paths]
    opening = layout.Opening()
    shared = [layout.read_layout(path, "X", files.OpenFiles(), opening)[1] for path in paths]
    assert names == shared
    assert all(each is shared[0] for each in shared)
    with h5py.File(paths[2], "r+") as file:
        file["var/_index"][4] = "other"
    with pytest.raises(ValueError, match=r"2\.h5ad differs from .*0\.h5ad: var 4 is 'other' instead of '4'"):
        H5adSource(paths)


def test_columns_that_come_twice_are_read_once(paths: list[Path], rows: str, opened: list[str]) -> None:
    source = H5adSource(paths, obs=["drug", "drug"])
    assert source.obs["drug"].tolist() == stored(paths, "drug")
