"""Passes over the rows of a stratum by a strategy of its own, for a mixture: each is one of its epochs.

Pass k of a group of rows is epoch k of its strategy under a seed of the group's own, in batches of as many
rows as a batch of the mixture takes on average, so that what the strategy reads together is read together.
The core asks for the passes that a query needs; the last two of a group are kept.
"""

import hashlib
from collections.abc import Callable, Collection, Hashable

import numpy as np

from .. import _core
from .._base.types import IndexArray
from .base import Batching, Strategy
from .contexts import Strata

__all__ = ["InnerPasses"]


class InnerPasses:
    """The plan of any pass over a group of rows whose stratum has a strategy.

    Parameters
    ----------
    strata : Strata
    sizes : list of int
        Rows of each stratum that a batch takes on average.
    planned : collection
        The names of the strata that have a strategy.
    strategy_of : callable
        Gives the strategy of a group of rows, which chooses among them.
    options : Batching
        Of the mixture.
    """

    rows: IndexArray
    """Rows of a pass over each group, 0 for those without a strategy."""

    def __init__(
        self,
        strata: Strata,
        sizes: list[int],
        planned: Collection[Hashable],
        strategy_of: Callable[[int], Strategy],
        options: Batching,
    ) -> None:
        self._strata, self._sizes, self._options = strata, sizes, options
        self._planned, self._strategy_of = planned, strategy_of
        self._kept: dict[int, tuple[tuple[int, _core.Plan], ...]] = {}

    def count_rows(self) -> IndexArray:
        """Return the rows of a pass over each group; that many for all passes."""
        names, stratum_of = self._strata.names, self._strata.stratum_of.tolist()
        rows = (
            self(group, 0).n_rows if names[s] in self._planned else 0 for group, s in enumerate(stratum_of)
        )
        return np.fromiter(rows, dtype=np.int64, count=len(stratum_of))

    def __call__(self, group: int, number: int) -> _core.Plan:
        """Return the plan of a pass.

        Raises
        ------
        ValueError
            If the strategy cannot do with the rows of its stratum.
        """
        kept = self._kept.get(group, ())  # a tuple, as several threads may ask
        for known, plan in kept:
            if known == number:
                return plan
        plan = self._make(group, number)
        self._kept[group] = (*kept[-1:], (number, plan))
        return plan

    def _make(self, group: int, number: int) -> _core.Plan:
        stratum = int(self._strata.stratum_of[group])
        seed = hashlib.sha256(f"{self._options['seed']} {group}".encode()).digest()
        try:
            return (
                self._strategy_of(group)
                .plan(
                    batch_size=self._sizes[stratum],
                    fetch_factor=self._options["fetch_factor"],
                    seed=int.from_bytes(seed[:8], "little") >> 1,
                    epoch=number,
                )
                ._core
            )
        except ValueError as error:
            msg = (
                f"the strategy of {self._strata.names[stratum]!r} must do with the rows of its stratum, of "
                f"which a batch takes {self._sizes[stratum]}: {error}"
            )
            raise ValueError(msg) from error
