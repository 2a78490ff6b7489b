"""What has one entry a row besides matrices: obs, and the arrays and data frames of obsm, in the new order.

Of one input every encoding of anndata is known, since 0.6: records, columns that are arrays, text,
categoricals (two forms) and nullable ones. What is not known is left out, and a note says so.
"""

import logging
from dataclasses import dataclass, field

import h5py
import numpy as np

from ..sources.h5ad.elements import attribute, decoded, encoding
from ..sources.h5ad.errors import reading
from .options import RepackOptions
from .order import RowOrder
from .rows import Inputs, RangeOfRows, RowValues, StoredRows, write_rows

__all__ = ["Assembly", "add_column", "copy_attributes", "write_element", "write_frame"]

_logger = logging.getLogger("tombola.repacking")
_OLD_CATEGORIES = "__categories"


@dataclass
class Assembly:
    """The output while it is put together.

    Parameters
    ----------
    out
        The output.
    inputs
        The files.
    order, options
        Order of rows, and how they are written.
    notes
        What is left out and why, one line each; also logged.
    written
        Each dataset with one value a row, and where these come from.
    """

    out: h5py.File
    inputs: Inputs
    order: RowOrder
    options: RepackOptions
    notes: list[str] = field(default_factory=list)
    written: list[tuple[str, RowValues]] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something that the user should know."""
        self.notes.append(text)
        _logger.warning(text)

    def rows(self, name: str, values: RowValues | None = None) -> h5py.Dataset:
        """Write a dataset; by default that of this name in the inputs, with its attributes."""
        found = StoredRows(self.inputs, name) if values is None else values
        dataset = write_rows(self.out, name, found, self.order, self.options)
        self.written.append((name, found))
        if values is None:
            copy_attributes(self.inputs[0][name], dataset)
        return dataset

    @property
    def keeps_rows(self) -> bool:
        """Whether the output has the rows of one input as they were."""
        return len(self.inputs) == 1 and not self.order.is_shuffled

    def copy(self, name: str) -> None:
        """Copy an element of the first input as it is."""
        parent = name.rpartition("/")[0]
        with reading(self.inputs.paths[0], name):
            target = self.out.require_group(parent) if parent else self.out
            self.inputs[0].copy(name, target, name.split("/")[-1])
        mend_categories(self.out[name])


def copy_attributes(source: h5py.HLObject, target: h5py.HLObject) -> None:
    """Copy attributes but references, which mean nothing in another file."""
    for name in source.attrs:
        value = source.attrs[name]
        if not isinstance(value, h5py.Reference):
            target.attrs.create(name, value, dtype=source.attrs.get_id(name).dtype)


def mend_categories(element: h5py.HLObject) -> None:
    """Let columns of anndata 0.7 below a group refer to their categories in this file again."""
    if not isinstance(element, h5py.Group):
        return
    for column in element.get(_OLD_CATEGORIES, ()):
        if column in element:
            element[column].attrs["categories"] = element[f"{_OLD_CATEGORIES}/{column}"].ref
    for name in element:
        child = element.get(name)
        if isinstance(child, h5py.Group) and name != _OLD_CATEGORIES:
            mend_categories(child)


def write_frame(assembly: Assembly, name: str) -> None:
    """Write a data frame of the only input."""
    frame = assembly.inputs[0][name]
    if isinstance(frame, h5py.Dataset):
        assembly.rows(name)
        return
    out = assembly.out.create_group(name)
    copy_attributes(frame, out)
    left_out = []
    for column in frame:
        if column == _OLD_CATEGORIES:
            assembly.copy(f"{name}/{column}")
        elif not write_element(assembly, f"{name}/{column}"):
            left_out.append(column)
    mend_categories(out)
    if left_out:
        kept = [column for column in column_order(frame) if column not in left_out]
        set_column_order(out, kept)


def write_element(assembly: Assembly, name: str) -> bool:
    """Write an element with an entry a row, and tell whether that could be done; else a note says why not."""
    element, n = assembly.inputs[0].get(name), assembly.order.n
    kind = encoding(element) if element is not None else "a broken link"
    if isinstance(element, h5py.Dataset) and element.shape and element.shape[0] == n:
        assembly.rows(name)
        return True
    if isinstance(element, h5py.Group) and (kind == "categorical" or kind.startswith("nullable-")):
        copy_attributes(element, assembly.out.create_group(name))
        for part in element:
            if part in ("codes", "values", "mask") and isinstance(element[part], h5py.Dataset):
                assembly.rows(f"{name}/{part}")
            else:
                assembly.copy(f"{name}/{part}")
        return True
    if isinstance(element, h5py.Group) and kind == "dataframe":
        write_frame(assembly, name)
        return True
    assembly.note(f"{name} is left out: what is encoded as {kind!r} cannot be put in another order")
    return False


def column_order(frame: h5py.Group) -> list[str]:
    """Return the columns of a data frame as it lists them."""
    listed = attribute(frame, "column-order")
    return [] if listed is None else decoded(np.asarray(listed), "column-order")


def set_column_order(frame: h5py.Group, names: list[str]) -> None:
    """Replace the list of columns."""
    text = h5py.string_dtype()
    frame.attrs.create("column-order", np.array(names, dtype=object), dtype=text)


def add_column(assembly: Assembly) -> None:
    """Add to obs which row of the inputs a row was; to uns where obs are records, as before 0.7."""
    name, obs = assembly.options.row_column, assembly.out["obs"]
    values = RangeOfRows(assembly.order.n)
    if isinstance(obs, h5py.Dataset):
        assembly.note(f"{name} is in uns/tombola_repack, as obs are records, to which no column can be added")
        dataset = assembly.rows(f"uns/tombola_repack/{name}", values)
    else:
        dataset = assembly.rows(f"obs/{name}", values)
        set_column_order(obs, [*column_order(obs), name])
    dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
