"""The Trainer of transformers: whole epochs, checkpoints within one, with one process and two.

It takes as many batches as a DataLoader has, never asks for the end, and on resume skips what was seen.
"""

import logging
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

accelerate = pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")

from tests.compat import common  # noqa: E402
from tombola import DataLoader  # noqa: E402

pytestmark = [pytest.mark.filterwarnings(common.THREADS_AND_FORKS)]

MAKERS = {"tombola": common.make_loader, "torch": common.make_torch_loader}


def fit(
    folder: Path, loader: Any, *, prepared: bool = False, resume: Path | None = None, **options: Any
) -> list[common.Batches]:
    """Train with a loader as it is, or as Accelerate prepares it; return what was seen in each epoch."""
    seen = common.Recorder()

    class Trainer(transformers.Trainer):  # type: ignore[misc,name-defined]
        def get_train_dataloader(self) -> Any:
            return self.accelerator.prepare(loader) if prepared else loader

        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            seen.see(inputs)
            return model(**inputs)["loss"]

    class Turn(transformers.TrainerCallback):  # type: ignore[misc,name-defined]
        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            seen.turn()

    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        save_strategy="steps" if "save_steps" in options else "no",
        **{"num_train_epochs": 3, **options},
    )
    logging.getLogger("transformers").setLevel(logging.ERROR)
    trainer = Trainer(model=common.Model(), args=arguments, callbacks=[Turn()])
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    return seen.done()


def resume(folder: Path, make: Any, strategy: str, kind: str, prepared: bool) -> list[common.Batches]:
    """Train, keep a checkpoint three steps into epoch 1, go on from there with new objects."""
    folder = folder / f"{strategy} {kind} {prepared}"
    loader = make(strategy, kind, even="pad")
    steps = len(loader) if not prepared else sys.maxsize
    if prepared:
        counted = fit(folder, loader, prepared=True, num_train_epochs=1)
        steps = len(counted[0])
        loader = make(strategy, kind, even="pad")
    before = fit(folder, loader, prepared=prepared, max_steps=steps + 3, save_steps=steps + 3)
    checkpoint = folder / f"checkpoint-{steps + 3}"
    accelerate.PartialState().wait_for_everyone()
    after = fit(folder, make(strategy, kind, even="pad"), prepared=prepared, resume=checkpoint)
    return [before[0], before[1] + after[0], *after[1:]]


CASES = [
    *(("tombola", False, *case) for case in common.CASES),
    *(("torch", True, *case) for case in common.CASES),
    ("torch", False, "blocks", "sampler, workers"),
    ("torch", False, "series", "loader"),
]
_CUT = [("torch", True, *case) for case in common.CASES if case[0] != "blocks" and "loader" in case[1]]
TWO_RANKS = [case for case in CASES if case not in _CUT]
"""Without those that Accelerate would cut in parts: refused, as `test_accelerate` shows."""

every_case = pytest.mark.parametrize(("cls", "prepared", "strategy", "kind"), CASES)


@every_case
def test_resume(cls: str, prepared: bool, strategy: str, kind: str, tmp_path: Path) -> None:
    common.check_epochs(resume(tmp_path, MAKERS[cls], strategy, kind, prepared), strategy, kind)


def test_a_loaded_state_and_the_skipping_of_batches_exclude_each_other(tmp_path: Path) -> None:
    before = fit(tmp_path, common.make_loader("blocks", "sampler"), max_steps=4, save_steps=4)
    for kind in common.KINDS[:3]:
        loader = common.make_loader("blocks", kind)
        batches = iter(loader)
        next(batches)
        loader.load_state_dict(loader.state_dict())
        with pytest.raises(RuntimeError, match=r"left out once, .* give ignore_data_skip=True"):
            fit(tmp_path, loader, resume=tmp_path / "checkpoint-4")
    assert before == [common.planned("blocks", 0)[:4]]


@common.every_kind
def test_resume_by_state(kind: str, tmp_path: Path) -> None:
    """Without skipping: a state that is kept beside the checkpoint, which costs no reading."""
    loader = common.make_loader("series", kind)
    before = fit(tmp_path, loader, max_steps=19, save_steps=19)
    state = loader.state_dict()
    loader = common.make_loader("series", kind)
    loader.load_state_dict(state)
    after = fit(tmp_path, loader, resume=tmp_path / "checkpoint-19", ignore_data_skip=True)
    common.check_epochs([before[0], before[1] + after[0], after[1]], "series", kind)


def test_resume_in_a_spawned_worker(tmp_path: Path) -> None:
    """It does not stand on the trainer's stack, but is pickled there."""

    def make() -> DataLoader:
        rows = common.make_rows("blocks")
        return DataLoader(rows, num_workers=1, multiprocessing_context="spawn")

    before = fit(tmp_path, make(), max_steps=14, save_steps=14)
    after = fit(tmp_path, make(), resume=tmp_path / "checkpoint-14", num_train_epochs=2)
    common.check_epochs([before[0], before[1] + after[0]], "blocks", "loader")


@pytest.mark.parametrize("kind", ["sampler, workers", "loader"])
def test_accumulated_gradients_and_steps_across_epochs(kind: str, tmp_path: Path) -> None:
    """11 batches an epoch, 4 a step: each epoch ends with a step of 3; 8 steps end within the third."""
    loader = common.make_loader("blocks", kind)
    passes = fit(tmp_path, loader, gradient_accumulation_steps=4, max_steps=8)
    assert list(map(len, passes)) == [11, 11, 8]
    common.check_epochs(passes[:2], "blocks", kind)
    assert common.counted(passes[2]) <= common.counted(common.planned("blocks", 2, kind))


def test_workers_that_persist_and_drop_last(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": "fork"}
    sampler = common.make_sampler("blocks", drop_last=True)
    loader = DataLoader(common.Rows(), batch_sampler=sampler, persistent_workers=True, **options)
    passes = fit(tmp_path, loader)
    for epoch, seen in enumerate(passes):
        assert seen == [batch for batch in common.planned("blocks", epoch) if len(batch) == common.BATCH_SIZE]


def child(folder: Path) -> None:
    """Train with two ranks and go on with new objects."""
    accelerate.PartialState(cpu=True)  # lengths are those of a rank from now on
    for cls, prepared, strategy, kind in TWO_RANKS:
        (folder / cls).mkdir(exist_ok=True)
        passes = resume(folder / cls, MAKERS[cls], strategy, kind, prepared)
        common.write(folder, f"{cls} {strategy} {kind} {prepared}", passes)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    common.torchrun("tests.compat.test_transformers", folder)
    return folder


@pytest.mark.parametrize(("cls", "prepared", "strategy", "kind"), TWO_RANKS)
def test_two_ranks(two_ranks: Path, cls: str, prepared: bool, strategy: str, kind: str) -> None:
    """A prepared DataLoader fills up with rows, ours with batches."""
    ranks = common.read(two_ranks, f"{cls} {strategy} {kind} {prepared}")
    if not prepared:
        common.check_ranks(ranks, strategy, kind)
        return
    for epoch in range(3):
        seen = Counter(chain.from_iterable(chain.from_iterable(passes[epoch] for passes in ranks)))
        assert len(seen) == common.N_ROWS
        assert seen.total() - common.N_ROWS <= 2 * common.BATCH_SIZE
        assert len({len(passes[epoch]) for passes in ranks}) == 1
        first = common.counted(passes[epoch][0] for passes in ranks)
        assert first <= common.counted(common.planned(strategy, epoch, kind))


if __name__ == "__main__":
    child(Path(sys.argv[1]))
