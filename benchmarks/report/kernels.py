"""What each loop of the core must move an index, to be held against what memory allowed in the same run.

Bytes are those that cannot be spared: what a loop is given and what it gives. `window` bytes go into a fetch
window, which stays in a cache; `streamed` ones come and go in the order of memory; a `line` is read wherever
it lies, 64 bytes for the few that are needed. Names are those of `benchmarks/instructions.json`.
"""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["KERNELS", "Kernel"]


@dataclass(frozen=True)
class Kernel:
    """A loop, and what it moves for each index."""

    name: str
    maker: str
    why: str
    window: float = 0.0
    streamed: float = 0.0
    lines: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def limit(self, write: float, copy: float, gather: float) -> float:
        """Return the ns an index of its memory alone.

        Parameters
        ----------
        write, copy : float
            Nanoseconds to write 8 bytes into a window, and to copy 8 bytes, which moves 16.
        gather : float
            Nanoseconds for a line from anywhere.
        """
        return self.window * write / 8 + self.streamed * copy / 16 + self.lines * gather


KERNELS = (
    Kernel(
        "permutation",
        "plans:permutation",
        "4 bytes scattered and read back, 8 written",
        streamed=16,
    ),
    Kernel("random-access permutation", "plans:random_access", "computed", window=8),
    Kernel("blocks of 16, epoch", "plans:blocks", "computed", window=8, options={"block_size": 16}),
    Kernel("blocks of 1, epoch", "plans:blocks", "computed", window=8, options={"block_size": 1}),
    Kernel(
        "weighted, float32, epoch",
        "plans:weighted",
        "for 16 draws 64 bytes of weights and 2 sums in front of 8",
        window=8,
        lines=3 / 16,
    ),
    Kernel(
        "weighted, float64, epoch",
        "plans:weighted",
        "for 16 draws 128 bytes of weights and 2 sums",
        window=8,
        lines=4 / 16,
        options={"dtype": "float64"},
    ),
    Kernel(
        "weighted, iid, epoch",
        "plans:weighted",
        "as float32, and 16 random words sorted",
        window=8,
        lines=3 / 16,
        options={"draw": "iid"},
    ),
    Kernel("weighted, build", "plans:weighted_build", "4 bytes read, 1.1 written", streamed=5.1),
    Kernel(
        "balanced classes, epoch",
        "plans:classes",
        "for 16 draws 32 bytes of codes and 2 sums",
        window=8,
        lines=2.5 / 16,
    ),
    Kernel(
        "groups, build",
        "plans:series_build",
        "a key of 4 bytes read, a row of 4 written",
        streamed=8,
        options={"dtype": "int32"},
    ),
    Kernel(
        "series, epoch",
        "plans:series",
        "a word of the line, a series, a member",
        window=8,
        lines=3,
    ),
    Kernel(
        "series, epoch of a plan that is there",
        "plans:series",
        "the same",
        window=8,
        lines=3,
        options={"with_plan": False},
    ),
    Kernel("buckets, epoch", "plans:buckets", "a member", window=8, lines=1),
    Kernel("classes of tuples, epoch", "plans:tuples", "a member", window=8, lines=1),
    Kernel("mixture, epoch", "plans:mixture", "a member", window=8, lines=1),
    Kernel("alias table, draws", "replay:alias", "a column", window=8, lines=1, options={"batch": 1024}),
    Kernel(
        "grouped alias table, draws", "replay:grouped", "groups in a cache", window=8, options={"batch": 1024}
    ),
    Kernel(
        "sum tree, draws of 256",
        "replay:tree",
        "a leaf and the node above it; others in a cache",
        window=8,
        lines=2,
        options={"batch": 256},
    ),
    Kernel(
        "sum tree, updates of 256",
        "replay:updates",
        "a leaf and the node above it, read and written",
        streamed=16,
        lines=2,
        options={"batch": 256},
    ),
)
