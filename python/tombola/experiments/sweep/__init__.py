"""A sweep over the options of `tombola train`: Optuna chooses, trials end early at mini-epoch boundaries.

It needs Optuna, the extra ``sweep``. `make_plan` checks what to try, `run_sweep` tries it in a single call,
which can be killed and called again.

In: sweep.yaml and what `train` takes. Out: a study, tables, a picture, the best configuration.
May import: as `train`, and `train`.
"""

from .config import Range, SweepPlan, make_plan, read_sweep_config
from .study import SweepOutcome, TrialResult, run_sweep

__all__ = ["Range", "SweepOutcome", "SweepPlan", "TrialResult", "make_plan", "read_sweep_config", "run_sweep"]
