"""Whether this process is a worker of a torch DataLoader. Torch is never imported: a worker has it."""

import sys
from typing import NamedTuple

__all__ = ["Worker", "loader_worker", "most_threads"]


class Worker(NamedTuple):
    """A worker process of a DataLoader.

    Parameters
    ----------
    workers, number : int
        How many workers the DataLoader has, and which this is.
    seed : int
        What the DataLoader drew for this set of workers; the same for all of them.
    """

    workers: int
    number: int
    seed: int


def loader_worker() -> Worker | None:
    """Return which worker this process is, None if it is none."""
    data = sys.modules.get("torch.utils.data")
    info = None if data is None else data.get_worker_info()
    return None if info is None else Worker(info.num_workers, info.id, info.seed - info.id)


def most_threads() -> int:
    """Return the most threads that the core takes here where nobody says a number, 0 for no limit.

    In a worker it is 1, as for torch's own threads: the workers share the processors. The core asks, in the
    thread that calls it.
    """
    return 0 if loader_worker() is None else 1
