"""What a callable goes by, looked at again and again: so scores follow a similarity that is trained.

The tensors, arrays and numbers that a callable can be seen to use are those of a module (parameters, buffers
and other attributes, of its submodules too), and what a bound method, a closure, a default, a partial, a
global name in the code or an attribute that the code names leads to. They are compared by value, for values
change without any count of it (``tensor.data``, arrays): all of a tensor of up to `WHOLE` elements, about
`SAMPLED` evenly spaced ones of a larger one. O(elements looked at), some microseconds for a small module.
"""

import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ... import _core

__all__ = ["SAMPLED", "WHOLE", "values_of"]

WHOLE = 2**16
SAMPLED = 2**12

_NUMBERS = (int, float, complex, str, bytes)
_FOLLOWED = (
    torch.nn.Module,
    torch.Tensor,
    np.ndarray,
    types.FunctionType,
    types.MethodType,
    functools.partial,
    dict,
    list,
    tuple,
)
_PLAIN = _FOLLOWED + _NUMBERS
_LIBRARIES = ("torch", "numpy", "tombola")


def values_of(function: object) -> tuple[Any, ...]:
    """Return what changes when a callable was trained, or what it uses was changed; () for None."""
    if function is None:
        return ()
    found: list[Any] = []
    seen: dict[Any, Any] = {}  # objects stay alive, so that no other one gets their id
    waiting: list[tuple[Any, frozenset[str]]] = [(function, frozenset())]
    while waiting:
        value, names = waiting.pop()
        bound = isinstance(value, types.MethodType)
        key = (id(value.__func__), id(value.__self__)) if bound else (id(value), names)
        if isinstance(value, _NUMBERS):
            found.append(value)
        elif key not in seen:
            seen[key] = value
            if isinstance(value, torch.Tensor):
                found.append((id(value), _version(value), _tensor_digest(value)))
            elif isinstance(value, np.ndarray):
                found.append((id(value), _array_digest(value)))
            else:
                waiting.extend(_leads_to(value, names))
    return tuple(found)


def _leads_to(value: Any, names: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """Return what a value leads to, each with the names that the code has that gets it."""
    none: frozenset[str] = frozenset()
    match value:
        case torch.nn.Module():
            for module in value.modules():
                yield from ((parameter, none) for parameter in module.parameters(recurse=False))
                yield from ((tensor, none) for tensor in module.buffers(recurse=False))
                yield from ((v, none) for name, v in vars(module).items() if _is_own(name, v))
        case types.MethodType():
            yield value.__func__, none
            yield value.__self__, _names_of(value.__func__)
        case types.FunctionType():
            if str(value.__module__).split(".")[0] not in _LIBRARIES:
                inside = _names_of(value)
                yield from ((v, inside) for v in _cells(value))
                yield from ((value.__globals__[name], inside) for name in inside if name in value.__globals__)
            yield from ((v, none) for v in value.__defaults__ or ())
            yield from ((v, none) for v in (value.__kwdefaults__ or {}).values())
            yield from ((v, none) for v in vars(value).values() if callable(v))
        case functools.partial():
            yield from ((v, none) for v in (value.func, *value.args, *value.keywords.values()))
        case dict():
            yield from ((v, names) for v in value.values() if isinstance(v, _PLAIN))
        case list() | tuple():
            yield from ((v, names) for v in value if isinstance(v, _PLAIN))
        case type() | types.ModuleType() | types.BuiltinFunctionType():
            return
        case _:
            yield from _leads_on(value, names)


def _leads_on(value: Any, names: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """Return what any other object leads to.

    What the code names counts: an object may be large, and hold counters, data and buffers beside. Of what is
    called itself, everything plain counts too.
    """
    own = _attributes(value)
    call = inspect.getattr_static(type(value), "__call__", None)
    if isinstance(call, types.FunctionType):
        yield types.MethodType(call, value), frozenset()
        yield from ((v, frozenset()) for v in own.values() if isinstance(v, _PLAIN))
    elif "__wrapped__" in own:
        yield own["__wrapped__"], frozenset()
    for name in names:
        if name in own:
            yield own[name], names
            continue
        found = inspect.getattr_static(type(value), name, None)
        found = found.fget if isinstance(found, property) else found
        if isinstance(found, types.FunctionType):
            yield types.MethodType(found, value), frozenset()
        elif isinstance(found, _PLAIN):
            yield found, names


def _is_own(name: str, value: Any) -> bool:
    """Return whether an attribute of a module is one that its author made."""
    return not name.startswith("_") and name != "training" and isinstance(value, _PLAIN)


def _cells(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _names_of(function: Any) -> frozenset[str]:
    """Return the names of globals and attributes in a function, and in those inside it."""
    waiting = [function.__code__] if isinstance(function, types.FunctionType) else []
    names: set[str] = set()
    while waiting:
        code = waiting.pop()
        names.update(code.co_names)
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return frozenset(names)


def _attributes(value: Any) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in _slot_names(kind)]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return found | dict(getattr(value, "__dict__", {}))


def _slot_names(kind: type) -> tuple[str, ...]:
    names = kind.__dict__.get("__slots__", ())
    return (names,) if isinstance(names, str) else tuple(name for name in names if not name.startswith("__"))


def _version(tensor: torch.Tensor) -> int:
    try:
        return tensor._version
    except RuntimeError:  # made in inference mode
        return -1


def _tensor_digest(tensor: torch.Tensor) -> int | None:
    try:
        flat = tensor.detach().reshape(-1)
        if len(flat) > WHOLE:
            flat = flat[:: len(flat) // SAMPLED]
        return int(_core.hash_array(flat.contiguous().view(torch.uint8).cpu().numpy()))
    except (RuntimeError, TypeError, NotImplementedError):  # sparse, of the meta device, ..
        return None


def _array_digest(array: np.ndarray[Any, Any]) -> int | None:
    if array.dtype.hasobject:
        return None
    flat = array.reshape(-1)
    if len(flat) > WHOLE:
        flat = flat[:: len(flat) // SAMPLED]
    return int(_core.hash_array(np.ascontiguousarray(flat)))
