"""Fixtures and rules for all tests.

Tests on real data ask for the fixture `data_dir`. They skip where TOMBOLA_TEST_DATA is not set; with
TOMBOLA_REQUIRE_DATA=1, as in CI, every skip that names that variable counts as a failure. Tests in `compat`
skip where a trainer is not installed; with TOMBOLA_REQUIRE_COMPAT=1 that counts as a failure.
"""

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tombola", deadline=None, derandomize=True)  # no test fails for being slow
settings.load_profile("tombola")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as where a shell runs the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch's idle threads do not spin while others work

DATA_VARIABLE = "TOMBOLA_TEST_DATA"
REQUIRED = {"TOMBOLA_REQUIRE_DATA": DATA_VARIABLE, "TOMBOLA_REQUIRE_COMPAT": "could not import"}
"""Variables that forbid skips, and what these skips say."""


@pytest.fixture(scope="session", autouse=True)
def short_waits() -> None:
    """Give DataLoader's workers a second to end, not five: one that has failed may not end by itself."""
    try:
        from torch.utils.data import _utils
    except ImportError:  # the core's tests run without torch, too
        return
    _utils.MP_STATUS_CHECK_INTERVAL = 1.0


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real h5ad files."""
    value = os.environ.get(DATA_VARIABLE)
    if not value:
        pytest.skip(f"{DATA_VARIABLE} does not name a folder of real h5ad files")
    path = Path(value).resolve()
    if not path.is_dir():
        pytest.fail(f"{DATA_VARIABLE} must name a folder, but is {value!r}")
    return path


def _may_not_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip for want of data or trainers into a failure where they are required."""
    if not report.skipped:
        return
    for variable, said in REQUIRED.items():
        if os.environ.get(variable) == "1" and said in str(report.longrepr):
            report.outcome = "failed"
            report.longrepr = f"skipped, but {variable}=1: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Apply the rule about skips to each phase of each test."""
    report = yield
    _may_not_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Apply the rule about skips to modules that skip as a whole."""
    report = yield
    _may_not_skip(report)
    return report
