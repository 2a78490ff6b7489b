"""`TOMBOLA_INSTRUCTION_SET`: the best instruction set that a process uses; no row depends on it."""

import os
import subprocess
import sys

from tombola import _core

SCRIPT = """
from tombola import _core
how = dict(batch_size=7, fetch_factor=20, drop_last=False, seed=3, epoch=4)
plan = _core.plan_streaming(1000, shuffle=True, **how)
print(*_core.available_instruction_sets())
print(_core.instruction_set(), _core.hash_array(plan.batches(0, len(plan))[0]))
"""


def run(limit: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a process of its own."""
    environment = os.environ | {"TOMBOLA_INSTRUCTION_SET": limit}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300
    )


def test_it_lowers_what_is_available() -> None:
    everything = run("").stdout.splitlines()
    sets = everything[0].split()
    assert sets[0] == everything[1].split()[0]
    assert sets[-1] == "baseline"
    for limit in {sets[len(sets) // 2], sets[-1]}:
        done = run(limit)
        available, used = done.stdout.splitlines()
        assert available.split() == sets[sets.index(limit) :]
        assert used.split() == [limit, everything[1].split()[1]]


def test_a_set_that_is_not_there_is_named() -> None:
    done = run("avx3")
    assert done.returncode != 0
    expected = f"one of {', '.join(_core.available_instruction_sets())}, which this processor has, but is"
    assert f'ImportError: TOMBOLA_INSTRUCTION_SET must be {expected} "avx3"' in done.stderr
