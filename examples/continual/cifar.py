"""CIFAR-100 from a local folder, in the format in which it is published for Python.

The folder, or its subfolder ``cifar-100-python``, holds ``train``, ``test`` and ``meta`` (Krizhevsky,
"Learning Multiple Layers of Features from Tiny Images", 2009). Ten tasks take the classes in the order of
their labels, as the data set ``seq-cifar100`` of continual-learning frameworks does. Semantic groups are the
twenty superclasses that the files name. Each channel is brought to mean 0 and deviation 1 over the images for
training.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .parts import ContinualData, Part
from .pickles import read_pickle
from .settings import CIFAR

__all__ = ["load_cifar100"]

FOLDER = "cifar-100-python"
TASKS = 10
SHAPE = (3, 32, 32)
QUICK_ROWS = 8
"""Of each class, in the quick form, for training and for testing."""

_Whole = npt.NDArray[np.int64]


def load_cifar100(folder: Path, *, quick: bool = False) -> ContinualData:
    """Return the data set of a folder.

    Raises
    ------
    ValueError
        If files are missing, or are not what they are published as.
    """
    place = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    missing = [name for name in ("train", "test", "meta") if not (place / name).is_file()]
    if missing:
        msg = f"{place} must hold train, test and meta of CIFAR-100 for Python, but has no {missing[0]}"
        raise ValueError(msg)
    names = [_names(place / "meta", level) for level in ("fine_label_names", "coarse_label_names")]
    if len(names[0]) % TASKS:
        msg = f"{place / 'meta'} must name classes for {TASKS} tasks, but names {len(names[0])}"
        raise ValueError(msg)
    limits = len(names[0]), len(names[1])
    images, labels, coarse = _read(place / "train", limits)
    test_images, test_labels, test_coarse = _read(place / "test", limits)
    groups = np.zeros(limits[0], dtype=np.int64)
    groups[labels] = coarse
    for name, fine, above in (("train", labels, coarse), ("test", test_labels, test_coarse)):
        if (groups[fine] != above).any() or len(np.unique(fine)) != limits[0]:
            msg = f"{place / name} must have images of each class, each class in one superclass"
            raise ValueError(msg)
    if quick:
        images, labels = _first(images, labels)
        test_images, test_labels = _first(test_images, test_labels)
    pixels = images.reshape(len(images), SHAPE[0], -1)
    mean, deviation = pixels.mean(axis=(0, 2)), pixels.std(axis=(0, 2))
    return ContinualData(
        name=CIFAR,
        train=_part(images, labels, mean, deviation),
        test=_part(test_images, test_labels, mean, deviation),
        groups=torch.from_numpy(groups),
        tasks=tuple(tuple(part.tolist()) for part in np.split(np.arange(limits[0]), TASKS)),
        class_names=tuple(names[0]),
    )


def _names(path: Path, level: str) -> list[str]:
    found = read_pickle(path).get(level)
    if not isinstance(found, list) or not found:
        msg = f"{path} must list {level}, but does not"
        raise ValueError(msg)
    return [name.decode("latin1") if isinstance(name, bytes) else str(name) for name in found]


def _read(path: Path, limits: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], _Whole, _Whole]:
    """Return images, classes and superclasses of a file.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    found = read_pickle(path)
    width = int(np.prod(SHAPE))
    images: Any = found.get("data")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (width,):
        came = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        msg = f"data of {path} must be uint8 of shape (images, {width}), but is {came}"
        raise ValueError(msg)
    labels = []
    for name, limit in zip(("fine_labels", "coarse_labels"), limits, strict=True):
        values = np.asarray(found.get(name, []))
        fits = values.shape == (len(images),) and values.dtype.kind in "iu"
        if not fits or (len(values) and not 0 <= values.min() <= values.max() < limit):
            msg = f"{name} of {path} must be one an image, {len(images)}, in [0, {limit})"
            raise ValueError(msg)
        labels.append(values.astype(np.int64))
    return images, labels[0], labels[1]


def _first(images: npt.NDArray[np.uint8], labels: _Whole) -> tuple[npt.NDArray[np.uint8], _Whole]:
    """Return the first images of each class."""
    kept = [np.flatnonzero(labels == known)[:QUICK_ROWS] for known in np.unique(labels).tolist()]
    rows = np.sort(np.concatenate(kept))
    return images[rows], labels[rows]


def _part(
    images: npt.NDArray[np.uint8],
    labels: _Whole,
    mean: npt.NDArray[np.float64],
    deviation: npt.NDArray[np.float64],
) -> Part:
    inputs = images.reshape(-1, *SHAPE).astype(np.float32)
    inputs -= mean.astype(np.float32)[:, np.newaxis, np.newaxis]
    inputs /= np.where(deviation > 0, deviation, 1.0).astype(np.float32)[:, np.newaxis, np.newaxis]
    return Part(torch.from_numpy(inputs), torch.from_numpy(labels))
