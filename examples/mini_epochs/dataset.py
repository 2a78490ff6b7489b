"""A finite sequential dataset: files in, samples out. It knows nothing of epochs, chunks or checkpoints.

Every position comes in its distinct images under the eight symmetries of the square: eight, or fewer where
the position is symmetric itself, so the number of samples is known only after reading. The images of a file
are shuffled by torch's global random numbers, which the trainer saves and restores.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .boards import BOARD, MISSING

__all__ = ["BoardDataset", "Sample", "collate", "symmetric_images"]

Board = npt.NDArray[np.int8]


class Sample(NamedTuple):
    """A position and what to learn from it; `policy` is a point in [0, 169), or None."""

    board: Board
    policy: int | None
    value: float


class BoardDataset(IterableDataset[Sample]):
    """Samples of some files, in order of files.

    Parameters
    ----------
    paths : sequence of Path
    augment : bool
        Give all distinct images of each position, shuffled within the file; else each position as it is.
    """

    def __init__(self, paths: Sequence[Path], *, augment: bool) -> None:
        self._paths = [Path(path) for path in paths]
        self._augment = augment

    def __iter__(self) -> Iterator[Sample]:
        """Read the files one after another; DataLoader's workers share them."""
        worker = get_worker_info()
        mine = self._paths if worker is None else self._paths[worker.id :: worker.num_workers]
        for path in mine:
            samples = _read(path)
            if self._augment:
                samples = [image for sample in samples for image in symmetric_images(sample)]
                samples = [samples[i] for i in torch.randperm(len(samples)).tolist()]
            yield from samples


def _read(path: Path) -> list[Sample]:
    with np.load(path) as shard:
        boards, policy, value = shard["boards"], shard["policy"], shard["value"]
    points = [None if point == MISSING else int(point) for point in policy]
    return [Sample(*values) for values in zip(boards, points, value.tolist(), strict=True)]


def symmetric_images(sample: Sample) -> list[Sample]:
    """Return the distinct images of a sample under rotation and reflection, itself first."""
    marked: npt.NDArray[np.bool_] = np.zeros((BOARD, BOARD), dtype=bool)
    if sample.policy is not None:
        marked[divmod(sample.policy, BOARD)] = True
    images: dict[bytes, Sample] = {}
    for board, mark in ((sample.board, marked), (sample.board.T, marked.T)):
        for turns in range(4):
            turned = np.ascontiguousarray(np.rot90(board, turns))
            point = None if sample.policy is None else int(np.rot90(mark, turns).argmax())
            images.setdefault(turned.tobytes(), Sample(turned, point, sample.value))
    return list(images.values())


def collate(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Make a batch: boards float32 (n, 2, 13, 13), ours and theirs; policy int64 (n,), -1 where missing."""
    boards = torch.from_numpy(np.stack([sample.board for sample in samples]))
    policy = [MISSING if sample.policy is None else sample.policy for sample in samples]
    return {
        "boards": torch.stack([boards == 1, boards == -1], dim=1).float(),
        "policy": torch.tensor(policy),
        "value": torch.tensor([sample.value for sample in samples]),
    }
