"""What lists shards: its state in checkpoints, chunks that are cut anew for more ranks, shards that go."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.course import batches_of, trainer_of
from tombola.training import CheckpointError, ShardError, load_checkpoint, saved_shards
from tombola.training.chunks import ShardOrder


class Growing:
    """Lists one shard more whenever it is asked, three at first."""

    def __init__(self) -> None:
        self.count = 2
        self.is_listed = False

    def __call__(self) -> range:
        self.count += not self.is_listed
        self.is_listed = False
        return range(self.count)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count, self.is_listed = state["count"], True


class Broken(Exception):
    pass


def test_going_on_lists_the_shards_as_they_were(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def make_loader(chunk: Any) -> Any:
        seen.extend((chunk.epoch, shard) for shard in chunk.shards)
        return batches_of(chunk)

    def stop(record: Mapping[str, Any]) -> None:
        if (record["epoch"], record["chunk"]) == (1, 1):
            raise Broken

    options: dict[str, Any] = {"chunk_size": 1, "num_epochs": 3}
    with pytest.raises(Broken):
        trainer_of(tmp_path, Growing(), make_loader, on_mini_epoch=stop, **options).fit()
    assert saved_shards(tmp_path / "checkpoints") == {"count": 4}
    trainer_of(tmp_path, Growing(), make_loader, resume="latest", **options).fit()
    assert sorted(seen) == [(epoch, shard) for epoch in range(3) for shard in range(3 + epoch)]


def test_saved_shards_come_from_the_newest_file_that_can_be_read(tmp_path: Path) -> None:
    trainer_of(tmp_path, Growing(), batches_of, chunk_size=1, num_epochs=2).fit()
    checkpoints = tmp_path / "checkpoints"
    newest = checkpoints / "checkpoint_epoch1_chunk3.pt"
    assert saved_shards(checkpoints) == saved_shards(newest) == {"count": 4}
    newest.write_bytes(newest.read_bytes()[:1000])
    assert saved_shards(newest) is None
    assert saved_shards(checkpoints) == {"count": 4}
    for path in checkpoints.glob("*.pt"):
        path.write_bytes(b"")
    assert saved_shards(checkpoints) is None
    torch.save({"shards": 1}, newest)
    assert saved_shards(newest) is None


def sizes_of(starts: tuple[int, ...], n: int) -> list[int]:
    return [b - a for a, b in itertools.pairwise((*starts, n))]


@pytest.mark.parametrize("n", [5, 6, 7])
def test_chunks_after_the_current_one_are_cut_for_more_ranks(n: int) -> None:
    """For all ways to cut some shards: earlier chunks stay, later ones are joined, no more than needed."""
    cuts = itertools.chain.from_iterable(itertools.combinations(range(1, n), k) for k in range(n))
    for cut in cuts:
        starts = (0, *cut)
        order = ShardOrder(tuple("abcdefg"[:n]), (False,) * n, starts)
        for at, least in itertools.product(range(len(starts)), (1, 2, 3)):
            found = order.with_least(least, starts[at]).starts
            fresh = order.with_least(least, starts[at], has_begun=False).starts
            assert fresh[: at + 1] == starts[: at + 1]
            assert all(size >= least for size in sizes_of(fresh[at:], n)) or len(fresh) == at + 1
            after = found[at + 1 :]
            assert found[: at + 1] == starts[: at + 1]
            assert after[:1] == starts[at + 1 : at + 2]
            assert set(after) <= set(starts)
            sizes = sizes_of(after, n)
            assert all(size >= least for size in sizes) or len(sizes) == 1
            if all(size >= least for size in sizes_of(starts[at + 1 :], n)):
                assert found == starts


def test_a_text_that_was_a_file_is_missed_in_the_next_epoch(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.txt" for name in "abc"]
    for path in paths:
        path.write_text("")

    def remove(record: Mapping[str, Any]) -> None:
        if (record["epoch"], record["chunk"]) == (0, 2):
            paths[1].unlink()

    def attempt(folder: str, **options: Any) -> Any:
        for path in paths:
            path.write_text("")
        return trainer_of(
            tmp_path / folder,
            [*map(str, paths)],
            lambda chunk: [torch.zeros(4, 8)] if Path(chunk.shards[0]).exists() else None,
            chunk_size=1,
            num_epochs=2,
            on_mini_epoch=remove,
            **options,
        ).fit()

    with pytest.raises(ShardError, match=r"the shard .*b\.txt is missing .*on_missing_shard"):
        attempt("error", on_bad_shard="skip")
    result = attempt("skip", on_missing_shard="skip")
    assert [(entry["shard"], entry["why"]) for entry in result.skipped] == [(str(paths[1]), "is missing")]
    assert [record["n_chunks"] for record in result.history] == [3, 3, 3, 2, 2]


def test_a_checkpoint_from_elsewhere_is_copied(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunk_size": 1, "num_epochs": 1}
    trainer_of(tmp_path / "first", range(3), batches_of, **options).fit()
    path = tmp_path / "renamed.pt"
    path.write_bytes((tmp_path / "first" / "checkpoints" / "checkpoint_epoch0_chunk1.pt").read_bytes())
    second = trainer_of(tmp_path / "second", range(3), batches_of, resume=path, max_batches=2, **options)
    result = second.fit()
    assert result.last_checkpoint == tmp_path / "second" / "checkpoints" / "checkpoint_epoch0_chunk1.pt"
    assert load_checkpoint(result.last_checkpoint)["course"]["batches"] == 2
    third = trainer_of(tmp_path / "second", range(3), batches_of, resume="latest", **options).fit()
    assert third.batches == 3
    assert result.best_checkpoint is None  # that file is in the other folder
    with pytest.raises(CheckpointError, match="holds checkpoints already"):
        trainer_of(tmp_path / "second", range(3), batches_of, **options).fit()
