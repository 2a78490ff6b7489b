"""Accumulation, clipping, autocast, the hook before steps: beside loops written out, and resumed exactly."""

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.course import (
    Kind,
    batches_of,
    make_model,
    make_trainer,
    mean_error,
    outcome,
    same,
    trainer_of,
)
from tests.training.test_resume import Broken, breaking_at
from tombola.training import CheckpointError, load_checkpoint

SHARDS = 7


class Noise:
    """A hook with a state: adds to gradients a number that grows with each step."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.count += 1
        for weight in model.parameters():
            assert weight.grad is not None
            weight.grad.add_(0.001 * self.count * torch.randn(weight.shape))

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def in_a_loop(
    batches: list[torch.Tensor], every: int, before: Callable[[nn.Module], object], autocast: bool = False
) -> Mapping[str, Any]:
    """Train as one would write it: a step by the mean loss of each group of batches."""
    model = make_model().train()
    optimizer = sgd(model)
    for start in range(0, len(batches), every):
        group = batches[start : start + every]
        optimizer.zero_grad()
        for batch in group:
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = mean_error(model, batch)
            (loss / every).backward()  # type: ignore[no-untyped-call]
        for weight in model.parameters():
            assert weight.grad is not None
            weight.grad *= every / len(group)
        before(model)
        optimizer.step()
    return model.state_dict()


def trained(tmp_path: Path, **options: Any) -> tuple[Mapping[str, Any], list[torch.Tensor]]:
    """Return the weights after a mini epoch of 7 batches, and the batches."""
    batches: list[torch.Tensor] = []

    def make_loader(chunk: Any) -> Any:
        batches.extend(batches_of(chunk))
        return batches

    model = make_model()
    trainer = trainer_of(
        tmp_path, range(SHARDS), make_loader, chunk_size=SHARDS, model=model, optimizer=sgd(model), **options
    )
    trainer.fit()
    return model.state_dict(), batches


@pytest.mark.parametrize("every", [1, 2, 3, 7, 8])
def test_accumulation_is_the_mean_over_batches_the_last_ones_included(tmp_path: Path, every: int) -> None:
    weights, batches = trained(tmp_path, accumulate=every)
    assert same(dict(weights), dict(in_a_loop(batches, every, lambda model: None)))


def test_accumulation_is_one_large_batch(tmp_path: Path) -> None:
    """Without dropout and with batches of one size the gradients are those of the rows together."""
    batches = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    models = []
    for name, every, parts in (("parts", 4, list(batches)), ("whole", 1, [batches.flatten(0, 1)])):
        torch.manual_seed(0)
        model = nn.Linear(8, 1).double()
        trainer_of(
            tmp_path / name, [0], lambda chunk, parts=parts: [part.double() for part in parts],
            model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), accumulate=every,
        ).fit()  # fmt: skip
        models.append(model)
    first, second = (model.weight for model in models)
    # Sums of 32 terms in another order: each rounds by half an ulp at most.
    assert (first - second).abs().max() <= 32 * 2.0**-53 * second.abs().max()


@pytest.mark.parametrize("norm", [0.01, 1e6])
def test_clipping(tmp_path: Path, norm: float) -> None:
    weights, batches = trained(tmp_path, clip_grad_norm=norm, accumulate=2)
    expected = in_a_loop(batches, 2, lambda model: nn.utils.clip_grad_norm_(model.parameters(), norm))
    assert same(dict(weights), dict(expected))


def test_the_hook_comes_before_clipping(tmp_path: Path) -> None:
    norms = []

    def triple(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        norms.append(nn.utils.get_total_norm([w.grad for w in model.parameters() if w.grad is not None]))
        for weight in model.parameters():
            assert weight.grad is not None
            weight.grad *= 3

    def both(model: nn.Module) -> None:
        triple(model)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)

    weights, batches = trained(tmp_path, clip_grad_norm=0.1, before_step=triple)
    assert same(dict(weights), dict(in_a_loop(batches, 1, both)))
    assert len(norms) == 2 * SHARDS


def test_gradients_are_unscaled_before_the_hook_and_clipping(tmp_path: Path) -> None:
    """A power of two scales exactly, so weights are those without a scaler, bit for bit."""
    plain, _ = trained(tmp_path / "plain", clip_grad_norm=0.1, before_step=Noise(), accumulate=3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaled, _ = trained(
        tmp_path / "scaled", clip_grad_norm=0.1, before_step=Noise(), accumulate=3, scaler=scaler
    )
    assert same(dict(plain), dict(scaled))


@pytest.mark.parametrize("autocast", ["bfloat16", torch.bfloat16])
def test_autocast(tmp_path: Path, autocast: Any) -> None:
    dtypes = []

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        dtypes.append((model.training, model(batch).dtype))
        return mean_error(model, batch)

    trained(tmp_path / "a", autocast=autocast, loss=loss, validation=[torch.zeros(2, 8)])
    assert set(dtypes) == {(True, torch.bfloat16), (False, torch.bfloat16)}
    weights, batches = trained(tmp_path / "b", autocast=autocast, accumulate=2)
    assert same(dict(weights), dict(in_a_loop(batches, 2, lambda model: None, autocast=True)))
    assert all(value.dtype == torch.float32 for value in weights.values())


def test_the_scheduler_goes_by_steps_of_the_optimizer(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, schedule="batch", accumulate=3)
    trainer.fit()
    # 8, 8 and 4 batches an epoch (10 shards of 30 rows, batches of 16) make 3, 3 and 2 steps.
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-2 * 0.9**16, rel=1e-12)


HOWS: dict[str, dict[str, Any]] = {
    "accumulate": {"accumulate": 3},
    "clip": {"clip_grad_norm": 0.05},
    "hook": {"before_step": Noise},
    "autocast": {"autocast": "bfloat16"},
    "all": {
        "accumulate": 3,
        "clip_grad_norm": 0.05,
        "before_step": Noise,
        "autocast": "bfloat16",
        "scaler": 1,
    },
}


def trainer_by(how: str, folder: Path, kind: Kind, **options: Any) -> Any:
    made = dict(HOWS[how])
    if "before_step" in made:
        made["before_step"] = Noise()
    if "scaler" in made:  # grows within the training, and its scale with it
        made["scaler"] = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    settings = {"checkpoint_every": 2, "validate_every": 5, "schedule": "batch", **made, **options}
    return make_trainer(folder, kind, **settings)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["loader", "stream"])
def test_going_on_at_any_batch_is_exact(tmp_path: Path, kind: Kind, how: str) -> None:
    whole = trainer_by(how, tmp_path / "whole", kind)
    expected = outcome(whole, whole.fit())
    for batch in (1, 3, 5, 8, 13, 27):
        folder = tmp_path / str(batch)
        with pytest.raises(Broken):
            trainer_by(how, folder, kind, loss=breaking_at(batch)).fit()
        trainer = trainer_by(how, folder, kind, resume="latest")
        assert same(outcome(trainer, trainer.fit()), expected)


@pytest.mark.parametrize("step", range(6, 12))
def test_a_signal_within_an_accumulation_loses_nothing(tmp_path: Path, step: int) -> None:
    whole = trainer_by("all", tmp_path / "whole", "loader")
    expected = outcome(whole, whole.fit())
    count = 0

    def loss(model: nn.Module, batch: Any) -> torch.Tensor:
        nonlocal count
        count += model.training
        if count == step and model.training:
            signal.raise_signal(signal.SIGTERM)
        return mean_error(model, batch)

    stopped = trainer_by("all", tmp_path / "stopped", "loader", loss=loss).fit()
    assert (stopped.batches, stopped.exit_code) == (step, 75)
    trainer = trainer_by("all", tmp_path / "stopped", "loader", resume="latest")
    assert same(outcome(trainer, trainer.fit()), expected)


def test_files_hold_gradients_within_an_accumulation_only(tmp_path: Path) -> None:
    make_trainer(tmp_path, accumulate=3, checkpoint_every=1, keep_last=None, num_epochs=1).fit()
    held = {
        path.stem.removeprefix("checkpoint_epoch0_"): load_checkpoint(path)["gradients"] is not None
        for path in tmp_path.glob("*.pt")
    }
    within = {
        f"chunk{start}_batch{n}": n % 3 != 0
        for start, of in ((0, 8), (4, 8), (8, 4))
        for n in range(1, of + 1)
    }
    assert held == {**within, "chunk0": False, "chunk4": False, "chunk8": False}


def test_another_accumulation_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path, max_batches=2, accumulate=3).fit()
    with pytest.raises(CheckpointError, match=r"options\.accumulate was 3, now is not there"):
        make_trainer(tmp_path, resume="latest").fit()


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"accumulate": 0}, ValueError, "accumulate must be an integer >= 1, but is 0"),
        ({"accumulate": 2.0}, TypeError, r"accumulate must be an integer >= 1, but is 2\.0"),
        ({"clip_grad_norm": 0}, ValueError, "clip_grad_norm must be a finite number > 0, but is 0"),
        (
            {"clip_grad_norm": float("nan")},
            ValueError,
            "clip_grad_norm must be a finite number > 0, but is nan",
        ),
        ({"clip_grad_norm": "1"}, TypeError, "clip_grad_norm must be a finite number > 0, but is '1'"),
        ({"autocast": "int8"}, ValueError, "autocast must be one of 'bfloat16', 'float16', .* but is 'int8'"),
        ({"autocast": torch.float64}, ValueError, r"autocast must be one of .* but is torch\.float64"),
        ({"autocast": True}, ValueError, "autocast must be one of .* but is True"),
        ({"before_step": 3}, TypeError, "before_step must be callable, but is 3"),
        (
            {"on_nonfinite_loss": "skip"},
            ValueError,
            'on_nonfinite_loss must be "stop" or "continue", but is "skip"',
        ),
        (
            {"optimizer_options": "new"},
            ValueError,
            'optimizer_options must be "saved" or "given", but is "new"',
        ),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        make_trainer(tmp_path, **options)
