"""Plates and a train.yaml for the tests of the commands that train."""

from pathlib import Path
from typing import Any

import yaml

from tombola.experiments import PlateDesign, make_plates

DESIGN = PlateDesign(
    n_plates=5, cells_per_plate=320, n_genes=30, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
)


def make_files(folder: Path) -> Path:
    """Make plates and return their folder."""
    return make_plates(folder, DESIGN)[0].parent


def write_yaml(path: Path, **values: Any) -> Path:
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def train_yaml(folder: Path, plates: Path, **values: Any) -> Path:
    """Write a small training: 10 mini epochs of 2 files or 1, 20 batches each or fewer."""
    usual: dict[str, Any] = {
        "files": str(plates),
        "labels": ["drug", "cell_line"],
        "batch_size": 32,
        "fetch_factor": 4,
        "chunk_size": 2,
        "epochs": 2,
        "learning_rate": 3.0,
    }
    return write_yaml(folder / "train.yaml", **{**usual, **values})
