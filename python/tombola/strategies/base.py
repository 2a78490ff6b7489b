"""What every strategy is: a frozen, validated description that makes the plan of any epoch.

A strategy holds options and the caller's arrays, which it borrows. Changing such an array later may change
which rows are chosen, never leads out of bounds, and is not seen by what was computed from it before
(fingerprint, prepared weights). That is of changes afterwards: while a strategy or a plan is being made, no
other thread must write to the arrays. Prepared state is kept beside the fields: equality, hash and pickle
ignore it.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import numpy as np
import numpy.typing as npt

from .. import _core
from .._base.checks import ROWS_LIMIT, check_bool, check_integer, index_array
from .._base.types import IndexArray
from ..labels.classes import Classes, factorise
from ..plans.plan import Plan
from ..reports.plan_picture import draw_plan
from ..reports.plan_report import Choice, PlanReport, Sample, make_report, read_sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Batching", "Strategy"]

T = TypeVar("T")

_FEW = 8
_LATER = {"missing": "error", "bounds": None}
"""Options that came later, with their defaults: fingerprints are without these, so that old states load."""


class Batching(TypedDict):
    """The options that every plan of the core takes."""

    batch_size: int
    fetch_factor: int
    drop_last: bool
    seed: int
    epoch: int


@dataclass(frozen=True, eq=False, repr=False)
class Strategy(ABC):
    """Which rows form batch k of epoch e, described; `plan` decides.

    Two strategies are equal if they are of one class and their options and the contents of their arrays are.
    """

    indices: npt.ArrayLike | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.indices is not None:
            indices = index_array("indices", self.indices)
            _core.check_increasing(indices)
            self._set(indices=indices)

    def plan(
        self,
        n: int | None = None,
        *,
        batch_size: int,
        fetch_factor: int = 1,
        drop_last: bool = False,
        seed: int = 0,
        epoch: int = 0,
    ) -> Plan:
        """Return the batches of one epoch.

        Parameters
        ----------
        n : int, optional
            Number of rows of the whole, which are numbered from 0. Needed where the strategy holds nothing as
            long as the whole.
        batch_size : int
            Rows a batch, >= 1; the last batch may be shorter.
        fetch_factor : int
            Batches that are read together, >= 1. Rows mix within such a window, so it is part of the order.
        drop_last : bool
            Leave out the last batch if it is not full.
        seed, epoch : int
            In ``[0, 2**63)``. Together they pick the order; epochs of one seed are independent.

        Returns
        -------
        Plan

        Raises
        ------
        TypeError
            If an argument has a wrong type, or n is missing where it is needed.
        ValueError
            If an argument is out of range, or does not fit the arrays of the strategy.

        Notes
        -----
        O(1), but for what is prepared once a strategy. The same version, strategy, seed and epoch give the
        same batches on every platform, for any number of threads, ranks and workers.
        """
        options: Batching = {
            "batch_size": check_integer("batch_size", batch_size, minimum=1),
            "fetch_factor": check_integer("fetch_factor", fetch_factor, minimum=1),
            "drop_last": check_bool("drop_last", drop_last),
            "seed": check_integer("seed", seed),
            "epoch": check_integer("epoch", epoch),
        }
        n = None if n is None else check_integer("n", n, limit=ROWS_LIMIT)
        return Plan(self._make(self._count(n), options), strategy=self, n=n, **options)

    def sizes_vary(self, *, drop_last: bool) -> bool:
        """Tell whether batches other than the last may hold fewer rows than ``batch_size``."""
        return False

    def number_of_rows(self, n: int | None = None) -> int | None:
        """Return how many rows there are, given n as in `plan`; None where it chooses among some of them."""
        return None if self._indices is not None else self._count(n)

    def describe(self) -> dict[str, Any]:
        """Return the class and its options, in a form that JSON can hold; arrays by dtype and length."""
        options = {name: _plain(value) for name, value in self._fields() if self._counts(name, value)}
        return {"strategy": type(self).__name__, **options}

    def fingerprint(self, n: int | None = None, *, batch_size: int | None = None) -> dict[str, Any]:
        """Return what decides the rows besides batching, seed and epoch, in a form that JSON can hold.

        Arrays come as 64-bit hashes in hexadecimal digits, taken once. ``n`` is as in `plan`. A function of
        the batch number is told by what it gives for the batches of an epoch, where ``batch_size`` is there,
        else by its name.
        """
        scalars = {
            name: value
            for name, value in self._fields()
            if (value is None or _is_scalar(value)) and self._counts(name, value)
        }
        return {
            "strategy": type(self).__name__,
            "plan_version": _core.PLAN_VERSION,
            "rows": self._count(None if n is None else check_integer("n", n, limit=ROWS_LIMIT)),
            **scalars,
            **self._hashes(),
            **({} if batch_size is None else self._hashes_of_batches(batch_size)),
        }

    def __repr__(self) -> str:
        shown = []
        for f in _ordered(self):
            value = getattr(self, f.name)
            if self._is_idle(f.name):
                continue
            if not f.kw_only:
                shown.append(f"{f.name}={_short(value)}")
            elif not (_is_scalar(value) or value is None) or value != f.default:
                shown.append(f"{f.name}={_short(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(a, b) for a, b in zip(self._compared(), other._compared(), strict=True))

    def __hash__(self) -> int:
        # Arrays may change, so they do not count.
        return hash((type(self), *(value for _, value in self._fields() if _is_scalar(value))))

    def __getstate__(self) -> dict[str, Any]:
        return dict(self._fields())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**state)

    @abstractmethod
    def _make(self, rows: int, options: Batching) -> _core.Plan:
        """Return the core's plan over ``rows`` rows, or over all ``indices``."""

    def _among(self, rows: IndexArray) -> "Strategy":
        """Return a strategy that chooses among some rows of the whole, and balances within them."""
        return dataclasses.replace(self, indices=rows)

    def _key_length(self) -> int | None:
        """Return the length of the array that holds one entry a row, where there is one."""
        return None

    def _count(self, n: int | None) -> int:
        """Return how many rows the strategy chooses among.

        Its key may be as long as the whole or as ``indices``; ValueError if it, ``n`` and ``indices``
        disagree.
        """
        indices, length = self._indices, self._key_length()
        if indices is None:
            if length is not None and n is not None and n != length:
                msg = f"{self._key_name} must be as long as the whole, n = {n}, but the length is {length}"
                raise ValueError(msg)
            n = length if n is None else n
            if n is None:
                msg = f"n is needed: {self!r} does not tell the number of rows"
                raise TypeError(msg)
            return n
        if length is not None and length != len(indices):
            subset = "" if self.indices is None else f"or as indices, {len(indices)}, "
            subset += f"but the length is {length}"
            if n is not None and n != length:
                msg = f"{self._key_name} must be as long as the whole, n = {n}, {subset}"
                raise ValueError(msg)
            if indices.size and int(indices[-1]) >= length:
                reach = f"and indices reach {int(indices[-1])}"
                msg = f"{self._key_name} must be as long as the whole {subset} {reach}"
                raise ValueError(msg)
        elif n is not None and indices.size and int(indices[-1]) >= n:
            _core.check_increasing(indices, n)
        return len(indices)

    @property
    def _is_subset_key(self) -> bool:
        """Whether the key has one entry for each of ``indices``."""
        return self._indices is not None and self._key_length() == len(self._indices)

    _key_name = "keys"

    @property
    def _indices(self) -> IndexArray | None:
        return cast("IndexArray | None", self.indices)

    def _hashes(self) -> dict[str, str | None]:
        """Return the hash of each array."""
        indices = self._indices
        if indices is None:
            return {}
        return {"indices": self._once("indices", lambda: f"{_core.hash_array(indices):016x}")}

    def _hashes_of_batches(self, batch_size: int) -> dict[str, str | None]:
        """Return the hashes of what is given for each batch of an epoch."""
        return {}

    def _element_weights(self, start: int, stop: int) -> npt.NDArray[np.floating[Any]] | None:
        """Return weights in proportion to how often elements [start, stop) are expected; None: not known."""
        return np.ones(stop - start)

    def _classes(self) -> Classes | None:
        """Return the classes that a report speaks of, if the strategy has some."""
        return None

    def _report_entries(self, plan: Plan, sample: Sample) -> dict[str, Any]:
        """Return what this kind of strategy adds to a report: numbers, by names that read as a line."""
        return {}

    def _choice(self, n: int | None) -> Choice:
        """Return what plans of n rows choose among, for reports."""
        return Choice(self._count(n), self._indices, self._element_weights)

    def _report(self, plan: Plan, labels: Any, *, max_rows: int) -> PlanReport:
        sample = read_sample(plan, max_rows)
        return make_report(
            plan,
            sample,
            self._choice(plan.n),
            classes=self._classes() if labels is None else factorise(labels, missing="drop"),
            entries=self._report_entries(plan, sample) if len(plan) else {},
        )

    def _plot(self, plan: Plan, labels: Any, *, max_batches: int, max_rows: int) -> tuple["Figure", "Axes"]:
        classes = self._classes() if labels is None else factorise(labels, missing="drop")
        return draw_plan(plan, self._choice(plan.n), classes, max_batches=max_batches, max_rows=max_rows)

    def _is_idle(self, name: str) -> bool:
        """Tell whether an option says nothing, as another one stands in its place."""
        return False

    def _counts(self, name: str, value: object) -> bool:
        """Tell whether an option decides rows, and did so from the beginning or is not at its default."""
        return not (self._is_idle(name) or _is_later(name, value))

    def _compared(self) -> Iterator[object]:
        return (value for _, value in self._fields())

    def _fields(self) -> Iterator[tuple[str, Any]]:
        return ((f.name, getattr(self, f.name)) for f in _ordered(self))

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        """Return what ``compute`` gave the first time. Two threads may both compute: equal results."""
        kept: dict[str, Any] = self.__dict__.setdefault("_kept", {})
        if name not in kept:
            kept[name] = compute()
        return cast("T", kept[name])


def _ordered(strategy: Strategy) -> list[dataclasses.Field[Any]]:
    """Return the fields in the order of the signature, but ``indices`` last."""
    return sorted(
        dataclasses.fields(strategy), key=lambda f: 2 if f.name == "indices" else int(f.kw_only is True)
    )


def _is_later(name: str, value: object) -> bool:
    """Tell whether an option came later and is at its default."""
    return name in _LATER and not isinstance(value, np.ndarray) and value == _LATER[name]


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


def _plain(value: Any) -> Any:
    return value if value is None or _is_scalar(value) else _short(value).strip("<>")


def _short(value: Any) -> str:
    """Return scalars and a few of them as they are, and what may be long by its kind and length."""
    if value is None or _is_scalar(value):
        return repr(value)
    if isinstance(value, tuple) and len(value) <= _FEW and all(map(_is_scalar, value)):
        return repr(value)
    if isinstance(value, dict) and len(value) <= _FEW:
        return f"{{{', '.join(f'{name!r}: {one!r}' for name, one in value.items())}}}"
    if callable(value):
        return f"<{getattr(value, '__name__', type(value).__name__)}>"
    kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
    return f"<{kind} of {len(value)}>"


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or (a.dtype == b.dtype and np.array_equal(a, b))
    return a is b or bool(type(a) is type(b) and a == b)
