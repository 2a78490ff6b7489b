"""Damaged files, read by `H5adSource` and `tombola inspect`: right rows, one error, or what HDF5 reads, too.

Of each damaged file the rows, the labels and the pages of `inspect` must be as they were; or there is one
error of the kinds documented, which names the file; or, where no checksum covers the damage, the values that
h5py reads there, too. Nothing else may be raised, no process end, no read take longer than `SECONDS` or more
memory than `MOST_BYTES` beyond what was there. Cases run in processes of their own, as HDF5 may end one.

`python -m tests.sources.h5ad.damage SEED...` runs the cases of these seeds and says what was damaged.
"""

import io
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
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.sources.h5ad.by_hdf5 import as_values, column_by_hdf5, rows_by_hdf5, touch_all
from tests.sources.h5ad.damage_files import HAS_CHECKSUM, KINDS, Damage, damage_of, regions, write_kind
from tests.sources.h5ad.h5ad_files import dense
from tombola.cli.inspect import inspect_files
from tombola.sources import H5adSource
from tombola.sources.h5ad.errors import H5adError

SECONDS = 30
MOST_BYTES = 1 << 27
ADDRESS_SPACE = 1 << 30
"""What a process may map beyond what it has when it begins: more is refused by the system."""
WINDOW = 64
SAME, ERROR, OTHER = "as before", "an error", "other values, as HDF5 reads them"
OUTSIDE = "HDF5 ends the process, or does not end"
MODULE = "tests.sources.h5ad.damage"


@dataclass(frozen=True, slots=True)
class Whole:
    """The files of a kind before any damage, and what they hold."""

    path: Path
    paths: tuple[Path, ...]
    content: bytes
    places: dict[str, list[tuple[int, int]]]
    rows: npt.NDArray[Any]
    bounds: list[int]
    columns: dict[str, list[Any]]


class WrongError(Exception):
    """What must not happen."""


def whole_files(kind: str, folder: Path) -> Whole:
    """Write the files of a kind and read what they hold by h5py."""
    path, paths = write_kind(folder, kind)
    names = list(H5adSource(path).obs)
    columns = {name: [*chain.from_iterable(column_by_hdf5(each, name) for each in paths)] for name in names}
    parts = [rows_by_hdf5(each) for each in paths]
    bounds = np.cumsum([0, *map(len, parts)]).tolist()
    return Whole(path, paths, path.read_bytes(), regions(path), np.concatenate(parts), bounds, columns)


def damage_of_seed(seed: int, whole: Whole) -> Damage:
    """Return the damage of a seed."""
    return damage_of(whole.content, whole.places, np.random.default_rng([seed, 31]))


def kind_of_seed(seed: int) -> str:
    """Return the kind of file of a seed."""
    return list(KINDS)[seed % len(KINDS)]


class Case:
    """One damaged file and what is read of it."""

    def __init__(self, seed: int, whole: Whole, folder: Path) -> None:
        self.damage = damage_of_seed(seed, whole)
        self.path = folder / f"damaged-{seed}.h5ad"
        self.path.write_bytes(self.damage.apply(whole.content))
        self.paths = tuple(self.path if each == whole.path else each for each in whole.paths)
        self._whole = whole
        values = whole.places["values"]
        covered = all(
            any(start <= at and at + len(piece) <= stop for start, stop in values)
            for at, piece in self.damage.pieces
        )
        self._has_checksum = kind_of_seed(seed) in HAS_CHECKSUM and covered

    def run(self) -> list[str]:
        """Read everything; return what came of each part.

        Raises
        ------
        WrongError
            If something happens that must not.
        """
        found = [self._judge("inspect", self._inspect, None, None)]
        made: list[H5adSource] = []
        found.append(self._judge("open", lambda: made.append(H5adSource(self.paths)), None, None))
        if made:
            found += self._rows(made[0]) + self._columns(made[0])
        return found

    def _inspect(self) -> None:
        with redirect_stdout(io.StringIO()):
            inspect_files([self.path])

    def _rows(self, source: H5adSource) -> list[str]:
        if len(source) != len(self._whole.rows):
            return [f"open: {len(source)} rows"]  # whatever they are: the file says so in two places
        every = np.arange(len(source))
        mixed = np.random.default_rng(3).permutation(np.repeat(every, 2))[: len(every)]

        def in_order() -> Any:
            batch = source.read_in_order(mixed)
            return self._whole.rows[mixed] if batch is None else batch["X"]

        found = [
            self._judge_rows(every, partial(self._read, source, every)),
            self._judge_rows(mixed, in_order),
        ]
        if any(ERROR in outcome for outcome in found):  # what is sound is read still
            for lo in range(0, len(every), WINDOW):
                window = every[lo : lo + WINDOW]
                found.append(self._judge_rows(window, partial(self._read, source, window)))
        return found

    @staticmethod
    def _read(source: H5adSource, rows: npt.NDArray[np.int64]) -> Any:
        return source.read(rows)["X"]

    def _judge_rows(self, rows: npt.NDArray[np.int64], read: Callable[[], Any]) -> str:
        def by_hdf5() -> Any:
            """Only these rows: others may be what HDF5 cannot read."""
            bounds = self._whole.bounds
            out = np.empty((len(rows), self._whole.rows.shape[1]), dtype=np.float32)
            for path, start, stop in zip(self.paths, bounds, bounds[1:], strict=False):
                here = (start <= rows) & (rows < stop)
                if here.any():
                    out[here] = rows_by_hdf5(path, rows[here] - start)
            return out

        expected = self._whole.rows[rows]
        return self._judge("rows", lambda: dense(read()), expected, None if self._has_checksum else by_hdf5)

    def _columns(self, source: H5adSource) -> list[str]:
        found = []
        for name, expected in self._whole.columns.items():

            def by_hdf5(name: str = name) -> Any:
                return [*chain.from_iterable(column_by_hdf5(path, name) for path in self.paths)]

            def read(name: str = name) -> Any:
                return as_values(source.obs[name].tolist())

            found.append(self._judge("labels", read, expected, by_hdf5))
        return found

    def _judge(
        self, what: str, read: Callable[[], Any], expected: Any, by_hdf5: Callable[[], Any] | None
    ) -> str:
        try:
            values = read()
        except Exception as error:
            self._check_error(what, error)
            return f"{what}: {ERROR}"
        if expected is None or _is_same(values, expected):
            return f"{what}: {SAME}"
        try:
            theirs = None if by_hdf5 is None else by_hdf5()
        except Exception as error:
            msg = f"{what} differ, and nothing is said, but HDF5 says {error!r}"
            raise WrongError(msg) from error
        if theirs is None or not _is_same(values, theirs):
            why = "though a checksum covers them" if theirs is None else "and are not what HDF5 reads"
            msg = f"{what} differ, and nothing is said, {why}"
            raise WrongError(msg)
        return f"{what}: {OTHER}"

    def _check_error(self, what: str, error: Exception) -> None:
        message = str(error)
        is_known = isinstance(error, H5adError | FileNotFoundError) or type(error) is ValueError
        if not (is_known and any(str(path) in message for path in self.paths) and "\n" not in message):
            msg = f"{what}: {error!r}, which is no error of the documented kinds that names the file"
            raise WrongError(msg) from error
        if what == "rows" and "X" not in message.replace(str(self.path), ""):
            msg = f"{what}: {error!r} does not name the dataset"
            raise WrongError(msg) from error
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                msg = f"{what}: {error!r}, after {cause!r}"
                raise WrongError(msg) from error
            cause = cause.__cause__


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=b.dtype.kind == "f")
    return bool(a == b)


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
                line = lines.get(timeout=SECONDS)
            except queue.Empty:
                process.kill()
                how = f"it took longer than {SECONDS} s"
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
