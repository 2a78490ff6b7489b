"""Tables that fit the terminal: one that is too wide goes on below, with its first columns again.

Rule: figures are never cut and never broken. A column of figures (those to the right, and those that must not
wrap) is as wide as its widest cell; its heading may break between words. Text to the left may break, too. As
many columns as fit stand side by side; the others follow in further tables that begin with the same first
columns, so that each row is known again. Complexity: O(cells).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Column, Table

__all__ = ["fold_table", "print_table"]

TEXT_WIDTH = 24
"""What a column of text has at least, where its cells are that long and it says no `min_width`."""
LEAST_WIDTH = 8
"""What a column has, even where those before it take all the room."""
_BESIDE_A_CELL = 3  # a blank on each side and a line
_FIRST_LINE = 1


def print_table(console: "Console", table: "Table", *, keys: int = 1) -> None:
    """Print a table as wide as the console, in several pieces where that is needed.

    Parameters
    ----------
    console : Console
    table : Table
        Its cells are texts, markup included.
    keys : int
        How many of its first columns tell rows apart.
    """
    for piece in fold_table(table, console.width, keys=keys):
        console.print(piece)


def fold_table(table: "Table", width: int, *, keys: int = 1) -> "list[Table]":
    """Return the tables of at most `width` characters that hold the columns of one, in order.

    A column that is wider than that by itself breaks within its cells.
    """
    measured = [_Measured(column, width) for column in table.columns]
    pieces: list[list[int]] = [[]]
    for at, column in enumerate(measured):
        piece = pieces[-1]
        if len(piece) > keys and column.needed > _room(measured, piece, width):
            piece = [*range(keys)]
            pieces.append(piece)
        column.needed = min(column.needed, max(_room(measured, piece, width), LEAST_WIDTH))
        piece.append(at)
    return [_piece(table, measured, chosen, width, is_first=not n) for n, chosen in enumerate(pieces)]


def _room(measured: "list[_Measured]", chosen: list[int], width: int) -> int:
    """Return the width that one more column can have beside some."""
    return width - _FIRST_LINE - _BESIDE_A_CELL - sum(measured[i].needed + _BESIDE_A_CELL for i in chosen)


class _Measured:
    """The width that a column needs, and the one that it would like to have."""

    def __init__(self, column: "Column", width: int) -> None:
        from rich.text import Text

        heading, *cells = [Text.from_markup(str(cell)) for cell in (column.header, *column.cells)]
        widest = max((line.cell_len for cell in cells for line in cell.split()), default=0)
        word = max((Text(part).cell_len for part in heading.plain.split()), default=0)
        is_text = column.justify != "right" and not column.no_wrap
        most = width - _BESIDE_A_CELL - _FIRST_LINE
        self.needed = min(max(word, min(widest, column.min_width or TEXT_WIDTH) if is_text else widest), most)
        self.wanted = max(self.needed, min(max(widest, heading.cell_len), most))


def _piece(
    table: "Table", measured: list[_Measured], chosen: list[int], width: int, *, is_first: bool
) -> "Table":
    from rich.table import Table

    piece = Table(title=table.title if is_first else None, title_justify=table.title_justify)
    spare = width - _FIRST_LINE - sum(measured[at].needed + _BESIDE_A_CELL for at in chosen)
    for at in chosen:
        more = max(0, min(spare, measured[at].wanted - measured[at].needed))
        spare -= more
        column, size = table.columns[at], measured[at].needed + more
        piece.add_column(column.header, justify=column.justify, overflow="fold", width=size)
    cells = [[*table.columns[at].cells] for at in chosen]
    for row, style in enumerate(table.rows):
        piece.add_row(*(column[row] for column in cells), style=style.style, end_section=style.end_section)
    return piece
