"""Several matrices of one source, each under its name in batches."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

import tombola
from tests.sources.h5ad.h5ad_files import N_OBS, N_VARS, dense, random_counts, write_h5ad
from tombola.sources import CsrRows, H5adSource

NAMES = {"X": "X", "counts": "layers/counts", "protein": "obsm/protein"}
PROTEIN = np.random.default_rng(0).random((N_OBS, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def whatever_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 1)


def write(path: Path, seed: int = 0, kind: str = "csr") -> dict[str, Any]:
    x, counts = random_counts(seed=seed), random_counts(seed=seed + 10)
    stored = x if kind == "csr" else x.toarray()
    write_h5ad(path, stored, layers={"counts": counts}, obsm={"protein": PROTEIN + seed})
    return {"X": x.toarray(), "counts": counts.toarray(), "protein": PROTEIN + seed}


@pytest.mark.parametrize("x_format", ["dense", "csr"])
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_each_under_its_name(tmp_path: Path, kind: str, x_format: Any) -> None:
    parts = [write(tmp_path / f"{i}.h5ad", i, kind) for i in range(2)]
    expected = {name: np.vstack([part[name] for part in parts]) for name in NAMES}
    source = H5adSource([tmp_path / "0.h5ad", tmp_path / "1.h5ad"], x=NAMES, obs="kind", x_format=x_format)
    assert source.matrices == NAMES
    assert source.var_names_of["protein"] == [f"protein_{i}" for i in range(5)]
    assert source.var_names_of["counts"] == source.var_names
    assert source.describe()["matrices"] == NAMES
    rng = np.random.default_rng(0)
    second = source.files(1)
    for each, whole in (
        (source, expected),
        (pickle.loads(pickle.dumps(source)), expected),
        (second, {name: values[N_OBS:] for name, values in expected.items()}),
    ):
        rows = np.arange(0, len(each), 3)
        found = each.read(rows)
        assert list(found) == [*NAMES, "kind"]
        for name in NAMES:
            assert isinstance(found[name], CsrRows) == (
                x_format == "csr" or (name, kind) in (("X", "csr"), ("counts", "csr"), ("counts", "dense"))
            )
            np.testing.assert_array_equal(dense(found[name]), whole[name][rows])
        order = rng.integers(0, len(each), 60)
        given = each.read_in_order(order)
        if given is not None:
            for name in NAMES:
                np.testing.assert_array_equal(dense(given[name]), whole[name][order])
        for batch in tombola.Loader(each, tombola.BlockShuffling(4), 16, fetch_factor=4):
            for name in NAMES:
                x = batch[name].to_dense() if x_format == "csr" else batch[name]
                np.testing.assert_array_equal(x.numpy(), whole[name][batch["row"].numpy()])


def test_what_is_done_is_done_to_the_first(tmp_path: Path) -> None:
    parts = write(tmp_path / "a.h5ad")
    genes = ["gene7", "gene2"]
    source = H5adSource(tmp_path / "a.h5ad", x={"counts": "layers/counts", **NAMES}, vars=genes, log1p=True)
    assert (source.x, next(iter(source.matrices))) == ("X", "X")
    found = source.read(np.arange(N_OBS))
    np.testing.assert_allclose(dense(found["X"]), np.log1p(parts["X"][:, [7, 2]]), rtol=1e-6)
    np.testing.assert_array_equal(dense(found["counts"]), parts["counts"][:, [7, 2]])
    np.testing.assert_array_equal(dense(found["protein"]), parts["protein"])
    others = H5adSource(tmp_path / "a.h5ad", x={"protein": "obsm/protein", "n": "X"}, scale=np.full(5, 2.0))
    assert (others.x, others.n_vars) == ("obsm/protein", 5)
    given = others.read_in_order(np.array([9, 1, 1]))
    assert given is not None
    np.testing.assert_array_equal(given["protein"], parts["protein"][[9, 1, 1]] / 2)
    np.testing.assert_array_equal(dense(given["n"]), parts["X"][[9, 1, 1]])
    assert "X" not in next(iter(tombola.Loader(others, tombola.Streaming(), 8)))


def test_types_hold_for_all(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad")
    for dtype, expected in (
        ("bfloat16", torch.bfloat16),
        ("float16", torch.float16),
        ("float64", torch.float64),
    ):
        source = H5adSource(tmp_path / "a.h5ad", x=NAMES, dtype=dtype)
        batch = next(iter(tombola.Loader(source, tombola.Streaming(), 8)))
        assert {batch[name].dtype for name in NAMES} == {expected}
    narrow = H5adSource(tmp_path / "a.h5ad", x={"X": "X", "counts": "layers/counts"}, dtype="uint8")
    batch = next(iter(tombola.Loader(narrow, tombola.Streaming(), 8)))
    assert {batch[name].dtype for name in ("X", "counts")} == {torch.uint8}


def test_a_matrix_that_cannot_be_read_straight_beside_one_that_can(tmp_path: Path) -> None:
    x, counts = random_counts(), random_counts(seed=3, dtype=np.float64)
    path = write_h5ad(tmp_path / "a.h5ad", x, layers={"counts": counts, "columns": sp.csc_matrix(x)})
    names = {"X": "X", "counts": "layers/counts", "columns": "layers/columns"}
    source = H5adSource(path, x=names)
    rows = np.array([100, 3, 3, 99])
    given = source.read_in_order(rows)
    assert given is not None
    for name, expected in (("X", x), ("counts", counts), ("columns", x)):
        np.testing.assert_array_equal(dense(given[name]), expected.toarray()[rows])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"x": {}}, ValueError, "x must name at least one matrix, but is empty"),
        (
            {"x": {"row": "X"}},
            ValueError,
            "no matrix of x can be called 'row': it is the name of",
        ),
        ({"x": {1: "X"}}, TypeError, "x must map names in batches to matrices, but one name is 1"),
        ({"x": {"X": "Y"}}, ValueError, "x must be 'X', 'raw/X', .* but is 'Y'"),
        ({"x": {"X": "X", "a": "layers/none"}}, KeyError, "no 'layers/none'; the file has"),
        (
            {"x": NAMES, "obs": "counts"},
            ValueError,
            "obs column 'counts' cannot be read: a batch has",
        ),
        ({"x": ["X"]}, ValueError, r"x must be 'X', 'raw/X', .* but is \['X'\]"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: Any, error: type[Exception], match: str) -> None:
    write(tmp_path / "a.h5ad")
    with pytest.raises(error, match=match):
        H5adSource(tmp_path / "a.h5ad", **options)


def test_one_matrix_is_named_x(tmp_path: Path) -> None:
    write(tmp_path / "a.h5ad")
    source = H5adSource(tmp_path / "a.h5ad", x="layers/counts")
    assert source.matrices == {"X": "layers/counts"}
    assert source.n_vars == N_VARS
