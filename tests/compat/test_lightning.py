"""Lightning: Trainer.

Lightning builds DataLoaders and batch samplers anew where it deals out rows or keeps track of predictions,
says the epoch before each pass, and keeps the states of loaders that have one in its checkpoints.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

pl = pytest.importorskip("lightning.pytorch")

import tombola  # noqa: E402
from tests.compat import common  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings(common.THREADS_AND_FORKS),
    # Lightning 2.6 asks torch 2.13 in a way that is deprecated.
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning"),
    # What it advises: more workers, as many rows a process, no length of what workers share.
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined:UserWarning"),
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`:UserWarning"),
]


def make_module(seen: common.Recorder) -> Any:
    class Module(pl.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = common.Model()

        def training_step(self, batch: Any, _: int) -> Any:
            seen.see(batch)
            return self.model(**batch)["loss"]

        def on_train_epoch_end(self) -> None:
            seen.turn()

        def predict_step(self, batch: Any, _: int) -> Any:
            return batch["row"]

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Module()


def make_trainer(folder: Path, **options: Any) -> Any:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    options.setdefault("enable_checkpointing", False)
    return pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"devices": 1, **options},
    )


def make_data(make: Callable[[], Any]) -> Any:
    """Return a data module that makes its loaders in hooks."""

    class Data(pl.LightningDataModule):  # type: ignore[misc,name-defined]
        def train_dataloader(self) -> Any:
            return make()

        def predict_dataloader(self) -> Any:
            return make()

    return Data()


def fit(
    folder: Path, loader: Any, ckpt_path: Any = None, datamodule: Any = None, **options: Any
) -> list[common.Batches]:
    seen = common.Recorder()
    trainer = make_trainer(folder, **options)
    trainer.fit(make_module(seen), loader, datamodule=datamodule, ckpt_path=ckpt_path)
    return seen.done()


@common.every_case
def test_epochs_are_whole_and_fresh(strategy: str, kind: str, tmp_path: Path) -> None:
    passes = fit(tmp_path, common.make_loader(strategy, kind), max_epochs=3)
    assert len(passes) == 3
    common.check_epochs(passes, strategy, kind)


@common.every_case
def test_resume_within_an_epoch(strategy: str, kind: str, tmp_path: Path) -> None:
    steps = len(common.planned(strategy, 0, kind)) + 4
    saver = pl.callbacks.ModelCheckpoint(tmp_path, filename="last", every_n_train_steps=steps)
    options = {"enable_checkpointing": True, "callbacks": [saver]}
    before = fit(tmp_path, common.make_loader(strategy, kind), max_steps=steps, **options)
    assert list(map(len, before)) == [steps - 4, 4]
    after = fit(tmp_path, common.make_loader(strategy, kind), tmp_path / "last.ckpt", max_epochs=3)
    common.check_epochs([before[0], before[1] + after[0], after[1]], strategy, kind)


@common.every_kind
def test_predictions_are_whole(kind: str, tmp_path: Path) -> None:
    loader = common.make_loader("blocks", kind)
    for _ in range(2):
        trainer = make_trainer(tmp_path)
        predicted = trainer.predict(make_module(common.Recorder()), loader)
        assert sorted(torch.cat(predicted).tolist()) == list(range(common.N_ROWS))


def test_predictions_of_a_bare_loader_are_refused(tmp_path: Path) -> None:
    loader = common.make_rows("blocks")
    with pytest.raises(AttributeError, match=r"give trainers tombola\.DataLoader\(loader\)"):
        make_trainer(tmp_path).predict(make_module(common.Recorder()), loader)


@pytest.mark.parametrize("limit", [4, 1.0])
@common.every_kind
def test_epochs_cut_short_are_fresh(kind: str, limit: float, tmp_path: Path) -> None:
    """By a limit of batches, with validation and gradient steps at odd places."""
    loader = common.make_loader("blocks", kind)
    options = {"limit_train_batches": limit, "accumulate_grad_batches": 3, "val_check_interval": 2}
    passes = fit(tmp_path, loader, max_epochs=3, limit_val_batches=1, **options)
    expected = [common.counted(common.planned("blocks", epoch, kind)) for epoch in range(3)]
    for seen, whole in zip(passes, expected, strict=True):
        assert len(seen) == (limit if limit == 4 else whole.total())
        assert common.counted(seen) <= whole


@pytest.mark.parametrize("cls", [common.make_loader, common.make_torch_loader])
@common.every_kind
def test_loaders_made_in_hooks(cls: Any, kind: str, tmp_path: Path) -> None:
    """There Lightning keeps the arguments that DataLoaders and batch samplers are made with."""
    data = make_data(lambda: cls("series", kind, seed=3))
    whole = common.counted(map(common.rows, cls("series", kind, seed=3)))
    (seen,) = fit(tmp_path, None, datamodule=data, max_epochs=1)
    assert common.counted(seen) == whole
    predicted = make_trainer(tmp_path).predict(make_module(common.Recorder()), datamodule=data)
    assert common.counted(batch.tolist() for batch in predicted) == whole


WAYS = {kind: partial(common.make_loader, "series", kind) for kind in common.KINDS}
WAYS["a Loader as it is"] = partial(common.make_rows, "series")
every_way = pytest.mark.parametrize("kind", WAYS)


@every_way
def test_resume_after_an_epoch(kind: str, tmp_path: Path) -> None:
    """There Lightning loads no states of loaders, but says the epoch."""
    make = WAYS[kind]
    saver = pl.callbacks.ModelCheckpoint(tmp_path, filename="last")
    before = fit(tmp_path, make(), max_epochs=2, enable_checkpointing=True, callbacks=[saver])
    after = fit(tmp_path, make(), tmp_path / "last.ckpt", max_epochs=4)
    common.check_epochs(before + after, "series", kind.replace("a Loader as it is", "loader"))


@every_way
def test_loaders_made_anew_for_each_epoch(kind: str, tmp_path: Path) -> None:
    data = make_data(WAYS[kind])
    passes = fit(tmp_path, None, datamodule=data, max_epochs=3, reload_dataloaders_every_n_epochs=1)
    common.check_epochs(passes, "series", kind.replace("a Loader as it is", "loader"))


@common.every_kind
def test_an_epoch_is_not_gone_on_with_by_other_ranks(kind: str, tmp_path: Path) -> None:
    """Lightning adds what each rank had to what is left, and would break off an epoch early."""
    saver = pl.callbacks.ModelCheckpoint(tmp_path, filename="last", every_n_train_steps=3)
    options = {"enable_checkpointing": True, "callbacks": [saver]}
    fit(tmp_path, common.make_loader("series", kind), max_steps=3, **options)
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    (state,) = content["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    state["position"]["spans"] = [[2, 3]]
    torch.save(content, tmp_path / "two.ckpt")
    message = (
        r"^a checkpoint of Lightning within an epoch must be loaded by as many ranks .*, 2, but there are 1: "
    )
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, common.make_loader("series", kind), tmp_path / "two.ckpt", max_epochs=2)


@pytest.mark.parametrize("every", [4, 7])
@common.every_case
def test_resume_from_a_validation_by_the_same_batches(
    strategy: str, kind: str, every: int, tmp_path: Path
) -> None:
    """One sampler, or loader, for two DataLoaders: the checkpoint is saved when one has validated."""

    def make() -> Any:
        train = common.make_loader(strategy, kind)
        shared: dict[str, Any] = {"batch_sampler": train.batch_sampler}
        workers = {"num_workers": train.num_workers, "multiprocessing_context": train.multiprocessing_context}
        return train, tombola.DataLoader(train.dataset, **(shared if "sampler" in kind else {}), **workers)

    def run(**options: Any) -> list[common.Batches]:
        seen = common.Recorder()
        module = make_module(seen)
        type(module).validation_step = lambda *_: None
        saver = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1)
        saving = {} if options else {"enable_checkpointing": True, "callbacks": [saver]}
        trainer = make_trainer(tmp_path, max_epochs=2, val_check_interval=every, **saving)
        trainer.fit(module, *make(), **options)
        return seen.done()

    whole = run()
    common.check_epochs(whole, strategy, kind)
    after = run(ckpt_path=tmp_path / f"step={every}.ckpt")
    common.check_epochs([whole[0][:every] + after[0], after[1]], strategy, kind)


def test_several_loaders_at_once(tmp_path: Path) -> None:
    """The shorter one begins its next epoch where the longer one goes on."""
    seen: dict[str, list[list[int]]] = {"short": [], "long": []}

    class Module(type(make_module(common.Recorder()))):  # type: ignore[misc]
        def training_step(self, batch: Any, _: int) -> Any:
            for name, part in batch.items():
                seen[name].append(common.rows(part))
            return self.model(**batch["long"])["loss"]

        def on_train_epoch_end(self) -> None:
            pass

    loaders = {
        "short": common.make_loader("blocks", "sampler"),
        "long": common.make_loader("series", "sampler, workers"),
    }
    make_trainer(tmp_path, max_epochs=1).fit(Module(), pl.utilities.CombinedLoader(loaders, "max_size_cycle"))
    assert seen["long"] == common.planned("series", 0)
    blocks = common.planned("blocks", 0) + common.planned("blocks", 1)
    assert seen["short"] == blocks[: len(seen["long"])]


@pytest.mark.filterwarnings("ignore:You requested to overfit but enabled train:UserWarning")
def test_overfitting_is_not_to_the_same_batches(tmp_path: Path) -> None:
    """Lightning says that it turns shuffling off, but takes the first batches of each epoch, other ones."""
    passes = fit(tmp_path, common.make_loader("blocks", "sampler"), max_epochs=2, overfit_batches=2)
    assert passes == [common.planned("blocks", epoch)[:2] for epoch in range(2)]


SCENARIOS = ("Trainer", "Trainer, own sampler off", "Trainer, torch's DataLoader", "Trainer, hook")


SOME = common.CASES[:3]


def child(folder: Path) -> None:
    """Train with two devices, keep a checkpoint within epoch 1, go on with new objects; predict."""
    for strategy, kind in common.CASES:
        for scenario in SCENARIOS if (strategy, kind) in SOME else ():
            make: Any = common.make_torch_loader if "torch" in scenario else common.make_loader
            options: dict[str, Any] = {"devices": 2, "strategy": "ddp"}
            if "off" in scenario:
                options["use_distributed_sampler"] = False
            if "hook" in scenario:
                data = make_data(partial(make, strategy, kind, even="pad"))
                passes = fit(folder, None, datamodule=data, max_epochs=2, **options)
            else:
                passes = fit(folder, make(strategy, kind, even="pad"), max_epochs=2, **options)
            common.write(folder, f"{scenario} {strategy} {kind}", passes)
        kept = folder / f"{strategy} {kind}"
        steps = len(common.make_loader(strategy, kind, even="pad")) + 3
        saver = pl.callbacks.ModelCheckpoint(kept, filename="last", every_n_train_steps=steps)
        saving = {"enable_checkpointing": True, "callbacks": [saver], "max_steps": steps}
        before = fit(folder, common.make_loader(strategy, kind, even="pad"), **saving, **options)
        loader = common.make_loader(strategy, kind, even="pad")
        after = fit(folder, loader, kept / "last.ckpt", max_epochs=3, **options)
        whole = [before[0], before[1] + after[0], after[1]]
        common.write(folder, f"resume {strategy} {kind}", whole)
    for kind in common.KINDS:
        loader = common.make_loader("series", kind, even="none")
        trainer = make_trainer(folder, devices=2, strategy="ddp")
        predicted = trainer.predict(make_module(common.Recorder()), loader)
        common.write(folder, f"predict {kind}", [batch.tolist() for batch in predicted])


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    common.torchrun("tests.compat.test_lightning", folder)
    return folder


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(("strategy", "kind"), SOME)
def test_two_ranks_get_whole_epochs(two_ranks: Path, strategy: str, kind: str, scenario: str) -> None:
    common.check_ranks(common.read(two_ranks, f"{scenario} {strategy} {kind}"), strategy, kind)


@common.every_case
def test_two_ranks_resume_within_an_epoch(two_ranks: Path, strategy: str, kind: str) -> None:
    common.check_ranks(common.read(two_ranks, f"resume {strategy} {kind}"), strategy, kind)


@common.every_kind
def test_predictions_of_two_ranks_are_whole(two_ranks: Path, kind: str) -> None:
    shares = common.read(two_ranks, f"predict {kind}")
    common.check_rest(shares, common.planned("series", 0, kind), even="none")


if __name__ == "__main__":
    child(Path(sys.argv[1]))
