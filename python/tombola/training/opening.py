"""Opening a chunk: its shards are there, its loader is made, bad shards are errors or are left out and said.

Rule: a shard that is gone or cannot be read is an error that names it and the place in training; by option it
is left out, which is logged and recorded. Which shard a loader's error is about, the error carries; else each
of the chunk's shards is tried alone, and where that does not tell, the error is raised (see `culprits`), as
faults of the code always are. The chunk without the bad shard goes on at the same number of batches.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..passes.position import Position
from . import random_state
from .auto_size import find_size
from .chunks import (
    Budget,
    Chunk,
    Shards,
    Stateful,
    derived_seed,
    list_shards,
    order_shards,
    shard_name,
    shard_sizes,
)
from .course import Course
from .culprits import Verdict, bad_alone, let_go, named_by, shortened
from .errors import ShardError, TrainingError, is_no_shards
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
        self._stateful = given if isinstance(given, Stateful) else None
        self._shards: dict[str, Any] = {}
        self._least = ranks.world_size if options.distribute == "shards" else 1
        self.chunk: Chunk | None = None
        self.say: Callable[[str], object] = _logger.info
        """Takes what is to be told of the size of mini epochs."""

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
        if course.auto_size is not None:
            self.say(f"{course.auto_size}, as when training began")
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
        budget = self._chunk_size(course, kept)
        if not isinstance(budget, int):
            sizes, problems = self._ranks.first(lambda: shard_sizes(kept, budget), ShardError)
            for name, problem in problems.items():
                self._leave_out(name, problem, options.on_bad_shard, course, None)
                del kept[name]
        if not kept:
            msg = "no shard is left to train on"
            raise ShardError(msg)
        course.order = order_shards(
            kept,
            budget,
            sizes,
            seed=options.seed,
            epoch=course.epoch,
            least=self._least,
            shuffle=options.shuffle_shards,
        )
        course.begin_chunk(0)

    def _chunk_size(self, course: Course, shards: dict[str, Any]) -> Budget:
        """Return what a mini epoch holds; by "auto" the first rank finds it out, once, and it is said."""
        if not isinstance(self._options.chunk_size, str):
            return self._options.chunk_size
        if course.auto_size is None:
            seed, make_loader = derived_seed(self._options.seed), self._make_loader
            chosen, bad = self._ranks.first(lambda: find_size(shards, make_loader, seed), ShardError)
            for name, problem in bad.items():
                self._leave_out(name, problem, self._options.on_bad_shard, course, None)
                del shards[name]
            course.auto_size = chosen
            self.say(str(chosen))
        return course.auto_size.budget()

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
        """Leave out the shards that an error, of any rank, is about.

        Raises
        ------
        ShardError
            If that is not wanted, or it is not known which they are.
        TrainingError
            If another rank's error is none of a shard; this rank's own is raised as it is.
        """
        assert course.order is not None
        names = [name for name, _ in course.order.chunk(course.chunk_start) if name not in course.dropped]
        found = self._ranks.gather(None if error is None else self._verdict(error, names))
        verdicts = [verdict for verdict in found if verdict is not None]  # of the ranks that failed
        if error is not None and is_no_shards(error):
            raise error
        for verdict in verdicts:
            if verdict.is_no_shards:
                msg = f"the loader of another rank failed in {self._where(course)}: {verdict.text}"
                raise TrainingError(msg) from error
        bad = {name: verdict.text for verdict in verdicts for name in verdict.names}
        if not bad:
            text, why = (verdicts[0].text, verdicts[0].why) if verdicts else ("a loader failed", "")
            msg = f"the loader failed in {self._where(course)}: {text} ({why}: {shortened(names)})"
            raise ShardError(msg) from error
        for name, text in bad.items():
            self._leave_out(name, f"cannot be read: {text}", self._options.on_bad_shard, course, error)
        let_go(error)

    def _verdict(self, error: Exception, names: list[str]) -> Verdict:
        """Find out which of the chunk's shards an error of this rank is about."""
        if is_no_shards(error):
            return Verdict(f"{type(error).__name__}: {error}", is_no_shards=True)
        text = str(error) or repr(error)
        shards = {name: self._shards[name] for name in names}
        found, is_wanted = named_by(error, shards), self._options.on_bad_shard == "skip"
        if not found and len(names) == 1 and (self._ranks.is_alone or not is_wanted):
            found = names
        if found:
            return Verdict(text, found)
        if not is_wanted:
            why = 'the error carries none of the chunk\'s shards, and on_bad_shard="skip" tries each alone'
            return Verdict(text, why=why)
        assert self.chunk is not None
        own = {name: shard for name, shard in shards.items() if any(shard is s for s in self.chunk.shards)}
        found = self._try_alone(error, own)
        if len(found) == len(own) > 1:
            return Verdict(text, why="it is none of one shard's, as each of the chunk's fails alone")
        return Verdict(text, found, why="it is none of one shard's, as each of the chunk's does well alone")

    def _try_alone(self, error: Exception, shards: Mapping[str, Any]) -> list[str]:
        """Return the names of the shards that fail alone; random numbers go on as if none was tried."""
        chunk = self.chunk
        assert chunk is not None
        _logger.warning("the loader failed, so each of %d shards is tried alone: %s", len(shards), error)

        def read(shard: Any) -> None:
            stream = open_stream(
                self._make_loader,
                dataclasses.replace(chunk, shards=(shard,), rank=0, world_size=1),
                begin=self._saver.begin,
                position=Position(chunk.epoch),
            )
            try:
                with contextlib.suppress(StopIteration):
                    while True:
                        stream.fetch()
            finally:
                stream.close()

        models = random_state.capture()
        try:
            return bad_alone(error, shards, read)
        finally:
            random_state.restore(models)

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
            raise ShardError(msg, shard=self._shards.get(name, name)) from error
        _logger.warning("left out the shard %s, which %s (%s)", name, why, where)
        course.dropped.append(name)
        place = {"epoch": course.epoch, "chunk_start": course.chunk_start, "batch": course.batch}
        course.skipped.append({"shard": name, "why": why, **place})

    def where(self, course: Course) -> str:
        """Return the place in training and the chunk's shards as a text."""
        names = [shard_name(shard) for shard in self.chunk.shards] if self.chunk is not None else []
        return f"epoch {course.epoch}, chunk from shard {course.chunk_start} on ({shortened(names)})"

    @staticmethod
    def _where(course: Course) -> str:
        return f"epoch {course.epoch}, chunk from shard {course.chunk_start} on, after {course.batch} batches"
