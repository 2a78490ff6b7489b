"""Libraries that are looked for: where, and what becomes of files where none is found."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tombola.sources.h5ad import libraries

SEARCHES = {
    "deflate": (
        libraries.inflate_functions,
        "_deflate_libraries",
        "libdeflate was not found, so HDF5 inflates, on one thread: pip install deflate",
    ),
    "zstd": (
        libraries.zstd_functions,
        "_zstd_libraries",
        "libzstd was not found, so HDF5 reads zstd, on one thread: pip install hdf5plugin",
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_libraries_that_lack_what_is_needed(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    function, source, message = SEARCHES[name]
    search = function.__wrapped__
    assert search() is not None
    monkeypatch.setattr(libraries, source, lambda: iter([np.random.mtrand.__file__, "/no/such/library"]))
    with caplog.at_level("INFO"):
        assert search() is None
    assert [record.message for record in caplog.records] == [message]


def test_packages_come_first() -> None:
    """Where a file's codec came with a package, the same library decodes it here."""
    found = [Path(path) for path in libraries._zstd_libraries()]
    assert found[0].parts[-3:-1] == ("hdf5plugin", "plugins")
    for path in (*libraries._deflate_libraries(), *map(str, found)):
        ctypes.CDLL(path)


@pytest.mark.parametrize("package", ["deflate", "hdf5plugin", "numcodecs"])
def test_a_module_of_that_name_is_not_run(tmp_path: Path, package: str) -> None:
    """Whatever lies beside a user's script under the name of the package is looked at, not imported."""
    (tmp_path / f"{package}.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    code = """
from tombola.sources.h5ad.libraries import inflate_functions, zstd_functions
print(type(inflate_functions()), type(zstd_functions()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "imported" not in done.stdout
    assert done.stdout.startswith("<class")
