"""Free memory: what the machine has, what control groups of either version leave, what cannot be known."""

from pathlib import Path

import pytest

from tombola._base.memory import free_memory

MEMINFO = "MemTotal:       8000 kB\nMemAvailable:   4000 kB\n"


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_groups_it_is_what_is_available(tmp_path: Path) -> None:
    write(tmp_path, **{"proc/meminfo": MEMINFO})
    assert free_memory(tmp_path) == 4000 << 10


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/job/step\n", "sys/fs/cgroup/job", ("memory.max", "memory.current", "inactive_file")),
        (
            "4:memory,hugetlb:/job/step\n",
            "sys/fs/cgroup/memory/job",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
        # A container that does not see its own group: the topmost folder is it.
        ("0::/elsewhere\n", "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")),
        ("0::/../x\n", "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")),
    ],
)
def test_a_group_above_is_the_limit(
    line: str, folder: str, names: tuple[str, str, str], tmp_path: Path
) -> None:
    limit, usage, cached = names
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "7:blkio:/other\n" + line,
        f"{folder}/{limit}": "3000000\n",
        f"{folder}/{usage}": "2500000\n",
        f"{folder}/memory.stat": f"anon 1\n{cached} 400000\n",
    }
    assert free_memory(write(tmp_path, **files)) == 900_000
    (tmp_path / folder / usage).write_text("9000000\n")
    assert free_memory(tmp_path) == 0
    (tmp_path / folder / limit).write_text("max\n")
    assert free_memory(tmp_path) == 4000 << 10


def test_a_machine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", refuse)
    assert free_memory(tmp_path) is None


def test_this_machine() -> None:
    free = free_memory()
    assert free is not None
    assert free > 1 << 20
