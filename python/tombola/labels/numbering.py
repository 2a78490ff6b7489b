"""Text columns as codes into their sorted distinct values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def factorize(
    values: Sequence[str], missing: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Give text as codes into its sorted distinct values; O(n + c log c) for c distinct values.

    Parameters
    ----------
    values
        Text of each row.
    missing
        Rows without a value, which get the code -1.

    Returns
    -------
    tuple
        Codes, int64, shape (n,), and categories, shape (c,).
    """
    seen: dict[str, int] = {}
    if missing is None:
        codes = (seen.setdefault(value, len(seen)) for value in values)
    else:
        gone = missing.tolist()
        codes = (
            -1 if skip else seen.setdefault(value, len(seen))
            for value, skip in zip(values, gone, strict=True)
        )
    first = np.fromiter(codes, dtype=np.int64, count=len(values))
    categories = sorted(seen)
    ranks = np.full(len(seen) + 1, -1, dtype=np.int64)
    for rank, value in enumerate(categories):
        ranks[seen[value]] = rank
    return ranks[first], np.array(categories, dtype=np.str_)
