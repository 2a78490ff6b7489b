"""The shape of the code: a room a concept, imports run one way, the core knows no Python, files stay short.

Data walk through the rooms in the order of `ROOMS`; imports follow it. `ROOMS` says for each room which
others and which packages its files may import. Imports for type checking and within functions count like
others, but types of other packages may be named anywhere. There is no cycle, neither between rooms nor
between files. `test_cpp_architecture` says the same of C++.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.import_graph import all_imports, file_graph, find_cycle, inside, room_graph

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tombola"
MAX_LINES = 350


class Room(NamedTuple):
    """What one room, or a part of it, may import besides itself: names that cover all modules below them."""

    name: str
    rooms: str
    packages: str


DOOR = "__init__"
ENGINE = "_base _core labels draws plans reports strategies"
UP_TO_TRAINING = f"{DOOR} {ENGINE} passes samplers sources loading training"
ROOMS = (
    Room("_version", "", ""),
    Room("_base", "", "numpy rich"),
    Room("_core", "_base", "numpy"),
    Room("labels", "_base _core", "numpy"),
    Room("draws", "_base _core labels", "numpy"),
    Room("plans", "_base _core", "numpy"),
    Room("reports", "_base _core labels plans", "numpy matplotlib"),
    Room("strategies", "_base _core labels plans reports", "numpy"),
    Room("passes", "_base plans strategies", ""),
    Room("samplers", "_base labels plans strategies passes", "numpy torch"),
    Room("sources.h5ad", "_base _core labels sources", "numpy h5py hdf5plugin"),
    Room("sources", "_base _core labels", "numpy"),
    Room("loading", "_base plans strategies passes sources.base", "numpy torch"),
    Room("replay.scores", "_base _core", "numpy numba llvmlite"),
    Room("replay", "_base _core draws replay.scores", "numpy torch matplotlib"),
    Room("training", "_base _core draws passes sources.base", "numpy torch"),
    Room("experiments.bench", f"{UP_TO_TRAINING} experiments", "numpy torch h5py anndata scdataset"),
    Room(
        "experiments.six",
        f"{UP_TO_TRAINING} experiments",
        "numpy torch matplotlib rich torchmetrics pydantic",
    ),
    Room(
        "experiments.train",
        f"{UP_TO_TRAINING} experiments",
        "numpy torch matplotlib torchmetrics yaml pydantic",
    ),
    Room("experiments.sweep", f"{UP_TO_TRAINING} experiments", "numpy matplotlib rich optuna yaml pydantic"),
    Room("experiments", UP_TO_TRAINING, "numpy torch h5py matplotlib pydantic yaml"),
    Room("repacking", "_base _core _version draws labels sources", "numpy h5py hdf5plugin deflate"),
    Room("cli", f"{UP_TO_TRAINING} repacking experiments", "numpy torch h5py matplotlib rich typer"),
    Room("__main__", "cli", ""),
    Room(DOOR, f"_version {ENGINE} passes samplers sources loading replay", ""),
)


def _belongs(module: str, names: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names.split())


def import_offences(package: Path) -> list[str]:
    """Every import of the package that its room does not allow, one line each."""
    offences = []
    for module, imports in all_imports(package).items():
        room = next((room for room in ROOMS if _belongs(module, room.name)), None)
        if room is None:
            offences.append(f"{module}: belongs to no room; name it in ROOMS")
            continue
        for line, name, type_only in imports:
            known_as = inside(package, name)
            if known_as is not None:
                allowed = _belongs(known_as, room.rooms) or _belongs(known_as, room.name)
            else:
                top = name.partition(".")[0]
                allowed = type_only or top in sys.stdlib_module_names or top in room.packages.split()
            if not allowed:
                offences.append(f"{module}:{line} imports {name}")
    return offences


def test_imports_follow_the_rooms() -> None:
    assert import_offences(PACKAGE) == []


def test_no_cycle_between_files_or_rooms() -> None:
    files = file_graph(PACKAGE)
    assert len(files) > 100
    assert "plans.plan" in files["strategies.base"]
    assert find_cycle(files) == []
    rooms = room_graph(files)
    assert "strategies" in rooms["passes"]
    assert find_cycle(rooms) == []


def test_rooms_stand_in_the_order_of_imports() -> None:
    """What a room may import stands above it, so that `ROOMS` reads as the road of the data."""
    above: set[str] = set()
    for room in ROOMS:
        own = room.name.partition(".")[0]
        allowed = {name.partition(".")[0] for name in room.rooms.split()} - {own}
        assert allowed - {DOOR} <= above, room.name
        above.add(own)


def test_what_is_imported_by_name_is_seen() -> None:
    """`import_module` would hide an import; only doors use it, and name the same for type checking."""
    hidden = [path for path in PACKAGE.rglob("*.py") if "import_module" in path.read_text(encoding="utf-8")]
    assert {path.name for path in hidden} == {"__init__.py"}


def test_every_room_says_what_it_is() -> None:
    for room in ROOMS:
        folder = PACKAGE / room.name.replace(".", "/")
        if folder.is_dir():
            text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
            assert text is not None, room.name
            assert re.search(r"^In: .+ Out: ", text, re.MULTILINE | re.DOTALL), room.name
            assert re.search(r"^May import: ", text, re.MULTILINE), room.name


def test_the_root_is_the_door_alone() -> None:
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert {name for name in files if not name.startswith("_core.cpython")} == {
        "__init__.py",
        "__main__.py",
        "_core.pyi",
        "_version.py",
        "py.typed",
    }


@pytest.mark.parametrize(
    ("path", "text", "offence"),
    [
        ("plans/plan.py", "import torch", "plans.plan:1 imports torch"),
        ("plans/plan.py", "def f():\n    import torch.utils", "plans.plan:2 imports torch.utils"),
        ("strategies/block.py", "from torch import nn", "strategies.block:1 imports torch"),
        ("plans/plan.py", "from ..samplers.a import X", "plans.plan:1 imports tombola.samplers.a"),
        ("plans/plan.py", "from .. import samplers", "plans.plan:1 imports tombola.samplers"),
        ("strategies/a.py", "from ..loading import X", "strategies.a:1 imports tombola.loading"),
        ("plans/plan.py", "from tombola import Loader", "plans.plan:1 imports tombola.__init__"),
        ("plans/plan.py", "import tombola", "plans.plan:1 imports tombola.__init__"),
        ("samplers/a.py", "import tombola.sources.base", "samplers.a:1 imports tombola.sources.base"),
        ("loading/a.py", "from ..sources.h5ad.b import H", "loading.a:1 imports tombola.sources.h5ad.b"),
        ("loading/a.py", "from ..sources import H", "loading.a:1 imports tombola.sources"),
        ("sources/h5ad/a.py", "from ...plans.b import P", "sources.h5ad.a:1 imports tombola.plans.b"),
        ("sources/arrays.py", "import h5py", "sources.arrays:1 imports h5py"),
        ("experiments/train.py", "from .. import cli", "experiments.train:1 imports tombola.cli"),
        ("training/a.py", "from ..experiments import b", "training.a:1 imports tombola.experiments"),
        ("reports/a.py", "from ..strategies.base import S", "reports.a:1 imports tombola.strategies.base"),
        ("passes/position.py", "import numpy", "passes.position:1 imports numpy"),
        ("labels/keys.py", "import pandas", "labels.keys:1 imports pandas"),
        ("_base/a.py", "from .. import _core", "_base.a:1 imports tombola._core"),
        ("strange.py", "", "strange: belongs to no room; name it in ROOMS"),
        ("strange/a.py", "", "strange.a: belongs to no room; name it in ROOMS"),
        (
            "plans/plan.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..loading.a import X",
            "plans.plan:3 imports tombola.loading.a",
        ),
    ],
)
def test_an_offence_is_found(tmp_path: Path, path: str, text: str, offence: str) -> None:
    package = _planted(
        tmp_path, {path: text, "samplers/__init__.py": "", "cli/__init__.py": "", "_core.pyi": ""}
    )
    assert import_offences(package) == [offence]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "strategies/a.py",
            "import math\nimport numpy as np\nfrom .._core import Plan\nfrom ..plans.plan import S",
        ),
        ("plans/plan.py", "import typing\nif typing.TYPE_CHECKING:\n    import pandas"),
        (
            "loading/a.py",
            "import torch\nfrom tombola.sources.base import Source\nfrom ..passes import position",
        ),
        ("cli/run.py", "import typer\nfrom ..experiments.train import x\nfrom tombola import Loader"),
    ],
)
def test_right_imports_pass(tmp_path: Path, path: str, text: str) -> None:
    package = _planted(tmp_path, {path: text, "passes/position.py": ""})
    assert import_offences(package) == []


@pytest.mark.parametrize(
    ("files", "cycle"),
    [
        ({"a/x.py": "from .y import A", "a/y.py": "from .x import B"}, {"a.x", "a.y"}),
        ({"a/x.py": "def f():\n    from . import y", "a/y.py": "from . import x"}, {"a.x", "a.y"}),
        (
            {
                "a/x.py": "import typing\nif typing.TYPE_CHECKING:\n    from ..b.y import A",
                "b/y.py": "from ..c.z import B",
                "c/z.py": "import tombola.a.x",
            },
            {"a.x", "b.y", "c.z"},
        ),
        ({"a/__init__.py": "from .x import X", "a/x.py": "from ..a import Y"}, {"a", "a.x"}),
        ({"__init__.py": "from .a.x import X", "a/x.py": "from tombola import Y"}, {"__init__", "a.x"}),
    ],
)
def test_a_cycle_between_files_is_found(tmp_path: Path, files: dict[str, str], cycle: set[str]) -> None:
    assert set(find_cycle(file_graph(_planted(tmp_path, files)))) == cycle


def test_a_cycle_between_rooms_is_found(tmp_path: Path) -> None:
    files = {"a/x.py": "from ..b import u", "a/y.py": "", "b/u.py": "", "b/v.py": "from ..a.y import Y"}
    graph = file_graph(_planted(tmp_path, files))
    assert find_cycle(graph) == []
    assert set(find_cycle(room_graph(graph))) == {"a", "b"}


def _planted(folder: Path, files: Mapping[str, str]) -> Path:
    package = folder / "tombola"
    for path, text in files.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    return package


def test_core_knows_no_python() -> None:
    folders = [ROOT / "cpp" / "include", ROOT / "cpp" / "src"]
    sources = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert sources
    pattern = re.compile(r"pybind11|Python\.h|numpy/", re.IGNORECASE)
    assert [str(path) for path in sources if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_files_are_short() -> None:
    folders = [ROOT / "cpp", ROOT / "python", ROOT / "tests", ROOT / "benchmarks", ROOT / "examples"]
    endings = {".py", ".pyi", ".cpp", ".hpp", ".inc"}
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in endings]
    assert len(files) > 10
    lengths = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_import_is_light() -> None:
    heavy = {"torch", "h5py", "matplotlib", "pandas", "anndata", "scipy", "numba", "rich", "typer"}
    heavy |= {"pydantic", "yaml", "torchmetrics", "optuna"}
    code = "import sys, tombola; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "tombola" in loaded
    assert loaded & heavy == set()
