#!/usr/bin/env bash
# Ray Train 2.60.0: prepare_data_loader with two workers throws the batch sampler of a DataLoader away. It puts a
# DistributedSampler in, with the DataLoader's batch_size, which is None there: single rows come, in order.
#
# Seen: batches of the rows [0, 1], [10, 11] become single rows of the whole data, without a word (with tensors
# instead of arrays the default collate_fn then raises a TypeError).
# Expected: the batches of the batch sampler, or an error. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 "ray[train]==2.60.0"
cat >"$work/run.py" <<'PYTHON'
import json
import os
import sys
from pathlib import Path

import numpy as np
import ray
import ray.train.torch
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from torch.utils.data import DataLoader


def train(config):
    data = np.arange(12.0)[:, None]
    loader = DataLoader(data, batch_sampler=[[0, 1], [10, 11]])
    prepared = ray.train.torch.prepare_data_loader(loader)
    rank = ray.train.get_context().get_world_rank()
    seen = [batch.flatten().tolist() for batch in prepared]
    (Path(config["folder"]) / f"{rank}.json").write_text(json.dumps(seen))


folder = Path(sys.argv[1])
os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
TorchTrainer(
    train,
    train_loop_config={"folder": str(folder)},
    torch_config=TorchConfig(backend="gloo"),
    scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=str(folder / "ray")),
).fit()
ray.shutdown()
shares = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
print("given: [[0, 1], [10, 11]]; the workers had", shares)
single_rows = [[[float(row)] for row in range(rank, 12, 2)] for rank in range(2)]
sys.exit(0 if shares == single_rows else "the behaviour has changed")
PYTHON
mkdir "$work/out"
"$work/venv/bin/python" "$work/run.py" "$work/out"
