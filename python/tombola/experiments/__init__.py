"""The six-strategy experiment: the same model, trained on batches chosen in six ways.

`make_plates` makes a small multi-plate data set, `open_data` opens h5ad files with label columns and a
split, `run_experiment` trains and tests with each strategy and writes tables, records and a picture.

In: h5ad files and options. Out: trained models, tables, records, pictures.
May import: every room but `cli`. This and the command line are the only places that wire them together.
"""

from .config import ExperimentConfig
from .data import ExperimentData, Label, open_data
from .plates import PlateDesign, make_plates
from .runner import Outcome, Reporter, run_experiment
from .strategies_table import STRATEGIES
from .training import RunResult

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
