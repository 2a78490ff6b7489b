"""What importing costs, in new processes: tombola by itself, and everything of it beside torch."""

import pytest

from benchmarks.figures import OURS, Figures, Work
from benchmarks.processes import import_seconds

ALONE = Work("import tombola", unit="s")
BESIDE_TORCH = Work("import tombola with every public name, over import torch", unit="s", target=0.3)
MOST_ROUNDS = 5

EVERYTHING = "import torch, tombola; [getattr(tombola, name) for name in tombola.__all__]"


def test_import(figures: Figures, pytestconfig: pytest.Config) -> None:
    rounds = max(1, min(MOST_ROUNDS, int(pytestconfig.getoption("--seconds"))))
    alone, numpy, torch, everything = import_seconds(
        ["import tombola", "import numpy", "import torch", EVERYTHING], rounds
    )
    assert min(alone, numpy, torch, everything) > 0
    figures.add(ALONE, OURS, alone, rounds=rounds, note=f"NumPy alone {numpy:.2f}")
    figures.add(BESIDE_TORCH, OURS, everything - torch, rounds=rounds, note=f"torch itself {torch:.2f}")
