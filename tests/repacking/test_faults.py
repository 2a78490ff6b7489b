"""What goes wrong: one clear error, and nothing half-done is left."""

import errno
import gc
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from tests.repacking.whole_files import read_anndata, write_whole
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola.repacking import RepackOptions, chunk_log, repack, runs
from tombola.repacking import verify as verifying

OPTIONS = RepackOptions(shuffle=True, memory=1 << 16)


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    return write_whole(tmp_path / "in.h5ad", random_counts(600, 40))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("module", [chunk_log, runs], ids=["chunks", "runs"])
@pytest.mark.parametrize("after", [0, 3])
def test_disk_full(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, after: int
) -> None:
    out, left = tmp_path / "out.h5ad", [after]
    write_all = chunk_log.write_all

    def full(file: Any, content: Any) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        write_all(file, content)

    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(OSError, match="No space left on device; what was written is removed") as caught:
        repack(path, out, options=OPTIONS)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(out)
    assert names(tmp_path) == ["in.h5ad"]


def test_disk_full_keeps_the_file_that_was_there(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.h5ad"
    out.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(chunk_log, "write_all", full)
    with pytest.raises(OSError, match="No space left"):
        repack(path, out, options=RepackOptions(force=True))
    assert out.read_bytes() == b"before"
    assert names(tmp_path) == ["in.h5ad", "out.h5ad"]


@pytest.mark.parametrize("kilobytes", [8, 1_000])
def test_a_limit_of_file_size_met_by_us_or_by_hdf5(tmp_path: Path, kilobytes: int) -> None:
    """The log of chunks is small, the copy of uns large, so that HDF5 meets the larger limit."""
    given = anndata.AnnData(random_counts(600, 40))
    given.uns["large"] = np.random.default_rng(0).random(1 << 18)
    given.write_h5ad(tmp_path / "in.h5ad")
    limit = kilobytes << 10
    done = subprocess.run(
        [sys.executable, "-m", "tombola.cli", "repack", "in.h5ad", "out.h5ad"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: out.h5ad: File too large; what was written is removed\n"
    assert names(tmp_path) == ["in.h5ad"]


def test_permission_denied(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):  # of root everything is

        def refuse(self: Path, *_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        repack(path, folder / "out.h5ad")
    assert names(folder) == []


def test_outputs_that_do_not_do(tmp_path: Path, path: Path) -> None:
    content = path.read_bytes()
    link = tmp_path / "link.h5ad"
    link.hardlink_to(path)
    for out in (path, link, tmp_path / "." / "in.h5ad"):
        with pytest.raises(ValueError, match="the output must be another file than the inputs"):
            repack(path, out, options=RepackOptions(force=True))
    taken = write_h5ad(tmp_path / "taken.h5ad", random_counts(seed=1))
    before = taken.read_bytes()
    with pytest.raises(FileExistsError, match=r"it exists; force \(--force\) replaces it"):
        repack(path, taken)
    assert taken.read_bytes() == before
    repack(path, taken, options=RepackOptions(force=True))
    assert read_anndata(taken).n_obs == 600
    with pytest.raises(ValueError, match="must be a file, but is a folder"):
        repack(path, tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        repack(path, tmp_path / "nowhere" / "out.h5ad")
    with pytest.raises(FileNotFoundError, match="no such file"):
        repack(tmp_path / "missing.h5ad", tmp_path / "out.h5ad")
    assert path.read_bytes() == content
    assert names(tmp_path) == ["in.h5ad", "link.h5ad", "taken.h5ad"]


def test_a_folder_of_others_is_left_alone(tmp_path: Path, path: Path) -> None:
    folder = tmp_path / "out.h5ad.part"
    folder.mkdir()
    (folder / "mine.txt").write_text("x")
    with pytest.raises(ValueError, match=r"expected the folder of a repacking, but it holds 'mine\.txt'"):
        repack(path, tmp_path / "out.h5ad")
    assert names(folder) == ["mine.txt"]


@pytest.mark.parametrize("part", ["data", "indices"])
def test_a_damaged_input(tmp_path: Path, part: str) -> None:
    path = write_h5ad(tmp_path / "in.h5ad", random_counts(600, 40), options={"compression": "gzip"})
    with h5py.File(path) as file:
        chunk = file[f"X/{part}"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 20)
    with pytest.raises(OSError, match=rf"in\.h5ad: X/{part}|in\.h5ad: dataset 'X/{part}'"):
        repack(path, tmp_path / "out.h5ad", options=OPTIONS)
    assert names(tmp_path) == ["in.h5ad"]


def test_what_cannot_be_copied_is_one_error(tmp_path: Path, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["uns2"] = h5py.SoftLink("/nowhere")
    with pytest.raises(OSError, match=r"in\.h5ad: cannot read uns2"):
        repack(path, tmp_path / "out.h5ad")
    assert names(tmp_path) == ["in.h5ad"]


def test_mudata_is_refused(tmp_path: Path, path: Path) -> None:
    with h5py.File(tmp_path / "two.h5mu", "w") as file, h5py.File(path) as source:
        file.attrs["encoding-type"] = "MuData"
        source.copy("/", file, "mod/rna")
    with pytest.raises(ValueError, match=r"a MuData file \(\.h5mu\); only h5ad files can be repacked"):
        repack(tmp_path / "two.h5mu", tmp_path / "out.h5ad")


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("name", ["X/data", "X/indices", "layers/dense", "obs/depth", "obs/_index"])
def test_a_row_that_came_out_wrong_is_found(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shuffle: bool
) -> None:
    """One value is changed between writing and comparing."""
    if not shuffle and name.startswith("obs"):
        pytest.skip("obs is copied as it is")
    from tombola.repacking import rewrite

    options = RepackOptions(shuffle=shuffle)

    def change(out: Path) -> None:
        gc.collect()  # a source that has compared another matrix may still have the file open
        with h5py.File(out, "r+") as file:
            values = file[name]
            at = (5, 7) if values.ndim == 2 else 7
            values[at] = b"other" if values.dtype.kind == "O" else values[at] + 1

    check_rows, check_matrix = verifying.verify_rows, verifying.verify_matrix

    def rows(file: h5py.File, *rest: Any) -> None:
        where = Path(file.filename)
        file.close()
        change(where)
        with h5py.File(where) as changed:
            check_rows(changed, *rest)

    def matrix(given: Any, out: Path, *rest: Any) -> None:
        if name.startswith(given.name):
            change(out)
        check_matrix(given, out, *rest)

    monkeypatch.setattr(
        *((rewrite, "verify_rows", rows) if name[0] == "o" else (rewrite, "verify_matrix", matrix))
    )
    what = name if name[0] in "ol" else "X"
    with pytest.raises(ValueError, match=rf"row \d+ of {what} in the output is not row \d+ of the inputs"):
        repack(path, tmp_path / "out.h5ad", options=options)
    assert names(tmp_path) == ["in.h5ad"]
