"""Tables of text as commands read them: a line of headings, then rows with as many cells. O(cells)."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["csv_rows"]


def csv_rows(path: Path, lines: Iterable[str], cure: str = "") -> tuple[list[str], Iterator[list[str]]]:
    """Return the headings of a table and its rows, which are read as they are asked for.

    Parameters
    ----------
    path : Path
        Named in errors.
    lines : iterable of str
        Of a file, or of `io.StringIO`, that leaves ends of lines as they are: one may lie within a cell.
    cure : str
        What to do about a row that is none.

    Returns
    -------
    (list of str, iterator over lists of str)
        No headings where there is nothing; empty lines are left out.

    Raises
    ------
    csv.Error
        If a line is none of CSV.
    ValueError
        While rows are read: if one has fewer or more cells than headings; it names the line.
    """
    reader = csv.reader(lines)
    headings = next(reader, [])

    def rows() -> Iterator[list[str]]:
        for cells in filter(None, reader):
            if len(cells) != len(headings):
                msg = (
                    f"{path}, line {reader.line_num}: {len(headings)} cells are expected, "
                    f"but there are {len(cells)}{cure and f'; {cure}'}"
                )
                raise ValueError(msg)
            yield cells

    return headings, rows()
