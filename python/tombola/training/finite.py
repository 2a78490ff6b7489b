"""Losses that are not finite: which batch the first one came of, and which of its rows.

Rule: losses that are numbers at once are looked at before they change a weight; those on a device where they
are looked at anyway, before anything is saved. So no file holds weights that such a loss has spoiled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

__all__ = ["FirstBad", "LossWatch", "complaint"]

SHOWN_ROWS = 20


@dataclass(frozen=True)
class FirstBad:
    """The first batch whose loss is not finite, by its place among those watched, and what is known of it."""

    place: int
    loss: float
    text: str


class LossWatch:
    """Watches the losses of some batches.

    Parameters
    ----------
    stops : bool
        Whether training stops at once, with the weights of before: one rank alone can.
    """

    def __init__(self, *, stops: bool) -> None:
        self.stops = stops
        self.first: FirstBad | None = None
        self._rows: list[Any] = []

    def note(self, place: int, loss: float, batch: Any) -> bool:
        """Note a loss that is not finite, and tell whether training is to stop at once."""
        if self.first is None:
            self.first = FirstBad(place, loss, _described(batch))
        return self.stops

    def later(self, batch: Any) -> None:
        """Keep the rows of a batch whose loss is still computed on a device."""
        self._rows.append(batch.get("row") if isinstance(batch, Mapping) else None)

    def look(self, losses: list[float]) -> None:
        """Look at the losses of all batches."""
        if self.first is None:
            for place, loss in enumerate(losses):
                if not isfinite(loss):
                    rows = self._rows[place] if place < len(self._rows) else None
                    self.first = FirstBad(place, loss, _rows(rows))
                    return


def complaint(first: FirstBad, place: str, saved: str | None) -> str:
    """Return what is said of a loss that is not finite; `saved` names a checkpoint of before."""
    before = f"the checkpoint {saved} is of before" if saved else ""
    cure = 'on_nonfinite_loss="continue" goes on'
    told = "; ".join(filter(None, (first.text, before, cure)))
    return f"the training loss must stay finite, but is {first.loss} in {place}: {told}"


def _described(batch: Any) -> str:
    rows = batch.get("row") if isinstance(batch, Mapping) else None
    bad = [text for name, tensor in _tensors(batch, "") if (text := _not_finite(name, tensor, rows))]
    values = f"not finite is {'; '.join(bad)}" if bad else "all values of the batch are finite"
    return "; ".join(filter(None, (_rows(rows), values)))


def _tensors(batch: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(batch, Tensor):
        yield name or "the batch", batch
    elif isinstance(batch, Mapping):
        for key, part in batch.items():
            yield from _tensors(part, f"{name}[{key!r}]" if name else str(key))
    elif isinstance(batch, list | tuple):
        for place, part in enumerate(batch):
            yield from _tensors(part, f"{name}[{place}]")


def _not_finite(name: str, tensor: Tensor, rows: Any) -> str:
    """Say in which rows a tensor holds values that are not finite; "" where it holds none."""
    if not tensor.is_floating_point() or tensor.layout is not torch.strided or not tensor.ndim:
        return ""
    if not tensor.numel():
        return ""
    bad = torch.nonzero(~torch.isfinite(tensor).reshape(len(tensor), -1).all(dim=1)).flatten().cpu()
    if not len(bad):
        return ""
    if isinstance(rows, Tensor) and rows.ndim == 1 and len(rows) == len(tensor):
        return f"{name} in row {_listed(rows.cpu()[bad])}"
    return f"{name} in its row {_listed(bad)}, counted from 0"


def _rows(rows: Any) -> str:
    return f"rows {_listed(rows)}" if isinstance(rows, Tensor) and rows.ndim == 1 else ""


def _listed(rows: Tensor) -> str:
    shown = ", ".join(map(str, rows[:SHOWN_ROWS].tolist()))
    return shown if len(rows) <= SHOWN_ROWS else f"{shown} and {len(rows) - SHOWN_ROWS} more"
