"""A code means one thing: given categories, given genes, sources of some of the files."""

import pickle
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import assert_canonical, dense, random_counts
from tests.sources.h5ad.test_several import FORMATS, GENES, convert, write
from tombola.labels.categorical import Categorical
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad import files, obs_table

DRUGS = [["dmso", "aspirin"], ["dmso", "taxol"], ["zinc", "dmso"], ["aspirin", "taxol"]]
X = [random_counts(6, 12, seed=i) for i in range(4)]
LEVELS = [[1, 2], [2, 3], [7, 1], [3, 7]]


@pytest.fixture(name="paths")
def fixture_paths(tmp_path: Path) -> list[Path]:
    return [
        write(
            tmp_path / f"p{i}.h5ad",
            X[i],
            GENES,
            drug=pd.Categorical(drugs * 3),
            text=drugs * 3,
            level=LEVELS[i] * 3,
            dose=np.array(LEVELS[i] * 3, dtype=np.float32 if i == 2 else np.int16),
        )
        for i, drugs in enumerate(DRUGS)
    ]


COLUMNS = ["drug", "text", "dose"]


def test_sources_of_some_files_share_codes(paths: list[Path]) -> None:
    whole = H5adSource(paths, obs=COLUMNS)
    train, validation = whole.files(paths[:3]), whole.files(paths[3])
    assert (train.paths, validation.paths) == (tuple(paths[:3]), (paths[3],))
    for name in ("drug", "text"):
        for part in (train, validation):
            np.testing.assert_array_equal(part.categories[name], whole.categories[name])
        assert validation.obs[name].tolist() == DRUGS[3] * 3
        assert train.obs[name].tolist() == [drug for drugs in DRUGS[:3] for drug in drugs * 3]
    assert validation.obs["dose"].dtype == whole.obs["dose"].dtype == np.float32
    batch = validation.read(np.arange(6))
    np.testing.assert_array_equal(np.asarray(batch["drug"]), whole.obs["drug"].codes[18:])
    np.testing.assert_array_equal(dense(batch["X"]), X[3].toarray())
    assert (len(train), train.file_bounds.tolist()) == (18, [0, 6, 12, 18])


@pytest.mark.parametrize(
    "which", [(2, 0), ([2, 0],), (np.array([2, 0]),), (-2, -4), ("p2.h5ad", "p0.h5ad"), (Path("p2.h5ad"), 0)]
)
def test_files_by_number_or_path(
    paths: list[Path], which: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paths[0].parent)
    part = H5adSource(paths, obs=COLUMNS).files(*which)
    assert part.paths == (paths[2], paths[0])
    assert part.obs["drug"].tolist() == DRUGS[2] * 3 + DRUGS[0] * 3
    np.testing.assert_array_equal(
        dense(part.read(np.arange(12))["X"]), np.concatenate([X[2].toarray(), X[0].toarray()])
    )
    assert part.files(1).paths == (paths[0],)
    assert part.files(1).categories["drug"].tolist() == part.categories["drug"].tolist()


def test_files_that_are_none(paths: list[Path]) -> None:
    source = H5adSource(paths)
    cases: list[tuple[tuple[Any, ...], type[Exception], str]] = [
        ((), ValueError, "files must name at least one file"),
        (([],), ValueError, "files must name at least one file"),
        ((4,), IndexError, "there are 4 files, so that a number must be below that, but one is 4"),
        (("other.h5ad",), KeyError, r"other\.h5ad is none of the source's files, which are .*p0\.h5ad"),
        ((1, 1), ValueError, r"files must be distinct, but file 1, .*p1\.h5ad, comes twice"),
        ((True,), TypeError, "files must be numbers or paths, but one is True"),
    ]
    for which, error, text in cases:
        with pytest.raises(error, match=text):
            source.files(*which)


@pytest.mark.parametrize("used", [False, True])
def test_parts_travel_alone(paths: list[Path], used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = H5adSource(paths, obs=COLUMNS if used else ())
    part = whole.files(3, 1)
    copy = pickle.loads(pickle.dumps(part))
    read: list[Path] = []

    def open_and_note(path: Path) -> AbstractContextManager[h5py.File]:
        read.append(path)
        return files.open_alone(path)

    monkeypatch.setattr(obs_table, "open_alone", open_and_note)
    for name in COLUMNS:
        mine, theirs = copy.obs[name], part.obs[name]
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
        if isinstance(mine, Categorical):
            np.testing.assert_array_equal(mine.codes, theirs.codes)
            assert mine.codes.dtype == theirs.codes.dtype
            np.testing.assert_array_equal(mine.categories, theirs.categories)
        else:
            assert mine.dtype == theirs.dtype
    if used:  # what is known already needs no other file
        assert set(read) == {paths[1], paths[3]}
    np.testing.assert_array_equal(dense(copy.read(np.arange(12))["X"]), dense(part.read(np.arange(12))["X"]))


def test_given_categories(paths: list[Path]) -> None:
    known = ["zinc", "taxol", "aspirin", "dmso", "new"]
    for categories in ({"drug": known, "level": [7, 3, 2, 1]}, {"drug": pd.Categorical([], known)}):
        source = H5adSource(paths, obs=["drug", "level"], categories=categories)
        assert source.categories["drug"].tolist() == known
        expected = [drug for drugs in DRUGS for drug in drugs * 3]
        assert source.obs["drug"].tolist() == expected
        assert source.obs["drug"].codes.tolist() == [known.index(drug) for drug in expected]
    numbers = H5adSource(paths, categories={"level": [7, 3, 2, 1]}).obs["level"]
    assert isinstance(numbers, Categorical)
    assert numbers.codes[:2].tolist() == [3, 2]


def test_the_categories_of_another_source(paths: list[Path]) -> None:
    train = H5adSource(paths[:3], obs=COLUMNS)
    validation = H5adSource(paths[3:], obs=COLUMNS, categories=train.categories, vars=train.var_names)
    assert validation.categories["drug"].tolist() == train.categories["drug"].tolist()
    assert validation.obs["drug"].tolist() == DRUGS[3] * 3
    assert pickle.loads(pickle.dumps(validation)).obs["drug"].tolist() == DRUGS[3] * 3


def test_values_outside_the_vocabulary(paths: list[Path]) -> None:
    known = {"drug": ["dmso", "aspirin", "taxol"]}
    with pytest.raises(
        ValueError,
        match=r"p2\.h5ad: obs column 'drug' has 'zinc' in row 0, which is none of the 3 categories given "
        r"\('dmso', 'aspirin', 'taxol'\); unknown='missing'",
    ):
        H5adSource(paths, obs="drug", categories=known)
    source = H5adSource(paths, obs="drug", categories=known, unknown="missing")
    assert source.obs["drug"][12:].tolist() == [None, "dmso"] * 3 + DRUGS[3] * 3
    assert source.files(2).obs["drug"].n_missing == 3
    unused = H5adSource(paths[:1], categories={"drug": ["dmso", "aspirin"]})  # what no row has is no matter
    assert unused.obs["drug"].tolist() == DRUGS[0] * 3
    with pytest.raises(ValueError, match=r"has 1 in row 0, which is none of the 2 categories given \(True"):
        H5adSource(paths[:1], obs="level", categories={"level": [True, False]})


@pytest.mark.parametrize(
    ("categories", "error", "text"),
    [
        (
            {"drug": ["a", "a"]},
            ValueError,
            "categories of 'drug' must be distinct values, but 'a' comes twice",
        ),
        ({"drug": [1.0, np.nan]}, ValueError, "but nan is missing, which is no category"),
        (
            {"drug": "dmso"},
            TypeError,
            "categories of 'drug' must be a list of text or of numbers, but are 'dmso'",
        ),
        ({"drug": ["a", 1, None]}, TypeError, "must be a list of text or of numbers"),
        ({"drog": ["a"]}, KeyError, "obs has no column 'drog'; 'drug' is meant, perhaps"),
    ],
)
def test_wrong_categories(paths: list[Path], categories: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        H5adSource(paths, obs="drug", categories=categories)


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
@pytest.mark.parametrize("join", ["exact", "inner", "outer"])
def test_chosen_genes(tmp_path: Path, kind: str, x_format: Any, join: Any) -> None:
    names = [GENES, GENES[::-1], [*GENES[4:], *GENES[:4]]]
    paths = [
        write(tmp_path / f"{i}.h5ad", convert(x, kind), genes)
        for i, (x, genes) in enumerate(zip(X, names, strict=False))
    ]
    chosen = ["g7", "g2", "g11"]
    source = H5adSource(paths, vars=chosen, join=join, x_format=x_format)
    assert (source.var_names, source.n_vars) == (chosen, 3)
    frames = [pd.DataFrame(x.toarray(), columns=genes) for x, genes in zip(X, names, strict=False)]
    expected = pd.concat([frame[chosen] for frame in frames]).to_numpy()
    for rows in (np.arange(18), np.arange(0, 18, 5), np.array([17])):
        part = source.read(rows)["X"]
        np.testing.assert_array_equal(dense(part), expected[rows])
        if isinstance(part, CsrRows):
            assert_canonical(part)
    assert source.files(1).var_names == chosen


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize("kinds", [("csr", "csr"), ("dense", "dense"), ("csr", "dense")], ids="-".join)
def test_outer_join(tmp_path: Path, kinds: tuple[str, str], x_format: Any) -> None:
    names = [["a", "b", "c"], ["c", "x", "b"]]
    matrices = [random_counts(9, 3, density=0.8, seed=i) for i in range(2)]
    paths = [
        write(tmp_path / f"{i}.h5ad", convert(x, kind), genes)
        for i, (x, kind, genes) in enumerate(zip(matrices, kinds, names, strict=True))
    ]
    frames = [pd.DataFrame(x.toarray(), columns=genes) for x, genes in zip(matrices, names, strict=True)]
    for chosen in (None, ["x", "never", "b", "a"]):
        source = H5adSource(paths, join="outer", vars=chosen, x_format=x_format)
        assert source.var_names == (["a", "b", "c", "x"] if chosen is None else chosen)
        whole = pd.concat(frames).reindex(columns=source.var_names).fillna(0).to_numpy()
        for _ in range(3):  # memory of windows is used again
            rows = np.array([0, 1, 8, 9, 12, 17])
            part = source.read(rows)["X"]
            np.testing.assert_array_equal(dense(part), whole[rows])
            if isinstance(part, CsrRows):
                assert_canonical(part)
            del part


def test_genes_that_are_not_there(paths: list[Path], tmp_path: Path) -> None:
    cases: list[tuple[Any, type[Exception], str]] = [
        (
            ["g1", "none", "other"],
            ValueError,
            r"p0\.h5ad: no var 'none' and 1 more of vars=; join='outer' takes 0",
        ),
        (["g1", "g1"], ValueError, "vars must be distinct, but 'g1' comes twice"),
        ([], ValueError, "vars must name at least one column of X"),
        ("g1", TypeError, "vars must be a sequence of var names or a mask, but is 'g1'"),
        ([1], TypeError, r"vars must be a sequence of var names or a mask, but is \[1\]"),
    ]
    for chosen, error, text in cases:
        with pytest.raises(error, match=text):
            H5adSource(paths, vars=chosen)
    with pytest.warns(UserWarning, match="not unique"):
        twice = write(tmp_path / "twice.h5ad", X[0][:, :2], ["a", "a"])
    with pytest.raises(ValueError, match=r"vars= needs distinct var names, but 'a' comes 2 times"):
        H5adSource(twice, vars=["a"])


def test_old_files_share_codes_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", X[0], GENES, drug=pd.Categorical(DRUGS[0] * 3))
    with h5py.File(path, "r+") as file:  # as 0.7 wrote it
        group = file["obs/drug"]
        codes, categories = group["codes"][()], group["categories"][()]
        del file["obs/drug"]
        file["obs/drug"] = codes
        file["obs/__categories/drug"] = categories
        file["obs/drug"].attrs["categories"] = file["obs/__categories/drug"].ref
    source = H5adSource(path, categories={"drug": ["dmso", "aspirin"]})
    assert source.obs["drug"].codes.tolist() == [0, 1] * 3
