#!/usr/bin/env bash
# anndata 0.12.19 writes the categories of a column that is missing throughout as float64, whatever the column is
# elsewhere: pandas gives such a column no categories, and an array of none of them has that type.
#
# Seen: a plate without annotations holds numbers as categories, the plate beside it text; read one by one, nothing
# says that both are one column of text.
# Expected: text, or a mark that there are none. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q anndata==0.12.19 h5py==3.16.0 numpy==2.4.6 pandas==2.3.3
cat >"$work/run.py" <<'PYTHON'
import sys

import anndata
import h5py
import numpy as np
import pandas as pd

found = {}
for name, values in {"annotated": ["T", "B"], "not yet": [None, None]}.items():
    obs = pd.DataFrame({"cell_type": pd.Categorical(values)}, index=["a", "b"])
    anndata.AnnData(np.ones((2, 1), dtype="f4"), obs=obs).write_h5ad("plate.h5ad")
    with h5py.File("plate.h5ad") as file:
        categories = file["obs/cell_type/categories"]
        found[name] = (str(categories.dtype), categories.shape)
print(found)
expected = {"annotated": ("object", (2,)), "not yet": ("float64", (0,))}
sys.exit(0 if found == expected else "the behaviour has changed")
PYTHON
cd "$work" && "$work/venv/bin/python" "$work/run.py"
