"""What `BalancedSeriesBatchSampler` says first: how many rows batches hold, where not `batch_size`."""

import logging
from typing import Any

import pytest

from tombola import BalancedSeriesBatchSampler


@pytest.mark.parametrize(
    ("series", "options", "said"),
    [
        (list(range(128)), {}, "2 batches"),
        (list(range(130)), {}, "3 batches of 43 or 44"),
        ([0] * 30 + list(range(1, 421)), {}, "30 batches of 15"),
        ([0] * 30 + list(range(1, 421)), {"schedule": "round_robin"}, "8 batches"),
        (list(range(130)), {"drop_last": True}, "2 batches"),
    ],
)
def test_the_first_line_says_how_many_rows_batches_hold(
    series: list[int], options: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="tombola.samplers"):
        sampler = BalancedSeriesBatchSampler(series, 64, **options)
    assert caplog.messages[-1].endswith(f"shuffle on, {said}")
    sizes = {len(batch) for batch in sampler}
    if " of " in said:
        assert sizes == {int(size) for size in said.partition(" of ")[2].split(" or ")}
