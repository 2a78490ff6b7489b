"""Bucketed: the order of buckets without shuffling, and of integer keys whatever type they come in."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tombola import Bucketed

N = 90
ROWS = np.arange(N)
DEPTHS = ROWS % 7 % 4
BIG = 2**63 - 2
IN_ORDER: dict[str, Any] = {
    "far apart": DEPTHS * 2**60 - 2**61,
    "both ends": np.where(DEPTHS == 0, -(2**63), np.where(DEPTHS == 1, 2**63 - 1, DEPTHS)),
    "list": (DEPTHS * 10**9).tolist(),
    "small": (DEPTHS * 80 - 128).astype(np.int8),
    "uint64": DEPTHS.astype(np.uint64) * np.uint64(2**62),
    "uint64 around 2**63": DEPTHS.astype(np.uint64) + np.uint64(BIG),
    "objects around 2**63": DEPTHS.astype(object) + BIG,
    "times": (DEPTHS * 10**15).astype("datetime64[ns]"),
}


@pytest.mark.parametrize("keys", IN_ORDER.values(), ids=IN_ORDER.keys())
def test_buckets_in_order_ascend_by_key(keys: Any) -> None:
    few = [44, 3, 7, 50, 51]
    for rows in (ROWS, np.array(sorted(few))):
        whole = len(rows) == N
        strategy = Bucketed(keys, shuffle=False, indices=None if whole else rows)
        values = np.asarray(keys)[rows].tolist()
        expected = [row for _, row in sorted(zip(values, rows.tolist(), strict=True))]
        made = strategy.plan(batch_size=7)
        assert made.indices().tolist() == expected
        assert made.report()["bucket_purity"] == 1
        assert strategy.plan(batch_size=7, seed=8, epoch=3).indices().tolist() == expected


def test_few_rows_of_many_buckets_in_order() -> None:
    far = Bucketed([999, 0, 500, 0], boundaries=range(1000), shuffle=False)
    assert far.plan(batch_size=4).indices().tolist() == [1, 3, 2, 0]
    names = [f"{i:04}" for i in range(3000)]
    for keys in (pd.Categorical(names), names):
        strategy = Bucketed(keys, shuffle=False, indices=[3, 800, 2999])
        assert strategy.plan(batch_size=4).indices().tolist() == [3, 800, 2999]


def test_tokens_of_buckets_in_order() -> None:
    lengths = DEPTHS * 2**44 + 2**40
    made = [batch.tolist() for batch in Bucketed(lengths, max_tokens=2**46, shuffle=False).plan(batch_size=7)]
    assert [row for batch in made for row in batch] == np.argsort(lengths, kind="stable").tolist()
    assert all(len(batch) * max(lengths[batch]) <= 2**46 for batch in made)


@pytest.mark.parametrize("shuffle", [False, True])
def test_large_unsigned_keys_of_any_type_are_alike(shuffle: bool) -> None:
    def batches(keys: Any) -> list[list[int]]:
        return [batch.tolist() for batch in Bucketed(keys, shuffle=shuffle).plan(batch_size=7, seed=5)]

    for unsigned in (IN_ORDER["uint64"], IN_ORDER["uint64 around 2**63"]):
        expected = batches(unsigned)
        for keys in (unsigned.tolist(), unsigned.astype(object), pd.Series(unsigned, dtype="UInt64")):
            assert batches(keys) == expected
