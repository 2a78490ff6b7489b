"""Work space of the core stays bounded: what a large window took is given back once it is made."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np, tombola

def used():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

tombola.set_num_threads(1)
n = 10_000_000
tombola.Streaming(shuffle=True).plan(1000, batch_size=64)[0]
before = used()
strategy = tombola.Streaming(shuffle=True)
strategy.plan(n, batch_size=64, fetch_factor=n // 64 + 1)[0]
tombola.permutation(n)
tombola.BlockWeightedSampling(None).plan(n, batch_size=64, fetch_factor=n // 64 + 1)[0]
print(used() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_window_leaves_little_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=300
    )
    assert int(done.stdout) < 24 * 2**20  # a window is 80 MB
