"""Run a sweep: ask Optuna for options, train, tell it what came of it, again and again.

Rule: the study is in SQLite in the output folder, so finished trials are kept whatever happens. One process
works on an output folder at a time (a lock says so); trials that are marked as running when it begins are
those of a process that was killed: they are told to have failed, and the same options are tried again, from
their last checkpoint. Trial k's choice depends on (seed, k) and the trials before it, so a sweep that was
killed comes to the same trials as one that was not.

Pruning: at each mini-epoch boundary a trial reports its best monitored figure so far under the twentieths of
its training that are done, so trials with chunks of different sizes are compared at the same share.
Source: Akiba et al., "Optuna: a next-generation hyperparameter optimization framework" (2019).
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from tombola._base.files import is_full_disk, make_output
from tombola.sources import H5adError
from tombola.training import TrainingError
from tombola.training.folders import locked
from tombola.training.signals import SignalNote

from ..train.config import TrainConfig
from ..train.run import CHECKPOINTS, LATER, run_training
from .config import Range, SweepPlan, Value

__all__ = ["SweepOutcome", "TrialResult", "run_sweep"]

STUDY = "tombola"
STEPS = 20
"""Shares of its training at which a trial is compared with others."""

STARTUP_TRIALS = 4
MAX_FAILURES = 3
"""So many trials in a row that end in an error end the sweep."""

_OUT_OF_MEMORY = ("can't allocate memory", "out of memory")
"""What torch says on the CPU and on devices."""

State = Literal["complete", "pruned", "failed"]


class _PrunedError(Exception):
    """Ends a trial at a mini-epoch boundary."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """One trial that is over.

    Parameters
    ----------
    index : int
        From 0; its folder is ``trials/trial_INDEX``.
    state : {"complete", "pruned", "failed"}
    parameters : mapping
        What was searched.
    value : float or None
        The best monitored figure of its mini epochs.
    mini_epochs : int
        Trained.
    batches : int
        Trained on.
    seconds : float
        Of the process that finished it.
    curve : tuple of (float, float)
        Share of the training, and the monitored figure there.
    error : str
        Why it failed.
    """

    index: int
    state: State
    parameters: Mapping[str, Value]
    value: float | None
    mini_epochs: int
    batches: int
    seconds: float
    curve: tuple[tuple[float, float], ...]
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """All trials that are over, in order.

    Parameters
    ----------
    trials : tuple of TrialResult
    best : TrialResult or None
        Of the complete ones, the first of equals.
    retried : int
        Trials of a killed process that were tried again in this call.
    interrupted : bool
        Whether a signal ended the call; the next one goes on.
    """

    trials: tuple[TrialResult, ...]
    best: TrialResult | None
    retried: int = 0
    interrupted: bool = False


def run_sweep(plan: SweepPlan, *, on_trial: Callable[[TrialResult, int], None] | None = None) -> SweepOutcome:
    """Try options until the plan's number of trials is over; go on where an earlier call was killed.

    Parameters
    ----------
    plan : SweepPlan
    on_trial : callable, optional
        Called with each trial that is over and the number of trials planned.

    Raises
    ------
    ValueError
        If the output folder holds a sweep of another plan (what differs is named), another process works on
        it, or three trials in a row fail.
    OSError, TrainingError
        If the folder cannot be written, or the disk is full: the trial is tried again by the next call.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    make_output(plan.output)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(plan.output))
        except BlockingIOError:
            msg = f"{plan.output}: another process is at this sweep"
            raise ValueError(msg) from None
        note = stack.enter_context(SignalNote())
        study = _open_study(plan)
        retried = _retry_killed(study)
        failures = 0
        while True:
            index = sum(map(_is_over, study.trials))
            if index >= plan.trials:
                return _outcome(study, plan, retried)
            if note.received:
                return _outcome(study, plan, retried, interrupted=True)
            study.sampler = optuna.samplers.TPESampler(seed=_seed(plan.seed, index))
            result = _try(study, study.ask(), plan, index)
            if result is None:
                return _outcome(study, plan, retried, interrupted=True)
            if on_trial is not None:
                on_trial(result, plan.trials)
            failures = failures + 1 if result.state == "failed" else 0
            if failures == MAX_FAILURES:
                msg = f"{MAX_FAILURES} trials in a row failed; the last: {result.error}"
                raise ValueError(msg)


def _open_study(plan: SweepPlan) -> optuna.Study:
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if plan.pruner == "median":
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=STEPS // 10)
    study = optuna.create_study(
        storage=plan.storage or f"sqlite:///{(plan.output / 'study.db').resolve()}",
        study_name=STUDY,
        direction="maximize" if plan.base.mode == "max" else "minimize",
        pruner=pruner,
        load_if_exists=True,
    )
    described = _describe(plan)
    stored = study.user_attrs.get("plan")
    if stored is not None:  # of before these keys there were, which mean what they are by default
        defaults = {key: TrainConfig.model_fields[key].default for key in LATER if key in described}
        stored = {**defaults, **stored}
    if stored is None:
        study.set_user_attr("plan", described)
    elif stored != described:
        differing = sorted(key for key in {*stored, *described} if stored.get(key) != described.get(key))
        changes = ", ".join(f"{key} was {stored.get(key)!r}, is {described.get(key)!r}" for key in differing)
        msg = f"{plan.output} holds a sweep of another plan: {changes}; choose another --output"
        raise ValueError(msg)
    return study


def _describe(plan: SweepPlan) -> dict[str, Any]:
    """Return what must not change between calls, in a form that JSON can hold."""
    searched = {key: repr(values) for key, values in plan.search.items()}
    base = plan.base.model_dump(mode="json", exclude={"output", *plan.search})
    described = {**base, "search": searched, "pruner": plan.pruner, "sweep_seed": plan.seed}
    content: dict[str, Any] = json.loads(json.dumps(described))
    return content


def _retry_killed(study: optuna.Study) -> int:
    """Tell trials that no process is at any more to have failed, and put their options first in line."""
    running = [trial for trial in study.trials if trial.state is TrialState.RUNNING]
    killed = [trial for trial in running if "error" not in trial.user_attrs]
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
    for trial in killed:
        study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number}, skip_if_exists=False)
    return len(killed)


def _is_over(trial: FrozenTrial) -> bool:
    """Tell whether a trial came to its end: a failure counts if it was the options' own, not a kill."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "error" in trial.user_attrs


def _seed(seed: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {index}".encode()).digest()[:4], "big")


def _suggest(trial: optuna.Trial, plan: SweepPlan) -> dict[str, Value]:
    parameters: dict[str, Value] = {}
    for key, values in plan.search.items():
        if not isinstance(values, Range):
            if len(values) > 1:
                parameters[key] = values[values.index(trial.suggest_categorical(key, values))]
        elif isinstance(values.low, int) and isinstance(values.high, int):
            parameters[key] = trial.suggest_int(key, values.low, values.high, log=values.log)
        else:
            parameters[key] = trial.suggest_float(key, float(values.low), float(values.high), log=values.log)
    return parameters


class _Report:
    """Tells Optuna of mini epochs, and ends the trial where Optuna says so.

    A trial that goes on after a kill tells of the mini epochs before it, too.
    """

    def __init__(self, trial: optuna.Trial, config: TrainConfig) -> None:
        self._trial = trial
        self._config = config
        self.curve: list[tuple[float, float]] = []
        self.value: float | None = None
        self.batches = self._reported = 0
        history = config.output / CHECKPOINTS / "history.jsonl"
        if history.exists():
            for line in history.read_text(encoding="utf-8").splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:  # cut off by a crash: training writes it anew
                    break
                self._add(record)

    def __call__(self, record: Mapping[str, Any]) -> None:
        self._add(record)
        is_done = self.curve and self.curve[-1][0] >= 1.0  # there is nothing left to save
        if not is_done and self._trial.should_prune():
            raise _PrunedError

    def _add(self, record: Mapping[str, Any]) -> None:
        config, value = self._config, record[self._config.figure]
        if record["kind"] != "mini_epoch" or record["batches"] <= self.batches:
            return
        self.batches = record["batches"]
        if value is None or not math.isfinite(value):
            return
        share = (record["epoch"] + (record["chunk"] + 1) / record["n_chunks"]) / config.epochs
        self.curve.append((share, value))
        better = max if config.mode == "max" else min
        self.value = value if self.value is None else better(self.value, value)
        for step in range(self._reported + 1, int(share * STEPS + 1e-9) + 1):
            self._trial.report(self.value, step)
            self._reported = step


def _try(study: optuna.Study, trial: optuna.Trial, plan: SweepPlan, index: int) -> TrialResult | None:
    """Train with a trial's options; None where a signal ended it, which leaves it to be tried again."""
    parameters = _suggest(trial, plan)
    config = plan.config(parameters, plan.output / "trials" / f"trial_{index:03d}")
    report = _Report(trial, config)
    start = time.perf_counter()
    state: State = "complete"
    error = ""
    try:
        run = run_training(config, resume="if_any", on_mini_epoch=report)
        if run.result.exit_code:
            return None
    except _PrunedError:
        state = "pruned"
    except (ValueError, OSError, TrainingError, H5adError, MemoryError, RuntimeError) as problem:
        if not _is_of_the_options(problem):
            raise
        state, error = "failed", " ".join((str(problem) or repr(problem)).split())
    if state == "complete" and report.value is None:
        state, error = "failed", f"{config.figure} was never finite"
    trial.set_user_attr("index", index)
    trial.set_user_attr("seconds", time.perf_counter() - start)
    trial.set_user_attr("curve", report.curve)
    trial.set_user_attr("batches", report.batches)
    if error:
        trial.set_user_attr("error", error)  # the last one: with it the trial counts as over
    told = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    study.tell(trial, report.value if state == "complete" else None, state=told[state])
    return next(result for result in _results(study) if result.index == index)


def _is_of_the_options(problem: Exception) -> bool:
    """Tell whether other options may do better: not with a full disk, nor with an error nobody foresaw."""
    causes: list[BaseException] = [problem]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    if any(isinstance(cause, OSError) and is_full_disk(cause) for cause in causes):
        return False
    foreseen = (ValueError, OSError, TrainingError, H5adError, MemoryError)
    return isinstance(problem, foreseen) or any(text in str(problem) for text in _OUT_OF_MEMORY)


def _results(study: optuna.Study) -> list[TrialResult]:
    names: dict[TrialState, State] = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    results = []
    for trial in filter(_is_over, study.trials):
        facts = trial.user_attrs
        values = list(trial.intermediate_values.values())
        results.append(
            TrialResult(
                index=facts["index"],
                state=names.get(trial.state, "failed"),
                parameters=trial.params,
                value=values[-1] if values else None,
                mini_epochs=len(facts["curve"]),
                batches=facts["batches"],
                seconds=facts["seconds"],
                curve=tuple((share, value) for share, value in facts["curve"]),
                error=facts.get("error", ""),
            )
        )
    return results


def _outcome(
    study: optuna.Study, plan: SweepPlan, retried: int, *, interrupted: bool = False
) -> SweepOutcome:
    trials = _results(study)
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = -1.0 if plan.base.mode == "max" else 1.0
    best = min(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)
    return SweepOutcome(trials=tuple(trials), best=best, retried=retried, interrupted=interrupted)
