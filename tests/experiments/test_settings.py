"""The file of `tombola experiment`: what it may say, what stands over what, errors that name the place."""

from pathlib import Path
from typing import Any

import pytest

from tombola.experiments import STRATEGIES, ExperimentConfig
from tombola.experiments.six.config import check_strategies
from tombola.experiments.six.settings import PACKAGED, find_config, packaged_config, read_settings

MINIMAL = "data:\n  h5ad_dir: plates\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_defaults_are_those_of_the_other_commands(tmp_path: Path) -> None:
    settings = read_settings(None, {"data": {"h5ad_dir": "plates"}})
    own = ExperimentConfig(log_interval=50)
    assert settings.config() == own
    assert settings.strategies == tuple(STRATEGIES)
    assert settings.data.labels == ("cell_line", "drug", "moa_broad", "moa_fine")


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_files_are_whole(name: str, tmp_path: Path) -> None:
    path, folder = find_config(name)
    assert folder == Path()
    settings = read_settings(path, {}, folder=folder)
    assert settings.strategies == tuple(STRATEGIES)
    assert settings.data.h5ad_dir == ("plates",)
    assert read_settings(write(tmp_path, packaged_config(name)), {}).config() == settings.config()


def test_the_default_file_says_the_defaults() -> None:
    path, folder = find_config("default")
    told = read_settings(path, {}, folder=folder)
    untold = read_settings(None, {"data": {"h5ad_dir": "plates"}})
    for section in ("data", "training", "scdataset", "weights", "output"):
        assert getattr(told, section) == getattr(untold, section)
    assert told.block_sizes == {"block_shuffling": 16, "class_balanced": 16}


def test_a_file_of_the_user_goes_before_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("default").mkdir()  # no file
    assert find_config("default")[0].is_file()
    Path("pilot").write_text(MINIMAL, encoding="utf-8")
    assert find_config("pilot") == (Path("pilot"), Path())


def test_options_stand_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        MINIMAL
        + "training: {epochs: 3, batch_size: 8}\n"
        + "strategies: {random_sampling: {}, block_weighted: {block_size: 4}, streaming: {enabled: false}}\n"
        + "output: {save_dir: out}\n",
    )
    settings = read_settings(path, {"training": {"batch_size": 16}})
    assert (settings.training.epochs, settings.training.batch_size) == (3, 16)
    assert settings.training.learning_rate == 3.0
    assert settings.strategies == ("random", "class_balanced")
    assert settings.config().block_size_of("class_balanced") == 4
    assert settings.config().block_size_of("block_shuffling") == 16
    assert settings.output.save_dir == tmp_path / "out"
    assert settings.data.h5ad_dir == (str(tmp_path / "plates"),)
    chosen = read_settings(path, {"strategies": {"block_size": 2}}, ["all"])
    assert chosen.strategies == tuple(STRATEGIES)
    assert {chosen.config().block_size_of(name) for name in ("block_shuffling", "class_balanced")} == {2}
    chosen = read_settings(path, {"strategies": {"block_size": "file"}}, ["block_shuffling"])
    assert chosen.config().block_size_of("block_shuffling") == "file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainign: {}\n", "line 3: unknown section 'trainign'; 'training' is meant, perhaps"),
        ("speed: {}\n", "line 3: unknown section 'speed'; known are data, training, scdataset, weights"),
        (
            "training:\n  epochs: 2\n  batch_siz: 8\n",
            "line 5: unknown key 'training.batch_siz'; 'batch_size' is meant",
        ),
        ("weights:\n  epochs: 2\n", "line 4: 'epochs' belongs to the section 'training', not to 'weights'"),
        (
            "training:\n  epochs: many\n",
            "line 4: training.epochs must be an integer >= 1, but is 'many'",
        ),
        ("training:\n  epochs: true\n", "line 4: training.epochs must be an integer >= 1, but is True"),
        (
            "scdataset:\n\n  num_workers: -1\n",
            "line 5: scdataset.num_workers must be an integer >= 0, but is -1",
        ),
        ("training: [1]\n", r"line 3: the section 'training' must hold keys with values, but is \[1\]"),
        (
            "training:\n  seeds: [0, x]\n",
            r"line 4: training.seeds must be a list of integers >= 0, or one, but training.seeds\[1\] is 'x'",
        ),
        (
            "strategies:\n  random_samplin: {}\n",
            "line 4: unknown strategy 'random_samplin'; 'random_sampling' is meant, perhaps",
        ),
        ("strategies:\n  best: {}\n", "line 4: unknown strategy 'best'; known are streaming, "),
        (
            "strategies:\n  random: {}\n  random_sampling: {}\n",
            "line 5: 'random_sampling' and 'random' are the same strategy",
        ),
        (
            "strategies:\n  streaming:\n    shuffle: true\n",
            "line 5: strategies.streaming.shuffle must be false, but is true; streaming_shuffle is meant",
        ),
        (
            "strategies:\n  random_sampling:\n    block_size: 16\n",
            "line 5: strategies.random_sampling.block_size must be 1, as random_sampling has no blocks",
        ),
        (
            "strategies:\n  block_weighted:\n    block: 16\n",
            "line 5: unknown key 'strategies.block_weighted.block'; 'block_size' is meant, perhaps",
        ),
        ("strategies:\n  streaming: false\n", "line 3: no strategy is enabled"),
        ("weights:\n  min_count_baseline: 1\n  min_count_baseline: 2\n", "comes twice"),
        ("? [weights]\n: 1\n", "found unhashable key"),
        ("weights: &all\n  all: *all\n", "line 4: unknown key 'weights.all'"),
        ("training:\n  epochs: 2021-99-99\n", "no valid YAML: month must be in 1..12"),
        ("training: &some {epochs: 0}\noutput: {<<: *some}\n", "line 3: training.epochs must be"),
    ],
)
def test_an_error_names_line_key_and_what_is_meant(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + text)
    with pytest.raises(ValueError, match=message) as caught:
        read_settings(path, {})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training": {"epochs": 0}}, "option --epochs: training.epochs must be an integer >= 1, but is 0"),
        (
            {"training": {}, "strategies": {"block_size": 0}},
            "option --block-size: block_size must be an integer >= 1, or file for blocks",
        ),
        (
            {"data": {"h5ad_dir": "a", "test_files": ["b"], "test_fraction": 0.5}},
            "test_files and test_fraction exclude each other",
        ),
        ({}, "^no data are given: --h5ad-dir names a folder of h5ad files, or --config a file that does$"),
    ],
)
def test_an_error_names_the_option(overrides: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {"data": {"h5ad_dir": "a"}} if "training" in overrides else {}
    with pytest.raises(ValueError, match=message):
        read_settings(None, {**usual, **overrides})


def test_sections_are_merged_as_yaml_has_it(tmp_path: Path) -> None:
    """A key that is given goes before a merged one, which is no key that comes twice."""
    text = "training: {<<: &usual {epochs: 3, batch_size: 8}, epochs: 2}\n"
    settings = read_settings(write(tmp_path, MINIMAL + text), {})
    assert (settings.training.epochs, settings.training.batch_size) == (2, 8)


def test_paths_of_a_file_are_those_of_its_folder_or_of_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/own")
    text = (
        "data: {h5ad_dir: [~/plates, b, ~nobody.here/c], label_dir: ~/labels,\n"
        "  test_files: [x.h5ad, held/y.h5ad]}\n"
        "output: {save_dir: ~/out}\n"
    )
    settings = read_settings(write(tmp_path, text), {})
    assert settings.data.h5ad_dir == (
        "/home/own/plates",
        str(tmp_path / "b"),
        str(tmp_path / "~nobody.here" / "c"),
    )
    assert settings.data.label_dir == Path("/home/own/labels")
    assert settings.data.test_files == ("x.h5ad", str(tmp_path / "held" / "y.h5ad"))
    assert settings.output.save_dir == Path("/home/own/out")


def test_a_file_without_data(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the key 'data\.h5ad_dir' is missing; it must be a folder of h5ad"):
        read_settings(write(tmp_path, "training:\n  epochs: 1\n"), {})


def test_a_packaged_file_is_known_by_name() -> None:
    with pytest.raises(ValueError, match="has the configurations default and pilot, but not 'best'"):
        packaged_config("best")


def test_words_of_commands_and_files_are_alike() -> None:
    settings = read_settings(None, {"data": {"h5ad_dir": "a"}}, ["weighted_true", "block_weighted", "random"])
    assert settings.strategies == check_strategies(["true_weighted", "weighted_block", "random_sampling"])
