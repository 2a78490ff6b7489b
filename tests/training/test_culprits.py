"""Which shard a loader's error is about: what it carries, or each tried alone; never what a text holds."""

import errno
import gc
import logging
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from tests.training.course import batches_of, make_trainer, rows_of, same, trainer_of
from tombola.training import Chunk, Rows, ShardError, TrainingError
from tombola.training.culprits import let_go, named_by

BAD = 7


class OwnError(Exception):
    """Of a user, with a shard."""

    def __init__(self, shard: Any) -> None:
        super().__init__("row 3 is cut off")
        self.shard = shard


def raising(error: Callable[[], Exception], at: str = "make") -> Callable[[Chunk], Any]:
    """Return a make_loader that fails where shard 7 is in the chunk, at once or at its batch."""

    def batches(chunk: Chunk) -> Iterator[torch.Tensor]:
        for shard in chunk.shards:
            if shard == BAD:
                raise error()
            yield rows_of(shard)

    def make_loader(chunk: Chunk) -> Any:
        if at == "make" and BAD in chunk.shards:
            raise error()
        return batches(chunk)

    return make_loader


def skipped(tmp_path: Path, make_loader: Callable[[Chunk], Any], **options: Any) -> tuple[list[str], int]:
    settings: dict[str, Any] = {"chunk_size": 8, "on_bad_shard": "skip", **options}
    result = trainer_of(tmp_path, range(8), make_loader, **settings).fit()
    return [entry["shard"] for entry in result.skipped], result.batches


@pytest.mark.parametrize("at", ["make", "batch"])
@pytest.mark.parametrize(
    "error",
    [
        lambda: RuntimeError("shape '[4, 2]' is invalid for input of size 5"),
        lambda: KeyError(3),
        lambda: OSError("shards 0, 1 and 2 are well"),
        lambda: OSError(errno.EIO, "Input/output error", 2),
        lambda: ShardError("a shard is bad", shard=BAD),
        lambda: ShardError("a shard is bad", shards=["7"]),
        lambda: OwnError(BAD),
    ],
    ids=[
        "numbers of other shards",
        "KeyError",
        "names",
        "a descriptor",
        "ShardError",
        "by text",
        "own error",
    ],
)
def test_the_bad_shard_alone_is_left_out(tmp_path: Path, at: str, error: Callable[[], Exception]) -> None:
    assert skipped(tmp_path, raising(error, at)) == (["7"], 7)


def test_an_error_that_carries_its_shard_is_not_searched_for(tmp_path: Path) -> None:
    chunks: list[tuple[Any, ...]] = []

    def make_loader(chunk: Chunk) -> Any:
        chunks.append(chunk.shards)
        if BAD in chunk.shards:
            try:
                raise OwnError(BAD)
            except OwnError as error:
                msg = "the reader failed"
                raise ValueError(msg) from error
        return batches_of(chunk)

    assert skipped(tmp_path, make_loader) == (["7"], 7)
    assert [len(chunk) for chunk in chunks] == [8, 7]


def test_two_bad_shards(tmp_path: Path) -> None:
    def make_loader(chunk: Chunk) -> Any:
        if {2, 5} & {*chunk.shards}:
            msg = "a header is broken"
            raise ValueError(msg)
        return batches_of(chunk)

    shards, batches = skipped(tmp_path, make_loader)
    assert (sorted(shards), batches) == (["2", "5"], 6)


def test_files_and_folders_are_known_by_what_an_error_says_of_the_file(tmp_path: Path) -> None:
    folders = [tmp_path / f"store{i}" for i in range(4)]
    chunks = []

    def make_loader(chunk: Chunk) -> Any:
        chunks.append(chunk.shards)
        if folders[2] in chunk.shards:
            (folders[2] / "c" / "0").read_bytes()  # is not there
        return [rows_of(0)]

    for folder in folders:
        folder.mkdir()
    result = trainer_of(tmp_path, folders, make_loader, chunk_size=4, on_bad_shard="skip").fit()
    assert [entry["shard"] for entry in result.skipped] == [str(folders[2])]
    assert [len(chunk) for chunk in chunks] == [4, 3]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_worker_processes_hand_on_the_text_only(tmp_path: Path, n_workers: int) -> None:
    def make_loader(chunk: Chunk) -> Any:
        return DataLoader(_Shards(chunk.shards), None, num_workers=n_workers, multiprocessing_context="fork")

    shards, _ = skipped(tmp_path, make_loader)
    assert shards == ["7"]


def test_what_is_no_cause_keeps_its_traceback() -> None:
    first, second = OSError("first"), OSError("second")
    try:
        raise FileNotFoundError("of the caller")
    except FileNotFoundError as outer:
        try:
            raise first from second
        except OSError as error:
            second.__context__ = error  # a chain that leads to where it began
            failure = error
        let_go(failure)
        kept = outer.__traceback__
    assert failure.__traceback__ is None
    assert kept is not None
    assert named_by(first, {"7": 7}) == []


def test_workers_end_with_the_chunk_that_failed(tmp_path: Path) -> None:
    readers: list[weakref.ref[Any]] = []

    class Kept(DataLoader[torch.Tensor]):
        def __iter__(self) -> Any:
            reader = super().__iter__()
            readers.append(weakref.ref(reader))
            return reader

    class Broken(_Shards):
        def __iter__(self) -> Iterator[torch.Tensor]:
            for shard in self.shards:
                if shard == BAD:
                    raise OSError(errno.EIO, "Input/output error")
                yield rows_of(shard)

    def make_loader(chunk: Chunk) -> Any:
        return Kept(Broken(chunk.shards), None, num_workers=1, multiprocessing_context="fork")

    gc.collect()
    gc.disable()
    try:
        shards, _ = skipped(tmp_path, make_loader, num_epochs=2)
    finally:
        gc.enable()
    assert shards == ["7", "7"]
    assert len(readers) > 16  # each shard was tried alone
    assert all(reader() is None for reader in readers)


class _Shards(IterableDataset[torch.Tensor]):
    def __init__(self, shards: tuple[int, ...]) -> None:
        self.shards = shards

    def __iter__(self) -> Iterator[torch.Tensor]:
        for shard in self.shards:
            if shard == BAD:
                raise ShardError("cut off", shard=shard)
            yield rows_of(shard)


@pytest.mark.parametrize("chunk_size", [1, 8])
@pytest.mark.parametrize(
    "error",
    [NameError, TypeError, AttributeError, AssertionError, ImportError, NotImplementedError, MemoryError],
)
def test_faults_of_the_code_are_raised(tmp_path: Path, error: type[Exception], chunk_size: int) -> None:
    for at in ("make", "batch"):
        with pytest.raises(error, match="of the code") as caught:
            skipped(tmp_path / at, raising(lambda: error("of the code"), at), chunk_size=chunk_size)
        assert caught.type is error


def test_a_fault_of_the_code_with_a_shard_of_its_own_is_one_of_the_shard(tmp_path: Path) -> None:
    def make_loader(chunk: Chunk) -> Any:
        try:
            return batches_of(chunk) if BAD not in chunk.shards else len(None)  # type: ignore[arg-type]
        except TypeError as error:
            raise ShardError("no rows", shard=BAD) from error

    assert skipped(tmp_path, make_loader) == (["7"], 7)


def test_faults_of_what_gives_sizes_are_raised(tmp_path: Path) -> None:
    def size(shard: int) -> int:
        return undefined  # type: ignore[name-defined,no-any-return] # noqa: F821

    with pytest.raises(NameError, match="undefined"):
        skipped(tmp_path, batches_of, chunk_size=Rows(10, size))


@pytest.mark.parametrize(
    ("fails", "match"),
    [
        (
            lambda shards: True,
            r"out of reach \(it is none of one shard's, as each of the chunk's fails alone: ",
        ),
        (lambda shards: len(shards) > 1, r"none of one shard's, as each of the chunk's does well alone"),
    ],
    ids=["each", "none"],
)
def test_where_trying_alone_does_not_tell_nothing_is_left_out(
    tmp_path: Path, fails: Callable[[Any], bool], match: str
) -> None:
    def make_loader(chunk: Chunk) -> Any:
        if fails(chunk.shards):
            msg = "out of reach"
            raise ConnectionError(msg)
        return batches_of(chunk)

    with pytest.raises(ShardError, match=match):
        skipped(tmp_path, make_loader)


def test_what_fails_alone_in_another_way_is_not_bad(tmp_path: Path) -> None:
    """Alone, shard 2 has too few classes, which is no reason to leave it out."""

    def make_loader(chunk: Chunk) -> Any:
        if chunk.shards == (2,):
            msg = "a chunk must have two classes"
            raise ValueError(msg)
        if BAD in chunk.shards:
            msg = "cut off"
            raise ValueError(msg)
        return batches_of(chunk)

    assert skipped(tmp_path, make_loader) == (["7"], 7)


def test_without_the_option_nothing_is_tried(tmp_path: Path) -> None:
    chunks = []

    def make_loader(chunk: Chunk) -> Any:
        chunks.append(chunk)
        msg = "3 bytes"
        raise ValueError(msg)

    with pytest.raises(ShardError, match=r"3 bytes \(the error carries none .*tries each alone: ") as caught:
        trainer_of(tmp_path, range(5), make_loader).fit()
    assert caught.value.shards == ()
    assert len(chunks) == 1


def test_shards_that_are_all_left_out_one_by_one_are_said(tmp_path: Path) -> None:
    def make_loader(chunk: Chunk) -> Any:
        msg = "wrong format"
        raise ValueError(msg)

    with pytest.raises(
        TrainingError, match=r"gave none .*; shards were left out, the first \d, .*wrong format"
    ):
        skipped(tmp_path, make_loader, chunk_size=1)


def test_trying_draws_no_random_number_of_the_models(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Found by trying or carried, the same shard is missing and the same weights come of it."""

    def train(folder: str, error: Exception) -> Any:
        trainer = make_trainer(tmp_path / folder, "stream", on_bad_shard="skip")
        make = trainer._make_loader

        def make_loader(chunk: Chunk) -> Any:
            if BAD in chunk.shards:
                torch.rand(5)
                raise error
            return make(chunk)

        trainer._make_loader = make_loader
        trainer.fit()
        return trainer.model.state_dict()

    with caplog.at_level(logging.WARNING, "tombola.training"):
        assert same(train("carried", ShardError("x", shard=BAD)), train("tried", ValueError("x")))
    assert "the loader failed, so each of 4 shards is tried alone: x" in caplog.text


def test_a_shard_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ShardError("bad", shards=[1, "b"])))
    assert (str(error), error.shards, error.shard) == ("bad", (1, "b"), 1)
    assert ShardError("bad").shard is None
