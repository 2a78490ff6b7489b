"""How arrays and tensors come into the kernels: each kind in one form, so that each kernel is compiled once.

Inputs become C-contiguous read-only arrays. What is so already is borrowed; half types, other memory layouts
and tensors of other devices are copied in tiles of a few megabytes. Torch is never imported here: whoever has
a tensor has it already.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from ..._base.checks import index_array, refuse_masked
from ..._base.types import FloatArray, IndexArray, WeightArray

if TYPE_CHECKING:
    import torch

    ArrayInput: TypeAlias = npt.ArrayLike | torch.Tensor
else:
    ArrayInput = npt.ArrayLike

__all__ = [
    "ArrayInput",
    "check_shape",
    "integers",
    "output",
    "read_only",
    "reals",
    "tile_type",
    "tiles",
]


TILE = 2**21
"""Elements of a tile: 8 MB of float32, which stays in the last cache."""


def is_tensor(value: object) -> "TypeGuard[torch.Tensor]":
    """Return whether a value is a torch tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view that cannot be written: Numba compiles for this property too."""
    view = array.view()
    view.flags.writeable = False
    return view


def integers(name: str, values: ArrayInput) -> IndexArray:
    """Return integers of one axis as int64."""
    if is_tensor(values):
        if values.is_floating_point() or values.is_complex():
            msg = f"{name} must be integers, but the dtype is {values.dtype}"
            raise TypeError(msg)
        values = values.detach().cpu().numpy()
    return read_only(index_array(name, values))


def reals(name: str, values: ArrayInput, *, axes: int = 1) -> FloatArray:
    """Return real numbers of so many axes as float64, which holds every narrower type exactly."""
    array = real_numbers(name, values, axes=axes)
    if is_tensor(array):
        array = array.cpu().double().numpy()
    return read_only(np.require(array, np.float64, ["C", "A"]))


def real_numbers(name: str, values: ArrayInput, *, axes: int) -> "npt.NDArray[Any] | torch.Tensor":
    """Return an array or tensor of real numbers and so many axes, as it is.

    Raises
    ------
    TypeError
        If it holds neither floats nor integers.
    ValueError
        If it has other axes, or masked entries.
    """
    refuse_masked(name, values)
    if is_tensor(values):
        tensor = values.detach()
        real = not (tensor.is_complex() or str(tensor.dtype) == "torch.bool")
        found: npt.NDArray[Any] | torch.Tensor = tensor
    else:
        array = np.asarray(values)
        real = array.dtype.kind in "fiu" and array.dtype.itemsize <= 8  # long doubles would lose digits
        found = array
    if not real:
        msg = f"{name} must be real numbers of at most 64 bits, but the dtype is {found.dtype}"
        raise TypeError(msg)
    if found.ndim != axes:
        expected = "one axis" if axes == 1 else f"{axes} axes"
        msg = f"{name} must have {expected}, but the shape is {tuple(found.shape)}"
        raise ValueError(msg)
    return found


def tile_type(values: "npt.NDArray[Any] | torch.Tensor") -> type[np.float32] | type[np.float64]:
    """Return float64 for what float32 does not hold: float64 and integers of more than 16 bits."""
    narrow = {"float32", "float16", "bfloat16", "int8", "uint8", "int16", "uint16"}
    return np.float32 if str(values.dtype).removeprefix("torch.") in narrow else np.float64


def tiles(values: "npt.NDArray[Any] | torch.Tensor") -> Iterator[tuple[int, WeightArray]]:
    """Yield (first row, rows) of two-dimensional real numbers as float32 or float64.

    One tile borrows everything where that is possible. Else each tile is a copy that lives until the next.
    """
    kind = tile_type(values)
    borrowed: npt.NDArray[Any] | torch.Tensor = values
    if is_tensor(values) and _is_plain(values):
        borrowed = values.numpy()
    if isinstance(borrowed, np.ndarray) and borrowed.dtype == kind and _is_ready(borrowed):
        yield 0, read_only(borrowed)
        return
    rows, columns = values.shape
    step = max(1, TILE // max(columns, 1))
    scratch = np.empty((min(step, rows), columns), dtype=kind)
    for start in range(0, rows, step):
        tile = scratch[: min(step, rows - start)]
        if is_tensor(values):
            part = values[start : start + step]
            sys.modules["torch"].from_numpy(tile).copy_(part)
        else:
            np.copyto(tile, values[start : start + step], casting="same_kind")
        yield start, read_only(tile)


def _is_plain(tensor: "torch.Tensor") -> bool:
    """Return whether NumPy can see a tensor's memory: of the CPU, dense, with a type it knows."""
    return (
        tensor.device.type == "cpu"
        and str(tensor.layout) == "torch.strided"
        and str(tensor.dtype) != "torch.bfloat16"
        and not (tensor.is_neg() or tensor.is_conj())
    )


def _is_ready(array: npt.NDArray[Any]) -> bool:
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative


def check_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...], because: str) -> None:
    """Raise ValueError if an array has not the shape that another asks for."""
    if shape != expected:
        msg = f"{name} must have the shape {expected}, {because}, but it is {shape}"
        raise ValueError(msg)


def output(out: FloatArray | None, rows: int, *inputs: object) -> FloatArray:
    """Return the array to write to: the caller's, once checked, or a new one.

    Raises
    ------
    TypeError
        If it is no array of float64.
    ValueError
        If it has another shape, is not C-contiguous, cannot be written or overlaps an input.
    """
    if out is None:
        return np.empty(rows, dtype=np.float64)
    given: object = out
    if not isinstance(given, np.ndarray) or given.dtype != np.float64:
        came = given.dtype if isinstance(given, np.ndarray) else type(given).__name__
        msg = f"out must be a NumPy array of float64, but is {came}"
        raise TypeError(msg)
    check_shape("out", out.shape, (rows,), "one score a row")
    if not (_is_ready(out) and out.flags.writeable):
        msg = "out must be C-contiguous, aligned and writable"
        raise ValueError(msg)
    for value in inputs:
        other = value.numpy() if is_tensor(value) and _is_plain(value) else value
        if isinstance(other, np.ndarray) and np.may_share_memory(out, other):
            msg = "out must not overlap an input"
            raise ValueError(msg)
    return out
