"""The machine's choices as a fixture: no result may depend on instruction set or number of threads."""

from collections.abc import Generator

import pytest

from tombola import _core

THREADS = (1, 4, 7)
EVERYWHERE = [(name, threads) for name in _core.available_instruction_sets() for threads in THREADS]


@pytest.fixture(params=EVERYWHERE, ids=lambda p: f"{p[0]}-{p[1]}")
def everywhere(request: pytest.FixtureRequest) -> Generator[None, None, None]:
    """Run the test on each instruction set with each number of threads."""
    before = _core.get_num_threads()
    name, threads = request.param
    _core.set_instruction_set(name)
    _core.set_num_threads(threads)
    yield
    _core.set_instruction_set("auto")
    _core.set_num_threads(before)
