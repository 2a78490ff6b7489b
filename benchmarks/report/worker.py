"""The process that measures one thing: it makes a task, checks its answer, and runs it whenever it is asked.

``python -m benchmarks.report.worker CALL`` answers each line of its input by a line of JSON: the first by
what it made, or why it could not, each further one by ``[seconds, count]`` of one time.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TextIO

from benchmarks.report.tasks import Absent, Call, Task, make, repeats_for, timed

__all__ = ["Made", "prepare"]


@dataclass(frozen=True)
class Made:
    """What a worker says of its task.

    Parameters
    ----------
    absent : str
        Why there is none; empty if there is one.
    failed : bool
        Whether that is a failure, rather than a peer that is not installed.
    seconds : float
        Of the run that warmed up.
    repeats : int
        Runs in each time.
    note : str
    bits : dict of str to float
    versions : dict of str to str
        Of the packages that were asked for.
    """

    absent: str = ""
    failed: bool = False
    seconds: float = 0.0
    repeats: int = 1
    note: str = ""
    bits: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def prepare(call: Call, packages: list[str]) -> tuple[Task | None, Made]:
    """Return a task that is warm, and what is said of it."""
    versions = {}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            return None, Made(absent=f"{name} is not installed")
    try:
        task = make(call)
        seconds, _ = timed(task)
    except Absent as reason:
        return None, Made(absent=str(reason))
    except Exception as error:  # whatever a peer raises: it is named with it, and the others go on
        text = " ".join(str(error).split())[:200]
        return None, Made(absent=f"{type(error).__name__}: {text}", failed=True)
    repeats = repeats_for(task, seconds)
    return task, Made(
        seconds=seconds, repeats=repeats, note=task.note, bits=dict(task.bits), versions=versions
    )


def main(arguments: list[str], lines: TextIO, out: TextIO) -> None:
    """Answer line by line until there is no more."""
    asked = json.loads(arguments[0])
    packages = asked.pop("packages")
    task, made = prepare(Call(**asked), packages)
    for number, _ in enumerate(lines):
        if number == 0:
            answer: object = asdict(made)
        elif task is None:
            return
        else:
            answer = timed(task, made.repeats)
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")  # what packages print is no answer
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    main(sys.argv[1:], sys.stdin, answers)
