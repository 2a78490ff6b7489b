"""`repack`: the steps from the inputs to the output, and what becomes of them when something goes wrong.

1. Matrices go to a log of encoded chunks beside the output, window by window, in the new order.
2. The output is put together there: chunks as they are, obs in the new order, all else copied.
3. Every row is compared with the inputs; then the file gets its name.

A killed run goes on where it was in step 1. An error removes everything that was written.
"""

import errno
import logging
import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import h5py

from .._version import __version__
from ..sources.h5ad.arguments import PathLike, as_paths
from ..sources.h5ad.elements import index_name
from ..sources.h5ad.files import open_alone
from ..sources.h5ad.obs import column_names
from .assemble import assemble
from .chunk_log import ChunkLog, StaleError
from .contents import count_rows, find_matrices
from .encode import check_codec
from .frames import Assembly
from .matrices import MatrixIn
from .options import RepackOptions
from .order import RowOrder
from .part import Part, fingerprint
from .rows import Inputs
from .verify import verify_matrix, verify_rows
from .write import Report, write_matrices

__all__ = ["RepackResult", "repack"]

_logger = logging.getLogger("tombola.repacking")
_NOT_OF_LAYOUT = ("verify", "force")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HDF5_ERRNO = re.compile(r"\berrno = (\d+)")


@dataclass(frozen=True)
class RepackResult:
    """What was written.

    Parameters
    ----------
    path
        The output.
    n_rows
        Its rows.
    matrices
        Names of the matrices written anew.
    bytes_before, bytes_after
        Sizes of the inputs together, and of the output.
    seconds
        How long this run took.
    notes
        What was left out and why, one line each.
    """

    path: Path
    n_rows: int
    matrices: tuple[str, ...]
    bytes_before: int
    bytes_after: int
    seconds: float
    notes: tuple[str, ...]


def repack(
    paths: PathLike | Iterable[PathLike],
    output: PathLike,
    *,
    options: RepackOptions | None = None,
    report: Report | None = None,
) -> RepackResult:
    """Write h5ad files anew, as one file that loads faster and that every reader of h5ad still reads.

    Parameters
    ----------
    paths
        One h5ad file or several, whose var names must agree.
    output
        The file to write. While it is under way, a folder of its name with ``.part`` behind it lies beside
        it; the same call goes on with what a killed run left there.
    options
        By default `RepackOptions()`.
    report
        Is called with what is being done, the rows done, and the rows there are.

    Raises
    ------
    FileExistsError
        If the output exists, and ``force`` is not set.
    OSError
        If an input cannot be read or the output cannot be written. What was written is removed.
    ValueError
        If the output is one of the inputs, the inputs do not go together, or a row is not as it was.

    Notes
    -----
    Written anew are X, layers, raw/X and sparse matrices of obsm, always by rows (CSR) or dense, and obs and
    obsm in the new order. var, uns, varm and varp of one input are copied, obsp too if rows keep their order.
    Whatever is left out is in ``notes`` and in the log (`tombola.repacking`).

    O(bytes). Memory: ``options.memory`` for windows, 8 bytes a row with ``shuffle`` (12 more while the
    permutation is made), and of several inputs the columns of obs that have to be united. Disk, beside the
    output: the encoded chunks once more, and with ``shuffle`` the rows of one matrix as they are in memory.

    Examples
    --------
    >>> from tombola.repacking import RepackOptions, repack
    >>> repack("cells.h5ad", "fast.h5ad", options=RepackOptions(shuffle=True)).n_rows  # doctest: +SKIP
    100000
    """
    start = time.perf_counter()
    options = RepackOptions() if options is None else options
    inputs, out = as_paths(paths), Path(output)
    _check_paths(inputs, out, force=options.force)
    check_codec(options)
    n = count_rows(inputs)
    _check_frames(inputs, options)
    notes: list[str] = []
    matrices = find_matrices(inputs, options, notes.append)
    notes += [
        f"{path}: {matrix.name} was stored by columns, and is by rows now"
        for matrix in matrices
        for path in matrix.by_columns
    ]
    for note in notes:
        _logger.warning(note)
    kept = {name: value for name, value in asdict(options).items() if name not in _NOT_OF_LAYOUT}
    part = Part(out, fingerprint(inputs, kept, __version__))
    try:
        order = RowOrder(n, options.seed if options.shuffle else None)
        _write(_Task(matrices, inputs, order, options, part, notes), report or _ignore)
        sizes = sum(path.stat().st_size for path in inputs), part.whole.stat().st_size
        part.become(out)
    except KeyboardInterrupt:
        part.close()
        raise
    except BaseException as error:
        part.remove()
        _say_full_disk(error, out)
        raise
    names = tuple(matrix.name for matrix in matrices)
    return RepackResult(out, n, names, *sizes, time.perf_counter() - start, tuple(notes))


class _Task(NamedTuple):
    """One repacking."""

    matrices: list[MatrixIn]
    paths: tuple[Path, ...]
    order: RowOrder
    options: RepackOptions
    part: Part
    notes: list[str]


def _write(task: _Task, report: Report) -> None:
    """Write the file that becomes the output."""
    part, order, options = task.part, task.order, task.options
    try:
        log = write_matrices(task.matrices, order, options, part, report)
    except StaleError as error:
        _logger.warning("%s; it is begun anew", error)
        part.forget()
        log = write_matrices(task.matrices, order, options, part, report)
    try:
        _assemble(task, log)
    finally:
        log.close()
    if options.verify:
        for matrix in task.matrices:
            verify_matrix(matrix, part.whole, order, options, report)


def _assemble(task: _Task, log: ChunkLog) -> None:
    inputs, whole = Inputs(task.paths), task.part.whole
    try:
        with h5py.File(whole, "w") as file:
            assembly = Assembly(file, inputs, task.order, task.options, task.notes)
            assemble(assembly, task.matrices, task.part.state.get("totals", []), log)
        with whole.open("rb") as written:
            os.fsync(written.fileno())
        if task.options.verify:
            with h5py.File(whole, "r") as file:
                verify_rows(file, assembly.written, task.order, task.options)
    finally:
        inputs.close()


def _check_paths(inputs: tuple[Path, ...], out: Path, *, force: bool) -> None:
    for path in inputs:
        if path.resolve() == out.resolve() or (path.exists() and out.exists() and path.samefile(out)):
            msg = f"{out}: the output must be another file than the inputs"
            raise ValueError(msg)
    if out.is_dir():
        msg = f"{out}: the output must be a file, but is a folder"
        raise ValueError(msg)
    if out.exists() and not force:
        msg = f"{out}: it exists; force (--force) replaces it"
        raise FileExistsError(msg)


def _check_frames(paths: tuple[Path, ...], options: RepackOptions) -> None:
    for path in paths:
        with open_alone(path) as file:
            for part in ("obs", "var"):
                if part not in file:
                    msg = f"{path}: repacking needs obs and var, but the file has no {part}"
                    raise ValueError(msg)
            where, obs = f"{path}: obs", file["obs"]
            if options.shuffle and options.row_column in column_names(obs, where, index_name(obs, where)):
                msg = (
                    f"{path}: obs has a column {options.row_column!r} already; row_column (--row-column) "
                    "names another one to keep the rows of the inputs in"
                )
                raise ValueError(msg)


def _ignore(what: str, done: int, total: int) -> None:
    """Report nothing."""


def _say_full_disk(error: BaseException, out: Path) -> None:
    """Say in one way that there is no room, whether the system says so or HDF5, in the text of an error."""
    found: BaseException | None = error
    while found is not None:
        said = _HDF5_ERRNO.search(str(found)) if isinstance(found, OSError | RuntimeError) else None
        number = int(said[1]) if said else getattr(found, "errno", None)
        if number in _NO_ROOM:
            msg = f"{os.strerror(number)}; what was written is removed"
            raise OSError(number, msg, str(out)) from error
        found = found.__context__
