"""Random walks by Hypothesis: how long they are, and how many steps they took.

The search is derandomised, so a failure comes again: ``pytest PATH::TEST`` is the command for
it alone. The short form belongs to the ordinary suite; ``pytest -m stateful_long`` takes many times as many.
"""

import logging
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

__all__ = ["Length", "Walk", "lengths", "walk"]


@dataclass(frozen=True)
class Length:
    """How many walks, and how many steps each has at most."""

    walks: int
    steps: int


def lengths(short: tuple[int, int], long: tuple[int, int]) -> pytest.MarkDecorator:
    """Return the two forms of a test, walks and steps of each, as its parameter `length`."""
    forms = [Length(*short), pytest.param(Length(*long), marks=pytest.mark.stateful_long)]
    return pytest.mark.parametrize("length", forms, ids=["short", "long"])


class Walk(RuleBasedStateMachine):
    """A machine that counts its steps."""

    taken = 0

    @invariant()
    def count(self) -> None:
        type(self).taken += 1


def walk(machine: type[Walk], length: Length) -> None:
    """Take all walks; what fails is shrunk and printed as a test of its own."""
    machine.taken = 0
    options = settings(
        max_examples=length.walks,
        stateful_step_count=length.steps,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        database=None,
    )
    logging.disable()  # what is said once an object would be said for every one
    try:
        run_state_machine_as_test(machine, settings=options)
    finally:
        logging.disable(logging.NOTSET)
    print(f"{machine.__name__}: {machine.taken} steps")
    assert machine.taken > length.walks
