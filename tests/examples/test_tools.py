"""What the examples share: options by any spelling, and what they need beside tombola."""

import importlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from run_hyperparameter_search import make_parser as search_parser
from scripts.hyperparam_sweep import make_parser as sweep_parser
from train_multifeature_ranker import make_parser as ranker_parser

from example_tools import OneLineParser
from tests.examples.running import EXAMPLES
from tombola._base.option_names import SYNONYMS


def test_requirements_are_those_of_the_extra() -> None:
    extras = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    lines = (EXAMPLES / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == extras["examples"]


@pytest.mark.parametrize(
    ("parser", "words", "name", "value"),
    [
        (ranker_parser(), ["--batch-size", "7"], "batch_size", 7),
        (ranker_parser(), ["--batch_size=7"], "batch_size", 7),
        (ranker_parser(), ["--use-series-sampler"], "use_series_sampler", True),
        (ranker_parser(), ["--use_series_sampler", "--no_use-series_sampler"], "use_series_sampler", False),
        (ranker_parser(), ["--epochs", "3"], "max_epochs", 3),
        (ranker_parser(), ["--max-epochs", "3"], "max_epochs", 3),
        (ranker_parser(), ["--learning-rate", "2"], "lr", 2.0),
        (ranker_parser(), ["--mlp-hidden-dims", "8", "4"], "mlp_hidden_dims", [8, 4]),
        (search_parser(), ["--trials", "9"], "trials", 9),
        (search_parser(), ["--n-trials", "9"], "trials", 9),
        (sweep_parser(), ["--chunk-size", "2 GB"], "mini_epoch_size", "2 GB"),
        (sweep_parser(), ["--mini_epoch_size", "auto"], "mini_epoch_size", "auto"),
    ],
)
def test_options_by_any_spelling(
    parser: OneLineParser, words: Sequence[str], name: str, value: object
) -> None:
    assert getattr(parser.parse_args(words), name) == value


def test_the_editors_entries_are_understood() -> None:
    launch = json.loads((EXAMPLES.parent / ".vscode" / "launch.json").read_text(encoding="utf-8"))
    names = [entry["name"] for entry in launch["configurations"]]
    assert len(set(names)) == len(names) > 8
    for entry in launch["configurations"]:
        script = entry["program"].removeprefix("${workspaceFolder}/examples/").removesuffix(".py")
        module = importlib.import_module(script.replace("/", "."))
        assert module.make_parser().parse_args(entry["args"]).output


SCRIPTS = sorted(path for path in EXAMPLES.rglob("*.py") if "run_example(" in path.read_text("utf-8"))


@pytest.mark.parametrize("path", [path for path in SCRIPTS if path.parent.name != "example_tools"], ids=str)
def test_an_output_that_cannot_be_written_is_named_at_once(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = importlib.import_module(".".join(path.relative_to(EXAMPLES).with_suffix("").parts))
    file = tmp_path / "file"
    file.touch()
    needed = ["config.yaml"] if path.name == "train_compressed_ad.py" else []
    for output in (file, file / "inside"):
        with pytest.raises(SystemExit) as left:
            script.main([*needed, "--output", str(output)])
        assert left.value.code == 2
        said = f"error: {output}: nothing can be written to this output: Not a directory\n"
        assert capsys.readouterr() == ("", said)


def test_no_two_words_go_in_a_circle() -> None:
    assert not set(SYNONYMS) & set(SYNONYMS.values())
