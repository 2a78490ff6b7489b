"""Keyless epochs, one of 10^10 rows, shared by numbers of ranks that change within it: every row comes once.

For each span of the epoch all ranks are made anew, as after a restart: each loads the state that was saved,
through JSON, takes its steps, and must save the state that all others save. The last ranks go on to the end.
Rows are kept in a bitmap, so nothing is sampled and nothing is taken on trust.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tests.large.bitmap import Bitmap
from tombola import BlockShuffling, Loader, PlanBatchSampler, Streaming

__all__ = ["Numbers", "Spans", "prove_ranks", "run_spans"]

Worlds = tuple[tuple[int, float], ...]
"""Ranks that go on, and the share of what is left that they take, about; the last ones take all of it."""

WORLDS: Worlds = (
    (4096, 0.2),
    (1000, 0.15),
    (4096, 0.3),
    (7, 0.02),
    (1, 0.001),
    (3333, 0.4),
    (4096, 1.0),
)
FEWER: Worlds = ((256, 0.2), (100, 0.15), (256, 0.3), (7, 0.02), (1, 0.001), (200, 0.4), (256, 1.0))
"""Where whole windows are dealt out: a rank then looks at what each other one left of its window."""

Make = Callable[[int, int], PlanBatchSampler | Loader]
Spans = list[tuple[int, int | None]]


class Numbers:
    """A source of n rows in no memory: X of a row is its number."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def read(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the numbers as X, int64, shape (len(rows), 1)."""
        return {"X": rows[:, None]}


class Way(NamedTuple):
    """A way to the rows: its name, and the batch sampler or loader of a rank, by the number of rows."""

    name: str
    make: Callable[[int], Make]
    share: int
    """It gets one in so many of the rows that are asked for."""
    worlds: Worlds = WORLDS


def _sampler(strategy: Any, batch_size: int) -> Callable[[int], Make]:
    def of_rows(n: int) -> Make:
        return lambda rank, world_size: PlanBatchSampler(
            strategy,
            n,
            batch_size=batch_size,
            seed=16,
            rank=rank,
            world_size=world_size,
            even="none",
            as_array=True,
        )

    return of_rows


def _loader(strategy: Any, batch_size: int, fetch_factor: int) -> Callable[[int], Make]:
    def of_rows(n: int) -> Make:
        return lambda rank, world_size: Loader(
            Numbers(n),
            strategy,
            batch_size,
            fetch_factor,
            seed=16,
            rank=rank,
            world_size=world_size,
            even="none",
            prefetch=0,
        )

    return of_rows


def ways(batch_size: int) -> list[Way]:
    """Return what is proved: batches dealt out one by one, and whole fetch windows."""
    shuffled = Streaming(shuffle=True)
    return [
        Way("sampler, BlockShuffling(1)", _sampler(BlockShuffling(1), batch_size), 1),
        Way("sampler, BlockShuffling(16)", _sampler(BlockShuffling(16), batch_size), 10),
        Way("loader, BlockShuffling(16)", _loader(BlockShuffling(16), batch_size, 8), 100, FEWER),
        Way("loader, Streaming(shuffle=True)", _loader(shuffled, batch_size, 8), 100, FEWER),
    ]


def prove_ranks(n: int = 10**10, batch_size: int = 4096) -> Iterator[tuple[str, str]]:
    """Yield what was found for each way; AssertionError where a row is missing or comes twice."""
    generator = random.Random(16)
    for way in ways(batch_size):
        rows, start = n // way.share, time.perf_counter()
        bitmap = Bitmap(rows)
        spans = choose_spans(-(-rows // batch_size), way.worlds, generator)
        taken, longest = run_spans(way.make(rows), spans, bitmap)
        bitmap.check_all_came()
        told = ", ".join(f"{world_size:,} x {steps:,}" for world_size, steps in taken)
        yield (
            f"{rows:,} rows by {way.name}, batches of {batch_size:,}",
            f"each row once. Ranks x steps: {told}; states of at most {longest} bytes; "
            f"{time.perf_counter() - start:,.0f} s",
        )


def choose_spans(batches: int, worlds: Worlds, generator: random.Random) -> Spans:
    """Return ranks and steps of each span, stopped at arbitrary batches; None stands for the rest."""
    spans: Spans = []
    for world_size, share in worlds[:-1]:
        steps = int(batches * share * generator.uniform(0.5, 1.0)) // world_size
        spans.append((world_size, steps))
        batches -= steps * world_size
    return [*spans, (worlds[-1][0], None)]


def run_spans(make: Make, spans: Spans, bitmap: Bitmap) -> tuple[list[tuple[int, int]], int]:
    """Go through an epoch by these spans, and note each row.

    Returns
    -------
    tuple
        Ranks and the first one's steps, span by span, and the bytes of the longest state.
    """
    saved: str | None = None
    taken, longest = [], 0
    for world_size, steps in spans:
        states, first = set(), 0
        for rank in range(world_size):
            part = make(rank, world_size)
            if saved is not None:
                part.load_state_dict(json.loads(saved))
            done = 0
            if steps != 0:
                for batch in part:
                    bitmap.add(batch["X"].numpy().ravel() if isinstance(batch, dict) else batch)
                    done += 1
                    if done == steps:
                        break
            assert steps is None or done == steps, f"rank {rank} of {world_size} had {done} of {steps} steps"
            states.add(json.dumps(part.state_dict()))
            first = first or done
        assert steps is None or len(states) == 1, f"{world_size} ranks saved {len(states)} states"
        saved = states.pop()
        longest = max(longest, len(saved))
        taken.append((world_size, first))
    return taken, longest
