"""The names of the package: all there, the heavy ones late."""

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from torch.utils.data import DataLoader as TorchDataLoader

import tombola

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", tombola.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tombola, name) is not None
    assert name in dir(tombola)


def test_importing_everything_leaves_the_data_loader_of_torch() -> None:
    names: dict[str, object] = {}
    exec("from torch.utils.data import DataLoader\nfrom tombola import *", names)
    assert names["DataLoader"] is TorchDataLoader
    assert names["Loader"] is tombola.Loader
    assert "DataLoader" in dir(tombola)
    assert issubclass(tombola.DataLoader, TorchDataLoader)


def test_late_names_are_kept() -> None:
    from tombola.samplers.batch_sampler import PlanBatchSampler

    assert tombola.PlanBatchSampler is PlanBatchSampler
    assert vars(tombola)["PlanBatchSampler"] is PlanBatchSampler


def test_the_plan_layer_needs_no_torch() -> None:
    code = (
        "import sys, tombola\n"
        "plan = tombola.ClassBalancedSampling(['a', 'b', 'a']).plan(batch_size=2)\n"
        "print(plan.report())\n"
        "print(tombola.SeriesRoundRobin(['a', 'b', 'a']).plan(batch_size=2).report())\n"
        "print(tombola.padding_report([1, 2], tombola.Bucketed([1, 2]).plan(batch_size=2)))\n"
        "assert not {'torch', 'pandas', 'h5py'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


WITHOUT = """
import sys
import pytest

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
sys.exit(pytest.main(["--collect-only", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


def test_the_tests_of_wheels_need_only_what_is_installed_there() -> None:
    """What `test-command` of cibuildwheel names is collected without the dependencies of the wheel."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheels = configuration["tool"]["cibuildwheel"]
    needed = {re.split(r"[<>=\[]", bound)[0].lower() for bound in configuration["project"]["dependencies"]}
    missing = {"yaml" if name == "pyyaml" else name for name in needed - set(wheels["test-requires"])}
    assert {"torch", "yaml"} < missing
    command = shlex.split(wheels["test-command"][1])
    assert command[:3] == ["python", "-m", "pytest"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    collected = subprocess.run(
        [sys.executable, "-c", WITHOUT, " ".join(missing), *command[3:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert collected.returncode == 0, collected.stdout


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "tombola", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "inspect" in shown


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match=r"^module 'tombola' has no attribute 'Tombola'$"):
        getattr(tombola, "Tombola")  # noqa: B009


def test_version_is_that_of_the_installed_package() -> None:
    try:
        version = importlib.metadata.version("tombola")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("tombola is imported from its sources, not installed")
    assert tombola.__version__ == version


def test_the_lowest_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {name: extras[name] for name in ("codecs", "examples", "sweep", "tensorboard", "test")}
    bounds = {bound.lower() for bound in (*project["dependencies"], *(b for e in named.values() for b in e))}
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", bound) for bound in bounds)
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(bound.replace(">=", "==") for bound in bounds)
