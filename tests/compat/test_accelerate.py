"""Accelerate: DataLoaders that it prepares, and ours beside a prepared model.

A prepared DataLoader deals out batches to ranks, asks for one ahead, and counts the passes it completes.
"""

import logging
import sys
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
import torch

accelerate = pytest.importorskip("accelerate")

import tombola  # noqa: E402
from tests.compat import common  # noqa: E402
from tombola import BlockShuffling, PlanBatchSampler, Position  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(common.THREADS_AND_FORKS),
    # torchdata 0.11 calls what torch 2.13 deprecates.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]


def make_accelerator(**options: Any) -> Any:
    return accelerate.Accelerator(cpu=True, dataloader_config=accelerate.DataLoaderConfiguration(**options))


def prepare(strategy: str, kind: str, **options: Any) -> Any:
    """Return what Accelerate makes of a DataLoader."""
    return make_accelerator(**options).prepare(common.make_torch_loader(strategy, kind))


def passes_of(loader: Any, count: int) -> list[common.Batches]:
    return [[common.rows(batch) for batch in loader] for _ in range(count)]


def train_beside(folder: Path, strategy: str, kind: str) -> list[common.Batches]:
    """Prepare the model alone; save with Accelerate within epoch 1; go on with new objects."""
    before = common.Recorder()
    for resumed in (False, True):
        accelerator = make_accelerator()
        module = common.Model()
        model, _ = accelerator.prepare(module, torch.optim.SGD(module.parameters(), lr=0.1))
        loader = common.make_loader(strategy, kind, even="pad")
        accelerator.register_for_checkpointing(loader)
        seen = common.Recorder() if resumed else before
        if resumed:
            accelerator.wait_for_everyone()
            accelerator.load_state(folder / f"{strategy} {kind}")
        for epoch in range(2):
            for step, batch in enumerate(loader):
                accelerator.backward(model(**batch)["loss"])
                seen.see(batch)
                if epoch == 1 and step == 2 and not resumed:
                    accelerator.save_state(folder / f"{strategy} {kind}")
                    break
            seen.turn()
    after = seen.done()
    return [before.passes[0], before.passes[1] + after[0], after[1]]


def skip(folder: Path, strategy: str, kind: str) -> list[common.Batches]:
    """Resume in epoch 1 as Accelerate's guide does: name the epoch, skip, go on with the prepared one."""
    first = prepare(strategy, kind)
    before = passes_of(first, 1)
    broken_off = [common.rows(batch) for batch in islice(first, 3)]
    loader = prepare(strategy, kind)
    loader.set_epoch(1)
    (rest,) = passes_of(accelerate.skip_first_batches(loader, 3), 1)
    return [*before, broken_off + rest, *passes_of(loader, 1)]


def save_stateful(folder: Path, strategy: str, kind: str) -> list[common.Batches]:
    """Resume by the states of torchdata's StatefulDataLoader, which Accelerate can prepare.

    They do not hold the epoch where it deals out batches.
    """
    folder = folder / f"stateful {strategy} {kind}"
    accelerator = make_accelerator(use_stateful_dataloader=True)
    loader = accelerator.prepare(common.make_torch_loader(strategy, kind))
    before = passes_of(loader, 1)
    broken_off = []
    for batch in islice(loader, 3):
        broken_off.append(common.rows(batch))
        if len(broken_off) == 3:
            accelerator.save_state(folder)
    accelerator = make_accelerator(use_stateful_dataloader=True)
    loader = accelerator.prepare(common.make_torch_loader(strategy, kind))
    accelerator.wait_for_everyone()
    accelerator.load_state(folder)
    loader.set_epoch(1)
    after = passes_of(loader, 2)
    return [*before, broken_off + after[0], after[1]]


WAYS: dict[str, Callable[[Path, str, str], list[common.Batches]]] = {
    "beside": train_beside,
    "skip": skip,
    "stateful": save_stateful,
}
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
@common.every_case
def test_resume(way: str, strategy: str, kind: str, tmp_path: Path) -> None:
    common.check_epochs(WAYS[way](tmp_path, strategy, kind), strategy, kind)


@common.every_kind
def test_passes_that_are_broken_off_are_epochs(kind: str) -> None:
    """Accelerate's own count stands still where a pass is broken off."""
    loader = prepare("blocks", kind)
    assert passes_of(loader, 1)
    for epoch in (1, 2):
        seen = [common.rows(batch) for batch in islice(loader, 3)]
        assert common.counted(seen) <= common.counted(common.planned("blocks", epoch, kind))
    common.check_epochs(passes_of(loader, 2), "blocks", kind, first=3)
    loader.set_epoch(7)
    common.check_epochs(passes_of(loader, 2), "blocks", kind, first=7)


@pytest.mark.parametrize("method", [None, "fork", "spawn"])
@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("kind", ["sampler", "loader"])
def test_what_skipping_rests_on_is_said_once(
    kind: str, is_prepared: bool, method: str | None, tmp_path: Path
) -> None:
    """Which batches of a Loader come first depends on how many workers read; it is not a sampler's matter."""
    told = tmp_path / "told.txt"
    told.touch()
    handler = logging.FileHandler(told)  # which forked workers write to as well
    logger = logging.getLogger("tombola.passes")
    logger.addHandler(handler)
    try:
        loader = common.make_loader("blocks", kind)
        if method is not None:
            loader.num_workers, loader.prefetch_factor, loader.multiprocessing_context = 2, 2, method
        if is_prepared:
            loader = make_accelerator().prepare(loader)
        skipping = accelerate.skip_first_batches(loader, 3)
        assert len(passes_of(skipping, 1)[0]) == 8
    finally:
        logger.removeHandler(handler)
        handler.close()
    said = [line for line in told.read_text(encoding="utf-8").splitlines() if "few blocks" not in line]
    assert len(said) == (kind == "loader")
    assert all("depends on how many worker processes read, so" in line for line in said)


def test_a_pass_that_may_go_on_is_not_taken_for_that_of_a_prepared_dataloader() -> None:
    given = common.make_loader("blocks", "sampler")
    looked_at = iter(given)
    next(looked_at)
    next(iter(make_accelerator().prepare(given)))
    with pytest.raises(RuntimeError, match=r"Accelerate's DataLoaderShard asks ahead"):
        given.state_dict()


def test_a_prepared_dataloader_does_not_know_what_was_consumed() -> None:
    given = common.make_loader("blocks", "sampler")
    batches = iter(make_accelerator().prepare(given))
    next(batches)
    for asked in (given, given.batch_sampler):
        with pytest.raises(RuntimeError, match=r"Accelerate's DataLoaderShard asks ahead"):
            asked.state_dict()


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("kind", common.KINDS[:3])
def test_a_prepared_pass_that_handed_out_nothing_is_none(kind: str, is_kept: bool, failing: int) -> None:
    """A retry goes on from the loaded state, though Accelerate says epoch 0; it holds one batch back."""
    fails = [True]

    def check(rows: Any) -> None:
        if fails and common.planned("blocks", 3, kind)[4 + failing][0] in rows:
            raise OSError("disk on fire")

    class Data(common.Rows):
        def __getitem__(self, row: int) -> dict[str, Any]:
            check([row])
            return super().__getitem__(row)

    def transform(batch: dict[str, Any]) -> dict[str, Any]:
        check(batch["row"].tolist())
        return batch

    given = common.make_loader("blocks", kind)
    if kind == "loader":
        given.dataset.batch_transform = transform
    else:
        workers = {"num_workers": given.num_workers, "multiprocessing_context": given.multiprocessing_context}
        given = tombola.DataLoader(Data(), batch_sampler=given.batch_sampler, **workers)
    given.load_state_dict(given.state_at(Position(3).advanced(1, 4)))
    loader = make_accelerator().prepare(given)
    kept = []
    try:
        next(iter(loader))
    except OSError as error:
        kept = [error]
    assert kept
    if not is_kept:
        kept.clear()
    fails.clear()
    rest, after = passes_of(loader, 2)
    assert common.counted(rest) == common.counted(common.planned("blocks", 3, kind)[4:])
    common.check_epochs([after], "blocks", kind, first=4)


OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "even_batches off": {"even_batches": False},
    "dispatch_batches on": {"dispatch_batches": True},
    "split_batches on": {"split_batches": True},
    "use_stateful_dataloader on": {"use_stateful_dataloader": True},
}
VARY = ("tokens", "series")
SAMPLER_CASES = [(strategy, kind) for strategy, kind in common.CASES if kind.startswith("sampler")]


def child(folder: Path) -> None:
    """Train with two ranks."""
    for batch_size in (1, 6):
        common.write(folder, f"arrays {batch_size}", arrays(batch_size))
    for strategy, kind in common.CASES:
        common.write(folder, f"beside {strategy} {kind}", train_beside(folder, strategy, kind))
        for name, options in OPTIONS.items():
            try:
                loader = prepare(strategy, kind, **options)
                seen: Any = [len(loader), passes_of(loader, 2)]
            except (TypeError, ValueError) as error:
                seen = str(error)
            common.write(folder, f"{name} {strategy} {kind}", seen)
        if (strategy, kind) in SAMPLER_CASES:
            for way in ("skip", "stateful"):
                common.write(folder, f"{way} {strategy} {kind}", WAYS[way](folder, strategy, kind))


def arrays(batch_size: int) -> list[list[int]]:
    """Return the rows of two epochs of a prepared DataLoader whose batch sampler gives arrays."""
    data = torch.arange(61)
    sampler = PlanBatchSampler(BlockShuffling(4), len(data), batch_size=batch_size, as_array=True)
    loader = make_accelerator(even_batches=False).prepare(tombola.DataLoader(data, batch_sampler=sampler))
    return [[row for batch in loader for row in batch.tolist()] for _ in range(2)]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    common.torchrun("tests.compat.test_accelerate", folder)
    return folder


@pytest.mark.parametrize("batch_size", [1, 6])
def test_two_ranks_with_arrays(two_ranks: Path, batch_size: int) -> None:
    """Accelerate adds batches up, which is another thing for arrays than for lists."""
    for shares in zip(*common.read(two_ranks, f"arrays {batch_size}"), strict=True):
        assert sorted(chain.from_iterable(shares)) == list(range(61))


@common.every_case
def test_two_ranks_beside_a_prepared_model(two_ranks: Path, strategy: str, kind: str) -> None:
    common.check_ranks(common.read(two_ranks, f"beside {strategy} {kind}"), strategy, kind)


@pytest.mark.parametrize("name", OPTIONS)
@common.every_case
def test_two_ranks_with_a_prepared_dataloader(two_ranks: Path, strategy: str, kind: str, name: str) -> None:
    """Every row comes, and as many more as Accelerate's filling up takes; or the reason why not is said."""
    ranks = common.read(two_ranks, f"{name} {strategy} {kind}")
    by_loader, varies = kind.startswith("loader"), strategy in VARY
    if isinstance(ranks[0], str):
        assert (name == "split_batches on" and (by_loader or varies)) or (
            varies and (by_loader or name == "dispatch_batches on")
        )
        if name != "split_batches on":
            assert "must all have as many rows if Accelerate's DataLoaderDispatcher joins them" in ranks[0]
        return
    steps = [len(seen) for _, passes in ranks for seen in passes]
    assert steps == [length for length, _ in ranks for _ in range(2)]
    whole = [common.planned(strategy, epoch, kind) for epoch in range(2)]
    assert max(steps) - min(steps) <= (1 if name == "even_batches off" else 0)
    for epoch in range(2):
        seen = Counter(chain.from_iterable(chain.from_iterable(passes[epoch] for _, passes in ranks)))
        assert len(seen) == common.N_ROWS
        if name == "even_batches off":
            assert seen.total() == common.N_ROWS
        assert seen.total() - common.N_ROWS <= 2 * common.BATCH_SIZE
        first = [batch for _, passes in ranks for batch in passes[epoch][:1]]
        if name != "split_batches on":
            assert common.counted(first) <= common.counted(whole[epoch])


@pytest.mark.parametrize("way", ["skip", "stateful"])
@pytest.mark.parametrize(("strategy", "kind"), SAMPLER_CASES)
def test_two_ranks_resume_a_prepared_dataloader(two_ranks: Path, strategy: str, kind: str, way: str) -> None:
    ranks = common.read(two_ranks, f"{way} {strategy} {kind}")
    for epoch in range(3):
        rows = Counter(chain.from_iterable(chain.from_iterable(passes[epoch] for passes in ranks)))
        assert len(rows) == common.N_ROWS
        assert rows.total() - common.N_ROWS <= 2 * common.BATCH_SIZE
        assert len({len(passes[epoch]) for passes in ranks}) == 1
        whole = common.planned(strategy, epoch, kind)
        assert common.counted(passes[epoch][0] for passes in ranks) <= common.counted(whole)


if __name__ == "__main__":
    child(Path(sys.argv[1]))
