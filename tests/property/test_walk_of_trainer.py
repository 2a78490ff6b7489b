"""Random walks of `MiniEpochTrainer`: interrupted and resumed anywhere, it trains as the model does.

The model is the list of batches that an undisturbed training takes, chunk by chunk. A walk trains some,
then fails, stops or ends; goes on from the latest file or from any other; and is at last trained to the end,
where weights, optimizer, random states and history equal the undisturbed ones to the last bit.
"""

import functools
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from torch import nn

from tests.property.walks import Length, Walk, lengths, walk
from tests.training.course import Kind, features, make_trainer, mean_error, outcome, same, without_times
from tombola.training import MiniEpochTrainer, StopReason

OPTIONS: dict[str, Any] = {"checkpoint_every": 3, "validate_every": 5, "keep_last": None, "num_epochs": 1}


class Broken(Exception):
    pass


class Log:
    """A loss that notes the batches it is asked for in training, and fails after so many."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.batches = most, list[list[float]]()

    def __call__(self, model: nn.Module, batch: Any) -> torch.Tensor:
        if model.training:
            if len(self.batches) == self.most:
                raise Broken
            self.batches.append(features(batch)[:, 0].tolist())
        return mean_error(model, batch)


class Undisturbed:
    """The batches of a training, the files it writes, and what comes of it."""

    def __init__(self, kind: Kind) -> None:
        log = Log()
        with tempfile.TemporaryDirectory() as name:
            trainer = make_trainer(Path(name), kind, loss=log, **OPTIONS)
            self.outcome = outcome(trainer, trainer.fit())
            self.batches = log.batches
            ends = [record for record in self.outcome["history"] if record["kind"] == "mini_epoch"]
            self.chunks = [
                (end["chunk_start"], end["batches"] - end["batch"], end["batches"]) for end in ends
            ]
            self.files = {path.name: self.place(path.name) for path in Path(name).glob("*.pt")}
        assert [end for _, _, end in self.chunks][-1] == len(self.batches)

    def place(self, name: str) -> tuple[int, bool]:
        """Return after how many batches a file is written, and whether its chunk is over."""
        found = re.fullmatch(r"checkpoint_epoch0_chunk(\d+)(?:_batch(\d+))?\.pt", name)
        assert found
        first, end = next((a, b) for start, a, b in self.chunks if start == int(found[1]))
        return (end, True) if found[2] is None else (first + int(found[2]), False)


@functools.cache
def undisturbed(kind: Kind) -> Undisturbed:
    return Undisturbed(kind)


class TrainerWalk(Walk):
    """One training, in a folder of its own."""

    @initialize(kind=st.sampled_from(["loader", "sampler", "stream"]))
    def begin(self, kind: Kind) -> None:
        self.kind, self.whole = kind, undisturbed(kind)
        self.folder = tempfile.TemporaryDirectory()
        self.files: dict[str, tuple[int, bool]] = {}

    @property
    def latest(self) -> tuple[int, bool]:
        return max(self.files.values(), default=(0, True))

    def on_disk(self) -> set[str]:
        return {path.name for path in Path(self.folder.name).glob("*.pt")}

    def trainer(self, log: Log, **options: Any) -> MiniEpochTrainer:
        settings = {"resume": "latest", **OPTIONS, **options}
        return make_trainer(Path(self.folder.name), self.kind, loss=log, **settings)

    def trained(self, log: Log) -> int:
        """Check the batches of a run, and note the files it wrote; return where it was left."""
        latest = self.latest
        at = latest[0] + len(log.batches)
        assert log.batches == self.whole.batches[latest[0] : at]
        self.files |= {
            name: place for name, place in self.whole.files.items() if latest < place <= (at, True)
        }
        return at

    @precondition(lambda self: hasattr(self, "files"))
    @rule(count=st.integers(0, 9))
    def fail(self, count: int, **options: Any) -> None:
        log = Log(count)
        trainer = self.trainer(log, **options)
        if self.latest[0] + count < len(self.whole.batches):
            with pytest.raises(Broken):
                trainer.fit()
            assert len(log.batches) == count
        else:
            assert trainer.fit().reason is StopReason.FINISHED
        self.trained(log)

    @precondition(lambda self: hasattr(self, "files"))
    @rule(count=st.integers(1, 9))
    def stop(self, count: int) -> None:
        log, start = Log(), self.latest[0]
        most = min(start + count, len(self.whole.batches))
        result = self.trainer(log, max_batches=most).fit()
        assert self.trained(log) == most == result.batches
        # A file is written there, too; whether the chunk is over need not be known yet.
        here = {name: self.whole.place(name) for name in self.on_disk() if self.whole.place(name)[0] == most}
        assert here
        self.files = {name: place for name, place in self.files.items() if place[0] < most} | here

    @precondition(lambda self: bool(getattr(self, "files", None)))
    @rule(data=st.data(), count=st.integers(0, 9))
    def go_back(self, data: st.DataObject, count: int) -> None:
        """Go on from any file; later ones are set aside."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        place = self.files[name]
        self.files = {other: at for other, at in self.files.items() if at <= place}
        self.fail(count, resume=Path(self.folder.name) / name)

    @precondition(lambda self: hasattr(self, "files"))
    @rule()
    def finish(self) -> None:
        log = Log()
        trainer = self.trainer(log)
        result = trainer.fit()
        assert result.reason is StopReason.FINISHED
        assert self.trained(log) == len(self.whole.batches)
        assert same(outcome(trainer, result), self.whole.outcome)
        lines = (Path(self.folder.name) / "history.jsonl").read_text().splitlines()
        assert without_times(list(map(json.loads, lines))) == self.whole.outcome["history"]

    @invariant()
    def files_are_there(self) -> None:
        if hasattr(self, "files"):
            assert self.on_disk() == set(self.files)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


@lengths(short=(2, 5), long=(120, 30))
def test_trainer(length: Length) -> None:
    walk(TrainerWalk, length)
