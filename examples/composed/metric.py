"""Metric learning with a contrastive loss: batches of P classes with K rows each, beside random ones.

Rule: the supervised contrastive loss (Khosla et al., 2020) draws rows of one class together, and apart from
all other rows of the batch. Of 64 random rows out of hundreds of classes hardly two are of one, so that most
rows have nothing to be drawn to. Judged by recall at 1 among rows of classes that were not trained on.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tombola import ArraySource, BlockShuffling, Loader, PerClass
from tombola.strategies.base import Strategy

__all__ = ["learn_metric", "make_rows"]

BATCH = 64
TEMPERATURE = 0.1


def make_rows(
    seed: int, *, n_classes: int, rows_per_class: int = 20
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return rows of classes that differ in few of the directions that rows vary in, folded by a sine."""
    rng = np.random.default_rng([seed, 11])
    latent, noise, n_features = 6, 6, 64
    labels = np.repeat(np.arange(n_classes), rows_per_class)
    centres = rng.normal(0, 1, (n_classes, latent))
    inner = np.concatenate(
        [
            centres[labels] + rng.normal(0, 0.2, (len(labels), latent)),
            rng.normal(0, 1, (len(labels), noise)),
        ],
        1,
    )
    mix = np.random.default_rng(5).normal(0, 1 / np.sqrt(latent + noise), (latent + noise, n_features))
    return np.sin(2 * inner @ mix).astype(np.float32), labels


def _loss(embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean over rows that have another one of their class; 0 where none has."""
    near = embedded @ embedded.T / TEMPERATURE
    self_mask = torch.eye(len(labels), dtype=torch.bool)
    log_share = near - torch.logsumexp(near.masked_fill(self_mask, float("-inf")), dim=1, keepdim=True)
    same = (labels[:, None] == labels) & ~self_mask
    positives = same.sum(dim=1)
    of_rows = -(log_share * same).sum(dim=1)[positives > 0] / positives[positives > 0]
    return of_rows.mean() if len(of_rows) else near.sum() * 0


@torch.no_grad()
def _recall(model: nn.Module, x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    embedded = nn.functional.normalize(model(torch.from_numpy(x)), dim=1)
    near = embedded @ embedded.T
    near.fill_diagonal_(-2)
    nearest = near.argmax(dim=1).numpy()
    return float((labels[nearest] == labels).mean())


def learn_metric(seed: int, *, composed: bool, steps: int) -> tuple[float, float]:
    """Return recall at 1 among held-out classes, and the rows of a batch that have another of their class."""
    torch.manual_seed(seed)
    x, labels = make_rows(seed, n_classes=500)
    is_train = labels < 400
    strategy: Strategy = PerClass(labels[is_train], rows_per_class=4) if composed else BlockShuffling(1)
    loader = Loader(
        ArraySource(x[is_train], label=labels[is_train]), strategy, BATCH, drop_last=True, seed=seed
    )
    model = nn.Sequential(nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 32))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    done, with_another = 0, []
    while done < steps:
        for batch in loader:
            label = batch["label"]
            with_another.append(int((torch.bincount(label)[label] > 1).sum()))
            optimizer.zero_grad()
            _loss(nn.functional.normalize(model(batch["X"]), dim=1), label).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
            if done == steps:
                break
    return _recall(model, x[~is_train], labels[~is_train]), float(np.mean(with_another))
