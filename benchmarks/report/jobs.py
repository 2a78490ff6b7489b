"""What a work is, who does it, and with how many rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.figures import OURS

__all__ = [
    "FULL",
    "LISTS",
    "MEMORY",
    "METRIC",
    "QUICK",
    "SLOW",
    "SLOWER",
    "SLOWEST",
    "Doer",
    "Job",
    "Profile",
]

MEMORY = "memory"
"""The maker of what is no task but a script whose memory is measured."""

LISTS, METRIC = "Python lists", "pytorch-metric-learning"
PACKAGES: Mapping[str, tuple[str, ...]] = {
    "NumPy": ("numpy",),
    "torch": ("torch",),
    "torch, whole batches": ("torch",),
    "scDataset": ("scdataset",),
    "AnnLoader": ("anndata",),
    "annbatch": ("annbatch",),
    "grain": ("grain",),
    METRIC: (METRIC,),
    "transformers": ("transformers",),
    "lhotse": ("lhotse",),
    "cpprb": ("cpprb",),
    "torchrl": ("torchrl",),
}
SLOW, SLOWER, SLOWEST = 10**7, 10**6, 10**5
"""Most rows for those whose answer would take minutes or many GB with more."""


@dataclass(frozen=True, eq=False)
class Doer:
    """Who does a work.

    Parameters
    ----------
    who : str
    maker : str
        ``"module:function"`` of its task, see `benchmarks.report.tasks`.
    most : int, optional
        Rows of the data at most.
    options : dict
        For the maker, beside those of the job.
    package : str, optional
        By whose name in `PACKAGES` its packages stand, if not by `who`.
    """

    who: str
    maker: str
    most: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    package: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that must be there."""
        return PACKAGES.get(self.package or self.who, ())


@dataclass(frozen=True)
class Job:
    """A work and those who do it in turns.

    Parameters
    ----------
    section : str
    name : str
    unit : str
    doers : tuple of Doer
    sizes : str
        "rows", "limit", "cells" or "table": which sizes of a profile.
    options : dict
        For all makers.
    threads : int
    """

    section: str
    name: str
    unit: str
    doers: tuple[Doer, ...]
    sizes: str = "rows"
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 1


@dataclass(frozen=True)
class Profile:
    """How much is measured.

    Parameters
    ----------
    rows : tuple of int
        Of orders and draws.
    cells : int
        Of h5ad files.
    table : int
        Rows in memory that a trainer reads.
    seconds : float
        About how long each measurement repeats.
    peer_most : int
        Rows for peers at most.
    patience : float
        Seconds that one answer may take.
    """

    rows: tuple[int, ...]
    cells: int
    table: int
    seconds: float
    peer_most: int
    patience: float

    def sizes(self, kind: str) -> tuple[int, ...]:
        """Return the sizes that a job is measured with."""
        one = {"limit": min(max(self.rows), 10**7), "cells": self.cells, "table": self.table}
        return self.rows if kind == "rows" else (one[kind],)

    def most(self, doer: Doer) -> int:
        """Return the most rows of one who does a work."""
        most = max(*self.rows, self.cells, self.table) if doer.most is None else doer.most
        return most if doer.who == OURS else min(most, max(self.peer_most, self.cells))


QUICK = Profile((10**5, 10**6), 5_000, 10**5, seconds=0.2, peer_most=10**6, patience=60)
FULL = Profile((10**5, 10**6, 10**7, 10**8), 50_000, 10**6, seconds=1.5, peer_most=10**8, patience=300)
