"""A plugin for pytest: a test that forks is skipped.

GCC's sanitizers do not put the locks of their allocator in order for a fork: where another thread holds one
at that moment, the child waits for ever.
"""

import os
from typing import NoReturn

import pytest


def _skip() -> NoReturn:
    pytest.skip("forks")


os.fork = _skip
