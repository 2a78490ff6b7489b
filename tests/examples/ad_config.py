"""The committed configuration of the compressed-history example, and a small one."""

from pathlib import Path

from compressed_ad.config import Config, read_config
from tests.examples.running import EXAMPLES

FILES = tuple(
    Path(name)
    for name in (
        "config/algorithm/ppo_base.yaml",
        "config/env/darkroom.yaml",
        "config/model/ad_compressed_dr.yaml",
    )
)


def committed() -> Config:
    return read_config(FILES, EXAMPLES)


def small() -> Config:
    less = {
        "source_episodes": 30,
        "n_tasks": 8,
        "keep_every": 2,
        "episode_length": 10,
        "context_length": 20,
        "stage_length": 30,
        "samples_per_history": 24,
        "embedding_dim": 16,
        "memory_tokens": 3,
    }
    return committed().model_copy(update=less)
