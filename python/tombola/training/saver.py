"""Saving and going on: what a checkpoint holds, by which rank it is written, whether it fits.

Rule: rank 0 writes and reads; all ranks learn how it went, so that an error is everybody's. Random states and
sums are those of every rank. Going on under the same number of ranks is exact; under another, random states
are new ones, derived from the seed and the place in training.
"""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._base.files import is_full_disk, write_whole
from . import random_state
from .checkpoints import CheckpointFolder, Place, load_checkpoint
from .chunks import Stateful, derived_seed
from .course import Course
from .errors import CheckpointError
from .history import HistoryFile
from .optimizer_options import Options, settle
from .options import TrainerOptions
from .parts import Parts, differences
from .random_state import RandomState
from .ranks import Ranks

__all__ = ["Saver"]

_logger = logging.getLogger("tombola.training")


class Saver:
    """The folder of checkpoints and the history beside them.

    Parameters
    ----------
    parts : Parts
    options : TrainerOptions
    ranks : Ranks
    given : list of dict
        The optimizer's options as they are given.

    Raises
    ------
    CheckpointError
        If the folder cannot be written.
    """

    def __init__(self, parts: Parts, options: TrainerOptions, ranks: Ranks, given: Options) -> None:
        self._parts, self._options, self._ranks, self._given = parts, options, ranks, given
        hook: object = options.learning.before_step
        self._hook = hook if isinstance(hook, Stateful) else None
        self._folder: CheckpointFolder | None = None
        self._history: HistoryFile | None = None
        self._rejected: list[tuple[Path, str]] = []
        self.last: str | None = None
        """The name of the file that holds the course as it is, None where it could not be written."""
        self.begin: RandomState = {}
        """The random state at the chunk's start."""
        self.loader_state: Mapping[str, Any] | None = None
        """Of the loader where training goes on."""
        self.shards_state: Mapping[str, Any] | None = None
        """Of the shards where training goes on."""
        self._first(self._open)

    def _open(self) -> None:
        folder = self._options.checkpoints
        self._folder = CheckpointFolder(folder, keep_last=self._options.keep_last)

    def _first(self, action: Callable[[], Any]) -> Any:
        """Let rank 0 act; what it returns or raises is everybody's."""
        return self._ranks.first(action, CheckpointError)

    def close(self) -> None:
        """Let other processes train into the folder."""
        if self._folder is not None:
            self._folder.close()

    def path(self, name: str | None) -> Path | None:
        """Return the path of a checkpoint's name, if it is in the folder."""
        path = None if name is None else self._options.checkpoints / name
        return path if path is not None and path.exists() else None

    # ------------------------------------------------------------------------------------------ going on

    def resume(self) -> Course | None:
        """Take over the checkpoint that the options name; None where training begins.

        Raises
        ------
        CheckpointError
            If it cannot be read or belongs to another model or configuration, or if there are checkpoints
            and none is to be gone on from.
        """
        found = self._first(self._find)
        if found is None:
            return None
        path, state = found
        differing = [
            *self._parts.differing(state),
            *differences("options", state["options"], self._options.compared()),
        ]
        if differing:
            msg = f"{path.name} was saved under another model or configuration: {'; '.join(differing)}"
            raise CheckpointError(msg)
        ranks = self._ranks
        course = Course.from_dict(state["course"], rank=ranks.rank, world_size=ranks.world_size)
        name = self._place(course).name
        self._first(lambda: self._take(path, name))
        self._load(state)
        self._restore_random(state, course)
        self.loader_state, self.shards_state = state["loader"], state.get("shards")
        self.last = name
        return course

    def _load(self, state: Mapping[str, Any]) -> None:
        parts, options = self._parts, self._options
        parts.load(state)
        if state.get("gradients") is not None:
            parts.load_gradients(state["gradients"])
        if self._hook is not None and state.get("before_step") is not None:
            self._hook.load_state_dict(state["before_step"])
        is_first = self._ranks.is_first
        self._given = settle(parts, state, self._given, options.optimizer_options, speaks=is_first)

    def _find(self) -> tuple[Path, dict[str, Any]] | None:
        assert self._folder is not None
        resume, folder = self._options.resume, self._folder
        if resume is None:
            if folder.places():
                msg = (
                    f"{folder.folder} holds checkpoints already: give resume='latest' to go on from them, "
                    f"or another folder"
                )
                raise CheckpointError(msg)
            return None
        if resume == "latest":
            had = bool(folder.places())
            found, self._rejected = folder.newest(self._refusal)
            if found is None:
                if had:
                    msg = (
                        f"none of the checkpoints in {folder.folder} can be gone on from; "
                        f"another folder begins anew"
                    )
                    raise CheckpointError(msg)
                return None
            return found
        path = Path(resume)
        state = load_checkpoint(path)
        why = self._refusal(state)
        if why is not None:
            msg = f"{path} cannot be gone on from: {why}"
            raise CheckpointError(msg)
        place = self._place(Course.from_dict(state["course"], rank=0, world_size=1))
        self._rejected = folder.after(place, itself=path.resolve() != folder.path(place).resolve())
        return path, state

    def _take(self, path: Path, name: str) -> None:
        """Set aside what comes after a file; one from elsewhere is copied into the folder."""
        assert self._folder is not None
        self._folder.set_aside(self._rejected)
        own = self._folder.folder / name
        if not own.exists():
            with path.open("rb") as file:
                write_whole(own, lambda copy: shutil.copyfileobj(file, copy))

    def _refusal(self, state: Mapping[str, Any]) -> str | None:
        """Say why this number of ranks cannot go on from a checkpoint."""
        course = state["course"]
        saved, now = state["world_size"], self._ranks.world_size
        if saved == now or course["trained"] or not course["position"]["spans"]:
            return None
        if self._options.distribute == "shards" or state["loader"] is None:
            return (
                f"it was saved within a chunk by {saved} ranks and now there are {now}, which only loaders "
                'with random access and distribute="rows" can go on from'
            )
        return None

    def _restore_random(self, state: Mapping[str, Any], course: Course) -> None:
        states, rank = state["random"], self._ranks.rank
        if len(states) == self._ranks.world_size:
            self.begin = states[rank]["chunk_start"]
            random_state.restore(states[rank]["now"])
            return
        _logger.info("random states are new: %d ranks saved, %d go on", len(states), self._ranks.world_size)
        place = (self._options.seed, course.epoch, course.chunk_start, course.batch, rank)
        random_state.seed_all(derived_seed(*place, 0))
        self.begin = random_state.capture(cuda=False)
        random_state.seed_all(derived_seed(*place, 1))

    # -------------------------------------------------------------------------------------------- saving

    def save(
        self, course: Course, loader_state: Mapping[str, Any] | None, shards_state: Mapping[str, Any] | None
    ) -> None:
        """Write a checkpoint of where training is.

        Raises
        ------
        CheckpointError
            If it cannot be written; a full disk is an error by option.
        """
        sums = self._ranks.gather(course.sums)
        states = self._ranks.gather({"chunk_start": self.begin, "now": random_state.capture()})
        place = self._place(course)
        state = {
            "course": course.to_dict(sums),
            "loader": loader_state,
            "shards": shards_state,
            "options": self._options.compared(),
            "world_size": self._ranks.world_size,
            "random": states,
            "given": self._given,
            "gradients": self._parts.gradients() if self._is_within_a_step(course) else None,
            "before_step": None if self._hook is None else self._hook.state_dict(),
        }

        def write() -> bool:
            assert self._folder is not None
            try:
                self._folder.save(place, {**self._parts.state(), **state})
            except OSError as error:
                self._full(f"the checkpoint {place.name}", error)
                return False
            return True

        previous = self.last
        self.last = None
        if self._first(write):
            self.last = place.name
            self.prune(course)
        elif previous is not None:
            _logger.warning("%s stays the newest whole checkpoint", previous)

    def _is_within_a_step(self, course: Course) -> bool:
        return not course.trained and course.batch % self._options.learning.accumulate != 0

    def holds(self, course: Course) -> bool:
        """Tell whether there is a file of the course as it is."""
        return self.last == self._place(course).name

    def prune(self, course: Course) -> None:
        """Delete checkpoints that are neither among the newest nor the best."""

        def prune() -> None:
            assert self._folder is not None
            self._folder.prune(course.best_name if self._options.keep_best else None)

        self._first(prune)

    def begin_history(self, course: Course) -> None:
        """Write the history anew, as the checkpoint has it."""
        path = self._options.checkpoints / "history.jsonl"

        def begin() -> None:
            try:
                self._history = HistoryFile(path, course.history)
            except OSError as error:
                msg = f"{path} cannot be written: {error}"
                raise CheckpointError(msg) from error

        self._first(begin)

    def add_to_history(self) -> None:
        """Write the last record of the course's history."""

        def add() -> None:
            assert self._history is not None
            try:
                self._history.append()
            except OSError as error:
                self._full(str(self._history.path), error)

        self._first(add)

    def _full(self, what: str, error: OSError) -> None:
        if not is_full_disk(error) or self._options.on_full_disk == "stop":
            cure = "earlier checkpoints stay whole: free space and resume, or give on_full_disk='continue'"
            msg = f"{what} cannot be written: {error.strerror}; {cure}"
            raise CheckpointError(msg) from error
        _logger.warning("%s cannot be written, training goes on: %s", what, error.strerror)

    @staticmethod
    def _place(course: Course) -> Place:
        if course.trained:
            return Place(course.epoch, course.chunk_start)
        return Place(course.epoch, course.chunk_start, course.batch)
