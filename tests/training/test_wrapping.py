"""Checkpoints of compiled, parallel and plain models are loaded into one another."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.training.course import make_model, make_trainer, outcome, same
from tombola.training import CheckpointError, load_checkpoint
from tombola.training.checkpoints import CheckpointFolder
from tombola.training.wrapping import evaluated, is_parallel, plain, renamed


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


def first_compiled(model: nn.Sequential) -> nn.Sequential:
    """Compile one submodule, as one does for a part that is costly."""
    return nn.Sequential(compiled(model[0]), *list(model)[1:])


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda model: model,
    "compiled": compiled,
    "data parallel": nn.DataParallel,
    "compiled and parallel": lambda model: nn.DataParallel(compiled(model)),
    "parallel and compiled": lambda model: compiled(nn.DataParallel(model)),
    "a part": first_compiled,
}


@pytest.fixture(name="expected", scope="module")
def fixture_expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    trainer = make_trainer(tmp_path_factory.mktemp("plain"))
    return outcome(trainer, trainer.fit())


@pytest.mark.parametrize("after", WRAPPERS)
@pytest.mark.parametrize("before", WRAPPERS)
def test_going_on_under_another_wrapper(tmp_path: Path, expected: Any, before: str, after: str) -> None:
    make_trainer(tmp_path, model=WRAPPERS[before](make_model()), max_batches=11).fit()
    trainer = make_trainer(tmp_path, model=WRAPPERS[after](make_model()), resume="latest")
    found = trainer.fit()
    assert found.batches == expected["batches"]
    weights = list(plain(trainer.model).state_dict().values())
    assert all(map(torch.equal, weights, expected["model"].values()))


@pytest.mark.parametrize("before", WRAPPERS)
def test_files_hold_plain_names(tmp_path: Path, expected: Any, before: str) -> None:
    result = make_trainer(tmp_path, model=WRAPPERS[before](make_model()), max_batches=3).fit()
    assert result.last_checkpoint is not None
    names = load_checkpoint(result.last_checkpoint)["model"].keys()
    if before == "a part":  # what is inside of a model keeps its names, which are read as well
        assert [name for name in names if "_orig_mod" in name] == ["0._orig_mod.weight", "0._orig_mod.bias"]
    else:
        assert names == expected["model"].keys()


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."])
def test_files_that_hold_wrappers_names_are_read(
    tmp_path: Path, expected: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of earlier versions, or of other programs."""
    save = CheckpointFolder.save

    def with_prefix(self: CheckpointFolder, place: Any, state: dict[str, Any]) -> Path:
        model = {prefix + name: value for name, value in state["model"].items()}
        return save(self, place, {**state, "model": model})

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFolder, "save", with_prefix)
        make_trainer(tmp_path, max_batches=11).fit()
    trainer = make_trainer(tmp_path, resume="latest")
    assert same(outcome(trainer, trainer.fit()), expected)


def test_another_model_is_refused_without_the_names_of_wrappers(tmp_path: Path) -> None:
    make_trainer(tmp_path, model=compiled(make_model()), max_batches=3).fit()
    with pytest.raises(CheckpointError) as caught:
        make_trainer(tmp_path, model=compiled(make_model(17)), resume="latest").fit()
    assert "model.0.weight was 'float32 (16, 8)', now is 'float32 (17, 8)'" in str(caught.value)
    assert "_orig_mod" not in str(caught.value)


@pytest.mark.parametrize(
    ("saved", "own", "expected"),
    [
        ({"a._orig_mod.w": 1, "b": 2}, {"a.w", "b"}, {"a.w": 1, "b": 2}),
        ({"a.w": 1}, {"module.a._orig_mod.w"}, {"module.a._orig_mod.w": 1}),
        ({"module.w": 1, "w": 2}, {"module.w", "w"}, {"module.w": 1, "w": 2}),
        # `module` is a part of the model here, as both names would be one without it.
        ({"module.w": 1, "w": 2}, {"_orig_mod.module.w", "_orig_mod.w"},
         {"_orig_mod.module.w": 1, "_orig_mod.w": 2}),
        ({"other": 1, "_orig_mod.w": 2}, {"w", "v"}, {"other": 1, "w": 2}),
    ],
)  # fmt: skip
def test_names_are_matched(saved: Mapping[str, Any], own: set[str], expected: Mapping[str, Any]) -> None:
    assert dict(renamed(saved, dict.fromkeys(own))) == expected


def test_versions_of_modules_go_with_the_names() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3))
    state = renamed(compiled(model).state_dict(), model.state_dict())
    assert vars(state)["_metadata"]["0"] == {"version": 2}


def test_one_rank_validates_by_what_is_inside_of_distributed_data_parallel() -> None:
    model = make_model()
    module = compiled(model)
    parallel = DistributedDataParallel.__new__(DistributedDataParallel)
    nn.Module.__init__(parallel)
    parallel.module = module
    assert evaluated(parallel) is module  # compiled still
    assert evaluated(module) is module
    assert plain(parallel) is model
    assert (is_parallel(parallel), is_parallel(compiled(parallel)), is_parallel(module)) == (
        True,
        True,
        False,
    )
