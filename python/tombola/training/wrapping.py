"""Models inside of wrappers: DistributedDataParallel, DataParallel and what torch.compile gives.

Rule: checkpoints hold the names of the plain model's state, whatever it is wrapped in, so that a file of one
is loaded into the other. Files that hold wrappers' names are read as well, those of wrapped submodules too.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn

__all__ = ["evaluated", "is_parallel", "plain", "renamed"]

_COMPILED = "_orig_mod"
_PARALLEL = "module"
_DATA_PARALLEL = (nn.parallel.DistributedDataParallel, nn.DataParallel)


def _layers(model: nn.Module) -> list[nn.Module]:
    """Return the model, what it wraps, and so on to the plain one."""
    layers = [model]
    while True:
        outer = layers[-1]
        inner = outer.module if isinstance(outer, _DATA_PARALLEL) else outer._modules.get(_COMPILED)
        if not isinstance(inner, nn.Module):
            return layers
        layers.append(inner)


def plain(model: nn.Module) -> nn.Module:
    """Return the model inside of all wrappers."""
    return _layers(model)[-1]


def is_parallel(model: nn.Module) -> bool:
    """Tell whether a model is wrapped to be trained by several ranks or devices."""
    return any(isinstance(layer, _DATA_PARALLEL) for layer in _layers(model))


def evaluated(model: nn.Module) -> nn.Module:
    """Return what DistributedDataParallel wraps, compiled or not: by it a rank validates on its own."""
    layers = _layers(model)
    places = [place for place, layer in enumerate(layers) if isinstance(layer, _DATA_PARALLEL)]
    return layers[places[-1] + 1] if places else model


def renamed(saved: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a saved state under a model's own names, where they differ by names of wrappers only.

    Parameters
    ----------
    saved, own : mapping
        Name to value. What of `saved` has no match in `own` keeps its name.
    """
    for wrappers in ((_COMPILED,), (_COMPILED, _PARALLEL)):
        if saved.keys() == own.keys():
            break
        owners = {_without(name, wrappers): name for name in own}
        names = {name: _without(name, wrappers) for name in saved}
        if len({*names.values()}) < len(names) or len(owners) < len(own):
            continue  # names that differ without it
        versions = {_without(name, wrappers): value for name, value in _versions(saved).items()}
        saved = OrderedDict((owners.get(names[name], name), value) for name, value in saved.items())
        matched = {name: versions.get(_without(name, wrappers)) for name in _versions(own)}
        vars(saved)["_metadata"] = {name: value for name, value in matched.items() if value is not None}
    return saved


def _without(name: str, wrappers: tuple[str, ...]) -> str:
    return ".".join(part for part in name.split(".") if part not in wrappers)


def _versions(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the versions of the modules, which torch keeps beside a state."""
    return dict(getattr(state, "_metadata", {}))
