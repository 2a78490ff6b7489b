"""The experiment's data: rows of h5ad files, label columns as class codes, which rows train and which test.

All files form one source, so the classes of training and test agree; the split is two arrays of row numbers.
Rows that miss a label are left out of both. Complexity: O(rows) for labels and split; X is not touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tombola import H5adSource, permutation
from tombola._base.types import IndexArray

from ..labels import Label, combination_counts, label_of
from .mappings import LabelMapping, mapped_label

__all__ = ["ExperimentData", "Unseen", "open_data"]


@dataclass(frozen=True)
class Unseen:
    """Classes of test rows that no training row has, and how many test rows have one of them."""

    classes: tuple[str, ...]
    rows: int


@dataclass(frozen=True, eq=False)
class ExperimentData:
    """A source with labels and a split.

    Parameters
    ----------
    source : H5adSource
    labels : tuple of Label
        The tasks.
    train_rows, test_rows : ndarray of int64
        Rows of the source, increasing, without those that miss a label.
    file_bounds : ndarray of int64, shape (n_files + 1,)
        File f has the rows ``file_bounds[f]`` to ``file_bounds[f + 1]``.
    n_dropped : int
        Rows left out for want of a label.
    left_out : mapping of str to int
        How many rows miss each label.
    """

    source: H5adSource
    labels: tuple[Label, ...]
    train_rows: IndexArray
    test_rows: IndexArray
    file_bounds: IndexArray
    n_dropped: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, rows in (("training", self.train_rows), ("test", self.test_rows)):
            if len(rows) == 0:
                msg = (
                    f"the split leaves no {name} rows of {len(self.source):,} "
                    f"({self.n_dropped:,} of them miss a label)"
                )
                raise ValueError(msg)
        for label in self.labels:
            counts = self.train_counts(label)
            if np.count_nonzero(counts) < 2:
                msg = (
                    f"label column {label.name!r} must have at least 2 classes among the training rows, "
                    f"but has only {label.classes[int(counts.argmax())]!r}"
                )
                raise ValueError(msg)

    def train_counts(self, label: Label) -> IndexArray:
        """Count the training rows of each class."""
        return np.bincount(label.codes[self.train_rows], minlength=len(label.classes))

    def unseen(self) -> dict[str, Unseen]:
        """Return what no model can have learnt, by label; those that know all test classes are left out.

        O(test rows).
        """
        found: dict[str, Unseen] = {}
        for label in self.labels:
            test_counts = np.bincount(label.codes[self.test_rows], minlength=len(label.classes))
            test_counts[self.train_counts(label) > 0] = 0
            codes = np.flatnonzero(test_counts)
            if len(codes):
                names = tuple(label.classes[code] for code in codes)
                found[label.name] = Unseen(names, int(test_counts.sum()))
        return found

    def combination_counts(self) -> IndexArray:
        """Count the training rows of each combination of labels that occurs; O(rows log rows)."""
        return combination_counts([label.codes[self.train_rows] for label in self.labels])


def open_data(
    paths: Sequence[Path],
    labels: Sequence[str],
    *,
    holdout_files: Sequence[Path] = (),
    holdout_fraction: float | None = None,
    seed: int = 0,
    join: str = "exact",
    mappings: Mapping[str, LabelMapping] | None = None,
    max_train_cells: int | None = None,
    max_test_cells: int | None = None,
) -> ExperimentData:
    """Open files as one source and split its rows.

    Parameters
    ----------
    paths : sequence of Path
        h5ad files. Those that are held out may be among them.
    labels : sequence of str
        Columns of obs: categories, text, or integers of few values.
    holdout_files : sequence of Path
        Files whose rows test; all others train.
    holdout_fraction : float, optional
        Instead of files: the share of all rows, drawn by `seed`, that tests.
    seed : int
        Of the draws.
    join : {"exact", "inner"}
        What to do where the files' var names differ.
    mappings : mapping of str to LabelMapping, optional
        Labels that are not columns of obs but follow from one; they go before columns of their name.
    max_train_cells, max_test_cells : int, optional
        Keep at most so many rows, drawn by `seed`; those of a smaller number are among those of a larger one.

    Raises
    ------
    ValueError
        If a label column or the split does not do, or a file does not fit the others.
    KeyError
        If a label column is not there; the message lists those that are.
    OSError
        If a file cannot be read.
    """
    if bool(holdout_files) == (holdout_fraction is not None):
        msg = "exactly one of holdout_files and holdout_fraction must be given"
        raise ValueError(msg)
    if holdout_fraction is not None and not 0.0 < holdout_fraction < 1.0:
        msg = f"holdout_fraction must be between 0 and 1, but is {holdout_fraction:g}"
        raise ValueError(msg)
    if join not in ("exact", "inner"):
        msg = f"join must be exact or inner, but is {join!r}"
        raise ValueError(msg)
    if not labels:
        msg = "labels must name at least one column of obs, but is empty"
        raise ValueError(msg)
    held_out = {path.resolve() for path in holdout_files}
    together = list({path.resolve(): path for path in [*paths, *holdout_files]}.values())
    source = H5adSource(together, join="inner" if join == "inner" else "exact")
    columns = _read_labels(source, _distinct(labels), mappings or {})
    is_labelled = np.all([label.codes >= 0 for label in columns], axis=0)
    lengths = np.diff(source.file_bounds)
    if holdout_fraction is None:
        is_test = np.repeat([path.resolve() in held_out for path in together], lengths)
    else:
        is_test = np.zeros(len(source), dtype=bool)
        n_test = min(max(1, round(holdout_fraction * len(source))), len(source) - 1)
        is_test[permutation(len(source), seed)[:n_test]] = True
    return ExperimentData(
        source=source,
        labels=columns,
        train_rows=_at_most(max_train_cells, np.flatnonzero(is_labelled & ~is_test), seed),
        test_rows=_at_most(max_test_cells, np.flatnonzero(is_labelled & is_test), seed),
        file_bounds=source.file_bounds,
        n_dropped=int(np.count_nonzero(~is_labelled)),
        left_out={label.name: int(np.count_nonzero(label.codes < 0)) for label in columns},
    )


def _read_labels(
    source: H5adSource, names: Sequence[str], mappings: Mapping[str, LabelMapping]
) -> tuple[Label, ...]:
    read: dict[str, Label] = {}

    def column(name: str) -> Label:
        if name not in read:
            read[name] = label_of(source, name)
        return read[name]

    return tuple(
        mapped_label(mappings[name], column(mappings[name].column)) if name in mappings else column(name)
        for name in names
    )


def _at_most(limit: int | None, rows: IndexArray, seed: int) -> IndexArray:
    if limit is None or len(rows) <= limit:
        return rows
    return np.sort(rows[permutation(len(rows), seed)[:limit]])


def _distinct(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))
