"""What is done to X after it was read, beside the plain formulas in float64 and beside scanpy."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

import tombola
from tests.sources.h5ad.h5ad_files import assert_canonical, dense, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import CsrRows, H5adSource

N_VARS = 23
GENES = [f"gene{i}" for i in range(N_VARS)]
SOME = [GENES[i] for i in (20, 3, 4, 11, 0)]
RNG = np.random.default_rng(0)
MEAN, STD = RNG.normal(1, 2, N_VARS), RNG.uniform(0.1, 3, N_VARS)

ROUNDING: Any = {"rtol": 4e-7, "atol": 4e-7}
"""A few steps, each rounded to float32; the absolute part for what a mean takes away."""

STEPS: dict[str, dict[str, Any]] = {
    "none": {},
    "total": {"normalize_total": 10_000},
    "log1p": {"log1p": True},
    "std": {"scale": STD},
    "mean": {"scale": (MEAN, STD)},
    "all": {"normalize_total": 50.5, "log1p": True, "scale": (MEAN, STD)},
    "sparse": {"normalize_total": 50, "log1p": True, "scale": STD},
}


@pytest.fixture(autouse=True)
def whatever_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 1)


def formula(
    x: npt.NDArray[Any],
    picked: list[int],
    *,
    normalize_total: float | None = None,
    log1p: bool = False,
    scale: Any = None,
) -> npt.NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    if normalize_total is not None:
        totals = values.sum(axis=1, keepdims=True)
        values = np.where(totals == 0, values, values * normalize_total / np.where(totals == 0, 1, totals))
    values = values[:, picked]
    if log1p:
        values = np.log1p(values)
    if scale is not None:
        mean, std = scale if isinstance(scale, tuple) else (0.0, scale)
        values = (values - mean) / std
    return values


def picked_steps(steps: dict[str, Any], picked: list[int]) -> dict[str, Any]:
    """The options with one entry of mean and std for each column picked."""
    scale = steps.get("scale")
    if scale is None:
        return steps
    chosen = tuple(part[picked] for part in scale) if isinstance(scale, tuple) else scale[picked]
    return {**steps, "scale": chosen}


def matrix_as(counts: Any, kind: str) -> Any:
    return {"csr": counts, "csc": counts.tocsc(), "dense": counts.toarray()}[kind]


def orders(n: int) -> list[npt.NDArray[np.int64]]:
    rng = np.random.default_rng(1)
    return [np.array([], np.int64), rng.permutation(n), rng.integers(0, n, 2 * n), np.array([n - 1, 0, 0])]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("chosen", ["all", "some", "mask"])
@pytest.mark.parametrize("x_format", ["dense", "csr"])
@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_equal_to_the_formula(tmp_path: Path, kind: str, x_format: Any, chosen: str, steps: str) -> None:
    if x_format == "csr" and isinstance(STEPS[steps].get("scale"), tuple):
        return  # refused, see below
    counts = random_counts()
    compression = {"csr": "gzip", "csc": None, "dense": None}[kind]
    path = write_h5ad(tmp_path / "a.h5ad", matrix_as(counts, kind), options={"compression": compression})
    mask = np.arange(N_VARS) % 3 == 1
    vars_: Any = {"all": None, "some": SOME, "mask": mask}[chosen]
    picked = {"all": list(range(N_VARS)), "some": [GENES.index(gene) for gene in SOME]}.get(
        chosen, np.flatnonzero(mask).tolist()
    )
    options = picked_steps(STEPS[steps], picked)
    source = H5adSource(path, x_format=x_format, vars=vars_, **options)
    assert source.var_names == [GENES[i] for i in picked]
    expected = formula(counts.toarray(), picked, **options)
    rows = np.arange(0, len(source), 2)
    for each in (source, pickle.loads(pickle.dumps(source)), source.files(0)):
        found = each.read(rows)["X"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(dense(found), expected[rows], **ROUNDING)
        if isinstance(found, CsrRows):
            assert_canonical(found)
    is_straight = []
    for order in orders(len(source)):
        given = source.read_in_order(order)
        is_straight.append(given is not None)
        if given is not None:
            np.testing.assert_allclose(dense(given["X"]), expected[order], **ROUNDING)
    # gzip's chunks are left to HDF5 where a read is less than one
    assert is_straight[1] == (kind == "csr" or (kind, x_format) == ("dense", "dense"))
    for batch in tombola.Loader(source, tombola.BlockShuffling(4), 16, fetch_factor=3):
        x = batch["X"].to_dense() if x_format == "csr" else batch["X"]
        np.testing.assert_allclose(x.numpy(), expected[batch["row"].numpy()], **ROUNDING)


def test_equal_to_scanpy(tmp_path: Path) -> None:
    scanpy = pytest.importorskip("scanpy")
    counts = random_counts(300, 40)
    path = write_h5ad(tmp_path / "a.h5ad", counts)
    data = scanpy.read_h5ad(path)
    scanpy.pp.normalize_total(data, target_sum=1e4)
    scanpy.pp.log1p(data)
    data = data[:, 5:25].copy()
    logs = data.X.toarray()
    mean, std = logs.mean(axis=0, dtype=np.float64), logs.std(axis=0, ddof=1, dtype=np.float64)
    scanpy.pp.scale(data)
    chosen = list(data.var_names)
    for scale, expected in ((None, logs), ((mean, std), data.X)):
        source = H5adSource(path, vars=chosen, normalize_total=1e4, log1p=True, scale=scale)
        found = dense(source.read(np.arange(300))["X"])
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("x_format", ["dense", "csr"])
@pytest.mark.parametrize("kinds", [("csr", "csr"), ("dense", "dense"), ("csr", "dense")])
def test_several_files(tmp_path: Path, kinds: tuple[str, str], x_format: Any) -> None:
    """Totals are those of all columns that a row's file has; columns that it lacks are 0 before scaling."""
    counts = [random_counts(30 + 8 * i, 12 - i, seed=i) for i in range(2)]
    paths = [
        write_h5ad(tmp_path / f"{i}.h5ad", matrix_as(x, kind))
        for i, (x, kind) in enumerate(zip(counts, kinds, strict=True))
    ]
    for vars_, picked in ((None, list(range(12))), (["gene11", "gene3"], [11, 3])):
        steps = picked_steps(STEPS["sparse" if x_format == "csr" else "all"], picked)
        if vars_ is None:
            steps = {**steps, "scale": STD[:12]}
        source = H5adSource(paths, join="outer", vars=vars_, x_format=x_format, **steps)
        whole = np.vstack([counts[0].toarray(), np.pad(counts[1].toarray(), ((0, 0), (0, 1)))])
        expected = formula(whole, picked, **steps)
        np.testing.assert_allclose(dense(source.read(np.arange(len(source)))["X"]), expected, **ROUNDING)
        for order in orders(len(source)):
            given = source.read_in_order(order)
            if given is not None:
                np.testing.assert_allclose(dense(given["X"]), expected[order], **ROUNDING)
        part = source.files(1)
        np.testing.assert_allclose(dense(part.read(np.arange(len(part)))["X"]), expected[30:], **ROUNDING)


@pytest.mark.parametrize("threads", [1, 4, 7])
def test_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    counts = random_counts(1500, 211, density=0.5)
    path = write_h5ad(tmp_path / "a.h5ad", counts)
    picked = list(range(210, -1, -2))
    source = H5adSource(path, vars=[f"gene{i}" for i in picked], normalize_total=100, log1p=True)
    before = tombola.get_num_threads()
    try:
        tombola.set_num_threads(1)
        alone = source.read(np.arange(1500))["X"]
        tombola.set_num_threads(threads)
        found = source.read(np.arange(1500))["X"]
    finally:
        tombola.set_num_threads(before)
    assert isinstance(found, CsrRows)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, part), getattr(alone, part))
    np.testing.assert_allclose(
        found.to_dense(), formula(counts.toarray(), picked, normalize_total=100, log1p=True), **ROUNDING
    )


def test_duplicates_are_added_up_before_logs(tmp_path: Path) -> None:
    x = sp.csr_matrix((np.arange(1, 7, dtype="f4"), [2, 0, 2, 1, 1, 0], [0, 3, 4, 6]), shape=(3, 4))
    path = write_h5ad(tmp_path / "a.h5ad", x.copy())
    with h5py.File(path, "r+") as file:
        file["X/indices"][:] = [2, 0, 2, 1, 1, 0]
    whole = np.array([[2, 0, 4, 0], [0, 4, 0, 0], [6, 5, 0, 0]])
    source = H5adSource(path, x_format="csr", vars=["gene2", "gene1", "gene0"], normalize_total=7, log1p=True)
    expected = formula(whole, [2, 1, 0], normalize_total=7, log1p=True)
    given = source.read_in_order(np.array([2, 0, 0, 1]))
    assert given is not None
    assert isinstance(given["X"], CsrRows)
    assert_canonical(given["X"])
    np.testing.assert_allclose(dense(given["X"]), expected[[2, 0, 0, 1]], **ROUNDING)
    np.testing.assert_allclose(dense(source.read(np.arange(3))["X"]), expected, **ROUNDING)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "float64", "int64"])
@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_columns_of_any_type(tmp_path: Path, kind: str, dtype: str) -> None:
    counts = random_counts(40, N_VARS)
    if dtype == "bool":
        counts = (counts > 50).astype(np.float32)
    stored = counts.astype("f4" if dtype in ("bool", "float16") else dtype)
    path = write_h5ad(tmp_path / "a.h5ad", matrix_as(stored, kind))
    if dtype == "float16":
        rewrite_dataset(path, "X/data" if kind == "csr" else "X", dtype=dtype)
    source = H5adSource(path, vars=SOME, dtype=dtype)
    expected = counts.toarray()[:, [GENES.index(gene) for gene in SOME]]
    rows = np.array([30, 2, 2, 9])
    given = source.read_in_order(rows)
    if given is not None:
        np.testing.assert_array_equal(dense(given["X"]), expected[rows])
    found = source.read(np.arange(40))["X"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(dense(found), expected)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_casts_and_other_filters(tmp_path: Path, kind: str) -> None:
    counts = random_counts(dtype=np.float64)
    cast = write_h5ad(tmp_path / "cast.h5ad", matrix_as(counts, kind))
    other = write_h5ad(tmp_path / "other.h5ad", matrix_as(counts.astype("f4"), kind))
    shape = (50,) if kind == "csr" else (9, 5)
    rewrite_dataset(other, "X/data" if kind == "csr" else "X", chunks=shape, scaleoffset=0, dtype="i4")
    picked = [GENES.index(gene) for gene in SOME]
    steps = picked_steps(STEPS["all"], picked)
    for path in (cast, other):
        source = H5adSource(path, vars=SOME, **steps)
        expected = formula(counts.toarray(), picked, **steps)
        for batch in tombola.Loader(source, tombola.BlockWeightedSampling(block_size=2), 16, fetch_factor=2):
            np.testing.assert_allclose(batch["X"].numpy(), expected[batch["row"].numpy()], **ROUNDING)


@pytest.mark.parametrize("kind", ["csr", "dense"])
def test_half_floats_are_worked_on_in_float32(tmp_path: Path, kind: str) -> None:
    counts = random_counts()
    path = write_h5ad(tmp_path / "a.h5ad", matrix_as(counts, kind))
    for dtype in ("float16", "torch.float16"):
        source = H5adSource(path, dtype=dtype, **STEPS["all"])
        found = source.read(np.arange(len(source)))["X"]
        assert found.dtype == np.float16
        expected = formula(counts.toarray(), list(range(N_VARS)), **STEPS["all"])
        np.testing.assert_allclose(dense(found), expected, rtol=5e-4, atol=1e-6)
        for batch in tombola.Loader(source, tombola.BlockShuffling(3), 16):
            np.testing.assert_array_equal(batch["X"].numpy(), dense(found)[batch["row"].numpy()])
    source = H5adSource(path, dtype="float16", normalize_total=1e8)
    with pytest.raises(
        ValueError, match=r"X has .*, normalize_total=1000000+\.0, which cannot be given as flo"
    ):
        source.read(np.arange(10))


@pytest.mark.parametrize("x_format", ["dense", "csr"])
def test_numbers_that_logs_do_not_like(tmp_path: Path, x_format: Any) -> None:
    x = np.array([[0, -0.5, 3e38, 1e-30], [np.inf, -1, 1, 0], [1, 2, np.nan, 0], [-1, 1, 0, 0]], np.float32)
    path = write_h5ad(tmp_path / "a.h5ad", x)
    found = dense(H5adSource(path, x_format=x_format, log1p=True).read(np.arange(4))["X"])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found, np.log1p(x.astype(np.float64)), rtol=2e-7)
    same = dense(H5adSource(path, x_format=x_format, normalize_total=5).read(np.array([3]))["X"])
    np.testing.assert_array_equal(same, x[3:])  # its total is 0


@pytest.mark.parametrize("wrong", [9, -1])
@pytest.mark.parametrize("options", [{"log1p": True}, {"vars": ["gene8", "gene1"]}])
def test_a_column_out_of_range_names_file_and_row(tmp_path: Path, options: Any, wrong: int) -> None:
    counts = random_counts(40, 9)
    paths = [write_h5ad(tmp_path / f"{name}.h5ad", counts) for name in "ab"]
    row = int(np.flatnonzero(np.diff(counts.indptr))[5])
    with h5py.File(paths[1], "r+") as file:
        file["X/indices"][counts.indptr[row] + 1] = wrong
    match = rf"b\.h5ad: X/indices: columns must be in \[0, 9\), but row {row} has {wrong}"
    source = H5adSource(paths, **options)
    with pytest.raises(ValueError, match=match):
        source.read_in_order(np.arange(80)[::-1].copy())
    with pytest.raises(ValueError, match=match):
        source.read(np.arange(80))


def test_duplicates_are_added_up_as_they_are_stored(tmp_path: Path) -> None:
    """2**24 + 1 + 1 in float64 first, as SciPy does: float32 would lose both ones."""
    x = sp.csr_matrix((np.array([1.0, 2, 3, 4]), [0, 1, 2, 0], [0, 3, 4]), shape=(2, 3))
    path = write_h5ad(tmp_path / "a.h5ad", x)
    with h5py.File(path, "r+") as file:
        file["X/indices"][:] = [2, 2, 2, 0]
        file["X/data"][:] = [2**24, 1, 1, 4]
    source = H5adSource(path, x_format="csr", vars=["gene2", "gene0"], log1p=True)
    expected = np.log1p([[2**24 + 2, 0], [0, 4]]).astype(np.float32)
    np.testing.assert_array_equal(dense(source.read(np.arange(2))["X"]), expected)
    assert source.read_in_order(np.array([1, 0])) is None
