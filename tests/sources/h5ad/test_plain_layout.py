"""What is found in a file without HDF5 is what is found through it; else nothing is, and HDF5 reads it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import N_VARS, dense, random_counts, rewrite_dataset, write_h5ad
from tombola import _core
from tombola.sources import H5adSource
from tombola.sources.h5ad import layout, plain_layout
from tombola.sources.h5ad.files import OpenFiles
from tombola.sources.h5ad.layout import FileLayout, FoundColumns, Opening, read_layout
from tombola.sources.h5ad.obs import ObsColumn
from tombola.sources.h5ad.plain_layout import NotPlainError
from tombola.sources.h5ad.stored_codes import StoredCodes

N = 40
COLUMNS = ["kind", "depth", "count", "flag", "note"]
PLAIN = {"kind", "depth", "count", "note"}
"""Columns that are read without HDF5: booleans are not."""
Found = tuple[FileLayout, list[str], FoundColumns]


def write(path: Path, seed: int = 0, x: Any = None, names: list[str] | None = None) -> Path:
    rng = np.random.default_rng(seed)
    counts = random_counts(N, N_VARS, seed=seed) if x is None else x
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(rng.integers(-1, 3, N), pd.Index(["a", "bb", "ü"])),
            "depth": rng.random(N).astype(np.float32),
            "count": rng.integers(0, 9, N),
            "flag": rng.random(N) < 0.5,
            "note": [f"note {i % 5}" for i in range(N)],
        },
        index=[f"cell {seed}-{i}" for i in range(N)],
    )
    var = pd.DataFrame(index=names or [f"gene {i}" for i in range(N_VARS)])
    made = anndata.AnnData(counts, obs, var, layers={"as dense": counts.toarray()})
    made.raw = made
    made.write_h5ad(path)
    return path


@contextmanager
def through_hdf5(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise NotPlainError

    with monkeypatch.context() as patch:
        patch.setattr(layout, "plain_contents", refuse)
        yield


def find_plain(path: Path, opening: Opening, x: str = "X") -> Found:
    return layout._of_plain(path, plain_layout.plain_contents(path, x, OpenFiles(), opening))


def described(found: FileLayout) -> dict[str, Any]:
    matrix = {key: value for key, value in vars(found.matrix).items() if key not in ("_files", "_pointers")}
    pointers = getattr(found.matrix, "_pointers", None)
    about = {name: getattr(found, name) for name in ("path", "root", "n_obs", "obs_columns", "written_by")}
    kind = type(found.matrix).__name__
    return {**about, **matrix, "kind": kind, "pointers": pointers and pointers.unpack().tolist()}


def check_same(one: Found, other: Found) -> None:
    assert described(one[0]) == described(other[0])
    assert one[1] == other[1]
    for name, column in one[2].items():
        expected = other[2][name]
        assert isinstance(column, ObsColumn)
        assert isinstance(expected, ObsColumn)
        assert column.values.dtype == expected.values.dtype
        np.testing.assert_array_equal(column.values, expected.values)
        assert (column.categories is None) == (expected.categories is None)
        if column.categories is not None:
            np.testing.assert_array_equal(column.categories, expected.categories)


@pytest.mark.parametrize("x", ["X", "raw/X", "layers/as dense"])
def test_the_same_as_through_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, x: str) -> None:
    paths = [write(tmp_path / f"{seed}.h5ad", seed) for seed in (1, 2, 11)]
    plain, other = Opening(COLUMNS), Opening(COLUMNS)
    for path in paths:
        found = find_plain(path, plain, x)
        with through_hdf5(monkeypatch):
            check_same(found, read_layout(path, x, OpenFiles(), other))
        assert set(found[2]) == PLAIN
    source = H5adSource(paths, x=x, obs=COLUMNS)
    with through_hdf5(monkeypatch):
        expected = H5adSource(paths, x=x, obs=COLUMNS)
    rows = np.arange(len(source))
    asked = expected.read(rows)
    for name, column in source.read(rows).items():
        np.testing.assert_array_equal(dense(column), dense(asked[name]))


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (7,)},
        {"chunks": (60,)},
        {"chunks": (7,), "compression": "gzip"},
        {"chunks": (1,), "compression": "gzip", "shuffle": True},
    ],
)
def test_lists_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    paths = [write(tmp_path / f"{seed}.h5ad", seed) for seed in (1, 2)]
    for path in paths:
        for name in ("X/indptr", "obs/kind/codes", "obs/depth"):
            rewrite_dataset(path, name, maxshape=(None,), **options)
        for name in ("var/_index", "obs/kind/categories"):
            rewrite_dataset(path, name, maxshape=(None,), **{**options, "shuffle": False})
    plain, other = Opening(COLUMNS), Opening(COLUMNS)
    found = [find_plain(path, plain) for path in paths]
    assert found[0][1] is found[1][1]
    assert set(found[1][2]) == PLAIN
    with through_hdf5(monkeypatch):
        for path, one in zip(paths, found, strict=True):
            check_same(one, read_layout(path, "X", OpenFiles(), other))


def with_group(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.create_group(name)

    return change


def with_attribute(where: str, name: str, value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file[where].attrs[name] = value

    return change


def as_newest(path: Path) -> None:
    old = path.with_suffix(".old")
    path.rename(old)
    with h5py.File(old, "r") as source, h5py.File(path, "w", libver="latest") as target:
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)


def with_user_block(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(bytes(512) + content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def linked(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("X/data", "elsewhere")
        file["X/data"] = h5py.SoftLink("/elsewhere")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "change",
    [
        with_group("mod"),
        with_attribute("X", "encoding-type", "csc_matrix"),
        with_attribute("X", "shape", [N, N_VARS + 1]),
        with_attribute("X", "shape", [N + 1, N_VARS]),
        with_attribute("X", "shape", [-1, N_VARS]),
        with_attribute("X", "encoding-type", np.bytes_("csr_matrix")),
        with_attribute("obs", "column-order", [1, 2]),
        as_newest,
        with_user_block,
        cut,
        linked,
        empty,
        Path.unlink,
        lambda path: rewrite_dataset(path, "X/indptr", compression="lzf"),
        lambda path: rewrite_dataset(path, "X/indptr", compression="gzip", fletcher32=True),
        lambda path: rewrite_dataset(path, "X/indptr", dtype=">i4"),
        lambda path: rewrite_dataset(path, "X/indptr", dtype="f4"),
    ],
)
def test_nothing_is_found(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = write(tmp_path / "a.h5ad")
    find_plain(path, Opening())
    change(path)
    with pytest.raises(NotPlainError):
        find_plain(path, Opening())


def test_a_file_that_is_written_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    with h5py.File(path, "r+", locking=False), pytest.raises(NotPlainError):
        find_plain(path, Opening())
    with h5py.File(path, "r"):
        find_plain(path, Opening())
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(NotPlainError):
            find_plain(path, Opening())


def rename_gene(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["var/_index"][5] = "gene X"


@pytest.mark.parametrize("seeds", [(1, 2), (1, 1234)], ids=["alike", "other texts are longer"])
def test_names_that_agree_are_one_list(tmp_path: Path, seeds: tuple[int, int]) -> None:
    paths = [write(tmp_path / f"{seed}.h5ad", seed) for seed in seeds]
    opening = Opening()
    first, second = (find_plain(path, opening)[1] for path in paths)
    assert first is second
    assert first == [f"gene {i}" for i in range(N_VARS)]
    rename_gene(paths[1])
    other = find_plain(paths[1], opening)[1]
    assert other == [*first[:5], "gene X", *first[6:]]
    assert find_plain(paths[0], opening)[1] == first


def names_before(path: Path, before: Path) -> tuple[bool, list[str]]:
    """Tell whether a file has the names of another in their places, and which it has."""
    opening = Opening()
    names = find_plain(before, opening)[1]
    opening.var_names._stored = None  # so that only what is held makes them one list
    opening.var_names._value = None
    return find_plain(path, opening)[1] is names, find_plain(path, Opening())[1]


def test_every_changed_byte_of_names_is_noticed(tmp_path: Path) -> None:
    """Names are taken for those of the file before where they are the same, whatever byte is changed."""
    whole = write(tmp_path / "whole.h5ad")
    content = whole.read_bytes()
    with h5py.File(whole, "r") as file:
        at = file["var/_index"].id.get_offset()
        names = file["var/_index"].asstr()[()].tolist()
    changed = tmp_path / "changed.h5ad"
    places = [*range(at, at + 16 * N_VARS, 5)]
    for name in names[::4]:
        start = content.find(name.encode())
        assert start > 0
        places += [start - 16, start - 8, start, start + len(name) - 1]
    for place in places:
        changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            is_in, found = names_before(changed, whole)
        except NotPlainError:
            continue
        assert is_in == (found == names), place
    changed.write_bytes(content)
    assert names_before(changed, whole) == (True, names)


def test_codes_of_many_rows_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "FEW_ROWS", N - 1)
    path = write(tmp_path / "a.h5ad")
    found = find_plain(path, Opening(COLUMNS))[2]
    assert set(found) == {"kind", "note"}
    codes = found["kind"]
    assert isinstance(codes, StoredCodes)
    with h5py.File(path, "r") as file:
        assert codes.address == file["obs/kind/codes"].id.get_offset()
    assert codes.dtype == np.int8
    assert codes.categories.tolist() == ["a", "bb", "ü"]
    rewrite_dataset(path, "obs/kind/codes", compression="gzip")
    assert set(find_plain(path, Opening(COLUMNS))[2]) == {"note"}


MADE = [("a", 1, None), ("b", 2, [f"other {i}" for i in range(N_VARS)]), ("c", 1234, None), ("x", 3, None)]


def test_files_are_looked_into_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file has what it has, whatever those before it and beside it hold."""
    made = {kind: write(tmp_path / kind, seed, names=names) for kind, seed, names in MADE}
    as_newest(made["x"])
    paths = []
    for i, kind in enumerate("aabaaaaaaaaaaaaaaacacxaabbaabcbbbbbbbbaaaaab"):
        paths.append(tmp_path / f"{i}.h5ad")
        paths[-1].hardlink_to(made[kind])
    looked: list[int] = []
    look_into = _core.look_into

    def noting(together: list[bytes], **options: Any) -> Any:
        looked.append(len(together))
        return look_into(together, **options)

    monkeypatch.setattr(_core, "look_into", noting)
    opening = Opening(COLUMNS, paths)
    found = [read_layout(path, "X", OpenFiles(), opening) for path in paths]
    assert sum(looked) == len(paths)
    assert looked[:3] == [1, 1, 2]
    assert max(looked) == 8
    alone = [read_layout(path, "X", OpenFiles(), Opening(COLUMNS)) for path in paths]
    for one, expected in zip(found, alone, strict=True):
        check_same(one, expected)


def test_a_file_that_is_asked_for_out_of_turn(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.h5ad", seed) for seed in range(5)]
    opening = Opening(COLUMNS, paths)
    for number in (0, 1, 2, 0, 4, 3, 2):
        check_same(find_plain(paths[number], opening), find_plain(paths[number], Opening(COLUMNS)))
    with pytest.raises(NotPlainError):
        find_plain(paths[0], opening, "layers/none")


def test_damage_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    """Whatever is changed, there is no other error."""
    content = write_h5ad(tmp_path / "whole.h5ad", random_counts(5, 3)).read_bytes()
    path = tmp_path / "damaged.h5ad"
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        place, length = int(rng.integers(len(content))), int(rng.integers(1, 16))
        damaged[place : place + length] = bytes(length) if rng.random() < 0.5 else rng.bytes(length)
        path.write_bytes(damaged[: len(content)])
        try:
            find_plain(path, Opening(["kind", "depth"]))
        except NotPlainError:
            refused += 1
    assert 20 < refused < 200
