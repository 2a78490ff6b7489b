"""Lightning Fabric: `setup_dataloaders`, which wraps DataLoaders and deals out rows to ranks."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader

fabric_module = pytest.importorskip("lightning.fabric")

from tests.compat import common  # noqa: E402
from tombola import DataLoader  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(common.THREADS_AND_FORKS),
    # What it advises: more workers.
    pytest.mark.filterwarnings("ignore:The '.*dataloader.*' does not have many workers:UserWarning"),
]


def train(folder: Path, strategy: str, kind: str, make: Any, **options: Any) -> list[common.Batches]:
    """Train, keep a checkpoint within epoch 1, break off, go on with new objects."""
    before = common.Recorder()
    for resumed in (False, True):
        fabric = fabric_module.Fabric(accelerator="cpu", **options)
        fabric.launch()
        model, _ = fabric.setup(module := common.Model(), torch.optim.SGD(module.parameters(), lr=0.1))
        given = make(strategy, kind, even="pad")
        loader = fabric.setup_dataloaders(given)
        stateful = given if isinstance(given, DataLoader) else given.batch_sampler
        seen = before if not resumed else common.Recorder()
        if resumed:
            fabric.barrier()
            content = fabric.load(folder / f"{strategy} {kind}.ckpt")
            stateful.load_state_dict(content["loader"])
        for epoch in range(2):
            for step, batch in enumerate(loader):
                fabric.backward(model(**batch)["loss"])
                seen.see(batch)
                if epoch == 1 and step == 2 and not resumed:
                    fabric.save(folder / f"{strategy} {kind}.ckpt", {"loader": stateful.state_dict()})
                    break
            seen.turn()
    after = seen.done()
    return [before.passes[0], before.passes[1] + after[0], after[1]]


MAKERS = {"tombola": common.make_loader, "torch": common.make_torch_loader}
CASES = [("tombola", *case) for case in common.CASES] + [
    ("torch", *case) for case in common.CASES if case[1].startswith("sampler")
]
every_case = pytest.mark.parametrize(("cls", "strategy", "kind"), CASES)


@every_case
def test_one_process(cls: str, kind: str, strategy: str, tmp_path: Path) -> None:
    passes = train(tmp_path, strategy, kind, MAKERS[cls], devices=1)
    common.check_epochs(passes, strategy, kind)


@common.every_kind
def test_two_dataloaders_of_the_same_batches(kind: str) -> None:
    """Fabric makes each anew; the given one knows what that one handed out, not what the other one did."""
    train = common.make_loader("series", kind)
    options: dict[str, Any] = {"num_workers": train.num_workers}
    if kind.startswith("sampler"):
        options["batch_sampler"] = train.batch_sampler
    val = DataLoader(train.dataset, **options)
    fabric = fabric_module.Fabric(accelerator="cpu", devices=1)
    made, validating = fabric.setup_dataloaders(train, val)
    batches = iter(made)
    before = [common.rows(next(batches)) for _ in range(4)]
    assert sum(1 for _ in validating) == len(val)
    state = train.state_dict()
    assert state["position"]["epoch"] == 0
    assert val.state_dict()["position"] == {"epoch": 1, "spans": []}
    resumed = common.make_loader("series", kind)
    resumed.load_state_dict(state)
    after = [common.rows(batch) for batch in fabric.setup_dataloaders(resumed)]
    common.check_epochs([before + after], "series", kind)


def in_bulk(is_row_by_row: bool) -> list[list[int]]:
    """Return the rows of two passes with a `sampler`, not a batch sampler, that Lightning wraps."""
    sampler = common.make_sampler("series")
    rows: Any = sampler.sampler if is_row_by_row else sampler
    data: Any = torch.arange(common.N_ROWS)
    loader: Any = TorchDataLoader(data, sampler=rows, batch_size=6 if is_row_by_row else None)
    fabric = fabric_module.Fabric(accelerator="cpu", devices=2)
    fabric.launch()
    prepared = fabric.setup_dataloaders(loader)
    return [[row for batch in prepared for row in batch.tolist()] for _ in range(2)]


def child(folder: Path) -> None:
    """Train with two ranks."""
    for is_row_by_row in (False, True):
        common.write(folder, f"in bulk {is_row_by_row}", in_bulk(is_row_by_row))
    for cls, strategy, kind in CASES:
        (folder / cls).mkdir(exist_ok=True)
        passes = train(folder / cls, strategy, kind, MAKERS[cls], devices=2)
        common.write(folder, f"{cls} {strategy} {kind}", passes)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    common.torchrun("tests.compat.test_fabric", folder)
    return folder


@every_case
def test_two_ranks(two_ranks: Path, cls: str, strategy: str, kind: str) -> None:
    common.check_ranks(common.read(two_ranks, f"{cls} {strategy} {kind}"), strategy, kind)


@pytest.mark.parametrize("is_row_by_row", [False, True])
def test_two_ranks_with_a_sampler(two_ranks: Path, is_row_by_row: bool) -> None:
    """Lightning deals out what the sampler gives, once, and fills up."""
    for shares in zip(*common.read(two_ranks, f"in bulk {is_row_by_row}"), strict=True):
        seen = sorted(row for share in shares for row in share)
        assert sorted(set(seen)) == list(range(common.N_ROWS))
        assert len(seen) - common.N_ROWS <= (1 if is_row_by_row else common.BATCH_SIZE)


if __name__ == "__main__":
    child(Path(sys.argv[1]))
