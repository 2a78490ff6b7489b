"""Epochs of stored rows: which rows came is seen by their values, whoever read them."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.diversity import make_labels, mean_bits
from benchmarks.h5ad_data import GENES, VALUES, checksums, forget, reference_sums
from benchmarks.report.tasks import Call, Task

__all__ = ["epochs", "row_sums", "taken"]

Rows = npt.NDArray[np.int64]
WEIGHTS = (np.arange(GENES, dtype=np.float64) + 1) ** 2


def epochs(
    call: Call,
    path: Path,
    batches: Callable[[], Iterable[Any]],
    *,
    window: int,
    repeats: bool = False,
    note: str = "",
) -> Task:
    """Return the task of reading an epoch, or its beginning where it takes longer than the call allows.

    Parameters
    ----------
    call : Call
        Its option ``cold`` says that the system forgets the file before each time, ``bits`` that it is told
        how mixed batches are.
    path : Path
        The file or folder that is read.
    batches : callable
        Gives the batches of an epoch: tensors, SciPy's CSR or arrays.
    window : int
        Rows that are read at once: one that was begun counts whole, so that it is used up.
    repeats : bool
        Whether a row may come more than once.
    note : str
    """
    most = 4 * call.seconds + 2
    rows, complete = _rows(call, batches, most)
    seen = np.bincount(np.concatenate(rows), minlength=call.n)
    assert repeats or int(seen.max()) == 1
    assert repeats or not complete or int(seen.min()) == 1
    labels = make_labels(call.n) if call.options.get("bits") else {}

    return Task(
        lambda: taken(batches(), call.seconds, window),
        before=(lambda: forget(path)) if call.options.get("cold") else None,
        note=note,
        bits={name: mean_bits(codes, rows) for name, codes in labels.items()},
    )


def taken(
    batches: Iterable[Any], seconds: float, window: int, use: Callable[[Any], object] = lambda x: None
) -> int:
    """Use batches until their end, or until after so many seconds a window is used up; return their rows."""
    count, stop = 0, time.perf_counter() + seconds
    for x in batches:
        use(x)
        count += x.shape[0]
        if count % window == 0 and time.perf_counter() > stop:
            break
    return count


def _rows(call: Call, batches: Callable[[], Iterable[Any]], most: float) -> tuple[list[Rows], bool]:
    """Return the rows of each batch that is read in so many seconds, and whether these are all."""
    made = reference_sums(call.n)
    order = np.argsort(made)
    found, stop = [], time.perf_counter() + most
    for x in batches():
        sums = row_sums(x)
        places = np.minimum(np.searchsorted(made, sums, sorter=order), call.n - 1)
        rows = order[places]
        assert np.array_equal(made[rows], sums), "a row is not what was written"
        found.append(rows)
        if time.perf_counter() > stop:
            return found, False
    return found, True


def row_sums(x: Any) -> npt.NDArray[np.float64]:
    """Return a number for each row of a batch that every value and column enters."""
    if hasattr(x, "indptr"):
        columns, values = x.indices, x.data
    elif "crow_indices" in dir(x) and "sparse" in str(x.layout):
        columns, values = x.col_indices().numpy(), x.values().numpy()
    else:
        return np.asarray(np.asarray(x, dtype=np.float64) @ WEIGHTS)
    shape = (x.shape[0], VALUES)
    return checksums(columns.reshape(shape), values.reshape(shape))
