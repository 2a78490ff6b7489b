"""Running Numba kernels: compiled late and cached, on threads where that is safe.

A kernel comes in two forms that give equal bits: one goes through the chunks of its rows in order, the other
gives them to Numba's threads. Those threads do not survive a fork, and GNU OpenMP ends a child that asks for
them; so a forked process and a DataLoader worker use the serial form, as small work does everywhere. Numba's
workqueue layer ends a process in which two threads launch at once, so launches wait for each other. Its
OpenMP layer shares GNU OpenMP with torch, and a launch would leave torch with as many threads as Numba has.

Machine code is kept where Numba keeps it: in ``NUMBA_CACHE_DIR`` if that is set, else in ``__pycache__``
beside the source, else, where that cannot be written, in the user's cache folder. Where none can be written,
kernels are compiled anew in every process, which is said once.
"""

import logging
import multiprocessing
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar, overload

import numba

from ... import _core
from ..._base.fork import ForkLock, forks
from ..._base.workers import loader_worker

__all__ = ["PARALLEL_FROM", "Kernel", "compiled", "run", "thread_count"]

Function = TypeVar("Function", bound=Callable[..., Any])

PARALLEL_FROM = 2**20
"""Less work than this, in elements that are read, is not worth other threads: about a millisecond."""

_logger = logging.getLogger("tombola")
_launching = ForkLock()
_said_uncached = False


class Kernel(NamedTuple):
    """The two forms of one kernel; both write into arrays of the caller, a fault a chunk into the last one.

    `parts` takes the first chunk and the one after the last before its other arguments; `parallel` gives
    chunks to threads that call it.
    """

    parts: Callable[..., None]
    parallel: Callable[..., None]


@overload
def compiled(function: Function) -> Function: ...
@overload
def compiled(*, inner: bool = False, parallel: bool = False) -> Callable[[Function], Function]: ...
def compiled(function: Any = None, *, inner: bool = False, parallel: bool = False) -> Any:
    """Compile a function when it is first called; the GIL is released while it runs.

    Numba's cache knows a function by its file and name and looks at that one file for changes, so functions
    that call each other stay in one file, and the forms of one kernel have different names. What is `inner`
    is called by other kernels only: it gets no way in from Python, and is kept as a part of its callers.
    """
    if function is None:
        return partial(compiled, inner=inner, parallel=parallel)
    options = {
        "nogil": True,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
        "no_cpython_wrapper": inner,
        "parallel": parallel,
    }
    if inner:
        return numba.njit(**options)(function)
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError as error:  # no place for the cache can be written
        _say_uncached(error)
        return numba.njit(**options)(function)


def run(kernel: Kernel, *arguments: Any, work: int) -> None:
    """Run a kernel on as many threads as its work, in elements, is worth and this process may use."""
    threads = thread_count() if work >= PARALLEL_FROM else 1
    if threads == 1:
        kernel.parts(0, len(arguments[-1]), *arguments)
        return
    with _launching:
        torch = sys.modules.get("torch")
        of_torch = torch and torch.get_num_threads()  # first: the next line may start Numba's threads
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            kernel.parallel(*arguments)
        finally:
            numba.set_num_threads(before)
            if torch and torch.get_num_threads() != of_torch:
                torch.set_num_threads(of_torch)


def thread_count() -> int:
    """Return how many threads a large kernel uses: as many as tombola may and Numba can, or one."""
    if _threads_are_gone or forks() != _made or loader_worker() is not None:
        return 1
    return max(1, min(_core.get_num_threads(), int(numba.config.NUMBA_NUM_THREADS)))


def _inherits_threads() -> bool:
    """Return whether this is a child process whose Numba believes that its parent's threads run here."""
    if multiprocessing.parent_process() is None:
        return False
    try:
        numba.threading_layer()
    except ValueError:  # none was launched
        return False
    return True


def _say_uncached(error: RuntimeError) -> None:
    global _said_uncached
    if not _said_uncached:
        _said_uncached = True
        _logger.info("kernels are compiled in every process; NUMBA_CACHE_DIR can name a folder: %s", error)


_threads_are_gone = _inherits_threads()
_made = forks()
