"""Reading whole small elements of an h5ad file: attributes, arrays, strings, names of rows and columns.

Covers what anndata has written since 0.6: groups with `encoding-type`, the older h5sparse attributes, and
obs, var and obsm as one dataset with a compound dtype.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ... import _core
from .claims import check_held, check_texts, list_of_texts
from .errors import BadFileError, MissingElementError, UnreadableFileError
from .files import require_codecs

_TEXT = h5py.string_dtype()
_TEXT_IN_MEMORY = h5py.h5t.py_create(_TEXT)

PIECE_BYTES = 1 << 22
"""Long lists of numbers are read in pieces of this size."""


def listed(names: list[str]) -> str:
    """Join names for an error message, the first 30 of them."""
    if not names:
        return "none"
    return ", ".join(names[:30]) + (f" and {len(names) - 30:,} more" if len(names) > 30 else "")


def attribute(element: h5py.HLObject, *names: str) -> Any:
    """Give the first of these attributes that is there, text as str, or None.

    A list of one text counts as the text: R's writers keep every value as a list.

    Raises
    ------
    BadFileError
        If it holds lists, or text that is not UTF-8.
    """
    for name in names:
        key = name.encode()
        if not h5py.h5a.exists(element.id, key):
            continue
        found = h5py.h5a.open(element.id, key)
        value = _value(found)
        if value is None:
            _refuse_lists(found.get_type(), _where_attribute(element, name))
            value = element.attrs[name]
        if isinstance(value, np.ndarray) and value.shape == (1,) and is_text(value):
            value = value[0]
        if isinstance(value, bytes | str):
            where = _where_attribute(element, name)
            (value,) = decoded(np.array([value], dtype=object), where)
        return value
    return None


def _where_attribute(element: h5py.HLObject, name: str) -> str:
    return f"{element.file.filename}: attribute {name!r} of {element.name.lstrip('/') or '/'}"


def _refuse_lists(kind: h5py.h5t.TypeID, where: str) -> None:
    """Refuse lists of variable length: HDF5 may end the process where damage made one of a text."""
    if kind.detect_class(h5py.h5t.VLEN):
        msg = f"{where} must hold text or numbers, but holds lists of variable length"
        raise BadFileError(msg)


def _value(found: h5py.h5a.AttrID) -> Any:
    """Give text or numbers of an attribute in a third of the time that h5py takes; None of all else."""
    shape = found.shape
    kind = found.get_type()
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str() and shape is not None:
        text = np.empty(shape, dtype=_TEXT)
        if 0 not in shape:
            found.read(text, _TEXT_IN_MEMORY)
        return text if shape else text.item()
    if isinstance(kind, h5py.h5t.TypeIntegerID) and shape:
        numbers = np.empty(shape, dtype=kind.dtype)
        if 0 not in shape:
            found.read(numbers)
        return numbers
    return None


def names_in(group: h5py.Group) -> list[str]:
    """Give the names in a group, sorted; h5py has bytes for one that is not UTF-8."""
    return sorted(name if isinstance(name, str) else repr(name) for name in group)


def member(group: h5py.Group, name: str, where: str) -> Any:
    """Give what is in a group under a name.

    Raises
    ------
    MissingElementError
        If nothing is, or a link that leads nowhere.
    """
    found = child(group, name)
    if found is None:
        link = group.get(name, getlink=True) if name in group else None
        leads = f"{getattr(link, 'filename', '')} {getattr(link, 'path', '')}".strip()
        msg = f"{where} is a link to {leads!r}, where nothing is" if leads else f"{where} is not there"
        raise MissingElementError(msg)
    return found


def encoding(element: h5py.HLObject) -> str:
    """Name the encoding of an element: csr, csc, dense, categorical, dataframe, null and so on."""
    written = attribute(element, "encoding-type", "h5sparse_format")
    if written is None:
        return "dense" if isinstance(element, h5py.Dataset) else "group"
    name = str(written).removesuffix("_matrix")
    return "dense" if name == "array" else name


def child(group: h5py.Group, name: str) -> h5py.HLObject | None:
    """Give what lies in a group under a name, or None; as ``group.get(name)``, in a third of the time."""
    try:
        found = h5py.h5o.open(group.id, name.encode())
    except KeyError:
        return None
    if isinstance(found, h5py.h5d.DatasetID):
        return h5py.Dataset(found, readonly=True)
    return h5py.Group(found) if isinstance(found, h5py.h5g.GroupID) else h5py.Datatype(found)


def dataset(group: h5py.Group, name: str, where: str) -> h5py.Dataset:
    """Give a dataset of a group.

    Raises
    ------
    MissingElementError
        If it is not there or is no dataset.
    """
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        msg = f"{where}: expected a dataset {name!r}, but found {listed(names_in(group))}"
        raise MissingElementError(msg)
    return found


def read_array(
    source: h5py.Dataset,
    where: str,
    field: str | None = None,
    *,
    length: int | None = None,
    place: Callable[[np.dtype[Any], int], npt.NDArray[Any] | None] | None = None,
) -> npt.NDArray[Any]:
    """Read a dataset, or one field of a compound one, as it is stored.

    Parameters
    ----------
    source, where, field
        The dataset, what messages call it, and the field.
    length : int, optional
        What its only axis must have: checked before anything is read, as a damaged file may claim any size.
    place : callable, optional
        Gives the array for values of a type and number, or None for a new one.

    Raises
    ------
    BadFileError
        If it has not that length, holds lists, or claims more than its bytes can mean.
    UnreadableFileError
        If it cannot be read.
    """
    if length is not None and source.shape != (length,):
        msg = f"{where} must have shape ({length},) as obs has {length:,} rows, but has shape {source.shape}"
        raise BadFileError(msg)
    check_held(source, where)
    check_texts(source, where)
    kind = source.id.get_type()
    _refuse_lists(
        kind if field is None else kind.get_member_type(kind.get_member_index(field.encode())), where
    )
    if source.id.get_offset() is None:  # not as it is in the file
        require_codecs(source, where)
    try:
        shape, dtype = source.shape, source.dtype
        if field is None and dtype.kind in "iuf" and shape and 0 not in shape:
            into = None if place is None or len(shape) != 1 else place(dtype, shape[0])
            numbers = np.empty(shape, dtype=dtype) if into is None else into
            source.id.read(h5py.h5s.ALL, h5py.h5s.ALL, numbers)
            return numbers
        value = source[()] if field is None else source[field]
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        msg = f"{where}: cannot read it; the file is damaged ({error})"
        raise UnreadableFileError(msg) from error
    return np.asarray(value)


def read_pieces(source: h5py.Dataset, where: str) -> Iterator[npt.NDArray[Any]]:
    """Read a list of numbers in pieces of about `PIECE_BYTES`, each chunk once; a piece lasts until the next.

    Raises
    ------
    UnreadableFileError
        If it cannot be read.
    """
    check_held(source, where)
    n, dtype = int(source.shape[0]), source.dtype.newbyteorder("=")
    step = max(1, PIECE_BYTES // dtype.itemsize)
    if source.id.get_offset() is None and source.chunks is not None:
        require_codecs(source, where)
        step = max(1, step // source.chunks[0]) * source.chunks[0]
    try:
        if n <= step:
            whole = np.empty(n, dtype=dtype)
            source.id.read(h5py.h5s.ALL, h5py.h5s.ALL, whole)
            yield whole
            return
        piece = np.empty(step, dtype=dtype)
        for start in range(0, n, step):
            stop = min(start + step, n)
            source.read_direct(piece, np.s_[start:stop], np.s_[: stop - start])
            yield piece[: stop - start]
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        msg = f"{where}: cannot read it; the file is damaged ({error})"
        raise UnreadableFileError(msg) from error


def stored_texts(source: h5py.Dataset) -> bytes | None:
    """Read text as bytes to compare with those of other files, a tenth of the time of reading it as text.

    Returns
    -------
    bytes or None
        Equal ones mean equal text. None where it is not kept as one contiguous list of variable length.
    """
    texts = list_of_texts(source)
    return None if texts is None else _core.heap_texts(*texts)


def is_text(values: npt.NDArray[Any]) -> bool:
    """Tell whether an array from HDF5 holds text, or objects that should be text."""
    return values.dtype.kind in "SUO"


def decoded(values: npt.NDArray[Any], where: str) -> list[str]:
    """Turn text from HDF5, bytes or str, into a list of str; numbers into their digits.

    Raises
    ------
    BadFileError
        If an entry is no text, or bytes are not UTF-8.
    """
    entries = values.ravel().tolist()
    if not is_text(values):
        return [str(entry) for entry in entries]
    try:
        if all(type(entry) is str for entry in entries):
            "".join(entries).encode()  # h5py keeps bytes of attributes that are no UTF-8 as lone surrogates
            return entries
        return [entry if isinstance(entry, str) else entry.decode() for entry in entries]
    except (UnicodeError, AttributeError):
        _refuse_text(entries, where)
        raise


def _refuse_text(entries: list[Any], where: str) -> None:
    for row, entry in enumerate(entries):
        if isinstance(entry, str):
            entry = entry.encode(errors="surrogateescape")
        if not isinstance(entry, bytes):
            msg = f"{where} must hold text or numbers, but entry {row} is of type {type(entry).__name__}"
            raise BadFileError(msg)
        try:
            entry.decode()
        except UnicodeDecodeError as error:
            msg = f"{where} must be UTF-8 text, but entry {row} is {entry[:40]!r} ({error.reason})"
            raise BadFileError(msg) from None


def index_name(frame: h5py.Group | h5py.Dataset, where: str) -> str:
    """Name the column of a data frame that holds its row names.

    Raises
    ------
    MissingElementError
        If there is none.
    BadFileError
        If it is no data frame.
    """
    if isinstance(frame, h5py.Datatype):
        msg = f"{where} must be a data frame, but is a {type(frame).__name__}"
        raise BadFileError(msg)
    if isinstance(frame, h5py.Dataset):
        names: tuple[str, ...] = frame.dtype.names or ()
        if names:
            return names[0]
    else:
        for name in (attribute(frame, "_index"), "_index", "index"):
            if isinstance(name, str) and name in frame:
                return name
    msg = f"{where}: expected a data frame with an index, but it has none"
    raise MissingElementError(msg)


def frame_length(frame: h5py.Group | h5py.Dataset, where: str, name: str) -> int:
    """Count the rows of a data frame, whose index is called `name`, without reading them.

    Raises
    ------
    BadFileError
        If its index has not one axis.
    """
    if isinstance(frame, h5py.Dataset):
        index = frame
    else:
        where = f"{where}/{name}"
        index = member(frame, name, where)
        if isinstance(index, h5py.Group):
            part = "codes" if encoding(index) == "categorical" else "values"
            index = dataset(index, part, where)
        elif not isinstance(index, h5py.Dataset):
            msg = f"{where} must be a list of row names, but is a {type(index).__name__}"
            raise BadFileError(msg)
    if len(index.shape or ()) != 1:
        msg = f"{where} must be a list of row names, but has shape {index.shape}"
        raise BadFileError(msg)
    return int(index.shape[0])


def written_by(file: h5py.File, obs: h5py.Group | h5py.Dataset | None) -> str:
    """Say which version of the format a file follows, and who writes that; no file names its writer."""
    if isinstance(obs, h5py.Dataset):
        return "before 0.1.0 (anndata before 0.7)"
    version = attribute(file, "encoding-version")
    return version_text(version, attribute(obs, "encoding-version") if obs is not None else None)


def version_text(version: Any, frame: Any) -> str:
    """Say which version of the format a file follows, by what its root and its obs say of it."""
    if version is not None:
        return f"{version} (anndata 0.8 and later)" if str(version) == "0.1.0" else str(version)
    if frame == "0.1.0":
        return "before 0.1.0 (anndata 0.7)"
    return "no version" + (f", data frames {frame}" if frame is not None else "")


def place(path: Path, name: str) -> str:
    """Name an element in error messages."""
    return f"{path}: {name}"
