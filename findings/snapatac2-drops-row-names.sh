#!/usr/bin/env bash
# snapatac2 2.10.0 drops the row names of the pandas data frames that `AnnData(obs=..., var=...)` is given, and says
# nothing: cells and genes are then called 0, 1, 2. A var that has names but no columns is not written at all. Who
# joins such a file with others by the names of cells or genes joins by position.
#
# Seen: cells "0" and "1" instead of "left" and "right", genes "0" to "2" instead of "A" to "C", no var in the file.
# Expected: the names, which anndata takes from the same data frames, or an error. The script fails when that changes.
# It needs Python 3.12; PYTHON says where that is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.12}" -m venv "$work/venv"
"$work/venv/bin/pip" install -q snapatac2==2.10.0 anndata==0.13.4 h5py==3.16.0 numpy==2.5.5 pandas==2.3.3 scipy==1.18.1
cat >"$work/run.py" <<'PYTHON'
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
import snapatac2

x = sp.csr_matrix(np.arange(6, dtype="u4").reshape(2, 3))
obs = pd.DataFrame({"n": [1, 2]}, index=["left", "right"])
var = pd.DataFrame(index=["A", "B", "C"])

theirs = anndata.AnnData(x, obs=obs, var=var)
assert (list(theirs.obs_names), list(theirs.var_names)) == (["left", "right"], ["A", "B", "C"])

data = snapatac2.AnnData(filename="cells.h5ad", X=x, obs=obs, var=var)
named = (list(data.obs_names), list(data.var_names))
data.close()
with h5py.File("cells.h5ad") as file:
    parts = sorted(file)
print(f"snapatac2 {snapatac2.__version__}: names {named}, the file has {parts}")
seen = named[0] == ["0", "1"] and named[1] != ["A", "B", "C"] and "var" not in parts
sys.exit(0 if seen else "the behaviour has changed")
PYTHON
cd "$work" && "$work/venv/bin/python" "$work/run.py"
