"""What an experiment writes, made up: a table of runs and their records."""

import csv
import json
from pathlib import Path

__all__ = ["TASKS", "table", "write_records", "write_table"]

STRATEGIES = ("streaming", "random", "own_way")
TASKS = ("drug", "line")


def table(seeds: tuple[int, ...]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for at, strategy in enumerate(STRATEGIES):
        for seed in seeds:
            row: dict[str, object] = {"strategy": strategy, "seed": seed}
            for task in TASKS:
                row |= {f"macro_f1_{task}": 0.2 + 0.1 * at + 0.02 * seed, f"accuracy_{task}": 0.5}
                row |= {f"diversity_bits_{task}": 1.0 + at + (task == "line")}
            row |= {"seconds": 2.0 + seed, "wait_seconds": 0.5, "cells_per_second": 1_000.0 * (at + 1) + seed}
            rows.append(row)
    scores = {f"{measure}_{task}": 0.1 for measure in ("macro_f1", "accuracy") for task in TASKS}
    rows.append({**dict.fromkeys(rows[0], ""), "strategy": "majority_class", **scores})
    return rows


def write_table(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "summary.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_records(folder: Path, runs: tuple[str, ...]) -> None:
    (folder / "runs").mkdir()
    for run in runs:
        lines = []
        for step in (5, 10):
            figures = {task: {"loss": 1.0 / step, "accuracy": 0.5, "macro_f1": step / 20} for task in TASKS}
            place = {"epoch": 0, "step": step, "cells": step * 8, "seconds": step / 10}
            lines.append({"kind": "interval", **place, "train": figures})
            lines.append({"kind": "test", **place, "test": figures})
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "runs" / f"{run}.jsonl").write_text(text + '{"kind": "inter', encoding="utf-8")
