"""Rows of h5ad files, several files as one, read as anndata wrote them.

The rows of a window are read in file order, each chunk of a file once, without AnnData and without SciPy.
Cost: a few calls of HDF5 a megabyte plus the copy of the bytes; memory: the window, less than 2 bytes a row
for the row pointers of sparse files, and the obs columns in use at their stored width.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..._base.types import IndexArray
from ..base import Column
from ..rows import check_rows
from .arguments import PathLike, as_paths, batch_type, names_of_columns, names_of_texts, number_type, one_of
from .bounds import FollowsChunks
from .concat import join_variables
from .describe import describe_file, describe_table
from .files import OpenFiles
from .layout import FileLayout, FoundColumns, Opening, read_layout
from .obs_table import CategoriesView, ObsOptions, ObsTable, ObsView
from .row_texts import OBS_NAMES, GivesTexts, TextTable, WhereText
from .selection import file_numbers
from .several import MatrixOfFiles, names_of_matrices, open_further, read_in_order, rows_of_all
from .transform import check_steps

RESERVED = ("row",)


class H5adSource(FollowsChunks, GivesTexts):
    """Rows of one or more h5ad files.

    Parameters
    ----------
    paths
        One path or several. The rows of several files follow each other in this order.
    x
        The matrix: "X", "layers/NAME", "raw/X" or "obsm/NAME"; "mod/NAME/X" and so on of a MuData file, whose
        obs then are those of that modality. Or a mapping of such, by their names in batches. Its "X", or the
        first, is what `vars` and all else is said of; `vars` holds for those with the same var names, too.
    obs
        Columns of obs to read with each row, as numbers or codes.
    text
        Columns of obs to read with each row as text: free text, or categories of text by their names. `read`
        gives arrays of str, batches hold lists; None where it is missing.
    obs_names
        Whether each row comes with its name, in the column "obs_names".
    text_in
        Where text that is stored row by row is between reads: in the "file", of which a window reads its own
        rows, or in "memory", as bytes and less than 2 bytes a row beside them.
    x_format
        Whether batches of X are handed out "dense" or as "csr" rows. Of sparse files a window stays CSR
        either way; of dense files a window is dense, `len(rows) * n_vars` values.
    dtype
        X is cast to it, a type of NumPy's or torch's. Floats round; a value that would become another one
        is an error that names it and its row, as 300 for uint8 or 1e300 for float32. Of "bfloat16", which
        NumPy has not, `read` gives float32, and a `Loader` casts batches.
    join
        What to do where the var names of files differ: "exact" refuses, "inner" keeps the names that all
        files have, in the first file's order, "outer" all names, with X 0 where a file lacks one.
    vars
        The columns of X to give, by name and in this order, such as another source's `var_names`: all files
        must have them, but with ``join="outer"``. Or a mask, one boolean for each column that there is else.
    normalize_total
        The total that each row gets over all columns that its file has, before `vars` picks some; a row whose
        total is 0 stays.
    log1p
        Whether X becomes log(1 + x), after that.
    scale
        After that, ``(mean, std)``, X becoming ``(x - mean) / std``, or `std` alone; arrays with an entry for
        each of `var_names`. With a mean batches must be dense.
    obs_join
        Which columns of obs there are: "inner" those that all files have, "outer" those that any has, missing
        where a file lacks one. By default "outer" with ``join="outer"``, else "inner".
    categories
        The categories of some columns, by name and in their order: a dict, or another source's `categories`.
        Codes then mean the same in both. By default those that the files have.
    unknown
        What a value is that is none of the categories given: an "error" that names it, or "missing".

    Attributes
    ----------
    paths : tuple of Path
    var_names : list of str
        Of `x`, or its first.
    var_names_of : mapping
        By the names of matrices in batches.
    matrices : mapping
        Name in batches to name of the matrix, as given by `x`.
    n_vars : int
    file_bounds : ndarray of int64, shape (n_files + 1,)
        File f holds the rows from ``file_bounds[f]`` to ``file_bounds[f + 1]``.
    obs_names : sequence of str
        Names of all rows, read when they are asked for; its `count_duplicates` counts those that come again.
    obs : mapping
        Every column of obs by name, as a whole: numbers, or a `Categorical`, whose codes are as wide as they
        are stored, -1 where missing; text is one, too. All are read-only.
    categories : mapping
        Categories of the obs columns that have some. Those of several files are united, in order of
        appearance; those of text columns are sorted. A column that is missing throughout in one file, or not
        there, is missing there.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    OSError
        If a file is no HDF5 file, truncated or damaged.
    KeyError
        If X or a column is not there; the message lists what is.
    ValueError
        If the parts of a file, or the files, do not fit each other, or an option is none of those above.

    Notes
    -----
    Files open lazily, in each process anew: a source can be pickled and survives fork. Matrices stored by
    columns (CSC) are turned into rows in memory once a process, up to 2 GiB. Between reads a source keeps the
    memory of dropped windows, up to 640 MiB a matrix, as new memory costs as much as the copy of the rows.

    Examples
    --------
    >>> source = H5adSource("cells.h5ad", obs=["cell_type"], x_format="csr")  # doctest: +SKIP
    >>> batch = source.read(np.array([0, 5, 6]))  # doctest: +SKIP
    >>> batch["X"].to_dense().shape, batch["cell_type"].dtype  # doctest: +SKIP
    ((3, 20000), dtype('int64'))
    """

    windows_at_once = 2

    def __init__(
        self,
        paths: PathLike | Iterable[PathLike],
        *,
        x: str | Mapping[str, str] = "X",
        obs: str | Sequence[str] = (),
        text: str | Sequence[str] = (),
        obs_names: bool = False,
        text_in: WhereText = "file",
        x_format: Literal["dense", "csr"] = "dense",
        dtype: Any = "float32",
        join: Literal["exact", "inner", "outer"] = "exact",
        vars: Sequence[str] | npt.NDArray[np.bool_] | None = None,
        normalize_total: float | None = None,
        log1p: bool = False,
        scale: Any = None,
        obs_join: Literal["inner", "outer"] | None = None,
        categories: Mapping[str, Any] | None = None,
        unknown: Literal["error", "missing"] = "error",
    ) -> None:
        self.paths = as_paths(paths)
        self.matrices = names_of_matrices(x)
        self._first, self.x = next(iter(self.matrices.items()))
        self.x_format = one_of("x_format", x_format, ("dense", "csr"))
        self.join = one_of("join", join, ("exact", "inner", "outer"))
        if obs_join is None:
            obs_join = "outer" if join == "outer" else "inner"
        self.obs_join = one_of("obs_join", obs_join, ("inner", "outer"))
        one_of("unknown", unknown, ("error", "missing"))
        self.dtype, self.batch_dtype = number_type(dtype), batch_type(dtype)
        taken = (*self.matrices, *RESERVED, *([OBS_NAMES] if obs_names else []))
        self.columns = names_of_columns(obs, taken)
        self.text_columns = names_of_texts(text, obs_names, taken, self.columns)
        self.gives_obs_names = obs_names
        one_of("text_in", text_in, ("file", "memory"))
        files = OpenFiles()
        self._layouts: list[FileLayout] = []
        names: list[list[str]] = []
        opening = Opening(self.columns, self.paths)
        found: list[FoundColumns] = []
        for path in self.paths:
            layout, var_names, columns = read_layout(path, self.x, files, opening)
            self._layouts.append(layout)
            # Files that agree share one list: a thousand plates would take gigabytes otherwise.
            if names and var_names is not names[0] and var_names == names[0]:
                var_names = names[0]
            names.append(var_names)
            found.append(columns)
        self.var_names, column_maps = join_variables(names, list(self.paths), self.join, vars)
        self._steps = check_steps(
            normalize_total,
            log1p,
            scale,
            names=self.var_names,
            dtype=self.dtype,
            gives_dense=x_format == "dense",
        )
        first = MatrixOfFiles(self._first, self._layouts, column_maps, self.var_names)
        others = {name: matrix for name, matrix in self.matrices.items() if name != self._first}
        self._all = [first, *open_further(others, self.paths, files, first, names, self.join)]
        given = dict(categories) if isinstance(categories, dict) else categories
        self._table = ObsTable(self._layouts, ObsOptions(self.obs_join, given, unknown))
        self._texts = TextTable(self._layouts, files, text_in)
        self._prepare(found)
        self._use_texts(self._table.check_name)

    def _prepare(self, found: Sequence[FoundColumns] = ()) -> None:
        self._offsets = np.cumsum([0] + [layout.n_obs for layout in self._layouts], dtype=np.int64)
        self._rows = rows_of_all(self._all, self._steps, as_dense=self.x_format == "dense", dtype=self.dtype)
        self._table.use(self.columns, found)

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def __repr__(self) -> str:
        files = str(self.paths[0]) if len(self.paths) == 1 else f"{len(self.paths)} files"
        size = f"{len(self):,} rows x {self.n_vars:,} columns"
        return f"H5adSource({files}, x={self.x!r}, {size}, {self.x_format}{self._steps})"

    @property
    def n_vars(self) -> int:
        """Number of columns of X."""
        return len(self.var_names)

    @property
    def var_names_of(self) -> Mapping[str, list[str]]:
        """Names of the columns of each matrix, by its name in batches."""
        return {matrix.name: matrix.var_names for matrix in self._all}

    @property
    def file_bounds(self) -> IndexArray:
        """Row at which each file begins, and the number of rows."""
        return self._offsets.copy()

    def files(self, *which: int | PathLike | Iterable[int | PathLike]) -> "H5adSource":
        """Give the source of some of the files, whose codes and columns mean what they mean here.

        Parameters
        ----------
        *which
            Numbers or paths of files, or one sequence of them; the rows follow each other in this order.

        Returns
        -------
        H5adSource
            With the same `var_names`, categories and types of columns, whatever these files hold. It shares
            open files and columns with this one, and may be pickled alone.

        Raises
        ------
        IndexError, KeyError
            If there is no such file.
        ValueError
            If one comes twice, or none is given.

        Notes
        -----
        O(rows of these files) for columns in use.

        Examples
        --------
        >>> source = H5adSource(["a.h5ad", "b.h5ad"], obs="drug")  # doctest: +SKIP
        >>> train, validation = source.files("a.h5ad"), source.files("b.h5ad")  # doctest: +SKIP
        """
        numbers = file_numbers(self.paths, which)
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part.paths = tuple(self.paths[number] for number in numbers)
        part._layouts = [self._layouts[number] for number in numbers]
        part._all = [matrix.part(numbers) for matrix in self._all]
        part._table = self._table.part(numbers)
        part._texts = self._texts.part(numbers)
        part._prepare()
        return part

    @property
    def obs(self) -> Mapping[str, Any]:
        """Every column of obs by name, read when it is asked for."""
        return ObsView(self._table)

    @property
    def categories(self) -> Mapping[str, npt.NDArray[Any]]:
        """Categories of the obs columns that hold codes."""
        return CategoriesView(self._table)

    def read(self, rows: IndexArray) -> dict[str, Column]:
        """Read the rows of one window.

        Parameters
        ----------
        rows
            Integers, strictly increasing, in [0, len(source)).

        Returns
        -------
        dict
            "X", or the names of `x`: `CsrRows` if all files are sparse or `x_format` is "csr", else an array
            of shape (len(rows), n_vars); for each column of `obs` an array of shape (len(rows),), numbers or
            int64 codes; and of `text` and `obs_names` such arrays of objects, str or None.

        Raises
        ------
        IndexError
            If a row is out of range.
        ValueError
            If rows are not strictly increasing, or a file holds a column index out of range or a value that
            `dtype` does not hold.
        OSError
            If a file cannot be read there.
        """
        rows = check_rows(rows, len(self))
        matrices = {name: matrix.read(rows) for name, matrix in self._rows.items()}
        return {**matrices, **self._read_columns(rows)}

    def read_in_order(self, rows: IndexArray) -> dict[str, Column] | None:
        """Read rows in any order, repeats allowed, each straight to its place.

        Parameters
        ----------
        rows
            int64, in [0, len(source)).

        Returns
        -------
        dict or None
            As `read`, row i of the columns being ``rows[i]``. None where rows cannot be read straight to
            their places: then `read` them in order, and take them from there.

        Raises
        ------
        IndexError, ValueError, OSError
            As `read`.
        """
        if len(rows) == 0 or not 0 <= rows.min() <= rows.max() < len(self):
            check_rows(np.unique(rows), len(self))
        matrices = read_in_order(self._rows, rows, np.argsort(rows, kind="stable"))
        return None if matrices is None else {**matrices, **self._read_columns(rows)}

    def _read_columns(self, rows: IndexArray) -> dict[str, Column]:
        return {**self._table.read(self.columns, rows), **self._read_texts(rows)}

    def describe(self) -> dict[str, Any]:
        """Say what the files hold: shapes, encodings, chunks, compression, obs columns with their classes.

        Returns
        -------
        dict
            JSON-able: n_obs, n_vars, x, `matrices` by name, what is done to x (`transform`), a list of
            `files` and, by name, the columns of `obs`.
        """
        return {
            "n_obs": len(self),
            "n_vars": self.n_vars,
            "x": self.x,
            "matrices": dict(self.matrices),
            "transform": self._steps.describe(),
            "files": [describe_file(layout) for layout in self._layouts],
            "obs": describe_table(self._table),
        }
