"""The Python tests with a core built for the address and undefined-behaviour sanitizers.

    python -m tests.sanitized                      all rooms that touch the core
    python -m tests.sanitized tests/replay -x      what pytest is given instead

Needs GCC, CMake, Ninja and pybind11. The build and a copy of the package lie in ``build/asan-python``; a report
of a sanitizer ends the run. Nothing is suppressed. Leaks are not looked for: CPython and the packages beneath it
keep memory to the end, which C++ tests (preset ``asan``) do not. No limit of address space may be set, as the
sanitizer reserves terabytes of it; tests that set one themselves are left out.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "asan-python"
ROOMS = (
    "draws",
    "golden",
    "labels",
    "loading",
    "passes",
    "plans",
    "property",
    "replay",
    "samplers",
    "sources",
    "strategies",
)
LEFT_OUT: dict[str, str] = {}
"""Tests that cannot run so, and why."""


def build() -> Path:
    """Build the module, and return the folder to import the package from."""
    where = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], check=True, capture_output=True, text=True
    ).stdout.strip()
    options = [f"-Dpybind11_DIR={where}", f"-DPython_EXECUTABLE={sys.executable}"]
    subprocess.run(["cmake", "--preset", "asan-python", *options], cwd=ROOT, check=True)
    subprocess.run(["cmake", "--build", "--preset", "asan-python"], cwd=ROOT, check=True)
    package = BUILD / "package"
    shutil.rmtree(package, ignore_errors=True)
    ignored = shutil.ignore_patterns("_core*.so", "__pycache__")
    shutil.copytree(ROOT / "python" / "tombola", package / "tombola", ignore=ignored)
    (module,) = BUILD.glob("_core*.so")
    shutil.copy(module, package / "tombola")
    return package


def environment(package: Path) -> dict[str, str]:
    """Return the environment: the sanitizer comes first, and sees what Python allocates."""
    libraries = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")  # the second one, so that exceptions are seen
    ]
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT)]),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def main(arguments: list[str]) -> int:
    """Build, and run pytest with these arguments, or over all rooms."""
    package = build()
    left_out = [f"--deselect={test}" for test in LEFT_OUT]
    given = arguments or [f"tests/{room}" for room in ROOMS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *left_out, *given]
    return subprocess.run(command, cwd=ROOT, env=environment(package), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
