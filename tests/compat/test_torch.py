"""torch's own DataLoader, torchdata's StatefulDataLoader, and DistributedDataParallel under torchrun."""

import pickle
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.compat import common
from tombola import PlanBatchSampler, Streaming

pytestmark = [
    pytest.mark.filterwarnings(common.THREADS_AND_FORKS),
    # torchdata 0.11 calls what torch 2.13 deprecates.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
]

CLASSES = {"torch": common.make_torch_loader, "tombola": common.make_loader}
every_class = pytest.mark.parametrize("cls", CLASSES)


@common.every_kind
@every_class
def test_every_pass_is_a_fresh_epoch(cls: str, kind: str) -> None:
    """By exhaustion, by a count of steps, by a break: all that loops do."""
    loader = CLASSES[cls]("blocks", kind)
    steps = len(loader)
    passes = [list(map(common.rows, loader)) for _ in range(2)]
    passes += [[common.rows(next(it)) for it in [iter(loader)] for _ in range(steps)] for _ in range(2)]
    passes.append([common.rows(batch) for batch in islice(loader, steps)])
    common.check_epochs(passes, "blocks", kind)
    for epoch in (5, 6):
        for step, batch in enumerate(loader):
            assert common.rows(batch) in common.planned("blocks", epoch, kind)
            if step == 3:
                break


@common.every_case
@pytest.mark.parametrize("step", [4, -1, 0])
def test_resume(strategy: str, kind: str, step: int) -> None:
    """At a step of epoch 1, at its last batch, and between two passes."""
    saving = common.make_loader(strategy, kind)
    step %= len(saving) + 1
    list(saving)
    batches = map(common.rows, saving)
    before = [next(batches) for _ in range(step)]
    state = pickle.loads(pickle.dumps(saving.state_dict()))
    loader = common.make_loader(strategy, kind)
    loader.load_state_dict(state)
    assert len(loader) == len(common.planned(strategy, 0, kind))
    passes = [list(map(common.rows, loader)) for _ in range(2)]
    if step == len(loader):
        common.check_epochs(passes, strategy, kind, first=2)
    else:
        assert loader.epoch == 3
        common.check_epochs([before + passes[0], passes[1]], strategy, kind, first=1)


@pytest.mark.parametrize("what", ["sampler", "loader"])
def test_resume_with_other_workers(what: str) -> None:
    for strategy in common.STRATEGIES:
        saving = common.make_loader(strategy, f"{what}, workers")
        before = [common.rows(batch) for batch in islice(saving, 3)]
        loader = common.make_loader(strategy, what)
        loader.load_state_dict(saving.state_dict())
        common.check_epochs([before + list(map(common.rows, loader))], strategy, what)


def test_a_sampler_knows_what_torch_handed_out() -> None:
    loader = common.make_torch_loader("blocks", "sampler, workers")
    before = [common.rows(batch) for batch in islice(loader, 5)]
    sampler = common.make_sampler("blocks")
    sampler.load_state_dict(loader.batch_sampler.state_dict())
    assert before + list(sampler) == common.planned("blocks", 0)


def test_a_loader_in_workers_does_not_know() -> None:
    loader = common.make_torch_loader("blocks", "loader, workers")
    list(islice(loader, 5))
    with pytest.raises(RuntimeError, match=r"use tombola.DataLoader, and its state_dict"):
        loader.dataset.state_dict()


def test_fewer_batches_than_ranks() -> None:
    """What a DistributedSampler pads in silence is an error, or said by an option."""
    with pytest.raises(ValueError, match="must have a batch for each of 4 ranks, but has 2 batches"):
        PlanBatchSampler(Streaming(), 100, batch_size=64, rank=0, world_size=4)
    for even, counts in (("pad", [1, 1, 1, 1]), ("none", [1, 1, 0, 0])):
        options: dict[str, Any] = {"batch_size": 64, "world_size": 4, "even": even}
        samplers = [PlanBatchSampler(Streaming(), 100, rank=rank, **options) for rank in range(4)]
        assert [len(list(sampler)) for sampler in samplers] == counts


@common.every_case
def test_stateful_dataloader(strategy: str, kind: str) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    saving = common.make_loader(strategy, kind, stateful)
    first = list(map(common.rows, saving))
    batches = map(common.rows, saving)
    before = [next(batches) for _ in range(4)]
    state = pickle.loads(pickle.dumps(saving.state_dict()))
    loader = common.make_loader(strategy, kind, stateful)
    loader.load_state_dict(state)
    after = [list(map(common.rows, loader)) for _ in range(2)]
    common.check_epochs([first, before + after[0], after[1]], strategy, kind)


def child(folder: Path) -> None:
    """Train by hand, break off, go on with new objects."""
    distributed.init_process_group("gloo")
    model = DistributedDataParallel(common.Model())
    for strategy, kind in common.CASES:
        loader = common.make_loader(strategy, kind, even="pad")
        seen = common.Recorder()
        state: dict[str, Any] = {}
        for epoch in range(2):
            for step, batch in enumerate(loader):
                model(**batch)["loss"].backward()
                seen.see(batch)
                if epoch == 1 and step == 2:
                    state = loader.state_dict()
                    break
            seen.turn()
        loader = common.make_loader(strategy, kind, even="pad")
        loader.load_state_dict(state)
        after = [[common.rows(batch) for batch in loader] for _ in range(2)]
        whole = [seen.passes[0], seen.passes[1] + after[0], after[1]]
        common.write(folder, f"{strategy} {kind}", whole)
    with model.join():
        unequal = common.make_loader("blocks", "sampler", even="none")
        seen = common.Recorder()
        for batch in unequal:
            model(**batch)["loss"].backward()
            seen.see(batch)
    common.write(folder, "unequal", seen.passes[0])
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    common.torchrun("tests.compat.test_torch", folder)
    return folder


@common.every_case
def test_torchrun(two_ranks: Path, strategy: str, kind: str) -> None:
    common.check_ranks(common.read(two_ranks, f"{strategy} {kind}"), strategy, kind)


def test_unequal_steps_can_be_joined(two_ranks: Path) -> None:
    shares = common.read(two_ranks, "unequal")
    assert list(map(len, shares)) == [6, 5]
    common.check_rest(shares, common.planned("blocks", 0), even="none")


if __name__ == "__main__":
    child(Path(sys.argv[1]))
