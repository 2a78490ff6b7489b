"""Tables fit: columns without room go on below, beside the first ones, and no figure is cut or broken."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from tombola._base.console import stdout_console
from tombola._base.tables import print_table

FIGURES = [f"{n}.{n}{n}{n} ± 0.0{n}" for n in range(1, 8)]


def printed(table: Table, width: int, **options: int) -> list[str]:
    file = io.StringIO()
    print_table(Console(file=file, width=width), table, **options)
    return file.getvalue().splitlines()


def wide(keys: int = 1) -> Table:
    table = Table(title="scores", title_justify="left")
    for n in range(keys):
        table.add_column(f"key {n}", no_wrap=True)
    for n in range(len(FIGURES)):
        table.add_column(f"macro-F1 of a label {n}", justify="right")
    table.add_row(*(f"block_shuffling_{n}" for n in range(keys)), *FIGURES)
    table.add_section()
    table.add_row(*(f"majority {n}" for n in range(keys)), *reversed(FIGURES))
    return table


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 400])
def test_every_figure_is_whole_at_every_width(width: int) -> None:
    lines = printed(wide(), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for figure in FIGURES:
        assert text.count(figure) == 2
    pieces = text.count("block_shuffling_0")
    assert pieces == text.count("majority 0") == text.count("┏")
    assert (pieces == 1) == (width >= 160)
    assert text.count("scores") == 1
    assert text.count("├") == pieces  # the line between sections


def test_what_tells_rows_apart_is_in_each_piece() -> None:
    text = "\n".join(printed(wide(2), 80, keys=2))
    assert text.count("┏") > 1
    assert text.count("┏") == text.count("block_shuffling_0") == text.count("block_shuffling_1")


def test_text_breaks_between_words_and_markup_takes_no_room() -> None:
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("values")
    table.add_row(
        "louvain", "[bold]1,000[/bold]", "CD14+ Monocyte 129, CD19+ B 95, and many other classes of cells"
    )
    lines = printed(table, 60)
    assert max(map(len, lines)) <= 60
    assert sum("┏" in line for line in lines) == 1
    assert sum("1,000" in line for line in lines) == 1
    assert "Monocyte" in " ".join(lines)


def test_a_column_of_text_may_say_how_narrow_it_may_be() -> None:
    for width, pieces in ((None, 2), (9, 1)):
        table = Table()
        table.add_column("reader", no_wrap=True)
        table.add_column("n", justify="right")
        table.add_column("remark", min_width=width)
        table.add_row("x" * 12, "1,000", "rows by a mask, X alone")
        lines = printed(table, 40)
        assert sum("┏" in line for line in lines) == pieces
        assert max(map(len, lines)) <= 40


def test_a_column_beside_wide_first_ones_breaks_within_its_cells() -> None:
    table = Table()
    table.add_column("reader", no_wrap=True)
    table.add_column("remark")
    table.add_row("x" * 20, "y" * 30)
    lines = printed(table, 40)
    assert max(map(len, lines)) <= 40
    assert sum(line.count("y") for line in lines) == 30


def test_a_column_wider_than_the_console_breaks_within_cells() -> None:
    table = Table()
    table.add_column("path", no_wrap=True)
    table.add_row("x" * 100)
    lines = printed(table, 40)
    assert max(map(len, lines)) <= 40
    assert sum(line.count("x") for line in lines) == 100


def test_the_width_is_that_of_columns_or_80(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert stdout_console().width == 80
    monkeypatch.setenv("COLUMNS", "132")
    assert stdout_console().width == 132
