"""Tell the labels of the rows of h5ad files by a trained classifier, and write them as CSV.

Rule: all files are opened before the first row is read, so that a file that does not do is known at once.
Rows come in order, file by file, read by `Loader` in windows. Features are picked by name, so a file may have
more of them, or have them in another order. The CSV is whole or not there.

Complexity: O(rows); memory: one window.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tombola import H5adSource, Loader, Streaming
from tombola._base.checks import check_integer
from tombola._base.files import check_output_file, replacing
from tombola.training import Classifier, load_classifier

from ..file_names import find_files
from ..model import LINEAR_THREADS, torch_threads

__all__ = ["Prediction", "predict_files"]

WINDOW = 16
"""Batches that are read at once."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What was written.

    Parameters
    ----------
    classifier : Classifier
    paths : tuple of Path
        The files, in the order of their rows.
    n_rows : int
    output : Path
    """

    classifier: Classifier
    paths: tuple[Path, ...]
    n_rows: int
    output: Path


def predict_files(
    checkpoint: Path,
    files: Sequence[str],
    output: Path,
    *,
    batch_size: int = 256,
    device: str | None = None,
    on_file: Callable[[Path, int], object] | None = None,
) -> Prediction:
    """Write the most probable class of each row, and its probability, for every label.

    The columns are ``file``, ``row`` (from 0 within the file), ``name`` (the index of obs, empty where there
    is none), and for each label ``LABEL`` and ``LABEL_probability``.

    Parameters
    ----------
    checkpoint : Path
        The output of a training, or one of its checkpoints.
    files : sequence of str
        h5ad files, folders or patterns; rows come in this order.
    output : Path
    batch_size : int
        Rows that the model sees at once, which changes nothing but speed.
    device : str, optional
        Of torch.
    on_file : callable, optional
        Called with each file that is done and its number of rows.

    Raises
    ------
    ValueError
        If a file lacks a feature of the training or has a value that is not finite, or the output is one of
        the files.
    OSError
        If a file cannot be read, or the output cannot be written.
    CheckpointError
        If there is no classifier to be had.
    """
    check_integer("batch_size", batch_size, minimum=1)
    classifier = load_classifier(checkpoint, device=device)
    found = [path for name in files for path in find_files("FILE", [name])]
    paths = list({path.resolve(): path for path in found}.values())
    if output.resolve() in {path.resolve() for path in paths}:
        msg = f"{output}: is one of the files to read, so it must not be written"
        raise ValueError(msg)
    check_output_file(output)
    n_rows = 0
    is_linear = classifier.options.get("model") == "linear"
    with (
        torch_threads(LINEAR_THREADS) if is_linear else nullcontext(),
        replacing(output) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        sources = [_open(path, classifier) for path in paths]
        writer = csv.writer(file, lineterminator="\n")
        columns = [text for label in classifier.labels for text in (label, f"{label}_probability")]
        writer.writerow(["file", "row", "name", *columns])
        for source in sources:
            writer.writerows(_rows(source, classifier, batch_size))
            n_rows += len(source)
            if on_file is not None:
                on_file(source.paths[0], len(source))
    return Prediction(classifier=classifier, paths=tuple(paths), n_rows=n_rows, output=output)


def _open(path: Path, classifier: Classifier) -> H5adSource:
    """Open a file and pick the features of the training, by name."""
    source = H5adSource(path, x=classifier.x, obs_names=True)
    names = list(classifier.var_names)
    if source.var_names == names:
        return source
    there = set(source.var_names)
    lacking = [name for name in names if name not in there]
    if lacking:
        msg = (
            f"{path}: {classifier.x} must have the {len(names):,} features that the classifier was trained "
            f"on, but lacks {len(lacking):,} of them, the first is {lacking[0]!r}"
        )
        raise ValueError(msg)
    return H5adSource(path, x=classifier.x, vars=names, obs_names=True)


def _rows(source: H5adSource, classifier: Classifier, batch_size: int) -> Iterator[list[Any]]:
    path = source.paths[0]
    if not len(source):
        return
    loader = Loader(source, Streaming(), batch_size, WINDOW, rank=0, world_size=1)
    for batch in loader:
        told: list[list[Any]] = []
        for label, values in classifier.probabilities(batch["X"]).items():
            best, which = values.cpu().max(dim=1)
            odd = ~best.isfinite()
            if odd.any():
                row = batch["row"][odd][0].item()
                msg = f"{path}: row {row} of {classifier.x} gives no probabilities: it holds NaN or infinity"
                raise ValueError(msg)
            classes = classifier.classes[label]
            told += [[classes[i] for i in which.tolist()], [f"{p:.6g}" for p in best.tolist()]]
        for row, name, *cells in zip(batch["row"].tolist(), batch["obs_names"], *told, strict=True):
            yield [str(path), row, name or "", *cells]
