"""The tables of keys in docs/training.md, written from the models that check them.

``python -m tests.docs.keys`` writes them anew.
"""

from pathlib import Path

from pydantic import BaseModel

from tombola.experiments.sweep.config import SweepFile
from tombola.experiments.train.config import TrainConfig
from tombola.experiments.train.keys import SWEEP_KEYS, TRAIN_KEYS, key_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
TABLES: dict[str, tuple[type[BaseModel], dict[str, str]]] = {
    "train.yaml": (TrainConfig, dict(TRAIN_KEYS)),
    "sweep.yaml": (SweepFile, dict(SWEEP_KEYS)),
}


def with_tables(page: str) -> str:
    """Return the page with its tables as they should be."""
    for name, (model, meanings) in TABLES.items():
        begin, end = f"<!-- keys of {name} -->", f"<!-- /keys of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{key_table(model, meanings)}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
