"""Padding: figures against a slow count over lists, random batches of the same sizes, wrong input."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import tombola
from tombola import Bucketed, BucketSampler, padding_report
from tombola.reports.padding import PaddingReport, padding_share
from tombola.reports.plan_report import read_sample

ROWS = np.arange(200)
LENGTHS = ROWS * 7919 % 53
STAGES = np.stack([LENGTHS, LENGTHS // 2, LENGTHS % 5], axis=1)


def slow_figures(lengths: list[Any], batches: list[list[int]]) -> dict[str, Any]:
    """Return the figures of batches, by lists of the lengths of each row's parts."""
    real, padded, shares = 0, 0, [0.0]
    for batch in batches:
        parts = list(zip(*(lengths[row] for row in batch), strict=True))
        own, wide = sum(map(sum, parts)), sum(max(part) * len(part) for part in parts)
        real, padded = real + own, padded + wide
        if wide:
            shares.append(1 - own / wide)
    return {
        "padded_length": padded,
        "padding_share": 1 - real / padded if padded else 0.0,
        "largest_padding_share": max(shares),
    }


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("seed", [0, 7])
def test_figures(stages: bool, seed: int) -> None:
    plan = Bucketed(LENGTHS, n_buckets=6, max_tokens=300).plan(batch_size=16, drop_last=True)
    batches = [batch.tolist() for batch in plan]
    lengths = STAGES if stages else LENGTHS
    parts = STAGES.tolist() if stages else [[length] for length in LENGTHS.tolist()]
    report = padding_report(lengths, plan, seed=seed)
    rows = [row for batch in batches for row in batch]
    order = tombola.permutation(len(rows), seed=seed).tolist()
    shuffled = [rows[i] for i in order]
    bounds = np.cumsum([0, *map(len, batches)]).tolist()
    random_batches = [shuffled[a:b] for a, b in pairwise(bounds)]
    expected = {
        "rows": len(rows),
        "batches": len(batches),
        "sampled": False,
        "length": sum(sum(parts[row]) for row in rows),
        **{f"{name}_before": value for name, value in slow_figures(parts, random_batches).items()},
        **{f"{name}_after": value for name, value in slow_figures(parts, batches).items()},
    }
    assert report == expected
    assert report["padding_share_after"] < report["padding_share_before"]
    assert padding_report(lengths, batches, seed=seed) == report


@pytest.mark.parametrize(
    "lengths",
    [LENGTHS.tolist(), LENGTHS.astype(np.uint8), pd.Series(LENGTHS), torch.tensor(LENGTHS)],
    ids=["list", "uint8", "series", "tensor"],
)
def test_kinds_of_lengths_and_batches(lengths: Any) -> None:
    plan = Bucketed(LENGTHS, n_buckets=6).plan(batch_size=16)
    expected = padding_report(LENGTHS, plan)
    for batches in (plan, list(plan), [*plan, []], BucketSampler(LENGTHS, 16, n_buckets=6)):
        assert padding_report(lengths, batches) == expected


@pytest.mark.parametrize("batches", [[], [[]], tombola.Streaming().plan(0, batch_size=4)])
def test_no_batches(batches: Any) -> None:
    report = padding_report(LENGTHS, batches)
    assert (report["rows"], report["batches"], report["length"]) == (0, 0, 0)
    assert report["padding_share_before"] == report["largest_padding_share_after"] == 0.0


def test_nothing_has_a_length() -> None:
    report = padding_report(np.zeros(10, dtype=int), [[1, 2], [3]])
    assert report["padded_length_after"] == report["padding_share_after"] == 0
    assert padding_report(np.zeros((10, 0), dtype=int), [[1, 2], [3]])["length"] == 0


@pytest.mark.parametrize(
    "lengths", [[2**62 - 1, 1, 2**63 - 1], [[2**61, 0], [1, 2**61 - 1], [2**63 - 1, 2**63 - 1]]]
)
def test_the_longest_lengths_that_are_counted(lengths: Any) -> None:
    """The row that is left out is too long."""
    report = padding_report(lengths, [[0], [1]])
    assert report["padded_length_after"] == report["length"] == np.sum(lengths[:2])
    assert report["padding_share_after"] == 0


def test_long_plans_are_sampled() -> None:
    lengths = np.arange(100_000) % 100
    plan = Bucketed(lengths, n_buckets=5).plan(batch_size=20)
    report = padding_report(lengths, plan, max_rows=20_000)
    sample = read_sample(plan, 20_000)
    assert 5_000 < report["rows"] == len(sample.rows) <= 25_000
    looked_at = np.split(sample.rows, np.cumsum(sample.sizes)[:-1])
    assert report == {**padding_report(lengths, looked_at), "sampled": True}
    assert str(report).splitlines()[-1].startswith("(a sample: ")


def test_the_table() -> None:
    report = padding_report([1, 3, 1, 3, 0], [[0, 2], [1, 3], [4]], seed=1)
    assert isinstance(report, PaddingReport)
    assert json.loads(json.dumps(report.to_dict())) == report
    before = report["padding_share_before"]
    assert str(report).splitlines() == [
        "                         random batches   these batches",
        f"padded length          {report['padded_length_before']:>16}               8",
        f"padding share          {before:>16.2%}           0.00%",
        f"largest padding share  {report['largest_padding_share_before']:>16.2%}           0.00%",
        "(5 rows in 3 batches, 8 long in all)",
    ]


def test_the_share_of_given_batches() -> None:
    assert padding_share(np.array([1, 3, 2]), np.array([2, 1])) == 1 - 6 / 8
    assert padding_share(np.array([0, 0]), np.array([2])) == 0.0


@pytest.mark.parametrize(
    ("lengths", "batches", "options", "error", "message"),
    [
        ([1.5], [[0]], {}, TypeError, "lengths must be integers, but the dtype is float64"),
        ([1, -2, -3], [[0]], {}, ValueError, "lengths must be >= 0, but lengths[1] is -2"),
        ([[1, 2], [3, -2]], [[0]], {}, ValueError, "lengths must be >= 0, but lengths[1] is [3, -2]"),
        (
            np.zeros((1, 1, 1), int),
            [[0]],
            {},
            ValueError,
            "lengths must be one-dimensional, but the shape is (1, 1, 1)",
        ),
        (
            [1, 2],
            [[0], [1, 2]],
            {},
            IndexError,
            "the rows of batches must lie in [0, 2), the rows of lengths, but one is 2",
        ),
        (
            [1, 2],
            [[-1]],
            {},
            IndexError,
            "the rows of batches must lie in [0, 2), the rows of lengths, but one is -1",
        ),
        (
            np.ma.masked_equal([[1, 2], [3, -1], [-1, 4]], -1),
            [[0]],
            {},
            ValueError,
            "lengths must not be masked, but entry (1, 1) is: "
            "drop such rows or fill them in (numpy.ma.filled)",
        ),
        (
            [2**62, 2**62, 2**62],
            [[0, 1, 2]],
            {},
            ValueError,
            "lengths must be such that all rows, padded to the longest, stay below 2**63, "
            "but 3 rows of batches are up to 4,611,686,018,427,387,904 long",
        ),
        (
            [[2**61, 2**61], [1, 0]],
            [[0], [1]],
            {},
            ValueError,
            "lengths must be such that all rows, padded to the longest, stay below 2**63, "
            "but 2 rows of batches are up to 2,305,843,009,213,693,952 long",
        ),
        ([1, 2], [[0], [0.5]], {}, TypeError, "batch 1 must be integers, but the dtype is float64"),
        ([1, 2], [0, 1], {}, ValueError, "batch 0 must be one-dimensional, but is one int"),
        ([1], [[0]], {"max_rows": 0}, ValueError, "max_rows must be an integer >= 1, but is 0"),
        ([1], [[0]], {"seed": -1}, ValueError, "seed must be an integer >= 0, but is -1"),
    ],
)
def test_wrong_arguments(
    lengths: Any, batches: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        padding_report(lengths, batches, **options)
    assert str(caught.value) == message
