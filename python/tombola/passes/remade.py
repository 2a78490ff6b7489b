"""What an object that a trainer makes anew takes over from the one that it was made from.

Lightning keeps a list with batch samplers and DataLoaders, and calls each function in it with the new object.
`tests/compat` holds its name against the real package.
"""

from collections.abc import Callable

__all__ = ["RECORD", "hand_over"]

RECORD = "__pl_attrs_record"


def hand_over(made: object, take: Callable[..., None], *what: object) -> None:
    """Let ``take(new, *what)`` be called with an object that is made anew from this one."""
    object.__setattr__(made, RECORD, [(what, take)])
