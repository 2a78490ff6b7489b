"""The shape of the code: imports run one way, the core knows no Python, files stay short.

Data flows keys, strategy, plan, sampler or loader, rows, training; imports follow it. `LAYERS` says for
each module of the package which of its neighbours and which other packages it may import. Imports for type
checking only count among neighbours, not among other packages.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tombola"
MAX_LINES = 350


class Layer(NamedTuple):
    """Modules and what they may import, each a list of names; a name covers all modules below it."""

    modules: str
    neighbours: str
    packages: str


ENGINE = (
    "_validation keys buckets permutations strategies plan report group_report padding weights alias "
    "sum_tree _core _version"
)
BELOW_TRAINING = f"{ENGINE} _plot_style position samplers dropin collate sources loader replay"
LAYERS = (
    Layer("_version _core", "", "numpy"),
    Layer(ENGINE, ENGINE, "numpy"),
    Layer("position", "", ""),
    Layer("_plot_style", "", ""),
    Layer("_epochs _epoch_methods", f"{ENGINE} position _epochs", ""),
    Layer("samplers", f"{ENGINE} position _epochs _epoch_methods", "numpy torch"),
    Layer("dropin", f"{ENGINE} position samplers", "numpy torch"),
    Layer("collate", "_validation", "numpy torch"),
    Layer("sources", "sources _validation _core", "numpy h5py hdf5plugin"),
    Layer("_prefetch", "", ""),
    Layer("_windows", f"{ENGINE} position sources.base", "numpy torch"),
    Layer(
        "loader",
        f"{ENGINE} position _epochs _epoch_methods _prefetch _windows sources.base",
        "numpy torch",
    ),
    Layer("replay.buffer_plot", "_plot_style replay", "numpy matplotlib"),
    Layer("replay", f"{ENGINE} replay", "numpy torch numba llvmlite"),
    Layer("training", f"{ENGINE} position sources.base training", "numpy torch rich"),
    Layer("__init__", BELOW_TRAINING, ""),
    Layer(
        "experiments.sweep",
        f"__init__ {BELOW_TRAINING} training experiments",
        "numpy matplotlib rich pydantic yaml optuna",
    ),
    Layer(
        "experiments.train experiments.config_files",
        f"__init__ {BELOW_TRAINING} training experiments",
        "numpy torch matplotlib pydantic yaml torchmetrics",
    ),
    Layer(
        "experiments", f"__init__ {BELOW_TRAINING} training experiments", "numpy torch h5py matplotlib rich"
    ),
    Layer(
        "cli __main__",
        f"__init__ {BELOW_TRAINING} training experiments cli",
        "numpy torch h5py matplotlib rich typer",
    ),
)


def _belongs(module: str, names: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names.split())


def _module_name(package: Path, path: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _import_nodes(
    node: ast.AST, type_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, type_only
    elif isinstance(node, ast.If) and _is_type_checking(node.test):
        for guarded in node.body:
            yield from _import_nodes(guarded, True)
        for otherwise in node.orelse:
            yield from _import_nodes(otherwise, type_only)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _import_nodes(child, type_only)


def _imports(package: Path, path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line, absolute dotted name, type-checking only) of every import.

    Names of the package's root that are no modules come as `<package>.__init__`.
    """
    parents = [package.name, *path.relative_to(package).parts[:-1]]
    for node, type_only in _import_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.name != package.name else f"{package.name}.__init__"
                yield node.lineno, name, type_only
            continue
        start = parents[: len(parents) - node.level + 1] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            folder = package.parent / Path(*base.split("."))
            is_module = any((folder / f"{alias.name}{end}").exists() for end in ("", ".py", ".pyi"))
            if is_module:
                yield node.lineno, f"{base}.{alias.name}", type_only
            else:
                yield node.lineno, base if base != package.name else f"{package.name}.__init__", type_only


def import_offences(package: Path) -> list[str]:
    """Every import of the package that its layer does not allow, one line each."""
    offences = []
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.pyi")]):
        module = _module_name(package, path)
        layer = next((layer for layer in LAYERS if _belongs(module, layer.modules)), None)
        if layer is None:
            offences.append(f"{module}: belongs to no layer; name it in LAYERS")
            continue
        for line, name, type_only in _imports(package, path):
            top, _, rest = name.partition(".")
            if top == package.name:
                allowed = _belongs(rest, layer.neighbours) or _belongs(rest, layer.modules)
            else:
                allowed = type_only or top in sys.stdlib_module_names or top in layer.packages.split()
            if not allowed:
                offences.append(f"{module}:{line} imports {name}")
    return offences


def test_imports_run_one_way() -> None:
    assert import_offences(PACKAGE) == []


@pytest.mark.parametrize(
    ("path", "text", "offence"),
    [
        ("plan.py", "import torch", "plan:1 imports torch"),
        ("plan.py", "def f():\n    import torch.utils", "plan:2 imports torch.utils"),
        ("strategies/block.py", "from torch import nn", "strategies.block:1 imports torch"),
        ("plan.py", "from .samplers import X", "plan:1 imports tombola.samplers"),
        ("plan.py", "from . import samplers", "plan:1 imports tombola.samplers"),
        ("strategies/a.py", "from ..loader import X", "strategies.a:1 imports tombola.loader"),
        ("plan.py", "from tombola import Loader", "plan:1 imports tombola.__init__"),
        ("plan.py", "import tombola", "plan:1 imports tombola.__init__"),
        ("samplers.py", "import tombola.sources.h5ad", "samplers:1 imports tombola.sources.h5ad"),
        ("loader.py", "from .sources.h5ad import H", "loader:1 imports tombola.sources.h5ad"),
        ("sources/h5ad.py", "from ..plan import P", "sources.h5ad:1 imports tombola.plan"),
        ("experiments/train.py", "from .. import cli", "experiments.train:1 imports tombola.cli"),
        ("position.py", "import numpy", "position:1 imports numpy"),
        ("keys.py", "import pandas", "keys:1 imports pandas"),
        ("dropin.py", "from .loader import X", "dropin:1 imports tombola.loader"),
        ("collate.py", "from .plan import P", "collate:1 imports tombola.plan"),
        ("strange.py", "", "strange: belongs to no layer; name it in LAYERS"),
        (
            "plan.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .loader import X",
            "plan:3 imports tombola.loader",
        ),
    ],
)
def test_an_offence_is_found(tmp_path: Path, path: str, text: str, offence: str) -> None:
    package = tmp_path / "tombola"
    for name, content in (("samplers.py", ""), ("cli/__init__.py", ""), (path, text)):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(content, encoding="utf-8")
    assert import_offences(package) == [offence]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "plan.py",
            "import math\nimport numpy as np\nfrom ._core import Plan\nfrom .strategies.base import S",
        ),
        ("plan.py", "import typing\nif typing.TYPE_CHECKING:\n    import pandas"),
        ("loader.py", "import torch\nfrom tombola.sources.base import Source\nfrom . import position"),
        ("cli/run.py", "import typer\nfrom ..experiments.train import x\nfrom tombola import Loader"),
    ],
)
def test_right_imports_pass(tmp_path: Path, path: str, text: str) -> None:
    package = tmp_path / "tombola"
    (package / path).parent.mkdir(parents=True)
    (package / "position.py").write_text("", encoding="utf-8")
    (package / path).write_text(text, encoding="utf-8")
    assert import_offences(package) == []


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
