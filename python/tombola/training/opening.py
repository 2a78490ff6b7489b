"""Opening a chunk: its shards are there, its loader is made, bad shards are errors or are left out and said.

Rule: a shard that is gone or cannot be read is an error that names it and the place in training; by option it
is left out, which is logged and recorded. A loader's error is a shard's where its text names one of the
chunk's shards, or there is one only; another error is always raised, as nothing tells what to leave out. The
chunk without the bad shard goes on at the same number of batches.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import random_state
from .chunks import Chunk, Shards, StatefulShards, derived_seed, list_shards, order_shards, shard_sizes
from .course import Course
from .errors import ShardError
from .options import TrainerOptions
from .ranks import Ranks
from .saver import Saver
from .stream import MakeLoader, Stream, open_stream

__all__ = ["Opener"]

_logger = logging.getLogger("tombola.training")


class Opener:
    """Makes the loaders of chunks.

    Parameters
    ----------
    shards : sequence or callable
    make_loader : callable
    options : TrainerOptions
    ranks : Ranks
    saver : Saver
        Holds the random state at the chunk's start.
    """

    def __init__(
        self, shards: Shards, make_loader: MakeLoader, options: TrainerOptions, ranks: Ranks, saver: Saver
    ) -> None:
        self._given, self._make_loader = shards, make_loader
        self._options, self._ranks, self._saver = options, ranks, saver
        given: object = shards
        self._stateful = given if isinstance(given, StatefulShards) else None
        self._shards: dict[str, Any] = {}
        self._least = ranks.world_size if options.distribute == "shards" else 1
        self.chunk: Chunk | None = None

    def begin(self, course: Course) -> None:
        """List the shards, where training goes on as they were listed there.

        Raises
        ------
        TypeError, ValueError
            If there are none.
        """
        state = self._saver.shards_state
        if state is not None and self._stateful is not None:
            self._stateful.load_state_dict(state)
        self._list()
        if course.order is not None:
            has_begun = course.trained or course.batch > 0
            course.order = course.order.with_least(self._least, course.chunk_start, has_begun=has_begun)

    def shards_state(self) -> Mapping[str, Any] | None:
        """Return the state of what lists the shards, where it has one."""
        return None if self._stateful is None else self._stateful.state_dict()

    def _list(self) -> None:
        """Let the first rank list the shards; the others list theirs by its state, and take those it names.

        Random numbers that are drawn by it are not missing in the model's.
        """
        ranks, models = self._ranks, random_state.capture()
        names, state = ranks.first(self._list_own, ShardError)
        problem = ""
        if not ranks.is_first:
            try:
                if state is not None and self._stateful is not None:
                    self._stateful.load_state_dict(state)
                self._list_own()
                missing = [name for name in names if name not in self._shards]
                if missing:
                    problem = (
                        f"rank {ranks.rank} does not list the shard {missing[0]}, but the first rank does"
                    )
                self._shards = {name: self._shards[name] for name in names if name not in missing}
            except Exception as error:
                problem = f"rank {ranks.rank} cannot list the shards: {error}"
        problems = list(filter(None, ranks.gather(problem)))
        if problems:
            raise ShardError(problems[0])
        random_state.restore(models)
        if len(self._shards) < self._least:
            msg = (
                f'distribute="shards" needs a shard for each of {self._least} ranks, '
                f"but there are {len(self._shards)}"
            )
            raise ShardError(msg)

    def _list_own(self) -> tuple[list[str], Mapping[str, Any] | None]:
        self._shards = list_shards(self._given)
        return list(self._shards), self.shards_state()

    def begin_epoch(self, course: Course) -> None:
        """Order the shards that are there now; the course is then at the start of its epoch."""
        options = self._options
        previous = course.order
        if previous is not None:
            self._list()
        files = set() if previous is None else previous.file_names()
        gone = [] if previous is None else [name for name in previous.names if name not in self._shards]
        present = {
            name: shard
            for name, shard in self._shards.items()
            if not ((name in files or isinstance(shard, os.PathLike)) and not Path(name).exists())
        }
        gone += [name for name in self._shards if name not in present]
        gone = sorted({name for names in self._ranks.gather(gone) for name in names})
        known = {entry["shard"] for entry in course.skipped}
        course.begin_chunk(0)
        for name in gone:
            if name not in known or name in self._shards:
                self._leave_out(name, "is missing", options.on_missing_shard, course, None)
        kept = {name: shard for name, shard in present.items() if name not in gone}
        sizes: dict[str, int] | None = None
        if not isinstance(options.chunk_size, int):
            budget = options.chunk_size
            sizes, problems = self._ranks.first(lambda: shard_sizes(kept, budget), ShardError)
            for name, problem in problems.items():
                self._leave_out(name, problem, options.on_bad_shard, course, None)
                del kept[name]
        if not kept:
            msg = "no shard is left to train on"
            raise ShardError(msg)
        course.order = order_shards(
            kept, options.chunk_size, sizes, seed=options.seed, epoch=course.epoch, least=self._least
        )
        course.begin_chunk(0)

    def open(self, course: Course, *, is_new: bool) -> Stream | None:
        """Open the chunk where the course is; None if none of its shards is left.

        Raises
        ------
        ShardError
            If a shard is missing or cannot be read, and is not to be left out.
        """
        assert course.order is not None
        ranks, start = self._ranks, course.chunk_start
        seed = derived_seed(self._options.seed, course.epoch, start)
        if is_new:
            models = random_state.capture(cuda=False)
            random_state.seed_all(derived_seed(seed, ranks.rank))
            self._saver.begin = random_state.capture(cuda=False)
            random_state.restore(models)
        while True:
            self._drop_missing(course)
            names = [name for name, _ in course.order.chunk(start) if name not in course.dropped]
            by_shard = self._options.distribute == "shards"
            if len(names) < (ranks.world_size if by_shard else 1):
                _logger.warning("%s: too few shards are left, it is passed over", self._where(course))
                return None
            share = names[ranks.rank :: ranks.world_size] if by_shard else names
            self.chunk = Chunk(
                epoch=course.epoch,
                start=start,
                index=course.order.starts.index(start),
                n_chunks=len(course.order.starts),
                shards=tuple(self._shards[name] for name in share),
                seed=seed,
                rank=0 if by_shard else ranks.rank,
                world_size=1 if by_shard else ranks.world_size,
            )
            spans = course.position.spans
            state, self._saver.loader_state = self._saver.loader_state, None
            stream, error = None, None
            try:
                stream = open_stream(
                    self._make_loader,
                    self.chunk,
                    begin=self._saver.begin,
                    position=course.position,
                    state=None if course.dropped else state,
                    resume_by=self._options.resume_by,
                    may_be_shorter=bool(course.dropped),
                    is_elastic=not by_shard and any(span[0] != ranks.world_size for span in spans),
                )
            except Exception as raised:
                error = raised
            if ranks.most(int(error is not None)) == [0]:
                return stream
            self.drop_bad(error, course)

    def drop_bad(self, error: Exception | None, course: Course) -> None:
        """Leave out the shards that an error, of any rank, names.

        Raises
        ------
        ShardError
            If that is not wanted, or the error names none.
        """
        assert course.order is not None
        names = [name for name, _ in course.order.chunk(course.chunk_start) if name not in course.dropped]
        told = [] if error is None else [(str(error) or repr(error), list(_named(error, names)))]
        told = [item for of_rank in self._ranks.gather(told) for item in of_rank]  # of the ranks that failed
        bad = {name: text for text, found in told for name in found}
        if not bad:
            text = told[0][0] if told else "a loader failed"
            msg = (
                f"the loader failed in {self._where(course)}: {text} (the error names none of the chunk's "
                f"{len(names)} shards: {', '.join(names)})"
            )
            raise ShardError(msg) from error
        for name, text in bad.items():
            self._leave_out(name, f"cannot be read: {text}", self._options.on_bad_shard, course, error)

    def _drop_missing(self, course: Course) -> None:
        assert course.order is not None
        missing = [
            name
            for name, is_file in course.order.chunk(course.chunk_start)
            if name not in course.dropped
            and (name not in self._shards or (is_file and not Path(name).exists()))
        ]
        for name in sorted({name for names in self._ranks.gather(missing) for name in names}):
            self._leave_out(name, "is missing", self._options.on_missing_shard, course, None)

    def _leave_out(self, name: str, why: str, option: str, course: Course, error: Exception | None) -> None:
        where = self._where(course)
        if option == "error":
            missing = "on_missing_shard" if why == "is missing" else "on_bad_shard"
            msg = f'the shard {name} {why} ({where}); {missing}="skip" leaves such shards out'
            raise ShardError(msg) from error
        _logger.warning("left out the shard %s, which %s (%s)", name, why, where)
        course.dropped.append(name)
        place = {"epoch": course.epoch, "chunk_start": course.chunk_start, "batch": course.batch}
        course.skipped.append({"shard": name, "why": why, **place})

    @staticmethod
    def _where(course: Course) -> str:
        return f"epoch {course.epoch}, chunk from shard {course.chunk_start} on, after {course.batch} batches"


def _named(error: BaseException | None, names: list[str]) -> Iterator[str]:
    """Yield the shards that an error, or what caused it, names in its text."""
    if len(names) == 1:
        yield names[0]
        return
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    text = "\n".join(texts)
    found = [name for name in names if _mentions(text, name)]
    if not found:
        found = [name for name in names if _mentions(text, Path(name).name)]
    yield from found


def _mentions(text: str, name: str) -> bool:
    """Tell whether a text holds a name, not as a part of a longer one."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) :][:1]
        if not (before.isalnum() or before in ("_", "-")) and not (after.isalnum() or after in ("_", "-")):
            return True
        at = text.find(name, at + 1)
    return False
