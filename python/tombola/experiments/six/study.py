"""Several runs in one folder: every strategy with every seed, each run once, whatever happens in between.

Rule: ``experiment.json`` says which options and data the folder is for; others are refused there. A run
leaves ``runs/STRATEGY-seedN.jsonl``, which grows while it trains, and ``runs/STRATEGY-seedN.json``, which
appears whole when it is done. A run whose JSON is there is not repeated; one that was killed begins anew.
Tables are written from all runs that are asked for: ``summary.csv``, a row a run, and ``means.csv``, a row a
strategy. One process at a time trains into a folder.
"""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tombola import __version__
from tombola._base.files import remove_leftovers, write_csv, write_json

from .config import ExperimentConfig
from .data import ExperimentData
from .metrics import Scores, majority_scores
from .reading import read_object
from .records import data_record, result_of, run_record
from .runner import EXPERIMENT_FILE, RUNS, Reporter, holding
from .summary import summary_rows
from .training import RunResult, count_steps, run_strategy

__all__ = ["EXPERIMENT_FILE", "Run", "Study", "mean_rows", "run_name", "run_study"]

_OF_A_RUN = ("strategies", "seed")
"""Options that runs of one folder may differ in."""


@dataclass(frozen=True)
class Run:
    """One strategy with one seed.

    Parameters
    ----------
    seed : int
    result : RunResult
    is_new : bool
        Whether this call trained it, and did not find it.
    """

    seed: int
    result: RunResult
    is_new: bool


@dataclass(frozen=True)
class Study:
    """All runs, and where they are.

    Parameters
    ----------
    runs : tuple of Run
        Strategy by strategy, seeds in the order given.
    baseline : dict of str to Scores
        By label: what guessing the most common class scores on the test rows.
    summary, means : Path
    """

    runs: tuple[Run, ...]
    baseline: dict[str, Scores]
    summary: Path
    means: Path


def run_study(
    data: ExperimentData,
    config: ExperimentConfig,
    seeds: Sequence[int],
    output: Path,
    *,
    reporter: Reporter,
) -> Study:
    """Train and test every strategy with every seed, as far as that is not done, and write what came of it.

    Parameters
    ----------
    data : ExperimentData
    config : ExperimentConfig
        Its seed is replaced by each of `seeds`.
    seeds : sequence of int
    output : Path
        The folder.
    reporter : Reporter
        Hears of runs that train.

    Raises
    ------
    ValueError
        If the folder holds runs of other options or data, or something that is no run, or another process
        trains into it.
    OSError
        If the folder cannot be written, which is tried before anything is trained.
    """
    with holding(output):
        return _run_all(data, config, seeds, output, reporter)


def _run_all(
    data: ExperimentData, config: ExperimentConfig, seeds: Sequence[int], output: Path, reporter: Reporter
) -> Study:
    _claim(output, data, config)
    remove_leftovers(output / RUNS)
    baseline = {
        label.name: majority_scores(label.codes[data.test_rows], data.train_counts(label))
        for label in data.labels
    }
    runs: list[Run] = []
    for name in config.strategies:
        for seed in dict.fromkeys(seeds):
            path = output / RUNS / f"{run_name(name, seed)}.json"
            its_own = replace(config, strategies=(name,), seed=seed)
            if path.exists():
                runs.append(Run(seed, _read(path, its_own, data), is_new=False))
                continue
            reporter.begin(name if len(seeds) == 1 else f"{name}, seed {seed}", count_steps(config, data))
            with path.with_suffix(".jsonl").open("w", encoding="utf-8") as lines:

                def keep(record: dict[str, Any]) -> None:
                    lines.write(json.dumps(record, allow_nan=False) + "\n")
                    lines.flush()

                result = run_strategy(name, data, its_own, on_step=reporter.step, on_record=keep)
            write_json(path, run_record(result, data, its_own, baseline))
            runs.append(Run(seed, result, is_new=True))
            reporter.end(result)
    summary, means = output / "summary.csv", output / "means.csv"
    rows = summary_rows([run.result for run in runs], baseline, [run.seed for run in runs])
    write_csv(summary, rows)
    write_csv(means, mean_rows(rows))
    return Study(tuple(runs), baseline, summary, means)


def run_name(strategy: str, seed: int) -> str:
    """Return the name of a run's files, without their endings."""
    return f"{strategy}-seed{seed}"


def mean_rows(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return a row a strategy: how many runs, and mean and standard deviation of each figure.

    The deviation is that of a sample (n - 1); it is empty for one run.
    """
    groups: dict[object, list[Mapping[str, object]]] = {}
    for row in rows:
        groups.setdefault(row["strategy"], []).append(row)
    figures = [name for name in rows[0] if name not in ("strategy", "seed")]
    means: list[dict[str, object]] = []
    for strategy, group in groups.items():
        mean: dict[str, object] = {"strategy": strategy, "runs": len(group)}
        for name in figures:
            values = [float(str(row[name])) for row in group if row[name] != ""]
            mean[f"{name}_mean"] = statistics.fmean(values) if values else ""
            mean[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else ""
        means.append(mean)
    return means


def _claim(output: Path, data: ExperimentData, config: ExperimentConfig) -> None:
    """Say in the folder what it is for, or see that it is for the same.

    Raises
    ------
    ValueError
        If it is for other options or data.
    """
    options = {key: value for key, value in dataclasses.asdict(config).items() if key not in _OF_A_RUN}
    sizes = {str(path): path.stat().st_size for path in data.source.paths}
    labels = {label.name: list(label.classes) for label in data.labels}
    mine = {"options": options, "data": {**data_record(data), "bytes": sizes, "classes": labels}}
    path = output / EXPERIMENT_FILE
    if not path.exists():
        write_json(path, {"tombola": __version__, **mine})
        return
    known = read_object(path)
    for part, values in _as_json(mine).items():
        of_part = known.get(part)
        for key, value in values.items():
            before = of_part.get(key) if isinstance(of_part, dict) else None
            if before != value:
                msg = (
                    f"{output} holds runs with {key} {_short(before)}, but it is {_short(value)} now; "
                    "name another folder (--output), or remove that one"
                )
                raise ValueError(msg)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _as_json(value: Any) -> Any:
    """Return a value as JSON gives it back."""
    return json.loads(json.dumps(value))


def _read(path: Path, config: ExperimentConfig, data: ExperimentData) -> RunResult:
    """Return the result of a run that is done.

    Raises
    ------
    ValueError
        If the file holds none, or one of other options or data.
    """
    try:
        record = json.loads(path.read_bytes())
        result, known = result_of(record), [record["config"], record["data"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: no record of a run ({type(error).__name__}: {error}); remove it to train anew"
        raise ValueError(msg) from None
    if known != _as_json([dataclasses.asdict(config), data_record(data)]):
        msg = f"{path}: a run of other options or data; remove it to train anew"
        raise ValueError(msg)
    return result
