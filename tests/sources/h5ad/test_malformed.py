"""Files whose structure is odd: one error that names file and dataset, and no other column suffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tombola.sources import H5adSource
from tombola.sources.h5ad.errors import H5adError

TEXT = h5py.string_dtype("utf-8")
BAD_TEXT = np.array([b"a", b"\xff", b"\xfe"], dtype=object)


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    obs = pd.DataFrame(
        {
            "n": [1, 2, 3],
            "t": ["a", "b", "c"],
            "c": pd.Categorical(["u", "v", "u"]),
            "k": pd.array([1, 2, 3], dtype="Int64"),
        },
        index=["c0", "c1", "c2"],
    )
    data = anndata.AnnData(np.ones((3, 2), np.float32), obs=obs)
    data.strings_to_categoricals = lambda *_: None
    data.write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def replace(name: str, data: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, data=data, **options)
        made.attrs.update(attributes)

    return change


def of_lists(file: h5py.File) -> None:
    replace("obs/n", None, shape=(3,), dtype=h5py.vlen_dtype("i4"))(file)
    file["obs/n"][0] = [1, 2]


def of_references(file: h5py.File) -> None:
    replace("obs/n", np.array([file["X"].ref] * 3, dtype=object), dtype=h5py.ref_dtype)(file)


def a_type(file: h5py.File) -> None:
    del file["obs/n"]
    file["obs/n"] = np.dtype("i4")


def endless(name: str) -> Callable[[h5py.File], None]:
    return replace(name, None, shape=(2**44,), dtype="f8", chunks=(1000,))


COLUMNS: dict[str, tuple[str, Callable[[h5py.File], None], str]] = {
    "text that is not UTF-8": (
        "t",
        replace("obs/t", BAD_TEXT, dtype=TEXT),
        r"UTF-8 text, but entry 1 is b'\\xff'",
    ),
    "categories that are not UTF-8": (
        "c",
        replace("obs/c/categories", BAD_TEXT[1:], dtype=TEXT),
        r"categories must be UTF-8 text, but entry 0 is b'\\xff'",
    ),
    "repeated categories": (
        "c",
        replace("obs/c/categories", np.array(["u", "u"], dtype=object), dtype=TEXT),
        "categories must be distinct, but category 1, 'u', came before",
    ),
    "categories with two axes": (
        "c",
        replace("obs/c/categories", np.array([[1, 2], [3, 4]])),
        r"categories must be a list, but have shape \(2, 2\)",
    ),
    "a category that is missing": (
        "c",
        replace("obs/c/categories", np.array([1, np.nan])),
        "a category must not be missing, but category 1 is",
    ),
    "complex categories": (
        "c",
        replace("obs/c/categories", np.array([1j, 2])),
        "categories must be text or numbers, but have dtype complex128",
    ),
    "lists": ("n", of_lists, "must hold text or numbers, but entry 0 is of type ndarray"),
    "references": ("n", of_references, "must hold text or numbers, but entry 0 is of type Reference"),
    "a type": ("n", a_type, "must be a dataset or a group, but is a Datatype"),
    "endless": (
        "n",
        endless("obs/n"),
        r"must have shape \(3,\) as obs has 3 rows, but has shape \(17592186044416,\)",
    ),
    "endless codes": ("c", endless("obs/c/codes"), r"codes must have shape \(3,\)"),
    "a mask of floats": (
        "k",
        replace("obs/k/mask", np.array([0, np.nan, 0.5])),
        "their mask has shape .* and dtype float64; it must have their shape, and hold booleans",
    ),
}


@pytest.mark.parametrize(("name", "change", "text"), COLUMNS.values(), ids=COLUMNS.keys())
def test_odd_columns(path: Path, name: str, change: Callable[[h5py.File], None], text: str) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(H5adError, match=rf"^{path}: obs column '{name}'.*{text}"):
        H5adSource(path, obs=name)
    source = H5adSource(path)
    described = source.describe()["obs"]
    assert described[name]["kind"] == "unreadable"
    assert str(path) in described[name]["error"]
    others = {"n", "t", "c", "k"} - {name}
    assert all(described[other]["missing"] == 0 for other in others)
    assert set(source.categories) == {"t", "c"} - {name}
    for other in others:
        assert len(source.obs[other]) == 3


STRUCTURE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "var names that are not UTF-8": (
        replace("var/_index", BAD_TEXT[1:], dtype=TEXT),
        r"var/_index must be UTF-8 text, but entry 0 is b'\\xff'",
    ),
    "an index that is one text": (
        replace("obs/_index", "c0"),
        r"obs/_index must be a list of row names, but has shape \(\)",
    ),
    "an index with two axes": (
        replace("obs/_index", np.ones((3, 2))),
        r"obs/_index must be .*, but has shape \(3, 2\)",
    ),
}


@pytest.mark.parametrize(("change", "text"), STRUCTURE.values(), ids=STRUCTURE.keys())
def test_odd_structure(path: Path, change: Callable[[h5py.File], None], text: str) -> None:
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(H5adError, match=rf"^{path}: {text}"):
        H5adSource(path)


def test_an_index_that_is_a_type(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["obs/_index"]
        file["obs/_index"] = np.dtype("i4")
    with pytest.raises(H5adError, match=r"obs/_index must be a list of row names, but is a Datatype"):
        H5adSource(path)
