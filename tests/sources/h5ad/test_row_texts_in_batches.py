"""Text in batches: by loaders, workers and other processes; what it takes; what is refused, and how."""

import multiprocessing
import os
import pickle
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import tombola
from tests.sources.h5ad.h5ad_files import N_OBS, make_anndata, random_counts
from tests.sources.h5ad.test_row_texts import ROWS, WAYS, as_objects, rewrite, write
from tombola.sources import H5adSource

NOTES = [f"note#{i}" for i in range(N_OBS)]
NAMES = [f"name#{i}" for i in range(N_OBS)]


def both(tmp_path: Path, **options: Any) -> H5adSource:
    """A source of two files, the second of which has text as records."""
    one = write(tmp_path / "a.h5ad", NOTES, NAMES, compression="gzip")
    two = tmp_path / "b.h5ad"
    WAYS["records, variable"][0](two)
    with h5py.File(two, "r+") as file:
        obs = file["obs"][()]
        obs["note"], obs["index"] = NOTES, NAMES
        file["obs"][...] = obs
    return H5adSource([one, two], text=["note"], obs_names=True, **options)


def check(batch: Any, source: H5adSource) -> None:
    rows = batch["row"].numpy() % N_OBS
    assert batch["note"] == [NOTES[row] for row in rows]
    assert batch["obs_names"] == [NAMES[row] for row in rows]
    assert len(batch["X"]) == len(rows)


@pytest.mark.parametrize("x_format", ["dense", "csr"])
@pytest.mark.parametrize("text_in", ["file", "memory"])
def test_batches_hold_lists(tmp_path: Path, text_in: str, x_format: str) -> None:
    source = both(tmp_path, text_in=text_in, x_format=x_format)
    strategies = (
        tombola.BlockShuffling(4),
        tombola.BlockWeightedSampling(np.ones(len(source)), block_size=2),
        tombola.Streaming(),
    )
    for strategy in strategies:
        loader = tombola.Loader(source, strategy, 16, fetch_factor=3, pin_memory=True, device="cpu")
        batches = list(loader)
        assert sum(len(batch["row"]) for batch in batches) == len(source)
        for batch in batches:
            check(batch, source)
    half = tombola.Loader(
        source, tombola.BlockShuffling(4), 16, fetch_factor=3, rank=1, world_size=2, even="none"
    )
    for batch in half:
        check(batch, source)


def test_a_fetch_transform_sees_arrays(tmp_path: Path) -> None:
    seen = []

    def keep(window: dict[str, Any]) -> dict[str, Any]:
        seen.append((window["note"].dtype, window["obs_names"].shape, len(window["row"])))
        return window

    source = both(tmp_path)
    loader = tombola.Loader(source, tombola.BlockShuffling(4), 16, fetch_factor=3, fetch_transform=keep)
    for batch in loader:
        check(batch, source)
    assert all(kind.kind == "O" and shape == (n,) for kind, shape, n in seen)


def test_a_missing_text_is_none_in_batches(tmp_path: Path) -> None:
    texts = [None if i % 3 else "a" for i in range(N_OBS)]
    path = write(tmp_path / "a.h5ad", pd.array(texts, dtype="string"))
    loader = tombola.Loader(H5adSource(path, text="note"), tombola.BlockShuffling(4), 16)
    for batch in torch.utils.data.DataLoader(loader, batch_size=None, pin_memory=False):
        assert batch["note"] == [texts[row] for row in batch["row"]]
    pinned: Any = torch.utils.data._utils.pin_memory.pin_memory  # as DataLoaders do where there is CUDA
    assert pinned({"note": batch["note"]}) == {"note": batch["note"]}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("text_in", ["file", "memory"])
def test_workers(tmp_path: Path, text_in: str, method: str) -> None:
    source = both(tmp_path, text_in=text_in)
    source.read(ROWS)
    loader = tombola.DataLoader(
        tombola.Loader(source, tombola.BlockShuffling(4), 16, fetch_factor=3),
        num_workers=2,
        multiprocessing_context=method,
    )
    rows = []
    for batch in loader:
        check(batch, source)
        rows += batch["row"].tolist()
    assert sorted(rows) == list(range(len(source)))


def test_a_pass_that_is_resumed(tmp_path: Path) -> None:
    source = both(tmp_path)

    def make() -> tombola.Loader:
        return tombola.Loader(source, tombola.BlockShuffling(4), 16, fetch_factor=3, seed=5)

    whole = [(batch["note"], batch["obs_names"]) for batch in make()]
    loader = make()
    passing = iter(loader)
    begun = [next(passing) for _ in range(5)]
    state = loader.state_dict()
    again = make()
    again.load_state_dict(state)
    rest = [(batch["note"], batch["obs_names"]) for batch in again]
    assert [(batch["note"], batch["obs_names"]) for batch in begun] + rest == whole


def read(source: H5adSource) -> list[Any]:
    batch = source.read(np.arange(0, len(source), 3))
    return [os.getpid(), batch["note"].tolist(), batch["obs_names"].tolist()]  # type: ignore[union-attr]


@pytest.mark.parametrize("text_in", ["file", "memory"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes(tmp_path: Path, method: str, text_in: str) -> None:
    source = both(tmp_path, text_in=text_in)
    pid, *expected = read(source)
    text = pickle.dumps(source)
    assert b"note#100" not in text
    assert read(pickle.loads(text)) == [pid, *expected]
    with multiprocessing.get_context(method).Pool(2) as pool:
        for other, *found in pool.map(read, [source] * 4):
            assert other != pid
            assert found == expected


@pytest.mark.parametrize("text_in", ["file", "memory"])
def test_threads(tmp_path: Path, text_in: str) -> None:
    source = both(tmp_path, text_in=text_in)
    rng = np.random.default_rng(0)
    windows = [np.sort(rng.permutation(len(source))[:80]) for _ in range(60)]
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(source.read, rows) for rows in windows]
        opened = [H5adSource(source.paths, obs="note", text_in=text_in) for _ in range(3)]  # type: ignore[arg-type]
        batches = [future.result() for future in reading]
    for rows, batch in zip(windows, batches, strict=True):
        assert np.asarray(batch["note"]).tolist() == [NOTES[row % N_OBS] for row in rows]
    assert opened[0].obs["note"].tolist() == NOTES * 2


def test_what_text_takes(tmp_path: Path) -> None:
    """Nothing between reads from a file, and about its bytes in memory; no object a row in either case."""
    n = 40_000
    names = [f"AAACCTGAGAAACC{i:08d}-1" for i in range(n)]
    data = make_anndata(random_counts(n, 2))
    data.obs.index = pd.Index(names)
    data.write_h5ad(tmp_path / "a.h5ad")
    for text_in, low, high in (("file", 0.0, 0.0), ("memory", 24.0, 24.3)):
        source = H5adSource(tmp_path / "a.h5ad", obs_names=True, text_in=text_in)  # type: ignore[arg-type]
        rows = np.arange(5, n, 500)
        source.read(rows)
        assert low <= source.obs_names.nbytes / n <= high
        tracemalloc.start()
        assert source.read(rows)["obs_names"][3] == names[1505]  # type: ignore[index]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200_000


def spoil(path: Path, text: bytes, byte: int) -> None:
    """Put a byte into a text, wherever it stands: what was written anew may be there twice."""
    path.write_bytes(path.read_bytes().replace(text, text[:2] + bytes([byte]) + text[3:]))


@pytest.mark.parametrize("text_in", ["file", "memory"])
@pytest.mark.parametrize(("name", "what"), [("note#17", r"obs column 'note'"), ("name#17", "obs names")])
def test_text_that_is_not_utf8(tmp_path: Path, name: str, what: str, text_in: Any) -> None:
    path = write(tmp_path / "a.h5ad", NOTES, NAMES)
    spoil(path, name.encode(), 0xFF)
    good = H5adSource(write(tmp_path / "b.h5ad", NOTES, NAMES))
    source = H5adSource([good.paths[0], path], text="note", obs_names=True, text_in=text_in)
    source.read(np.arange(N_OBS + 17))
    match = rf"a\.h5ad: {what} must be UTF-8 text, but row 17 is b'{name[:2]}\\xff{name[3:]}' \(invalid start"
    with pytest.raises(ValueError, match=match):
        source.read(np.array([3, N_OBS + 16, N_OBS + 17]))
    with pytest.raises(ValueError, match=match):
        for _ in tombola.Loader(source, tombola.Streaming(), 8):
            pass


@pytest.mark.parametrize("way", ["fixed", "records, fixed", "user block"])
def test_text_that_is_not_utf8_read_by_hdf5(tmp_path: Path, way: str) -> None:
    path = tmp_path / "a.h5ad"
    WAYS[way][0](path)
    spoil(path, b"TTTG000000019", 0xFE)
    with pytest.raises(
        ValueError, match=r"a\.h5ad: obs column 'note' must be UTF-8 text, but row 19 is b'TT"
    ):
        H5adSource(path, text="note").read(np.arange(N_OBS))


def test_parts_of_two_letters_make_no_letter(tmp_path: Path) -> None:
    """Decoded one by one, not as they lie end to end."""
    path = write(tmp_path / "a.h5ad", ["aaa", "bbb", *NOTES[2:]])
    with h5py.File(path, "r+") as file:
        file["obs/note"][0], file["obs/note"][1] = "aaX", "Xbb"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"aaX", b"aa\xc3").replace(b"Xbb", b"\xa4bb"))
    with pytest.raises(ValueError, match=r"row 0 is b'aa\\xc3' \(unexpected end of data\)"):
        H5adSource(path, text="note").read(np.arange(2))


def test_a_row_without_a_name(tmp_path: Path) -> None:
    for way, part, value in (("nullable", "mask", True), ("categories", "codes", -1)):
        path = tmp_path / f"{way}.h5ad"
        WAYS[way][0](path)
        with h5py.File(path, "r+") as file:
            file["obs/_index"][part][3] = value
        source = H5adSource(path, obs_names=True)
        assert len(source.read(np.array([2, 4]))["obs_names"]) == 2
        with pytest.raises(
            ValueError, match=r"s?\.h5ad: obs names must name every row, but row 3 has no name"
        ):
            source.read(np.array([2, 3]))


def test_a_heap_that_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", NOTES, NAMES)
    source = H5adSource(path, text="note")
    content = path.read_bytes()
    at = content.rindex(b"GCOL", 0, content.index(b"note#1\0"))
    path.write_bytes(content[:at] + b"G0OL" + content[at + 4 :])
    with pytest.raises(OSError, match=r"a\.h5ad.* was replaced or written to since"):
        source.read(ROWS)
    with pytest.raises(
        OSError, match=r"a\.h5ad: dataset 'obs/note': cannot read rows 0 to 156; the file is dam"
    ):
        H5adSource(path, text="note").read(np.arange(N_OBS))


@pytest.mark.parametrize("begun", [False, True])
def test_a_file_that_changed_since(tmp_path: Path, begun: bool) -> None:
    path, other = write(tmp_path / "a.h5ad", NOTES), write(tmp_path / "b.h5ad", NOTES[::-1])
    source = H5adSource(path, text="note")
    if begun:
        source._read_texts(ROWS)
        shutil.copyfile(other, path)
    else:
        other.replace(path)
    with pytest.raises(OSError, match=r"a\.h5ad.* was replaced or written to since"):
        source._read_texts(ROWS)


def test_a_source_unpickled_over_a_longer_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", NOTES)
    text = pickle.dumps(H5adSource(path, text="note"))
    rewrite(path, lambda stored: as_objects([*stored, "more"]))
    with pytest.raises(
        OSError, match=r"dataset 'obs/note' must have shape \(157,\) as it had, but has \(158,\)"
    ):
        pickle.loads(text)._read_texts(ROWS)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"text": "depth"}, ValueError, "obs column 'depth' must hold text .*, but holds numbers .float64"),
        (
            {"text": "n"},
            ValueError,
            "must hold text or .*, but holds categories that are numbers .int64.; obs=",
        ),
        ({"text": "nope"}, KeyError, "obs has no column 'nope'; it has kind, depth"),
        (
            {"text": ["kind"], "obs": "kind"},
            ValueError,
            "'kind' is named by obs= and by text=, but batches hold",
        ),
        ({"text": [3]}, TypeError, "text must name columns, but one is 3"),
        ({"text": "row"}, ValueError, "obs column 'row' cannot be read: a batch has its own 'row'"),
        ({"obs": "obs_names", "obs_names": True}, ValueError, "a batch has its own 'obs_names'"),
        ({"x": {"obs_names": "X"}, "obs_names": True}, ValueError, "x must call no matrix 'obs_names' where"),
        ({"obs_names": 1}, TypeError, "obs_names must be True or False, but is 1"),
        ({"text_in": "disk"}, ValueError, "text_in must be one of file, memory, but is 'disk'"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: Any, error: type[Exception], match: str) -> None:
    data = make_anndata(random_counts())
    data.obs["n"] = pd.Categorical(np.arange(N_OBS) % 3)
    data.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(error, match=match):
        H5adSource(tmp_path / "a.h5ad", **options)


def test_text_of_another_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5ad", NOTES)
    with h5py.File(path, "r+") as file:
        del file["obs/note"]
        file["obs/note"] = as_objects(NOTES[:9])
    with pytest.raises(
        ValueError, match=r"'note' must have shape \(157,\) as obs has 157 rows, but has shape \(9"
    ):
        H5adSource(path, text="note")
