"""How far training is: everything of a checkpoint but tensors and random states.

Rule: a position within a chunk is what was consumed, a `tombola.Position` of steps by world size, never what
was read ahead. A course that is `trained` is at the end of a chunk whose validation is still to come: that is
when files are saved, so going on from one begins with the validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..passes.position import Position
from .auto_size import AutoSize
from .chunks import ShardOrder

__all__ = ["Course", "Sums"]


@dataclass
class Sums:
    """Means of what training steps give: sums in order of batches, so cuts between them change nothing."""

    totals: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, values: list[float]) -> None:
        """Add the values of some batches."""
        total = self.totals.get(name, 0.0)
        for value in values:
            total += value
        self.totals[name] = total
        self.counts[name] = self.counts.get(name, 0) + len(values)

    def include(self, other: "Sums") -> None:
        """Add the sums of another rank."""
        for name, total in other.totals.items():
            self.totals[name] = self.totals.get(name, 0.0) + total
            self.counts[name] = self.counts.get(name, 0) + other.counts[name]

    def means(self, prefix: str) -> dict[str, float]:
        """Return the mean of each name."""
        return {f"{prefix}{name}": total / self.counts[name] for name, total in self.totals.items()}


@dataclass
class Course:
    """Where training is."""

    epoch: int = 0
    order: ShardOrder | None = None
    chunk_start: int = 0
    trained: bool = False
    position: Position = field(default_factory=lambda: Position(0))
    dropped: list[str] = field(default_factory=list)
    """Names of the chunk's shards that are left out."""
    batches: int = 0
    seconds: float = 0.0
    """Spent training on this chunk."""
    sums: Sums = field(default_factory=Sums)
    """Of this chunk, by this rank."""
    history: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    best_seen: float | None = None
    """The best value, which patience goes by."""
    best_value: float | None = None
    """The best value that has a file."""
    best_name: str | None = None
    since_best: int = 0
    auto_size: AutoSize | None = None
    """Of a mini epoch, where `chunk_size` is "auto"."""

    @property
    def batch(self) -> int:
        """Batches of the chunk that are consumed by each rank."""
        return self.position.steps

    def begin_chunk(self, start: int) -> None:
        """Go to the start of a chunk of the epoch."""
        self.chunk_start, self.trained, self.position = start, False, Position(self.epoch)
        self.dropped, self.seconds, self.sums = [], 0.0, Sums()

    def to_dict(self, sums: list[Sums]) -> dict[str, Any]:
        """Return what a checkpoint can hold; `sums` are those of all ranks."""
        assert self.order is not None
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "order": self.order.to_dict(),
            "position": self.position.to_dict(),
            "sums": [[part.totals, part.counts] for part in sums],
            **({} if self.auto_size is None else {"auto_size": list(self.auto_size)}),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], *, rank: int, world_size: int) -> "Course":
        """Return the course that `to_dict` described; the first of another number of ranks takes all sums."""
        saved = [Sums(*parts) for parts in state["sums"]]
        sums = Sums()
        for number, part in enumerate(saved):
            if number == rank or (rank == 0 and len(saved) != world_size):
                sums.include(part)
        return cls(
            **{name: state[name] for name in _PLAIN},
            order=ShardOrder.from_dict(state["order"]),
            position=Position.from_dict(state["position"]),
            auto_size=AutoSize(*state["auto_size"]) if "auto_size" in state else None,
            sums=sums if len(saved) == world_size or rank == 0 else Sums(),
        )


_PLAIN = (
    "epoch",
    "chunk_start",
    "trained",
    "dropped",
    "batches",
    "seconds",
    "history",
    "skipped",
    "best_seen",
    "best_value",
    "best_name",
    "since_best",
)
