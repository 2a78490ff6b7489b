"""Batches that mix strata by number or share, if asked for within one context each.

A stratum, such as the controls, goes through its own rows in an order of their own, again and again, each
time in a fresh one, and epochs go on where those before ended: a position of that endless sequence is
arithmetic, so that any batch is there at once. The rule of fractions is in `portions`, that of contexts in
`contexts`. O(n) once to group rows, O(strata) an epoch, O(strata + batch_size) a batch.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import check_choice, check_integer
from .._base.types import IndexArray
from ..labels.classes import Classes
from ..labels.numbering import MISSING, Missing
from ..plans.plan import Plan
from ..reports.plan_report import Sample
from .base import Batching, Strategy
from .contexts import Contexts, Strata, epoch_of, read_strata
from .portions import Portions, Schedule, fixed_portions, read_shares, scheduled_portions

__all__ = ["Mixture"]

_logger = logging.getLogger("tombola.strategies")


@dataclass(frozen=True, eq=False, repr=False)
class Mixture(Strategy):
    """Each batch holds so many rows, or such a share, of each stratum.

    Parameters
    ----------
    labels : array-like, sequence of array-likes, or DataFrame
        The stratum of each row of the whole or of ``indices``, as in `ClassBalancedSampling`.
    shares : mapping, or callable
        What a batch takes of each stratum, by name: integers are rows, and sum to ``batch_size``; floats are
        shares, and sum to 1. Fractions of rows are spread evenly: after any number of batches each stratum
        has had its share to within a row. A callable gives the shares of a batch by its number in the epoch,
        for a curriculum; it needs ``total_size``.
    strategies : mapping, optional, keyword-only
        The strategy by which a stratum goes through its rows, such as ``{"control": BlockShuffling(16)}``;
        one for every row in a fresh random order where there is none. Keys, labels and weights of such a
        strategy are as long as the whole.
    within : array-like, optional, keyword-only
        A context of each row, as long as labels: each batch is of one, all strata alike.
    per_condition : array-like, optional, keyword-only
        A condition of each row, as long as labels: each batch is of one, but for the stratum that `controls`
        names.
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
    a batch even within the batch; the report says how often. Making the strategy reads the labels, its first
    plan groups the rows: O(n). The same version gives the same batches on every platform. No other thread
    must write to the arrays while the strategy or a plan of it is being made; later changes are harmless.

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
            self._set(total_size=check_integer("total_size", self.total_size, minimum=1))
        given: Any = self.shares
        if callable(given):
            if self.total_size is None or self.within is not None or self.per_condition is not None:
                msg = "shares that are a function of the batch need total_size, and one context alone"
                raise ValueError(msg)
            given = given(0)
        if not isinstance(given, Mapping):
            msg = f"shares must be a mapping from strata to rows or shares, or a function, but are {given!r}"
            raise TypeError(msg)
        names = tuple(given)
        if not callable(self.shares):
            self._set(shares=dict(given))
            read_shares(given)
        self._set(strategies=None if self.strategies is None else dict(self.strategies))
        self._check_names(names)
        self._strata()
        self._count(None)

    def _check_names(self, names: tuple[Hashable, ...]) -> None:
        known = ", ".join(map(repr, names))
        given: Mapping[Hashable, Any] = self.strategies or {}
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
        if callable(self.shares):
            size = cast("int", self.total_size)
            schedule, names = self.shares, self._strata().names
            return self._once(
                f"portions {batch_size}",
                lambda: scheduled_portions(schedule, names, -(-size // batch_size), batch_size),
            )
        return fixed_portions(read_shares(self.shares), batch_size)

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
        passes = self._passes(portions, options) if self.strategies else None
        return _core.plan_mixture(
            self._strata().groups,
            portions=portions.kind,
            amounts=portions.array(),
            context_firsts=contexts.firsts,
            context_groups=contexts.groups.ravel(),
            use_firsts=contexts.use_firsts.ravel(),
            use_batches=contexts.use_batches.ravel(),
            batches=contexts.batches,
            pass_rows=None if passes is None else passes.rows,
            make_pass=passes,
            **options,
        )

    def _passes(self, portions: Portions, options: Batching) -> "_Passes":
        sizes = [
            max(1, round(portions.until(s, 1000) / 1000))
            if portions.kind != "positions"
            else options["batch_size"]
            for s in range(len(self._strata().names))
        ]
        return _Passes(self, sizes, options)

    def _inner(self, group: int) -> Strategy | None:
        """Return the strategy of a group of rows, choosing among them."""
        strata = self._strata()
        strategy = (self.strategies or {}).get(strata.names[strata.stratum_of[group]])
        if strategy is None:
            return None
        return self._once(
            f"inner {group}", lambda: dataclasses.replace(strategy, indices=strata.groups.members_of(group))
        )

    def _say_once(self) -> None:
        """Say once a strategy what rows are left out."""
        strata = self._strata()

        def say() -> Literal[True]:
            if strata.n_left_out:
                _logger.info(
                    "%s of %s rows are left out, as their stratum has no share or a label is missing",
                    f"{strata.n_left_out:,}",
                    f"{strata.n_left_out + strata.groups.n:,}",
                )
            return True

        self._once("said", say)

    def _hashes(self) -> dict[str, str | None]:
        strata = self._strata()
        shares = self.shares
        text = (
            hashlib.sha256(self._portions(1000).array().tobytes()).hexdigest()[:16]
            if callable(shares)
            else json.dumps([float(value) for value in read_shares(shares)])
        )
        inner = {
            str(name): one.fingerprint(self._count(None)) for name, one in (self.strategies or {}).items()
        }
        return {
            **super()._hashes(),
            "labels": f"{strata.groups.fingerprint:016x}",
            "strata": strata.digest(),
            "shares": text,
            "strategies": json.dumps(inner) if inner else None,
            "ends_with": str(self.ends_with),
        }

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
        for s, name in enumerate(strata.names):
            mine = counts[strata.stratum_of == s].sum()
            drawn = (
                int(portions.array()[(s + 1) * (contexts.batches + 1) - 1])
                if portions.kind == "positions"
                else portions.until(s, contexts.batches)
            )
            entries[f"passes_of_{name}"] = drawn / int(mine)
        return {**entries, "rows_left_out": strata.n_left_out}


class _Passes:
    """The plan of any pass over a group of rows whose stratum has a strategy."""

    def __init__(self, mixture: Mixture, sizes: list[int], options: Batching) -> None:
        self._mixture, self._sizes, self._options = mixture, sizes, options
        self._kept: dict[int, dict[int, _core.Plan]] = {}
        n_groups = mixture._strata().groups.n_groups
        self.rows: IndexArray = np.array([self._rows(group) for group in range(n_groups)], dtype=np.int64)

    def _rows(self, group: int) -> int:
        return 0 if self._mixture._inner(group) is None else self(group, 0).n_rows

    def __call__(self, group: int, number: int) -> _core.Plan:
        kept = self._kept.setdefault(group, {})
        if number not in kept:
            inner = self._mixture._inner(group)
            assert inner is not None
            seed = hashlib.sha256(f"{self._options['seed']} {group}".encode()).digest()
            plan = inner.plan(
                self._mixture._count(None) if self._mixture.indices is None else None,
                batch_size=self._sizes[self._mixture._strata().stratum_of[group]],
                fetch_factor=self._options["fetch_factor"],
                seed=int.from_bytes(seed[:8], "little") >> 1,
                epoch=number,
            )
            for old in list(kept)[:-1]:  # of two passes, at whose border a reader may be
                kept.pop(old, None)
            kept[number] = plan._core
        return kept[number]
