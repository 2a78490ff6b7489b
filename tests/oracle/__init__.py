"""Every rule of the engine once more: slow, plain NumPy and Python integers, written apart from the core.

The core must equal it byte for byte (`tests/property/test_core_equals_oracle.py`); its own order is pinned
by `tests/golden`. One module a part: philox (random numbers), permutations, weights (integer weights), draws,
alias, sum_tree, plans (blocks, windows, batches).
"""

from tests.oracle.alias import AliasTable, GroupedAlias
from tests.oracle.permutations import Bijection, permutation, random_permutation, shuffle
from tests.oracle.plans import Batching, OraclePlan, blocks, streaming, weighted
from tests.oracle.sum_tree import SumTree
from tests.oracle.weights import Quantised, quantise_codes, quantise_values

__all__ = [
    "AliasTable",
    "Batching",
    "Bijection",
    "GroupedAlias",
    "OraclePlan",
    "Quantised",
    "SumTree",
    "blocks",
    "permutation",
    "quantise_codes",
    "quantise_values",
    "random_permutation",
    "shuffle",
    "streaming",
    "weighted",
]
