"""Make shards of positions of a board game: 13 x 13 points, each empty, ours or theirs.

Every stone has an influence that falls off with distance. The value of a position is the difference of both
sides' influence, squashed to (-1, 1); the policy target is the empty point most contested. Both follow
the eight symmetries of the board. The policy is missing where no point is contested, and for some positions
beside, as in records of which only the outcome is known; some positions are openings of few stones, which
may be symmetric themselves.

A shard is one .npz file and depends on (seed, number of the shard) alone: boards int8 (n, 13, 13) with 1, -1
and 0, policy int16 (n,) with -1 where missing, value float32 (n,).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["BOARD", "MISSING", "ShardDesign", "ensure_shards"]

BOARD = 13
MISSING = -1
REACH = 1.6
"""Standard deviation of a stone's influence, in points."""


@dataclass(frozen=True, kw_only=True)
class ShardDesign:
    """What the shards are like.

    Parameters
    ----------
    n_shards, positions : int
        Files, and positions of each.
    missing : float
        Share of positions without a policy.
    openings : float
        Share of positions with at most two stones.
    seed : int
    """

    n_shards: int = 500
    positions: int = 32
    missing: float = 0.3
    openings: float = 0.05
    seed: int = 0


def ensure_shards(folder: Path, design: ShardDesign) -> list[Path]:
    """Make the shards of a design that are not there yet, each whole or not at all."""
    name = f"boards-{design.n_shards}x{design.positions}-seed{design.seed}"
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    paths = [home / f"shard_{number:03d}.npz" for number in range(design.n_shards)]
    influence = _influence()
    for number, path in enumerate(paths):
        if not path.exists():
            partial = path.with_name(f".{path.stem}.partial.npz")
            boards, policy, value = _make_shard(design, number, influence)
            np.savez(partial, boards=boards, policy=policy, value=value)
            partial.replace(path)
    return paths


def _influence() -> npt.NDArray[np.float32]:
    """Return what a stone on one point does to another, shape (points, points); symmetric as the board is."""
    row, column = np.divmod(np.arange(BOARD * BOARD), BOARD)
    squares = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    kernel: npt.NDArray[np.float32] = np.exp(-squares / (2 * REACH**2)).astype(np.float32)
    return kernel


def _make_shard(
    design: ShardDesign, number: int, influence: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    rng = np.random.default_rng([design.seed, number])
    n, points = design.positions, BOARD * BOARD
    stones = rng.integers(8, 60, n)
    stones = np.where(rng.random(n) < design.openings, rng.integers(0, 3, n), stones)
    boards = np.zeros((n, points), dtype=np.int8)
    for board, count in zip(boards, stones, strict=True):
        board[rng.choice(points, count, replace=False)] = np.where(rng.random(count) < 0.5, 1, -1)
    # An empty board and one with a single stone in the middle are openings that look alike in all directions.
    boards[stones == 1] = 0
    boards[stones == 1, points // 2] = 1
    ours, theirs = (boards == 1) @ influence, (boards == -1) @ influence
    contested = np.where(boards == 0, np.minimum(ours, theirs), -1.0)
    policy = contested.argmax(axis=1).astype(np.int16)
    policy[(rng.random(n) < design.missing) | (contested.max(axis=1) <= 0)] = MISSING
    value = np.tanh((ours - theirs).mean(axis=1)).astype(np.float32)
    return boards.reshape(n, BOARD, BOARD), policy, value
