"""Pictures of an experiment: drawn from a table alone, wherever it is read from, they show what it holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.experiments.result_files import TASKS, table, write_records, write_table
from tombola.experiments.plotting import (
    plot_comparison,
    plot_f1_over_seconds,
    plot_time_comparison,
    plot_training_curves,
    read_results,
    read_summary,
    save_figure,
    tasks_of,
)
from tombola.experiments.six.page import write_page


def test_a_table_is_read_from_wherever_it_is(tmp_path: Path) -> None:
    rows = table((0, 1))
    path = write_table(tmp_path, rows)
    read = read_summary(path)
    assert tasks_of(read) == list(TASKS)
    assert len(read) == 7
    assert read[0]["macro_f1_drug"] == 0.2
    assert "seconds" not in read[-1]
    marked = tmp_path / "marked.csv"  # as spreadsheets write UTF-8
    marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_summary(marked) == read
    assert (
        read
        == read_summary(str(tmp_path))
        == read_summary(pd.read_csv(path, float_precision="round_trip"))
        == read_summary(rows)
    )


@pytest.mark.parametrize(
    "rows", [[], [{"a": 1}], [{"strategy": "random"}], [{"strategy": "majority_class", "macro_f1_a": 1}]]
)
def test_what_is_no_table_is_refused(rows: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="a table with columns strategy and macro_f1_TASK is expected"):
        plot_comparison(rows)


def test_a_table_that_was_cut_is_said_to_be(tmp_path: Path) -> None:
    """Wherever it ends within a row: what is left is never drawn as if it was all."""
    path = write_table(tmp_path, table((0, 1)))
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        cells = whole[:length].splitlines()[-1].split(b",") if length else []
        is_whole = len(cells) == whole.splitlines()[0].count(b",") + 1
        if is_whole and b"\n" in whole[:length]:
            read_summary(path)
            continue
        with pytest.raises(ValueError, match=r"cells are expected, but there are \d+|a table with columns"):
            read_summary(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy,macro_f1_a\nrandom,high\n", "row 1: macro_f1_a must be a finite number or empty, but is"),
        ("strategy,macro_f1_a\nrandom,inf\n", "row 1: macro_f1_a must be a finite number"),
        ("strategy,macro_f1_a\nrandom,1\nrandom,\n", "row 2: macro_f1_a must be there, but is empty"),
        ("strategy,macro_f1_a\nrandom,1\n,1\n", "row 2: strategy must be there, but is empty"),
        ("strategy,macro_f1_a\nrandom,1,2\n", "line 2: 2 cells are expected, but there are 3"),
        ("strategy,macro_f1_\xe9\nrandom,1\n", "no valid CSV: 'utf-8' codec can't decode"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_bytes(text.encode("latin1"))
    with pytest.raises(ValueError, match=f"summary.csv.*{message}"):
        read_summary(tmp_path)


def test_a_table_may_lack_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first row may, whose empty cells are those of a run without them."""
    monkeypatch.setattr("tombola.experiments.six.page._picture", lambda figure, path: "")
    head = "strategy,seed,macro_f1_a,accuracy_a,seconds\n"
    (tmp_path / "summary.csv").write_text(f"{head}random,0,0.5,,\nrandom,1,0.3,0.25,2\n", encoding="utf-8")
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert ">0.250<" in page


@pytest.mark.parametrize("line", [b"null", b"[]", b'{"kind": "test"', b'{"kind": "test"}', b"\xff", b"\0"])
def test_what_is_no_record_is_named(line: bytes, tmp_path: Path) -> None:
    write_records(tmp_path, ("random-seed0",))
    path = tmp_path / "runs" / "random-seed0.jsonl"
    path.write_bytes(path.read_bytes().rpartition(b"\n")[0] + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=r"random-seed0.jsonl, line 5: a record of a run is expected, but"):
        read_results(tmp_path)


def widths(axes: Any) -> list[float]:
    return [float(bar.get_width()) for container in axes.containers for bar in container]


def test_the_comparison_shows_means_deviations_and_each_run() -> None:
    figure, axes = plot_comparison(pd.DataFrame(table((0, 1))))
    assert isinstance(figure, Figure)
    assert axes.shape == (2, 2)
    assert widths(axes[1, 0]) == [1_000.5, 2_000.5, 3_000.5]
    dots = [line.get_xdata().tolist() for line in axes[1, 0].lines]
    assert dots == [[1_000.0, 1_001.0], [2_000.0, 2_001.0], [3_000.0, 3_001.0]]
    assert axes[1, 0].get_title(loc="left") == "Throughput (2 runs each)"
    assert widths(axes[1, 1]) == [2.0, 3.0, 4.0]
    assert "line" in axes[1, 1].get_xlabel()
    heights = [[bar.get_height() for bar in bars] for bars in axes[0, 0].containers if len(bars) == 2]
    assert np.allclose(heights[0], [0.21, 0.21], rtol=1e-12)
    assert [text.get_text() for text in axes[0, 0].get_xticklabels()] == list(TASKS)


def test_one_run_has_no_deviation_and_no_dots() -> None:
    figure, axes = plot_comparison(table((0,)))
    assert "means of" not in figure.get_suptitle()
    assert len(axes[1, 0].lines) == 0
    assert axes[1, 0].get_title(loc="left") == "Throughput (1 run each)"


def test_time_tells_waiting_apart() -> None:
    _, axes = plot_time_comparison(table((0, 2)))
    assert axes.shape == (2,)
    assert widths(axes[0]) == [3.0, 3.0, 3.0, 0.5, 0.5, 0.5]


def test_curves_show_every_run(tmp_path: Path) -> None:
    write_records(tmp_path, ("random-seed0", "random-seed1", "streaming-seed0"))
    results = read_results(tmp_path)
    assert list(results) == ["streaming-seed0", "random-seed0", "random-seed1"]
    _, axes = plot_training_curves(results, "drug")
    assert axes.shape == (3,)
    assert len(axes[0].lines) == 6
    assert axes[0].lines[0].get_xydata().tolist() == [[40.0, 0.2], [80.0, 0.1]]
    figure, again = plot_training_curves(tmp_path, "drug")
    assert again[2].lines[0].get_xydata().tolist() == axes[2].lines[0].get_xydata().tolist()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["streaming", "random"]
    with pytest.raises(ValueError, match="task must be one of drug, line, but is 'dose'"):
        plot_training_curves(results, "dose")
    with pytest.raises(FileNotFoundError, match=r"no records, which are runs/\*.jsonl"):
        plot_training_curves(tmp_path / "runs", "drug")


def test_curves_leave_out_the_few_batches_at_the_end_of_an_epoch() -> None:
    figures = {"drug": {"loss": 2.0, "accuracy": 0.5, "macro_f1": 0.25}}
    ends = (64, 128, 136, 200, 264, 296)
    records = [
        {"kind": "interval", "cells": cells, "seconds": 1.0, "train": figures, "test": figures}
        for cells in ends
    ]
    _, axes = plot_training_curves({"random-seed0": records}, "drug")
    assert axes[1].lines[0].get_xdata().tolist() == [64.0, 128.0, 200.0, 264.0, 296.0]
    assert axes[1].lines[1].get_xdata().tolist() == list(ends)
    figure: Any = axes[0].figure
    figure.canvas.draw()
    assert {text.get_text() for text in axes[0].get_yticklabels(which="both")} >= {"2"}


def test_score_over_seconds_ends_where_runs_end(tmp_path: Path) -> None:
    write_records(tmp_path, ("random-seed0",))
    axes: Any = plot_f1_over_seconds(table((0, 2)), results=tmp_path)[1]
    assert axes.lines[0].get_xydata().tolist() == [[0.5, 0.25], [1.0, 0.5]]
    ends = [bar.lines[0].get_xydata().tolist() for bar in axes.containers]
    assert np.allclose(ends, [[[3.0, 0.22]], [[3.0, 0.32]], [[3.0, 0.42]]], rtol=1e-12)
    with pytest.raises(ValueError, match="task must be one of drug, line, but is 'dose'"):
        plot_f1_over_seconds(table((0,)), "dose")


def test_scores_that_are_nearly_equal_stand_below_the_top() -> None:
    rows = [
        {**row, "macro_f1_drug": 0.9 + at / 100, "macro_f1_line": 0.9, "seconds": 70.0 + at}
        for at, row in enumerate(table((0,)))
    ]
    axes: Any = plot_f1_over_seconds(rows)[1]
    size = 8 / 2 / 72 * axes.figure.dpi
    axes.figure.canvas.draw()
    for bar in axes.containers:
        ((x, y),) = axes.transData.transform(bar.lines[0].get_xydata())
        assert y + size < axes.bbox.y1
        assert x + size < axes.bbox.x1


@pytest.mark.parametrize("name", ["picture", "picture.png", "picture.pdf"])
def test_both_formats_are_written(name: str, tmp_path: Path) -> None:
    figure: Any = plot_f1_over_seconds(table((0,)))[0]
    png, pdf = save_figure(figure, tmp_path / "new" / name, dpi=40)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in png.parent.iterdir()) == ["picture.pdf", "picture.png"]


def test_labels_with_dots_have_pictures_of_their_own(tmp_path: Path) -> None:
    class Drawn:
        def savefig(self, path: Path, dpi: int) -> None:
            path.write_bytes(b"drawn")

    figure: Any = Drawn()
    written = save_figure(figure, tmp_path / "curves_cell.type")
    assert [path.name for path in written] == ["curves_cell.type.png", "curves_cell.type.pdf"]
