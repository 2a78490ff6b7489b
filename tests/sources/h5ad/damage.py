"""Damaged files, read by `H5adSource` and `tombola inspect`: right rows, one error, or what HDF5 reads, too.

Of each damaged file the rows, the labels and the pages of `inspect` must be as they were; or there is one
error of the kinds documented, which names the file; or, where no checksum covers the damage, the values that
h5py reads there, too. Nothing else may be raised, no process end, no read take longer than `SECONDS` or more
memory than `MOST_BYTES` beyond what was there. Cases run in processes of their own, as HDF5 may end one.

`python -m tests.sources.h5ad.damage SEED...` runs the cases of these seeds and says what was damaged.
"""

import json
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.sources.h5ad.by_hdf5 import touch_all
from tests.sources.h5ad.damage_cases import (
    ERROR,
    OTHER,
    SAME,
    Case,
    Whole,
    WrongError,
    kind_of_seed,
    whole_files,
)

SECONDS = 30
START_SECONDS = 120
"""Until the first case: imports take long where the machine does other work."""
MOST_BYTES = 1 << 27
ADDRESS_SPACE = 1 << 30
"""What a process may map beyond what it has when it begins: more is refused by the system."""
OUTSIDE = "HDF5 ends the process, or does not end"
MODULE = "tests.sources.h5ad.damage"


def run_here(seeds: Iterable[int], folder: Path) -> None:
    """Run cases in this process; one line of JSON is printed at the beginning and the end of each."""
    warnings.simplefilter("error")
    wholes: dict[str, Whole] = {}
    for kind in {kind_of_seed(seed) for seed in seeds}:
        wholes[kind] = whole_files(kind, folder)
    limit = _status("VmSize") + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for seed in seeds:
        print(json.dumps({"begin": seed}), flush=True)
        case = Case(seed, wholes[kind_of_seed(seed)], folder)
        said: dict[str, Any] = {"seed": seed, "damage": case.damage.what}
        before, start = _reset_peak(), time.perf_counter()
        try:
            said["parts"] = case.run()
        except WrongError as error:
            said["wrong"] = str(error)
        said["seconds"], said["bytes"] = time.perf_counter() - start, _status("VmHWM") - before
        case.path.unlink()
        if said["bytes"] > MOST_BYTES:
            said.setdefault("wrong", f"{said['bytes']:,} bytes of memory for a file of some 100 kB")
        print(json.dumps(said), flush=True)


def _status(name: str) -> int:
    """Return a figure of this process in bytes; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return 0


def _reset_peak() -> int:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


class Run:
    """Processes that run cases one after the other, begun anew where one ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.said: list[dict[str, Any]] = []

    def run(self, seeds: list[int]) -> None:
        """Run all cases."""
        left = seeds
        while left:
            done, ended = self._process(left)
            if ended is not None:
                seed = left[done]
                outside = self._is_outside(seed)
                said: dict[str, Any] = {"seed": seed, "parts": [OUTSIDE]} if outside else {"wrong": ended}
                self.said.append({"seed": seed, **said})
                done += 1
            left = left[done:]

    def _process(self, seeds: list[int]) -> tuple[int, str | None]:
        """Run cases until all are done or the process ends; return how many, and how it ended."""
        process = _start(["--here", str(self._folder), *map(str, seeds)])
        lines: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        reader = threading.Thread(target=_pass_on, args=(process.stdout, lines))
        reader.start()
        done, begun, how = 0, False, None
        while True:
            try:
                limit = SECONDS if begun or done else START_SECONDS
                line = lines.get(timeout=limit)
            except queue.Empty:
                process.kill()
                how = f"it took longer than {limit} s"
                break
            if not line:
                break
            said = json.loads(line)
            begun = "begin" in said
            if not begun:
                self.said.append(said)
                done += 1
        _, errors = process.communicate()
        reader.join()
        if how is None and done < len(seeds):
            how = f"the process ended with {process.returncode}: {errors[-1500:]}"
        if how is not None and not begun:
            msg = f"between two cases: {how}"
            raise RuntimeError(msg)
        return done, how

    def _is_outside(self, seed: int) -> bool:
        """Tell whether h5py alone does the same."""
        process = _start(["--hdf5", str(self._folder), str(seed)])
        try:
            process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        return process.returncode != 0


def _pass_on(out: Iterable[str], lines: "queue.Queue[str]") -> None:
    for line in out:
        lines.put(line)
    lines.put("")


def _start(arguments: list[str]) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", MODULE, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_seeds(seeds: Iterable[int], folder: Path | None = None) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Run the cases of these seeds; count what came of them, and return all that was said of each.

    Raises
    ------
    AssertionError
        If something happens that must not; the message has the command that runs the case alone.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own:
        run = Run(Path(own))
        run.run(list(seeds))
    wrong = [
        f"seed {said['seed']} ({kind_of_seed(said['seed'])}; {said.get('damage', 'see below')}): "
        f"{said['wrong']}\n"
        f"again: python -m {MODULE} {said['seed']}"
        for said in run.said
        if "wrong" in said
    ]
    if wrong:
        raise AssertionError("\n".join(wrong))
    return Counter(outcome_of(said["parts"]) for said in run.said), run.said


def outcome_of(parts: list[str]) -> str:
    """Say in a few words what came of a case."""
    return next((each for each in (OUTSIDE, ERROR, OTHER) if any(each in part for part in parts)), SAME)


def main(arguments: list[str]) -> None:
    """Run cases."""
    if arguments[0] == "--here":
        run_here([int(seed) for seed in arguments[2:]], Path(arguments[1]))
    elif arguments[0] == "--end":  # as a crash, for the test of this
        print(json.dumps({"begin": int(arguments[2])}), flush=True)
        os.abort()
    elif arguments[0] == "--hdf5":
        seed = int(arguments[2])
        whole = whole_files(kind_of_seed(seed), Path(arguments[1]))
        touch_all(Case(seed, whole, Path(arguments[1])).path)
    else:
        for seed in map(int, arguments):
            counts, said = run_seeds([seed])
            print(f"seed {seed} ({kind_of_seed(seed)}): {dict(counts)}, {said}")


if __name__ == "__main__":
    main(sys.argv[1:])
