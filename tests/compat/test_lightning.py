"""Lightning: Trainer.

Lightning builds DataLoaders and batch samplers anew where it deals out rows or keeps track of predictions,
says the epoch before each pass, and keeps the states of loaders that have one in its checkpoints.
"""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

pl = pytest.importorskip("lightning.pytorch")

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


def fit(folder: Path, loader: Any, ckpt_path: Any = None, **options: Any) -> list[common.Batches]:
    seen = common.Recorder()
    make_trainer(folder, **options).fit(make_module(seen), loader, ckpt_path=ckpt_path)
    return seen.done()


@common.every_kind
@common.every_strategy
def test_epochs_are_whole_and_fresh(strategy: str, kind: str, tmp_path: Path) -> None:
    passes = fit(tmp_path, common.make_loader(strategy, kind), max_epochs=3)
    assert len(passes) == 3
    common.check_epochs(passes, strategy, kind)


@common.every_kind
@common.every_strategy
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
