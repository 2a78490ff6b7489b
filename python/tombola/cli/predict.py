"""The command `tombola predict`: the labels of the rows of h5ad files, by what `tombola train` trained."""

from collections.abc import Sequence
from pathlib import Path

from tombola._base.console import say, stdout_console
from tombola.experiments.train.predict import Prediction, predict_files

__all__ = ["predict_and_print"]


def predict_and_print(
    checkpoint: Path, files: Sequence[str], output: Path, *, batch_size: int, device: str | None
) -> Prediction:
    """Write the labels and say by which checkpoint.

    Raises
    ------
    ValueError, KeyError, OSError, TrainingError
        If a file, the output or the run does not do.
    """
    done = predict_files(checkpoint, files, output, batch_size=batch_size, device=device)
    classes = ", ".join(f"{name} ({len(names)} classes)" for name, names in done.classifier.classes.items())
    lines = [
        f"checkpoint: {done.classifier.checkpoint}",
        f"labels:     {classes}",
        f"files:      {len(done.paths):,}, {done.n_rows:,} rows",
        f"written:    {done.output}",
    ]
    say(stdout_console(), lines)
    return done
