"""How coarsely to tell counts, and which not to tell at all, so that nothing shown gives a withheld one away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from metrics.disclosure._attack import too_narrow
from metrics.disclosure._policy import DisclosurePolicy
from metrics.disclosure._precision import coarser, count_range, few, volume_range
from metrics.disclosure._web import AT_LEAST, SUM, Cells, Flags, Indices, Numbers

MARGIN: Final = 0.12
"""The range that a withheld count or volume must be left, as a share of itself: more than the tenth that is promised."""
_BASE_OF_PART: Final = 0.25
"""The base of a total, as a share of the largest withheld count that it holds: what hides in rounding must be no larger than it."""
_ROUNDS: Final = 60
_LONG: Final = 50
"""A line of more parts than this narrows nothing: each part leaves a range of at least four, and the total one of a quarter of any part."""
_LARGE: Final = 300_000
"""From so many cells on, that a count is at most another of its row is left to rounding: each leaves a range of five."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What is told of each cell.

    Attributes:
        base: The base to which each count is rounded.
        withheld: Cells of rows that are withheld: no other row may tell them.
        blank: Further cells that are not told, in rows that leave.
        round_count: How often the attacker was asked.
    """

    base: Numbers
    withheld: Flags
    blank: Flags
    round_count: int

    @property
    def untold(self) -> Flags:
        """Cells that nothing tells."""
        return self.withheld | self.blank


def ranges(cells: Cells, base: Numbers, untold: Flags, policy: DisclosurePolicy) -> tuple[Numbers, Numbers]:
    """From where to where each cell may lie by itself, for whoever sees what is shown of it."""
    least = np.where(cells.is_guard, float(policy.minimum_group_size), 0.0)
    low, high = count_range(cells.values, base, np.minimum(least, cells.values))
    volume_low, volume_high = volume_range(cells.values)
    ceiling = 2 * float(cells.values.max(initial=0)) + 1000
    low = np.where(untold, np.minimum(1.0, cells.values), np.where(cells.is_volume, volume_low, low))
    high = np.where(untold, ceiling, np.where(cells.is_volume, volume_high, high))
    return np.minimum(low, cells.values), np.maximum(high, cells.values)


def protect(cells: Cells, withheld: Flags, policy: DisclosurePolicy) -> Protection:
    """Coarsen counts, and leave out what cannot be coarsened, until every withheld cell is protected.

    Args:
        cells: The web of cells.
        withheld: Cells that no row may tell.
        policy: How wide their ranges must be.
    """
    first = policy.rounding_base
    blank = np.zeros(len(withheld), np.bool_)
    needed = _largest_within(cells, withheld & ~cells.is_people)
    base = coarser(np.full(len(withheld), float(first)), _BASE_OF_PART * needed, first)
    cells = _thinned(cells)
    for number in range(1, _ROUNDS + 1):
        untold = withheld | blank
        low, high = ranges(cells, base, untold, policy)
        empty = ~cells.is_volume & ~cells.is_guard & (cells.values <= few(base))
        secret = (untold | empty) & (cells.values >= np.where(cells.is_volume, 0.1, 1.0))
        wide = np.where(secret, np.where(cells.is_volume, 0.0, policy.protection), 0.0)
        # a total that is left out to shield a part is no secret by itself
        wide = np.where(secret & ~(blank & ~empty), np.maximum(wide, MARGIN * cells.values), wide * ~blank)
        narrow = too_narrow(cells, low, high, wide)
        if not len(narrow):
            return Protection(base, withheld, blank, number)
        for cell in narrow:
            _loosen(cells, int(cell), base, blank, withheld, first, reach=1 + number // 6)
    raise ArithmeticError("disclosure control found no release: withheld figures stay too well known")


def _loosen(cells: Cells, cell: int, base: Numbers, blank: Flags, withheld: Flags, first: int, reach: int) -> None:
    """Tell the figures around a cell more coarsely: in each line the largest that is told; not at all where rounding cannot help."""
    around = np.zeros(len(base), np.bool_)
    around[cell] = True
    for _ in range(reach):
        at = around[cells.child] | around[cells.parent]
        lines = np.unique(cells.line[at])
        link = np.flatnonzero(np.isin(cells.line, lines))
        members = np.unique(np.column_stack([np.tile(cells.line[link], 2), np.r_[cells.child[link], cells.parent[link]]]), axis=0)
        around[members[:, 1]] = True
    told = ~(withheld | blank)[members[:, 1]] & (members[:, 1] != cell)
    line, member = members[told].T if told.any() else (np.array([], np.int64), np.array([], np.int64))
    order = np.lexsort((cells.keys[member], -cells.values[member], line))
    chosen = np.unique(member[order][np.unique(line[order], return_index=True)[1]])
    if not len(chosen):
        # nothing next to it is told, so what binds it is what anybody knows of counts: none is below 0
        blank[cell] = True
        return
    can_coarsen = ~cells.is_volume[chosen] & (base[chosen] < cells.values[chosen])
    grown = chosen[can_coarsen]
    base[grown] = coarser(base[grown], base[grown] * 1.5, first)
    blank[chosen[~can_coarsen]] = True


def _thinned(cells: Cells) -> Cells:
    """The web without the links that narrow nothing and join everything."""
    size = np.bincount(cells.line, minlength=1)
    keep = size[cells.line] <= _LONG
    if len(cells.keys) > _LARGE:
        keep &= (cells.kind != AT_LEAST) | (size[cells.line] > 1)
    return replace(cells, parent=cells.parent[keep], child=cells.child[keep], kind=cells.kind[keep], line=cells.line[keep])


def _largest_within(cells: Cells, secret: Flags) -> Numbers:
    """For each cell the largest secret one that it is the exact total of, at any depth."""
    found = np.where(secret, cells.values, 0.0)
    at = cells.kind == SUM
    parent, child = cells.parent[at], cells.child[at]
    while True:
        before = found.copy()
        np.maximum.at(found, parent, found[child])
        if np.array_equal(before, found):
            return found


def told_cells(cells: Cells, number: int) -> Indices:
    """The lines of `shown_by` of one table."""
    return np.flatnonzero(cells.shown_by[:, 0] == number)
