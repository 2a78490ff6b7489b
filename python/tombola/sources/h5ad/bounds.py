"""Where blocks of rows begin that follow the chunks of files, so that an epoch inflates each about once.

A block holds the rows that begin in one chunk, or in several where these hold fewer rows than asked for. The
last row of a block may end in the next chunk, the beginning of which is then read twice. Sparse matrices have
chunks of data and of indices: where these differ in length, the longer ones count.

In: the layouts of files. Out: row numbers of the source. Complexity: O(chunks) time and memory, and a binary
search of each chunk among the row starts.
"""

import numpy as np

from ..._base.checks import check_integer
from ..._base.types import IndexArray
from .files import open_alone
from .layout import FileLayout
from .sparse import CsrMatrix

__all__ = ["FollowsChunks"]

DEFAULT_MIN_ROWS = 16
"""As many rows as a block has where nothing is said: shorter runs cost more to find than to read."""


class FollowsChunks:
    """A source of files that knows where their chunks begin."""

    _layouts: list[FileLayout]

    def chunk_bounds(self, *, min_rows: int = DEFAULT_MIN_ROWS) -> IndexArray:
        """Say where blocks of rows begin that follow the chunks of the files.

        Parameters
        ----------
        min_rows
            The least rows of a block, but of a file that has fewer. Neighbouring chunks in which fewer begin
            form a block together; a matrix that does not lie in chunks is cut into blocks of so many rows.

        Returns
        -------
        ndarray of int64
            For ``BlockShuffling(bounds=...)``: strictly increasing, from 0 to the number of rows; each is the
            first row that begins in a chunk, or in a file. Files share no block.

        Raises
        ------
        TypeError, ValueError
            If `min_rows` is no integer >= 1.
        OSError
            If a file cannot be read.

        Notes
        -----
        By such blocks an epoch inflates each chunk about once. Where chunks hold many rows a fetch window has
        few of them, and its batches are less mixed. O(chunks) time and memory.

        Examples
        --------
        >>> source = tombola.H5adSource("cells.h5ad")  # doctest: +SKIP
        >>> strategy = tombola.BlockShuffling(bounds=source.chunk_bounds())  # doctest: +SKIP
        """
        least = check_integer("min_rows", min_rows, minimum=1)
        parts = [np.zeros(1, dtype=np.int64)]
        before = 0
        for layout in self._layouts:
            parts.append(_ends(_chunk_rows(layout, least), layout.n_obs, least) + before)
            before += layout.n_obs
        return np.concatenate(parts)


def _chunk_rows(layout: FileLayout, min_rows: int) -> IndexArray:
    """Return the first row that begins in each chunk, ascending from 0; rows may come several times."""
    matrix = layout.matrix
    with open_alone(layout.path) as file:
        if matrix.encoding != "csr":
            stored = file[matrix.name]
            # What is stored by columns, or is a field of a compound dataset, is read from memory.
            chunks = None if matrix.encoding != "dense" or stored.dtype.names else stored.chunks
            return np.arange(0, layout.n_obs, min_rows if chunks is None else chunks[0], dtype=np.int64)
        parts = [file[f"{matrix.name}/{part}"].chunks for part in ("data", "indices")]
    assert isinstance(matrix, CsrMatrix)
    chunk = max((chunks[0] for chunks in parts if chunks is not None), default=None)
    if chunk is None:
        return np.arange(0, layout.n_obs, min_rows, dtype=np.int64)
    return _first_rows(matrix, np.arange(0, matrix.n_values, chunk, dtype=np.int64))


def _first_rows(matrix: CsrMatrix, elements: IndexArray) -> IndexArray:
    """Return the first row that begins at or after each element."""
    row_of = matrix.pointers.row_of
    found = [0 if element == 0 else row_of(element - 1) + 1 for element in elements.tolist()]
    return np.array(found, dtype=np.int64)


def _ends(starts: IndexArray, n_rows: int, min_rows: int) -> IndexArray:
    """Return where blocks of at least ``min_rows`` end: some of the starts, and the number of rows."""
    if n_rows == 0:
        return np.empty(0, dtype=np.int64)
    ends = np.append(starts[(starts > 0) & (starts < n_rows)], n_rows)
    lengths = np.diff(ends, prepend=0)
    if lengths.min() >= min_rows:
        return ends
    kept: list[int] = []
    at = int(np.searchsorted(ends, min_rows))
    while at < len(ends):
        kept.append(at)
        at = int(np.searchsorted(ends, ends[at] + min_rows))
    chosen = ends[kept or [-1]]
    chosen[-1] = n_rows  # with the rows that are too few for a block of their own
    return chosen
