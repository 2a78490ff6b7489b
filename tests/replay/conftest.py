"""Both forms of every kernel: `form` runs a test with the serial and with the parallel one."""

import pytest


@pytest.fixture(params=["serial", "parallel"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    from tombola.replay.scores import runtime

    limit = 0 if request.param == "parallel" else 2**62
    monkeypatch.setattr(runtime, "PARALLEL_FROM", limit)
    return str(request.param)
