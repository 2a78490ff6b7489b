"""Pairs of one's own: a table, CSV or Parquet, with a pair a row.

Columns: ``series_id``, and for each feature F of an image ``winner_F`` and ``loser_F``, numbers.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from .data import PairData

__all__ = ["read_pairs"]


def read_pairs(path: Path) -> PairData:
    """Read a table of pairs.

    Raises
    ------
    OSError
        If the file cannot be read.
    ModuleNotFoundError
        If pyarrow is not there for a Parquet file.
    ValueError
        If it is neither CSV nor Parquet, a column is missing, or a value is missing or no number.
    """
    if path.suffix not in (".csv", ".parquet"):
        msg = f"pairs must be a .csv or .parquet file, but are {path}"
        raise ValueError(msg)
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except ImportError as error:  # pandas reads Parquet by another package
        raise ModuleNotFoundError(str(error), name="pyarrow") from error
    names = [name.removeprefix("winner_") for name in table.columns if str(name).startswith("winner_")]
    wanted = ["series_id", *(f"{side}_{name}" for name in names for side in ("winner", "loser"))]
    absent = [name for name in wanted if name not in table.columns]
    if absent or not names:
        expected = "series_id, winner_F and loser_F for each feature F"
        msg = f"{path} must have the columns {expected}, but lacks {', '.join(absent) or 'winner_F'}"
        raise ValueError(msg)
    if table["series_id"].isna().any():
        row = int(table["series_id"].isna().argmax())
        msg = f"{path}: every pair must have a series_id, but row {row} has none"
        raise ValueError(msg)
    sides = []
    for side in ("winner", "loser"):
        columns = [pd.to_numeric(table[f"{side}_{name}"], errors="coerce") for name in names]
        values = np.stack(columns, axis=1).astype(np.float32)
        bad = ~np.isfinite(values)
        if bad.any():
            row, column = map(int, np.argwhere(bad)[0])
            name = f"{side}_{names[column]}"
            came = table[name].tolist()[row]
            msg = f"{path}: features must be finite numbers, but {name} of row {row} is {came!r}"
            raise ValueError(msg)
        sides.append(values)
    pairs = np.arange(len(table))
    return PairData(
        features=np.concatenate(sides),
        winner=pairs,
        loser=pairs + len(table),
        series=pd.factorize(table["series_id"])[0].astype(np.int64),
        shared_margin=None,
    )
