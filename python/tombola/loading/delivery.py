"""Columns of a window as tensors of batches, where and as what they are asked for.

Rule: on the CPU, tensors are made as cheaply as they can, and nothing else happens. For another device the
parts of a batch are pinned, if asked for, and moved; sparse rows that are meant to be dense go over sparse, a
tenth of the bytes where a tenth of the values is stored, and become dense there. X is cast before it moves.
"""

import logging
import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..sources.base import BufferPool, CsrRows, round_to_bfloat16

__all__ = ["Delivery", "check_device", "check_pin_memory"]

_logger = logging.getLogger("tombola.loading")

ROUNDED_AT_ONCE = 1 << 16
"""Values that the core rounds in the thread that asks: see `Window.threads`."""


def check_device(device: Any) -> torch.device | None:
    """Return the device to move batches to; None for the CPU, where they are.

    Raises
    ------
    TypeError, ValueError
        If it is no device.
    """
    if device is None:
        return None
    if not isinstance(device, str | int | torch.device) or isinstance(device, bool):
        msg = f"device must be a torch.device or its name, such as 'cuda:0', but is {device!r}"
        raise TypeError(msg)
    try:
        found = torch.device(device)
    except RuntimeError as error:
        msg = f"device must be one that torch knows, such as 'cuda:0', but is {device!r}"
        raise ValueError(msg) from error
    return None if found.type == "cpu" else found


def check_pin_memory(pin: object) -> bool:
    """Return whether to pin.

    Raises
    ------
    TypeError
        If it is no boolean.
    """
    if not isinstance(pin, bool):
        msg = f"pin_memory must be True or False, but is {pin!r}"
        raise TypeError(msg)
    return pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where batches go, and what X becomes.

    Parameters
    ----------
    memory
        Where dense batches of sparse rows come from.
    device
        None for the CPU.
    pin
        Whether tensors are in memory that a device can fetch from by itself.
    dtype
        What matrices are cast to if they hold floats; None leaves them.
    matrices
        Names of the columns that are no labels.
    """

    memory: BufferPool
    device: torch.device | None = None
    pin: bool = False
    dtype: torch.dtype | None = None
    matrices: frozenset[str] = frozenset({"X"})

    def checked(self) -> "Delivery":
        """Return what this process can do: without an accelerator nothing is pinned, which the log says once.

        Raises
        ------
        RuntimeError
            In a worker process, which has to give batches on the CPU, and where the device is not there.
        """
        _say_nothing_of_beta()  # not where threads make batches: filters of warnings are the process's
        if self.device is not None and torch.utils.data.get_worker_info() is not None:
            msg = (
                f"a Loader with device={str(self.device)!r} moves batches in the process that trains, not in "
                "workers: leave device out, or take num_workers=0, as its thread reads ahead"
            )
            raise RuntimeError(msg)
        if self.device is not None and self.device.type == "cuda" and not torch.cuda.is_available():
            msg = f"device {str(self.device)!r} is not there: torch finds no CUDA"
            raise RuntimeError(msg)
        if self.pin and not torch.cuda.is_available():
            _say_nothing_is_pinned()
            return replace(self, pin=False)
        return self

    def part(self, column: Any, part: slice, *, is_x: bool) -> Any:
        """Return rows of a column that follow each other, in its own memory where that can be."""
        if isinstance(column, torch.Tensor):
            return self._sent(column[part], is_x=is_x)
        if isinstance(column, CsrRows):
            return self._rows(column.part(part.start, part.stop))
        return self._array(np.asarray(column)[part], is_x=is_x)

    def take(self, column: Any, where: npt.NDArray[np.int64], *, is_x: bool) -> Any:
        """Return rows of a column by their positions, in new memory."""
        if isinstance(column, torch.Tensor):
            return self._sent(column[torch.from_numpy(where)], is_x=is_x)
        if isinstance(column, CsrRows):
            if column.as_dense and self.device is None and self.dtype is None:
                return self._sent(torch.from_numpy(column.take_dense(where)), is_x=False)
            return self._rows(column.take(where))
        return self._array(np.asarray(column).take(where, axis=0), is_x=is_x)

    def array(self, values: npt.NDArray[Any]) -> Any:
        """Return a column that is not X."""
        return self._array(values, is_x=False)

    def _sent(self, tensor: torch.Tensor, *, is_x: bool) -> torch.Tensor:
        if is_x and self.dtype is not None and tensor.is_floating_point():
            tensor = _cast(tensor, self.dtype)
        if self.pin:
            tensor = tensor.pin_memory()
        return tensor if self.device is None else tensor.to(self.device, non_blocking=self.pin)

    def _array(self, values: npt.NDArray[Any], *, is_x: bool) -> Any:
        if not values.dtype.isnative:  # torch has no other byte order
            values = values.astype(values.dtype.newbyteorder("="))
        if values.dtype.kind not in "biufc":
            return values.tolist()
        return self._sent(torch.from_numpy(values), is_x=is_x)

    def _rows(self, rows: CsrRows) -> torch.Tensor:
        if not rows.as_dense:
            return self._sparse(rows)
        return self._dense_here(rows) if self.device is None else self._dense_there(rows)

    def _sparse(self, rows: CsrRows) -> torch.Tensor:
        indptr = rows.indptr.astype(rows.indices.dtype, copy=False)
        return torch.sparse_csr_tensor(
            self._sent(torch.from_numpy(indptr), is_x=False),
            self._sent(torch.from_numpy(rows.indices), is_x=False),
            self._sent(torch.from_numpy(rows.data), is_x=True),
            size=rows.shape,
            check_invariants=False,
        )

    def _dense_here(self, rows: CsrRows) -> torch.Tensor:
        cast_to = self.dtype if rows.dtype.kind == "f" else None
        if cast_to is not None:
            background = None if rows.background is None else _words(rows.background, cast_to)
            data = _words(rows.data, cast_to)
            rows = CsrRows(data, rows.indices, rows.indptr, rows.shape, True, background)
        out = self.memory.empty(rows.shape[0] * rows.shape[1], rows.dtype).reshape(rows.shape)
        made = torch.from_numpy(rows.part_dense(0, rows.shape[0], out))
        if cast_to is not None:
            made = made.view(cast_to)
        return self._sent(made, is_x=False)

    def _dense_there(self, rows: CsrRows) -> torch.Tensor:
        data = self._sent(torch.from_numpy(rows.data), is_x=True)
        indices = self._sent(torch.from_numpy(rows.indices), is_x=False)
        lengths = self._sent(torch.from_numpy(np.diff(rows.indptr)), is_x=False)
        starts = torch.arange(rows.shape[0], device=self.device) * rows.shape[1]
        where = torch.repeat_interleave(starts, lengths, output_size=len(rows.data)) + indices
        if rows.background is None:
            out = torch.zeros(rows.shape, dtype=data.dtype, device=self.device)
        else:
            out = self._sent(torch.from_numpy(rows.background), is_x=True).repeat(rows.shape[0], 1)
        out.view(-1).scatter_(0, where, data)
        return out


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    is_plain = tensor.dtype == torch.float32 and tensor.device.type == "cpu" and not tensor.requires_grad
    if dtype != torch.bfloat16 or not is_plain:
        return tensor.to(dtype)
    return torch.from_numpy(_words(tensor.numpy(), dtype)).view(dtype)


def _words(values: npt.NDArray[Any], dtype: torch.dtype) -> npt.NDArray[Any]:
    """Cast to a type of 16 bits that NumPy may lack, as the words that stand for it.

    By the core where it can: after torch's own its threads wait awake, in the way of others.
    """
    if dtype == torch.bfloat16 and values.dtype == np.float32 and values.flags.c_contiguous:
        words = np.empty(values.shape, dtype=np.uint16)
        for start in range(0, values.size, ROUNDED_AT_ONCE):
            part = slice(start, start + ROUNDED_AT_ONCE)
            round_to_bfloat16(values.reshape(-1)[part], words.reshape(-1)[part])
        return words.view(np.int16)
    found: npt.NDArray[Any] = torch.from_numpy(values).to(dtype).view(torch.int16).numpy()
    return found


@cache
def _say_nothing_is_pinned() -> None:
    _logger.info("pin_memory=True does nothing: torch finds no CUDA in this process")


@cache
def _say_nothing_of_beta() -> None:
    """Let torch say once, unheard, that its CSR tensors are new: users ask for them knowingly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nothing = torch.zeros(1, dtype=torch.int64)
        torch.sparse_csr_tensor(nothing, nothing[:0], nothing[:0], size=(0, 1), check_invariants=False)
