"""The classifier, its optimizer and its scheduler, as the configuration says."""

from typing import Any, TypeAlias

import torch

from ..model import MOMENTUM, PROBED_ROWS, MultiTaskLinear, MultiTaskMlp, typical_row
from .config import TrainConfig
from .loaders import LoaderMaker

__all__ = ["Classifier", "make_model", "make_optimizer", "make_scheduler"]

Classifier: TypeAlias = MultiTaskLinear | MultiTaskMlp


def make_model(config: TrainConfig, loaders: LoaderMaker) -> Classifier:
    """Return the classifier, its weights drawn by the seed, its input scaled by some training rows.

    Raises
    ------
    ValueError
        If those rows hold values that are not finite.
    """
    data = loaders.data
    n_features = len(data.var_names)
    centre, spread = typical_row((batch["X"] for batch in loaders.probe(PROBED_ROWS)), n_features)
    if not torch.isfinite(centre).all() or not torch.isfinite(torch.tensor(spread)):
        msg = f"{config.x} holds values that are not finite among the first rows read"
        raise ValueError(msg)
    if config.model == "linear":
        return MultiTaskLinear(n_features, data.n_classes, centre=centre, spread=spread)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return MultiTaskMlp(
            n_features,
            data.n_classes,
            hidden=config.hidden,
            dropout=config.dropout,
            centre=centre,
            spread=spread,
        )


def make_optimizer(config: TrainConfig, model: Classifier) -> torch.optim.Optimizer:
    """Return the optimizer of all weights; gradient descent has a momentum of 0.9."""
    options: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=MOMENTUM, **options)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(model.parameters(), **options)


def make_scheduler(
    config: TrainConfig, optimizer: torch.optim.Optimizer, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Return a scheduler that falls from the learning rate to 0 as half a cosine over `n_steps`, or None."""
    if config.schedule == "constant":
        return None

    def rate(step: int) -> float:
        share = min(1.0, step / max(1, n_steps))
        return float(0.5 * (1.0 + torch.cos(torch.tensor(torch.pi * share)).item()))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
