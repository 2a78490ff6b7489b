"""Files whose structure is odd: one error that names file and dataset, and no other column suffers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.io import write_elem

from tombola.sources import H5adSource
from tombola.sources.h5ad.errors import H5adError

TEXT = h5py.string_dtype("utf-8")
LISTS = np.array([np.arange(2, dtype="i4"), None], dtype=object)[:1]
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


def dangling(file: h5py.File) -> None:
    del file["obs/n"]
    file["obs/n"] = h5py.SoftLink("/nowhere")


def nullable_categories(file: h5py.File) -> None:
    del file["obs/c/categories"]
    group = file.create_group("obs/c/categories")
    group.attrs["encoding-type"] = "nullable-string-array"
    group["values"] = ["u", "v"]
    group["mask"] = [False, True]


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
    "lists": ("n", of_lists, "must hold text or numbers, but holds lists of variable length"),
    "references": ("n", of_references, "must hold text or numbers, but entry 0 is of type Reference"),
    "a type": ("n", a_type, "must be a dataset or a group, but is a Datatype"),
    "endless": (
        "n",
        endless("obs/n"),
        r"must have shape \(3,\) as obs has 3 rows, but has shape \(17592186044416,\)",
    ),
    "endless codes": ("c", endless("obs/c/codes"), r"codes must have shape \(3,\)"),
    "an endless mask": (
        "k",
        replace("obs/k/mask", None, shape=(2**44,), dtype="?", chunks=(1000,)),
        r"mask has shape \(17592186044416,\)",
    ),
    "endless categories": (
        "c",
        endless("obs/c/categories"),
        r"categories claims 140,737,488,355,328 bytes in shape \(17592186044416,\), but has 0 in the file",
    ),
    "a mask of numbers": (
        "k",
        replace("obs/k/mask", np.array([0, 2, 0], dtype=np.int8)),
        "their mask must hold booleans, but row 1 has 2",
    ),
    "categories that miss a value": (
        "c",
        nullable_categories,
        "categories must name every row, but row 1 has",
    ),
    "a link to nowhere": ("n", dangling, r"is a link to '/nowhere', where nothing is"),
    "a scalar": ("n", replace("obs/n", 5), r"must have shape \(3,\) as obs has 3 rows, but has shape \(\)"),
    "nothing": ("n", replace("obs/n", h5py.Empty("i4")), "but has shape None"),
    "categories of nothing": (
        "c",
        replace("obs/c/categories", h5py.Empty("f8")),
        "categories must hold values, but is a dataset without any",
    ),
    "records": ("n", replace("obs/n", np.zeros(3, [("a", "f4")])), "must hold numbers, text or categories"),
    "longer floats than others have": (
        "n",
        replace("obs/n", np.array([1, np.longdouble(1) + np.finfo(np.longdouble).eps, 2])),
        "is given as float64, which cannot hold 1.0 of row 1 exactly",
    ),
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


def attribute(element: str, name: str, value: Any, **options: Any) -> Callable[[h5py.File], None]:
    return lambda file: file[element].attrs.create(name, value, **options)


def link(name: str, to: Any = None) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = h5py.SoftLink("/nowhere") if to is None else to

    return change


def kind_of_var(file: h5py.File) -> None:
    del file["var"]
    file["var"] = np.dtype("i4")


def latin_name(file: h5py.File) -> None:
    h5py.h5o.link(file["obs/n"].id, file["obs"].id, b"n\xe9")
    del file["obs"].attrs["column-order"]


def references_as_x(file: h5py.File) -> None:
    replace("X", np.array([[file["obs"].ref] * 2] * 3, dtype=object), dtype=h5py.ref_dtype)(file)


STRUCTURE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "var names that are not UTF-8": (
        replace("var/_index", BAD_TEXT[1:], dtype=TEXT),
        r"var/_index must be UTF-8 text, but entry 0 is b'\\xff'",
    ),
    "an index that is one text": (
        replace("obs/_index", "c0"),
        r"obs/_index must be a list of row names, but has shape \(\)",
    ),
    "var that is a type": (kind_of_var, "var must be a data frame, but is a Datatype"),
    "names of columns that are numbers": (
        attribute("obs", "column-order", np.arange(2)),
        "obs, column-order must name columns, but has dtype int64",
    ),
    "names of columns that are not UTF-8": (
        attribute("obs", "column-order", BAD_TEXT, dtype=TEXT),
        r"obs, column-order must be UTF-8 text, but entry 1 is b'\\xff'",
    ),
    "an index whose name is not UTF-8": (
        attribute("obs", "_index", b"\xe9", dtype=TEXT),
        r"attribute '_index' of obs must be UTF-8 text, but entry 0 is b'\\xe9'",
    ),
    "a column whose name is not UTF-8": (
        latin_name,
        r"obs, names of columns must be UTF-8 text, .* b'n\\xe9'",
    ),
    "X that is a link to nowhere": (link("X"), r"X is a link to '/nowhere', where nothing is"),
    "obs that is a link to nowhere": (link("obs"), r"obs is a link to '/nowhere', where nothing is"),
    "var that is a link to another file": (
        link("var", h5py.ExternalLink("none.h5", "/var")),
        r"var is a link to 'none.h5 /var', where nothing is",
    ),
    "an index that is a link to nowhere": (
        link("var/_index"),
        r"var: expected a data frame with an index|var/_ind",
    ),
    "X of nothing": (replace("X", h5py.Empty("f4")), r"no 'X'; the file has none$"),
    "X of references": (references_as_x, "X must be a matrix of numbers, but has shape .* and dtype object"),
    "an encoding of lists": (
        attribute("X", "encoding-type", LISTS, dtype=h5py.vlen_dtype("i4")),
        r"attribute 'encoding-type' of X must hold text or numbers, but holds lists of variable length",
    ),
    "an index of nothing": (replace("var/_index", h5py.Empty("S1")), "var/_index must hold values, but is a"),
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


def test_a_dangling_layer_spoils_nothing(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["layers/gone"] = h5py.SoftLink("/nowhere")
        h5py.h5o.link(file["X"].id, file["layers"].id, b"l\xe9")
        file["layers/time"] = h5py.Empty("f4")
        kind = h5py.h5t.UNIX_D32LE
        h5py.h5d.create(file["layers"].id, b"odd", kind, h5py.h5s.create_simple((3, 2)))
    assert H5adSource(path).n_vars == 2
    with pytest.raises(H5adError, match=r"no 'layers/none'; the file has X$"):
        H5adSource(path, x="layers/none")
    with pytest.raises(H5adError, match="layers/gone is a link to '/nowhere', where nothing is"):
        H5adSource(path, x="layers/gone")


def test_sizes_that_lie(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["X"]
        write_elem(file, "X", sp.csr_matrix(np.eye(3, 2, dtype=np.float32)))
        file["X"].attrs["shape"] = [2**44, 2]
        replace("X/indptr", None, shape=(2**44 + 1,), dtype="i8", chunks=(1000,))(file)
    with pytest.raises(H5adError, match=r"X/indptr claims .* bytes in shape .*, but has 0 in the file"):
        H5adSource(path)
