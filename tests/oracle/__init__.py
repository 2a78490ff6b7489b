"""Every rule of the engine once more: slow, plain NumPy and Python integers, written apart from the core.

The core must equal it byte for byte (`tests/property/test_core_equals_oracle.py`); its own order is pinned
by `tests/golden`. One module a part: philox (random numbers), permutations, weights (integer weights), draws,
alias, sum_tree, plans (blocks, windows, batches), groups (rows by key), series, buckets, per_class, portions
(rows a batch of each stratum), mixture.
"""

from tests.oracle.alias import AliasTable, GroupedAlias
from tests.oracle.buckets import buckets
from tests.oracle.groups import Groups, RaggedPlan, group
from tests.oracle.mixture import Cell, mixture
from tests.oracle.per_class import per_class
from tests.oracle.permutations import Bijection, permutation, random_permutation, shuffle
from tests.oracle.plans import Batching, OraclePlan, blocks, bounded_blocks, streaming, weighted
from tests.oracle.series import balanced, round_robin
from tests.oracle.sum_tree import SumTree
from tests.oracle.weights import Quantised, quantise_codes, quantise_values

__all__ = [
    "AliasTable",
    "Batching",
    "Bijection",
    "Cell",
    "GroupedAlias",
    "Groups",
    "OraclePlan",
    "Quantised",
    "RaggedPlan",
    "SumTree",
    "balanced",
    "blocks",
    "bounded_blocks",
    "buckets",
    "group",
    "mixture",
    "per_class",
    "permutation",
    "quantise_codes",
    "quantise_values",
    "random_permutation",
    "round_robin",
    "shuffle",
    "streaming",
    "weighted",
]
