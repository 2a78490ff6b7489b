"""States hold what torch loads with weights_only, whatever kind of numbers options came as."""

import io
from typing import Any

import numpy as np
import torch

from tombola.replay import BalancedBuffer, BalanceSchedule


def test_options_that_came_as_numpy_scalars_can_be_loaded() -> None:
    numbers: dict[str, Any] = {"start": np.float32(0.5), "end": np.float64(1.0), "steps": np.int64(10)}
    schedule = BalanceSchedule(**numbers, kind="linear")
    options: dict[str, Any] = {
        "num_feats": np.int64(4),
        "eps": np.float64(1e-6),
        "refit_every": np.int64(2),
        "threshold_quantile": np.float32(0.5),
    }
    buffer = BalancedBuffer(10, "cpu", balance_weight=schedule, **options)
    buffer.add_data(torch.zeros(4, 2), torch.arange(4), features=torch.eye(4))
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    buffer.load_state_dict(state)
    assert state["options"]["num_feats"] == 4
