"""What `tombola sweep` is told: the keys of sweep.yaml, and the values of train.yaml's keys to search.

A search is a list of values, one value (which fixes it), or a range ``{low: 0.01, high: 10, log: true}``.
Every value is checked as the key of train.yaml that it is.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from ..config_files import (
    StrictModel,
    check_model,
    expanded,
    meant_or_known,
    not_bool,
    place_of,
    read_mapping,
    resolve_paths,
)
from ..train.config import PATH_KEYS, TrainConfig, check_train_config

__all__ = ["FIXED", "Range", "Search", "SweepFile", "SweepPlan", "make_plan", "read_sweep_config"]

Value: TypeAlias = str | int | float | bool

FIXED = (
    "files",
    "labels",
    "validation_files",
    "validation_fraction",
    "validation_rows",
    "monitor",
    "hidden",
    "classes",
    "tensorboard",
    "output",
)
"""Keys that all trials share: what they are measured by, and lists."""


class Range(StrictModel):
    """Numbers from `low` to `high`, both included; integers where both are."""

    low: Annotated[int | float, Field(allow_inf_nan=False, description="a finite number")]
    high: Annotated[int | float, Field(allow_inf_nan=False, description="a finite number")]
    log: Annotated[bool, Field(description="true or false")] = False


Search: TypeAlias = Mapping[str, tuple[Value, ...] | Range]


_Pruner = Literal["median", "none"]


class SweepFile(StrictModel):
    """All keys of sweep.yaml; what each means is in `train.keys.SWEEP_KEYS`."""

    train: Annotated[str | dict[str, Any], Field(description="a path of a train.yaml, or its keys")]
    search: Annotated[
        dict[str, Any],
        Field(min_length=1, description="a mapping of keys of train.yaml to values or to {low, high, log}"),
    ]
    trials: Annotated[int, BeforeValidator(not_bool), Field(ge=1, description="an integer >= 1")] = 20
    pruner: Annotated[_Pruner, Field(description="one of median, none")] = "median"
    seed: Annotated[
        int, BeforeValidator(not_bool), Field(ge=0, lt=2**32, description="an integer in [0, 2**32)")
    ] = 0
    storage: Annotated[str | None, Field(min_length=1, description="a storage URL of Optuna")] = None
    output: Annotated[Path, Field(description="a folder")] = Path("tombola-sweep")


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """What to try.

    Parameters
    ----------
    base : TrainConfig
        What is not searched.
    search : mapping
        Key of `TrainConfig` to the values to choose from, or to a range.
    trials : int
        How many; those of an earlier call that finished count.
    output : Path
        Folder of the study, the trials and the results.
    pruner : {"median", "none"}
        Whether trials that are worse than the median of earlier ones at the same share of training end.
    seed : int
        Of the choice; data, weights and order go by the configuration's.
    storage : str, optional
        A storage URL of Optuna; by default SQLite in `output`.
    """

    base: TrainConfig
    search: Search
    trials: int = 20
    output: Path = Path("tombola-sweep")
    pruner: Literal["median", "none"] = "median"
    seed: int = 0
    storage: str | None = None

    def fixed(self) -> dict[str, Value]:
        """Return what is searched among one value only."""
        return {
            key: values[0]
            for key, values in self.search.items()
            if not isinstance(values, Range) and len(values) == 1
        }

    def config(self, parameters: Mapping[str, Value], output: Path) -> TrainConfig:
        """Return a trial's configuration."""
        return check_train_config(
            {**self.base.model_dump(), **self.fixed(), **parameters, "tensorboard": False, "output": output},
            "sweep",
        )


def read_sweep_config(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    train_overrides: Mapping[str, Any] | None = None,
) -> SweepPlan:
    """Read sweep.yaml, with options over it.

    Parameters
    ----------
    path : Path
    overrides : mapping, optional
        Values of its own keys.
    train_overrides : mapping, optional
        Values of keys of train.yaml, which are then not searched.

    Raises
    ------
    ValueError
        If a key or a value, here or in the training's configuration, is not allowed; the message names it.
    OSError
        If a file cannot be read.
    """
    given = dict(overrides or {})
    values = resolve_paths(read_mapping(path), PATH_KEYS, path.parent)
    file = check_model(SweepFile, {**values, **given}, place_of(path, given))
    origin: object = str(path)
    if isinstance(file.train, str):
        origin = path.parent / expanded(file.train)
        train = resolve_paths(read_mapping(origin), PATH_KEYS, origin.parent)
    else:
        train = resolve_paths(file.train, PATH_KEYS, path.parent)
    fixed = dict(train_overrides or {})
    search = {key: value for key, value in file.search.items() if key not in fixed}
    return make_plan(
        {**train, **_firsts(search)},
        search,
        origin=path,
        train_origin=origin,
        train_overrides=fixed,
        trials=file.trials,
        pruner=file.pruner,
        seed=file.seed,
        storage=file.storage,
        output=file.output,
    )


def make_plan(
    train: Mapping[str, Any],
    search: Mapping[str, Any],
    *,
    origin: object = "sweep",
    train_origin: object = "train",
    train_overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> SweepPlan:
    """Check the values and return what to try.

    Parameters
    ----------
    train : mapping
        Keys of train.yaml.
    search : mapping
        Key to a value, a list of values or a mapping of low, high and log.
    origin, train_origin : object
        Where search and training are described, for errors.
    train_overrides : mapping, optional
        Options over the training's keys.
    **options
        As in `SweepPlan`.

    Raises
    ------
    ValueError
        If a key or a value is not allowed.
    """
    given_as_options = dict(train_overrides or {})
    of_train, of_search = place_of(train_origin, given_as_options), place_of(origin, (), "search")

    def place(key: str) -> str:
        is_searched = key in search and key not in given_as_options
        return f"{of_search(key)}: search" if is_searched else of_train(key)

    base = check_model(TrainConfig, {**train, **given_as_options}, place)
    checked: dict[str, tuple[Value, ...] | Range] = {}
    for key, given in search.items():
        if key not in TrainConfig.model_fields or key in FIXED:
            searchable = [name for name in TrainConfig.model_fields if name not in FIXED]
            msg = f"{of_search(key)}: {key!r} cannot be searched; {meant_or_known(key, searchable)}"
            raise ValueError(msg)
        checked[key] = _checked(key, given, base, place(key))
    return dataclasses.replace(SweepPlan(base, checked), **options)


def _firsts(search: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first value of each list: the base must hold without what the search gives it."""
    return {
        key: value[0] if isinstance(value, list) else value
        for key, value in search.items()
        if key in TrainConfig.model_fields and not isinstance(value, dict) and value != []
    }


def _checked(key: str, given: Any, base: TrainConfig, place: str) -> tuple[Value, ...] | Range:
    if isinstance(given, Mapping):
        limits = check_model(Range, given, lambda _: place, inside=key)
        if not limits.low < limits.high or (limits.log and limits.low <= 0):
            expected = "0 < low < high" if limits.log else "low < high"
            msg = f"{place}: {key} must have {expected}, but low is {limits.low:g} and high {limits.high:g}"
            raise ValueError(msg)
        if not isinstance(getattr(base, key), int | float) or isinstance(getattr(base, key), bool):
            msg = f"{place}: {key} holds no numbers: give a list of values, not a range"
            raise ValueError(msg)
        ends = tuple(_value(key, value, base, place) for value in (limits.low, limits.high))
        whole = all(isinstance(end, int) for end in ends)
        kind = int if whole else float
        return Range(low=kind(limits.low), high=kind(limits.high), log=limits.log)
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values:
        msg = f"{place}: {key} must be a value, a list of values or {{low, high, log}}, but is []"
        raise ValueError(msg)
    return tuple(dict.fromkeys(_value(key, value, base, place) for value in values))


def _value(key: str, value: Any, base: TrainConfig, place: str) -> Value:
    if not isinstance(value, str | int | float):
        msg = f"{place}: {key} must be numbers, text or true and false, but holds {value!r}"
        raise ValueError(msg)
    config = check_model(TrainConfig, {**base.model_dump(), key: value}, lambda _: place)
    checked: Value = getattr(config, key)
    return checked
