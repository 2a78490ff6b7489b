"""Several files as one source."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tests.sources.h5ad.h5ad_files import assert_canonical, dense, random_counts, rewrite_dataset
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad import files

GENES = [f"g{i}" for i in range(12)]
FORMATS: list[Literal["dense", "csr"]] = ["dense", "csr"]


def write(path: Path, x: Any, genes: list[str], **obs: Any) -> Path:
    frame = pd.DataFrame(obs, index=[f"{path.stem}-{i}" for i in range(x.shape[0])])
    data = anndata.AnnData(X=x, obs=frame, var=pd.DataFrame(index=genes))
    data.strings_to_categoricals = lambda *_: None
    data.write_h5ad(path)
    return path


def convert(x: sp.csr_matrix, kind: str) -> Any:
    return {"csr": x, "csc": x.tocsc(), "dense": x.toarray()}[kind]


def parts(n: int) -> list[sp.csr_matrix]:
    return [random_counts(10 + 7 * i, 12, seed=i) for i in range(n)]


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize(
    "kinds", [("csr", "csr", "csr"), ("dense", "dense", "dense"), ("csr", "dense", "csc")], ids="-".join
)
def test_rows_follow_each_other(
    tmp_path: Path, kinds: tuple[str, ...], x_format: Literal["dense", "csr"]
) -> None:
    matrices = parts(3)
    paths = [
        write(tmp_path / f"{i}.h5ad", convert(x, kind), GENES, n=np.arange(x.shape[0]) + 100 * i)
        for i, (kind, x) in enumerate(zip(kinds, matrices, strict=True))
    ]
    source = H5adSource(paths, obs=["n"], x_format=x_format)
    expected = sp.vstack(matrices).toarray()
    numbers = np.concatenate([np.arange(x.shape[0]) + 100 * i for i, x in enumerate(matrices)])
    assert len(source) == len(expected) == 51
    rng = np.random.default_rng(0)
    for size in (0, 1, 5, 20, 51):
        rows = np.sort(rng.permutation(51)[:size])
        batch = source.read(rows)
        part = batch["X"]
        assert isinstance(part, CsrRows) == (x_format == "csr" or "dense" not in kinds)
        np.testing.assert_array_equal(dense(part), expected[rows])
        np.testing.assert_array_equal(np.asarray(batch["n"]), numbers[rows])
    for edge in (9, 10, 26, 27):
        np.testing.assert_array_equal(dense(source.read(np.array([edge]))["X"]), expected[[edge]])


@pytest.mark.parametrize("x_format", FORMATS)
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_inner_join(tmp_path: Path, kind: str, x_format: Literal["dense", "csr"]) -> None:
    matrices = parts(3)
    names = [GENES, ["new", *GENES[:0:-1]], [*GENES[:4], *(f"other{i}" for i in range(6)), "g10", "g8"]]
    paths = [
        write(tmp_path / f"{i}.h5ad", convert(x, kind), genes)
        for i, (x, genes) in enumerate(zip(matrices, names, strict=True))
    ]
    source = H5adSource(paths, join="inner", x_format=x_format)
    assert source.var_names == ["g1", "g2", "g3", "g8", "g10"]
    frames = [pd.DataFrame(x.toarray(), columns=genes) for x, genes in zip(matrices, names, strict=True)]
    expected = pd.concat([frame[source.var_names] for frame in frames]).to_numpy()
    for rows in (np.arange(len(source)), np.arange(0, len(source), 3), np.arange(12, 20)):
        part = source.read(rows)["X"]
        np.testing.assert_array_equal(dense(part), expected[rows])
        if isinstance(part, CsrRows):
            assert_canonical(part)


def test_exact_join_names_the_first_difference(tmp_path: Path) -> None:
    x = random_counts(5, 12)
    swapped = [*GENES[:3], "g4", "g3", *GENES[5:]]
    a, b = write(tmp_path / "a.h5ad", x, GENES), write(tmp_path / "b.h5ad", x, swapped)
    c = write(tmp_path / "c.h5ad", x[:, :11], GENES[:11])
    with pytest.raises(
        ValueError, match=r"but .*b\.h5ad differs from .*a\.h5ad: var 3 is 'g4' instead of 'g3'"
    ):
        H5adSource([a, a, b])
    with pytest.raises(
        ValueError, match=r"c\.h5ad differs from .*a\.h5ad: it has 11 instead of 12; join='inner'"
    ):
        H5adSource([a, c])


def test_inner_join_needs_distinct_names(tmp_path: Path) -> None:
    x = random_counts(5, 3)
    a = write(tmp_path / "a.h5ad", x, ["p", "q", "r"])
    with pytest.warns(UserWarning, match="Variable names are not unique"):
        b = write(tmp_path / "b.h5ad", x, ["p", "q", "q"])
    with pytest.raises(
        ValueError, match=r"b\.h5ad: join='inner' needs distinct var names, but 'q' comes 2 times"
    ):
        H5adSource([a, b], join="inner")
    assert H5adSource([b, b]).n_vars == 3


def test_categories_are_united(tmp_path: Path) -> None:
    x = random_counts(4, 12)
    a = write(
        tmp_path / "a.h5ad",
        x,
        GENES,
        kind=pd.Categorical(["z", "b", None, "z"], categories=["z", "b"]),
        text=["m", "k", "m", "z"],
        level=pd.Categorical([2, 1, 2, 2]),
    )
    b = write(
        tmp_path / "b.h5ad",
        x,
        GENES,
        kind=pd.Categorical(["a", "b", None, "z"], categories=["a", "b", "z", "unused"]),
        text=["a", "k", "l", "z"],
        level=pd.Categorical([7, 1, 7, 1]),
    )
    source = H5adSource([a, b], obs=["kind", "text", "level"])
    assert source.categories["kind"].tolist() == ["z", "b", "a", "unused"]
    assert source.obs["kind"].codes.tolist() == [0, 1, -1, 0, 2, 1, -1, 0]
    assert source.categories["text"].tolist() == ["a", "k", "l", "m", "z"]
    assert source.obs["text"].codes.tolist() == [3, 1, 3, 4, 0, 1, 2, 4]
    assert source.categories["level"].tolist() == [1, 2, 7]
    assert source.obs["level"].codes.tolist() == [1, 0, 1, 1, 2, 0, 2, 0]
    assert np.asarray(source.read(np.array([3, 4]))["kind"]).tolist() == [0, 2]


def test_numbers_take_the_type_that_holds_all(tmp_path: Path) -> None:
    x = random_counts(2, 12)
    a = write(tmp_path / "a.h5ad", x, GENES, n=np.array([1, 2], dtype=np.int32))
    b = write(tmp_path / "b.h5ad", x, GENES, n=np.array([0.5, np.nan]))
    np.testing.assert_array_equal(H5adSource([a, b]).obs["n"], [1, 2, 0.5, np.nan])


def test_columns_must_be_of_one_kind(tmp_path: Path) -> None:
    x = random_counts(2, 12)
    a = write(tmp_path / "a.h5ad", x, GENES, n=[1, 2], c=pd.Categorical([1, 2]))
    b = write(tmp_path / "b.h5ad", x, GENES, n=["1", "2"], c=pd.Categorical(["1", "2"]))
    with pytest.raises(
        ValueError,
        match=r"'n' must be the same kind .* numbers in .*a\.h5ad and categories of text in .*b\.h5ad",
    ):
        H5adSource([a, b], obs=["n"])
    with pytest.raises(ValueError, match=r"categories of numbers in .* and categories of text in"):
        H5adSource([a, b], obs=["c"])


def test_only_shared_columns_are_listed(tmp_path: Path) -> None:
    x = random_counts(2, 12)
    a = write(tmp_path / "a.h5ad", x, GENES, shared=[1, 2], own=[1, 2])
    b = write(tmp_path / "b.h5ad", x, GENES, other=[1, 2], shared=[3, 4])
    source = H5adSource([a, b])
    assert list(source.obs) == ["shared"]
    with pytest.raises(KeyError, match=r"b\.h5ad: obs has no column 'own'; it has other, shared"):
        source.obs["own"]


def test_more_files_than_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "most_open", lambda: 2)
    matrices = parts(4)
    source = H5adSource([write(tmp_path / f"{i}.h5ad", x, GENES) for i, x in enumerate(matrices)])
    expected = sp.vstack(matrices).toarray()
    for _ in range(2):
        np.testing.assert_array_equal(dense(source.read(np.arange(len(source)))["X"]), expected)
    assert len(source._layouts[0].matrix._files._files) <= 2


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_more_files_than_descriptors(tmp_path: Path, compression: Any) -> None:
    write(tmp_path / "0.h5ad", random_counts(5, 12), GENES)
    rewrite_dataset(tmp_path / "0.h5ad", "X/data", chunks=(4,), compression=compression)
    for i in range(1, 90):
        shutil.copyfile(tmp_path / "0.h5ad", tmp_path / f"{i}.h5ad")
    code = (
        "import glob, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "import tombola\n"
        "source = tombola.H5adSource(sorted(glob.glob(sys.argv[1] + '/*.h5ad')))\n"
        "loader = tombola.Loader(source, tombola.BlockShuffling(1), 32)\n"
        "print(sum(float(batch['X'].sum()) for _ in range(2) for batch in loader))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) == 2 * 90 * random_counts(5, 12).sum()


@pytest.mark.parametrize("kind", [str, Path])
def test_one_path_or_many(tmp_path: Path, kind: type) -> None:
    path = kind(write(tmp_path / "a.h5ad", random_counts(4, 12), GENES))
    assert len(H5adSource(path)) == 4
    assert len(H5adSource([path, path])) == 8
    assert len(H5adSource(p for p in (path, path))) == 8
    with pytest.raises(ValueError, match="paths must name at least one file, but is empty"):
        H5adSource([])
