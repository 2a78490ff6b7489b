"""Random h5ad files for the differential test: every encoding, type, chunking and filter, from a seed.

A file is written by anndata, or by h5py as the format says but with what anndata never chooses: other chunks
and filters, fixed-length text, integers of other widths, other byte orders, columns out of order, duplicates,
more values than the row pointers say. What it should hold is known beside it, as anndata refuses some of it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import h5py
import hdf5plugin
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from anndata.io import write_elem

Rng = np.random.Generator

TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
INDEX_TYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
KINDS = ["csr", "csr", "csc", "dense", "dense"]
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip0": {"compression": "gzip", "compression_opts": 0},
    "gzip9 shuffle": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "gzip fletcher32": {"compression": "gzip", "fletcher32": True},
    "gzip shuffle fletcher32": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "lzf shuffle": {"compression": "lzf", "shuffle": True},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "zstd": dict(hdf5plugin.Zstd()),
    "zstd shuffle": {**dict(hdf5plugin.Zstd()), "shuffle": True},
    "lz4": dict(hdf5plugin.LZ4()),
    "bitshuffle": dict(hdf5plugin.Bitshuffle()),
}


@dataclass(slots=True)
class Made:
    """A file, where its matrix is, and what it holds."""

    path: Path
    x: str
    values: npt.NDArray[Any]
    notes: list[str] = field(default_factory=list)


def make_file(path: Path, rng: Rng, n_vars: int | None = None) -> Made:
    """Write a random file."""
    n_obs = int(
        rng.choice(
            [0, 1, 2, int(rng.integers(3, 40)), int(rng.integers(40, 300))], p=[0.03, 0.04, 0.03, 0.5, 0.4]
        )
    )
    if n_vars is None:
        n_vars = int(
            rng.choice([0, 1, int(rng.integers(2, 12)), int(rng.integers(12, 90))], p=[0.02, 0.05, 0.33, 0.6])
        )
    kind = str(rng.choice(KINDS))
    place = str(rng.choice(["X", "X", "X", "layers/counts", "layers/log/x", "raw/X", "obsm/pca"]))
    dtype = np.dtype(str(rng.choice(TYPES)))
    values = random_values(rng, n_obs, n_vars, dtype)
    made = Made(path, place, values, [f"{n_obs} x {n_vars}", kind, place, str(dtype)])
    if dtype != "f2" and place not in ("raw/X", "layers/log/x") and rng.random() < 0.4:
        _by_anndata(made, kind, rng)
    else:
        _by_h5py(made, kind, rng)
    return made


def random_values(rng: Rng, n_obs: int, n_vars: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return values of all sizes, most of them 0, in some files; NaN and infinities among floats."""
    shape = (n_obs, n_vars)
    if dtype.kind == "b":
        values = rng.random(shape) < 0.5
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        top = [3, 100, int(limits.max)][rng.integers(3)]
        low = int(limits.min) if dtype.kind == "i" and rng.random() < 0.3 else 0
        values = rng.integers(low, top, shape, dtype=dtype, endpoint=True)
    else:
        values = (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3, shape)).astype(dtype)
        odd = rng.random(shape) < (0.05 if rng.random() < 0.3 else 0)
        values[odd] = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e-7], dtype=dtype), int(odd.sum()))
    values[rng.random(shape) >= rng.choice([0, 0.1, 0.4, 1])] = 0
    if n_obs and rng.random() < 0.3:
        values[rng.integers(n_obs)] = 0
    return np.asarray(values, dtype=dtype)


def random_obs(rng: Rng, n: int) -> pd.DataFrame:
    """Return some of all kinds of columns."""
    letters = np.array(["b", "", "ä", "a long name " * 3, "1"], dtype=object)
    picked = letters[rng.integers(0, len(letters), n)]
    gaps = rng.random(n) < 0.3
    numbers = rng.integers(-100, 100, n)
    number_type = str(rng.choice(TYPES))
    nothing: Any = None
    nullable: Any = str(rng.choice(["Int8", "Int64"]))
    columns: dict[str, Any] = {
        "category": pd.Categorical(picked),
        "with gaps": pd.Categorical(np.where(gaps, nothing, picked)),
        "nowhere": pd.Categorical([None] * n),
        "numbers": pd.Categorical(numbers % 5),
        "halves": pd.Categorical(numbers % 3 + 0.5),
        "truths": pd.Categorical(numbers % 2 == 0),
        "many": pd.Categorical(np.arange(n) % 200, categories=np.arange(200)),
        "text": picked,
        "number": numbers.astype(number_type) if n else np.zeros(0, number_type),
        "float": np.where(gaps, np.nan, numbers / 3),
        "nullable": pd.array(np.where(gaps, nothing, numbers), dtype=nullable),
        "whole": pd.array(numbers, dtype="Int32"),
        "flag": pd.array(np.where(gaps, nothing, numbers > 0), dtype="boolean"),
        "string": pd.array(np.where(gaps, nothing, picked), dtype="string"),
    }
    chosen = [name for name in columns if rng.random() < 0.4]
    index = pd.Index([f"cell {'ß' if i % 9 == 4 else ''}{i % 200}" for i in range(n)], dtype=object)
    return pd.DataFrame({name: columns[name] for name in chosen}, index=index)


def _names(n_vars: int, rng: Rng) -> pd.Index:
    return pd.Index([f"g{i}" for i in rng.permutation(n_vars + 3)[:n_vars]], dtype=object)


def _by_anndata(made: Made, kind: str, rng: Rng) -> None:
    n_obs, n_vars = made.values.shape
    x: Any = made.values
    if kind != "dense":
        maker = getattr(sp, f"{kind}_{rng.choice(['matrix', 'array'])}")
        x = maker(made.values)
        if rng.random() < 0.5:
            x.indices, x.indptr = x.indices.astype(np.int64), x.indptr.astype(np.int64)
    var = pd.DataFrame(index=_names(n_vars, rng))
    data = anndata.AnnData(x if made.x == "X" else None, obs=random_obs(rng, n_obs), var=var)
    if made.x == "layers/counts":
        data.layers["counts"] = x
    elif made.x == "obsm/pca":
        data.obsm["pca"] = x
    data.strings_to_categoricals = lambda *_: None
    compression = rng.choice(np.array([None, "gzip", "lzf"], dtype=object))
    made.notes.append(f"anndata, {compression}")
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(made.path, compression=compression)


def _by_h5py(made: Made, kind: str, rng: Rng) -> None:
    n_obs, n_vars = made.values.shape
    libver = str(rng.choice(["earliest", "latest"]))
    made.notes += ["h5py", libver]
    with h5py.File(made.path, "w", libver=libver, userblock_size=int(rng.choice([0, 0, 512]))) as file:
        if rng.random() < 0.7:
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        with anndata.settings.override(allow_write_nullable_strings=True):
            write_elem(file, "obs", random_obs(rng, n_obs))
        for name in list(file["obs"]):
            _vary_column(file["obs"], name, rng)
        write_elem(file, "var", pd.DataFrame(index=_names(n_vars, rng)))
        if made.x == "raw/X":
            write_elem(file.require_group("raw"), "var", pd.DataFrame(index=_names(n_vars, rng)))
            file["raw"].attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
        if kind == "dense":
            _store(file, made.x, _in_order(made.values, rng), made, rng)
            file[made.x].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        else:
            _store_sparse(file, made, kind, rng)


def _store_sparse(file: h5py.File, made: Made, kind: str, rng: Rng) -> None:
    n_obs, n_vars = made.values.shape
    table = made.values if kind == "csr" else made.values.T
    major, minor = np.nonzero(table)
    data = table[major, minor]
    if len(data) and rng.random() < 0.2:  # duplicates, of which sums stay exact in any order
        again = rng.integers(0, len(data), 1 + len(data) // 10)
        extra = np.ones(len(again), dtype=data.dtype)
        fits = _fits(data[again])
        again, extra = again[fits], extra[fits]
        again, where = np.unique(again, return_index=True)
        extra = extra[where]
        table = table.copy()
        table[major[again], minor[again]] += extra
        major, minor = np.concatenate([major, major[again]]), np.concatenate([minor, minor[again]])
        data = np.concatenate([data, extra])
        made.values = table if kind == "csr" else np.ascontiguousarray(table.T)
        made.notes.append("duplicates")
    order = np.lexsort((minor, major))
    if rng.random() < 0.25:
        order = np.lexsort((rng.random(len(major)), major))
        made.notes.append("unsorted")
    major, minor, data = major[order], minor[order], data[order]
    indptr = np.searchsorted(major, np.arange(len(table) + 1))
    if rng.random() < 0.1:
        data, minor = np.append(data, data[:3]), np.append(minor, minor[:3])
        made.notes.append("longer than its rows")
    group = file.create_group(made.x)
    group.attrs.update(
        {"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0", "shape": (n_obs, n_vars)}
    )
    for name, part in (("data", data), ("indices", minor), ("indptr", indptr)):
        values = part if name == "data" else part.astype(_index_type(part, rng))
        _store(group, name, _in_order(values, rng), made, rng)


def _fits(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell to which values 1 can be added without rounding and without leaving the type."""
    if values.dtype.kind == "b":
        return np.ones(len(values), dtype=np.bool_)
    if values.dtype.kind in "iu":
        return np.asarray(values < np.iinfo(values.dtype).max)
    return np.asarray(np.isfinite(values))


def _index_type(values: npt.NDArray[Any], rng: Rng) -> str:
    top = int(values.max()) if len(values) else 0
    return str(rng.choice([kind for kind in INDEX_TYPES if np.iinfo(kind).max >= top]))


def _in_order(values: npt.NDArray[Any], rng: Rng) -> npt.NDArray[Any]:
    """Return values in the machine's byte order or the other one."""
    return values.astype(values.dtype.newbyteorder(">")) if rng.random() < 0.1 else values


def _store(group: h5py.Group, name: str, values: npt.NDArray[Any], made: Made, rng: Rng) -> None:
    """Store an array in a layout of any kind."""
    layout = str(rng.choice(["contiguous", "chunked", "growing"], p=[0.2, 0.6, 0.2]))
    if layout == "contiguous" or 0 in values.shape:
        group.create_dataset(name, data=values)
        return
    chunks = tuple(int(rng.integers(1, size + 1)) for size in values.shape)
    if rng.random() < 0.3 and values.ndim == 2:
        chunks = (chunks[0], values.shape[1])
    if np.prod([-(-size // chunk) for size, chunk in zip(values.shape, chunks, strict=True)]) > 2_000:
        chunks = values.shape
    filters = str(rng.choice(list(FILTERS)))
    options = dict(FILTERS[filters])
    if layout == "growing":
        options["maxshape"] = tuple(None if rng.random() < 0.7 else size for size in values.shape)
    made.notes.append(f"{name} {values.dtype.str} {chunks} {filters}{' growing' * (layout == 'growing')}")
    target = group.create_dataset(name, values.shape, values.dtype, chunks=chunks, **options)
    if rng.random() < 0.2 and not values.any():
        return  # chunks that were never written
    half = values.shape[0] // 2
    target[:half] = values[:half]
    if values[half:].any() or rng.random() < 0.5:
        target[half:] = values[half:]


def _vary_column(obs: h5py.Group, name: str, rng: Rng) -> None:
    """Store the parts of a column as other writers would."""
    column = obs[name]
    if isinstance(column, h5py.Group) and "codes" in column and rng.random() < 0.5:
        codes = column["codes"][()]
        _replace(column, "codes", codes.astype(str(rng.choice(["i2", "i4", "i8"]))), rng)
        categories = column["categories"]
        if isinstance(categories, h5py.Dataset) and categories.dtype.kind == "O" and len(categories):
            texts = [text.encode() for text in categories.asstr()[()]]
            length = max(1, *map(len, texts))
            _replace(column, "categories", np.array(texts, h5py.string_dtype("utf-8", length)), rng)
    elif isinstance(column, h5py.Dataset) and column.dtype.kind == "O" and rng.random() < 0.5:
        texts = [text.encode() for text in column.asstr()[()]]
        length = max(1, *map(len, texts)) if len(texts) > 1 else 80
        fixed = h5py.string_dtype("utf-8", length)
        _replace(obs, name, np.array(texts, fixed if rng.random() < 0.4 else h5py.string_dtype()), rng)
    elif isinstance(column, h5py.Dataset) and column.dtype.kind in "iuf" and rng.random() < 0.3:
        _replace(obs, name, _in_order(column[()], rng), rng)


def _replace(group: h5py.Group, name: str, values: npt.NDArray[Any], rng: Rng) -> None:
    attributes = dict(group[name].attrs)
    del group[name]
    options: dict[str, Any] = {}
    if values.size and rng.random() < 0.5:
        options = {"chunks": (int(rng.integers(1, len(values) + 1)),), "compression": "gzip"}
    group.create_dataset(name, data=values, **options).attrs.update(attributes)
