#!/usr/bin/env bash
# snapatac2 2.10.0 opens no h5ad file that anndata 0.13.4 writes beside pandas 3: the names of rows are then text of
# pandas' own type, which anndata stores as a group (values and mask, "nullable-string-array"), and snapatac2 takes
# them for a dataset. The same data written beside pandas 2 opens.
#
# Seen: "unable to synchronously open dataset: not a dataset" for pandas 3, two rows for pandas 2.
# Expected: two rows. The script fails when that changes. It needs Python 3.12; PYTHON says where that is.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3.12}
cat >"$work/write.py" <<'PYTHON'
import sys

import anndata
import numpy as np
import pandas as pd

obs = pd.DataFrame({"n": [1, 2]}, index=["left", "right"])
anndata.AnnData(np.ones((2, 1), dtype="f4"), obs=obs).write_h5ad(sys.argv[1])
PYTHON
cat >"$work/read.py" <<'PYTHON'
import sys

import snapatac2

found = []
for path in sys.argv[1:]:
    try:
        data = snapatac2.read(path, backed="r")
        found.append(str(data.n_obs))
        data.close()
    except BaseException as error:  # it is no Exception
        found.append("not a dataset" if "not a dataset" in str(error) else f"{type(error).__name__}: {error}")
print(f"snapatac2 {snapatac2.__version__}: pandas 2, pandas 3: {found}")
sys.exit(0 if found == ["2", "not a dataset"] else "the behaviour has changed")
PYTHON
for pandas in 2.3.3 3.0.3; do
    "$python" -m venv "$work/pandas-$pandas"
    "$work/pandas-$pandas/bin/pip" install -q anndata==0.13.4 h5py==3.16.0 numpy==2.5.5 "pandas==$pandas"
    "$work/pandas-$pandas/bin/python" "$work/write.py" "$work/$pandas.h5ad"
done
"$python" -m venv "$work/reader"
"$work/reader/bin/pip" install -q snapatac2==2.10.0 pandas==2.3.3 numpy==2.5.5
"$work/reader/bin/python" "$work/read.py" "$work/2.3.3.h5ad" "$work/3.0.3.h5ad"
