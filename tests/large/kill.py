"""10^8 rows of h5ad files, trained on by two ranks that are killed and go on: none is lost, none comes twice.

Both ranks are killed with SIGKILL, at a random moment and not at once, several times; at last SIGTERM stops
them, unless the epoch is over. Their logs say which rows went into each step. What the checkpoints hold of
them must be, step by step and rank by rank, the batches that the plan gives; what was done after a checkpoint
and lost must be what the next attempt does first.
"""

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.large.bitmap import Bitmap
from tests.large.plate_rank import FETCH_FACTOR, STRATEGY, log_path
from tests.large.plates import file_sizes, write_plates
from tests.large.record import ROOT, peak_memory
from tombola.training import load_checkpoint
from tombola.training.checkpoints import Place

__all__ = ["check_logs", "planned_rows", "prove_plates"]

RANKS = 2
Rows = npt.NDArray[np.int32]
"""Of a rank: shape (batches, batch size)."""


def prove_plates(
    rows: int = 10**8,
    files: int = 14,
    batch_size: int = 4000,
    *,
    chunk_size: int = 5,
    checkpoint_every: int = 200,
    seconds: float = 75.0,
    kills: int = 3,
) -> Iterator[tuple[str, str]]:
    """Yield what was found; AssertionError where a row is lost, comes twice, or not where the plan says."""
    cache = os.environ.get("TOMBOLA_BENCH_DATA") or Path(tempfile.gettempdir()) / "tombola-bench"
    sizes = file_sizes(rows, files, RANKS * batch_size)
    paths = write_plates(Path(cache) / f"numbered-1-{files}-{rows}", sizes)
    held = sum(path.stat().st_size for path in paths)
    yield f"{rows:,} rows in {files} h5ad files", f"{held / 1e9:.1f} GB on disk"
    settings = {
        "paths": [str(path) for path in paths],
        "batch_size": batch_size,
        "chunk_size": chunk_size,
        "checkpoint_every": checkpoint_every,
    }
    generator, memory, ends = random.Random(16), 0, []
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name)
        saved: list[int] = []
        for attempt in range(kills + 1):
            how = signal.SIGKILL if attempt < kills else signal.SIGTERM
            wait = generator.uniform(0.3, 1.0) * seconds if attempt < kills else seconds
            status, held = _train(folder, {**settings, "attempt": attempt}, how, wait, generator)
            memory = max(memory, held)
            saved.append(_newest(folder))
            ends.append(f"{saved[-1]:,} ({status})")
            if status == "finished":
                break
        logs = [
            [_rows_of(log_path(folder, attempt, rank), batch_size) for rank in range(RANKS)]
            for attempt in range(len(saved))
        ]
        opened = [json.loads(path.read_text()) for path in sorted(folder.glob("opened_*"))]
        assert {each["rows"] for each in opened} == {rows}
        yield (
            "opened by each rank of each attempt",
            f"{min(e['seconds'] for e in opened):.1f} to {max(e['seconds'] for e in opened):.1f} s; "
            f"a rank held at most {memory / 1e6:,.0f} MB",
        )
        bitmap = Bitmap(rows)
        planned = [_planned(folder, rank, sizes, batch_size, saved[-1]) for rank in range(RANKS)]
        repeated = check_logs(logs, saved, planned, bitmap)
    if ends[-1].endswith("(finished)"):
        bitmap.check_all_came()
    yield "batches of a rank that the newest file held after each attempt", ", ".join(ends)
    yield (
        "rows in those batches",
        f"{bitmap.count:,}, each once, those of the plan step by step and rank by rank; {repeated:,} batches "
        "done after a file and lost were the first of the next attempt, row by row",
    )


def check_logs(
    logs: Sequence[Sequence[Rows]], saved: Sequence[int], planned: Sequence[Iterator[Rows]], bitmap: Bitmap
) -> int:
    """Compare the logs of all attempts with the plan, and note the rows that were kept.

    Parameters
    ----------
    logs
        What each rank of each attempt was about to learn.
    saved
        Batches of a rank that the newest checkpoint held after each attempt, since the beginning.
    planned
        Of each rank the batches of the epoch in order, one by one.

    Returns
    -------
    int
        Batches that were done again.
    """
    repeated, before = 0, 0
    for attempt, after in enumerate(saved):
        for rank, log in enumerate(logs[attempt]):
            where = f"attempt {attempt}, rank {rank}"
            kept, lost = log[: after - before], log[after - before :]
            assert len(kept) == after - before, f"{where}: the log has {len(kept)} of {after - before} steps"
            for step, batch in enumerate(kept):
                same = np.array_equal(batch, next(planned[rank]))
                assert same, f"{where}: step {before + step} has other rows than the plan"
                bitmap.add(batch.astype(np.int64))
            if attempt + 1 < len(logs):
                again = logs[attempt + 1][rank][: len(lost)]
                assert np.array_equal(lost[: len(again)], again), f"{where}: the next one does other steps"
                repeated += len(again)
        before = after
    return repeated


def planned_rows(
    seed: int, starts: Sequence[int], sizes: Sequence[int], rank: int, batch_size: int
) -> Iterator[Rows]:
    """Yield the batches of a rank of a chunk: whole windows in turn, then batches in turn.

    `starts` and `sizes` are, of the files of the chunk in order, the number of the first row and the rows.
    """
    shifts = np.asarray(starts) - np.cumsum([0, *sizes[:-1]])
    ends = np.cumsum(sizes)
    plan = STRATEGY.plan(int(ends[-1]), batch_size=batch_size, fetch_factor=FETCH_FACTOR, seed=seed)
    groups = len(plan) // FETCH_FACTOR // RANKS
    windows = [range(FETCH_FACTOR * w, FETCH_FACTOR * (w + 1)) for w in range(rank, RANKS * groups, RANKS)]
    rest = range(RANKS * groups * FETCH_FACTOR + rank, len(plan), RANKS)
    for run in [*windows, *(range(batch, batch + 1) for batch in rest)]:
        found, _ = plan.batches(run.start, run.stop)
        found += shifts[np.searchsorted(ends, found, side="right")]
        yield from found.astype(np.int32).reshape(len(run), batch_size)


def _planned(folder: Path, rank: int, sizes: list[int], batch_size: int, batches: int) -> Iterator[Rows]:
    """Yield a rank's batches of the epoch, by the chunks that the ranks have written down."""
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    lines = [path.read_text().splitlines() for path in sorted(folder.glob(f"chunks_*_{rank}"))]
    chunks = [json.loads(line) for line in dict.fromkeys(itertools.chain.from_iterable(lines))]
    done = [number for _, order in chunks for number in order]
    assert len(done) == len(set(done)), f"the chunks share files: {done}"
    of_chunks = [
        planned_rows(seed, [starts[i] for i in order], [sizes[i] for i in order], rank, batch_size)
        for seed, order in chunks
    ]
    return itertools.islice(itertools.chain.from_iterable(of_chunks), batches)


def _train(
    folder: Path, settings: dict[str, Any], how: signal.Signals, wait: float, generator: random.Random
) -> tuple[str, int]:
    """Start both ranks, stop them so long after both have begun; return how they ended, and the memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(RANKS):
        text = json.dumps({**settings, "folder": str(folder), "rank": rank, "port": port})
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-m", "tests.large.plate_rank", text]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    try:
        logs = [log_path(folder, settings["attempt"], rank) for rank in range(RANKS)]
        end, memory = float("inf"), 0
        while time.monotonic() < end and any(process.poll() is None for process in processes):
            time.sleep(generator.uniform(0.01, 0.05))
            memory = max(memory, *(peak_memory(process.pid) for process in processes))
            if end == float("inf") and all(log.exists() and log.stat().st_size for log in logs):
                end = time.monotonic() + wait
        for process in generator.sample(processes, RANKS):
            process.send_signal(how)  # to none that has ended
            time.sleep(generator.uniform(0.0, 0.02))
        codes = [process.wait(300) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    ended = {(0, 0): "finished", (75, 75): "SIGTERM", (-signal.SIGKILL,) * RANKS: "SIGKILL"}
    assert tuple(codes) in ended, f"the ranks ended with {codes}"
    return ended[tuple(codes)], memory


def _newest(folder: Path) -> int:
    """Return how many batches of each rank the newest checkpoint holds; 0 where there is none."""
    found = [(place, path) for path in (folder / "checkpoints").glob("*.pt") if (place := Place.of(path))]
    return int(load_checkpoint(max(found)[1])["course"]["batches"]) if found else 0


def _rows_of(path: Path, batch_size: int) -> Rows:
    """Return what is in a log; of a batch that was being written when the process was killed nothing."""
    rows = np.fromfile(path, dtype=np.int32)
    return rows[: len(rows) // batch_size * batch_size].reshape(-1, batch_size)
