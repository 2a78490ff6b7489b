"""Random files, read by `H5adSource` and by anndata: every row must be the same, bit for bit.

`python -m tests.sources.h5ad.differential SEED...` compares the files of these seeds and says what they are.
"""

import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata
import hdf5plugin  # noqa: F401  (anndata needs its filters)
import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.sources.h5ad.h5ad_files import assert_canonical, dense
from tests.sources.h5ad.random_files import TYPES, Made, Rng, make_file
from tombola.sources import CsrRows, H5adSource
from tombola.sources.h5ad.errors import BadFileError

FLOATS = ["float16", "float32", "float64"]


def compare_seeds(seeds: Iterable[int], folder: Path | None = None) -> Counter[str]:
    """Compare the files of these seeds; count the cases, and what was in them.

    Raises
    ------
    AssertionError
        If one differs; the message has the command that compares it alone.
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        for seed in seeds:
            made: list[Made] = []
            try:
                counts.update(compare(seed, Path(own), made))
            except Exception as error:
                notes = "; ".join(", ".join([one.path.name, *one.notes]) for one in made)
                msg = (
                    f"seed {seed} ({notes}): {type(error).__name__}: {error}\n"
                    f"again: python -m tests.sources.h5ad.differential {seed}"
                )
                raise AssertionError(msg) from error
    return counts


def compare(seed: int, folder: Path, made: list[Made]) -> list[str]:
    """Write the files of one seed and compare what is read of them; return what was compared."""
    rng = np.random.default_rng([seed, 13])
    counted = ["cases"]
    for number in range(1 if rng.random() < 0.8 else 2):
        path = folder / f"{seed}-{number}.h5ad"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.append(make_file(path, rng))
            data = _read_anndata(path)
        counted += compare_matrix(made[-1], data, rng)
        if data is not None:
            counted += compare_obs(made[-1], data, rng)
    if len(made) == 2 and made[0].x == made[1].x:
        counted += compare_both(made, rng)
    for one in made:
        one.path.unlink()
    return counted


def _read_anndata(path: Path) -> anndata.AnnData | None:
    """Read by anndata, which refuses other byte orders, float16 and uint64 indices in sparse matrices."""
    try:
        return anndata.read_h5ad(path)
    except Exception:
        return None


def _matrix(data: anndata.AnnData, x: str) -> npt.NDArray[Any] | None:
    """Return what anndata gives; None where SciPy refuses it, as for uint64 indices."""
    head, _, name = x.partition("/")
    found = data.raw.X if head == "raw" else data.X if head == "X" else getattr(data, head)[name]
    try:
        return dense(found)
    except ValueError:
        return None


def compare_matrix(made: Made, data: anndata.AnnData | None, rng: Rng) -> list[str]:
    """Compare windows of rows, in some type and format, with anndata's and with what was written."""
    expected = made.values
    theirs = None if data is None or made.x == "layers/log/x" else _matrix(data, made.x)
    if theirs is not None:
        is_float = expected.dtype.kind == "f"
        assert np.array_equal(theirs, expected, equal_nan=is_float), "anndata reads what was not written"
        expected = theirs
    dtype = np.dtype(str(rng.choice([*FLOATS, *FLOATS, made.values.dtype.str, *TYPES])))
    x_format = "csr" if rng.random() < 0.5 else "dense"
    source = H5adSource(made.path, x=made.x, dtype=dtype, x_format=x_format)  # type: ignore[arg-type]
    made.notes.append(f"asked for {dtype}, {x_format}")
    assert (len(source), source.n_vars) == expected.shape
    if data is not None and made.x == "X":
        assert source.var_names == list(data.var_names)
    for rows in _windows(len(source), rng):
        with np.errstate(all="ignore"):
            wanted = expected[rows].astype(dtype)
        if _is_changed(expected[rows], wanted):
            try:
                source.read(rows)
            except BadFileError:
                continue
            msg = f"values become others as {dtype}, and nothing is said"
            raise AssertionError(msg)
        part = source.read(rows)["X"]
        if isinstance(part, CsrRows):
            assert_canonical(part)
        found = dense(part)
        assert found.dtype == dtype
        if dtype.kind == "f":  # no -0.0, which SciPy has only where it is alone
            found, wanted = found + dtype.type(0), wanted + dtype.type(0)
        assert found.tobytes() == wanted.tobytes() or _same(found, wanted), f"rows {rows.tolist()} differ"
    return ["matrices" if theirs is not None else "matrices that anndata refuses"]


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """NaN of any payload are the same; a cast may keep it or not."""
    return a.dtype.kind == "f" and np.array_equal(a, b, equal_nan=True)


def _is_changed(values: npt.NDArray[Any], cast: npt.NDArray[Any]) -> bool:
    """Tell whether a cast makes another value of one, rounding of floats aside."""
    if cast.dtype.kind == "f":
        return bool((np.isinf(cast) & np.isfinite(values.astype(np.float64))).any())
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):
            limits = (
                (0, 1) if cast.dtype.kind == "b" else (np.iinfo(cast.dtype).min, np.iinfo(cast.dtype).max)
            )
            exact = [
                float(limits[0]) <= v < float(limits[1]) + 1 and v == np.floor(v) for v in values.ravel()
            ]
        return not all(exact)
    return any(int(a) != int(b) for a, b in zip(values.ravel().tolist(), cast.ravel().tolist(), strict=True))


def _windows(n: int, rng: Rng) -> list[npt.NDArray[np.int64]]:
    """Return all rows, a few, runs of some, and none."""
    every = np.arange(n)
    runs = every[(every // 5) % 3 == rng.integers(3)]
    return [every, every[rng.random(n) < rng.random()], runs, every[:0]]


def compare_obs(made: Made, data: anndata.AnnData, rng: Rng) -> list[str]:
    """Compare every column of obs, as a whole."""
    source = H5adSource(made.path, x=made.x)
    assert list(source.obs) == list(data.obs.columns)
    for name, theirs in data.obs.items():
        ours = source.obs[name]
        found = [None if pd.isna(value) else value for value in ours.tolist()]
        wanted = [None if pd.isna(value) else value for value in theirs.tolist()]
        assert found == wanted, f"obs column {name!r}: {found} instead of {wanted}"
        if hasattr(theirs, "cat"):
            assert source.categories[name].tolist() == theirs.cat.categories.tolist()
        elif isinstance(theirs.dtype, np.dtype) and theirs.dtype.kind in "biuf":
            assert ours.dtype == theirs.dtype.newbyteorder("=")
    texts = [name for name in source.categories if source.categories[name].dtype.kind == "U"]
    compare_texts(made, data, texts, rng)
    return ["columns of obs"] * len(data.obs.columns) + ["columns of text"] * len(texts)


def compare_texts(made: Made, data: anndata.AnnData, names: list[str], rng: Rng) -> None:
    """Compare windows of row names and of columns as text, read from the file or held in memory."""
    text_in = "file" if rng.random() < 0.7 else "memory"
    source = H5adSource(made.path, x=made.x, text=names, obs_names=True, text_in=text_in)  # type: ignore[arg-type]
    made.notes.append(f"text in {text_in}")
    frame = data.obs.assign(obs_names=data.obs_names)
    for rows in _windows(len(source), rng):
        batch = source.read(rows)
        for name in [*names, "obs_names"]:
            wanted = [None if pd.isna(value) else value for value in frame[name].iloc[rows]]
            found = np.asarray(batch[name]).tolist()
            assert found == wanted, f"text of {name!r}: {found} instead of {wanted}"
    assert source.obs_names.count_duplicates() == len(data.obs_names) - len(set(data.obs_names))


def compare_both(made: list[Made], rng: Rng) -> list[str]:
    """Compare two files as one, with the columns that both have, with each alone."""
    x, paths = made[0].x, [one.path for one in made]
    if x.startswith("obsm"):
        return []
    alone = [H5adSource(path, x=x, dtype="float64") for path in paths]
    shared = [name for name in alone[0].var_names if name in set(alone[1].var_names)]
    if not shared:
        return []
    both = H5adSource(paths, x=x, dtype="float64", join="inner")
    assert both.var_names == shared
    for rows in _windows(len(both), rng):
        found = dense(both.read(rows)["X"])
        parts = []
        for source, one in zip(alone, made, strict=True):
            columns = [source.var_names.index(name) for name in shared]
            parts.append(one.values[:, columns].astype(np.float64))
        wanted = np.concatenate(parts)[rows]
        assert np.array_equal(found, wanted, equal_nan=True)
    return ["pairs of files"]


def main(seeds: list[int]) -> None:
    """Compare these seeds, one after the other; a warning is an error, as it is in the tests."""
    warnings.simplefilter("error")
    for seed in seeds:
        counts = compare_seeds([seed])
        print(f"seed {seed}: {dict(counts)}")


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]])
