"""The study of six strategies at a tiny size: tables over all baselines, and what docs/study keeps."""

import csv
import re
import shlex
from pathlib import Path

import pytest
import run_strategy_study

from strategy_study.together import study_means, study_rows
from tests.examples.running import EXAMPLES, PNG
from tombola.experiments import STRATEGIES
from tombola.experiments.six.settings import read_settings

WEIGHTED = ["class_balanced", "class_balanced_rows"]
KEPT = EXAMPLES / "../docs/study"


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_strategies_train_and_the_weighted_ones_at_each_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--cells", "1000", "--genes", "20", "--seeds", "0", "--baselines", "0", "100"]
    folders = ["--data", str(tmp_path / "pla tes"), "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as left:
        run_strategy_study.main([*size, *folders])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "--min_count_baseline 0 " in said
    assert "--min_count_baseline 100 " in said
    assert "900 rows to train on, 100 to test on" in said
    words = shlex.split(next(line for line in said.splitlines() if line.startswith("tombola experiment ")))
    plates = Path(words[words.index("--h5ad_dir") + 1])
    assert plates.parent == tmp_path / "pla tes"
    assert plates.is_dir()
    out = tmp_path / "out"
    rows = table_of(out / "study.csv")
    pairs = [(row["strategy"], row["baseline"]) for row in rows]
    plain = [(name, "") for name in STRATEGIES if name not in WEIGHTED]
    assert sorted(pairs) == sorted(
        [*plain, *((name, at) for name in WEIGHTED for at in ("0.0", "100.0")), ("majority_class", "")]
    )
    assert len(table_of(out / "study_means.csv")) == len(rows)
    assert (out / "summary.csv").read_bytes() == (out / "baseline-0" / "summary.csv").read_bytes()
    assert (out / "baselines.png").read_bytes().startswith(PNG)
    assert study_means(study_rows({0.0: out / "baseline-0"}))[0]["runs"] == 1


@pytest.mark.parametrize("baseline", [0.0, 0.1, 1234567.0, 1234567.5, 1e-7])
def test_the_line_says_the_baseline_itself(baseline: float) -> None:
    words = shlex.split(run_strategy_study._command("c", {"weights": {"baseline": baseline}}, ["all"]))
    assert float(words[words.index("--baseline") + 1]) == baseline


def test_its_file_says_what_is_not_said() -> None:
    settings = read_settings(run_strategy_study.CONFIG, {})
    assert settings.strategies == tuple(STRATEGIES)
    assert settings.training.seeds == (0, 1, 2)


def test_the_docs_tables_are_of_their_runs() -> None:
    """Means in docs/study.md are those of the table beside it, which holds each run."""
    rows = table_of(KEPT / "study.csv")
    page = (KEPT.parent / "study.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| ([\d,]*) \| (.+) \|$", page, re.MULTILINE)
    assert len(shown) == 10
    for strategy, baseline, cells in shown:
        own = [
            row
            for row in rows
            if row["strategy"] == strategy
            and (not baseline or float(row["baseline"]) == float(baseline.replace(",", "")))
        ]
        assert len(own) == 3
        means = [
            sum(float(row[f"{measure}_{task}"]) for row in own) / 3
            for measure in ("macro_f1", "accuracy")
            for task in ("cell_line", "drug", "moa_broad", "moa_fine")
        ]
        assert cells == " | ".join(f"{mean:.3f}" for mean in means)
