"""What `tombola train` is told: the keys of train.yaml, what each may be, and what must fit together.

Options of the command line override the file. Paths in the file are relative to the file's folder, paths in
options to the working directory.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tombola.strategies.names import DEFAULT_BASELINE, TRAIN

from ..block_size import ALLOWED as BLOCK_SIZES
from ..block_size import BlockSize, block_size_in_file
from ..config_files import StrictModel, check_model, not_bool, place_of, read_mapping, resolve_paths
from .chunk_budget import ALLOWED as CHUNK_SIZES
from .chunk_budget import ChunkBudget, checked_chunk_size, parse_chunk_size

__all__ = ["PATH_KEYS", "TrainConfig", "check_train_config", "read_train_config"]

PATH_KEYS = ("files", "validation_files", "output")


def _amount(value: object) -> float | int:
    """Return a share as float, a number of rows as int."""
    number = float(str(value)) if isinstance(value, int | float | str) and value is not True else math.nan
    if 0.0 < number <= 1.0:
        return number
    if number > 1.0 and number.is_integer():
        return int(number)
    msg = "no amount"
    raise ValueError(msg)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | Path | int) and not isinstance(value, bool) else value


def _checked_switch(value: object) -> object:
    if value not in (True, False, "auto"):
        msg = "neither true, false nor auto"
        raise ValueError(msg)
    return value


def _checked_strategy(value: str) -> str:
    if value not in TRAIN:
        msg = "no strategy"
        raise ValueError(msg)
    return value


def _one_of(names: object) -> str:
    return f"one of {', '.join(get_args(names))}"


_Whole = Annotated[int, BeforeValidator(not_bool), Field(ge=1)]
_Float = Annotated[float, BeforeValidator(not_bool), Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[float, BeforeValidator(not_bool), Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, BeforeValidator(not_bool), Field(ge=0, lt=1)]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)]
_Amount = Annotated[float | int, BeforeValidator(_amount)]
_ErrorOrSkip = Literal["error", "skip"]
_COLUMN = "the name of an obs column"
_NAMES = "a list of obs columns, or one"
_COUNT = "an integer >= 1"
_Model = Literal["linear", "mlp"]
_Optimizer = Literal["sgd", "adam", "adamw"]
_Schedule = Literal["constant", "cosine"]
_Distribute = Literal["rows", "shards"]
_Join = Literal["exact", "inner"]
_StopOrContinue = Literal["stop", "continue"]
_Autocast = Literal["bfloat16"]  # float16 needs a scaler
_ERROR_OR_SKIP = _one_of(_ErrorOrSkip)


class TrainConfig(StrictModel):
    """All keys of train.yaml; `files` and `labels` are required. What each means is in `keys.TRAIN_KEYS`."""

    files: Annotated[_Names, Field(min_length=1, description="a list of h5ad files, folders or patterns")]
    labels: Annotated[_Names, Field(min_length=1, description=_NAMES)]
    x: Annotated[str, Field(description="X, layers/NAME, raw/X or obsm/NAME")] = "X"
    join: Annotated[_Join, Field(description=_one_of(_Join))] = "exact"
    log1p: Annotated[bool, Field(description="true or false")] = False
    total_data: Annotated[
        _Amount, Field(description="a share in (0, 1] or a whole number of rows above 1")
    ] = 1.0
    validation_files: Annotated[_Names, Field(description="a list of h5ad files, folders or patterns")] = ()
    validation_fraction: Annotated[_Share | None, Field(description="a share in [0, 1)")] = None
    validation_rows: Annotated[_Whole, Field(description=_COUNT)] = 100_000
    strategy: Annotated[
        str, AfterValidator(_checked_strategy), Field(description=f"one of {', '.join(TRAIN)}")
    ] = "block_shuffling"
    block_size: Annotated[BlockSize, BeforeValidator(block_size_in_file), Field(description=BLOCK_SIZES)] = 16
    batch_size: Annotated[_Whole, Field(description=_COUNT)] = 64
    fetch_factor: Annotated[_Whole, Field(description=_COUNT)] = 64
    drop_last: Annotated[bool, Field(description="true or false")] = False
    weights: Annotated[str | None, Field(min_length=1, description=_COLUMN)] = None
    classes: Annotated[_Names, Field(description=_NAMES)] = ()
    series: Annotated[str | None, Field(min_length=1, description=_COLUMN)] = None
    buckets: Annotated[str | None, Field(min_length=1, description=_COLUMN)] = None
    n_buckets: Annotated[_Whole | None, Field(description=_COUNT)] = None
    min_count_baseline: Annotated[_Float, Field(description="a finite number >= 0")] = DEFAULT_BASELINE
    chunk_size: Annotated[
        int | str,
        BeforeValidator(checked_chunk_size),
        Field(description=CHUNK_SIZES),
    ] = 20
    shuffle_files: Annotated[bool, Field(description="true or false")] = True
    distribute: Annotated[_Distribute, Field(description=_one_of(_Distribute))] = "rows"
    epochs: Annotated[_Whole, Field(description=_COUNT)] = 1
    seed: Annotated[
        int, BeforeValidator(not_bool), Field(ge=0, lt=2**63, description="an integer in [0, 2**63)")
    ] = 0
    model: Annotated[_Model, Field(description=_one_of(_Model))] = "linear"
    hidden: Annotated[
        Annotated[tuple[_Whole, ...], BeforeValidator(_several)],
        Field(min_length=1, description="a list of integers >= 1"),
    ] = (256,)
    dropout: Annotated[_Share, Field(description="a share in [0, 1)")] = 0.0
    optimizer: Annotated[_Optimizer, Field(description=_one_of(_Optimizer))] = "sgd"
    learning_rate: Annotated[_Positive, Field(description="a finite number > 0")] = 1.0
    weight_decay: Annotated[_Float, Field(description="a finite number >= 0")] = 0.0
    schedule: Annotated[_Schedule, Field(description=_one_of(_Schedule))] = "constant"
    accumulate: Annotated[_Whole, Field(description=_COUNT)] = 1
    clip_grad_norm: Annotated[_Positive | None, Field(description="a finite number > 0")] = None
    autocast: Annotated[_Autocast | None, Field(description=_one_of(_Autocast))] = None
    on_nonfinite_loss: Annotated[_StopOrContinue, Field(description=_one_of(_StopOrContinue))] = "stop"
    monitor: Annotated[str, Field(description="validation_loss, validation_macro_f1_LABEL or the like")] = (
        "validation_loss"
    )
    patience: Annotated[_Whole | None, Field(description=_COUNT)] = None
    checkpoint_every: Annotated[_Whole | None, Field(description=_COUNT)] = None
    validate_every: Annotated[_Whole | None, Field(description=_COUNT)] = None
    keep_last: Annotated[_Whole, Field(description=_COUNT)] = 3
    on_missing_shard: Annotated[_ErrorOrSkip, Field(description=_ERROR_OR_SKIP)] = "error"
    on_bad_shard: Annotated[_ErrorOrSkip, Field(description=_ERROR_OR_SKIP)] = "error"
    on_full_disk: Annotated[_StopOrContinue, Field(description=_one_of(_StopOrContinue))] = "stop"
    device: Annotated[
        str | None,
        Field(pattern=r"^(cpu|cuda|mps|xpu)(:[0-9]+)?$", description="cpu, cuda, cuda:N, mps or xpu"),
    ] = None
    tensorboard: Annotated[
        bool | Literal["auto"], BeforeValidator(_checked_switch), Field(description="true, false or auto")
    ] = "auto"
    output: Annotated[Path, Field(description="a folder")] = Path("tombola-train")

    @model_validator(mode="before")
    @classmethod
    def _word_of_experiments(cls, values: Any) -> Any:
        """Take `block_weighted` without a column of weights as files of experiments mean it: over classes."""
        is_word = isinstance(values, Mapping) and values.get("strategy") == "block_weighted"
        return {**values, "strategy": "class_balanced"} if is_word and not values.get("weights") else values

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainConfig":
        needed = TRAIN[self.strategy].goes_by
        if needed is not None and getattr(self, needed) is None:
            msg = f"strategy {self.strategy} goes by an obs column: the key {needed!r} must name it"
            raise ValueError(msg)
        if self.validation_files and self.validation_fraction is not None:
            msg = "validation_files and validation_fraction exclude each other"
            raise ValueError(msg)
        allowed = self.monitored
        if self.monitor not in allowed:
            msg = f"monitor must be one of {', '.join(allowed)}, but is {self.monitor!r}"
            raise ValueError(msg)
        if not self.validates and (self.patience is not None or self.validate_every is not None):
            msg = "patience and validate_every need validation: validation_fraction must be above 0"
            raise ValueError(msg)
        return self

    @property
    def monitored(self) -> tuple[str, ...]:
        """What `monitor` may name."""
        if not self.validates:
            return ("validation_loss", "train_loss")  # the first is the default, and stands for the second
        kinds = ("validation_macro_f1", "validation_accuracy")
        scores = [f"{kind}_{label}" for label in self.labels for kind in kinds]
        return ("validation_loss", *scores, "train_loss")

    @property
    def figure(self) -> str:
        """The figure of the history's records that says what is best."""
        return self.monitor if self.validates else "train_loss"

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether less or more of the monitored figure is better."""
        return "min" if self.monitor.endswith("loss") else "max"

    @property
    def validates(self) -> bool:
        """Whether there are rows to validate on."""
        return bool(self.validation_files) or self.validation_fraction != 0.0

    @property
    def fraction(self) -> float:
        """Share of every file's rows that validate; by default a tenth, where no files are given."""
        if self.validation_files:
            return 0.0
        return 0.1 if self.validation_fraction is None else self.validation_fraction

    @property
    def chunk(self) -> ChunkBudget:
        """The size of a mini epoch."""
        return parse_chunk_size(self.chunk_size)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The obs columns that the strategy goes by: the labels, where classes are not given."""
        needed = TRAIN[self.strategy].goes_by
        if needed is None:
            return ()
        columns = self.classes or self.labels if needed == "classes" else (getattr(self, needed),)
        return tuple(dict.fromkeys(columns))


def read_train_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read train.yaml, with options over it.

    Parameters
    ----------
    path : Path
    overrides : mapping, optional
        Values by key that replace the file's.

    Raises
    ------
    ValueError
        If the file is no YAML mapping, or a key or a value is not allowed; the message names it.
    OSError
        If the file cannot be read.
    """
    return check_train_config(resolve_paths(read_mapping(path), PATH_KEYS, path.parent), path, overrides)


def check_train_config(
    values: Mapping[str, Any], origin: object, overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Return the configuration of these values, with options over them; for `origin` see `place_of`."""
    given = dict(overrides or {})
    return check_model(TrainConfig, {**values, **given}, place_of(origin, given))
