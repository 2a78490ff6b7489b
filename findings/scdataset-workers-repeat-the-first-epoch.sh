#!/usr/bin/env bash
# scDataset 0.3.0 under torch 2.13.0: with worker processes that do not persist, which is torch's default, every
# epoch has the batches of the first one. The data set counts epochs in __iter__, which runs in the worker's copy;
# that copy ends with the epoch, and the original, which is copied again, has counted nothing. And ranks that share
# an epoch get unequal numbers of batches, so that those with more wait for the others in an all-reduce.
#
# Seen: two epochs of one worker are the same 32 batches; without workers they differ. 32 batches of 3 ranks are
# 12, 12 and 8. Expected: a new order each epoch either way; as many batches for each rank, or a warning.
# The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 scdataset==0.3.0
cat >"$work/run.py" <<'PYTHON'
import sys

import numpy as np
from scdataset import BlockShuffling, scDataset
from torch.utils.data import DataLoader


def is_repeated(workers: int) -> bool:
    data = scDataset(np.arange(1_000), BlockShuffling(block_size=16), batch_size=32, fetch_factor=4, seed=0)
    loader = DataLoader(data, batch_size=None, num_workers=workers)
    first, second = ([batch.tolist() for batch in loader] for _ in range(2))
    return first == second


ranks = [
    len(scDataset(np.arange(1_000), BlockShuffling(block_size=16), 32, 4, rank=rank, world_size=3, seed=0))
    for rank in range(3)
]
alone, in_worker = is_repeated(0), is_repeated(1)
print(f"the same batches again: without workers {alone}, with one {in_worker}; batches of ranks {ranks}")
sys.exit(0 if (alone, in_worker, ranks) == (False, True, [12, 12, 8]) else "the behaviour has changed")
PYTHON
"$work/venv/bin/python" "$work/run.py"
