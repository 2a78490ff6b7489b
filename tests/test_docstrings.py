"""The examples in the docstrings of the installed package run and show what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import tombola

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tombola.__path__, "tombola.")
    if not module.name.endswith("__main__")
)


def test_the_package_has_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(len(test.examples) for module in modules for test in finder.find(module)) > 20


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
