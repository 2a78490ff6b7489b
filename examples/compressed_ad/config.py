"""Configuration: YAML files that together hold each key once, checked by pydantic before anything is done.

A key may stand in any of the files; the division into algorithm, environment and model is for people.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = ["Config", "read_config"]

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Config(BaseModel):
    """All options; `config/*/*.yaml` say what they mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # algorithm
    algorithm: Literal["ppo"]
    source_episodes: Count
    episodes_per_update: Count
    update_epochs: Count
    source_learning_rate: Rate
    clip_range: Rate
    gamma: Share
    gae_lambda: Share
    entropy_coefficient: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    # environment
    env: Literal["darkroom"]
    grid_size: Annotated[int, Field(ge=2, le=100)]
    episode_length: Count
    n_tasks: Annotated[int, Field(ge=4)]
    keep_every: Count
    # model
    model: Literal["ad_compressed"]
    context_length: Count
    stage_length: Count
    max_compression_depth: Annotated[int, Field(ge=1)]
    memory_tokens: Count
    embedding_dim: Count
    n_heads: Count
    encoder_layers: Count
    decoder_layers: Count
    train_batch_size: Count
    learning_rate: Rate
    epochs: Count
    samples_per_history: Count
    evaluate_every: Count
    target_loss: Rate | None

    @property
    def history_length(self) -> int:
        """Steps of a history."""
        return self.source_episodes // self.keep_every * self.episode_length

    @property
    def n_actions(self) -> int:
        """Stay, up, down, left and right."""
        return 5

    @model_validator(mode="after")
    def _fits_together(self) -> "Config":
        if self.embedding_dim % self.n_heads:
            msg = f"embedding_dim must be a multiple of n_heads, {self.n_heads}, but is {self.embedding_dim}"
            raise ValueError(msg)
        if self.history_length <= self.context_length:
            msg = (
                "histories must be longer than context_length, or nothing is compressed, but have "
                f"{self.history_length} steps (source_episodes // keep_every * episode_length) "
                f"beside {self.context_length}"
            )
            raise ValueError(msg)
        return self

    def data_settings(self, seed: int) -> dict[str, Any]:
        """Return what the stored histories and samples depend on."""
        model_only = {
            "model",
            "memory_tokens",
            "embedding_dim",
            "n_heads",
            "encoder_layers",
            "decoder_layers",
            "train_batch_size",
            "learning_rate",
            "epochs",
            "evaluate_every",
            "target_loss",
        }
        return {**self.model_dump(exclude=model_only), "seed": seed}

    def quick(self) -> "Config":
        """Return the same with a fraction of the data and of the steps."""
        less = {
            "n_tasks": 12,
            "samples_per_history": 12,
            "epochs": 2,
            "evaluate_every": 2,
            "target_loss": None,
        }
        smaller = {"train_batch_size": min(self.train_batch_size, 16), "embedding_dim": 4 * self.n_heads}
        share = 2 if self.keep_every % 2 == 0 else 1  # of the episodes; histories stay as long
        shorter = {
            "source_episodes": max(1, self.source_episodes // share),
            "keep_every": self.keep_every // share,
        }
        return self.model_copy(update={**less, **smaller, **shorter})


def read_config(paths: Sequence[Path], beside: Path) -> Config:
    """Read and check the files; a relative path that is not there is looked for beneath `beside`.

    Raises
    ------
    ValueError
        If a file is no YAML mapping, a key is unknown, missing or given twice, or a value does not fit; the
        message names the file and the key.
    OSError
        If a file cannot be read.
    """
    values: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    for path in paths:
        found = path if path.exists() or path.is_absolute() else beside / path
        for key, value in _read_mapping(found if found.exists() else path).items():
            if key in values:
                msg = f"{path}: the key {key!r} is in {origin[key]} already"
                raise ValueError(msg)
            if key not in Config.model_fields:
                close = difflib.get_close_matches(str(key), Config.model_fields, n=1)
                msg = f"{path}: unknown key {key!r}" + (f"; {close[0]!r} is meant, perhaps" if close else "")
                raise ValueError(msg)
            values[key], origin[key] = value, path
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ValueError(_first_problem(error, origin, paths)) from None


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path}: no valid YAML: {error}"
        raise ValueError(msg) from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        msg = f"{path}: expected keys with values, but found {found}"
        raise ValueError(msg)
    return content


def _first_problem(error: ValidationError, origin: dict[str, Path], paths: Sequence[Path]) -> str:
    """Say the first problem in one line: file, key, what was expected and what came."""
    problem = error.errors(include_url=False)[0]
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    key = str(problem["loc"][0])
    if problem["type"] == "missing":
        return f"{', '.join(map(str, paths))}: the key {key!r} is missing"
    return f"{origin[key]}: {key}: {problem['msg'].lower()}, but it is {problem['input']!r}"
