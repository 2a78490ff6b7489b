"""Draws for replay, one call a batch: weights that stay, and weights that change."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

import tombola
from benchmarks import checks, data
from benchmarks.report.tasks import Call, Task, counted, needed

BATCHES = 50  # that are timed together
GROUPS = 400
LARGE = 2**20

Rows = npt.NDArray[np.int64]


def alias(call: Call) -> Task:
    own, size = data.weights(call.n), int(call.options["batch"])
    table = tombola.AliasTable(own)
    _check(table.draw(LARGE, seed=7), own)
    steps = count()
    return _batches(lambda: table.draw(size, seed=1, epoch=next(steps)), size)


def alias_numpy(call: Call) -> Task:
    own, size = data.weights(call.n).astype(np.float64), call.options["batch"]
    own /= own.sum()
    generator = np.random.default_rng(1)
    _check(generator.choice(call.n, LARGE, p=own), own)
    return Task(counted(lambda: generator.choice(call.n, size, p=own), size))


def alias_torch(call: Call) -> Task:
    torch, size = needed("torch"), int(call.options["batch"])
    own = data.weights(call.n)
    tensor, generator = torch.from_numpy(own), torch.Generator().manual_seed(1)

    def draw(number: int) -> Any:
        return torch.multinomial(tensor, number, replacement=True, generator=generator)

    _check(draw(LARGE).numpy(), own)
    return Task(counted(lambda: draw(size), size))


def grouped(call: Call) -> Task:
    size = call.options["batch"]
    offsets = np.linspace(0, call.n, GROUPS + 1).astype(np.int64)
    of_group = 1.0 / np.arange(1, GROUPS + 1)
    table = tombola.GroupedAliasTable(offsets, of_group)
    _check(table.draw(LARGE, seed=7), np.repeat(of_group, np.diff(offsets)))
    steps = count()
    return _batches(lambda: table.draw(size, seed=1, epoch=next(steps)), size)


def tree(call: Call) -> Task:
    own, size = data.weights(call.n), int(call.options["batch"])
    made = tombola.SumTree(call.n, own)
    _check(made.draw(LARGE, seed=7), own)
    steps = count()
    return _batches(lambda: made.draw(size, seed=1, step=next(steps)), size)


def tree_cpprb(call: Call) -> Task:
    own, size = data.weights(call.n), int(call.options["batch"])
    buffer = _cpprb_buffer(own)
    mass = own.astype(np.float64)
    drawn = mass[np.asarray(buffer.sample(LARGE, beta=0.0)["indexes"], dtype=np.int64)]
    # It spreads a batch evenly over the tree, so that counts are nearer to what is expected than by chance.
    assert abs(float(drawn.mean()) * mass.sum() / (mass**2).sum() - 1) < 0.05
    return _batches(lambda: buffer.sample(size, beta=0.0), size, "with its rows")


def tree_torchrl(call: Call) -> Task:
    own, size = data.weights(call.n), int(call.options["batch"])
    made = _torchrl_tree(own)
    generator = np.random.default_rng(1)

    def draw(number: int) -> Rows:
        slots: Rows = made.scan_lower_bound(generator.uniform(0.0, made.query(0, call.n), size=number))
        return np.minimum(slots, call.n - 1)

    _check(draw(LARGE), own)
    return _batches(lambda: draw(size), size)


def updates(call: Call) -> Task:
    made = tombola.SumTree(call.n, data.weights(call.n))
    task = _updates(call, made.update)
    task.run()
    assert abs(made.total - float(made.get().sum())) <= 1e-6 * made.total
    return task


def updates_cpprb(call: Call) -> Task:
    return _updates(call, _cpprb_buffer(data.weights(call.n)).update_priorities)


def updates_torchrl(call: Call) -> Task:
    return _updates(call, _torchrl_tree(data.weights(call.n)).update)


def _batches(draw: Callable[[], object], size: int, note: str = "") -> Task:
    def run() -> int:
        for _ in range(BATCHES):
            draw()
        return BATCHES * size

    return Task(run, note=note)


def _updates(call: Call, update: Any) -> Task:
    size, generator = int(call.options["batch"]), np.random.default_rng(5)
    slots = [generator.integers(call.n, size=size) for _ in range(BATCHES)]
    weights = [generator.standard_exponential(size) for _ in range(BATCHES)]

    def run() -> int:
        for own, values in zip(slots, weights, strict=True):
            update(own, values)
        return BATCHES * size

    return Task(run)


def _check(drawn: Rows, weights: npt.NDArray[Any]) -> None:
    counts = np.zeros(len(weights), dtype=np.int32)
    np.add.at(counts, drawn, 1)
    if len(weights) >= 10_000:
        checks.check_independent(counts, weights)


def _cpprb_buffer(weights: npt.NDArray[np.float32]) -> Any:
    n = len(weights)
    of_slot = {"slot": {"dtype": np.int32}}
    buffer = needed("cpprb").PrioritizedReplayBuffer(n, of_slot, alpha=1.0, eps=0.0)
    for start in range(0, n, 2**16):
        stop = min(n, start + 2**16)
        buffer.add(slot=np.arange(start, stop), priorities=weights[start:stop])
    return buffer


def _torchrl_tree(weights: npt.NDArray[np.float32]) -> Any:
    n = len(weights)
    made = needed("torchrl._torchrl").SumSegmentTreeFp64(n)
    for start in range(0, n, 2**20):
        stop = min(n, start + 2**20)
        made.update(np.arange(start, stop), weights[start:stop].astype(np.float64))
    return made
