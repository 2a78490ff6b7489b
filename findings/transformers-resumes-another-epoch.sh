#!/usr/bin/env bash
# transformers 5.24.0 (with accelerate 1.15.0) with two processes resumes within epoch 1 in the order of
# epoch 0: set_epoch of a batch sampler's sampler does not get through SkipBatchSampler around
# BatchSamplerShard. Rows of the epoch are lost, others come twice.
#
# Seen: the resumed pass takes the last batches of epoch 0's order, not of epoch 1's.
# Expected: what was left of epoch 1. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 accelerate==1.15.0 transformers==5.24.0
cat >"$work/run.py" <<'PYTHON'
import os
import sys

import torch
from torch.utils.data import BatchSampler, DataLoader, Sampler
from transformers import Trainer, TrainingArguments


class Turned(Sampler):
    """Rows in order, from another one on in each epoch."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 40

    def __iter__(self):
        return iter([(row + 7 * self.epoch) % 40 for row in range(40)])


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x):
        seen.append(x.flatten().int().tolist())
        return {"loss": self.layer(x).square().mean() * 0}


class MyTrainer(Trainer):
    def get_train_dataloader(self):
        data = [{"x": torch.tensor([float(row)])} for row in range(40)]
        return self.accelerator.prepare(DataLoader(data, batch_sampler=BatchSampler(Turned(), 4, False)))


def train(resume, **options):
    seen.clear()
    arguments = TrainingArguments(
        sys.argv[1], use_cpu=True, report_to=[], disable_tqdm=True, num_train_epochs=2, **options
    )
    MyTrainer(Model(), arguments).train(resume_from_checkpoint=resume)
    return list(seen)


seen = []
whole = train(None, save_strategy="no")
train(None, save_strategy="steps", save_steps=7, max_steps=7)  # 5 steps an epoch: two into epoch 1
resumed = train(f"{sys.argv[1]}/checkpoint-7", save_strategy="no")
torch.distributed.destroy_process_group()
if os.environ["RANK"] == "0":
    print("undisturbed, epoch 0:", whole[:5])
    print("undisturbed, epoch 1:", whole[5:])
    print("resumed, rest of it: ", resumed)
    is_so = resumed == whole[2:5] and resumed != whole[7:]
    sys.exit(0 if is_so else "the behaviour has changed")
PYTHON
"$work/venv/bin/python" -W ignore -m torch.distributed.run --standalone --nproc-per-node=2 "$work/run.py" "$work/out"
