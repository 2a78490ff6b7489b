"""How much the statistical tests draw: once by default, 15 times as much with `-m statistical_long`."""

import pytest


@pytest.fixture(params=[1, pytest.param(15, marks=pytest.mark.statistical_long)], ids=["default", "long"])
def effort(request: pytest.FixtureRequest) -> int:
    """Return the factor by which to enlarge the sample; samples of different factors share no seed."""
    factor: int = request.param
    return factor
