"""Runs that take too long say where they are."""

import pytest

from tests.watched import run

HANGS = """
import os, tests.watched, time
def forked(): time.sleep(3)
def first(): time.sleep(3)
if os.fork(): first()
else: forked()
"""


def test_a_run_that_hangs_shows_its_stacks_and_those_of_its_workers() -> None:
    with pytest.raises(AssertionError, match=r"^more than 1.0 s: ") as failed:
        run("-c", HANGS, limit=1.0)
    for place in ("in first\n", "in forked\n"):
        assert place in str(failed.value)


def test_a_run_that_fails_shows_what_it_said() -> None:
    with pytest.raises(AssertionError, match="to one\nto the other"):
        run("-c", "import os; os.write(1, b'to one\\n'); os.write(2, b'to the other\\n'); os._exit(3)")
    assert run("-c", "print(1)") == "1\n"
