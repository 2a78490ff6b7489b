"""How many threads the core takes where nobody says a number: one in a worker of a DataLoader."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import torch, tombola
from torch.utils.data import DataLoader, Dataset

class Threads(Dataset):
    def __len__(self): return 3
    def __getitem__(self, row): return torch.tensor(tombola.get_num_threads())

if __name__ == "__main__":
    if sys.argv[2] != "-": tombola.set_num_threads(int(sys.argv[2]))
    before = tombola.get_num_threads() if sys.argv[3] == "asked" else None
    loader = DataLoader(Threads(), batch_size=None, num_workers=1, multiprocessing_context=sys.argv[1])
    seen = [int(threads) for threads in loader]
    print(*seen, tombola.get_num_threads())
"""


@pytest.mark.parametrize(
    ("method", "said", "asked"),
    [
        ("fork", "nobody", "asked"),
        ("fork", "nobody", "unasked"),
        ("fork", "program", "unasked"),
        ("fork", "environment", "asked"),
        ("spawn", "nobody", "unasked"),
        ("spawn", "environment", "unasked"),
    ],
)
def test_threads_in_a_worker(method: str, said: str, asked: str, tmp_path: Path) -> None:
    """`asked`: the parent process knew its own number before it forked."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this platform")
    script = tmp_path / "threads.py"
    script.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "TOMBOLA_NUM_THREADS"}
    if said == "environment":
        environment["TOMBOLA_NUM_THREADS"] = "3"
    command = [sys.executable, str(script), method, "3" if said == "program" else "-", asked]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    *workers, own = (int(word) for word in done.stdout.split())
    assert workers == [1 if said == "nobody" else 3] * 3
    assert own == 3 or said == "nobody"
