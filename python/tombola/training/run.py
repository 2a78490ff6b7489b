"""One training from its beginning or a checkpoint to its end: what happens after which batch.

Rule. At each point between batches that matters, in this order: a file is saved; if a signal has come,
training stops; validation, if it is due. So every validation has a file of just before, and going on from a
file begins with what was due there; nothing is lost and nothing is counted twice. A point matters after every
`checkpoint_every` and `validate_every` batches of a chunk, at its end, where a signal has come, and where the
batches allowed are used up.
"""

import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from .course import Course, Sums
from .errors import NonFiniteLossError, TrainingError
from .evaluation import Evaluator, say_not_finite
from .finite import LossWatch, complaint
from .opening import Opener
from .options import TrainerOptions
from .parts import Parts
from .ranks import Ranks
from .reporting import Board, Console
from .result import StopReason, TrainingResult
from .saver import Saver
from .signals import SignalNote
from .steps import FailedElsewhere, Interrupted, Stepper
from .stream import Stream

__all__ = ["Run"]

SHOWN_SECONDS = 0.2
DRAWN_SECONDS = 5.0

_logger = logging.getLogger("tombola.training")
_SIGNAL_SECONDS = 0.1
"""A signal to all processes of a group may end workers before it is heard here."""


class _Stop(Exception):
    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Run:
    """What one call of `MiniEpochTrainer.fit` does.

    The parameters are its parts, made by it; `course` is where training is.
    """

    def __init__(
        self,
        parts: Parts,
        options: TrainerOptions,
        *,
        ranks: Ranks,
        opener: Opener,
        stepper: Stepper,
        saver: Saver,
        note: SignalNote,
        console: Console,
        make_board: Callable[[int], Board],
    ) -> None:
        self._parts, self._options, self._ranks = parts, options, ranks
        self._opener, self._stepper, self._saver = opener, stepper, saver
        self._note, self._console = note, console
        self._make_board = make_board
        self._evaluator = Evaluator(parts.model, stepper, options, ranks, lambda: note.received != 0)
        self._is_stopping = False
        self._shown = self._drawn = 0.0
        self.course = Course()

    def run(self) -> TrainingResult:
        """Train until there is a reason to stop."""
        found = self._saver.resume()
        self.course = course = found or Course()
        self._opener.begin(course)
        self._saver.begin_history(course)
        self._evaluator.check()
        self._board = self._make_board(course.batches)
        try:
            reason = self._to_the_end(is_new=found is None)
        except _Stop as stop:
            reason = stop.reason
            if reason is StopReason.SIGNAL and self._ranks.is_first:
                _logger.warning(
                    'stopped by a signal after %d batches; resume="latest" goes on from %s',
                    course.batches,
                    self._saver.last,
                )
        finally:
            self._board.close()
        self._saver.prune(course)
        path = self._saver.path
        return TrainingResult(
            reason,
            course.batches,
            course.history,
            path(self._saver.last),
            path(course.best_name),
            course.best_value,
            course.skipped,
        )

    def _to_the_end(self, *, is_new: bool) -> StopReason:
        if not is_new:
            self._after_saving()
            if not self.course.trained:
                self._mini_epoch(is_new=False)
        while self._advance():
            self._mini_epoch(is_new=True)
        return StopReason.FINISHED

    def _advance(self) -> bool:
        """Go to the next chunk; False after the last one."""
        course = self.course
        following = None if course.order is None else course.order.following(course.chunk_start)
        if following is not None:
            course.begin_chunk(following)
            return True
        if course.order is not None:
            if not course.batches:
                msg = "the loaders must give batches, but gave none in a full epoch"
                if course.skipped:
                    first = course.skipped[0]
                    msg += f"; shards were left out, the first {first['shard']}, which {first['why']}"
                raise TrainingError(msg)
            if course.epoch + 1 >= self._options.num_epochs:
                return False
            course.epoch += 1
        self._opener.begin_epoch(course)
        return True

    def _mini_epoch(self, *, is_new: bool) -> None:
        """Train on a chunk from where the course is to its end, save, validate."""
        course = self.course
        self._parts.model.train()
        stream = self._opener.open(course, is_new=is_new)
        self._show_beginning(stream)
        before = course.batch
        try:
            while stream is not None:
                count, first = self._until_next_point(), course.batch
                watch = self._watch()
                fetch = self._fetch(stream)
                segment = self._stepper.train(fetch, count, course.sums, first=first, watch=watch)
                course.seconds += self._stepper.seconds
                course.position = course.position.advanced(self._ranks.world_size, segment.done)
                course.batches += segment.done
                if watch is not None:
                    self._check_finite(watch, first)
                if segment.end == "exhausted":
                    break
                if segment.end == "failed":
                    stream.close()
                    error = segment.error
                    self._opener.drop_bad(None if isinstance(error, FailedElsewhere) else error, course)
                    stream = self._opener.open(course, is_new=False)
                    continue
                self._look()
                if segment.end == "interrupted":
                    if not self._saver.holds(course):
                        self._save(stream)
                    raise _Stop(StopReason.SIGNAL)
                if self._is_over() or self._is_due("checkpoint_every") or self._is_due("validate_every"):
                    self._save(stream)
                    self._after_saving()
        finally:
            if stream is not None:
                stream.close()
        if course.batch == before == 0:
            _logger.warning(
                "epoch %d, chunk from shard %d on: the loader gave no batch", course.epoch, course.chunk_start
            )
        self._stepper.finish(course.batch)
        course.trained = True
        self._save(None)
        self._after_saving()

    def _watch(self) -> LossWatch | None:
        """Return what looks at losses; where there are several ranks, none can stop without the others."""
        is_wanted = self._options.on_nonfinite_loss == "stop"
        return LossWatch(stops=self._ranks.is_alone) if is_wanted else None

    def _check_finite(self, watch: LossWatch, before: int) -> None:
        """Raise NonFiniteLossError if a rank has found a loss that is not finite."""
        if self._ranks.most(int(watch.first is not None)) == [0]:
            return
        found = filter(None, self._ranks.gather(watch.first))
        first = min(found, key=lambda bad: bad.place)  # it has spoiled the weights of all
        place = f"{self._opener.where(self.course)}, batch {before + first.place} of the chunk, from 0"
        raise NonFiniteLossError(complaint(first, place, self._saver.last))

    def _until_next_point(self) -> int:
        """Return how many batches there are until something is to be done."""
        options, batch = self._options, self.course.batch
        everys = (options.log_every, options.checkpoint_every, options.validate_every)
        counts = [every - batch % every for every in everys if every is not None]
        if options.max_batches is not None:
            counts.append(max(options.max_batches - self.course.batches, 0))
        return min(counts)

    def _is_over(self) -> bool:
        most = self._options.max_batches
        return most is not None and self.course.batches >= most

    def _is_due(self, name: str) -> bool:
        every: int | None = getattr(self._options, name)
        return every is not None and self.course.batch > 0 and self.course.batch % every == 0

    def _fetch(self, stream: Stream) -> Callable[[], Any]:
        """Return what gives the next batch to all ranks or to none."""
        fetch, note, ranks = stream.fetch, self._note, self._ranks
        if ranks.is_alone:

            def fetch_alone() -> Any:
                if note.received:
                    raise Interrupted
                try:
                    return fetch()
                except StopIteration:
                    raise
                except Exception:
                    time.sleep(_SIGNAL_SECONDS)
                    if note.received:
                        raise Interrupted from None
                    raise

            return fetch_alone

        def fetch_together() -> Any:
            if self._is_stopping:
                raise Interrupted
            batch, error, ended, failed = None, None, 0, 0
            try:
                batch = fetch()
            except StopIteration:
                ended = 1
            except Exception as raised:
                error, failed = raised, 1
            ended, failed, stopping = ranks.most(ended, failed, int(note.received != 0))
            self._is_stopping = bool(stopping)  # before the next batch: this one is drawn already
            if failed and stopping:
                raise Interrupted
            if failed:
                raise error or FailedElsewhere
            if ended:
                raise StopIteration
            return batch

        return fetch_together

    def _save(self, stream: Stream | None) -> None:
        course = self.course
        loader_state = None if stream is None else stream.state_at(course.position)
        self._saver.save(course, loader_state, self._opener.shards_state())

    def _after_saving(self) -> None:
        """Do what is due where a file was just saved, or is gone on from."""
        if self._ranks.most(int(self._note.received != 0)) == [1]:
            raise _Stop(StopReason.SIGNAL)
        if self.course.trained or self._is_over():
            self._evaluate("mini_epoch")
        elif self._is_due("validate_every"):
            self._evaluate("batch")
        if self._is_over():
            raise _Stop(StopReason.MAX_BATCHES)

    def _evaluate(self, kind: str) -> None:
        course, options = self.course, self._options
        values = self._evaluator.again(course)
        is_new = values is None  # else the weights are those of the last record
        if values is None:
            values = self._evaluator.validate()
        if values is None:
            raise _Stop(StopReason.SIGNAL)
        record = self._ranks.from_first(self._record(kind, values))
        if self._ranks.is_first:
            say_not_finite(record)
        if is_new:
            self._evaluator.judge(record, course, self._saver.last)
        course.history.append(record)
        self._saver.add_to_history()
        self._saver.prune(course)
        is_best = is_new and course.since_best == 0
        self._console.record(record, is_best)
        self._board.add({name: value for name, value in record.items() if name != "seconds"}, course.batches)
        if kind == "mini_epoch":
            if options.schedule == "mini_epoch":
                self._step_scheduler(record)
            if options.on_mini_epoch is not None:
                options.on_mini_epoch(dict(record))
        if self._evaluator.is_patience_over(course):
            raise _Stop(StopReason.EARLY_STOPPING)

    def _record(self, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        course = self.course
        assert course.order is not None
        sums = Sums()
        for part in self._ranks.gather(course.sums):
            sums.include(part)
        return {
            "kind": kind,
            "epoch": course.epoch,
            "chunk": course.order.starts.index(course.chunk_start),
            "n_chunks": len(course.order.starts),
            "chunk_start": course.chunk_start,
            "batch": course.batch,
            "batches": course.batches,
            **({"train_loss": None} if not sums.counts else sums.means("train_")),
            **values,
            "learning_rate": float(self._parts.optimizer.param_groups[0]["lr"]),
            "seconds": course.seconds,
            "batches_per_second": course.batch / course.seconds if course.seconds else 0.0,
        }

    def _step_scheduler(self, record: dict[str, Any]) -> None:
        scheduler = self._parts.scheduler
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            value = record[self._evaluator.monitor]
            if value is not None:  # else the chunk gave no batch
                scheduler.step(value)
        elif scheduler is not None:
            with warnings.catch_warnings():
                # The optimizer's steps were taken before training went on, which torch cannot know.
                warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
                scheduler.step()

    def _show_beginning(self, stream: Stream | None) -> None:
        if self._opener.chunk is not None:
            length = None if stream is None else stream.length
            self._console.begin(self._opener.chunk, self._options.num_epochs, self.course.batch, length)

    def _look(self) -> None:
        """Show how far training is, not too often."""
        now = time.monotonic()
        if now - self._shown < SHOWN_SECONDS:
            return
        self._shown = now
        course = self.course
        means = course.sums.means("train_")
        self._console.step(course.batch, course.batch / course.seconds, means.get("train_loss"))
        if now - self._drawn >= DRAWN_SECONDS:
            self._drawn = now
            self._board.add(means, course.batches)
