"""Reads pickles of dictionaries of arrays, lists, numbers and text, and nothing else: no code of a file runs.

A pickle names what is to be called when it is read, so one from a stranger may do anything. Here the few
names with which NumPy writes an array stand for small classes of this file, which check what they are given
and keep bytes; every other name is an error. Files of Python 2 have no other kind of text than bytes.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_pickle"]

_TYPES = {"u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"}


_FAULTS = (
    pickle.UnpicklingError,
    EOFError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""What a damaged or forged file may lead to."""


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the dictionary of a file, with text for keys; arrays are read-only.

    Raises
    ------
    ValueError
        If the file is no pickle of a dictionary, is cut off, or asks for anything else than plain arrays.
    OSError
        If it cannot be read.
    """
    content = io.BytesIO(path.read_bytes())
    try:
        found = _ArraysOnly(content, encoding="bytes").load()
        if not isinstance(found, dict):
            msg = f"it holds {type(found).__name__}, no dictionary"
            raise TypeError(msg)
        return {_text(k): value.array() if isinstance(value, _Array) else value for k, value in found.items()}
    except _FAULTS as error:
        msg = f"{path} must be a pickle of plain arrays, lists, numbers and text, but: {error}"
        raise ValueError(msg) from error


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


class _Fixed:
    """A base: what a file says of the state of a class here, not of an object, is an error."""

    def __setstate__(self, state: Any) -> None:
        msg = "only arrays and their types have a state"
        raise pickle.UnpicklingError(msg)


class _Type(_Fixed):
    """Stands for ``numpy.dtype`` of plain numbers; also how bytes are ordered."""

    def __init__(self, code: Any, *_how: Any) -> None:
        name = _text(code)
        if name not in _TYPES:
            msg = f"arrays must be of plain numbers, but the type is {name!r}"
            raise pickle.UnpicklingError(msg)
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if order not in ("|", "<", ">", "=") or any(part is not None for part in state[2:5]):
            msg = "arrays must be of plain numbers, but their type has parts"
            raise pickle.UnpicklingError(msg)
        self.order = "=" if order == "|" else order


class _Array(_Fixed):
    """Stands for ``numpy.ndarray``: takes shape, type and bytes, and checks that they fit."""

    def __init__(self) -> None:
        self.shape: Any = ()
        self.type: Any = None
        self.content: Any = b""
        self.columns_first: Any = False

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, self.shape, self.type, self.columns_first, self.content = state

    def array(self) -> npt.NDArray[Any]:
        """Return the array that this stands for."""
        plain = isinstance(self.type, _Type) and isinstance(self.content, bytes)
        if not plain or not all(isinstance(side, int) and side >= 0 for side in self.shape):
            msg = "an array must have a shape, a type and bytes"
            raise ValueError(msg)
        kind = np.dtype(self.type.order + self.type.name)
        expected = math.prod(self.shape) * kind.itemsize
        if len(self.content) != expected:
            msg = f"an array of shape {self.shape} must have {expected} bytes, but has {len(self.content)}"
            raise ValueError(msg)
        return np.frombuffer(self.content, kind).reshape(self.shape, order="F" if self.columns_first else "C")


class _NewArray(_Fixed):
    """Stands for what makes an array that gets its content later."""

    def __new__(cls, kind: Any, *_shape_and_type: Any) -> Any:
        if kind is not _Array:
            msg = "arrays must be plain ones, no subclass"
            raise pickle.UnpicklingError(msg)
        return _Array()


class _NewBytes(_Fixed):
    """Stands for how Python 3 writes bytes for readers of old."""

    def __new__(cls, text: Any, encoding: Any) -> Any:
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            msg = "text must be encoded as latin1"
            raise pickle.UnpicklingError(msg)
        return text.encode("latin1")


_NAMES = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _NewArray,
    ("numpy._core.multiarray", "_reconstruct"): _NewArray,
    ("_codecs", "encode"): _NewBytes,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for here, if it is one with which arrays are written."""
        try:
            return _NAMES[module, name]
        except KeyError:
            msg = f"it asks for {module}.{name}, which is not read"
            raise pickle.UnpicklingError(msg) from None

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies outside of the file."""
        msg = f"it asks for {pid!r} outside of the file"
        raise pickle.UnpicklingError(msg)
