"""Batches that mix strata by number or share, if asked for within one context each.

A stratum, such as the controls, goes through its own rows in an order of their own, again and again, each
time in a fresh one, and epochs go on where those before ended: a position of that endless sequence is
arithmetic, so that any batch is there at once. The rule of fractions is in `portions`, that of contexts in
`contexts`. O(n) once to group rows, O(strata) an epoch, O(strata + batch_size) a batch.
"""

import hashlib
import json
import logging
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import ROWS_LIMIT, check_choice, check_integer
from ..labels.classes import Classes
from ..labels.numbering import MISSING, Missing
from ..plans.plan import Plan
from ..reports.plan_report import Sample
from .base import Batching, Strategy
from .contexts import Contexts, Strata, epoch_of, read_strata
from .inner_passes import InnerPasses
from .portions import Portions, Schedule, fixed_portions, read_shares, scheduled_portions

__all__ = ["Mixture"]

_logger = logging.getLogger("tombola.strategies")

_MANY = 1000
"""Batches over which the rows that a batch takes of a stratum are averaged."""


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Strategy):
    """Each batch holds so many rows, or such a share, of each stratum.

    Parameters
    ----------
    labels : array-like, sequence of array-likes, or DataFrame
        The stratum of each row of the whole or of ``indices``, as in `ClassBalancedSampling`.
    shares : mapping, or callable
        What a batch takes of each stratum, by name: integers are rows, and sum to ``batch_size``; floats are
        shares, and sum to 1. Fractions of rows are spread evenly: after any number of batches a stratum is
        off its share by less than two rows, and one of up to three strata by less than one. A callable gives
        the shares of a batch by its number in the epoch, for a curriculum; it needs ``total_size``.
    strategies : mapping, optional, keyword-only
        The strategy by which a stratum goes through its rows, such as ``{"control": BlockShuffling(16)}``;
        one for every row in a fresh random order where there is none. Keys, labels and weights of such a
        strategy are as long as the whole; it balances classes among the rows that it chooses among, those of
        a stratum and context.
    within : array-like, optional, keyword-only
        A context of each row, as long as labels: each batch is of one, all strata alike.
    per_condition : array-like, optional, keyword-only
        A condition of each row, as long as labels: each batch is of one, but for the stratum that `controls`
        names, whose conditions are not looked at and may be missing.
    controls : optional, keyword-only
        The stratum that is shared by all conditions of a context; with ``per_condition`` only.
    contexts : {"proportional", "even"}, keyword-only
        Whether contexts have batches in proportion to their rows, or all as many.
    ends_with : keyword-only
        An epoch ends when the ``"longest"`` stratum has come once, before the ``"shortest"`` one would come
        again, or when the stratum of that name has come once.
    total_size : int, optional, keyword-only
        Rows of an epoch instead; rounded up to whole batches.
    others : {"error", "drop"}, keyword-only
        Whether rows of strata that have no share are refused, or left out.
    missing : {"error", "drop"}, keyword-only
        Whether a missing label, context or condition is refused, or its row left out.
    indices : array-like of int, optional, keyword-only
        The rows to choose among, strictly increasing.

    Raises
    ------
    TypeError
        If an argument is of a wrong type.
    ValueError
        If an argument is out of range, a stratum has no rows, in a context where there are some, a label is
        missing, or shares do not sum to what they must.

    Notes
    -----
    A batch holds its rows stratum by stratum, in the order of ``shares``. All batches are full; ``drop_last``
    changes nothing. A stratum that is short comes again within an epoch, where it is shorter than its part of
    a batch even within the batch; the report says how often. With ``strategies``, ``fetch_factor`` is part of
    the order of their rows. Making the strategy groups the rows, O(n); after that an epoch costs
    O(contexts * strata), and a function of the batch number is called once a batch. The same version gives
    the same batches on every platform. No other thread must write to the arrays while the strategy is being
    made; later changes are harmless.

    Examples
    --------
    >>> import numpy as np, tombola
    >>> labels = np.repeat(["control", "treated"], [5, 40])
    >>> plan = tombola.Mixture(labels, {"control": 2, "treated": 6}).plan(batch_size=8)
    >>> len(plan), labels[plan[0]].tolist().count("control")
    (7, 2)
    >>> sorted(set(plan.indices().tolist())) == list(range(45))
    True
    """

    labels: Any
    shares: Mapping[Any, float] | Schedule
    strategies: Mapping[Any, Strategy] | None = field(default=None, kw_only=True)
    within: Any = field(default=None, kw_only=True)
    per_condition: Any = field(default=None, kw_only=True)
    controls: Hashable = field(default=None, kw_only=True)
    contexts: Literal["proportional", "even"] = field(default="proportional", kw_only=True)
    ends_with: Hashable = field(default="longest", kw_only=True)
    total_size: int | None = field(default=None, kw_only=True)
    others: Missing = field(default="error", kw_only=True)
    missing: Missing = field(default="error", kw_only=True)

    _key_name = "labels"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set(contexts=check_choice("contexts", self.contexts, ("proportional", "even")))
        self._set(others=check_choice("others", self.others, ("error", "drop")))
        self._set(missing=check_choice("missing", self.missing, MISSING))
        if self.total_size is not None:
            self._set(total_size=check_integer("total_size", self.total_size, minimum=1, limit=ROWS_LIMIT))
        self._check_names(self._read_names())
        self._strata()
        self._count(None)
        self._check_strategies()

    def _read_names(self) -> tuple[Hashable, ...]:
        """Return the strata, and check their shares."""
        given: Any = self.shares
        is_schedule = callable(given)
        if is_schedule:
            if self.total_size is None or self.within is not None or self.per_condition is not None:
                msg = (
                    "shares that are a function of the batch number need total_size, and neither within nor "
                    "per_condition"
                )
                raise ValueError(msg)
            given = given(0)
        if not isinstance(given, Mapping):
            came = f"shares(0) = {given!r}" if is_schedule else f"are {given!r}"
            msg = f"shares must be a mapping from strata to rows or shares, or a function, but {came}"
            raise TypeError(msg)
        if not is_schedule:
            self._set(shares=dict(given))
            read_shares(given)
        return tuple(given)

    def _check_names(self, names: tuple[Hashable, ...]) -> None:
        known = ", ".join(map(repr, names))
        given: Any = {} if self.strategies is None else self.strategies
        if not isinstance(given, Mapping):
            msg = f"strategies must be a mapping from strata to strategies, but are {given!r}"
            raise TypeError(msg)
        self._set(strategies=dict(given) or None)
        for name, strategy in given.items():
            if name not in names:
                msg = f"strategies must be of strata that have a share, {known}, but one is of {name!r}"
                raise ValueError(msg)
            if not isinstance(strategy, Strategy):
                msg = f"strategies must be such as BlockShuffling(), but that of {name!r} is {strategy!r}"
                raise TypeError(msg)
            if strategy.indices is not None or strategy.sizes_vary(drop_last=False):
                msg = (
                    f"the strategy of {name!r} must give batches of one size, and have no indices, as it "
                    f"chooses among the rows of its stratum, but is {strategy!r}"
                )
                raise ValueError(msg)
        if self.ends_with not in (*names, "longest", "shortest"):
            msg = f'ends_with must be "longest", "shortest" or one of {known}, but is {self.ends_with!r}'
            raise ValueError(msg)
        if (self.per_condition is None) != (self.controls is None) or (
            self.controls is not None and self.controls not in names
        ):
            msg = (
                f"controls must name the stratum that conditions share, one of {known}, where there is "
                f"per_condition, and only there, but is {self.controls!r}"
            )
            raise ValueError(msg)

    def _check_strategies(self) -> None:
        """Check that arrays of strategies are as long as the whole."""
        indices, length = self._indices, self._key_length()
        for name, strategy in (self.strategies or {}).items():
            own = strategy._key_length()
            if own is None:
                continue
            if indices is None or length != len(indices):
                wrong = None if own == length else f"{length}"
            else:
                wrong = None if own > int(indices[-1]) else f"and indices reach {int(indices[-1])}"
            if wrong is not None:
                msg = (
                    f"{strategy._key_name} of the strategy of {name!r} must be as long as the whole, "
                    f"{wrong}, but the length is {own}"
                )
                raise ValueError(msg)

    def _strata(self) -> Strata:
        def read() -> Strata:
            return read_strata(
                self.labels,
                tuple(self.shares(0) if callable(self.shares) else self.shares),
                within=self.within,
                per_condition=self.per_condition,
                controls=self.controls,
                indices=self._indices,
                others=self.others,
                missing=self.missing,
            )

        return self._once("strata", read)

    def _classes(self) -> Classes:
        return self._strata().classes

    def _key_length(self) -> int:
        return len(self._strata().classes)

    def _portions(self, batch_size: int) -> Portions:
        shares, names = self.shares, self._strata().names

        def make() -> Portions:
            if callable(shares):
                size = cast("int", self.total_size)
                return scheduled_portions(shares, names, -(-size // batch_size), batch_size)
            return fixed_portions(read_shares(shares), batch_size)

        return self._once(f"portions {batch_size}", make)

    def _epoch(self, batch_size: int) -> tuple[Portions, Contexts]:
        """Return what batches take, and the contexts of an epoch."""
        portions = self._portions(batch_size)

        def make() -> Contexts:
            return epoch_of(
                self._strata(),
                portions,
                ends_with=self.ends_with,
                total_size=self.total_size,
                is_even=self.contexts == "even",
            )

        return portions, self._once(f"epoch {batch_size}", make)

    def _make(self, rows: int, options: Batching) -> _core.Plan:
        portions, contexts = self._epoch(options["batch_size"])
        self._say_once()
        passes = self._passes(portions, contexts, options) if self.strategies else None
        return _core.plan_mixture(
            self._strata().groups,
            portions=portions.kind,
            amounts=portions.amounts,
            context_firsts=contexts.firsts,
            context_groups=self._strata().cells.ravel(),
            batches=contexts.batches,
            pass_rows=None if passes is None else passes.rows,
            make_pass=passes,
            **options,
        )

    def _passes(self, portions: Portions, contexts: Contexts, options: Batching) -> InnerPasses:
        strata = self._strata()
        horizon = contexts.batches if portions.kind == "positions" else _MANY
        sizes = [max(1, round(portions.until(s, horizon) / horizon)) for s in range(len(strata.names))]
        passes = InnerPasses(strata, sizes, self.strategies or (), self._inner, options)
        passes.rows = self._once(f"rows a pass {options['batch_size']}", passes.count_rows)
        return passes

    def _inner(self, group: int) -> Strategy:
        """Return the strategy of a group of rows, choosing among them."""
        strata = self._strata()
        strategy = (self.strategies or {})[strata.names[strata.stratum_of[group]]]
        return self._once(f"inner {group}", lambda: strategy._among(strata.groups.members_of(group)))

    def _say_once(self) -> None:
        """Say once a strategy what rows are left out."""
        strata = self._strata()

        def say() -> Literal[True]:
            if strata.n_left_out:
                _logger.info(
                    "%s of %s rows are left out, as their label has no share or is missing, or as they are "
                    "controls of nothing",
                    f"{strata.n_left_out:,}",
                    f"{self._count(None):,}",
                )
            return True

        self._once("said", say)

    def _hashes(self) -> dict[str, str | None]:
        strata, shares = self._strata(), self.shares
        inner = {
            str(name): one.fingerprint(self._count(None) if one._key_length() is None else None)
            for name, one in (self.strategies or {}).items()
        }
        text = getattr(shares, "__qualname__", type(shares).__name__)
        return {
            **super()._hashes(),
            "labels": f"{strata.groups.fingerprint:016x}",
            "strata": strata.digest(),
            "shares": text if callable(shares) else json.dumps(read_shares(shares)),
            "strategies": json.dumps(inner) if inner else None,
            "ends_with": str(self.ends_with),
        }

    def _hashes_of_batches(self, batch_size: int) -> dict[str, str | None]:
        if not callable(self.shares):
            return {}
        amounts = self._portions(batch_size).amounts
        return {"shares": hashlib.sha256(amounts.astype("<i8").tobytes()).hexdigest()[:16]}

    def _compared(self) -> Iterator[object]:
        arrays = ("labels", "within", "per_condition")
        options = (value for name, value in self._fields() if name not in arrays)
        return iter((*options, self._strata().groups.fingerprint, self._strata().digest()))

    def _element_weights(self, start: int, stop: int) -> npt.NDArray[np.floating[Any]] | None:
        return None

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        portions, contexts = self._epoch(plan.batch_size)
        strata = self._strata()
        counts = strata.counts()
        entries: dict[str, Any] = {"strata": len(strata.names), "contexts": len(contexts.firsts)}
        lengths = np.diff(contexts.firsts, append=contexts.batches).tolist()
        for s, name in enumerate(strata.names):
            rows = int(counts[strata.stratum_of == s].sum())
            drawn = sum(
                portions.until(s, (plan.epoch + 1) * length) - portions.until(s, plan.epoch * length)
                if portions.kind != "positions"
                else portions.until(s, length)
                for length in lengths
            )
            entries[f"passes_of_{name}"] = drawn / rows
        return {**entries, "rows_left_out": strata.n_left_out}
