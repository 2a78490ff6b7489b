"""Series, plainly: batches of rows of different series, by layers (balanced) or by rounds.

Balanced: the rows of all series stand in a line, which is cut into layers of as many positions as there are
batches; a batch takes one position of each layer. From one layer to the one before it the positions are
permuted so that the series that lies across the boundary never meets itself. Of many batches of short series
blocks of 16,384 neighbours are permuted in place of positions, and then the positions in each block.

Source: the rule is tombola's own; its claims are checked in `tests/property/test_series_minimum.py`.
"""

from dataclasses import dataclass

import numpy as np

from tests.oracle.groups import Groups, RaggedPlan, group_order, ordered_members
from tests.oracle.permutations import EXACT_BELOW, I64, Bijection
from tests.oracle.philox import U64, Purpose, derive, word64
from tests.oracle.plans import Batching

EXACT_LAYER_BELOW = 65
FEW_SWAPS = 8
BLOCK = 16 * 1024
BLOCKS_FROM = 4 * BLOCK
LONGEST_IN_BLOCKS = 64
SQUARES_A_ROW = 16


def series_order(groups: Groups, how: Batching, *, shuffle: bool) -> I64:
    """Return the groups in the epoch's order; unshuffled, in order of first appearance."""
    if not shuffle:
        return np.argsort(groups.firsts)
    key = derive(how.seed, how.epoch, Purpose.SERIES)
    return Bijection(len(groups), key, EXACT_BELOW)(np.arange(len(groups)))


def batch_count(counts: I64, how: Batching, per_series: int) -> int:
    """Return the fewest batches for all rows, or with ``drop_last`` the largest number of full ones."""
    total, size = int(counts.sum()), how.batch_size
    if not how.drop_last:
        return max(-(-total // size), -(-int(counts.max()) // per_series))
    batches = total // size
    while int(np.minimum(counts, per_series * batches).sum()) < size * batches:
        batches -= 1
    return int(batches)


@dataclass(frozen=True, eq=False)
class Line:
    """The positions of an epoch: series in order, ``takes`` of each, cut into layers of ``batches``."""

    rows: I64
    takes: I64
    batches: int

    @property
    def layers(self) -> int:
        """Layers, the last of which may be short."""
        return -(-len(self.rows) // self.batches)

    @property
    def in_last_layer(self) -> int:
        """Positions in the last layer."""
        return len(self.rows) - (self.layers - 1) * self.batches

    def crossing(self, layer: int) -> tuple[int, int]:
        """Return how much of a series lies at the end of a layer and at the start of the next; or (0, 0)."""
        position = (layer + 1) * self.batches
        starts = np.cumsum(self.takes) - self.takes
        series = int(np.searchsorted(starts, position, side="right")) - 1
        start, stop = int(starts[series]), int(starts[series] + self.takes[series])
        while start + self.batches < position:
            start += self.batches
        before, after = position - start, min(start + self.batches, stop, len(self.rows)) - position
        return (before, after) if before and after else (0, 0)


def make_line(
    groups: Groups, how: Batching, *, per_series: int, shuffle: bool, numbered: bool = False
) -> Line:
    """Return the line of an epoch; at least one batch. ``numbered``: series are shuffled, not their rows."""
    batches = batch_count(groups.counts, how, per_series)
    order = series_order(groups, how, shuffle=shuffle)
    members = ordered_members(groups, how.seed, how.epoch, shuffle=shuffle and not numbered)
    takes = groups.counts[order]
    if how.drop_last:
        takes = np.minimum(takes, per_series * batches)
    starts = groups.offsets[order]
    parts = [members[a : a + b] for a, b in zip(starts.tolist(), takes.tolist(), strict=True)]
    rows = np.concatenate(parts)
    return Line(rows[: batches * how.batch_size] if how.drop_last else rows, takes, batches)


def bounded64(key: U64, t: int, size: int) -> int:
    """Return an integer uniform in ``[0, size)``, from number ``t`` of the streams 0, 1, ... of a key."""
    attempt = 0
    while True:
        product = int(word64(key, attempt, t)) * size
        if product % 2**64 >= 2**64 % size:
            return product >> 64
        attempt += 1


def sigma(batches: int, before: int, after: int, key: U64, layer: int) -> I64:
    """Return where each position of the next layer goes in this: [0, after) not to the last ``before``."""
    tau = Bijection(batches - before, derive(key, layer, Purpose.LAYER_SHUFFLE), EXACT_LAYER_BELOW)
    values = tau(np.arange(batches - before))
    if before <= FEW_SWAPS:
        swaps = derive(key, layer, Purpose.LAYER_SWAPS)
        out = np.concatenate([values, np.arange(batches - before, batches)])
        for i in range(before):
            own = batches - before + i
            other = after + bounded64(swaps, i, own - after + 1)
            out[own], out[other] = out[other], out[own]
        return out
    rest = batches - before - after
    rho = Bijection(batches - after, derive(key, layer, Purpose.LAYER_CROSSING), EXACT_LAYER_BELOW)
    q = rho(np.arange(batches - after))
    tail = np.where(
        q < rest, values[np.minimum(after + q, batches - before - 1)], batches - before + q - rest
    )
    return np.concatenate([values[:after], tail])


def layer_positions(line: Line, how: Batching, *, shuffle: bool) -> I64:
    """Return the position that each batch (column) takes in each layer (row)."""
    if not shuffle:
        return np.tile(np.arange(line.batches), (line.layers, 1))
    if in_blocks(line):
        return positions_by_blocks(line, how)
    last, short = line.in_last_layer, line.batches - line.in_last_layer
    full_key = derive(how.seed, how.epoch, Purpose.FULL_BATCHES)
    short_key = derive(how.seed, how.epoch, Purpose.SHORT_BATCHES)
    full_batches = Bijection(last, full_key, EXACT_LAYER_BELOW)(np.arange(last))
    short_batches = Bijection(short, short_key, EXACT_LAYER_BELOW)(np.arange(short))
    positions = [np.concatenate([full_batches, last + short_batches])]
    key = derive(how.seed, how.epoch, Purpose.LAYERS)
    for layer in reversed(range(line.layers - 1)):
        positions.append(sigma(line.batches, *line.crossing(layer), key, layer)[positions[-1]])
    return np.array(positions[::-1])


def in_blocks(line: Line) -> bool:
    """Return whether positions move in blocks: two long series in one block would meet too often."""
    squares = int((line.takes**2).sum())
    short = int(line.takes.max()) <= LONGEST_IN_BLOCKS and squares <= SQUARES_A_ROW * int(line.takes.sum())
    return short and line.batches >= BLOCKS_FROM


def positions_by_blocks(line: Line, how: Batching) -> I64:
    """Return the same for many batches: whole blocks are permuted, the short last one stays where it is."""
    key = derive(how.seed, how.epoch, Purpose.LAYERS)
    own_key = derive(how.seed, how.epoch, Purpose.LAYER_BLOCKS)
    shared_key = derive(how.seed, how.epoch, Purpose.LAYER_BLOCK_KEYS)
    whole = (line.batches - 1) // BLOCK
    tail = line.batches - whole * BLOCK
    positions = np.empty((line.layers, line.batches), dtype=np.int64)
    blocks = np.arange(whole)
    for layer in reversed(range(line.layers)):
        stop = line.batches if layer < line.layers - 1 else line.in_last_layer
        if layer < line.layers - 1:
            crossing = int(line.crossing(layer)[0] > tail)
            blocks = sigma(whole, crossing, crossing, key, layer)[blocks]
        for chunk, block in enumerate([*blocks.tolist(), whole]):
            start, first = block * BLOCK, chunk * BLOCK
            here = positions[layer, first : first + BLOCK]
            here[:] = line.batches  # nothing, beyond the end of the last layer
            size = max(0, min(start + BLOCK, line.batches, stop) - start)
            here[:size] = start + group_order(size, layer * (whole + 1) + chunk, own_key, shared_key)
    return positions


def balanced(
    groups: Groups, how: Batching, *, per_series: int = 1, shuffle: bool = True, numbered: bool = False
) -> RaggedPlan:
    """Return the plan of ``SeriesRoundRobin``: fewest batches, at most ``per_series`` of a series."""
    if batch_count(groups.counts, how, per_series) == 0:
        return RaggedPlan(np.array([], dtype=np.int64), np.array([0]))
    line = make_line(groups, how, per_series=per_series, shuffle=shuffle, numbered=numbered)
    layer = np.arange(line.layers)[:, None]
    places = (layer * line.batches + layer_positions(line, how, shuffle=shuffle)).T
    taken = places < len(line.rows)
    return RaggedPlan(line.rows[places[taken]], np.concatenate([[0], np.cumsum(taken.sum(axis=1))]))


def round_robin(groups: Groups, how: Batching, *, shuffle: bool = True) -> RaggedPlan:
    """Return the plan of ``SeriesRoundRobin(schedule="round_robin")``: a row of each series a round."""
    order = series_order(groups, how, shuffle=shuffle)
    members = ordered_members(groups, how.seed, how.epoch, shuffle=shuffle)
    series = [members[groups.offsets[g] : groups.offsets[g + 1]] for g in order.tolist()]
    ranks = np.concatenate([np.arange(len(rows)) for rows in series])
    rows = np.concatenate(series)[np.argsort(ranks, kind="stable")]
    if how.drop_last:
        rows = rows[: len(rows) // how.batch_size * how.batch_size]
    batches = -(-len(rows) // how.batch_size)
    return RaggedPlan(rows, np.minimum(np.arange(batches + 1) * how.batch_size, len(rows)))
