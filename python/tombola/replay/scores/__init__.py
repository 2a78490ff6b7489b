"""What a row is worth: scores as plain arrays of one float64 a row, by kernels that Numba compiles.

| file | what it is |
|---|---|
| `importance` | far from its prototype and of a rare group: the main score, and the similarity in it |
| `groups` | groups of rows, their sizes, each group's share of the balance, and a schedule for it |
| `values` | scores from age, loss and logits, and the product that joins scores |
| `arrays` | how arrays and tensors come into the kernels, each kind in one form |
| `runtime` | kernels compiled late and cached, run on threads where that is safe |
| `importance_kernels` | kernels of `importance` and `groups`; the head says why one is in LLVM's language |
| `value_kernels` | kernels of `values` |

In: features, labels, prototypes, groups, values; arrays or tensors. Out: scores.
May import: `_base` and the core; Numba late, and torch never: whoever has a tensor has it already.
"""

from .groups import BalanceSchedule, group_balance
from .importance import importance_scores, prototype_similarity
from .values import combine_scores, difficulty_scores, temporal_scores, uncertainty_scores

__all__ = [
    "BalanceSchedule",
    "combine_scores",
    "difficulty_scores",
    "group_balance",
    "importance_scores",
    "prototype_similarity",
    "temporal_scores",
    "uncertainty_scores",
]
