"""The state of a buffer: all that cannot be made anew exactly, as plain values, copied. O(size).

Version 3 is read as well: it has one level of groups, and no scores beside the similarity.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .balance import Balance
from .items import Storage
from .options import check_state

__all__ = ["buffer_state", "loaded_balance"]

_OF_BALANCE = (
    "highest",
    "prioritised",
    "labelled",
    "draws",
    "own_prototypes",
    "written_since_fit",
    "rescore_asked",
)
"""What a state keeps of a balance beside arrays."""


def buffer_state(balance: Balance, stored: int, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies of all that a buffer of so many items is; `numbers` are its own."""
    return {
        **balance.options.described(balance.storage.size),
        **numbers,
        "balance_weight": balance.options.weight_state(),
        "items": balance.storage.state(stored),
        "balance": _balance_state(balance, stored),
        "stamps": balance.storage.stamps.state(stored),
    }


def loaded_balance(like: Balance, state: Mapping[str, Any]) -> Balance:
    """Return a new balance over a new storage, of the state of a buffer with the options of another one.

    Raises
    ------
    ValueError
        If the state is of another version, or a buffer with other options.
    """
    options, size = like.options, like.storage.size
    check_state(state, options.described(size))
    storage = Storage(size, like.storage.device, state["items"], state["stamps"])
    balance = Balance(storage, options.with_weight_state(state["balance_weight"]), like.guard, like.said)
    _load_balance(balance, state["balance"], min(state["num_seen_examples"], size))
    return balance


def _balance_state(balance: Balance, stored: int) -> dict[str, Any]:
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
    if len(balance.groups.levels) > 1:
        arrays["finer"] = np.stack(balance.groups.levels[1:])
    numbers = {name: getattr(balance, name) for name in _OF_BALANCE}
    modules = zip(balance.module_versions(), balance.versions, strict=True)
    return {
        "arrays": {name: torch.from_numpy(array.copy()) for name, array in arrays.items()},
        "numbers": numbers,
        "thresholds": list(balance.groups.thresholds),
        "item_scores": balance.item_scores.state(stored),
        "trained": [now != then for now, then in modules],
        "scale": tree["scale"],
    }


def _load_balance(balance: Balance, state: dict[str, Any], stored: int) -> None:
    """Take over what `_balance_state` returned; modules are taken for those that it was made with."""
    arrays = {name: tensor.cpu().numpy().copy() for name, tensor in state["arrays"].items()}
    balance.classes.load(arrays["labels"], arrays["counts"])
    balance.means.sums = arrays["sums"]
    for name in ("scores", "priorities", "task_factors"):
        getattr(balance, name)[:stored] = arrays[name]
    balance.drawn, balance.expected = arrays["drawn"], arrays["expected"]
    groups, weights = balance.groups, balance.weights
    groups.table, groups.similarity = arrays["table"], arrays["similarity"]
    groups.levels = (arrays["groups"], *arrays.get("finer", ()))
    if "item_scores" in state:
        groups.thresholds = tuple(state["thresholds"])
        balance.item_scores.load(state["item_scores"])
    else:  # version 3
        groups.thresholds = (state["numbers"]["threshold"],)
    for name in _OF_BALANCE:
        setattr(balance, name, state["numbers"][name])
    own = balance.own(np.arange(stored))
    weights.load(arrays["codes"], own, arrays["applied"], arrays["mass"], arrays["tree"], state["scale"])
    measure, rule = (
        None if is_trained else version
        for is_trained, version in zip(state["trained"], balance.module_versions(), strict=True)
    )
    balance.versions = measure, rule
