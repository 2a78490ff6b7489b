"""`tombola experiment`: what it writes as it goes, seeds, runs found again, labels from files, bad input."""

import base64
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.base.locks import held_elsewhere
from tests.cli.children import signal_at_work
from tombola.cli.app import app
from tombola.experiments import STRATEGIES, PlateDesign, make_plates
from tombola.experiments.h5ad_writer import Categorical, Csr, write_h5ad
from tombola.experiments.six.runner import holding
from tombola.experiments.six.settings import packaged_config

SMALL = PlateDesign(
    n_plates=3, cells_per_plate=200, n_genes=30, n_cell_lines=3, n_drugs=6, n_moa_broad=2, n_moa_fine=3
)
QUICK = ("--fetch_factor", "2", "--min_count_baseline", "10", "--batch_size", "32", "--log_interval", "5")


@pytest.fixture(name="plates", scope="module")
def fixture_plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_plates(tmp_path_factory.mktemp("plates"), SMALL)[0].parent


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["experiment", *map(str, arguments)])


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scores_of(output: Path, name: str) -> Any:
    return json.loads((output / "runs" / f"{name}.json").read_text(encoding="utf-8"))["tasks"]


def test_seeds_give_means_and_runs_are_found_again(plates: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ["--h5ad_dir", plates, "--strategy", "random_sampling", "block_weighted", *QUICK, "-o", output]
    result = invoke(*options, "--seeds", "0,3", "--epochs", "2")
    assert result.exit_code == 0, result.output
    assert "macro-F1 on the test rows, means of 2 seeds ± standard deviation" in result.stdout
    done = re.findall(r"^(.*): [\d.]+ s, ", result.stderr, re.MULTILINE)
    names = ("random", "class_balanced")
    assert done == [f"{name}, seed {seed}" for name in names for seed in (0, 3)]
    rows = table_of(output / "summary.csv")
    assert [(row["strategy"], row["seed"]) for row in rows] == [
        ("random", "0"),
        ("random", "3"),
        ("class_balanced", "0"),
        ("class_balanced", "3"),
        ("majority_class", ""),
    ]
    means = table_of(output / "means.csv")
    pair = [float(row["macro_f1_drug"]) for row in rows[:2]]
    assert float(means[0]["macro_f1_drug_mean"]) == pytest.approx(statistics.fmean(pair), rel=1e-15)
    assert float(means[0]["macro_f1_drug_sd"]) == pytest.approx(statistics.stdev(pair), rel=1e-12)
    assert (means[2]["runs"], means[2]["macro_f1_drug_sd"], means[2]["seconds_mean"]) == ("1", "", "")

    kept = {path: path.read_bytes() for path in (output / "runs").iterdir()}
    lost = output / "runs" / "random-seed3.json"
    lost.unlink()
    (output / "runs" / "random-seed3.jsonl").write_text('{"half', encoding="utf-8")
    again = invoke(*options, "--seeds", "0,3", "--epochs", "2")
    assert again.exit_code == 0, again.output
    assert "found:    3 of 4 runs were done before, and are kept" in again.stdout
    for path, content in kept.items():
        if not path.name.startswith("random-seed3"):
            assert path.read_bytes() == content
    assert scores_of(output, "random-seed3") == json.loads(kept[lost])["tasks"]

    other = invoke(*options, "--seeds", "0", "--epochs", "3")
    assert other.exit_code == 2
    assert "holds runs with epochs 2, but it is 3 now; name another folder" in other.stderr


def test_records_are_kept_as_they_come(plates: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = invoke(
        *("--h5ad-dir", plates, "-s", "random", "--epochs", 2, *QUICK, "--test-interval", 7, "-o", output)
    )
    assert result.exit_code == 0, result.output
    records = records_of(output / "runs" / "random-seed0.jsonl")
    assert [(record["kind"], record["step"]) for record in records] == [
        *[("interval", 5), ("test", 7), ("interval", 10), ("interval", 13), ("epoch", 13)],
        *[("test", 14), ("interval", 15), ("interval", 20), ("test", 21), ("interval", 25)],
        *[("interval", 26), ("epoch", 26)],
    ]
    last = records[-1]
    assert (last["epoch"], last["cells"]) == (1, 800)
    seconds = [record["seconds"] for record in records]
    assert seconds == sorted(seconds)
    drug = scores_of(output, "random-seed0")["drug"]
    for figure in ("loss", "accuracy", "macro_f1"):
        assert last["test"]["drug"][figure] == drug[figure]
        assert set(last["train"]["drug"]) == {"loss", "accuracy", "macro_f1"}
    first_epoch = [record for record in records if record["epoch"] == 0 and record["kind"] == "interval"]
    cells = np.diff([0, *(record["cells"] for record in first_epoch)])
    losses = [record["train"]["drug"]["loss"] for record in first_epoch]
    assert records[4]["train"]["drug"]["loss"] == pytest.approx(np.average(losses, weights=cells), rel=1e-9)


def test_records_change_nothing(plates: Path, tmp_path: Path) -> None:
    """The loss and the scores are those of a run without them."""
    paths = [str(plates / f"plate_0{number}.h5ad") for number in (1, 2, 3)]
    labels = ["-l", "cell_line,drug,moa_broad,moa_fine", "--holdout-files", paths[-1]]
    options = ["-s", "class_balanced", "--epochs", "1", *QUICK[:6], "-o", str(tmp_path / "plain")]
    plain = CliRunner().invoke(app, ["run", *paths, *labels, *options])
    assert plain.exit_code == 0, plain.output
    noted = invoke("--h5ad-dir", plates, "-s", "class_balanced", *QUICK, "-o", tmp_path / "noted")
    assert noted.exit_code == 0, noted.output
    assert scores_of(tmp_path / "noted", "class_balanced-seed0") == scores_of(
        tmp_path / "plain", "class_balanced"
    )


def test_a_file_says_what_to_do(plates: Path, tmp_path: Path) -> None:
    text = packaged_config("default").replace("h5ad_dir: plates", f"h5ad_dir: {plates}")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    result = invoke(
        *("--config", tmp_path / "mine.yaml", "--max_train_cells", 100, "--max_test_cells", 40, "--all"),
        *("--num-workers", 2, "--block-size", "file"),
    )
    assert result.exit_code == 0, result.output
    assert "100 rows to train on, 40 to test on" in result.stdout
    assert "in blocks that follow the files where a strategy has blocks" in result.stdout
    rows = table_of(tmp_path / "tombola-experiment" / "summary.csv")
    assert [row["strategy"] for row in rows] == [*STRATEGIES, "majority_class"]
    assert {row["cells"] for row in rows[:-1]} == {"100"}


@pytest.mark.parametrize("name", ["default", "pilot"])
def test_packaged_files_are_printed(name: str) -> None:
    assert invoke("--print_config", name).stdout == packaged_config(name)


def test_users_know_it_as_a_module() -> None:
    command = [sys.executable, "-m", "tombola.experiments.run_all", "--print-config", "pilot"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == packaged_config("pilot")


def test_a_killed_run_is_repeated(plates: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ["--h5ad-dir", plates, "-s", "random,streaming", *QUICK, "--epochs", 15, "-o", output]
    arguments = ["experiment", *map(str, options)]
    signal_at_work(arguments, signal.SIGKILL, folder=output, pattern="streaming-seed0.jsonl")
    done = (output / "runs" / "random-seed0.json").read_bytes()
    assert not (output / "runs" / "streaming-seed0.json").exists()
    assert (output / ".lock").exists()  # left behind, and held by nobody
    result = invoke(*options)
    assert result.exit_code == 0, result.output
    assert "found:    1 of 2 runs" in result.stdout
    assert (output / "runs" / "random-seed0.json").read_bytes() == done
    assert records_of(output / "runs" / "streaming-seed0.jsonl")[-1]["epoch"] == 14


def test_one_process_at_a_time_trains_into_a_folder(plates: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ["--h5ad-dir", plates, "-s", "random", *QUICK, "-o", output]
    says = "trains into this folder; wait until it is done, or name another folder (--output)"
    with holding(output):
        result = invoke(*options)
    assert result.exit_code == 2
    assert result.stderr == f"error: {output}: process {os.getpid()} {says}\n"
    assert not list((output / "runs").iterdir())
    for name in ("process 4711 on elsewhere", "another process"):
        with held_elsewhere(output):
            if name.startswith("process"):
                (output / ".lock").write_text("4711 elsewhere\n", encoding="utf-8")
            with pytest.raises(ValueError, match=re.escape(f"{output}: {name} {says}")), holding(output):
                pass
    assert invoke(*options).exit_code == 0


def write_drugs(path: Path, drugs: list[str]) -> None:
    rng = np.random.default_rng(1)
    codes = np.arange(60) % len(drugs)
    x = rng.random((60, 4)).astype(np.float32)
    columns = {"drug": Categorical(codes, drugs)}
    write_h5ad(
        path, Csr.from_dense(x), columns, obs_names=[str(i) for i in range(60)], var_names=list("vwxy")
    )


def test_labels_from_files_and_classes_never_seen(tmp_path: Path) -> None:
    write_drugs(tmp_path / "a.h5ad", ["d1", "d2", "d3"])
    write_drugs(tmp_path / "b.h5ad", ["d1", "d2", "d4"])
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "drug_to_moa_fine.json").write_text('{"d1": "x", "d2": "y", "d4": "z"}', encoding="utf-8")
    (labels / "broad.csv").write_text("drug,moa_broad\nd1,u\nd2,v\nd3,u\nd4,v\n", encoding="utf-8")
    result = invoke(
        *("--h5ad-dir", tmp_path, "--label-dir", labels, "-l", "drug,moa_broad,moa_fine", "-s", "random"),
        *("-o", tmp_path / "out", "--batch-size", 8, "--fetch-factor", 1),
    )
    assert result.exit_code == 0, result.output
    assert "40 rows to train on, 60 to test on" in result.stdout
    assert "20 rows left out for what they miss ('moa_fine' 20)" in result.stdout
    for label, name in (("drug", "d4"), ("moa_fine", "z")):
        text = f"20 of 60 test rows have a class of '{label}' that no training row has (1: {name})"
        assert text in result.stderr
    assert "of 'moa_broad' that no" not in result.stderr
    record = json.loads((tmp_path / "out" / "runs" / "random-seed0.json").read_text(encoding="utf-8"))
    assert record["data"]["unseen"] == {
        "drug": {"classes": ["d4"], "rows": 20},
        "moa_fine": {"classes": ["z"], "rows": 20},
    }
    assert CliRunner().invoke(app, ["report", str(tmp_path / "out")]).exit_code == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "drug: 1 in 20 rows (d4), moa_fine: 1 in 20 rows (z)" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no data are given: --h5ad-dir names"),
        (["--h5ad_dir", "nowhere"], "nowhere: no such file (named by h5ad_dir)"),
        (["--h5ad_dir", "{plates}", "-s", "best"], "unknown strategy 'best'"),
        (["--h5ad_dir", "{plates}", "--epochs", "0"], "option --epochs: training.epochs must be an integer"),
        (["--h5ad_dir", "{plates}", "--seeds", "a"], "option --seeds: training.seeds must be a list of"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["--config", "pilot", "--h5ad_dir", "{plates}", "-l", "dose"], "obs has no column 'dose'"),
        (["--print-config", "best"], "has the configurations default and pilot, but not 'best'"),
        (["--speed_up", "2"], "--speed"),
    ],
)
def test_bad_input_is_one_line(options: list[str], message: str, plates: Path, tmp_path: Path) -> None:
    result = invoke(*(part.format(plates=plates) for part in options), "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_no_record_is_named(plates: Path, tmp_path: Path) -> None:
    options = ["--h5ad_dir", plates, "-s", "random", *QUICK, "-o", tmp_path]
    assert invoke(*options).exit_code == 0
    (tmp_path / "runs" / "random-seed0.json").write_text('{"strategy": "random"}', encoding="utf-8")
    result = invoke(*options)
    assert result.exit_code == 2
    assert "random-seed0.json: no record of a run (KeyError: 'tasks'); remove it to train" in result.stderr


class _Seen(HTMLParser):
    """Notes pictures, links and the tags that are open at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[bytes] = []
        self.outside: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        for name, value in attrs:
            if name == "src" and (value or "").startswith("data:image/png;base64,"):
                self.pictures.append(base64.b64decode((value or "").partition(",")[2], validate=True))
            elif name in ("src", "href"):
                self.outside.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_report_holds_all_in_one_file(plates: Path, tmp_path: Path) -> None:
    output = tmp_path / "a<b"
    options = ["-s", "random,streaming", "-l", "drug,cell_line", "--seeds", "0,1", *QUICK]
    done = invoke("--h5ad-dir", plates, *options, "-o", output)
    assert done.exit_code == 0, done.output
    assert (output / "comparison.png").exists()
    assert (output / "comparison.pdf").exists()
    result = CliRunner().invoke(app, ["report", str(output)])
    assert result.exit_code == 0, result.output
    seen = _Seen()
    seen.feed((output / "report.html").read_text(encoding="utf-8"))
    assert seen.open == []
    assert seen.outside == []
    figures = ["comparison", "f1_over_seconds", "time", "curves_drug", "curves_cell_line"]
    assert seen.pictures == [(output / "figures" / f"{name}.png").read_bytes() for name in figures]
    mean = float(table_of(output / "means.csv")[0]["macro_f1_drug_mean"])
    assert f"{mean:.3f} ± " in seen.text
    assert "Ways of choosing batches: a<b" in seen.text
    assert "min_count_baseline" in seen.text
    speed = float(table_of(output / "means.csv")[0]["cells_per_second_mean"])
    assert f"{speed:,.0f} ± " in seen.text


def test_a_report_of_what_run_wrote(plates: Path, tmp_path: Path) -> None:
    options = ["-l", "drug", "-s", "random", "--epochs", "1", *QUICK[:6], "-o", str(tmp_path)]
    run = CliRunner().invoke(app, ["run", str(plates / "plate_01.h5ad"), *options])
    assert run.exit_code == 0, run.output
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "curves" not in " ".join(path.name for path in (tmp_path / "figures").iterdir())


def test_a_report_of_nothing_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "summary.csv: No such file or directory" in result.stderr
    assert result.stderr.count("\n") == 1
