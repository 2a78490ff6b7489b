"""Who imports whom in a package, read from its syntax trees: nothing is run.

Imports within functions and for type checking count like others.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

__all__ = ["Imports", "all_imports", "file_graph", "find_cycle", "inside", "room_graph"]


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


Imports = Mapping[str, list[tuple[int, str, bool]]]


def all_imports(package: Path) -> Imports:
    """Return by module what it imports, as `_imports` does."""
    paths = sorted([*package.rglob("*.py"), *package.rglob("*.pyi")])
    return {_module_name(package, path): list(_imports(package, path)) for path in paths}


def inside(package: Path, name: str) -> str | None:
    """Return what a dotted name is called within the package; None for other packages."""
    top, _, rest = name.partition(".")
    return rest if top == package.name else None


def file_graph(package: Path) -> dict[str, set[str]]:
    """Which modules of the package each one imports; a name of a package is that package's door."""
    imports = all_imports(package)
    graph: dict[str, set[str]] = {module: set() for module in imports}
    for module, found in imports.items():
        for _, name, _ in found:
            known_as = inside(package, name)
            if known_as is None:
                continue
            parts = known_as.split(".")
            known = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            target = next((name for name in known if name in graph), None)
            if target is not None and target != module:
                graph[module].add(target)
    return graph


def room_graph(files: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Which rooms each room imports."""
    graph: dict[str, set[str]] = {}
    for module, targets in files.items():
        room = module.partition(".")[0]
        rooms = {target.partition(".")[0] for target in targets}
        graph.setdefault(room, set()).update(rooms - {room})
    return graph


def find_cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a cycle, its first member also last, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []
