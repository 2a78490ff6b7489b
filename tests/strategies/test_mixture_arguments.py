"""Mixture: every argument that does not fit, and what it says; how large an epoch may be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tombola import (
    BlockShuffling,
    BlockWeightedSampling,
    Bucketed,
    Mixture,
    Plan,
    SeriesRoundRobin,
    Streaming,
)

LABELS = np.array(["control", "treated", "treated", "treated"] * 5)
SHARES = {"control": 1, "treated": 3}
HALVES = np.arange(20) // 10
KNOWN = "'control', 'treated'"


def mixture(shares: Any = SHARES, labels: Any = LABELS, **options: Any) -> Mixture:
    return Mixture(labels, shares, **options)


def plan(shares: Any = SHARES, *, batch_size: int = 4, **options: Any) -> Plan:
    return mixture(shares, **options).plan(batch_size=batch_size)


CONTROLS = (
    f"controls must name the stratum that conditions share, one of {KNOWN}, where there is per_condition, "
    f"and "
    "only there, but is "
)
NOT_INNER = (
    "the strategy of 'control' must give batches of one size, and have no indices, as it chooses among the "
    "rows "
    "of its stratum, but is "
)

WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "batch size": (
        lambda: plan(batch_size=8),
        ValueError,
        "batch_size must be the sum of the rows a batch takes, 4, but is 8",
    ),
    "others": (lambda: mixture(others="skip"), ValueError, 'others must be "error" or "drop", but is "skip"'),
    "missing": (lambda: mixture(missing="no"), ValueError, 'missing must be "error" or "drop", but is "no"'),
    "contexts": (
        lambda: mixture(contexts="all"),
        ValueError,
        'contexts must be "proportional" or "even", but is "all"',
    ),
    "ends_with": (
        lambda: mixture(ends_with="last"),
        ValueError,
        f'ends_with must be "longest", "shortest" or one of {KNOWN}, but is \'last\'',
    ),
    "total_size": (
        lambda: mixture(total_size=0),
        ValueError,
        "total_size must be an integer >= 1, but is 0",
    ),
    "a large total_size": (
        lambda: mixture(total_size=2**61),
        ValueError,
        f"total_size must be an integer >= 1 and < 2**61, but is {2**61}",
    ),
    "labels": (
        lambda: mixture({0.5: 1}, labels=[0.5, 0.5]),
        TypeError,
        "labels must be integers, strings or categories, but the dtype is float64",
    ),
    "no labels": (lambda: mixture(labels=[]), ValueError, "labels must not be empty"),
    "a missing label": (
        lambda: mixture(labels=["control", None, "treated"]),
        ValueError,
        'labels must not be missing, but labels[1] is (1 of 3 rows): missing="drop" leaves them out, or give '
        "them a class of their own",
    ),
    "no indices": (
        lambda: mixture(indices=[]),
        ValueError,
        "strata must have rows, but none is left to choose among",
    ),
    "indices beyond labels": (
        lambda: mixture(indices=[0, 1, 25]),
        ValueError,
        "labels must be as long as the whole or as indices, 3, but the length is 20 and indices reach 25",
    ),
    "indices without a stratum": (
        lambda: mixture(indices=[0, 4]),
        ValueError,
        "shares must be of labels that rows have, such as 'control', but no row is labelled 'treated'",
    ),
    "n": (
        lambda: mixture().plan(21, batch_size=4),
        ValueError,
        "labels must be as long as the whole, n = 21, but the length is 20",
    ),
    "within of another length": (
        lambda: mixture(within=HALVES[:5]),
        ValueError,
        "within must be as long as labels, 20, but the length is 5",
    ),
    "within of floats": (
        lambda: mixture(within=HALVES / 2),
        TypeError,
        "within must be integers, strings or categories, but the dtype is float64",
    ),
    "a missing context": (
        lambda: mixture(within=["x", None] * 10),
        ValueError,
        'within must not be missing, but within[1] is (10 of 20 rows): missing="drop" leaves them out, or '
        "give "
        "them a class of their own",
    ),
    "a context without controls": (
        lambda: mixture(within=np.arange(20) > 18),
        ValueError,
        "every stratum must have rows where others have some, but 'control' has none in context 'True': "
        "leave "
        "those that are there out by indices",
    ),
    "a condition without a stratum": (
        lambda: mixture(
            {"control": 1, "low": 1, "high": 2},
            labels=["control", "low", "high", "low"],
            per_condition=["-", "p", "p", "q"],
            controls="control",
        ),
        ValueError,
        "every stratum must have rows where others have some, but 'high' has none in condition 'q': leave "
        "those that are there out by indices",
    ),
    "conditions without controls": (
        lambda: mixture(per_condition=HALVES),
        ValueError,
        CONTROLS + "None",
    ),
    "controls without conditions": (lambda: mixture(controls="control"), ValueError, CONTROLS + "'control'"),
    "controls of no share": (
        lambda: mixture(per_condition=HALVES, controls="vehicle"),
        ValueError,
        CONTROLS + "'vehicle'",
    ),
    "a missing condition": (
        lambda: mixture(per_condition=[None, None, *["p"] * 18], controls="control"),
        ValueError,
        'per_condition must not be missing, but per_condition[1] is (1 of 20 rows): missing="drop" leaves '
        "them "
        "out, or give them a condition of their own",
    ),
    "controls alone": (
        lambda: mixture({"control": 1}, labels=["control"] * 4, per_condition=[1] * 4, controls="control"),
        ValueError,
        "a stratum other than the controls must have rows, but only 'control' has",
    ),
    "too few batches": (
        lambda: plan(within=HALVES, total_size=4),
        ValueError,
        "total_size must give each of 2 contexts a batch, but gives 1 batches",
    ),
    "too few rows": (
        lambda: plan(ends_with="shortest", indices=[0, 1, 2]),
        ValueError,
        'with ends_with="shortest" a batch must take at most all rows of a stratum, but takes more than '
        "the 2 "
        "of 'treated'",
    ),
    "too long an epoch": (
        lambda: plan({"control": 2**-50, "treated": 1 - 2**-50}, labels=np.repeat(LABELS, 1000)),
        ValueError,
        "an epoch must have less than 2**61 rows, but has 1407234146064924672 batches of 4: set "
        "total_size, or "
        "another ends_with",
    ),
    "strategies": (
        lambda: mixture(strategies=BlockShuffling()),
        TypeError,
        "strategies must be a mapping from strata to strategies, but are BlockShuffling(block_size=16)",
    ),
    "strategies of no share": (
        lambda: mixture(strategies={"vehicle": BlockShuffling()}),
        ValueError,
        f"strategies must be of strata that have a share, {KNOWN}, but one is of 'vehicle'",
    ),
    "no strategy": (
        lambda: mixture(strategies={"control": "blocks"}),
        TypeError,
        "strategies must be such as BlockShuffling(), but that of 'control' is 'blocks'",
    ),
    "a strategy with indices": (
        lambda: mixture(strategies={"control": Streaming(indices=[1])}),
        ValueError,
        NOT_INNER + "Streaming(shuffle=False, indices=<int64 of 1>)",
    ),
    "a strategy of buckets": (
        lambda: mixture(strategies={"control": Bucketed(HALVES)}),
        ValueError,
        NOT_INNER + "Bucketed(keys=<int64 of 20>)",
    ),
    "a strategy of small batches": (
        lambda: mixture(strategies={"control": SeriesRoundRobin(HALVES)}),
        ValueError,
        NOT_INNER + "SeriesRoundRobin(series_ids=<int64 of 20>)",
    ),
    "weights of a stratum": (
        lambda: mixture(strategies={"treated": BlockWeightedSampling(np.ones(15))}),
        ValueError,
        "weights of the strategy of 'treated' must be as long as the whole, 20, but the length is 15",
    ),
    "weights of a subset": (
        lambda: mixture(
            labels=LABELS[:10],
            indices=np.arange(10) * 2,
            strategies={"treated": BlockWeightedSampling(np.ones(15))},
        ),
        ValueError,
        "weights of the strategy of 'treated' must be as long as the whole, and indices reach 18, but the "
        "length "
        "is 15",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == message


def test_labels_that_no_chosen_row_has_need_no_share() -> None:
    labels = np.array(["empty", "control", "treated"] * 9)
    chosen = np.flatnonzero(labels != "empty")
    with_all = plan(labels=labels, indices=chosen, batch_size=4)
    assert set(with_all.indices().tolist()) == set(chosen.tolist())
    dropped = plan(labels=labels, others="drop", batch_size=4)
    assert dropped.indices().tolist() == with_all.indices().tolist()


def test_an_epoch_may_be_as_long_as_2_to_the_61_rows() -> None:
    plan = mixture(total_size=2**61 - 4).plan(batch_size=4, epoch=2**63 - 1)
    assert plan.n_rows == 2**61 - 4
    for k in (0, len(plan) // 2, len(plan) - 1):
        assert LABELS[plan[k]].tolist() == ["control"] + ["treated"] * 3
    contexts = mixture(total_size=2**61 - 4, within=HALVES).plan(batch_size=4, epoch=2**63 - 1)
    assert len(set(HALVES[contexts[2**58]].tolist())) == 1
