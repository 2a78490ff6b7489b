"""Work done ahead in threads, results in order.

Rule: at most `ahead` jobs are under way or done and not yet asked for, so memory is bounded. A thread never
waits for the consumer, it runs out of jobs; so nothing hangs where a consumer breaks off or the interpreter
exits. They begin with the first result asked for, in the process that asks: a fork inherits none.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from .._base.fork import forks

__all__ = ["in_order"]

J = TypeVar("J")
R = TypeVar("R")


def in_order(
    jobs: Iterator[J],
    work: Callable[[J], R],
    *,
    ahead: int,
    threads: int = 1,
    first_alone: bool = False,
) -> Generator[R, None, None]:
    """Yield ``work(job)`` for each job, with the next `ahead` jobs in threads; 0 works without one.

    `first_alone` begins no other job until the first one is done, which others would be in the way of.

    An exception in `work` is raised where its result would have come. Jobs not begun are forgotten when the
    generator is closed or dropped; one under way ends on its own.
    """
    if ahead == 0:
        for job in jobs:
            yield work(job)
        return
    made = forks()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tombola-prefetch")
    pending: deque[Future[R]] = deque()
    try:
        pending.extend(pool.submit(work, job) for job in islice(jobs, 1 if first_alone else ahead))
        while pending:
            if forks() != made:
                msg = "a pass must be read by the process that began it, but this one was forked since"
                raise RuntimeError(msg)
            result = pending.popleft().result()
            pending.extend(pool.submit(work, job) for job in islice(jobs, ahead - len(pending)))
            yield result
            del result  # while the next one is waited for, this one must not take memory
    finally:
        if forks() == made:  # a fork has none of the threads, but may have locks that they held
            for job_ahead in pending:
                job_ahead.cancel()
            # Its own cancel_futures needs a module that may be gone when the interpreter ends.
            pool.shutdown(wait=False)
