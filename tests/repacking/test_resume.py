"""A run that was killed or interrupted goes on where it was, to the same bytes as one that was not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repacking.whole_files import write_whole
from tests.sources.h5ad.h5ad_files import random_counts, write_h5ad
from tombola.repacking import RepackOptions, repack

OPTIONS = RepackOptions(shuffle=True, memory=1 << 16, chunk_values=500, verify=False)

KILLED = """
import os, signal, sys
from pathlib import Path
from tombola.repacking import RepackOptions, repack
steps = 0
def report(what, done, total):
    global steps
    steps += 1
    if steps == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
options = RepackOptions(shuffle=True, memory=1 << 16, chunk_values=500, verify={verify})
repack(sys.argv[1], sys.argv[2], options=options, report=report)
"""


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    return write_whole(tmp_path / "in.h5ad", random_counts(600, 40))


def steps(path: Path, out: Path, options: RepackOptions = OPTIONS) -> list[str]:
    seen: list[str] = []
    repack(path, out, options=options, report=lambda what, done, total: seen.append(f"{what} {done}"))
    return seen


def test_interrupted_at_every_step(tmp_path: Path, path: Path) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    seen = steps(path, whole)
    assert any(step.startswith("sorting X ") for step in seen)
    assert any(step.startswith("writing layers/dense ") for step in seen)
    done: list[str] = []
    for step in seen:

        def stop(what: str, number: int, total: int, last: str = step) -> None:
            done.append(f"{what} {number}")
            if done[-1] == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            repack(path, out, options=OPTIONS, report=stop)
        assert not out.exists()
        assert (tmp_path / "out.h5ad.part" / "state.json").exists()
    assert done == seen  # nothing was done twice
    assert steps(path, out) == []
    assert out.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "out.h5ad.part").exists()


@pytest.mark.parametrize(("at", "verify"), [(1, False), (7, False), (30, True), (75, True)])
def test_killed(tmp_path: Path, path: Path, at: int, verify: bool) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    seen = steps(path, whole, RepackOptions(shuffle=True, memory=1 << 16, chunk_values=500, verify=verify))
    assert at < len(seen)
    code = KILLED.format(at=at, verify=verify)
    killed = subprocess.run([sys.executable, "-c", code, str(path), str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    left = [step for step in seen[at:] if not step.startswith(("reading", "verifying"))]
    options = RepackOptions(shuffle=True, memory=1 << 16, chunk_values=500)
    again = [step for step in steps(path, out, options) if not step.startswith(("reading", "verifying"))]
    assert again == left
    assert out.read_bytes() == whole.read_bytes()


def leave(path: Path, out: Path, at: int, options: RepackOptions = OPTIONS) -> None:
    """Leave a run after so many steps."""
    left = [at]

    def stop(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repack(path, out, options=options, report=stop)


@pytest.mark.parametrize("name", ["chunks", "entries", "runs"])
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_what_changed_meanwhile_is_begun_anew(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    seen = steps(path, whole)
    leave(path, out, seen.index(next(step for step in seen if step.startswith("writing"))) + 2)
    part = tmp_path / "out.h5ad.part" / name
    content = bytearray(part.read_bytes())
    assert content
    if damage == "flip":
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    elif damage == "cut":
        part.write_bytes(content[:-1])
    else:
        part.unlink()
    assert steps(path, out) == seen
    assert "not as it was when it was last synced; it is begun anew" in caplog.text
    assert out.read_bytes() == whole.read_bytes()


def test_other_options_or_inputs_begin_anew(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out.h5ad"
    seen = steps(path, tmp_path / "whole.h5ad")
    leave(path, out, 5)
    leave(path, out, 5, RepackOptions(shuffle=True, seed=1, memory=1 << 16, chunk_values=500, verify=False))
    assert "is of other inputs or options; it is begun anew" in caplog.text
    os.utime(path, ns=(0, 0))
    assert len(steps(path, out)) == len(seen)
    leave(path, out := tmp_path / "other.h5ad", 5)
    (tmp_path / "other.h5ad.part" / "state.json").write_text("{")
    assert len(steps(path, out)) == len(seen)


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path, path: Path) -> None:
    out = tmp_path / "out.h5ad"

    def try_again(*_: object) -> None:
        with pytest.raises(ValueError, match=r"out\.h5ad\.part: another run writes there"):
            repack(path, out)

    repack(path, out, report=try_again)
    assert out.exists()


def test_windows_stay_within_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read at once is a share of the memory, though rows differ in length."""
    from tombola.repacking.matrices import COPIES, MatrixIn

    counts = random_counts(900, 300, density=0.9)
    counts[:600] = counts[:600].multiply(random_counts(600, 300, density=0.05) > 0)
    counts.eliminate_zeros()
    path = write_h5ad(tmp_path / "in.h5ad", counts)
    memory = 1 << 17
    largest = []
    read = MatrixIn.read

    def watch(self: MatrixIn, rows: object) -> object:
        found = read(self, rows)  # type: ignore[arg-type]
        largest.append(found.data.nbytes + found.indices.nbytes)  # type: ignore[union-attr]
        return found

    monkeypatch.setattr(MatrixIn, "read", watch)
    repack(path, tmp_path / "out.h5ad", options=RepackOptions(memory=memory))
    assert max(largest) <= memory // COPIES
    assert len(largest) > 10
    del largest[:]
    repack(path, tmp_path / "two.h5ad", options=RepackOptions(memory=memory, shuffle=True))
    assert max(largest) <= memory // COPIES
