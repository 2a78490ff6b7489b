"""What training needs to know of all files before it begins: classes, which rows train, which validate.

Rule: one pass over obs of all files, X is not touched. Classes are those of all files, in the order of their
names, so that they are the same for every chunk, whatever order files come in. Rows that miss a label or the
strategy's key are left out. Which rows validate, and which train where not all do, is drawn file by file by
a random-access permutation keyed by (seed, file name): row i is taken if its place in the permutation is
below the file's quota, so a smaller amount is part of a larger one, and other files change nothing.

Complexity: O(rows) once; memory: 4 bytes a row and label, 8 a row and key, 2 a row beside.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tombola import H5adSource, RandomPermutation
from tombola._base.types import IndexArray
from tombola.labels.categorical import Categorical
from tombola.strategies.names import TRAIN
from tombola.training import ShardError

from ..labels import are_whole, label_of
from .config import TrainConfig
from .files import FileList, find_training_files

__all__ = ["Classes", "Task", "TrainingData", "open_training_data"]

_logger = logging.getLogger(__name__)

Classes: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Task:
    """A label to learn: its classes by name, and the class of each row of all files, -1 where missing."""

    name: str
    classes: tuple[str, ...]
    codes: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All files, their labels and keys, and who does what; rows are numbered through all files.

    Parameters
    ----------
    paths : tuple of Path
        All files in the order of their rows.
    files : FileList
        The same ones, by what they are for.
    bounds : ndarray of int64, shape (n_files + 1,)
    tasks : tuple of Task
    keys : mapping of str to ndarray
        The obs columns that the strategy goes by, one value a row.
    var_names : tuple of str
        Columns of X that all files have.
    is_train, is_validation : ndarray of bool, shape (n_rows,)
    n_dropped : int
        Rows left out for want of a label or a key.
    left_out : mapping of str to int
        How many rows miss each label and key.
    skipped : mapping of Path to str
        What is wrong with each file that was left out.
    """

    paths: tuple[Path, ...]
    files: FileList
    bounds: IndexArray
    tasks: tuple[Task, ...]
    keys: Mapping[str, npt.NDArray[Any]]
    var_names: tuple[str, ...]
    is_train: npt.NDArray[np.bool_]
    is_validation: npt.NDArray[np.bool_]
    n_dropped: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[Path, str] = field(default_factory=dict)

    @property
    def train_paths(self) -> tuple[Path, ...]:
        """Files with rows to train on: the shards."""
        return self.files_of(self.is_train)

    @property
    def n_train(self) -> int:
        """Rows to train on."""
        return int(np.count_nonzero(self.is_train))

    @property
    def n_validation(self) -> int:
        """Rows to validate on."""
        return int(np.count_nonzero(self.is_validation))

    @property
    def n_classes(self) -> dict[str, int]:
        """Classes of each label."""
        return {task.name: len(task.classes) for task in self.tasks}

    @cached_property
    def _places(self) -> dict[Path, int]:
        return {path: at for at, path in enumerate(self.paths)}

    def span(self, path: Path) -> tuple[int, int]:
        """Return the first row of a file and the one behind its last.

        Raises
        ------
        ShardError
            If the file is none of these.
        """
        at = self._places.get(path)
        if at is None:
            msg = self.skipped.get(path, f"{path}: the file was not there when obs were read")
            raise ShardError(msg, shard=path)
        return int(self.bounds[at]), int(self.bounds[at + 1])

    def train_rows(self, path: Path) -> int:
        """Count the rows of a file that train."""
        start, stop = self.span(path)
        return int(np.count_nonzero(self.is_train[start:stop]))

    def files_of(self, chosen: npt.NDArray[np.bool_]) -> tuple[Path, ...]:
        """Return the files that hold chosen rows."""
        before = np.concatenate([[0], np.cumsum(chosen)])[self.bounds]
        return tuple(path for path, count in zip(self.paths, np.diff(before), strict=True) if count)

    def rows_of(self, paths: Sequence[Path], chosen: npt.NDArray[np.bool_]) -> tuple[IndexArray, IndexArray]:
        """Return the chosen rows of some files, numbered through these files and through all files."""
        local, whole, offset = [], [], 0
        for path in paths:
            start, stop = self.span(path)
            rows = np.flatnonzero(chosen[start:stop])
            local.append(rows + offset)
            whole.append(rows + start)
            offset += stop - start
        return np.concatenate(local), np.concatenate(whole)


def open_training_data(
    config: TrainConfig, files: FileList | None = None, classes: Classes | None = None
) -> TrainingData:
    """Read obs of all files and decide which rows train and validate.

    Parameters
    ----------
    config : TrainConfig
    files : FileList, optional
        By default those that the configuration names.
    classes : mapping, optional
        The classes of each label, where training has begun; by default those that the files have.

    Raises
    ------
    ValueError
        If a label, a key or a file does not do, or no rows are left to train or to validate on.
    KeyError
        If a column is not there; the message lists those that are.
    OSError
        If a file cannot be read.
    """
    found = find_training_files(config) if files is None else files
    paths, skipped = _readable(list(found.files), config)
    kept_apart = set(found.held_out)
    together = sorted([*paths, *kept_apart])
    source = H5adSource(together, x=config.x, join=config.join)
    names = dict.fromkeys(config.labels)
    tasks = tuple(_task(source, name, None if classes is None else classes[name]) for name in names)
    is_whole = np.all([task.codes >= 0 for task in tasks], axis=0)
    left_out = {task.name: int(np.count_nonzero(task.codes < 0)) for task in tasks}
    keys: dict[str, npt.NDArray[Any]] = {}
    for name in config.key_columns:
        keys[name], is_there = _key(source, name, config)
        is_whole &= is_there
        left_out[name] = int(np.count_nonzero(~is_there))
    is_train = np.zeros(len(source), dtype=bool)
    is_validation = np.zeros(len(source), dtype=bool)
    bounds = source.file_bounds
    for at, path in enumerate(together):
        span = slice(int(bounds[at]), int(bounds[at + 1]))
        is_held_out = path in kept_apart
        share = 1.0 if is_held_out else config.fraction
        is_validation[span] = is_whole[span] & _drawn(path, is_whole[span], share, config.seed, "validate")
        is_train[span] = is_whole[span] & ~is_validation[span] & (not is_held_out)
    _limit(is_train, together, bounds, config.total_data, config.seed, "train")
    _limit(is_validation, together, bounds, config.validation_rows, config.seed, "validate")
    data = TrainingData(
        paths=tuple(together),
        files=FileList(tuple(paths), found.held_out),
        bounds=bounds,
        tasks=tasks,
        keys=keys,
        var_names=tuple(source.var_names),
        is_train=is_train,
        is_validation=is_validation,
        n_dropped=int(np.count_nonzero(~is_whole)),
        left_out=left_out,
        skipped=skipped,
    )
    _check(data, config)
    return data


def _readable(paths: list[Path], config: TrainConfig) -> tuple[list[Path], dict[Path, str]]:
    """Return the files that open, and what is wrong with the others; none is left out unless asked for."""
    if config.on_bad_shard == "error":
        return paths, {}
    good: list[Path] = []
    problems: dict[Path, str] = {}
    for path in paths:
        try:
            source = H5adSource(path, x=config.x)
            for name in (*config.labels, *config.key_columns):
                source.obs[name]
        except (ValueError, OSError, KeyError) as error:
            problems[path] = str(error)
            _logger.warning("left out: %s", error)
        else:
            good.append(path)
    if not good:
        msg = f"none of the {len(paths)} files can be read; the first: {problems[paths[0]]}"
        raise ValueError(msg)
    return good, problems


def _task(source: H5adSource, name: str, known: tuple[str, ...] | None) -> Task:
    label = label_of(source, name)
    if known is not None:
        classes = known
        new = sorted({label.classes[i] for i in np.unique(label.codes[label.codes >= 0])} - {*known})
        if new:
            msg = (
                f"files that came during training have new classes of {name!r}: {', '.join(new)}; begin anew"
            )
            raise ValueError(msg)
    else:
        classes = tuple(sorted(label.classes)) if name in source.categories else label.classes
    codes = {text: code for code, text in enumerate(classes)}
    place = np.array([*(codes.get(text, -1) for text in label.classes), -1], dtype=np.int32)
    return Task(name, classes, place[label.codes])  # the last one is that of rows without the label


def _key(
    source: H5adSource, name: str, config: TrainConfig
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return a column that a strategy goes by, and which rows have it (weights are floats)."""
    column = source.obs[name]
    if isinstance(column, Categorical):
        values, kind, is_there = column.codes, "categories or text", ~column.isna()
    else:
        values, kind = column, str(column.dtype)
        is_there = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    is_numeric = not isinstance(column, Categorical) and values.dtype.kind in "iuf"
    if TRAIN[config.strategy].goes_by == "weights":
        if not is_numeric:
            msg = f"obs column {name!r} must hold numbers to be the rows' weights, but holds {kind}"
            raise ValueError(msg)
        return _weights(name, values.astype(np.float64), is_there), is_there
    if values.dtype.kind == "f" and are_whole(values[is_there]):  # integers, some of them missing
        values = np.where(is_there, values, 0).astype(np.int64)
    if values.dtype.kind not in "iub":
        msg = f"obs column {name!r} must hold categories, text or integers, but holds {kind}"
        raise ValueError(msg)
    return values.astype(np.int64, copy=False), is_there


def _weights(
    name: str, weights: npt.NDArray[np.float64], is_there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    bad = np.flatnonzero(is_there & ~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        msg = f"weights must be finite and >= 0, but {name}[{bad[0]}] = {weights[bad[0]]:g}"
        raise ValueError(msg)
    return weights


def _drawn(
    path: Path, eligible: npt.NDArray[np.bool_], share: float, seed: int, purpose: str
) -> npt.NDArray[np.bool_]:
    """Draw a share of a file's eligible rows, all of them or none where the share is 1 or 0."""
    n = int(np.count_nonzero(eligible))
    return _first_places(path, eligible, round(share * n), seed, purpose)


def _first_places(
    path: Path, eligible: npt.NDArray[np.bool_], quota: int, seed: int, purpose: str
) -> npt.NDArray[np.bool_]:
    rows = np.flatnonzero(eligible)
    drawn = np.zeros(len(eligible), dtype=bool)
    if quota >= len(rows):
        drawn[rows] = True
    elif quota > 0:
        text = f"{seed} {purpose} {path.name}".encode()
        key = int.from_bytes(hashlib.sha256(text).digest()[:7], "big")
        places = RandomPermutation(len(rows), key).inverse(np.arange(len(rows)))
        drawn[rows[np.asarray(places) < quota]] = True
    return drawn


def _limit(
    chosen: npt.NDArray[np.bool_],
    paths: Sequence[Path],
    bounds: IndexArray,
    amount: float | int,
    seed: int,
    purpose: str,
) -> None:
    """Keep a share (at most 1) or a number of the chosen rows, every file giving its part of it."""
    n = int(np.count_nonzero(chosen))
    wanted = max(1, round(amount * n)) if amount <= 1 else min(n, int(amount))
    if wanted >= n:
        return
    before = 0
    for at, path in enumerate(paths):
        span = slice(int(bounds[at]), int(bounds[at + 1]))
        here = int(np.count_nonzero(chosen[span]))
        quota = (before + here) * wanted // n - before * wanted // n
        chosen[span] = _first_places(path, chosen[span], quota, seed, f"limit {purpose}")
        before += here


def _check(data: TrainingData, config: TrainConfig) -> None:
    for purpose, n in (("train", data.n_train), ("validate", data.n_validation)):
        if n == 0 and (purpose == "train" or config.validates):
            msg = (
                f"no rows are left to {purpose} on, of {len(data.is_train):,} "
                f"({data.n_dropped:,} of them miss a label or a key)"
            )
            raise ValueError(msg)
    for task in data.tasks:
        seen = np.unique(task.codes[data.is_train])
        if len(seen) < 2:
            msg = (
                f"label column {task.name!r} must have at least 2 classes among the training rows, "
                f"but has only {task.classes[int(seen[0])]!r}"
            )
            raise ValueError(msg)
