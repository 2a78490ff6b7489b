"""The output: an HDF5 file put together from the log of chunks and from what the inputs hold besides.

Chunks are written as they are, without HDF5's pipeline; obs and obsm go to the new order; what has no entry a
row is copied. Nothing is left out without a note. O(bytes).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .._version import __version__
from .chunk_log import ChunkLog
from .datasets import chunk_shape
from .encode import create_dataset
from .frames import Assembly, add_column, copy_attributes, write_element, write_frame
from .joined import same_arrays, write_array, write_joined_obs
from .matrices import MatrixIn
from .write import DATASETS

__all__ = ["assemble"]

FACTS = "tombola_repack"
_BY_VAR = ("var", "uns", "varm", "varp", "raw.var", "raw.varm")
_CSR = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}
_DENSE = {"encoding-type": "array", "encoding-version": "0.2.0"}
_DICT = {"encoding-type": "dict", "encoding-version": "0.1.0"}


def assemble(assembly: Assembly, matrices: Sequence[MatrixIn], totals: Sequence[int], log: ChunkLog) -> None:
    """Write everything into the output.

    Parameters
    ----------
    assembly
        The output and the inputs.
    matrices, totals
        The matrices in the log, and how many values each has.
    log
        Their chunks.
    """
    out, first = assembly.out, assembly.inputs[0]
    copy_attributes(first, out)
    keys = {matrix.key for matrix in matrices}
    for name in first:
        if name in keys:
            continue
        if name in ("layers", "obsm", "raw"):
            _write_children(assembly, name, keys)
        elif name == "obs":
            _write_obs(assembly, matrices)
        elif name in _BY_VAR or (name == "X" and len(assembly.inputs) == 1):
            _copy_by_var(assembly, name)
        else:
            _copy_or_leave(assembly, name)
    _name_others(assembly)
    for number, matrix in enumerate(matrices):
        _make_datasets(assembly, matrix, totals[number])
    _write_chunks(assembly, matrices, log)
    _write_facts(assembly)


def _write_obs(assembly: Assembly, matrices: Sequence[MatrixIn]) -> None:
    if assembly.keeps_rows:
        assembly.copy("obs")
        return
    if len(assembly.inputs) == 1:
        write_frame(assembly, "obs")
    else:
        write_joined_obs(assembly, matrices[0].source)


def _write_children(assembly: Assembly, name: str, keys: Iterable[str]) -> None:
    """Write a group of elements, some of which are matrices in the log."""
    group = assembly.inputs[0][name]
    if isinstance(group, h5py.Dataset):  # obsm as records, before 0.7
        if len(assembly.inputs) == 1:
            assembly.rows(name)
        else:
            assembly.note(f"{name} is left out: the inputs keep it as records")
        return
    if name == "raw" and "raw/X" not in keys and not assembly.keeps_rows:
        if len(assembly.inputs) == 1:
            assembly.note("raw is left out: it has no X that can be read")
        return
    copy_attributes(group, assembly.out.require_group(name))
    for child in group:
        key = f"{name}/{child}"
        if key in keys:
            continue
        if any(other.startswith(f"{key}/") for other in keys):
            _write_children(assembly, key, keys)
        elif name == "raw":
            _copy_by_var(assembly, key)
        elif assembly.keeps_rows:
            assembly.copy(key)
        elif len(assembly.inputs) > 1:
            if name == "obsm":
                _join_or_leave(assembly, key)
        elif name == "obsm":
            write_element(assembly, key)
        else:
            assembly.note(f"{key} is left out: it is no matrix that can be read")


def _join_or_leave(assembly: Assembly, key: str) -> None:
    """Write an element of obsm of several inputs, if it is an array of one kind in all of them."""
    if same_arrays(assembly, key):
        assembly.rows(key)
    elif not any(note.startswith(f"{key} is left out") for note in assembly.notes):
        assembly.note(f"{key} is left out: not all inputs have it as an array of one type and width")


def _name_others(assembly: Assembly) -> None:
    """Say what the first input has not got, and others have."""
    said: set[str] = set()
    for number in range(1, len(assembly.inputs)):
        file = assembly.inputs[number]
        names = [*file, *(f"obsm/{name}" for name in file.get("obsm", ()))]
        for name in names:
            is_new = name not in said and name not in assembly.inputs[0] and not _is_empty(file.get(name))
            is_said = any(note.startswith(f"{name} is left out") for note in assembly.notes)
            if is_new and not is_said and name not in ("layers", "raw", "obsm"):
                assembly.note(f"{name} is left out: {assembly.inputs.paths[0]} has not got it")
            said.add(name)


def _leave_out_graphs(assembly: Assembly) -> None:
    """Leave out what older files keep in uns with an entry a pair of rows, whose order is another one now."""
    for name in ("uns/neighbors/connectivities", "uns/neighbors/distances"):
        if isinstance(assembly.out.get(name), h5py.Group):
            del assembly.out[name]
            assembly.note(f"{name} is left out: it names rows by their old numbers")


def _copy_by_var(assembly: Assembly, name: str) -> None:
    """Copy what has no entry a row; of several inputs only what names the columns."""
    is_frame = name in ("var", "raw/var", "raw.var")
    element = assembly.inputs[0].get(name)
    if len(assembly.inputs) == 1 or is_frame:
        assembly.copy(name)
        if name == "uns" and not assembly.keeps_rows:
            _leave_out_graphs(assembly)
        if len(assembly.inputs) > 1 and isinstance(element, h5py.Group) and len(element) > 1:
            assembly.note(f"{name} is that of the first input: its other columns were not compared")
    elif not _is_empty(element):
        assembly.note(f"{name} is left out: several inputs have one each")


def _copy_or_leave(assembly: Assembly, name: str) -> None:
    """Copy what may have entries for rows, if rows are as they were."""
    if assembly.keeps_rows:
        assembly.copy(name)
    elif not _is_empty(assembly.inputs[0].get(name)):
        why = "several inputs have one each" if len(assembly.inputs) > 1 else "it is not put in the new order"
        assembly.note(f"{name} is left out: {why}")


def _is_empty(element: Any) -> bool:
    return isinstance(element, h5py.Group) and not len(element)


def _make_datasets(assembly: Assembly, matrix: MatrixIn, n_values: int) -> None:
    out, options = assembly.out, assembly.options
    if not matrix.is_sparse:
        shape = (matrix.n_rows, matrix.n_columns)
        chunk = chunk_shape(shape, options)
        dataset = create_dataset(out, matrix.key, shape, matrix.dtype, chunk, options)
        dataset.attrs.update(_DENSE)
        return
    group = out.create_group(matrix.key)
    group.attrs.update({**_CSR, "shape": np.array([matrix.n_rows, matrix.n_columns], dtype=np.int64)})
    chunk = chunk_shape(None, options)
    for name, length, kind in (
        ("data", n_values, matrix.dtype),
        ("indices", n_values, matrix.index_dtype),
        ("indptr", matrix.n_rows + 1, matrix.indptr_dtype),
    ):
        create_dataset(group, name, (length,), kind, chunk, options)


def _write_chunks(assembly: Assembly, matrices: Sequence[MatrixIn], log: ChunkLog) -> None:
    datasets: dict[int, h5py.Dataset] = {}
    for number, matrix in enumerate(matrices):
        for k, part in enumerate(DATASETS if matrix.is_sparse else [""]):
            datasets[3 * number + k] = assembly.out[f"{matrix.key}/{part}".rstrip("/")]
    written = dict.fromkeys(datasets, 0)
    for number, mask, content in log:
        dataset, at = datasets[number], written[number]
        offset = (at, *(0 for _ in dataset.shape[1:]))
        dataset.id.write_direct_chunk(offset, content, filter_mask=mask)
        written[number] = at + dataset.chunks[0]


def _write_facts(assembly: Assembly) -> None:
    """Say in uns where the file comes from."""
    uns = assembly.out.require_group("uns")
    if not len(uns.attrs):
        uns.attrs.update(_DICT)
    if FACTS in uns:  # of a repacking before this one
        del uns[FACTS]
    group = uns.require_group(FACTS)
    group.attrs.update(_DICT)
    order, options = assembly.order, assembly.options
    facts: dict[str, Any] = {"version": __version__, "shuffled": order.is_shuffled}
    if order.is_shuffled:
        facts |= {"seed": options.seed, "row_column": options.row_column}
    for name, value in facts.items():
        kind = "string" if isinstance(value, str) else "numeric-scalar"
        stored = h5py.string_dtype() if isinstance(value, str) else None
        group.create_dataset(name, data=value, dtype=stored).attrs.update(
            {"encoding-type": kind, "encoding-version": "0.2.0"}
        )
    names = [Path(path).name for path in assembly.inputs.paths]
    write_array(group, "inputs", np.array(names, dtype=np.str_))
    if order.is_shuffled:
        add_column(assembly)
