"""Row names and columns of text, in all the ways in which they are stored, with rows and as a whole."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from tests.sources.h5ad.h5ad_files import N_OBS, make_anndata, random_counts, read_anndata
from tombola.sources import H5adSource
from tombola.sources.h5ad import text_parts
from tombola.sources.h5ad.heap import heap_texts

RNG = np.random.default_rng(0)
TEXTS = [["", "ä λ", "a name " * 9, f"AAAC{i}-1", f"TTTG{i:09d}"][i % 5] for i in range(N_OBS)]
NAMES = [f"cell{'ß' * (i % 3)}{i}" for i in range(N_OBS)]
ROWS = np.array([0, 1, 2, 17, 18, 19, 77, 155, 156])
MIXED = RNG.integers(0, N_OBS, 300)
Text = h5py.string_dtype()


@pytest.fixture(autouse=True)
def whatever_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tombola.sources.h5ad.rows_of_files.MOST_REPEATED", 1)
    monkeypatch.setattr(text_parts, "HELD_ROWS", 50)


def write(path: Path, texts: Any = None, names: list[str] | None = None, **options: Any) -> Path:
    """Write a file with a column "note" of free text."""
    data = make_anndata(random_counts(len(names or NAMES)))
    data.obs.index = pd.Index(names or NAMES)
    data.obs["note"] = TEXTS if texts is None else texts
    data.strings_to_categoricals = lambda *_: None  # anndata would turn text into categories
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(path, **options)
    return path


def rewrite(path: Path, values: Any, **options: Any) -> None:
    """Store names and notes in another way."""
    with h5py.File(path, "r+") as file:
        for name in ("_index", "note"):
            stored = file["obs"][name].asstr()[()]
            attributes = dict(file["obs"][name].attrs)
            del file["obs"][name]
            new = file["obs"].create_dataset(name, data=values(stored), **options)
            new.attrs.update(attributes)


def as_objects(texts: Any) -> Any:
    return np.array(texts, dtype=Text)


def fixed(texts: Any) -> Any:
    stored = [text.encode() for text in texts]
    return np.array(stored, dtype=h5py.string_dtype("utf-8", max(map(len, stored))))


def by_anndata(path: Path, **options: Any) -> None:
    write(path, **options)


def nullable(path: Path) -> None:
    write(path, pd.array(TEXTS, dtype="string"))
    data = read_anndata(path)
    data.obs.index = data.obs.index.astype("string")
    data.strings_to_categoricals = lambda *_: None
    with anndata.settings.override(allow_write_nullable_strings=True):
        data.write_h5ad(path)


def categories(path: Path) -> None:
    write(path, pd.Categorical(TEXTS))
    data = read_anndata(path)
    data.obs.index = data.obs.index.astype("category")
    data.write_h5ad(path)


def stored(values: Callable[[Any], Any], **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(path)
        rewrite(path, values, **options)

    return make


def records(path: Path, text: Any, integers: bool = False) -> None:
    """What anndata before 0.7 wrote: obs as one dataset of records."""
    write(path)
    codes, labels = pd.factorize(np.array(TEXTS, dtype=object))
    rows = [
        (name.encode(), i, code if integers else note.encode())
        for i, (name, note, code) in enumerate(zip(NAMES, TEXTS, codes, strict=True))
    ]
    with h5py.File(path, "r+") as file:
        del file["obs"]
        fields = [("index", text), ("number", "<i4"), ("note", "<i2" if integers else text)]
        file["obs"] = np.array(rows, dtype=fields)
        if integers:
            file["uns/note_categories"] = as_objects(labels)


def version_07(path: Path) -> None:
    """What anndata 0.7 wrote: categories in a group beside the columns."""
    write(path)
    codes, labels = pd.factorize(np.array(TEXTS, dtype=object))
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["encoding-version"] = "0.1.0"
        del file["obs/note"]
        file["obs/note"] = codes.astype(np.int8)
        file["obs/__categories/note"] = as_objects(labels)
        file["obs/note"].attrs["categories"] = file["obs/__categories/note"].ref


def user_block(path: Path) -> None:
    write(path)
    with h5py.File(path, "r") as old, h5py.File(path.with_suffix(".new"), "w", userblock_size=512) as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(dict(old.attrs))
    path.with_suffix(".new").replace(path)


WAYS: dict[str, tuple[Callable[[Path], None], bool]] = {
    # how, and whether the core reads it without HDF5
    "anndata": (by_anndata, True),
    "anndata gzip": (lambda path: by_anndata(path, compression="gzip"), True),
    "anndata lzf": (lambda path: by_anndata(path, compression="lzf"), True),
    "chunks": (stored(as_objects, chunks=(7,)), True),
    "growing": (stored(as_objects, maxshape=(None,)), True),
    "shuffle": (stored(as_objects, chunks=(19,), compression="gzip", shuffle=True), True),
    "fixed": (stored(fixed), False),
    "fixed gzip": (stored(fixed, chunks=(30,), compression="gzip"), False),
    "user block": (user_block, False),
    "nullable": (nullable, True),
    "categories": (categories, False),
    "version 0.7": (version_07, False),
    "records, fixed": (lambda path: records(path, "S80"), False),
    "records, variable": (lambda path: records(path, h5py.string_dtype("utf-8")), False),
    "records, categories": (lambda path: records(path, "S80", integers=True), False),
}


@pytest.mark.parametrize("text_in", ["file", "memory"])
@pytest.mark.parametrize("way", WAYS)
def test_text_of_rows(tmp_path: Path, way: str, text_in: Any) -> None:
    path = tmp_path / "a.h5ad"
    make, by_core = WAYS[way]
    make(path)
    source = H5adSource(path, text="note", obs_names=True, text_in=text_in)
    copy = pickle.loads(pickle.dumps(source))
    for each in (source, copy, source.files(0), pickle.loads(pickle.dumps(source.files(0)))):
        batch = each.read(ROWS)
        assert list(batch) == ["X", "note", "obs_names"]
        assert np.asarray(batch["note"]).tolist() == [TEXTS[row] for row in ROWS]
        assert np.asarray(batch["obs_names"]).tolist() == [NAMES[row] for row in ROWS]
        given = each.read_in_order(MIXED)
        if given is not None:
            assert np.asarray(given["note"]).tolist() == [TEXTS[row] for row in MIXED]
        assert each.read(ROWS[:0])["note"].shape == (0,)
        assert list(each.obs_names) == NAMES
    if by_core:
        with h5py.File(path) as file:
            part = "_index/values" if way == "nullable" else "_index"
            assert heap_texts(file["obs"][part]) is not None
    held = sum(len(text.encode()) for text in NAMES)
    if text_in == "memory" and way not in ("categories", "nullable"):
        assert held <= source.obs_names.nbytes < held + 2 * N_OBS + 2_000
    elif text_in == "file" and way != "categories":
        assert source.obs_names.nbytes == 0


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith(("records", "user"))])
def test_as_anndata_reads_it(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.h5ad"
    WAYS[way][0](path)
    data = read_anndata(path)
    source = H5adSource(path, text=["note"])
    assert list(source.obs_names) == list(data.obs_names)
    assert np.asarray(source.read(np.arange(N_OBS))["note"]).tolist() == data.obs["note"].tolist()


def test_missing_text(tmp_path: Path) -> None:
    texts = [None if i % 3 == 1 else text for i, text in enumerate(TEXTS)]
    ways: dict[str, Any] = {"category": pd.Categorical(texts), "string": pd.array(texts, dtype="string")}
    paths = [write(tmp_path / f"{name}.h5ad", values) for name, values in ways.items()]
    paths.append(write(tmp_path / "none.h5ad", np.full(N_OBS, np.nan)))
    everything = [*texts, *texts, *[None] * N_OBS]
    for text_in in ("file", "memory"):
        source = H5adSource(paths, text="note", text_in=text_in)
        found = np.asarray(source.read(np.arange(len(source)))["note"]).tolist()
        assert found == everything
        assert np.asarray(source.files(1).read(np.array([1]))["note"])[0] is None
    alone = H5adSource(paths[1], text="note")
    alone.read(ROWS)
    assert alone._texts.column("note").nbytes == -(-N_OBS // 8)


def test_several_files_with_text_of_several_kinds(tmp_path: Path) -> None:
    paths = []
    for number, way in enumerate(WAYS):
        paths.append(tmp_path / f"{number}.h5ad")
        WAYS[way][0](paths[-1])
    source = H5adSource(paths, text=["note"], obs_names=True, x_format="csr")
    assert list(source.obs_names) == NAMES * len(WAYS)
    rows = np.sort(RNG.permutation(len(source))[:200])
    batch = source.read(rows)
    assert np.asarray(batch["note"]).tolist() == [TEXTS[row % N_OBS] for row in rows]
    assert np.asarray(batch["obs_names"]).tolist() == [NAMES[row % N_OBS] for row in rows]
    some = source.files([5, 2])
    assert list(some.obs_names) == NAMES * 2
    assert np.asarray(some.read(np.array([3, 160]))["note"]).tolist() == [TEXTS[3], TEXTS[3]]


def test_columns_that_a_file_lacks(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.h5ad") for i in range(2)]
    with h5py.File(paths[1], "r+") as file:
        del file["obs/note"]
    with pytest.raises(KeyError, match=r"1\.h5ad: obs has no column 'note'; it has"):
        H5adSource(paths, text="note")
    source = H5adSource(paths, text="note", obs_join="outer")
    assert np.asarray(source.read(np.array([5, N_OBS + 5]))["note"]).tolist() == [TEXTS[5], None]


def test_names_of_a_file_without_obs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    with h5py.File(path, "r+") as file:
        del file["obs"]
    source = H5adSource(path, obs_names=True)
    assert np.asarray(source.read(ROWS)["obs_names"]).tolist() == [str(row) for row in ROWS]
    with pytest.raises(KeyError, match="obs has no column 'note'"):
        H5adSource(path, text="note")


def test_names_that_are_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    with h5py.File(path, "r+") as file:
        attributes = dict(file["obs/_index"].attrs)
        del file["obs/_index"]
        file["obs/_index"] = np.arange(N_OBS) * 3
        file["obs/_index"].attrs.update(attributes)
    assert H5adSource(path).obs_names[[2, 5]].tolist() == ["6", "15"]


def test_names_of_a_modality(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "two.h5mu", "w") as file, h5py.File(path) as one:
        file.attrs["encoding-type"] = "MuData"
        one.copy("/", file, "mod/rna")
    source = H5adSource(tmp_path / "two.h5mu", x="mod/rna/X", text="note")
    assert source.obs_names[3] == NAMES[3]
    assert np.asarray(source.read(np.array([3]))["note"])[0] == TEXTS[3]


def test_the_names_are_a_sequence(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.h5ad"), write(tmp_path / "b.h5ad", names=[f"b{i}" for i in range(N_OBS)])]
    names = H5adSource(paths).obs_names
    whole = [*NAMES, *(f"b{i}" for i in range(N_OBS))]
    assert (len(names), names[0], names[-1], names[N_OBS]) == (2 * N_OBS, whole[0], whole[-1], "b0")
    assert names[150:160] == whole[150:160]
    assert names[::-50] == whole[::-50]
    assert names[np.array([200, -1, 3])].tolist() == [whole[200], whole[-1], whole[3]]
    assert (list(names), "b7" in names, names.index("b7")) == (whole, True, N_OBS + 7)
    assert repr(names) == "<text of 314 rows>"
    for wrong, error, match in (
        (314, IndexError, r"rows must be in \[0, 314\), but one is 314"),
        (np.array([3, -315]), IndexError, "but one is -315"),
        (np.array([0.5]), TypeError, "rows must be integers, but have dtype float64"),
    ):
        with pytest.raises(error, match=match):
            names[wrong]


def test_names_that_come_again_are_counted(tmp_path: Path) -> None:
    same = [f"cell{i % 100}" for i in range(N_OBS)]
    paths = [write(tmp_path / f"{i}.h5ad", names=names) for i, names in enumerate((NAMES, same, NAMES))]
    assert H5adSource(paths[0]).obs_names.count_duplicates() == 0
    assert H5adSource(paths[1]).obs_names.count_duplicates() == N_OBS - 100
    every = [*NAMES, *same, *NAMES]
    source = H5adSource(paths)
    assert source.obs_names.count_duplicates() == len(every) - len(set(every))
    assert source.files([0, 2]).obs_names.count_duplicates() == N_OBS
    texts = [None if i % 2 else "x" for i in range(N_OBS)]
    path = write(tmp_path / "gaps.h5ad", pd.array(texts, dtype="string"))
    assert H5adSource(path)._texts.column("note").count_duplicates() == texts.count("x") - 1


def test_text_ends_at_a_zero_byte(tmp_path: Path) -> None:
    """As HDF5 has it, which writes no such text."""
    path = write(tmp_path / "a.h5ad", [f"note#{i}" for i in range(N_OBS)])
    content = bytearray(path.read_bytes())
    at = content.index(b"note#17")
    content[at + 4] = 0
    path.write_bytes(content)
    with h5py.File(path) as file:
        assert file["obs/note"].asstr()[17] == "note"
    source = H5adSource(path, text="note")
    assert np.asarray(source.read(np.array([16, 17, 18]))["note"]).tolist() == ["note#16", "note", "note#18"]
