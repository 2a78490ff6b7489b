"""Files by name, folder and pattern: signs of patterns in names, hidden files, users that are not there."""

from pathlib import Path

import pytest

from tombola.experiments.file_names import find_files


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, whose name has blanks and signs of patterns, with two files and a hidden one."""
    folder = tmp_path / "run [1] of *"
    (folder / "in").mkdir(parents=True)
    for name in ("a.h5ad", "b[2].h5ad", ".a.4711.partial.h5ad", "c.csv"):
        (folder / "in" / name).write_bytes(b"")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("in", ["a.h5ad", "b[2].h5ad"]),
        ("in/*.h5ad", ["a.h5ad", "b[2].h5ad"]),
        ("**/*.h5ad", ["a.h5ad", "b[2].h5ad"]),
        ("i?/[a-z].h5ad", ["a.h5ad"]),
        ("in/b[2].h5ad", ["b[2].h5ad"]),
        ("in/.a*", [".a.4711.partial.h5ad"]),
        ("in/.a.4711.partial.h5ad", [".a.4711.partial.h5ad"]),
    ],
)
def test_names_stand_for_files(name: str, expected: list[str], folder: Path) -> None:
    """What is being written is hidden, and none of those that are there."""
    paths = [(folder / "in" / each).resolve() for each in sorted(expected)]
    assert find_files("files", [name]) == paths
    assert find_files("files", [str(folder / name)]) == paths


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("in/[z].h5ad", r"files: 'in/\[z\].h5ad' matches no files"),
        ("none/*.h5ad", r"files: 'none/\*.h5ad' matches no files"),
        ("~nobody.here/a.h5ad", r"~nobody.here/a.h5ad: no such file \(named by files\)"),
    ],
)
def test_what_is_not_there_is_named(name: str, message: str, folder: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        find_files("files", [name])
