"""Random damage to eight kinds of file; a failure prints the one command that runs its case alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sources.h5ad import damage, damage_cases
from tests.sources.h5ad.damage import run_seeds
from tests.sources.h5ad.damage_cases import (
    ERROR,
    OTHER,
    SAME,
    Case,
    WrongError,
    damage_of_seed,
    whole_files,
)
from tests.sources.h5ad.damage_files import (
    KINDS,
    Damage,
    damage_of,
    heap_headers,
    regions,
    types_of_text,
    write_kind,
)
from tombola._base.types import IndexArray
from tombola.sources import Column, H5adSource
from tombola.sources.h5ad.errors import BadFileError

LONG, SHORT, FIRST_SHORT = 2_000, 64, 100_000


def test_some_damage(tmp_path: Path) -> None:
    counts, _ = run_seeds(range(FIRST_SHORT, FIRST_SHORT + SHORT), tmp_path)
    print(dict(counts))
    assert counts[ERROR] > SHORT // 4
    assert set(counts) <= {SAME, ERROR, OTHER}


@pytest.mark.damage_long
@pytest.mark.parametrize("kind", KINDS)
def test_damage(tmp_path: Path, kind: str) -> None:
    seeds = range(list(KINDS).index(kind), LONG, len(KINDS))
    counts, said = run_seeds(seeds, tmp_path)
    most = max(one.get("bytes", 0) for one in said), max(one.get("seconds", 0) for one in said)
    print(f"{kind}: {dict(counts)}; at most {most[0] >> 20} MiB and {most[1]:.1f} s a case")
    assert counts[ERROR] > len(seeds) // 4
    assert set(counts) <= {SAME, ERROR, OTHER}


def test_a_seed_makes_one_damage(tmp_path: Path) -> None:
    made = [whole_files(list(KINDS)[3], tmp_path) for _ in range(2)]
    assert made[0].content == made[1].content
    drawn = [damage_of(made[0].content, made[0].places, np.random.default_rng(8)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len({damage_of_seed(seed, made[0]).what[:4] for seed in range(100)}) > 4


def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Give a case whose file is sound."""
    monkeypatch.setattr(damage_cases, "damage_of_seed", lambda *_: Damage("none", None, ()))
    return Case(5, whole_files(list(KINDS)[5], tmp_path), tmp_path)


def test_files_that_are_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = case(tmp_path, monkeypatch).run()
    assert {part.partition(": ")[2] for part in parts} == {SAME}
    assert {part.partition(": ")[0] for part in parts} == {"inspect", "open", "rows", "labels"}


def test_wrong_rows_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, right = case(tmp_path, monkeypatch), H5adSource.read

    def wrong(source: H5adSource, rows: IndexArray) -> dict[str, Column]:
        batch = right(source, rows)
        batch["X"].data[-1] += 1
        return batch

    monkeypatch.setattr(H5adSource, "read", wrong)
    with pytest.raises(WrongError, match="rows differ, and nothing is said, though a checksum covers them"):
        made.run()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("X of {path}"), "no error of the documented kinds that names the file"),
        (BadFileError("X has no row 3"), "no error of the documented kinds that names the file"),
        (BadFileError("{path}: no row 3"), "does not name the dataset"),
        (MemoryError("X of {path}"), "no error of the documented kinds"),
    ],
)
def test_errors_that_are_none_of_the_documented_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Any, text: str
) -> None:
    made = case(tmp_path, monkeypatch)

    def fail(*_: object) -> None:
        raise type(error)(str(error).format(path=made.path))

    monkeypatch.setattr(H5adSource, "read", fail)
    with pytest.raises(WrongError, match=text):
        made.run()


def test_an_error_for_want_of_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(tmp_path, monkeypatch)

    def fail(*_: object) -> None:
        msg = f"{made.path}: X"
        raise BadFileError(msg) from MemoryError("1 EiB")

    monkeypatch.setattr(H5adSource, "read", fail)
    with pytest.raises(WrongError, match=r"after MemoryError\('1 EiB'\)"):
        made.run()


def test_a_process_that_ends_is_a_failure_of_its_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is sound, so that h5py alone does not end."""
    start = damage._start

    def start_to_end(arguments: list[str]) -> Any:
        return start(["--end", *arguments[1:]] if arguments[0] == "--here" else arguments)

    monkeypatch.setattr(damage, "_start", start_to_end)
    with pytest.raises(
        AssertionError, match=r"(?s)seed 3 .*: the process ended with -6.*again: python -m .* 3$"
    ):
        run_seeds([3], tmp_path)


@pytest.mark.parametrize("kind", ["dense, gzip", "records"])
def test_what_is_spared(tmp_path: Path, kind: str) -> None:
    whole = whole_files(kind, tmp_path)
    spared = [*heap_headers(whole.content), *types_of_text(whole.content)]
    assert len(spared) > 5
    for seed in range(200):
        drawn = damage_of_seed(seed, whole)
        damaged = drawn.apply(whole.content)
        assert drawn.size is not None or all(
            damaged[start:stop] == whole.content[start:stop] for start, stop in spared
        )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_every_place(tmp_path: Path, kind: str) -> None:
    path, paths = write_kind(tmp_path, kind)
    assert path in paths
    places = regions(path)
    size = path.stat().st_size
    for name, parts in places.items():
        assert parts, name
        assert all(0 <= start < stop <= size for start, stop in parts), name
