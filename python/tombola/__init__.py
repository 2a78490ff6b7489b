"""tombola: which rows form batch k of epoch e, decided fast, reproducibly and resumably.

Keys and weights go into a strategy, a strategy makes plans, samplers and loaders read rows by them. Names
that need torch, h5py or Numba are imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._core import get_num_threads, set_num_threads
from ._version import __version__
from .draws.alias import AliasTable, GroupedAliasTable
from .draws.permutations import RandomPermutation, permutation
from .draws.sum_tree import SumTree, correction_weights
from .labels.categorical import Categorical
from .labels.weights import compute_balanced_weights
from .plans.plan import Plan
from .reports.padding import padding_report
from .strategies import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    ClassBalancedSampling,
    Mixture,
    PerClass,
    SeriesRoundRobin,
    Strategy,
    Streaming,
)

if TYPE_CHECKING:
    from .loading.dataloader import DataLoader as DataLoader
    from .loading.loader import Loader
    from .passes.position import Position
    from .replay import BalancedBuffer, importance_scores
    from .samplers.batch_sampler import PlanBatchSampler
    from .samplers.collate import collate_compressed_batch
    from .samplers.composed import BlendedBatchSampler, MPerClassBatchSampler
    from .samplers.dropins import BalancedSeriesBatchSampler, BucketSampler
    from .sources import ArraySource, H5adSource, Source

# All but DataLoader, which would take the place of torch's in scripts that import everything.
__all__ = [
    "AliasTable",
    "ArraySource",
    "BalancedBuffer",
    "BalancedSeriesBatchSampler",
    "BlendedBatchSampler",
    "BlockShuffling",
    "BlockWeightedSampling",
    "BucketSampler",
    "Bucketed",
    "Categorical",
    "ClassBalancedSampling",
    "GroupedAliasTable",
    "H5adSource",
    "Loader",
    "MPerClassBatchSampler",
    "Mixture",
    "PerClass",
    "Plan",
    "PlanBatchSampler",
    "Position",
    "RandomPermutation",
    "SeriesRoundRobin",
    "Source",
    "Strategy",
    "Streaming",
    "SumTree",
    "__version__",
    "collate_compressed_batch",
    "compute_balanced_weights",
    "correction_weights",
    "get_num_threads",
    "importance_scores",
    "padding_report",
    "permutation",
    "set_num_threads",
]

_LATE = {
    "ArraySource": "sources",
    "BalancedBuffer": "replay",
    "BalancedSeriesBatchSampler": "samplers.dropins",
    "BlendedBatchSampler": "samplers.composed",
    "BucketSampler": "samplers.dropins",
    "DataLoader": "loading.dataloader",
    "H5adSource": "sources",
    "Loader": "loading.loader",
    "MPerClassBatchSampler": "samplers.composed",
    "PlanBatchSampler": "samplers.batch_sampler",
    "Position": "passes.position",
    "Source": "sources",
    "collate_compressed_batch": "samplers.collate",
    "importance_scores": "replay",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        msg = f"module 'tombola' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LATE})
