"""The shape of the C++ core: a folder a room, and includes between rooms run one way.

`LAYERS` says for each room which others it may include, in the order in which data walks: a layer names rooms
of layers in front of it only. cpp/README.md says the same in words, with what comes into a room and goes out.
"""

import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

CPP = Path(__file__).resolve().parents[1] / "cpp"
ENDINGS = {".hpp", ".cpp", ".inc"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<(tombola/[^>]+)>)')


class Layer(NamedTuple):
    """A room and those that it may include beside itself."""

    room: str
    includes: str


LAYERS = (
    Layer("base", ""),
    Layer("kernels", "base"),
    Layer("random", "base kernels"),
    Layer("weights", "base kernels"),
    Layer("groups", "base"),
    Layer("orders", "base kernels random weights groups"),
    Layer("plans", "base kernels random groups orders"),
    Layer("replay", "base kernels random weights"),
    Layer("rows", "base kernels"),
    Layer("h5ad", "base rows"),
)
ALLOWED = {layer.room: {layer.room, *layer.includes.split()} for layer in LAYERS}


class Include(NamedTuple):
    """One include directive; both files by their path below the folder of the core."""

    source: str
    line: int
    text: str
    target: str | None
    """The file that is meant; None where there is none."""


def _room(file: str) -> str | None:
    """Return the room of include/tombola/ROOM/... and src/ROOM/...; None of a file that lies in neither."""
    match = re.match(r"(?:include/tombola|src)/([^/]+)/.", file)
    return match[1] if match else None


def _files(core: Path) -> list[str]:
    paths = (path for folder in ("include", "src") for path in (core / folder).rglob("*"))
    return sorted(path.relative_to(core).as_posix() for path in paths if path.suffix in ENDINGS)


def _includes(core: Path) -> Iterator[Include]:
    """Every include of a file of ours: beside the including file if it is there, else below include/."""
    for source in _files(core):
        for line, code in enumerate((core / source).read_text(encoding="utf-8").splitlines(), start=1):
            if match := INCLUDE.match(code):
                text = match[1] or match[2]
                meant = (((core / source).parent / text).resolve(), (core / "include" / text).resolve())
                there = [path for path in meant if path.is_file() and path.is_relative_to(core.resolve())]
                target = there[0].relative_to(core.resolve()).as_posix() if there else None
                yield Include(source, line, text, target)


def _cycle(edges: set[tuple[str, str]]) -> list[str]:
    """One cycle of a directed graph as a line of text; nothing where there is none."""
    graph: dict[str, set[str]] = {}
    for source, target in edges:
        graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        nodes = error.args[1][:0:-1]  # each includes the next; what is given ends with its first
        first = nodes.index(min(nodes))
        return [" -> ".join([*nodes[first:], *nodes[:first], nodes[first]])]
    return []


def include_offences(core: Path) -> list[str]:
    """Every file and include of the core that no layer allows and every kind of cycle, one line each."""
    offences = [
        f"{file}: belongs to no layer; name its room in LAYERS"
        for file in _files(core)
        if _room(file) not in ALLOWED
    ]
    includes = list(_includes(core))
    files, rooms = set(), set()
    for source, line, text, target in includes:
        room, other = _room(source), _room(target) if target else None
        if target is None:
            offences.append(f"{source}:{line} includes {text}, which is no file of the core")
            continue
        files.add((source, target))
        if room is None or room not in ALLOWED:
            continue
        if other is None or other not in ALLOWED[room]:
            offences.append(f"{source}:{line} includes {target}")
        if other is not None and other != room:
            rooms.add((room, other))
    offences += [f"rooms in a cycle: {cycle}" for cycle in _cycle(rooms)]
    return offences + [f"files in a cycle: {cycle}" for cycle in _cycle(files)]


def test_includes_run_one_way() -> None:
    assert include_offences(CPP) == []


def test_the_rule_sees_the_core() -> None:
    found = {_room(include.source) for include in _includes(CPP)}
    assert {_room(file) for file in _files(CPP)} == set(ALLOWED)
    assert found == set(ALLOWED)
    assert {Path(file).suffix for file in _files(CPP)} == ENDINGS


def test_layers_name_rooms_in_front_of_them_only() -> None:
    names = [layer.room for layer in LAYERS]
    for at, layer in enumerate(LAYERS):
        assert set(layer.includes.split()) <= set(names[:at]), layer.room
    assert len(set(names)) == len(names)


def test_the_readme_says_what_the_layers_say() -> None:
    text = (CPP / "README.md").read_text(encoding="utf-8")
    said = re.findall(
        r"^## (\w+)\n\nIn: .+?\nOut: .+?\nMay include: (.+?)\.$", text, re.MULTILINE | re.DOTALL
    )
    assert said == [(layer.room, ", ".join(layer.includes.split()) or "nothing") for layer in LAYERS]


def test_tests_are_laid_out_like_the_core() -> None:
    tests = sorted(path.relative_to(CPP / "tests") for path in (CPP / "tests").rglob("test_*.cpp"))
    assert {path.parts[0] for path in tests} == set(ALLOWED)
    names = [path.name for path in tests]  # each is the name of an executable and of a test
    assert len(set(names)) == len(names)


def test_the_glossary_names_files_that_are_there() -> None:
    text = (CPP.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+/\w+\.(?:hpp|cpp|inc))`", text))
    there = {re.sub(r"^(include/tombola|src)/", "", file) for file in _files(CPP)}
    assert len(named) > 10
    assert named - there == set()


ALLOWED_FILES = {
    "include/tombola/base/types.hpp": "#pragma once\n#include <cstdint>\n",
    "include/tombola/kernels/kernels.hpp": '#include "tombola/base/types.hpp"\n',
    "include/tombola/plans/plan.hpp": '#include "tombola/kernels/kernels.hpp"\n',
    "src/kernels/kernels.inc": '#include "tombola/kernels/kernels.hpp"\n',
    "bindings/arrays.hpp": "",
}


def _plant(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {**ALLOWED_FILES, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("path", "text", "offence"),
    [
        (
            "include/tombola/random/a.hpp",
            '#include "tombola/plans/plan.hpp"',
            "include/tombola/random/a.hpp:1 includes include/tombola/plans/plan.hpp",
        ),
        (
            "src/random/a.cpp",
            '// why\n  #  include "tombola/plans/plan.hpp"',
            "src/random/a.cpp:2 includes include/tombola/plans/plan.hpp",
        ),
        (
            "src/groups/a.cpp",
            "#include <tombola/kernels/kernels.hpp>",
            "src/groups/a.cpp:1 includes include/tombola/kernels/kernels.hpp",
        ),
        (
            "src/groups/a.inc",
            '#include "../kernels/kernels.inc"',
            "src/groups/a.inc:1 includes src/kernels/kernels.inc",
        ),
        (
            "src/plans/a.cpp",
            '#include "../../bindings/arrays.hpp"',
            "src/plans/a.cpp:1 includes bindings/arrays.hpp",
        ),
        (
            "src/plans/a.cpp",
            '#include "kernels.inc"',
            "src/plans/a.cpp:1 includes kernels.inc, which is no file of the core",
        ),
        (
            "src/plans/a.cpp",
            '#include "tombola/plan.hpp"',
            "src/plans/a.cpp:1 includes tombola/plan.hpp, which is no file of the core",
        ),
        ("src/a.cpp", "", "src/a.cpp: belongs to no layer; name its room in LAYERS"),
        ("src/strange/a.cpp", "", "src/strange/a.cpp: belongs to no layer; name its room in LAYERS"),
        (
            "include/tombola/strange/a.hpp",
            "",
            "include/tombola/strange/a.hpp: belongs to no layer; name its room in LAYERS",
        ),
    ],
)
def test_an_offence_is_found(tmp_path: Path, path: str, text: str, offence: str) -> None:
    assert include_offences(_plant(tmp_path, {path: text})) == [offence]


def test_a_cycle_between_rooms_is_found(tmp_path: Path) -> None:
    core = _plant(tmp_path, {"include/tombola/base/late.hpp": '#include "tombola/kernels/kernels.hpp"'})
    assert include_offences(core) == [
        "include/tombola/base/late.hpp:1 includes include/tombola/kernels/kernels.hpp",
        "rooms in a cycle: base -> kernels -> base",
    ]


def test_a_cycle_between_files_is_found(tmp_path: Path) -> None:
    files = {
        "include/tombola/base/a.hpp": '#include "tombola/base/b.hpp"',
        "include/tombola/base/b.hpp": '#include "tombola/base/c.hpp"',
        "include/tombola/base/c.hpp": '#include "tombola/base/a.hpp"',
    }
    a, b, c = files
    assert include_offences(_plant(tmp_path, files)) == [f"files in a cycle: {a} -> {b} -> {c} -> {a}"]


def test_a_file_that_includes_itself_is_found(tmp_path: Path) -> None:
    core = _plant(tmp_path, {"src/kernels/a.inc": '#include "a.inc"'})
    assert include_offences(core) == ["files in a cycle: src/kernels/a.inc -> src/kernels/a.inc"]


def test_right_includes_pass(tmp_path: Path) -> None:
    text = '#include "tombola/plans/plan.hpp"\n#include "tombola/base/types.hpp"\n#include <vector>\n'
    files = {"src/plans/plan.cpp": text, "src/kernels/kernels_avx2.cpp": '#include "kernels.inc"\n'}
    assert include_offences(_plant(tmp_path, files)) == []
