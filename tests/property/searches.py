"""How many examples searches have: fewer where TOMBOLA_EXAMPLES is a share of them, as in an emulator."""

import os

from hypothesis import settings

SHARE = float(os.environ.get("TOMBOLA_EXAMPLES", "1"))
if not 0 < SHARE <= 1:
    raise ValueError(f"TOMBOLA_EXAMPLES must be above 0 and at most 1, but is {SHARE}")


def searching(examples: int) -> settings:
    """Return settings of a search that finds the same whenever it runs: ``examples``, or their share."""
    some = max(1, round(SHARE * examples))
    return settings(deadline=None, derandomize=True, max_examples=some, database=None)
