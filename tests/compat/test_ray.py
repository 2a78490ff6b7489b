"""Ray Train: `TorchTrainer` with two workers, our DataLoader as it is or as Ray prepares it.

``ray.train.torch.prepare_data_loader`` puts a DistributedSampler in place of any batch sampler, unless the
DataLoader says that its rows are dealt out already, as ours does.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.train.torch")

from tests.compat import common  # noqa: E402
from tests.watched import run  # noqa: E402

CASES = common.CASES[:3]


def state_of_the_reader(loader: Any) -> str:
    """Return what is said where the batch sampler or Loader is asked for a state, one batch too early."""
    sampler = loader.batch_sampler
    try:
        return json.dumps((loader.dataset if sampler is None else sampler).state_dict())
    except RuntimeError as error:
        return str(error)


def train(config: dict[str, Any]) -> None:
    """Train in a worker: epoch 0, three steps of epoch 1, a checkpoint; or from that one to the end."""
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    model = ray.train.torch.prepare_model(common.Model())
    folder = Path(config["folder"])
    whole: dict[str, Any] = {}
    for strategy, kind in CASES:
        for prepared in (False, True):
            name = f"{strategy} {kind} {prepared}"
            kept = folder / f"{name} {context.get_world_rank()}.state"
            loader = common.make_loader(strategy, kind, even="pad")
            if config["resumed"]:
                loader.load_state_dict(json.loads(kept.read_text(encoding="utf-8")))
            batches = ray.train.torch.prepare_data_loader(loader) if prepared else loader
            seen = common.Recorder()
            for _ in range(2):
                for step, batch in enumerate(batches):
                    model(**batch)["loss"].backward()
                    seen.see(batch)
                    if not config["resumed"] and len(seen.passes) == 2 and step == 2:
                        kept.write_text(json.dumps(loader.state_dict()), encoding="utf-8")
                        if prepared:
                            whole[f"{name} reader"] = state_of_the_reader(loader)
                        break
                seen.turn()
            whole[name] = seen.done()
    part = folder / f"{config['resumed']} {context.get_world_rank()}.json"
    part.write_text(json.dumps(whole), encoding="utf-8")


def main(folder: Path) -> None:
    """Run Ray, train, and train on in new workers."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": environment})
    for resumed in (False, True):
        TorchTrainer(
            train,
            train_loop_config={"folder": str(folder), "resumed": resumed},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ScalingConfig(num_workers=2),
            run_config=RunConfig(storage_path=str(folder / "ray"), name=f"run {resumed}"),
        ).fit()
    ray.shutdown()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    run("-m", "tests.compat.test_ray", str(folder))
    return folder


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize(("strategy", "kind"), CASES)
def test_two_ranks(two_ranks: Path, strategy: str, kind: str, prepared: bool) -> None:
    name = f"{strategy} {kind} {prepared}"
    ranks = []
    for before, after in zip(common.read(two_ranks, "False"), common.read(two_ranks, "True"), strict=True):
        ranks.append([before[name][0], before[name][1] + after[name][0], after[name][1]])
        if prepared:
            said = before[f"{name} reader"]
            asked_by = "Ray Train's prepared DataLoader asks ahead"
            assert "use tombola.DataLoader" in said
            assert asked_by in said or kind == "loader, workers"
    common.check_ranks(ranks, strategy, kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
