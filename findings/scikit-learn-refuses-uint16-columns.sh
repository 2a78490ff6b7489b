#!/usr/bin/env bash
# Column indices stored as uint16 in an h5ad file: anndata 0.12.19 reads them, in memory as uint16, backed as int32;
# SciPy 1.17.1 gives right results with them; scikit-learn 1.9.1 takes the matrix in some places only.
#
# Seen: SciPy warns of a "non-integer dtype" in sums of two such matrices; TruncatedSVD, SGDClassifier and
# StandardScaler of scikit-learn refuse them. So `tombola repack` writes int32.
# Expected: indices of any integer type are taken, or converted. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q anndata==0.12.19 h5py==3.16.0 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 \
    scikit-learn==1.9.1
cat >"$work/run.py" <<'PYTHON'
import sys
import warnings

import anndata
import h5py
import numpy as np
import scipy.sparse as sp
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("ignore")
x = sp.random(500, 40_000, density=0.02, format="csr", dtype=np.float32, random_state=1)
anndata.AnnData(x).write_h5ad("x.h5ad")
with h5py.File("x.h5ad", "r+") as file:
    indices = file["X/indices"][()]
    del file["X/indices"]
    file["X/indices"] = indices.astype(np.uint16)
made = anndata.read_h5ad("x.h5ad").X
assert made.indices.dtype == np.uint16
assert anndata.read_h5ad("x.h5ad", backed="r").X[[3, 1, 400]].indices.dtype == np.int32
assert abs(made @ made.T - x @ x.T).max() < 1e-3
assert (made + made != x + x).nnz == 0
assert (sp.hstack([made, made]) != sp.hstack([x, x])).nnz == 0
found = {}
for name, run in {
    "TruncatedSVD": lambda: TruncatedSVD(3).fit_transform(made),
    "SGDClassifier": lambda: SGDClassifier(max_iter=5).fit(made, np.arange(500) % 2),
    "StandardScaler": lambda: StandardScaler(with_mean=False).fit_transform(made),
}.items():
    try:
        run()
        found[name] = "taken"
    except (TypeError, ValueError) as error:
        found[name] = "refused"
        print(name, "refuses:", str(error)[:80])
sys.exit(0 if set(found.values()) == {"refused"} else f"the behaviour has changed: {found}")
PYTHON
cd "$work" && "$work/venv/bin/python" "$work/run.py"
