"""What a buffer's balance keeps between processes: all that cannot be made anew exactly, as plain values."""

from typing import Any

import numpy as np
import torch

from .balance import Balance

__all__ = ["balance_state", "load_balance"]

_NUMBERS = (
    "highest",
    "prioritised",
    "labelled",
    "draws",
    "own_prototypes",
    "written_since_fit",
    "rescore_asked",
)


def balance_state(balance: Balance, stored: int) -> dict[str, Any]:
    """Return copies of all that a balance of so many items is."""
    tree = balance.weights.tree.state_dict()
    arrays = {
        "labels": balance.classes.labels,
        "counts": balance.classes.counts,
        "sums": balance.means.sums,
        "codes": balance.weights.codes[:stored],
        "tree": tree["weights"][:stored],
        "applied": balance.weights.applied,
        "mass": balance.weights.mass,
        "scores": balance.scores[:stored],
        "priorities": balance.priorities[:stored],
        "task_factors": balance.task_factors[:stored],
        "drawn": balance.drawn,
        "expected": balance.expected,
        "table": balance.groups.table,
        "similarity": balance.groups.similarity,
        "groups": balance.groups.groups,
    }
    numbers = {name: getattr(balance, name) for name in _NUMBERS}
    modules = zip(balance.module_versions(), balance.versions, strict=True)
    return {
        "arrays": {name: torch.from_numpy(array.copy()) for name, array in arrays.items()},
        "numbers": numbers | {"threshold": balance.groups.threshold},
        "trained": [now != then for now, then in modules],
        "scale": tree["scale"],
    }


def load_balance(balance: Balance, state: dict[str, Any], stored: int) -> None:
    """Take over what `balance_state` returned; modules are taken for those that it was made with."""
    arrays = {name: tensor.cpu().numpy().copy() for name, tensor in state["arrays"].items()}
    balance.classes.load(arrays["labels"], arrays["counts"])
    balance.means.sums = arrays["sums"]
    for name in ("scores", "priorities", "task_factors"):
        getattr(balance, name)[:stored] = arrays[name]
    balance.drawn, balance.expected = arrays["drawn"], arrays["expected"]
    groups, weights = balance.groups, balance.weights
    groups.table, groups.similarity, groups.groups = (arrays[k] for k in ("table", "similarity", "groups"))
    groups.threshold = state["numbers"]["threshold"]
    for name in _NUMBERS:
        setattr(balance, name, state["numbers"][name])
    own = balance.own(np.arange(stored))
    weights.load(arrays["codes"], own, arrays["applied"], arrays["mass"], arrays["tree"], state["scale"])
    measure, rule = (
        None if is_trained else version
        for is_trained, version in zip(state["trained"], balance.module_versions(), strict=True)
    )
    balance.versions = measure, rule
