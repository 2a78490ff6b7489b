"""A source in several processes and threads, and codecs that come with another package."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hdf5plugin
import numpy as np
import numpy.typing as npt
import pytest

from tests.sources.h5ad.h5ad_files import N_OBS, dense, random_counts, rewrite_dataset, write_h5ad
from tombola.sources import H5adSource

KINDS: dict[str, Any] = {
    "csr": random_counts(),
    "csc": random_counts().tocsc(),
    "dense": random_counts().toarray(),
}
EXPECTED = random_counts().toarray()
ALL = np.arange(N_OBS)


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> H5adSource:
    path = write_h5ad(tmp_path / "a.h5ad", KINDS[request.param], options={"compression": "gzip"})
    return H5adSource([path, path], obs=["kind"])


def read(source: H5adSource) -> tuple[int, npt.NDArray[Any], npt.NDArray[Any]]:
    batch = source.read(np.arange(len(source)))
    return os.getpid(), dense(batch["X"]), np.asarray(batch["kind"])


def check(source: H5adSource, found: tuple[int, npt.NDArray[Any], npt.NDArray[Any]], *, here: bool) -> None:
    pid, x, kind = found
    assert (pid == os.getpid()) == here
    np.testing.assert_array_equal(x, np.concatenate([EXPECTED, EXPECTED]))
    np.testing.assert_array_equal(kind, source.obs["kind"].codes)


@pytest.mark.parametrize("used", [False, True])
def test_pickle(source: H5adSource, used: bool) -> None:
    if used:
        read(source)
    text = pickle.dumps(source)
    copy = pickle.loads(text)
    assert (copy.var_names, copy.columns, list(copy.obs)) == (
        source.var_names,
        source.columns,
        list(source.obs),
    )
    check(source, read(copy), here=True)
    assert len(text) < 3_000  # neither values nor row pointers travel


@pytest.mark.parametrize(("method", "used"), [("fork", False), ("fork", True), ("spawn", True)])
def test_other_processes(source: H5adSource, method: str, used: bool) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    if used:
        check(source, read(source), here=True)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for found in pool.map(read, [source] * 4):
            check(source, found, here=False)
    check(source, read(source), here=True)


def read_in_a_child(source: H5adSource) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            check(source, read(source), here=True)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_fork_with_open_files(source: H5adSource) -> None:
    """What a child inherits it neither uses nor closes."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    read(source)
    answer, question = os.pipe()
    read_in_a_child(source)
    os.close(answer)
    os.close(question)
    check(source, read(source), here=True)


def test_fork_while_threads_read(source: H5adSource) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    stop = threading.Event()
    read(source)  # what the source says once is said: a log file's own lock does not survive a fork

    def keep_reading() -> None:
        while not stop.is_set():
            read(source)

    threads = [threading.Thread(target=keep_reading) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            read_in_a_child(source)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_threads(source: H5adSource) -> None:
    rng = np.random.default_rng(0)
    windows = [np.sort(rng.permutation(len(source))[:100]) for _ in range(40)]
    both = np.concatenate([EXPECTED, EXPECTED])
    with ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(source.read, rows) for rows in windows]
        while not all(future.done() for future in reading):
            # Other openings of the same files begin and end in between.
            H5adSource(source.paths, obs=["kind"]).describe()
        batches = [future.result() for future in reading]
    for rows, batch in zip(windows, batches, strict=True):
        np.testing.assert_array_equal(dense(batch["X"]), both[rows])


CHILD = """
import sys
if sys.argv[2] == "without":
    sys.modules["hdf5plugin"] = None
import numpy as np
from tombola.sources import H5adSource
source = H5adSource(sys.argv[1])
assert sys.argv[2] == "without" or "hdf5plugin" not in sys.modules
try:
    print(float(source.read(np.arange(157))["X"].to_dense().sum()))
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("plugin", ["with", "without"])
def test_codecs_of_hdf5plugin_are_loaded_when_needed(tmp_path: Path, plugin: str) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", KINDS["csr"])
    rewrite_dataset(path, "X/data", chunks=(50,), **dict(hdf5plugin.Zstd()))
    result = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), plugin], capture_output=True, text=True, check=True
    )
    text = result.stdout.strip()
    if plugin == "with":
        assert float(text) == EXPECTED.sum()
    else:
        assert text.startswith(f"{path}: dataset 'X/data' is compressed by filter 32015")
        assert text.endswith("install hdf5plugin to read it")


def test_importing_sources_is_light() -> None:
    code = "import sys, tombola.sources; print(sorted({'h5py', 'torch', 'scipy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
