"""Histories and samples in an HDF5 file, and the dataset that reads them.

A sample is a place in a history: the model is to predict the actions of the newest `context_length` steps
before it. What is older is cut into stages of `stage_length` steps, oldest first, so that the newest stage
may be shorter; of more than `max_compression_depth` stages' worth the oldest steps are forgotten. The number
of stages is the sample's compression depth.

File: `histories/{cells,actions,rewards,goals}`, `samples/{train,validation}` (compound: task, end,
compression_depth), attribute `settings` (JSON: what the data depend on).
"""

import itertools
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from .config import Config
from .darkroom import Histories, learn_histories

__all__ = ["IGNORED", "HistoryDataset", "depth_of", "ensure_file"]

SAMPLE = np.dtype([("task", np.int32), ("end", np.int32), ("compression_depth", np.int8)])
PARTS = ("train", "validation")
VALIDATION_SHARE = 4
"""One task in so many is for validation, with a quarter of the samples a history."""

IGNORED = -100
"""Target of places in a context that hold no step; torch's cross entropy leaves it out."""

Item = dict[str, Any]


def depth_of(end: npt.NDArray[np.int64], config: Config) -> npt.NDArray[np.int64]:
    """Return how many stages the steps before the context of each sample fill."""
    older = np.maximum(end - config.context_length, 0)
    depth: npt.NDArray[np.int64] = np.minimum(-(-older // config.stage_length), config.max_compression_depth)
    return depth


def ensure_file(path: Path, config: Config, seed: int) -> bool:
    """Make the file if it is not there; tell whether it was made.

    Raises
    ------
    ValueError
        If it is there but no file of histories, or one of other settings; the first difference is named.
    """
    settings = config.data_settings(seed)
    if path.exists():
        _check_settings(path, settings)
        return False
    histories = learn_histories(config, seed)
    samples = _draw_samples(config, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with h5py.File(partial, "w") as file:
        file.attrs["settings"] = json.dumps(settings, sort_keys=True)
        for name in ("cells", "actions", "rewards", "goals"):
            file.create_dataset(f"histories/{name}", data=getattr(histories, name), compression="gzip")
        for part in PARTS:
            file.create_dataset(f"samples/{part}", data=samples[part])
    partial.replace(path)
    return True


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    try:
        with h5py.File(path) as file:
            stored = json.loads(file.attrs["settings"])
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path} must be an HDF5 file of histories, but: {error}"
        raise ValueError(msg) from None
    for key in sorted(settings.keys() | stored.keys()):
        if stored.get(key) != settings.get(key):
            msg = (
                f"{path} was made with {key} = {stored.get(key)}, but now it is {settings.get(key)}: "
                "give another --data, or delete the file"
            )
            raise ValueError(msg)


def _draw_samples(config: Config, seed: int) -> dict[str, npt.NDArray[np.void]]:
    """Draw places evenly from all steps of each history; the last tasks are for validation."""
    random = np.random.default_rng(seed)
    n_validation = config.n_tasks // VALIDATION_SHARE
    tasks = np.split(np.arange(config.n_tasks), [config.n_tasks - n_validation])
    counts = (config.samples_per_history, max(1, config.samples_per_history // VALIDATION_SHARE))
    drawn = {}
    for part, of_part, count in zip(PARTS, tasks, counts, strict=True):
        samples = np.empty(len(of_part) * count, dtype=SAMPLE)
        samples["task"] = np.repeat(of_part, count)
        samples["end"] = random.integers(1, config.history_length, len(samples), endpoint=True)
        samples["compression_depth"] = depth_of(samples["end"].astype(np.int64), config)
        drawn[part] = samples
    return drawn


class HistoryDataset(Dataset[Item]):
    """The samples of one part of a file.

    ``samples[i]["compression_depth"]`` is what `tombola.BucketSampler` asks for, and items have the
    ``num_compression_stages`` and ``compression_stages`` of `tombola.collate_compressed_batch`. A step is its
    cell with the action and the reward of the step before. Beside the stages an item has ``context``, a dict
    of such steps, and ``targets``, the actions to predict; both are as long as a context, and `IGNORED` marks
    targets where an early sample has no steps.

    Parameters
    ----------
    path : Path
        The histories are read once; they are small.
    part : {"train", "validation"}
    config : Config
    """

    def __init__(self, path: Path, part: str, config: Config) -> None:
        with h5py.File(path) as file:
            self.samples: npt.NDArray[np.void] = file[f"samples/{part}"][:]
            histories = Histories(**{name: file[f"histories/{name}"][:] for name in file["histories"]})
        self.config = config
        before = np.full(
            (len(histories.goals), 1), config.n_actions
        )  # the action before the first step: none
        self._steps = {
            "cells": torch.from_numpy(histories.cells.astype(np.int64)),
            "actions": torch.from_numpy(np.hstack([before, histories.actions[:, :-1]]).astype(np.int64)),
            "rewards": torch.from_numpy(np.hstack([0 * before, histories.rewards[:, :-1]]).astype(np.int64)),
        }
        self._targets = torch.from_numpy(histories.actions.astype(np.int64))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        task, end, depth = (int(value) for value in self.samples[index])
        start = max(0, end - self.config.context_length)
        oldest = max(0, start - depth * self.config.stage_length)
        bounds = [*range(oldest, start, self.config.stage_length), start]
        stages = [self._read(task, *between) for between in itertools.pairwise(bounds)]
        missing = self.config.context_length - (end - start)
        context = {
            name: torch.nn.functional.pad(values, (0, missing))
            for name, values in self._read(task, start, end).items()
        }
        targets = torch.nn.functional.pad(self._targets[task, start:end], (0, missing), value=IGNORED)
        return {
            "num_compression_stages": depth,
            "compression_stages": stages,
            "context": context,
            "targets": targets,
        }

    def stage_lengths(self) -> npt.NDArray[np.int64]:
        """Return the steps of each stage of each sample, 0 where it has none, (samples, deepest depth)."""
        older = np.maximum(self.samples["end"].astype(np.int64) - self.config.context_length, 0)
        deepest = int(self.samples["compression_depth"].max())
        read = np.minimum(older, self.config.max_compression_depth * self.config.stage_length)
        before = np.arange(deepest) * self.config.stage_length
        return np.clip(read[:, None] - before, 0, self.config.stage_length)

    def _read(self, task: int, start: int, stop: int) -> dict[str, torch.Tensor]:
        return {name: values[task, start:stop] for name, values in self._steps.items()}
