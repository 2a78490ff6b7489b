"""A replay buffer, and what it draws by: scores of stored samples, balanced over their semantic groups.

| part | what it is |
|---|---|
| `scores` | plain arrays of one float64 a row, which compose, and a schedule for their balance |
| `buffer` | `BalancedBuffer`, which keeps a sample of a stream and draws from it by importance |
| `modules` | a similarity and a threshold that are learned, for the buffer |

Numba compiles the kernels when the first of them is needed and keeps them in its cache. `BalancedBuffer` and
the modules need torch, and are imported when first used; importing this package imports neither Numba nor
torch. The names below are public; where in the folders they are written is not.

In: features, labels, groups and items of a stream. Out: scores, and batches of stored items.
May import: `_base`, `draws` and the core; torch, Numba and matplotlib late. Inside, `buffer` imports
`scores`, never the other way round.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .scores import (
    BalanceSchedule,
    combine_scores,
    difficulty_scores,
    group_balance,
    importance_scores,
    prototype_similarity,
    temporal_scores,
    uncertainty_scores,
)

if TYPE_CHECKING:
    from .buffer import BalancedBuffer
    from .modules import AdaptiveThreshold, SemanticSimilarity

__all__ = [
    "AdaptiveThreshold",
    "BalanceSchedule",
    "BalancedBuffer",
    "SemanticSimilarity",
    "combine_scores",
    "difficulty_scores",
    "group_balance",
    "importance_scores",
    "prototype_similarity",
    "temporal_scores",
    "uncertainty_scores",
]

_LATE = {"AdaptiveThreshold": "modules", "BalancedBuffer": "buffer", "SemanticSimilarity": "modules"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
