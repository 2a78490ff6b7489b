"""Experiments: everything wired together, for users to compare, train and search with.

- `six`: the six-strategy experiment, `tombola demo`, `run`, `experiment` and `report`. `open_data` opens h5ad
  files with label columns and a split, `run_experiment` trains and tests with each strategy and writes
  tables, records and a picture; `six.study` does so with several seeds, and does nothing twice.
- `plotting`: pictures of what these wrote, drawn from their tables. `run_all` is `tombola experiment` under
  another name.
- `train`: `tombola train`, a classifier trained over many files in mini epochs as train.yaml says.
- `sweep`: `tombola sweep`, a search over the options of `train`; needs Optuna.
- `suggestion`: which options suit some files, for `tombola inspect`.
- `plates`: `make_plates` makes a small multi-plate data set, which `h5ad_writer` writes.

What they share lies beside them: `labels` (obs columns as class codes), `model` (what is trained, and its
rows), `pictures` (how all of them draw), `config_files` (YAML, checked), `file_names` (files by pattern).

In: h5ad files and options. Out: trained models, tables, records, pictures.
May import: every room but `cli`. This and the command line are the only places that wire them together.
Within, `sweep` stands on `train`; `six` and `train` do not know each other.
"""

from .labels import Label
from .plates import PlateDesign, make_plates
from .six.config import STRATEGIES, ExperimentConfig
from .six.data import ExperimentData, open_data
from .six.runner import Outcome, Reporter, run_experiment
from .six.training import RunResult

__all__ = [
    "STRATEGIES",
    "ExperimentConfig",
    "ExperimentData",
    "Label",
    "Outcome",
    "PlateDesign",
    "Reporter",
    "RunResult",
    "make_plates",
    "open_data",
    "run_experiment",
]
