#!/usr/bin/env bash
# Lightning 2.6.6 predicts with another batch sampler than it was given: it makes a new one of the same class by
# (sampler, batch_size=..., drop_last=False), so every other option falls back to its default.
#
# Seen: a batch sampler made with start=10 predicts for all rows; with several devices training does the same.
# Expected: the options are kept, or an error. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 lightning==2.6.6
cat >"$work/run.py" <<'PYTHON'
import logging
import sys
import warnings

import lightning.pytorch as pl
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class From(BatchSampler):
    """Batches of the rows from `start` on."""

    def __init__(self, sampler, batch_size, drop_last, start=0):
        super().__init__(sampler, batch_size, drop_last)
        self.start = start

    def __iter__(self):
        return ([row for row in batch if row >= self.start] for batch in super().__iter__())


class Rows(pl.LightningModule):
    def predict_step(self, batch, _):
        return batch


sampler = From(SequentialSampler(range(20)), 5, False, start=10)
loader = DataLoader(range(20), batch_sampler=sampler, collate_fn=lambda rows: torch.tensor(rows, dtype=torch.long))
quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
given = torch.cat(list(loader)).tolist()
predicted = torch.cat(pl.Trainer(accelerator="cpu", devices=1, **quiet).predict(Rows(), loader)).tolist()
print("the DataLoader gives", given)
print("predicted for       ", predicted)
sys.exit(0 if given == list(range(10, 20)) and predicted == list(range(20)) else "the behaviour has changed")
PYTHON
cd "$work" && "$work/venv/bin/python" "$work/run.py"
