"""The core equals the oracle on plans beyond 2**16 and 2**20 positions, however it is run.

These are the sizes at which tables give way to Feistel networks and work is cut into chunks for threads.
"""

from functools import cache

import pytest

from tests import oracle
from tests.cases import Case
from tests.compare import check_plan, check_ranges, core_plan
from tests.oracle import Batching

LARGE = {
    "windows-below-2**16": Case(
        kind="windows", n=140001, batching=Batching(batch_size=51, fetch_factor=1285, seed=3)
    ),
    "windows-at-2**16": Case(
        kind="windows", n=140001, batching=Batching(batch_size=64, fetch_factor=1024, seed=3, epoch=1)
    ),
    "window-beyond-the-epoch": Case(
        kind="windows", n=140001, batching=Batching(batch_size=1000, fetch_factor=10**9, drop_last=True)
    ),
    "blocks": Case(
        kind="blocks", n=140001, block_size=16, batching=Batching(batch_size=64, fetch_factor=13, epoch=7)
    ),
    "blocks-of-1": Case(
        kind="blocks", n=140001, block_size=1, batching=Batching(batch_size=61, fetch_factor=4)
    ),
    "blocks-of-1-exact": Case(kind="blocks", n=65535, block_size=1, batching=Batching(batch_size=61)),
    "blocks-of-2-feistel": Case(
        kind="blocks",
        n=140001,
        block_size=2,
        batching=Batching(batch_size=63, fetch_factor=5, drop_last=True),
    ),
    "blocks-of-several-chunks": Case(
        kind="blocks", n=2**20 + 12345, block_size=5, batching=Batching(batch_size=1024, fetch_factor=3)
    ),
    "blocks-of-1-of-several-chunks": Case(
        kind="blocks", n=2**20 + 12345, block_size=1, batching=Batching(batch_size=1024, seed=2**62)
    ),
    "blocks-one-longer-than-the-epoch": Case(
        kind="blocks", n=1501, block_size=4000, batching=Batching(batch_size=17, fetch_factor=3)
    ),
    "blocks-of-a-subset": Case(
        kind="blocks",
        n=140001,
        block_size=7,
        subset="subset",
        batching=Batching(batch_size=64, fetch_factor=100),
    ),
    "bounded-blocks": Case(
        kind="bounded", n=140001, block_size=61, batching=Batching(batch_size=64, fetch_factor=13, epoch=7)
    ),
    "bounded-blocks-of-1": Case(
        kind="bounded", n=140001, block_size=1, batching=Batching(batch_size=61, fetch_factor=4)
    ),
    "bounded-blocks-feistel": Case(
        kind="bounded",
        n=2**20 + 12345,
        block_size=9,
        batching=Batching(batch_size=63, fetch_factor=50, drop_last=True),
    ),
    "bounded-blocks-in-large-windows": Case(
        kind="bounded", n=2**20 + 12345, block_size=97, batching=Batching(batch_size=1024, fetch_factor=100)
    ),
    "bounded-blocks-of-a-subset": Case(
        kind="bounded",
        n=2**20 + 12345,
        block_size=5,
        subset="subset",
        batching=Batching(batch_size=64, fetch_factor=100),
    ),
    "stratified": Case(
        kind="stratified",
        n=50021,
        draws=80111,
        block_size=16,
        weights="mixed",
        weights_dtype="float32",
        batching=Batching(batch_size=64, fetch_factor=16, seed=9, epoch=2),
    ),
    "stratified-few": Case(
        kind="stratified",
        n=50021,
        draws=1003,
        block_size=1,
        weights="wide",
        subset="whole",
        batching=Batching(batch_size=10, fetch_factor=3, drop_last=True),
    ),
    "stratified-codes": Case(
        kind="stratified",
        n=50021,
        draws=50021,
        block_size=16,
        weights="zeros",
        weights_dtype="int8",
        subset="subset",
        batching=Batching(batch_size=64, fetch_factor=1024),
    ),
    "iid": Case(
        kind="iid",
        n=50021,
        draws=40007,
        block_size=16,
        weights="steep",
        batching=Batching(batch_size=64, fetch_factor=16, seed=9, epoch=2),
    ),
    "iid-codes": Case(
        kind="iid",
        n=20011,
        draws=70001,
        block_size=1,
        weights="mixed",
        weights_dtype="int64",
        batching=Batching(batch_size=333, seed=1),
    ),
    "stratified-of-several-chunks": Case(
        kind="stratified",
        n=10007,
        draws=2**20 + 12345,
        block_size=16,
        weights="wide",
        batching=Batching(batch_size=500, fetch_factor=7, epoch=1),
    ),
    "iid-of-several-chunks": Case(
        kind="iid",
        n=300007,
        draws=2**20 + 12345,
        block_size=16,
        weights="mixed",
        weights_dtype="float32",
        batching=Batching(batch_size=500, fetch_factor=7, epoch=1),
    ),
    "rounds-of-few": Case(
        kind="rounds",
        n=50021,
        draws=40007,
        sampling_size=5000,
        block_size=16,
        weights="mixed",
        batching=Batching(batch_size=64, fetch_factor=16, epoch=1),
    ),
    "rounds-of-many": Case(
        kind="rounds",
        n=50021,
        draws=100003,
        sampling_size=40000,
        block_size=3,
        weights="mixed",
        weights_dtype="int16",
        batching=Batching(batch_size=64, fetch_factor=16, epoch=1),
    ),
    "rounds-that-run-out-of-attempts": Case(
        kind="rounds",
        n=50021,
        draws=30001,
        sampling_size=9000,
        block_size=1,
        weights="steep",
        batching=Batching(batch_size=64, fetch_factor=16, drop_last=True),
    ),
    "rounds-of-many-among-several-chunks": Case(
        kind="rounds",
        n=2**20 + 12345,
        draws=900001,
        sampling_size=300000,
        block_size=16,
        weights="zeros",
        batching=Batching(batch_size=64, fetch_factor=16),
    ),
    "rounds-of-all": Case(
        kind="rounds",
        n=9001,
        draws=18002,
        sampling_size=9001,
        block_size=16,
        weights="mixed",
        batching=Batching(batch_size=64, fetch_factor=16),
    ),
}


@cache
def expected_plan(name: str) -> oracle.OraclePlan:
    """Return the oracle's plan, made once for all instruction sets."""
    return LARGE[name].by_oracle()


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.usefixtures("everywhere")
def test_large_plans(name: str) -> None:
    core, expected = core_plan(LARGE[name]), expected_plan(name)
    check_plan(core, expected)
    batches = len(expected)
    some = [
        (0, 1),
        (batches - 1, batches),
        (batches // 2, batches // 2 + 3),
        (batches // 3, 2 * batches // 3),
    ]
    check_ranges(core, expected, [*some, (0, 0), (batches, batches)])
