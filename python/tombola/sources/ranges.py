"""Gathering ranges of an array one after the other: the inner step of reading rows and of cutting batches.

Long ranges are copied as slices, at the speed of memcpy. Ranges of a few values go through one index array,
as the cost of a slice (some 150 ns) would dominate there. O(values copied + ranges).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

SLICE_BYTES = 512
"""Mean length of a range from which on slices are the faster way (measured)."""


def gather_ranges(
    values: npt.NDArray[Any],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Concatenate `values[starts[i] : starts[i] + lengths[i]]` over all i, along the first axis.

    Parameters
    ----------
    values
        Array to copy from; the ranges must lie inside its first axis.
    starts, lengths
        int64, equally long.
    out
        Array to fill, whose first axis is `lengths.sum()`. By default a new one of the dtype of `values`.
    """
    total = int(lengths.sum())
    if out is None:
        out = np.empty((total, *values.shape[1:]), dtype=values.dtype)
    if total == 0:
        return out
    row_bytes = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    if total * row_bytes >= SLICE_BYTES * len(starts):
        stops = starts + lengths
        pieces = [values[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
        np.concatenate(pieces, out=out, casting="unsafe")
    else:
        before = np.cumsum(lengths) - lengths
        where = np.arange(total, dtype=np.int64)
        where += np.repeat(starts - before, lengths)
        if out.dtype == values.dtype:
            np.take(values, where, axis=0, out=out, mode="clip")
        else:
            out[...] = values[where]
    return out
