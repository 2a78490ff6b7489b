"""The core's mixtures: what does not fit is refused, so that no batch is filled beyond its end."""

import re
from typing import Any

import numpy as np
import pytest

from tombola import _core

CORE: dict[str, Any] = {
    "portions": "counts",
    "amounts": np.array([1, 3]),
    "context_firsts": np.array([0]),
    "context_groups": np.array([0, 1]),
    "batches": 5,
    "batch_size": 4,
    "fetch_factor": 1,
    "drop_last": False,
    "seed": 0,
    "epoch": 0,
}
CONTEXTS = "contexts must have a group for each stratum, one of the 2 that there are"
BEGIN = "contexts must begin one behind the other, the first one with batch 0, and have a batch each"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"portions": "all"}, 'portions must be "counts", "splits" or "positions", but is "all"'),
        (
            {"amounts": np.array([1, 2])},
            "portions must be one number for each stratum, which sum to the batch size",
        ),
        ({"amounts": np.array([-1, 5])}, "amounts must be >= 0, but amounts[0] = -1"),
        (
            {"batches": 2**59},
            f"an epoch must have a batch, and less than 2**61 rows, but has {2**59} batches of 4",
        ),
        ({"context_groups": np.array([0, 2])}, CONTEXTS),
        ({"context_groups": np.array([], dtype=np.int64)}, CONTEXTS),
        ({"context_firsts": np.array([1])}, BEGIN),
        ({"context_firsts": np.array([0, 5]), "context_groups": np.array([0, 1, 0, 1])}, BEGIN),
        (
            {"portions": "splits", "amounts": np.array([0, 1])},
            "amounts must be three numbers a split, but are 2",
        ),
        (
            {"portions": "splits", "amounts": np.array([0, 0, 2**52])},
            "portions must be splits that make each part once, a share of it at most",
        ),
        (
            {"portions": "splits", "amounts": np.array([0, 1, 2**53 + 1])},
            "portions must be splits that make each part once, a share of it at most",
        ),
        (
            {"portions": "splits", "amounts": np.array([0, 1, 2**52] * 2)},
            "portions must be splits that make one part for each stratum",
        ),
        (
            {"portions": "positions", "amounts": np.arange(4)},
            "portions must say for each stratum and batch how many rows are in front of it",
        ),
        (
            {"portions": "positions", "amounts": np.arange(12)},
            "portions must fill each batch, but those of batch 0 do not",
        ),
        (
            {"portions": "positions", "amounts": np.array([0, 2, 1, 4, 6, 8, 0, 2, 7, 8, 10, 12])},
            "portions must not decrease, but those of stratum 0 do before batch 2",
        ),
        (
            {
                "portions": "positions",
                "amounts": np.arange(12),
                "context_firsts": np.array([0, 1]),
                "context_groups": np.array([0, 1, 0, 1]),
            },
            "portions that differ from batch to batch must be of one context",
        ),
        ({"pass_rows": np.array([1]), "make_pass": int}, "pass_rows must be one for each group"),
    ],
)
def test_the_core_never_fills_more_than_a_batch(given: dict[str, Any], message: str) -> None:
    groups = _core.Groups.from_keys(np.array([0, 1, 1, 1], dtype=np.int8))
    assert _core.plan_mixture(groups, **CORE).n_rows == 20
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        _core.plan_mixture(groups, **{**CORE, **given})
