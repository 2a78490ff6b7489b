"""The rule about real data: a skip for want of them is a failure where they are required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os
import pytest

def test_fixture(data_dir):
    assert data_dir.is_dir()

@pytest.mark.skipif("TOMBOLA_TEST_DATA" not in os.environ, reason="needs TOMBOLA_TEST_DATA")
def test_mark():
    pass

@pytest.mark.skip(reason="for another cause")
def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("data", "require", "outcome"),
    [
        (None, None, "3 skipped"),
        (None, "1", "1 skipped, 2 errors"),
        (".", "1", "2 passed, 1 skipped"),
        ("missing", None, "1 passed, 1 skipped, 1 error"),
    ],
)
def test_data_may_not_skip(tmp_path: Path, data: str | None, require: str | None, outcome: str) -> None:
    (tmp_path / "conftest.py").write_bytes((Path(__file__).parent / "conftest.py").read_bytes())
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    wanted = {"TOMBOLA_TEST_DATA": data, "TOMBOLA_REQUIRE_DATA": require}
    environment = {name: value for name, value in os.environ.items() if name not in wanted}
    environment |= {name: value for name, value in wanted.items() if value is not None}
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            "test_it.py",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in result.stdout.splitlines()[-1]
