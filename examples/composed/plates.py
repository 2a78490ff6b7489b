"""Drugs on plates: a model that sees controls of any plate learns the plate instead of the drug.

Rule: a cell's features are those of its plate (large), of its drug (small) and noise. In training a drug is
on few plates, so that the plate gives the drug away; on held-out plates all drugs occur. The model sees
treated cells less the mean of the controls in their batch. With controls of the same plate the plate cancels
out; with others it stays.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tombola import ArraySource, Loader, Mixture

__all__ = ["SHARES", "Plates", "learn_drugs", "make_plates"]

SHARES = {"control": 16, "treated": 48}
BATCH = sum(SHARES.values())

Array = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plates:
    """Cells, row by row; ``drug`` is -1 for controls."""

    x: Array
    plate: Codes
    drug: Codes

    @property
    def role(self) -> list[str]:
        """The stratum of each cell."""
        return ["control" if drug < 0 else "treated" for drug in self.drug.tolist()]


def make_plates(seed: int, *, n_drugs: int = 12, n_train: int = 24, n_test: int = 8) -> tuple[Plates, Plates]:
    """Return cells of training plates, each with 2 of the drugs, and of plates with all of them."""
    rng = np.random.default_rng([seed, 7])
    n_genes, controls, cells = 50, 60, 90
    effects = rng.normal(0, 0.35, (n_drugs, n_genes))

    def plates(first: int, number: int, drugs_a_plate: int) -> Plates:
        parts: list[tuple[Array, Codes, Codes]] = []
        for plate in range(number):
            offset = rng.normal(0, 2.0, n_genes)
            drugs = [(plate * drugs_a_plate + i) % n_drugs for i in range(drugs_a_plate)]
            labels = np.repeat([-1, *drugs], [controls, *[cells // drugs_a_plate] * drugs_a_plate])
            shift = np.where(labels[:, None] < 0, 0, effects[labels])
            x = offset + shift + rng.normal(0, 1, (len(labels), n_genes))
            parts.append((x.astype(np.float32), np.full(len(labels), first + plate), labels))
        joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        return Plates(*joined)

    return plates(0, n_train, 2), plates(n_train, n_test, n_drugs)


def _batches(cells: Plates, *, matched: bool, seed: int) -> Loader:
    strategy = Mixture(cells.role, SHARES, within=cells.plate if matched else None)
    source = ArraySource(cells.x, drug=cells.drug)
    return Loader(source, strategy, batch_size=BATCH, seed=seed)


def _less_controls(batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    controls, treated = batch["X"][: SHARES["control"]], batch["X"][SHARES["control"] :]
    return treated - controls.mean(dim=0), batch["drug"][SHARES["control"] :]


def learn_drugs(seed: int, *, matched: bool, epochs: int) -> tuple[float, float]:
    """Return the accuracy on training plates and on held-out ones, whose controls are always matched."""
    torch.manual_seed(seed)
    train, test = make_plates(seed)
    n_drugs = int(train.drug.max()) + 1
    model = nn.Sequential(nn.Linear(train.x.shape[1], 64), nn.ReLU(), nn.Linear(64, n_drugs))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
    loader = _batches(train, matched=matched, seed=seed)
    for _ in range(epochs):
        for batch in loader:
            x, drug = _less_controls(batch)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), drug).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    @torch.no_grad()
    def accuracy(cells: Plates, *, matched: bool) -> float:
        right = total = 0
        for batch in _batches(cells, matched=matched, seed=seed):
            x, drug = _less_controls(batch)
            right += int((model(x).argmax(dim=1) == drug).sum())
            total += len(drug)
        return right / total

    return accuracy(train, matched=matched), accuracy(test, matched=True)
