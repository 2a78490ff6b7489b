"""What a replay buffer draws by: scores of stored samples, balanced over their semantic groups.

Scores are plain arrays of one float64 a row, so that they compose: `importance_scores` is the main one,
`combine_scores` multiplies it with others. Numba compiles the kernels when the first of them is needed and
keeps them in its cache; importing this package imports neither Numba nor torch.
"""

from .importance import group_balance, importance_scores, prototype_similarity
from .schedule import BalanceSchedule
from .scores import combine_scores, difficulty_scores, temporal_scores, uncertainty_scores

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
