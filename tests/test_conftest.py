"""The rule about real data and trainers: a skip for want of them is a failure where they are required."""

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


TRAINER = """
import pytest
pytest.importorskip("no_such_trainer")
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
    wanted = {"TOMBOLA_TEST_DATA": data, "TOMBOLA_REQUIRE_DATA": require}
    assert outcome in run(tmp_path, TESTS, wanted)


@pytest.mark.parametrize(("require", "outcome"), [(None, "1 skipped"), ("1", "1 error")])
def test_trainers_may_not_skip(tmp_path: Path, require: str | None, outcome: str) -> None:
    assert outcome in run(tmp_path, TRAINER, {"TOMBOLA_REQUIRE_COMPAT": require})


def run(folder: Path, tests: str, wanted: dict[str, str | None]) -> str:
    """Run these tests under the rule and return the last line of what pytest says."""
    (folder / "conftest.py").write_bytes((Path(__file__).parent / "conftest.py").read_bytes())
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in wanted}
    environment |= {name: value for name, value in wanted.items() if value is not None}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    result = subprocess.run(
        [*command, "test_it.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return result.stdout.splitlines()[-1]
