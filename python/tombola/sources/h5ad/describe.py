"""What there is to know about files and columns before training on them, JSON-able."""

from typing import Any

import h5py
import numpy as np

from ...labels.categorical import Categorical
from .errors import H5adError, reading
from .files import open_alone
from .layout import Contents, FileLayout
from .obs import ObsColumn
from .obs_table import ObsOptions, ObsTable
from .sparse import CsrMatrix

MAX_CLASSES = 1000
FIRST_FOREIGN = 256
"""Codes of filters from here on are registered by others than HDF5."""
CODECS = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2"}


def describe_file(layout: FileLayout) -> dict[str, Any]:
    """Describe one file and its matrix.

    Returns
    -------
    dict
        path, format (version), n_obs, n_vars, encoding, dtype, n_values, mean_row_values, and of the dataset
        that holds the values: chunks, chunk_rows (mean rows a chunk, None where stored by columns),
        compression, shuffle, bytes_on_disk (None of a virtual dataset, whose values lie in other files);
        and index_bytes_on_disk, None of a dense matrix.
    """
    matrix = layout.matrix
    is_sparse = isinstance(matrix, CsrMatrix)
    n_values = matrix.n_values if isinstance(matrix, CsrMatrix) else matrix.shape[0] * matrix.shape[1]
    per_row = n_values / max(matrix.shape[0], 1)
    with open_alone(layout.path) as file, reading(layout.path, matrix.name):
        values = file[f"{matrix.name}/data" if is_sparse else matrix.name]
        chunks = None if values.chunks is None else [int(size) for size in values.chunks]
        chunk_rows = None
        if chunks is not None and matrix.encoding != "csc":
            chunk_rows = chunks[0] / max(per_row, 1e-9) if is_sparse else float(chunks[0])
        return {
            "path": str(layout.path),
            "format": layout.written_by,
            "n_obs": layout.n_obs,
            "n_vars": matrix.shape[1],
            "encoding": matrix.encoding,
            "dtype": str(matrix.dtype),
            "n_values": n_values,
            "mean_row_values": per_row,
            "chunks": chunks,
            "chunk_rows": chunk_rows,
            "compression": _compression(values),
            "shuffle": bool(values.shuffle),
            "bytes_on_disk": None if values.is_virtual else int(values.id.get_storage_size()),
            "index_bytes_on_disk": (
                int(file[f"{matrix.name}/indices"].id.get_storage_size()) if is_sparse else None
            ),
        }


def describe_table(table: ObsTable) -> dict[str, dict[str, Any]]:
    """Describe all columns of obs, by name; of one that cannot be given kind "unreadable" and the error."""
    described = {}
    for name in table.names:
        try:
            described[name] = describe_obs(table.column(name))
        except H5adError as error:
            described[name] = {"kind": "unreadable", "error": str(error)}
    return described


def describe_contents(contents: Contents) -> dict[str, dict[str, Any]]:
    """Describe the columns of obs of a file whose matrices are of no concern."""
    return {} if contents.obs is None else describe_table(ObsTable([contents.obs], ObsOptions()))


def describe_obs(column: ObsColumn) -> dict[str, Any]:
    """Describe one column of obs.

    Returns
    -------
    dict
        kind ("categories", "text" or a dtype), missing (rows), and n_classes with counts (the most frequent
        first, at most `MAX_CLASSES`), or min and max.
    """
    values = column.values
    if column.categories is None:
        present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        return {
            "kind": str(values.dtype),
            "missing": len(values) - len(present),
            "min": present.min().item() if len(present) else None,
            "max": present.max().item() if len(present) else None,
        }
    codes = Categorical(values, column.categories)
    counts = codes.counts()
    order = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
    return {
        "kind": "text" if column.is_sorted else "categories",
        "missing": codes.n_missing,
        "n_classes": len(column.categories),
        "counts": {str(column.categories[i]): int(counts[i]) for i in order.tolist()},
    }


def _compression(values: h5py.Dataset) -> str | None:
    if values.compression not in (None, "unknown"):
        return str(values.compression)
    properties = values.id.get_create_plist()
    codes = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    foreign = [CODECS.get(code, f"filter {code}") for code in codes if code >= FIRST_FOREIGN]
    return foreign[0] if foreign else None
