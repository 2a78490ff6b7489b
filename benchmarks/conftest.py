"""Options and fixtures of the benchmarks: sizes, one thread, warm-up and medians, the table at the end."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import tombola
from benchmarks.figures import Figures, Work, odd_rounds, parse_count
from benchmarks.machine import environment, load

MOST_ROUNDS = 7
MOST_QUICK_ROUNDS = 101
QUICK = 0.01
"""Seconds below which more rounds cost nothing."""

FIGURES = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("figures", "what the benchmarks measure")
    group.addoption("--size", type=_count, default=10**7, help="rows of the data, as 1e8; default 1e7")
    group.addoption(
        "--peer-size",
        type=_count,
        default=10**7,
        help="most rows for peers that would take minutes; the table says where it differs; default 1e7",
    )
    group.addoption(
        "--seconds", type=float, default=10.0, help="about how long a measurement repeats; default 10"
    )
    group.addoption(
        "--figures",
        type=_figures_path,
        action="append",
        default=[],
        help="write the table to this .md or .json; may be given again",
    )
    group.addoption("--picture", type=Path, help="draw what test_bounds.py measures into this .png")


def _count(text: str) -> int:
    try:
        return parse_count(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _figures_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".md", ".json"):
        raise argparse.ArgumentTypeError(f"expected a path that ends in .md or .json, but got {text!r}")
    return path


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin the table; the garbage collector rests while time is taken."""
    config.option.benchmark_disable_gc = True
    config.stash[FIGURES] = Figures(config.getoption("--size"), environment())


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the table, and write it where it was asked for."""
    figures = config.stash[FIGURES]
    if not len(figures):
        return
    figures.environment["load at the end"] = load()
    terminalreporter.section("figures")
    terminalreporter.write_line(figures.markdown())
    for path in config.getoption("--figures"):
        figures.write(path)
        terminalreporter.write_line(f"written to {path}")


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where every benchmark puts what it measured."""
    return pytestconfig.stash[FIGURES]


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> int:
    """Rows of the data."""
    return int(pytestconfig.getoption("--size"))


@pytest.fixture(scope="session")
def peer_size(pytestconfig: pytest.Config, size: int) -> int:
    """Rows of the data of peers that would take minutes."""
    return min(size, int(pytestconfig.getoption("--peer-size")))


@dataclass(frozen=True)
class Measure:
    """Takes the time of something and adds it to the table; once a test."""

    benchmark: Any  # pytest-benchmark's fixture, whose methods have no types
    figures: Figures
    seconds: float

    def __call__(
        self,
        work: Work,
        who: str,
        run: Callable[[], object],
        *,
        n: int,
        indices: int | None = None,
        threads: int = 1,
        note: str = "",
    ) -> None:
        """Run once to warm up, then repeat for about the seconds allowed; the median goes to the table.

        `n` is the number of rows of the data, `indices` how many of them a run gives, all by default.
        """
        with pinned(threads):
            start = time.perf_counter()
            run()
            first = time.perf_counter() - start
            most = MOST_QUICK_ROUNDS if first < QUICK else MOST_ROUNDS
            rounds = odd_rounds(first, self.seconds, most)
            self.benchmark.group = work.name
            self.benchmark.extra_info.update(rows=n, who=who)
            self.benchmark.pedantic(run, rounds=rounds)
        if self.benchmark.stats is not None:
            median = float(self.benchmark.stats.stats.median)
            value = work.from_seconds(median, n if indices is None else indices)
            self.figures.add(work, who, value, n=n, rounds=rounds, note=note)


@pytest.fixture
def measure(benchmark: BenchmarkFixture, figures: Figures, pytestconfig: pytest.Config) -> Iterator[Measure]:
    """Take the time of something, on one thread unless told otherwise."""
    with pinned(1):
        yield Measure(benchmark, figures, float(pytestconfig.getoption("--seconds")))


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Let tombola and torch use so many threads."""
    before = tombola.get_num_threads(), torch.get_num_threads()
    tombola.set_num_threads(threads)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        tombola.set_num_threads(before[0])
        torch.set_num_threads(before[1])
