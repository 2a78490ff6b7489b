"""A trained classifier with what its numbers mean: its classes by name, the features it was trained on.

Rule: ``classifier.json`` in the folder of a run says labels, classes, features and how the model is built.
The weights are those of a checkpoint, and are only taken if its classes and shapes are what the file says.
Of a folder it is the best checkpoint, by the history and by what the run monitors, else the newest whole one.

Complexity: one checkpoint is read, two where the newest is not the best.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .._base.files import write_json
from .checkpoints import Place, load_checkpoint
from .errors import CheckpointError
from .evaluation import is_better
from .multi_task import MultiTaskLinear, MultiTaskMlp, log_normalise

__all__ = ["Classifier", "load_classifier", "write_classifier"]

NAME = "classifier.json"
FORMAT = "tombola.classifier"
VERSION = 1
_KEYS = {"classes", "var_names", "x", "log1p", "model", "hidden", "dropout"}

_logger = logging.getLogger("tombola.training")


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """A model, and what its input and its output mean.

    Parameters
    ----------
    model : torch.nn.Module
        Gives the logits of each label, shape (rows, classes), of features of shape (rows, features); in
        evaluation mode.
    classes : mapping of str to tuple of str
        The classes of each label, in the order of its logits.
    var_names : tuple of str
        The features, in their order.
    x : str
        The matrix of h5ad files that they are from: "X", "layers/NAME" and so on.
    log1p : bool
        Whether rows are scaled to 10,000 and their logarithm taken before the model sees them.
    checkpoint : Path
        Where the weights are from.
    options : mapping
        How the model is built: ``model``, ``hidden``, ``dropout``.
    """

    model: torch.nn.Module
    classes: Mapping[str, tuple[str, ...]]
    var_names: tuple[str, ...]
    x: str
    log1p: bool
    checkpoint: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it tells."""
        return tuple(self.classes)

    def probabilities(self, x: Any) -> dict[str, Tensor]:
        """Return the probability of each class, by label.

        Parameters
        ----------
        x : Tensor, array, or rows with ``to_dense``, shape (rows, features)
            As the matrix `x` of the files holds them: raw counts where `log1p` is set.

        Returns
        -------
        dict of str to Tensor
            float32, shape (rows, classes), on the model's device.

        Raises
        ------
        ValueError
            If it has another number of features.
        """
        device = next(self.model.parameters()).device
        rows = torch.as_tensor(_dense(x), dtype=torch.float32, device=device)
        if rows.ndim != 2 or rows.shape[1] != len(self.var_names):
            found = " x ".join(map(str, rows.shape))
            msg = f"x must have the shape (rows, {len(self.var_names):,}), but has {found or 'no axes'}"
            raise ValueError(msg)
        if self.log1p:
            rows = log_normalise({"X": rows})["X"]
        with torch.no_grad():
            return {name: logits.softmax(dim=1) for name, logits in self.model(rows).items()}

    def predict(self, x: Any) -> dict[str, npt.NDArray[np.str_]]:
        """Return the most probable class of each row, by label; arguments and errors as `probabilities`.

        Raises
        ------
        ValueError
            If a row gives no probabilities, too, as one with NaN.
        """
        found = self.probabilities(x)
        for values in found.values():
            odd = ~values.isfinite().all(dim=1)
            if odd.any():
                msg = f"x must be finite, but row {int(odd.nonzero()[0])} gives no probabilities"
                raise ValueError(msg)
        return {
            name: np.asarray(self.classes[name], dtype=np.str_)[values.argmax(dim=1).cpu().numpy()]
            for name, values in found.items()
        }


def _dense(x: Any) -> Any:
    """Return sparse rows, such as those of `tombola.H5adSource.read`, as an array."""
    return x.to_dense() if hasattr(x, "to_dense") else x


def write_classifier(
    folder: Path,
    *,
    classes: Mapping[str, tuple[str, ...]],
    var_names: tuple[str, ...],
    x: str,
    log1p: bool,
    options: Mapping[str, Any],
) -> Path:
    """Write ``classifier.json`` into a run's folder, whole or not at all; arguments as in `Classifier`."""
    path = folder / NAME
    content = {
        "format": FORMAT,
        "version": VERSION,
        "classes": {name: list(names) for name, names in classes.items()},
        "x": x,
        "log1p": log1p,
        **options,
        "var_names": list(var_names),
    }
    write_json(path, content)
    return path


def load_classifier(folder: str | Path, *, device: Any = None) -> Classifier:
    """Return the classifier that `tombola train` trained.

    Parameters
    ----------
    folder : path
        The output of the run, of which the best checkpoint counts; or one of its checkpoints.
    device : optional
        Of torch, where to put the model; by default the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file.
    CheckpointError
        If it holds no run, no whole checkpoint, or a checkpoint of other classes or features.
    """
    path = Path(folder)
    if not path.exists():
        msg = f"{path}: no such folder of a run, nor a checkpoint"
        raise FileNotFoundError(msg)
    run = path if path.is_dir() else path.absolute().parent
    if run.name == "checkpoints" and not (run / NAME).exists():
        run = run.parent
    if not path.is_dir() and not (run / NAME).exists():
        msg = f"{path}: no checkpoint of tombola train, for its run holds no {NAME}"
        raise CheckpointError(msg)
    said = _read(run)
    file, state = _best(run / "checkpoints") if path.is_dir() else (path, load_checkpoint(path))
    classes = {name: tuple(names) for name, names in said["classes"].items()}
    saved = (state.get("shards") or {}).get("classes", said["classes"])
    model = _model(said)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state["model"].items()}
    if {name: tuple(names) for name, names in saved.items()} != classes or own != found:
        msg = f"{file} was saved by another training than {run / NAME} tells of: classes or features differ"
        raise CheckpointError(msg)
    model.load_state_dict(state["model"])
    return Classifier(
        model=(model if device is None else model.to(device)).eval(),
        classes=classes,
        var_names=tuple(said["var_names"]),
        x=said["x"],
        log1p=said["log1p"],
        checkpoint=file,
        options={key: said[key] for key in ("model", "hidden", "dropout")},
    )


def _read(run: Path) -> dict[str, Any]:
    path = run / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = (
            f"{run}: no output of tombola train, for it holds no {NAME}; of a run of before there was one, "
            "tombola train --resume writes it"
        )
        raise CheckpointError(msg) from None
    except ValueError as error:
        msg = f"{path} is damaged: {error}"
        raise CheckpointError(msg) from error
    if (
        not isinstance(content, dict)
        or (content.get("format"), content.get("version")) != (FORMAT, VERSION)
        or not content.keys() >= _KEYS
    ):
        msg = f"{path} must be of {FORMAT}, version {VERSION}, but is something else"
        raise CheckpointError(msg)
    return content


def _model(said: Mapping[str, Any]) -> torch.nn.Module:
    n_features = len(said["var_names"])
    n_classes = {name: len(names) for name, names in said["classes"].items()}
    centre = torch.zeros(n_features)
    if said["model"] == "linear":
        return MultiTaskLinear(n_features, n_classes, centre=centre)
    return MultiTaskMlp(n_features, n_classes, hidden=said["hidden"], dropout=said["dropout"], centre=centre)


def _best(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the best checkpoint of a folder and what it holds, or the newest whole one."""
    places = sorted(filter(None, map(Place.of, folder.iterdir()))) if folder.is_dir() else []
    newest: tuple[Path, dict[str, Any]] | None = None
    for place in reversed(places):
        path = folder / place.name
        try:
            newest = path, load_checkpoint(path)
            break
        except CheckpointError as error:
            _logger.warning("skipped the checkpoint %s: %s", path.name, error)
    if newest is None:
        msg = f"{folder} holds no checkpoint that can be read"
        raise CheckpointError(msg)
    name = _best_name(folder, {place.name for place in places}, newest[1]["options"])
    if name is None or name == newest[0].name:
        return newest
    try:
        return folder / name, load_checkpoint(folder / name)
    except CheckpointError as error:
        _logger.warning("skipped the best checkpoint, the newest is used: %s", error)
        return newest


def _best_name(folder: Path, names: set[str], options: Mapping[str, Any]) -> str | None:
    """Return the name of the checkpoint with the best monitored value of the history."""
    history = folder / "history.jsonl"
    best, best_name = None, None
    for line in history.read_bytes().splitlines() if history.exists() else []:
        try:
            record = json.loads(line)
            batch = {} if record["kind"] == "mini_epoch" else {"batch": record["batch"]}
            name = Place(record["epoch"], record["chunk_start"], **batch).name
            value = record.get(options["monitor"], record.get("train_loss"))  # as without validation
        except (ValueError, TypeError, KeyError):  # cut off by a crash
            break
        if name in names and value is not None and is_better(value, best, options["mode"]):
            best, best_name = value, name
    return best_name
