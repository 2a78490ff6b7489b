"""States: what is consumed of which configuration, small and in a form that JSON can hold."""

from collections.abc import Mapping
from typing import Any

from .position import Position

__all__ = ["STATE_VERSION", "make_state", "read_state"]

STATE_VERSION = 1
_KEYS = ("version", "fingerprint", "seed", "position")


def make_state(fingerprint: Mapping[str, Any], seed: int, position: Position) -> dict[str, Any]:
    """Return a position as a state of the configuration with this fingerprint and seed."""
    return {
        "version": STATE_VERSION,
        "fingerprint": dict(fingerprint),
        "seed": seed,
        "position": position.to_dict(),
    }


def read_state(state: Mapping[str, Any], fingerprint: Mapping[str, Any], seed: int) -> Position:
    """Return the position that a state holds.

    Raises
    ------
    ValueError
        If `state` is none, or was saved under a configuration with other batches; it names what differs.
    """
    if not _is_state(state):
        message = f"a state has the keys {', '.join(_KEYS)}, but got {state!r}"
        raise ValueError(message)
    if state["version"] != STATE_VERSION:
        message = f"expected a state of version {STATE_VERSION}, but got version {state['version']!r}"
        raise ValueError(message)
    own = {**fingerprint, "seed": seed}
    saved = {**state["fingerprint"], "seed": state["seed"]}
    missing = "not there"
    differing = [
        f"{name} was {saved.get(name, missing)!r}, now is {own.get(name, missing)!r}"
        for name in {**saved, **own}
        if name not in saved or name not in own or saved[name] != own[name]
    ]
    if differing:
        message = f"the state was saved under another configuration: {'; '.join(differing)}"
        raise ValueError(message)
    return Position.from_dict(state["position"])


def _is_state(state: object) -> bool:
    if not isinstance(state, Mapping) or set(state) != set(_KEYS):
        return False
    return isinstance(state["fingerprint"], Mapping)
