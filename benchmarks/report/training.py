"""Loaders into a trainer: a linear model and SGD, on cells of an h5ad file and on rows in memory."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.h5ad_data import GENES, dense_rows
from benchmarks.report.epochs import taken
from benchmarks.report.reading import SPEED_FETCH, original
from benchmarks.report.tasks import Call, Task, needed

BATCH, WIDTH, CLASSES = 64, 128, 8


def cells(call: Call) -> Task:
    from benchmarks.reading_peers import our_loader

    loader = our_loader(original(call), dense=True)
    return _trained(call, lambda: (batch["X"] for batch in loader), GENES, window=BATCH * SPEED_FETCH)


def cells_scdataset(call: Call) -> Task:
    needed("scdataset")
    from benchmarks.reading_peers import strongest_scdataset

    batches = strongest_scdataset(original(call), True)
    return _trained(call, lambda: batches, GENES, window=BATCH * SPEED_FETCH)


def cells_anndata(call: Call) -> Task:
    needed("anndata.experimental")
    from benchmarks.reading_peers import anndata_loader

    return _trained(call, lambda: anndata_loader(original(call)), GENES)


def cells_alone(call: Call) -> Task:
    import torch

    batch = torch.from_numpy(dense_rows(np.arange(BATCH)))
    return _trained(call, lambda: [batch] * max(1, call.n // BATCH), GENES)


def rows(call: Call) -> Task:
    import tombola

    source = tombola.ArraySource(_array(call.n))
    loader = tombola.Loader(source, tombola.BlockShuffling(block_size=1), BATCH, fetch_factor=16, seed=1)
    return _trained(call, lambda: (batch["X"] for batch in loader), WIDTH, covers=True)


def rows_torch(call: Call) -> Task:
    """Read row by row, then collate: what a DataLoader does by default."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(_dataset(call.n), batch_size=BATCH, shuffle=True)
    return _trained(call, lambda: (batch[0] for batch in loader), WIDTH, covers=True)


def rows_torch_by_batches(call: Call) -> Task:
    """Index the tensors by whole batches, the quickest way that a DataLoader has."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler

    dataset = _dataset(call.n)
    sampler: Any = BatchSampler(RandomSampler(dataset), BATCH, drop_last=False)
    loader: Any = DataLoader(dataset, sampler=sampler, batch_size=None)
    return _trained(call, lambda: (batch[0] for batch in loader), WIDTH, covers=True)


def rows_alone(call: Call) -> Task:
    import torch

    batch = torch.from_numpy(_array(BATCH))
    return _trained(call, lambda: [batch] * max(1, call.n // BATCH), WIDTH)


def _array(n: int) -> Any:
    """Return rows whose first value is their number."""
    array = np.random.default_rng(8).random((n, WIDTH), dtype=np.float32)
    array[:, 0] = np.arange(n)
    return array


def _dataset(n: int) -> Any:
    import torch
    from torch.utils.data import TensorDataset

    return TensorDataset(torch.from_numpy(_array(n)))


def _trained(
    call: Call,
    batches: Callable[[], Iterable[Any]],
    width: int,
    *,
    window: int = BATCH,
    covers: bool = False,
) -> Task:
    import torch
    from torch import nn

    if covers:
        seen = np.concatenate([np.asarray(x[:, 0]) for x in batches()]).astype(np.int64)
        assert np.array_equal(np.sort(seen), np.arange(call.n))
    torch.manual_seed(0)
    model = nn.Linear(width, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    target = torch.arange(BATCH) % CLASSES

    def step(x: torch.Tensor) -> None:
        loss = nn.functional.cross_entropy(model(x), target[: x.shape[0]])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return Task(lambda: taken(batches(), call.seconds, window, step))
