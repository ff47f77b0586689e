"""Which cells to withhold beside the small ones, so that nothing shown gives a small one away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.disclosure._attack import too_narrow
from metrics.disclosure._cells import AT_LEAST, AT_MOST, SUM, Cells, Flags, Indices, Numbers


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is withheld.

    Attributes:
        hidden: Which cells are withheld.
        round_count: How often the attacker was asked.
        exposed: Cells that cannot be protected, because an earlier export showed what would have to be withheld.
    """

    hidden: Flags
    round_count: int
    exposed: Indices


class _Lines:
    """Lines as arrays: for each the total, its kind, and by bincount whatever is asked of its parts."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.numbers, start = np.unique(cells.line, return_index=True)
        self.count = len(self.numbers)
        self.parent = cells.parent[start]
        self.kind = cells.kind[start]

    def sums(self, weights: Numbers | Flags) -> Numbers:
        return np.bincount(self.cells.line, weights[self.cells.child].astype(float), minlength=self.count).astype(np.float64)

    def largest(self, values: Numbers) -> Numbers:
        found = np.zeros(self.count)
        np.maximum.at(found, self.cells.line, values[self.cells.child])
        return found

    def widths(self, hidden: Flags) -> Numbers:
        """How wide an interval each line by itself leaves to what is hidden in it; infinite where nothing is hidden or nothing known.

        With a shown total T, hidden parts (each at least 1) that sum to R and n of them: the sum leaves R - n to each, none to
        a single one; a total of at least the parts leaves T less what is shown less n; a total of at most the parts leaves a single one
        between T less what is shown and T. A hidden total is known where no part is hidden.
        """
        values = self.cells.values
        total = values[self.parent]
        hidden_parts = self.sums(hidden)
        shown = self.sums(np.where(hidden, 0.0, values))
        rest = self.sums(np.where(hidden, values, 0.0))
        floor = self.sums(np.where(hidden, np.minimum(values, 1.0), 0.0))
        width = np.full(self.count, np.inf)
        for kind, alone, several in (
            (SUM, np.zeros(self.count), rest - floor),
            (AT_LEAST, total - shown - floor, total - shown - floor),
            (AT_MOST, np.minimum(total - 1, shown), total - 1),
        ):
            at = (self.kind == kind) & ~hidden[self.parent] & (hidden_parts > 0)
            width[at] = np.where(hidden_parts == 1, alone, several)[at]
        known_total = hidden[self.parent] & (hidden_parts == 0)
        width[known_total & (self.kind == SUM)] = 0
        overlap = known_total & (self.kind == AT_MOST)
        width[overlap] = (shown - self.largest(values))[overlap]
        return width


def suppress(cells: Cells, primary: Flags, gone: Flags, fixed: Flags, protection: float) -> Suppression:
    """Withhold further cells until every withheld one is protected.

    Args:
        cells: The web of cells.
        primary: Cells that must be withheld.
        gone: Rows, as numbered in `cells.row`, that are withheld whatever their cells say.
        fixed: Cells that an earlier export has shown: withholding them would protect nothing.
        protection: How wide the interval of a withheld cell must be.
    """
    lines = _Lines(cells)
    hidden = _with_rows(cells, primary, gone)
    exposed: set[int] = set()
    round_count = 0
    while True:
        hidden = _close(cells, lines, hidden, gone, fixed, protection)
        round_count += 1
        narrow = [cell for cell in too_narrow(cells, hidden, protection) if int(cell) not in exposed]
        if not narrow:
            return Suppression(hidden, round_count, np.array(sorted(exposed), np.int64))
        chosen = [_around(cells, int(cell), hidden, fixed, protection) for cell in narrow]
        if not any(len(more) for more in chosen):
            # nothing next to them is left: what binds them may lie further off
            chosen = [_further(cells, int(cell), hidden, fixed) for cell in narrow]
            exposed |= {int(cell) for cell, more in zip(narrow, chosen, strict=True) if not len(more)}
        for more in chosen:  # each round withholds more or gives a cell up, so this ends
            hidden[more] = True
        hidden = _with_rows(cells, hidden, gone)


def _close(cells: Cells, lines: _Lines, hidden: Flags, gone: Flags, fixed: Flags, protection: float) -> Flags:
    """Withhold a further cell in every line that by itself is too narrow, until none is or none can be helped."""
    stuck = np.zeros(lines.count, np.bool_)
    while True:
        width = lines.widths(hidden)
        needy = np.flatnonzero((width < protection) & ~stuck)
        if not len(needy):
            return hidden
        is_needy = np.zeros(lines.count, np.bool_)
        is_needy[needy] = True
        link = np.flatnonzero(is_needy[cells.line] & ~hidden[cells.child] & ~fixed[cells.child] & (cells.values[cells.child] > 0))
        missing = protection - width
        value = cells.values[cells.child[link]]
        # the smallest part that is large enough, or else the largest there is; rather one that is hidden in another period already
        enough = value - 1 >= missing[cells.line[link]]
        is_kin = _kin(cells, hidden)[cells.child[link]]
        order = np.lexsort((cells.keys[cells.child[link]], np.where(enough, value, -value), ~is_kin, ~enough, cells.line[link]))
        line, first = np.unique(cells.line[link][order], return_index=True)
        chosen = cells.child[link][order][first]
        hidden[chosen] = True
        # where no part is left, the total goes
        without = np.setdiff1d(needy, line)
        total = lines.parent[without]
        can_go = ~hidden[total] & ~fixed[total]
        hidden[total[can_go]] = True
        stuck[without[~can_go]] = True
        hidden = _with_rows(cells, hidden, gone)


def _with_rows(cells: Cells, hidden: Flags, gone: Flags) -> Flags:
    """A row goes with any of its cells, and a cell that only such rows showed is hidden with them; nobody (0) is no secret."""
    cell = cells.row_cell[:, 2]
    is_gone = gone.copy()
    is_gone[cells.row[hidden[cell]]] = True
    shown_by = np.bincount(cell, ~is_gone[cells.row], minlength=len(hidden))
    withheld: Flags = hidden | ((shown_by == 0) & (cells.values > 0))
    return withheld


def _kin(cells: Cells, hidden: Flags) -> Flags:
    """Cells whose total or part over people counted once is hidden: the same group in another period or medium."""
    at = cells.kind == AT_MOST
    found = np.zeros(len(hidden), np.bool_)
    found[cells.child[at][hidden[cells.parent[at]]]] = True
    found[cells.parent[at][hidden[cells.child[at]]]] = True
    return found


def _around(cells: Cells, cell: int, hidden: Flags, fixed: Flags, protection: float) -> Indices:
    """What to withhold next so that a cell is less well known; empty if there is nothing left.

    First the same group in other periods, where those hold it between bounds that are too close; then the smallest other part
    of a line it is in, rather one that is hidden in another period; then a total.
    """
    free = ~hidden & ~fixed & (cells.values > 0)
    value = cells.values[cell]
    once = cells.kind == AT_MOST
    below = cells.child[once & (cells.parent == cell)]
    above = cells.parent[once & (cells.child == cell)]
    bounding = np.concatenate([below[cells.values[below] > value - protection], above[cells.values[above] < value + protection]])
    if free[bounding].any():
        return np.unique(bounding[free[bounding]])
    in_line = np.unique(cells.line[(cells.child == cell) | (cells.parent == cell)])
    link = np.flatnonzero(np.isin(cells.line, in_line))
    is_kin = _kin(cells, hidden)
    for candidates in (np.unique(cells.child[link]), np.unique(cells.parent[link])):
        open_ones = candidates[free[candidates]]
        if len(open_ones):
            return open_ones[np.lexsort((cells.keys[open_ones], cells.values[open_ones], ~is_kin[open_ones]))[:1]]
    return np.array([], np.int64)


def _further(cells: Cells, cell: int, hidden: Flags, fixed: Flags) -> Indices:
    """The smallest cell that can still be withheld and is joined to a cell by lines of hidden ones; empty if there is none."""
    free = ~hidden & ~fixed & (cells.values > 0)
    reached = np.zeros(len(hidden), np.bool_)
    reached[cell] = True
    while True:
        link = np.isin(cells.line, cells.line[reached[cells.child] | reached[cells.parent]])
        members = np.unique(np.concatenate([cells.child[link], cells.parent[link]]))
        open_ones = members[free[members]]
        if len(open_ones):
            first: Indices = open_ones[np.lexsort((cells.keys[open_ones], cells.values[open_ones], ~_kin(cells, hidden)[open_ones]))[:1]]
            return first
        before = int(reached.sum())
        reached[members[hidden[members]]] = True
        if int(reached.sum()) == before:
            return np.array([], np.int64)
