"""One chunk's strategy and loader, and the loader of the validation rows.

Rule: a chunk is a source of its own over its files, in the order of their names, so its batches depend on
these files only; rows are chosen by `indices`. Classes, keys and the columns of X are those of all files.
Strategies that balance or draw by weight do so within the chunk. Complexity: O(rows of the chunk).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from tombola import H5adSource, Loader, Streaming
from tombola._base.types import IndexArray
from tombola.passes.ranks import distributed_ranks
from tombola.sources import Column, H5adError
from tombola.strategies import Strategy
from tombola.strategies.names import TRAIN, StrategyInputs
from tombola.training import Chunk, ShardError
from tombola.training.culprits import bad_alone, named_by

from ..block_size import block_inputs
from ..labels import combination_counts, flat_weights
from ..model import log_normalise
from .config import TrainConfig
from .data import TrainingData
from .shards import FileShards

__all__ = ["Batch", "LoaderMaker", "make_strategy", "ranks"]

Batch: TypeAlias = dict[str, Any]

_logger = logging.getLogger(__name__)

VALIDATION_BATCH = 256
VALIDATION_WINDOW = 16


def ranks() -> tuple[int, int]:
    """Return the rank of this process among the initialised ones, and their number."""
    return distributed_ranks() or (0, 1)


def make_strategy(
    config: TrainConfig, data: TrainingData, source: H5adSource, local: IndexArray, whole: IndexArray
) -> Strategy:
    """Return the strategy over some rows, numbered within their source (`local`) and within all (`whole`)."""
    inputs = StrategyInputs(
        indices=local,
        keys=[values[whole] for values in data.keys.values()],
        min_count_baseline=config.min_count_baseline,
        n_buckets=config.n_buckets,
        **block_inputs(config.block_size, source),
    )
    return TRAIN[config.strategy].make(inputs)


def _say_flat(config: TrainConfig, data: TrainingData) -> None:
    """Log where the baseline leaves nothing of balanced classes."""
    if TRAIN[config.strategy].goes_by != "classes":
        return
    counts = combination_counts([values[data.is_train] for values in data.keys.values()])
    flat = flat_weights(counts, config.min_count_baseline)
    if flat is not None:
        median = float(np.median(counts))
        _logger.warning("%s; min_count_baseline: %g, the median count, balances more", flat, median)


class LoaderMaker:
    """Makes loaders; a batch is a dict with ``X``, ``row`` and, under ``targets``, the class codes by label.

    Parameters
    ----------
    config : TrainConfig
    shards : FileShards
    """

    def __init__(self, config: TrainConfig, shards: FileShards) -> None:
        self._config, self._shards = config, shards
        self._left_out: set[Path] = set()
        self._said_short = False
        _say_flat(config, shards.data)

    @property
    def data(self) -> TrainingData:
        """What is known of the files of this full epoch."""
        return self._shards.data

    def __call__(self, chunk: Chunk) -> Loader:
        """Return the loader of one mini epoch."""
        paths = sorted(Path(shard) for shard in chunk.shards)
        local, whole = self.data.rows_of(paths, self.data.is_train)
        config, source = self._config, self._source(paths)
        strategy = make_strategy(config, self.data, source, local, whole)
        plan = strategy.plan(len(source), batch_size=config.batch_size, drop_last=config.drop_last)
        is_short = len(plan) < chunk.world_size
        if is_short and not self._said_short:
            self._said_short = True
            _logger.warning(
                "a mini epoch has %d batches for %d ranks, so some come twice: use a smaller batch_size, "
                "larger chunks, or fewer ranks",
                len(plan),
                chunk.world_size,
            )
        return self._loader(
            source,
            strategy,
            config.batch_size,
            config.fetch_factor,
            drop_last=config.drop_last,
            seed=chunk.seed,
            rank=chunk.rank,
            world_size=chunk.world_size,
            even="pad" if is_short else "drop",
        )

    def validation(self) -> Iterable[Batch]:
        """Return the validation rows, in order; each of several ranks has a part of them."""
        rank, n_ranks = ranks()
        part = np.array_split(np.flatnonzero(self.data.is_validation), n_ranks)[rank]
        chosen = np.zeros_like(self.data.is_validation)
        chosen[part] = True
        return self._in_order(chosen)

    def probe(self, n_rows: int) -> Iterable[Batch]:
        """Return at most `n_rows` training rows, evenly spaced."""
        chosen = np.zeros(len(self.data.is_train), dtype=bool)
        rows = np.flatnonzero(self.data.is_train)
        chosen[rows[:: -(-len(rows) // n_rows)]] = True
        return self._in_order(chosen)

    def _in_order(self, chosen: npt.NDArray[np.bool_]) -> Iterator[Batch]:
        """Yield batches of the chosen rows in order, without files that are gone or bad, if that is wanted.

        Raises
        ------
        ShardError
            If a file is gone or cannot be read.
        """
        left = chosen.copy()
        while left.any():
            paths = self.data.files_of(left)
            gone = [path for path in paths if not path.exists()]
            if gone:
                self._leave_out(gone, left, "is gone", self._config.on_missing_shard)
                continue
            done = 0
            try:
                for batch in self._each(paths, left):
                    yield batch
                    done += len(batch["row"])
            except (OSError, H5adError, ShardError) as error:
                if self._config.on_bad_shard == "error":
                    raise
                bad = self._bad(paths, left, error)
                if not bad:
                    raise
                left[self.data.rows_of(paths, left)[1][:done]] = False
                self._leave_out(bad, left, f"cannot be read: {error}", "skip")
            else:
                return

    def _each(self, paths: Sequence[Path], chosen: npt.NDArray[np.bool_]) -> Iterable[Batch]:
        local, _ = self.data.rows_of(paths, chosen)
        strategy = Streaming(indices=local)
        source = self._source(paths)
        return self._loader(source, strategy, VALIDATION_BATCH, VALIDATION_WINDOW, rank=0, world_size=1)

    def _bad(self, paths: Sequence[Path], chosen: npt.NDArray[np.bool_], error: Exception) -> list[Path]:
        """Return the files that an error carries, else those that fail alone as it did."""
        files = {str(path): path for path in paths}

        def read(path: Path) -> None:
            for _ in self._each([path], chosen):
                pass

        found = named_by(error, files) or bad_alone(error, files, read)
        return [files[name] for name in found]

    def _leave_out(self, paths: Sequence[Path], left: npt.NDArray[np.bool_], why: str, option: str) -> None:
        for path in paths:
            if option == "error":
                msg = f"{path} {why}, but some of its rows validate; on_missing_shard: skip leaves it out"
                raise ShardError(msg, shard=path)
            if path not in self._left_out:
                _logger.warning("%s %s; figures are without its rows from now on", path, why)
                self._left_out.add(path)
            start, stop = self.data.span(path)
            left[start:stop] = False

    def _source(self, paths: Sequence[Path]) -> "_Files":
        return _Files(paths, x=self._config.x, join=self._config.join)

    def _loader(
        self, source: "_Files", strategy: Strategy, batch_size: int, fetch_factor: int, **options: Any
    ) -> Loader:
        return Loader(
            source,
            strategy,
            batch_size,
            fetch_factor,
            batch_transform=self._transform(source),
            **options,
        )

    def _transform(self, source: H5adSource) -> Callable[[Batch], Batch]:
        """Return what turns rows of X into a batch to learn from."""
        spans = [self.data.span(path) for path in source.paths]
        codes = {
            task.name: np.concatenate([task.codes[start:stop] for start, stop in spans])
            for task in self.data.tasks
        }
        columns: torch.Tensor | None = None
        if tuple(source.var_names) != self.data.var_names:  # these files share more than all files do
            place = {name: at for at, name in enumerate(source.var_names)}
            columns = torch.tensor([place[name] for name in self.data.var_names])

        def transform(batch: Batch) -> Batch:
            if columns is not None:
                batch = {**batch, "X": batch["X"][:, columns]}
            if self._config.log1p:
                batch = log_normalise(batch)
            rows = batch["row"].numpy()
            targets = {
                name: torch.from_numpy(values[rows].astype(np.int64)) for name, values in codes.items()
            }
            return {**batch, "targets": targets}

        return transform


class _Files(H5adSource):
    """Files whose errors carry which of them is bad."""

    def __init__(self, paths: Sequence[Path], **options: Any) -> None:
        with _naming(paths):
            super().__init__(paths, **options)

    def chunk_bounds(self, **options: Any) -> IndexArray:
        with _naming(self.paths):
            return super().chunk_bounds(**options)

    def read(self, rows: IndexArray) -> dict[str, Column]:
        with _naming(self.paths):
            return super().read(rows)

    def read_in_order(self, rows: IndexArray) -> dict[str, Column] | None:
        with _naming(self.paths):
            return super().read_in_order(rows)


@contextmanager
def _naming(paths: Sequence[Path]) -> Iterator[None]:
    """Raise ShardError for an H5adError, whose message begins with the path."""
    try:
        yield
    except H5adError as error:
        text = str(error)
        bad = [path for path in paths if text.startswith(f"{path}:") or text == str(path)]
        if not bad:
            raise
        raise ShardError(text, shards=bad) from error
