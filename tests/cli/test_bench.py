"""`tombola bench`: every setting is measured after its rows were checked; peers stand beside."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tombola
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola.cli.app import app
from tombola.experiments.bench import OURS, measure, measuring
from tombola.experiments.bench.peers import versions
from tombola.experiments.bench.settings import plain_rows


def bench(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments), "--seconds", "0.2"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_file_is_measured(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts(), options={"compression": "gzip"})
    text = bench(path, "--batch-size", 8, "--fetch-factor", 4, "--json", tmp_path / "out.json")
    for part in (
        "1, 157 rows x 23 columns of X, read by the core",
        "8 rows, dense, fetch windows of 32 rows",
        "the first 8 rows of each setting are what h5py reads",
        *(setting.name for setting in OURS),
        *(f"{version}" for version in versions().values()),
    ):
        assert part in text
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["read"] == "by the core"
    ours = [figure for figure in found["figures"] if figure["reader"].startswith("tombola")]
    assert [figure["setting"] for figure in ours] == [setting.name for setting in OURS]
    assert all(figure["cells_per_second"] > 0 for figure in ours)


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_forms_and_several_files(tmp_path: Path, form: str) -> None:
    paths = []
    for seed in range(2):
        counts = random_counts(seed=seed)
        forms: dict[str, Any] = {"csr": counts, "csc": counts.tocsc(), "dense": counts.toarray()}
        paths.append(write_h5ad(tmp_path / f"{seed}.h5ad", forms[form]))
    text = bench(*paths, "--batch-size", 8, "--fetch-factor", 2)
    assert "2, 314 rows" in text
    assert ("nothing, as the matrix is stored by columns" in text) == (form == "csc")
    if "scdataset" in versions():
        assert "one file only" in text  # the rest may stand in the line above


def test_rows_as_h5py_reads_them(tmp_path: Path) -> None:
    counts = random_counts()
    for form, x in (("csr", counts), ("dense", counts.toarray())):
        path = write_h5ad(tmp_path / f"{form}.h5ad", x)
        rows = np.array([156, 3, 0])
        found = plain_rows([path], "X", np.array([0, 157]), rows)
        assert found is not None
        assert np.array_equal(found, counts.toarray()[rows])


def test_a_wrong_row_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    monkeypatch.setattr(
        measuring, "plain_rows", lambda paths, x, bounds, rows: np.full((len(rows), 23), -1.0)
    )
    with pytest.raises(ValueError, match=r"row .* of X is not what h5py reads there"):
        measure([path], "0", seconds=0.1)


def test_threads_are_as_before(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    before = tombola.get_num_threads()
    measure([path], "0", batch_size=8, fetch_factor=2, seconds=0.1)
    assert tombola.get_num_threads() == before


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    path = write_h5ad(tmp_path / "a.h5ad", random_counts())
    empty = write_h5ad(tmp_path / "empty.h5ad", random_counts(0, 5))
    for arguments, expected in (
        ([path, "--batch-size", 0], "batch_size must be an integer >= 1, but is 0"),
        ([path, "--seconds", 0], "seconds must be"),
        ([path, "--x", "layers/no"], "no 'layers/no'"),
        ([empty], "there are no rows to measure with"),
        ([tmp_path / "missing.h5ad"], "no such file"),
        ([path, "--json", path / "a"], f"{path}/a: nothing can be written to this output: Not a directory"),
    ):
        result = CliRunner().invoke(app, ["bench", *map(str, arguments)])
        assert result.exit_code == 2, result.output
        assert expected in result.stderr
        assert result.stderr.count("\n") == 1
