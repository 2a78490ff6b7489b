"""Tables, sizes and streams that lie, files that must not be read: one error with file, dataset and row."""

import multiprocessing
import os
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.sources.h5ad.h5ad_files import dense, make_anndata, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource
from tombola.sources.h5ad import claims
from tombola.sources.h5ad.errors import BadFileError, H5adError

N, CHUNK = 400, 300
X = random_counts(N, 40)
ALL = np.arange(N)
NOBODY = 65_534


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    path = write_h5ad(tmp_path / "a.h5ad", X)
    for part in ("data", "indices"):
        rewrite_dataset(path, f"X/{part}", chunks=(CHUNK,), compression="gzip")
    return path


def rows_of_chunk(number: int) -> tuple[int, int]:
    """Return the rows whose values are in a chunk, the first and the last."""
    row_of = np.repeat(ALL, np.diff(X.indptr))
    part = row_of[number * CHUNK : (number + 1) * CHUNK]
    return int(part[0]), int(part[-1])


def entry(path: Path, number: int) -> int:
    """Return where the table keeps a chunk of X/data: length, mask, place (two numbers) and address."""
    with h5py.File(path) as file:
        chunk = file["X/data"].id.get_chunk_info(number)
        address = h5py.h5o.get_info(file["X/data"].id).addr
    kept = struct.pack("<IIQQQ", chunk.size, chunk.filter_mask, number * CHUNK, 0, chunk.byte_offset)
    whole = path.read_bytes()
    assert whole.count(kept) == 1, address
    return whole.index(kept)


def put(path: Path, at: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(value)


def outside(path: Path) -> str:
    put(path, entry(path, 3) + 24, struct.pack("<Q", path.stat().st_size - 4))
    return "the chunk lies at bytes"


def elsewhere(path: Path) -> str:
    put(path, entry(path, 3) + 24, struct.pack("<Q", 2**63))
    return "the chunk lies at bytes"


def far_too_long(path: Path) -> str:
    """Give a file that has room for it, a hole at its end."""
    put(path, entry(path, 3), struct.pack("<I", 1 << 30))
    os.truncate(path, 3 << 30)
    with h5py.File(path) as file:  # nothing but the last chunk may lie in front of the hole
        at = file["X/data"].id.get_chunk_info(0).byte_offset
    put(path, entry_of_length(path, 1 << 30) + 24, struct.pack("<Q", at + (1 << 30)))
    return "the chunk has 1073741824 bytes, more than the 6496 that its 1200 bytes of values can take"


def entry_of_length(path: Path, length: int) -> int:
    with path.open("rb") as file:
        return file.read(1 << 20).index(struct.pack("<IIQQ", length, 0, 3 * CHUNK, 0))


def too_short(path: Path) -> str:
    put(path, entry(path, 3), struct.pack("<I", 1))
    return "the chunk has 1 bytes, too few for its 1200 bytes of values"


def streams(values: bytes) -> dict[str, tuple[bytes, str]]:
    return {
        "ends early": (zlib.compress(values[:-40]), "its deflate stream gives 1160 bytes instead of 1200"),
        "ends late": (zlib.compress(values + b"more"), "its deflate stream gives more than the chunk's 1200"),
        "is cut off": (zlib.compress(values)[:-6], "its deflate stream is damaged"),
        "has another checksum": (zlib.compress(values)[:-1] + b"\0", "its deflate stream is damaged"),
        "promises megabytes": (zlib.compress(bytes(1 << 22), 9), "its deflate stream gives more than"),
        "promises more": (zlib.compress(bytes(1 << 25), 9), "more than the 6496 that its 1200 bytes"),
        "is empty": (b"\0", "the chunk has 1 bytes, too few for its 1200 bytes of values"),
    }


def stream(name: str) -> Callable[[Path], str]:
    def change(path: Path) -> str:
        values = X.data[3 * CHUNK : 4 * CHUNK].tobytes()
        content, what = streams(values)[name]
        with h5py.File(path, "r+") as file:
            file["X/data"].id.write_direct_chunk((3 * CHUNK,), content)
        return what

    return change


CHUNKS: dict[str, Callable[[Path], str]] = {
    "outside the file": outside,
    "far outside the file": elsewhere,
    "a length of a gigabyte": far_too_long,
    "a length of one byte": too_short,
    **{f"a stream that {name}": stream(name) for name in streams(b"")},
}


@pytest.mark.parametrize("change", CHUNKS.values(), ids=CHUNKS.keys())
def test_a_chunk_that_cannot_be(path: Path, change: Callable[[Path], str]) -> None:
    what = change(path)
    first, last = rows_of_chunk(3)
    source = H5adSource(path)
    named = (
        rf"^{path}: dataset 'X/data': cannot read rows {first} to \d+; the file is damaged.*{re.escape(what)}"
    )
    with pytest.raises(H5adError, match=named.replace(r"\d+", str(last), 1)):
        source.read(ALL)
    with pytest.raises(H5adError, match=named):
        source.read_in_order(ALL[::-1].copy())
    sound = np.delete(ALL, slice(first, last + 1))
    np.testing.assert_array_equal(dense(source.read(sound)["X"]), X.toarray()[sound])


def test_chunks_that_share_bytes(path: Path) -> None:
    at = entry(path, 3)
    with h5py.File(path) as file:
        info = [file["X/data"].id.get_chunk_info(number) for number in range(4)]
    put(path, at, struct.pack("<I", info[1].size))
    put(path, at + 24, struct.pack("<Q", info[1].byte_offset))
    source = H5adSource(path)
    first, last = rows_of_chunk(1)
    named = (
        rf"^{path}: dataset 'X/data': cannot read rows {first} to {last}; .*the chunk shares bytes \d+ to \d+"
    )
    with pytest.raises(H5adError, match=named):
        source.read(ALL)
    sound = np.setdiff1d(
        ALL, [row for n in (1, 3) for row in range(rows_of_chunk(n)[0], rows_of_chunk(n)[1] + 1)]
    )
    np.testing.assert_array_equal(dense(source.read(sound)["X"]), X.toarray()[sound])


@pytest.mark.parametrize(("place", "named"), [(901, 901), (600, 600), (2**40, 2**40)])
def test_a_table_that_lists_chunks_where_none_can_be(path: Path, place: int, named: int) -> None:
    """Between two, at the place of another, behind the last: HDF5 gives zeros for the one that is missing."""
    put(path, entry(path, 3) + 8, struct.pack("<Q", place))
    with pytest.raises(
        H5adError, match=rf"^{path}: .*X/data.*(table of chunks has one at \({named},\)|damaged)"
    ):
        H5adSource(path).read(ALL)


def test_rows_that_claim_more_than_the_file(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for part in ("data", "indices"):
            kind = file[f"X/{part}"].dtype
            del file[f"X/{part}"]
            file.create_dataset(f"X/{part}", (2**40,), kind, chunks=(CHUNK,), compression="gzip")
        indptr = file["X/indptr"][()].astype(np.int64)
        indptr[-1] = 2**40
        del file["X/indptr"]
        file["X/indptr"] = indptr
    claimed = (
        rf"^{path}: X/data claims 4,398,046,511,104 bytes in shape \(1099511627776,\), but the whole file has"
    )
    with pytest.raises(BadFileError, match=claimed):
        H5adSource(path)


@pytest.mark.parametrize(
    ("options", "times"),
    [({}, 1), ({"shuffle": True}, 1), ({"compression": "lzf"}, 88), ({"compression": "gzip"}, 1_032)],
)
def test_what_a_file_can_mean_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], times: int
) -> None:
    monkeypatch.setattr(claims, "LARGE", 0)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["something"] = np.arange(1_000)
    held = path.stat().st_size
    with h5py.File(path, "r+") as file:
        small = file.create_dataset("c", (held,), "u1", chunks=(1_000,), **options)
        claims.check_scale(small, "c")
        large = file.create_dataset("d", (4 * held * times,), "u1", chunks=(1_000,), **options)
        with pytest.raises(BadFileError, match=r"^d claims [\d,]+ bytes in shape .*, but the whole file has"):
            claims.check_scale(large, "d")


def test_text_that_claims_more_than_the_file(path: Path) -> None:
    with h5py.File(path) as file:
        at = file["var/_index"].id.get_offset()
    put(path, at + 16 * 3, struct.pack("<I", 2**32 - 1))
    with pytest.raises(
        BadFileError,
        match=rf"^{path}: var/_index: entry 3 claims 4,294,967,295 bytes of text, more than the file",
    ):
        H5adSource(path)


def test_a_table_that_cannot_be_read_is_named_by_describe(path: Path) -> None:
    whole, at = path.read_bytes(), entry(path, 0)
    put(path, whole.rindex(b"TREE", 0, at), b"tree")
    source = H5adSource(path)
    for read in (source.describe, lambda: source.read(ALL)):
        with pytest.raises(H5adError, match=rf"^{path}: cannot read .*X"):
            read()


def test_a_file_that_is_replaced_while_it_is_open(tmp_path: Path, path: Path) -> None:
    source = H5adSource(path)
    source.read(ALL[:3])
    make_anndata(random_counts(N, 40, seed=1)).write_h5ad(tmp_path / "b.h5ad")
    shutil.copyfile(tmp_path / "b.h5ad", path)
    changed = rf"^{path}: dataset 'X/\w+': cannot read rows \d+ to \d+; .*it was replaced or written to since"
    with pytest.raises(H5adError, match=changed):
        source.read(ALL)


def of_nobody(work: Callable[[], object], answer: Any) -> None:
    """Do something as a user that may nothing, in a process that ends then."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        work()
        answer.put("no error")
    except OSError as error:
        answer.put(f"{type(error).__name__}: {error}")


def said_to_nobody(work: Callable[[], object]) -> str:
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=of_nobody, args=(work, answer))
    process.start()
    said = str(answer.get(timeout=60))
    process.join()
    return said


@pytest.mark.parametrize("what", ["file", "folder"])
def test_permission_denied(what: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_h5ad(Path(folder) / "a.h5ad", X)
        Path(folder).chmod(0o755)
        source = H5adSource(path)
        (path if what == "file" else path.parent).chmod(0)
        opening = said_to_nobody(lambda: H5adSource(path))
        reading = said_to_nobody(lambda: source.read(ALL))
        Path(folder).chmod(0o755)
    assert opening == f"UnreadableFileError: {path}: cannot open the file: Permission denied"
    assert reading == opening
