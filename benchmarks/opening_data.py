"""Files to be opened: row pointers, labels and names are real, values were never written and take no disk.

Rows hold about 1,500 values (log-normal). Labels are those of a screen by plates: 50 cell lines, 379 drugs, 4
and 26 mechanisms, as categoricals whose codes take one byte a row but for the drugs' two. Row names are real
in small files; in big ones they are empty text that takes no disk, which ours does not read. Files are
written once into the cache folder of `h5ad_data`: 100 million rows take 1.3 GB.
"""

import os
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np

__all__ = ["GENES", "LABELS", "label_sums", "plates"]

GENES = 20_000
LABELS = {"cell_line": 50, "drug": 379, "moa_broad": 4, "moa_fine": 26}
MOST_NAMES = 10**7
FORMAT = 2
"""Version of what is written; it is part of the folder's name."""

_MEAN_LOG, _SIGMA_LOG = np.log(1_500), 0.45
_CHUNK = 24_000


def plates(n_files: int, rows: int) -> Path:
    """Return a folder of so many files that hold so many rows together, written if it is not there."""
    cache = Path(os.environ.get("TOMBOLA_BENCH_DATA") or Path(tempfile.gettempdir()) / "tombola-bench")
    folder = cache / f"opening-{FORMAT}-{n_files}-{rows}"
    if not folder.exists():
        part = folder.with_suffix(f".{os.getpid()}.part")
        try:
            part.mkdir(parents=True)
            bounds = np.linspace(0, rows, n_files + 1).astype(np.int64)
            for number, size in enumerate(np.diff(bounds).tolist()):
                _write(part / f"plate_{number:04}.h5ad", size, number, names=rows <= MOST_NAMES)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def label_sums(folder: Path) -> list[int]:
    """Return the sum of the codes of each label over the files of a folder, by h5py."""
    sums = dict.fromkeys(LABELS, 0)
    for path in folder.glob("*.h5ad"):
        with h5py.File(path, "r") as file:
            for name in LABELS:
                sums[name] += int(file[f"obs/{name}/codes"][()].sum(dtype=np.int64))
    return list(sums.values())


def _write(path: Path, rows: int, seed: int, *, names: bool) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.exp(rng.normal(_MEAN_LOG, _SIGMA_LOG, rows)).astype(np.int64).clip(1, GENES)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [rows, GENES]})
        x.create_dataset("indptr", data=indptr)
        for name, kind in (("data", "f4"), ("indices", "i4")):
            x.create_dataset(name, (int(indptr[-1]),), kind, chunks=(_CHUNK,))
        _write_frame(file, "var", [f"gene_{i}" for i in range(GENES)], GENES)
        obs = _write_frame(file, "obs", [f"{seed}-{i}" for i in range(rows)] if names else None, rows)
        obs.attrs["column-order"] = np.array(list(LABELS), dtype=h5py.string_dtype())
        for name, n_labels in LABELS.items():
            column = obs.create_group(name)
            column.attrs.update({**_encoding("categorical"), "ordered": False})
            codes = rng.integers(0, n_labels, rows).astype(np.int8 if n_labels < 128 else np.int16)
            column.create_dataset("codes", data=codes).attrs.update(_encoding("array"))
            _write_text(column, "categories", [f"{name}_{i:03}" for i in range(n_labels)], n_labels)
    whole = path.stat().st_size + 8 * int(indptr[-1])
    os.truncate(path, whole)  # as large as it says that it is, by a hole: less is refused as damaged


def _write_frame(file: h5py.File, name: str, index: list[str] | None, size: int) -> h5py.Group:
    frame = file.create_group(name)
    frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    frame.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
    _write_text(frame, "_index", index, size)
    return frame


def _write_text(group: h5py.Group, name: str, values: list[str] | None, size: int) -> None:
    kind = h5py.string_dtype()
    if values is None:
        made = group.create_dataset(name, (size,), dtype=kind, chunks=(_CHUNK,))
    else:
        made = group.create_dataset(name, data=np.array(values, dtype=object), dtype=kind)
    made.attrs.update(_encoding("string-array"))


def _encoding(kind: str) -> dict[str, str]:
    return {"encoding-type": kind, "encoding-version": "0.2.0"}
