"""Where a buffer keeps its items: slots, which item of a stream takes which, and what comes out of them.

**Storage**: one preallocated tensor for each part that was given. The first items fix which parts there are,
their dtypes and their shapes; nothing grows or is cast afterwards. O(items) to write and to read.

**Reservoir**: every item of a stream is stored with the same chance, however the stream is cut. Item t takes
slot t while there is room; later items take a slot uniform in [0, t] and are left out where that lies beyond
the buffer. Within a batch the last writer of a slot holds. Source: Vitter, "Random sampling with a
reservoir", ACM TOMS 11(1), 1985 (algorithm R), each item's number from the counter-based generator.

**Stamps** tell which item is in each slot, and which one was given out of it. A stamp is the number of an
item in all that was ever offered to a buffer, from 1 on, so it names an item where a slot names a place.
Priorities are computed for items that were given out, while others come in and take their slots; those of an
item that is gone are left out, and counted. O(1) an item, 16 bytes a slot.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ... import _core
from ..._base.checks import check_bool, index_array, refuse_masked
from ..._base.types import IndexArray
from ..scores.arrays import check_shape

__all__ = ["Arrivals", "Batch", "Device", "Storage", "Transform", "arrivals", "as_tensor", "carried"]

Transform: TypeAlias = Callable[[torch.Tensor], torch.Tensor] | None
Device: TypeAlias = str | torch.device | None
Batch: TypeAlias = tuple[torch.Tensor, ...]

_RETURNED = ("examples", "labels", "logits", "task_labels")
_TILE = 2**16
"""Bytes that are copied at once."""

_STAMPS, _VERSION = "stamps", "_stamped_version"


class Arrivals(NamedTuple):
    """Which items of a batch are stored, ascending, and where; no slot comes twice."""

    rows: IndexArray
    slots: IndexArray


def arrivals(seed: int, seen: int, count: int, size: int) -> Arrivals:
    """Return where a batch goes that comes after so many items; O(count log count)."""
    slots = _core.reservoir_slots(seed, seen, count, size)
    rows = np.flatnonzero(slots >= 0)
    if seen + count > size:  # while there is room no slot comes twice
        _, last = np.unique(slots[rows][::-1], return_index=True)
        rows = np.sort(rows[len(rows) - 1 - last])
    return Arrivals(rows, slots[rows])


class Stamps:
    """Stamps of slots; 0 where nothing is stored, or was given out."""

    def __init__(self, size: int) -> None:
        self.items: IndexArray = np.zeros(size, dtype=np.int64)
        self.given_out: IndexArray = np.zeros(size, dtype=np.int64)
        self.before = 0  # items of the streams before this one
        self.ignored = 0

    def write(self, slots: IndexArray, rows: IndexArray, seen: int) -> None:
        """Take in items, rows of a batch that came after so many of the stream."""
        self.items[slots] = self.before + seen + 1 + rows

    def give_out(self, slots: IndexArray) -> IndexArray:
        """Return the stamps of items whose slots are told to users."""
        stamps = self.items[slots]
        self.given_out[slots] = stamps
        return stamps

    def current(self, slots: IndexArray, stamps: IndexArray | None) -> npt.NDArray[np.bool_]:
        """Return whether each slot holds the item that is meant, and count those that do not.

        That is the one with this stamp; without stamps the one that was given out last, if there is one.
        """
        if stamps is None:
            last = self.given_out[slots]
            found = (last == 0) | (last == self.items[slots])
        else:
            found = stamps == self.items[slots]
        self.ignored += len(found) - int(np.count_nonzero(found))
        return np.asarray(found)

    def begin(self, seen: int) -> "Stamps":
        """Return stamps for another stream, after so many items of this one."""
        other = Stamps(len(self.items))
        other.before, other.ignored = self.before + seen, self.ignored
        return other

    def state(self, stored: int) -> dict[str, Any]:
        """Return copies of the first slots' stamps, and the numbers."""
        arrays = {"items": self.items, "given_out": self.given_out}
        copies = {name: torch.from_numpy(array[:stored].copy()) for name, array in arrays.items()}
        return {**copies, "before": self.before, "ignored": self.ignored}

    @classmethod
    def loaded(cls, state: Mapping[str, Any], size: int) -> "Stamps":
        """Return what `state` returned."""
        stamps, stored = cls(size), len(state["items"])
        stamps.items[:stored], stamps.given_out[:stored] = state["items"], state["given_out"]
        stamps.before, stamps.ignored = state["before"], state["ignored"]
        return stamps


class Storage:
    """Slots for items of several parts.

    Parameters
    ----------
    size : int
        Number of slots.
    device : torch.device
        Where the tensors are.
    state : mapping, optional
        Items of the first slots, as `state` returned them.
    stamps : mapping, optional
        Of these items, as the state of `Stamps`.
    """

    def __init__(
        self,
        size: int,
        device: torch.device,
        state: Mapping[str, torch.Tensor] | None = None,
        stamps: Mapping[str, Any] | None = None,
    ) -> None:
        self.size = size
        self.device = device
        self.parts: dict[str, torch.Tensor] = {}
        self.stamps = Stamps(size) if stamps is None else Stamps.loaded(stamps, size)
        if state is not None:
            self.allocate(state)
            for name, values in state.items():
                self.parts[name][: len(values)] = values.to(device)

    def check(self, given: Mapping[str, torch.Tensor]) -> None:
        """Raise if items do not fit what is stored; nothing is written.

        Raises
        ------
        TypeError
            If a dtype is another than that of the first items.
        ValueError
            If numbers of items or shapes differ, or a part is missing or new.
        """
        count = len(given["examples"])
        for name, values in given.items():
            if len(values) != count:
                msg = f"{name} must be one an example, {count}, but there are {len(values)}"
                raise ValueError(msg)
        if not self.parts:
            return
        for name in {**self.parts, **given}:
            if name not in given:
                msg = f"{name} must be given with all items, as with the first ones, but are missing"
                raise ValueError(msg)
            if name not in self.parts:
                msg = f"{name} must not be given, as the first items had none; start anew with empty()"
                raise ValueError(msg)
            stored, values = self.parts[name], given[name]
            if values.dtype != stored.dtype:
                msg = (
                    f"{name} must have the dtype of the first items, {stored.dtype}, but have {values.dtype}"
                )
                raise TypeError(msg)
            if values.shape[1:] != stored.shape[1:]:
                expected, came = tuple(stored.shape[1:]), tuple(values.shape[1:])
                msg = f"{name} must have the shape of the first items, {expected} each, but have {came}"
                raise ValueError(msg)

    def allocate(self, given: Mapping[str, torch.Tensor]) -> None:
        """Make the tensors for items like these, unless there are some."""
        if not self.parts:
            self.parts = {
                name: torch.zeros((self.size, *values.shape[1:]), dtype=values.dtype, device=self.device)
                for name, values in given.items()
            }

    def write(
        self, slots: IndexArray, given: Mapping[str, torch.Tensor], rows: IndexArray, seen: int
    ) -> None:
        """Write some rows of what was given, after so many items, to slots, all different."""
        self.stamps.write(slots, rows, seen)
        for name, values in given.items():
            part = self.parts[name]
            if part.device.type == "cpu":
                _write_bytes(_bytes(part), slots, _bytes(values.cpu().contiguous()), rows)
            else:
                source = values.index_select(0, torch.from_numpy(rows).to(values.device))
                part.index_copy_(0, torch.from_numpy(slots).to(part.device), source.to(part.device))

    def read(self, name: str, slots: IndexArray) -> torch.Tensor:
        """Return the entries of some slots, a copy."""
        part = self.parts[name]
        return part.index_select(0, torch.from_numpy(slots).to(part.device))

    def part(self, name: str, count: int) -> torch.Tensor | None:
        """Return a copy of the entries of the first slots, if there is such a part."""
        return self.first(name, count).clone() if name in self.parts else None

    def first(self, name: str, count: int) -> torch.Tensor:
        """Return the entries of the first slots, borrowed."""
        return self.parts[name][:count]

    def batch(
        self,
        slots: IndexArray,
        transform: Transform,
        target: torch.device,
        return_index: bool = False,
        corrections: npt.NDArray[np.float64] | None = None,
    ) -> Batch:
        """Return what users get of some slots: copies of the parts that were given, slots, weights.

        Slots that are given out carry their stamps.
        """
        given = [self.read(name, slots) for name in _RETURNED if name in self.parts]
        if transform is not None and len(slots):
            given[0] = torch.stack([transform(example) for example in given[0]])
        batch = [part.to(target) for part in given]
        if check_bool("return_index", return_index):
            batch.append(carry(torch.from_numpy(slots).to(target), self.stamps.give_out(slots)))
        if corrections is not None:
            batch.append(torch.from_numpy(corrections).to(target, torch.get_default_dtype()))
        return tuple(batch)

    def known_batch(self, slots: IndexArray, transform: Transform, target: torch.device) -> Batch:
        """Return the items of slots that the user knows."""
        self.stamps.give_out(slots)
        return self.batch(slots, transform, target)

    def to(self, device: torch.device) -> torch.device:
        """Move everything to a device, and return it."""
        self.parts = {name: part.to(device) for name, part in self.parts.items()}
        self.device = device
        return device

    def empty(self, seen: int) -> None:
        """Forget items, dtypes and shapes, after so many items of a stream."""
        self.parts, self.stamps = {}, self.stamps.begin(seen)

    def state(self, count: int) -> dict[str, torch.Tensor]:
        """Return copies of the first slots' entries, on the CPU."""
        return {name: part[:count].detach().cpu().clone() for name, part in self.parts.items()}


def carry(indices: torch.Tensor, stamps: IndexArray) -> torch.Tensor:
    """Let slots that are given out carry their stamps, as the attribute ``stamps``."""
    setattr(indices, _STAMPS, torch.from_numpy(stamps))
    setattr(indices, _VERSION, indices._version)
    return indices


def carried(indices: Any, stamps: Any, count: int) -> IndexArray | None:
    """Return the stamps that come with slots: those given, else those they carry and belong to.

    Raises
    ------
    TypeError, ValueError
        If stamps are given that are no integers, or not one for each slot.
    """
    if stamps is None and isinstance(indices, torch.Tensor):
        if getattr(indices, _VERSION, None) == indices._version:  # else they were changed in place
            stamps = getattr(indices, _STAMPS)
    if stamps is None:
        return None
    values = index_array("stamps", stamps.cpu().numpy() if isinstance(stamps, torch.Tensor) else stamps)
    check_shape("stamps", values.shape, (count,), "one an index")
    return values


def as_tensor(name: str, values: Any) -> torch.Tensor:
    """Return what was given as a tensor without gradients; arrays and tensors of the CPU are borrowed.

    Raises
    ------
    TypeError
        If it is no array of numbers.
    ValueError
        If it has no axis, or masked entries.
    """
    refuse_masked(name, values)
    try:
        tensor = values.detach() if isinstance(values, torch.Tensor) else torch.as_tensor(_ready(values))
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"{name} must be a tensor or an array of numbers, but is {type(values).__name__}: {error}"
        raise TypeError(msg) from error
    if tensor.layout != torch.strided:
        msg = f"{name} must be dense, but the layout is {tensor.layout}"
        raise TypeError(msg)
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.ndim == 0:
        msg = f"{name} must hold one entry an item, but is a single number"
        raise ValueError(msg)
    return tensor


def _ready(values: Any) -> Any:
    """Return an array as torch takes it: writable, in native byte order, with positive strides."""
    if isinstance(values, np.ndarray):
        native = np.require(values, values.dtype.newbyteorder("="), ["C", "A"])
        return native if native.flags.writeable else native.copy()
    if isinstance(values, list | tuple) and values and isinstance(values[0], torch.Tensor):
        return torch.stack([value.detach() for value in values])
    return values


def _bytes(tensor: torch.Tensor) -> npt.NDArray[np.uint8]:
    """Return the memory of a tensor of the CPU, a row an item: NumPy knows no bfloat16."""
    width = math.prod(tensor.shape[1:]) * tensor.element_size()
    if not tensor.numel():
        return np.empty((len(tensor), width), dtype=np.uint8)
    return tensor.reshape(len(tensor), -1).view(torch.uint8).numpy()


def _write_bytes(
    to: npt.NDArray[np.uint8], slots: IndexArray, source: npt.NDArray[np.uint8], rows: IndexArray
) -> None:
    """Copy rows to slots, in a fifth of the time of `index_copy_`.

    By tiles: memory that is new to a process costs more than the copy.
    """
    step = max(1, _TILE // max(1, to.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        to[slots[part]] = source[rows[part]]
