#!/usr/bin/env bash
# hdf5plugin 7.1.0's filters Blosc and Blosc2 divide by zero where the values are text of variable length, and so end the
# process by SIGFPE. anndata hands the filter that it is given to every data set, names of rows and columns included, so
# `write_h5ad(compression=hdf5plugin.Blosc.filter_id, ...)` cannot be used. Files with Blosc come from other writers,
# such as snapatac2. Zstd and LZ4 write text.
#
# Seen: a data set of three texts ends the process.
# Expected: it is written. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q h5py==3.16.0 hdf5plugin==7.1.0 numpy==2.4.6
cat >"$work/run.py" <<'PYTHON'
import signal
import subprocess
import sys

WRITE = """
import sys
import h5py, hdf5plugin
with h5py.File(sys.argv[1] + ".h5", "w") as file:
    codec = getattr(hdf5plugin, sys.argv[1])()
    file.create_dataset("x", data=["a", "b", "c"], dtype=h5py.string_dtype(), chunks=(3,), **codec)
"""
ended = {
    name: subprocess.run([sys.executable, "-c", WRITE, name], check=False).returncode
    for name in ("Blosc", "Blosc2", "Zstd", "LZ4")
}
print(ended)
expected = {"Blosc": -signal.SIGFPE, "Blosc2": -signal.SIGFPE, "Zstd": 0, "LZ4": 0}
sys.exit(0 if ended == expected else "the behaviour has changed")
PYTHON
cd "$work"
"$work/venv/bin/python" "$work/run.py"
