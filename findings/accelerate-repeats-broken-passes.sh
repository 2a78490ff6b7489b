#!/usr/bin/env bash
# Accelerate 1.15.0 shuffles a pass in the same order again after a pass that was broken off, and after
# skip_first_batches: a prepared DataLoader sets the epoch from its own count, which moves at the end of a
# pass only, and the copy that skips has a count of its own.
#
# Seen: the order after a break, and after a resumed pass, is that of the pass before.
# Expected: another order, as from torch's DataLoader. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 accelerate==1.15.0
cat >"$work/run.py" <<'PYTHON'
import sys
from itertools import islice

from accelerate import Accelerator, DataLoaderConfiguration, skip_first_batches
from torch.utils.data import DataLoader

accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True))
loader = accelerator.prepare(DataLoader(range(20), batch_size=5, shuffle=True))
broken_off = [batch.tolist() for batch in islice(loader, 2)]
resumed = [batch.tolist() for batch in skip_first_batches(loader, 2)]
again = [batch.tolist() for batch in loader]
after = [batch.tolist() for batch in loader]
print("broken off ", broken_off)
print("the rest   ", resumed)
print("next pass  ", again)
print("and another", after)
same = again == broken_off + resumed and after != again
sys.exit(0 if same else "the behaviour has changed")
PYTHON
"$work/venv/bin/python" "$work/run.py"
