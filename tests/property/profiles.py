"""How rows fall into groups, searched: many of one size, all alone, one dominant, powers of two, any."""

from collections.abc import Iterable

from hypothesis import strategies as st

from tests.oracle import Batching

Profile = tuple[int, ...]


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Return the rows of each group, up to about 600 together."""
    match draw(st.integers(0, 7)):
        case 0:
            return (1,) * draw(st.integers(1, 200))
        case 1:
            return (draw(st.integers(1, 300) | st.sampled_from([63, 64, 65, 127, 128, 129])),)
        case 2:
            return (draw(st.integers(40, 300)), *draw(st.lists(st.integers(1, 9), max_size=20)))
        case 3:
            return tuple(2**k for k in draw(st.lists(st.integers(0, 6), min_size=1, max_size=9)))
        case 4:
            return tuple(draw(st.lists(st.integers(62, 67), min_size=1, max_size=5)))
        case 5:
            return (draw(st.integers(1, 12)),) * draw(st.integers(1, 40))
        case 6:
            return tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=90)))
        case _:
            return tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=25)))


@st.composite
def batchings(draw: st.DrawFn) -> Batching:
    """Return any options of a plan."""
    return Batching(
        batch_size=draw(st.integers(1, 12) | st.integers(1, 80)),
        fetch_factor=draw(st.integers(1, 9)),
        drop_last=draw(st.booleans()),
        seed=draw(st.integers(0, 2**63 - 1)),
        epoch=draw(st.integers(0, 3) | st.integers(0, 2**63 - 1)),
    )


def ranges_of(batches: int, where: Iterable[tuple[float, float]]) -> list[tuple[int, int]]:
    """Return ranges of batches, given as fractions of all."""
    return [(int(min(pair) * batches), int(max(pair) * batches)) for pair in where]
