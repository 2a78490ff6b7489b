"""What grouping takes at its peak beyond the caller's keys: 8 bytes a row for dense keys, 16 for any.

In a process of its own, by the kernel's count of the peak, which is set back once the keys are there.
"""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from tombola import _core

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

n, factor = int(sys.argv[1]), int(sys.argv[2])
keys = np.random.default_rng(5).integers(0, n // 3, n)
keys *= factor  # wraps
_core.set_num_threads(2)
_core.Groups.from_keys(keys[:100])  # whatever is made once
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
groups = _core.Groups.from_keys(keys)
print(1024 * (peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("factor", "most"), [(1, 8), (0x9E3779B97F4A7C1, 16)], ids=["dense keys", "arbitrary keys"]
)
def test_peak_memory(factor: int, most: int) -> None:
    n = 10**7
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(n), str(factor)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    taken = int(result.stdout)
    # The members and the offsets of the groups alone take more than 4 bytes a row: the peak was seen.
    assert 4 * n < taken <= most * n
