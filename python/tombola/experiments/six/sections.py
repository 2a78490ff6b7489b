"""The sections of an experiment's file: their keys, defaults, and what each value may be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tombola.strategies.names import DEFAULT_BASELINE

from ..block_size import ALLOWED, BlockSize, block_size_in_file
from ..config_files import StrictModel, not_bool

__all__ = [
    "SECTIONS",
    "DataSection",
    "OutputSection",
    "ScDatasetSection",
    "StrategySection",
    "TrainingSection",
    "WeightsSection",
]


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | Path | int) and not isinstance(value, bool) else value


_Whole = Annotated[int, BeforeValidator(not_bool), Field(ge=1)]
_Natural = Annotated[int, BeforeValidator(not_bool), Field(ge=0, lt=2**63)]
_BlockSize = Annotated[BlockSize, BeforeValidator(block_size_in_file)]
_Share = Annotated[float, BeforeValidator(not_bool), Field(gt=0, lt=1)]
_Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_several)]
_COUNT = "an integer >= 1"


class DataSection(StrictModel):
    """Which rows of which files, and what is to be learnt of them."""

    h5ad_dir: Annotated[
        _Names,
        Field(min_length=1, description="a folder of h5ad files, or a list of files, folders or patterns"),
    ]
    label_dir: Annotated[
        Path | None, Field(description="a folder of CSV or JSON files, drug to mechanism")
    ] = None
    labels: Annotated[_Names, Field(min_length=1, description="a list of obs columns or mapped labels")] = (
        "cell_line",
        "drug",
        "moa_broad",
        "moa_fine",
    )
    test_files: Annotated[_Names, Field(description="a list of names of files in h5ad_dir, or of paths")] = ()
    test_fraction: Annotated[_Share | None, Field(description="a share in (0, 1)")] = None
    join: Annotated[Literal["exact", "inner"], Field(description="one of exact, inner")] = "exact"

    @model_validator(mode="after")
    def _fits_together(self) -> "DataSection":
        if self.test_files and self.test_fraction is not None:
            msg = "test_files and test_fraction exclude each other"
            raise ValueError(msg)
        return self


class TrainingSection(StrictModel):
    """How to train."""

    epochs: Annotated[_Whole, Field(description=_COUNT)] = 1
    batch_size: Annotated[_Whole, Field(description=_COUNT)] = 64
    learning_rate: Annotated[
        float, BeforeValidator(not_bool), Field(gt=0, allow_inf_nan=False, description="a finite number > 0")
    ] = 3.0
    log1p: Annotated[bool, Field(description="true or false")] = False
    max_train_cells: Annotated[_Whole | None, Field(description=_COUNT)] = None
    max_test_cells: Annotated[_Whole | None, Field(description=_COUNT)] = None
    seeds: Annotated[
        Annotated[tuple[_Natural, ...], BeforeValidator(_several)],
        Field(min_length=1, description="a list of integers >= 0, or one"),
    ] = (0,)


class ScDatasetSection(StrictModel):
    """How rows are read."""

    fetch_factor: Annotated[_Whole, Field(description=_COUNT)] = 256
    num_workers: Annotated[_Natural, Field(description="an integer >= 0")] = 0


class WeightsSection(StrictModel):
    """How classes are balanced."""

    min_count_baseline: Annotated[
        float, BeforeValidator(not_bool), Field(ge=0, allow_inf_nan=False, description="a finite number >= 0")
    ] = DEFAULT_BASELINE


class StrategySection(StrictModel):
    """Whether a strategy is tried, and how."""

    enabled: Annotated[bool, Field(description="true or false")] = True
    shuffle: Annotated[bool | None, Field(description="true or false")] = None
    block_size: Annotated[_BlockSize | None, Field(description=ALLOWED)] = None


class OutputSection(StrictModel):
    """Where to write, and how often."""

    save_dir: Annotated[Path, Field(description="a folder")] = Path("tombola-experiment")
    log_interval: Annotated[_Whole, Field(description=_COUNT)] = 50
    test_interval: Annotated[_Whole | None, Field(description=_COUNT)] = None


SECTIONS: Mapping[str, type[StrictModel]] = {
    "data": DataSection,
    "training": TrainingSection,
    "scdataset": ScDatasetSection,
    "weights": WeightsSection,
    "output": OutputSection,
}
"""All but ``strategies``, which has a section for each of them."""
