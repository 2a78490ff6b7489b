"""The notebook of results runs whole on a folder of them; where none is named, the docs' study is there."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.examples.running import EXAMPLES
from tests.experiments.result_files import table, write_records, write_table
from tombola.experiments import STRATEGIES
from tombola.experiments.plotting import read_summary

NOTEBOOK = EXAMPLES / "analyze_results.ipynb"


def test_the_notebook_draws_what_a_folder_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path, table((0, 1)))
    write_records(tmp_path, ("random-seed0", "streaming-seed0"))
    monkeypatch.setenv("TOMBOLA_RESULTS", str(tmp_path))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    text = "".join(output.get("text", "") for output in outputs)
    assert "2 runs with records, tasks: drug, line" in text
    assert "random               2 run(s): drug 0.310 ± 0.014" in text


def test_the_notebook_is_kept_without_outputs_and_finds_the_study() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)
    assert 'get("TOMBOLA_RESULTS", "../docs/study")' in notebook.cells[1].source
    rows = read_summary(EXAMPLES / "../docs/study")
    assert [row["strategy"] for row in rows[::3]] == [*STRATEGIES, "majority_class"]
