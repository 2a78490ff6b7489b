"""Batches on a device: whatever holds tensors is moved, and stays of its type.

Rule, in this order: a tensor is moved; what has a method ``to`` is asked (packed sequences, batches of other
packages); mappings, named tuples, dataclasses, lists and tuples are copied with their parts moved, attributes
included; anything else stays as it is. Nothing that was given is changed.
"""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["to_device"]


def to_device(batch: Any, device: torch.device) -> Any:
    """Return a batch whose tensors are on a device; the rule is the module's.

    Raises
    ------
    TypeError
        If a mapping or a sequence cannot be made anew with other parts.
    """
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    kind = type(batch)
    if kind is dict:
        return {name: to_device(part, device) for name, part in batch.items()}
    if kind is list or kind is tuple:
        return kind([to_device(part, device) for part in batch])
    if kind in _PLAIN:
        return batch
    if callable(getattr(kind, "to", None)):
        moved = batch.to(device, **_options_of(kind.to))
        return batch if moved is None else moved  # some move in place and return nothing
    try:
        return _copied(batch, device)
    except (TypeError, NotImplementedError) as error:
        msg = f"a {kind.__name__} cannot be made anew on {device}: give it a method to(device) ({error})"
        raise TypeError(msg) from error


_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})


def _copied(batch: Any, device: torch.device) -> Any:
    kind: Any = type(batch)
    if isinstance(batch, Mapping):
        parts = {name: to_device(part, device) for name, part in batch.items()}
        if not isinstance(batch, MutableMapping):
            return kind(parts)
        made: Any = copy.copy(batch)
        for name, part in parts.items():
            made[name] = part
        return made
    if isinstance(batch, tuple):
        moved = [to_device(part, device) for part in batch]
        return getattr(kind, "_make", kind)(moved)
    if isinstance(batch, MutableSequence) and not isinstance(batch, bytearray):
        made = copy.copy(batch)
        for place, part in enumerate(batch):
            made[place] = to_device(part, device)
        return made
    if dataclasses.is_dataclass(batch):
        made = copy.copy(batch)
        for field in dataclasses.fields(batch):
            if hasattr(batch, field.name):
                object.__setattr__(made, field.name, to_device(getattr(batch, field.name), device))
        return made
    return batch


@lru_cache(maxsize=256)
def _options_of(method: Callable[..., Any]) -> dict[str, bool]:
    """Return ``non_blocking`` where a method takes it."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # of C
        return {}
    takes = any(p.name == "non_blocking" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"non_blocking": True} if takes else {}
