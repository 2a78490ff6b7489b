"""`tombola train` and `run` say where data are not what the options are for: raw counts, names as labels."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.cli.training_files import train_yaml
from tombola.cli.app import app
from tombola.experiments.misfits import like_names

ROWS = 400


def write(path: Path, *, counts: bool) -> Path:
    """Write cells of two lines; of each, barcodes are names."""
    rng = np.random.default_rng(0)
    x = rng.poisson(3.0, (ROWS, 8)).astype(np.float32)
    x[0, 0] = 40
    line = rng.integers(0, 2, ROWS)
    x[:, 1] += 5 * line
    names = [f"cell_{i}" for i in range(ROWS)]
    obs = pd.DataFrame(
        {"line": np.array(["a", "b"])[line], "barcode": [f"c{i // 2}" for i in range(ROWS)]}, index=names
    )
    anndata.AnnData(x if counts else np.log1p(x), obs=obs).write_h5ad(path)
    return path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("counts", "log1p", "is_said"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_raw_counts_are_warned_of(counts: bool, log1p: bool, is_said: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad", counts=counts)
    config = train_yaml(tmp_path, path, labels="line", log1p=log1p, epochs=1, learning_rate=0.1)
    result = invoke("train", "-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    said = "warning: X looks like raw counts (whole numbers up to 40 in the first rows): a model learns bet"
    assert (said in result.stderr) == is_said
    assert ("their logarithms (log1p: true)" in result.stderr) == is_said
    assert "names rather than labels" not in result.stderr


def test_names_as_labels_are_warned_of(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad", counts=False)
    config = train_yaml(
        tmp_path, path, labels=["line", "barcode"], validation_fraction=0, epochs=1, learning_rate=0.1
    )
    said = "label 'barcode' has 200 classes in 400 training rows, 2.0 a class: too few to learn from; it may"
    result = invoke("train", "-c", config, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"warning: {said}" in result.stderr
    options = ["--strategy", "streaming", "--epochs", 1, "-o", tmp_path / "run"]
    result = invoke("run", path, "-l", "barcode", *options)
    assert "classes in 320 training rows" in result.stderr


@pytest.mark.parametrize(
    ("n_classes", "n_rows", "is_said"), [(99, 100, False), (100, 999, True), (100, 1000, False)]
)
def test_what_counts_as_names(n_classes: int, n_rows: int, is_said: bool) -> None:
    assert (like_names("a", n_classes, n_rows) is not None) == is_said
