"""The options of an experiment, and warnings where they do not suit the data.

In a small data set the field's defaults defeat themselves: a baseline of 1,000 flattens all weights, a
window of 64 x 256 rows swallows a file. Nothing is changed behind the user's back; it is said, with what
would do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tombola._base.checks import check_integer, check_number
from tombola._base.words import meant_or
from tombola.strategies.names import DEFAULT_BASELINE, EXPERIMENT

from ..block_size import BlockSize, check_block_size
from ..labels import flat_weights
from ..misfits import like_names, raw_counts
from .data import ExperimentData

__all__ = [
    "STRATEGIES",
    "WITH_BLOCKS",
    "ExperimentConfig",
    "check_strategies",
    "enough_epochs",
    "find_misfits",
    "window_factor",
]

STRATEGIES: Mapping[str, str] = {name: strategy.summary for name, strategy in EXPERIMENT.items()}
"""The six, name to what it does, in the order of tables and pictures."""
WITH_BLOCKS = ("block_shuffling", "class_balanced")
"""Those whose blocks may have any size; the others have rows, or no blocks."""
MIXED_IN_WINDOWS = ("streaming_shuffle", "block_shuffling")
"""Those that a fetch window of all rows turns into a full shuffle."""

MIN_STEPS = 200
MAX_EPOCHS = 200
PROBED_ROWS = 64
SHOWN = 5
"""Classes never seen in training that are named."""


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """How to train; every strategy alike.

    Parameters
    ----------
    strategies : tuple of str
        Names out of `STRATEGIES`.
    epochs : int
        Passes over the training rows.
    batch_size, fetch_factor : int
        As in the strategies; a fetch window is ``batch_size * fetch_factor`` rows.
    block_size : int or "file"
        Rows of a block; "file" follows the chunks of the files where blocks of rows are shuffled.
    block_sizes : mapping of str to int or "file"
        Strategy to its own, where it is not `block_size`.
    num_workers : int
        Processes that read; 0 lets a thread of this one read ahead. Batches then come in
        another order.
    min_count_baseline : float
        Softens the weights of rare label combinations.
    learning_rate : float
        Of gradient descent, on rows scaled to a typical length of 1.
    log1p : bool
        Scale each row to the sum 10,000 and take log(1 + x): for raw counts.
    seed : int
        Of the order.
    log_interval : int, optional
        Batches after which loss, accuracy and macro-F1 of each task on the batches since are noted; the same
        of the test rows is noted after each epoch then. Without, nothing is noted on the way.
    test_interval : int, optional
        Batches after which the test rows are scored within an epoch, too; needs `log_interval`.
    """

    strategies: tuple[str, ...] = tuple(STRATEGIES)
    epochs: int = 1
    batch_size: int = 64
    fetch_factor: int = 256
    block_size: BlockSize = 16
    block_sizes: Mapping[str, BlockSize] = field(default_factory=dict)
    num_workers: int = 0
    min_count_baseline: float = DEFAULT_BASELINE
    learning_rate: float = 3.0
    log1p: bool = False
    seed: int = 0
    log_interval: int | None = None
    test_interval: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategies", check_strategies(self.strategies))
        object.__setattr__(self, "block_size", check_block_size(self.block_size))
        for name in ("epochs", "batch_size", "fetch_factor"):
            check_integer(name, getattr(self, name), minimum=1)
        for name in ("log_interval", "test_interval"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), minimum=1)
        check_strategies([*self.block_sizes] or ["all"])
        sizes = {name: check_block_size(size) for name, size in self.block_sizes.items()}
        object.__setattr__(self, "block_sizes", sizes)
        check_integer("num_workers", self.num_workers)
        check_integer("seed", self.seed)
        check_number("min_count_baseline", self.min_count_baseline)
        check_number("learning_rate", self.learning_rate, above=True)

    def block_size_of(self, strategy: str) -> BlockSize:
        """Return the block size of a strategy."""
        return self.block_sizes.get(strategy, self.block_size)

    @property
    def window(self) -> int:
        """Rows of a fetch window."""
        return self.batch_size * self.fetch_factor


def check_strategies(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without repeats, "all" spelled out, older words by the name of today.

    Raises
    ------
    ValueError
        If a name is unknown, or none is given.
    """
    given = [name for word in names for name in (STRATEGIES if word == "all" else [word])]
    for name in given:
        if name not in EXPERIMENT:
            known = f"choose from {', '.join(STRATEGIES)}, or all"
            msg = f"unknown strategy {name!r}; {meant_or(name, EXPERIMENT.words, known)}"
            raise ValueError(msg)
    chosen = dict.fromkeys(EXPERIMENT.words[name] for name in given)
    if not chosen:
        msg = f"no strategy given; choose from {', '.join(STRATEGIES)}, or all"
        raise ValueError(msg)
    return tuple(chosen)


def enough_epochs(n_train: int, batch_size: int) -> int:
    """Return the epochs that make about 200 steps, at least 1 and at most 200."""
    steps = -(-n_train // max(1, batch_size))
    return int(np.clip(-(-MIN_STEPS // steps), 1, MAX_EPOCHS))


def window_factor(n_rows: int, batch_size: int) -> int:
    """Return the largest fetch factor whose window is at most `n_rows` rows, at least 1."""
    return max(1, n_rows // batch_size)


def find_misfits(config: ExperimentConfig, data: ExperimentData) -> list[str]:
    """Say where options make no sense for these data, one sentence each, with a value that does."""
    of_options = [*_window_misfits(config, data), *_weight_misfits(config, data)]
    return [*of_options, *_scale_misfits(config, data), *_label_misfits(data), *_unseen_misfits(data)]


def _window_misfits(config: ExperimentConfig, data: ExperimentData) -> list[str]:
    n_train = len(data.train_rows)
    smallest = min(_train_rows_of_files(data))
    suggestion = window_factor(min(n_train, smallest) // 10, config.batch_size)
    cure = f"--fetch-factor {suggestion} gives a window of {suggestion * config.batch_size:,} rows"
    sizes = f"{config.batch_size} x {config.fetch_factor} = {config.window:,} rows"
    if config.batch_size > n_train // 2:
        return [
            f"the batch size of {config.batch_size:,} is more than half of the {n_train:,} training rows: "
            "every strategy gives much the same batches"
        ]
    if 2 * config.window > n_train:
        mixed = [name for name in config.strategies if name in MIXED_IN_WINDOWS]
        what = f"{_all_of(mixed, 'become')} a full shuffle," if mixed else "they are"
        return [
            f"the fetch window of {sizes} holds more than half of the {n_train:,} training rows: "
            f"{what} read at once ({cure})"
        ]
    if config.window > smallest:
        return [
            f"the fetch window of {sizes} is larger than the smallest file ({smallest:,} training rows): "
            f"it reads whole files at once ({cure})"
        ]
    return []


def _train_rows_of_files(data: ExperimentData) -> Sequence[int]:
    bounds = np.searchsorted(data.train_rows, data.file_bounds)
    return [int(size) for size in np.diff(bounds) if size > 0]


def _weight_misfits(config: ExperimentConfig, data: ExperimentData) -> list[str]:
    counts = data.combination_counts()
    baseline = config.min_count_baseline
    weighted = [name for name in config.strategies if EXPERIMENT[name].goes_by == "classes"]
    flat = flat_weights(counts, baseline) if weighted else None
    if flat is None:
        return []
    median = f"(--min-count-baseline {np.median(counts):g} is the median count)"
    return [f"{flat} and {_all_of(weighted, 'balance')} little {median}"]


def _all_of(names: Sequence[str], verb: str) -> str:
    """Join names and a verb, which is that of one or of several."""
    return f"{' and '.join(names)} {verb}{'s' if len(names) == 1 else ''}"


def _scale_misfits(config: ExperimentConfig, data: ExperimentData) -> list[str]:
    found = None if config.log1p else raw_counts(data.source.read(data.train_rows[:PROBED_ROWS])["X"])
    return [] if found is None else [f"{found} (--log1p)"]


def _label_misfits(data: ExperimentData) -> list[str]:
    found = []
    for label in data.labels:
        codes = label.codes[data.train_rows]
        found.append(like_names(label.name, len(np.unique(codes)), len(codes)))
    return [text for text in found if text is not None]


def _unseen_misfits(data: ExperimentData) -> list[str]:
    found = []
    for label, unseen in data.unseen().items():
        names = ", ".join(unseen.classes[:SHOWN]) + (", ..." if len(unseen.classes) > SHOWN else "")
        found.append(
            f"{unseen.rows:,} of {len(data.test_rows):,} test rows have a class of {label!r} that no "
            f"training row has ({len(unseen.classes)}: {names}); they count as wrong"
        )
    return found
