#!/usr/bin/env bash
# HDF5 2.0 (h5py 3.16) lists chunks under places that are not theirs where the second axis of a chunked data set has
# no limit and the first one has: its extensible array keeps the axes in another order, and `H5Dchunk_iter` and
# `H5Dget_chunk_info` tell that order. Who reads chunks by such a list, past HDF5, gets values of other rows. Reading
# through HDF5 is right, and so is the list of a file of the earliest format.
#
# Seen: shape (20, 8), chunks (4, 2), maxshape (20, None), libver "latest": the chunk that holds row 4, column 0 is
# listed at (0, 2). With maxshape (None, 8), or libver "earliest", it is listed at (4, 0).
# Expected: (4, 0) in all cases. The script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q h5py==3.16.0 numpy==2.4.6
cat >"$work/run.py" <<'PYTHON'
import sys

import h5py
import numpy as np


def place(libver: str, maxshape: tuple[int | None, int | None]) -> tuple[int, ...]:
    with h5py.File("x.h5", "w", libver=libver) as file:
        data = file.create_dataset("x", (20, 8), "i4", chunks=(4, 2), maxshape=maxshape)
        data[4:8, 0:2] = 7
        file.flush()
        assert np.argwhere(data[:] == 7)[0].tolist() == [4, 0]  # HDF5 itself reads it where it was written
        listed = []
        data.id.chunk_iter(lambda chunk: listed.append(tuple(chunk.chunk_offset)))
        assert len(listed) == 1
        return listed[0]


wrong = place("latest", (20, None))
right = [place("earliest", (20, None)), place("latest", (None, 8)), place("latest", (None, None))]
print(f"HDF5 {h5py.version.hdf5_version}: listed at {wrong}, in the other cases at {right}")
sys.exit(0 if wrong != (4, 0) and set(right) == {(4, 0)} else "the behaviour has changed")
PYTHON
cd "$work"
"$work/venv/bin/python" "$work/run.py"
