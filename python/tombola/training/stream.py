"""The batches of one chunk from a position on: by seeking where that is exact, by replay elsewhere.

Rule. Making the loader and its iterator draws random numbers from a stream of its own, which begins at the
chunk's start state; the model's stream goes on as if nothing had been drawn. Then

- a loader with random access (`Seekable`, itself, its ``batch_sampler``, or a list of batches) is told the
  position. Its ``next`` draws from the model's stream;
- any other begins at the chunk's start and gives away the batches that are consumed. Its ``next`` draws from
  the loader's own stream, which is put in place for the call: some 30 µs a batch. So what it draws never
  depends on what the model draws, and replay gives the same batches, however many samples augmentation makes.

Worker processes draw from streams that no one can set from outside. By replay with the same number of them
they come to the same draws; by seeking only what does not draw in workers is exact.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

from ..passes.position import Position
from . import random_state
from .chunks import Chunk
from .errors import TrainingError
from .random_state import RandomState

__all__ = ["MakeLoader", "ResumeBy", "Seekable", "Stream", "open_stream"]

MakeLoader = Callable[[Chunk], Iterable[Any]]
ResumeBy = Literal["auto", "seek", "replay"]


@runtime_checkable
class Seekable(Protocol):
    """Batches with random access, such as `tombola.Loader` and `tombola.PlanBatchSampler`."""

    @property
    def epoch(self) -> int:
        """Epoch of the coming pass."""

    def state_at(self, position: Position) -> dict[str, Any]:
        """Give the state in which `position` is consumed."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the coming pass go on where the state says."""


@dataclass
class Stream:
    """An open loader.

    Parameters
    ----------
    fetch : callable
        Gives the next batch, or raises StopIteration.
    length : int or None
        Batches of the chunk for this rank, the consumed ones included, where the loader says so.
    """

    fetch: Callable[[], Any]
    length: int | None
    _iterator: Iterator[Any]
    _seekable: Seekable | None
    _epoch: int

    def state_at(self, position: Position) -> dict[str, Any] | None:
        """Return the loader's state where `position` is consumed, None if it has no random access."""
        if self._seekable is None:
            return None
        return self._seekable.state_at(Position(self._epoch, position.spans))

    def close(self) -> None:
        """Stop what reads ahead."""
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
        nothing: Iterator[Any] = iter(())
        self._iterator, self.fetch = nothing, nothing.__next__


def open_stream(
    make_loader: MakeLoader,
    chunk: Chunk,
    *,
    begin: RandomState,
    position: Position,
    state: Mapping[str, Any] | None = None,
    resume_by: ResumeBy = "auto",
    is_elastic: bool = False,
    may_be_shorter: bool = False,
) -> Stream:
    """Make the loader of a chunk and bring it to a position.

    Parameters
    ----------
    make_loader : callable
        Gives an iterable of batches for the chunk.
    chunk : Chunk
    begin : RandomState
        The random state at the chunk's start.
    position : Position
        What of the chunk is consumed; its epoch is not looked at.
    state : mapping, optional
        The loader's state as saved, if it had one: another configuration is refused.
    resume_by : {"auto", "seek", "replay"}
    is_elastic : bool
        Whether the position was reached under another world size, so that only seeking can go on.
    may_be_shorter : bool
        Whether shards were left out since, so that a loader that ends before the position is no error.

    Raises
    ------
    TrainingError
        If the loader ends before the position, or has no random access where that is asked for.

    The model's random numbers go on as if none had been drawn here.
    """
    models = random_state.capture(cuda=False)
    random_state.restore(begin)
    try:
        loader = make_loader(chunk)
        seekable, by_seek = _way(loader, resume_by, is_elastic)
        consumed = position.steps
        epoch = 0 if seekable is None else seekable.epoch
        if isinstance(loader, Sequence):
            batches: Iterator[Any] = map(loader.__getitem__, range(consumed, len(loader)))
            return Stream(batches.__next__, len(loader), batches, None, 0)
        nothing: Iterator[Any] = iter(())
        if by_seek and seekable is not None and consumed:
            try:
                at = seekable.state_at(Position(epoch, position.spans)) if state is None else state
                seekable.load_state_dict(at)
            except ValueError as error:
                if not may_be_shorter:
                    msg = f"the loader of the chunk that begins at shard {chunk.start} is another: {error}"
                    raise TrainingError(msg) from error
                return Stream(nothing.__next__, consumed, nothing, None, 0)
            if seekable.epoch != epoch:  # nothing of it is left, so the coming pass is another one
                return Stream(nothing.__next__, consumed, nothing, seekable, epoch)
        length = _length(loader)
        left = getattr(seekable, "remaining", None) if by_seek else None
        iterator = iter(loader)
        if by_seek:
            length = length if left is None else consumed + int(left)
            return Stream(iterator.__next__, length, iterator, seekable, epoch)
        fetch = partial(random_state.Generators().call, iterator.__next__)
        for done in range(consumed):
            try:
                fetch()
            except StopIteration:
                if may_be_shorter:
                    break
                msg = (
                    f"the loader of the chunk that begins at shard {chunk.start} must give the {consumed} "
                    f"batches again that are consumed, but ended after {done}"
                )
                raise TrainingError(msg) from None
        return Stream(fetch, length, iterator, seekable, epoch)
    finally:
        random_state.restore(models)


def _way(loader: object, resume_by: ResumeBy, is_elastic: bool) -> tuple[Seekable | None, bool]:
    """Return what of a loader has random access, and whether to go by it."""
    workers = getattr(loader, "num_workers", 0)
    places = [loader, getattr(loader, "batch_sampler", None)]
    if not workers:
        places.append(getattr(loader, "dataset", None))
    seekable = next((place for place in places if isinstance(place, Seekable)), None)
    if resume_by == "seek" or is_elastic:
        if seekable is None and not isinstance(loader, Sequence):
            why = 'resume_by="seek"' if resume_by == "seek" else "going on with another number of ranks"
            msg = (
                f"{why} needs a loader with random access, such as tombola.Loader or a DataLoader whose "
                f"batch_sampler is a PlanBatchSampler, but make_loader gave {type(loader).__name__}"
            )
            raise TrainingError(msg)
        return seekable, True
    return seekable, resume_by == "auto" and seekable is not None and not workers


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None
