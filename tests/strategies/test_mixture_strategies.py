"""Mixture: strata that go through their rows by strategies of their own, and what happens when one fails."""

import itertools
import pickle
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tombola
from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    ClassBalancedSampling,
    Mixture,
    PerClass,
    SeriesRoundRobin,
    Strategy,
    Streaming,
)
from tombola.strategies.base import Batching

N = 120
LABELS = np.array(["control", "treated", "treated"])[np.arange(N) * 7 % 11 % 3]
CONTROLS, TREATED = np.flatnonzero(LABELS == "control"), np.flatnonzero(LABELS == "treated")
SHARES = {"control": 2, "treated": 6}
WEIGHTS = np.arange(N) % 4 * 1.0


def came(strategy: Mixture, epochs: int, **options: Any) -> dict[str, list[int]]:
    """Return the rows of both strata in some epochs, in order."""
    plans = [strategy.plan(batch_size=8, epoch=epoch, **options).indices() for epoch in range(epochs)]
    parts = np.concatenate(plans).reshape(-1, 8)
    return {"control": parts[:, :2].ravel().tolist(), "treated": parts[:, 2:].ravel().tolist()}


def test_rows_in_order() -> None:
    rows = came(Mixture(LABELS, SHARES, strategies={"control": Streaming(), "treated": Streaming()}), 3)
    for name, own in (("control", CONTROLS), ("treated", TREATED)):
        assert rows[name] == np.resize(own, len(rows[name])).tolist()


def test_blocks_of_neighbours_stay_together() -> None:
    rows = came(Mixture(LABELS, SHARES, strategies={"treated": BlockShuffling(6)}), 4)["treated"]
    passes = [rows[start : start + len(TREATED)] for start in range(0, len(rows), len(TREATED))]
    rank = {row: i for i, row in enumerate(TREATED.tolist())}
    for one in passes[:-1]:
        assert sorted(one) == TREATED.tolist()
        blocks = [rank[row] // 6 for row in one]
        assert sum(a != b for a, b in itertools.pairwise(blocks)) < 3 * len(blocks) / 6
    assert len(set(map(tuple, passes[:-1]))) == len(passes) - 1


def test_a_window_of_a_stratum_is_read_together() -> None:
    """fetch_factor batches, each with the rows that a batch takes of the stratum."""
    strategy = Mixture(LABELS, SHARES, strategies={"treated": Streaming(shuffle=True)})
    rows = came(strategy, 1, fetch_factor=3)["treated"]
    windows = [rows[start : start + 18] for start in range(0, len(TREATED), 18)]
    for i, window in enumerate(windows[:-1]):
        assert sorted(window) == TREATED[18 * i : 18 * (i + 1)].tolist()
        assert window != sorted(window)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("within", [None, np.arange(N) // 60], ids=["alone", "contexts"])
def test_classes_come_equally_often_in_a_stratum(within: Any, missing: bool) -> None:
    """Labels of a strategy are as long as the whole; it balances among rows of its stratum and context."""
    kind = np.where(np.arange(N) % 10 == 3, "rare", "common").astype(object)
    kind[: 20 if missing else 0] = None
    inner = ClassBalancedSampling(kind, draw="iid", missing="drop")
    strategy = Mixture(LABELS, SHARES, strategies={"treated": inner}, within=within, total_size=8 * 12000)
    rows = strategy.plan(batch_size=8).indices().reshape(-1, 8)[:, 2:].ravel()
    context = np.zeros(N, dtype=int) if within is None else within
    for one in set(context.tolist()):
        drawn = rows[context[rows] == one]
        allowed = TREATED[(context[TREATED] == one) & (kind[TREATED] != None)]  # noqa: E711
        assert set(drawn.tolist()) == set(allowed.tolist())
        rare = np.count_nonzero(kind[drawn] == "rare")
        assert abs(rare - len(drawn) / 2) < 5 * np.sqrt(len(drawn)) / 2, "5 standard deviations, chance 6e-7"


@pytest.mark.parametrize("indices", [None, np.arange(1, N)], ids=["all", "subset"])
def test_rows_of_no_weight_never_come(indices: Any) -> None:
    labels = LABELS if indices is None else LABELS[indices]
    inner = BlockWeightedSampling(WEIGHTS, draw="iid")
    strategy = Mixture(labels, SHARES, strategies={"treated": inner}, indices=indices)
    rows = came(strategy, 5)["treated"]
    assert set(rows) == set(TREATED[WEIGHTS[TREATED] > 0].tolist())
    for size in (7, 61):
        sized = BlockWeightedSampling(WEIGHTS, total_size=size)
        assert len(set(came(Mixture(LABELS, SHARES, strategies={"treated": sized}), 1)["treated"])) > 5


def test_a_stratum_in_rounds_of_series_or_tuples() -> None:
    series = SeriesRoundRobin(np.arange(N) % 5, schedule="round_robin")
    rows = came(Mixture(LABELS, SHARES, strategies={"treated": series}), 1)["treated"]
    assert all(len({row % 5 for row in rows[i : i + 5]}) == 5 for i in range(0, 50, 5))
    tuples = PerClass(np.arange(N) % 4, rows_per_class=3)
    rows = came(Mixture(LABELS, SHARES, strategies={"treated": tuples}), 1)["treated"]
    assert all(len({row % 4 for row in rows[i : i + 6]}) == 2 for i in range(0, 60, 6))


def test_mixtures_of_mixtures() -> None:
    inner = Mixture(np.arange(N) % 2, {0: 2, 1: 4}, strategies={1: BlockShuffling(2)})
    strategy = Mixture(LABELS, SHARES, strategies={"treated": inner, "control": Streaming()})
    plan = strategy.plan(batch_size=8, epoch=2)
    for batch in plan:
        assert (batch[2:] % 2).tolist() == [0, 0, 1, 1, 1, 1]
        assert LABELS[batch].tolist() == ["control"] * 2 + ["treated"] * 6
    whole = plan.indices()
    assert np.concatenate([plan[k] for k in reversed(range(len(plan)))][::-1]).tolist() == whole.tolist()


CONTEXT = np.arange(N) // 5 % 3
MANY: dict[str, Mixture] = {
    "contexts": Mixture(
        LABELS,
        {"control": 0.3, "treated": 0.7},
        within=CONTEXT,
        strategies={"control": BlockShuffling(2), "treated": BlockWeightedSampling(WEIGHTS + 1)},
    ),
    "schedule": Mixture(
        LABELS,
        lambda batch: {"control": 1, "treated": batch % 9},
        strategies={"treated": BlockShuffling(3)},
        total_size=4000,
    ),
    "mixtures": Mixture(
        LABELS,
        SHARES,
        strategies={"treated": Mixture(np.arange(N) % 2, {0: 2, 1: 4}, strategies={0: Streaming()})},
        total_size=4000,
    ),
    "very short passes": Mixture(
        np.arange(N) < 2, {True: 5, False: 3}, strategies={True: BlockShuffling(1)}, total_size=4000
    ),
}


@pytest.fixture(params=[1, 4, 7])
def threads(request: pytest.FixtureRequest) -> Generator[int, None, None]:
    before = tombola.get_num_threads()
    tombola.set_num_threads(request.param)
    yield request.param
    tombola.set_num_threads(before)


@pytest.mark.parametrize("name", MANY)
def test_plans_are_the_same_for_any_threads_and_order(name: str, threads: int) -> None:
    plan = MANY[name].plan(batch_size=8, fetch_factor=2, epoch=3)
    one_by_one = [batch.tolist() for batch in plan]
    assert plan.indices().tolist() == [row for batch in one_by_one for row in batch]
    for start in (0, len(plan) // 3, len(plan) - 1):
        rows, offsets = plan.batches(start, len(plan))
        assert rows.tolist() == plan.indices()[8 * start :].tolist()
        assert np.diff(offsets).tolist() == [8] * (len(plan) - start)


def test_plans_may_be_read_by_many_threads_and_pickled() -> None:
    plan = MANY["contexts"].plan(batch_size=8, epoch=5)
    expected = [batch.tolist() for batch in plan]
    numbers = np.random.default_rng(1).permutation(np.repeat(np.arange(len(plan)), 20)).tolist()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: plan[k].tolist(), numbers))
    assert found == [expected[k] for k in numbers]
    copied = pickle.loads(pickle.dumps(plan))
    assert [batch.tolist() for batch in copied] == expected


# --------------------------------------------------------------------------------------- strategies that fail


class Failing(Streaming):
    """Rows in order; epoch 2 fails."""

    error: BaseException = RuntimeError("no third pass")

    def _make(self, rows: int, options: Batching) -> Any:
        if options["epoch"] == 2:
            raise self.error
        return super()._make(rows, options)


class Interrupted(Failing):
    """The user stops it."""

    error = KeyboardInterrupt("stop")


class Growing(Streaming):
    """Epoch 2 has rows twice."""

    def _make(self, rows: int, options: Batching) -> Any:
        if options["epoch"] == 2:
            twice = BlockWeightedSampling(total_size=2 * rows, indices=self.indices)
            return twice._make(rows, options)
        return super()._make(rows, options)


def mixed_with(strategy: Strategy) -> tombola.Plan:
    return Mixture(LABELS, SHARES, strategies={"control": strategy}, total_size=8 * 100).plan(batch_size=8)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [(Failing, RuntimeError, "no third pass"), (Interrupted, KeyboardInterrupt, "stop")],
)
def test_a_pass_that_fails(make: Any, error: type[BaseException], message: str) -> None:
    """The error reaches who asks for rows of that pass; other batches are there before and after."""
    plan, expected = mixed_with(make()), mixed_with(Streaming())
    of_third_pass = range(2 * len(CONTROLS) // 2, 3 * len(CONTROLS) // 2)
    for _ in range(3):
        with pytest.raises(error, match=f"^{message}$"):
            plan.indices()
        with pytest.raises(error, match=f"^{message}$"):
            plan[of_third_pass[3]]
        for k in (0, of_third_pass[0] - 1, of_third_pass[-1] + 1, len(plan) - 1):
            assert plan[k].tolist() == expected[k].tolist()


def test_passes_of_unequal_length_are_refused() -> None:
    rows = len(CONTROLS)
    message = rf"^passes over a group must have as many rows each, {rows}, but one has {2 * rows}$"
    with pytest.raises(ValueError, match=message):
        mixed_with(Growing()).indices()


def test_strategies_that_cannot_do_with_their_stratum() -> None:
    nothing = BlockWeightedSampling((LABELS == "control") * 1.0)
    cases: Any = {
        "at least one weight must be > 0, but all 76 are 0": nothing,
        "batch_size must be a multiple of rows_per_class = 5, but is 6": PerClass(
            np.arange(N) % 4, rows_per_class=5
        ),
    }
    for text, inner in cases.items():
        with pytest.raises(ValueError, match=r"^the strategy of") as caught:
            Mixture(LABELS, SHARES, strategies={"treated": inner}).plan(batch_size=8)
        assert str(caught.value) == (
            "the strategy of 'treated' must do with the rows of its stratum, of which a batch takes 6: "
            + text
        )
