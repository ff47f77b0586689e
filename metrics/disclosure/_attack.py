"""The attacker: everything shown is an equation or an inequality; linear programming says what is left of a secret."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from metrics.disclosure._web import AT_LEAST, AT_MOST, SUM, Cells, Flags, Indices, Numbers

_IDLE_DRAWS = 4
"""After so many random programs that clear next to nothing, what is left is asked for one by one."""
_SEED = 20260101


@dataclass(frozen=True, slots=True)
class Interval:
    """What an attacker can say of one hidden cell."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """The distance between the ends."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class _Program:
    """Bounds and constraints on the cells that are not known for sure."""

    cells: Indices
    low: Numbers
    high: Numbers
    equal: csr_matrix
    equal_to: Numbers
    at_most: csr_matrix
    at_most_to: Numbers

    def extreme(self, objective: Numbers) -> Numbers:
        """The feasible point at which the objective is least."""
        has_equal, has_bound = self.equal.shape[0] > 0, self.at_most.shape[0] > 0
        result = linprog(  # type: ignore[call-overload]
            # its stubs do not know that the method takes sparse matrices
            objective,
            A_ub=self.at_most if has_bound else None,
            b_ub=self.at_most_to if has_bound else None,
            A_eq=self.equal if has_equal else None,
            b_eq=self.equal_to if has_equal else None,
            bounds=np.column_stack([self.low, self.high]),
            method="highs",
        )
        if not result.success:
            raise ArithmeticError(f"what is shown contradicts itself: {result.message}")
        point: Numbers = result.x
        return point

    def within(self, positions: Indices) -> _Program:
        """The same program for some of the cells, which share no constraint with the others."""
        equal, at_most = self.equal[:, positions], self.at_most[:, positions]
        equal_rows = np.flatnonzero(np.diff(equal.indptr))
        bound_rows = np.flatnonzero(np.diff(at_most.indptr))
        return _Program(
            self.cells[positions],
            self.low[positions],
            self.high[positions],
            equal[equal_rows],
            self.equal_to[equal_rows],
            at_most[bound_rows],
            self.at_most_to[bound_rows],
        )

    def components(self) -> Indices:
        """The number of the component of each cell; cells of different components share no constraint."""
        links = coo_matrix(_stack(self.equal, self.at_most))
        size = len(self.cells)
        graph = coo_matrix((np.ones(links.nnz), (links.row + size, links.col)), shape=(size + links.shape[0], size + links.shape[0]))
        return connected_components(graph, directed=False)[1][:size].astype(np.int64)


def _stack(above: csr_matrix, below: csr_matrix) -> csr_matrix:
    first, second = coo_matrix(above), coo_matrix(below)
    return csr_matrix(
        (
            np.concatenate([first.data, second.data]),
            (np.concatenate([first.row, second.row + first.shape[0]]), np.concatenate([first.col, second.col])),
        ),
        shape=(first.shape[0] + second.shape[0], first.shape[1]),
    )


def _program(cells: Cells, low: Numbers, high: Numbers) -> _Program:
    is_open = high > low
    position = np.cumsum(is_open) - 1
    # only lines with something unknown say anything
    open_lines = np.unique(cells.line[is_open[cells.child] | is_open[cells.parent]])
    link = np.flatnonzero(np.isin(cells.line, open_lines))
    line, parent, child, kind = cells.line[link], cells.parent[link], cells.child[link], cells.kind[link]
    lines, start, number = np.unique(line, return_index=True, return_inverse=True)
    total, kinds = parent[start], kind[start]
    # rows of `parent - sum(children)`
    row = np.concatenate([np.arange(len(lines)), number])
    column = np.concatenate([total, child])
    sign = np.concatenate([np.ones(len(lines)), -np.ones(len(link))])
    # rows of `child - parent <= 0`, where a total is at least each of its parts
    part = np.flatnonzero(kind == AT_MOST)
    part_row = np.concatenate([np.arange(len(part)), np.arange(len(part))])
    part_column = np.concatenate([child[part], parent[part]])
    part_sign = np.concatenate([np.ones(len(part)), -np.ones(len(part))])

    size = int(is_open.sum())
    balance, balance_known = _split(row, column, sign, len(lines), is_open, position, size, low)
    parts, parts_known = _split(part_row, part_column, part_sign, len(part), is_open, position, size, low)
    is_sum, at_least, at_most = kinds == SUM, kinds == AT_LEAST, kinds == AT_MOST
    bounds = _stack(_stack(-balance[at_least], balance[at_most]), parts)
    limits = np.concatenate([balance_known[at_least], -balance_known[at_most], -parts_known])
    return _Program(np.flatnonzero(is_open), low[is_open], high[is_open], balance[is_sum], -balance_known[is_sum], bounds, limits)


def _split(
    row: Indices, column: Indices, sign: Numbers, rows: int, is_open: Flags, position: Indices, size: int, known: Numbers
) -> tuple[csr_matrix, Numbers]:
    """Coefficients of what is open, and the sum of what is known, by row."""
    free = is_open[column]
    matrix = csr_matrix((sign[free], (row[free], position[column[free]])), shape=(rows, size))
    known_sums: Numbers = np.bincount(row[~free], sign[~free] * known[column[~free]], minlength=rows).astype(np.float64)
    return matrix, known_sums


def cleared(cells: Cells, low: Numbers, high: Numbers, protection: Numbers) -> Flags:
    """Which unknown cells are wide enough by arithmetic: those in no line, and those of lines that share no unknown cell with another.

    In such a line each cell can go as far as the bounds of the others let it: with parts from L to H each and a total from T to U,

    - a sum leaves a part max(L, T less the others' H) to min(H, U less the others' L);
    - a total of at least its parts leaves a part L to min(H, U less the others' L);
    - a total of at most its parts, and at least each, leaves a part up to min(H, U), down to L or what the others, grown to the least total
      there can be, leave missing of it.

    A line counts only if all its unknown cells are wide enough; the others are for linear programming to judge.
    """
    is_open = high > low
    number, start, line = np.unique(cells.line, return_index=True, return_inverse=True)
    total, kind, count = cells.parent[start], cells.kind[start], len(number)

    def by_line(values: Numbers | Flags) -> Numbers:
        return np.bincount(line, values.astype(float), minlength=count).astype(np.float64)

    child = cells.child
    # how many lines with something unknown each unknown cell is in
    has_open = is_open[total] | (by_line(is_open[child]) > 0)
    degree = np.bincount(child, has_open[line], minlength=len(low)) + np.bincount(total, has_open, minlength=len(low))
    shared = is_open & (degree > 1)
    is_single = has_open & ~shared[total] & (by_line(shared[child]) == 0)

    floor, ceiling = by_line(low[child]), by_line(high[child])
    largest = np.zeros(count)
    np.maximum.at(largest, line, low[child])
    least = np.maximum(low[total], largest)
    grown = np.minimum(high[child], least[line])
    all_grown = by_line(grown)
    others_low, others_high = floor[line] - low[child], ceiling[line] - high[child]
    top = np.minimum(high[child], np.where(kind[line] == AT_MOST, high[total][line], high[total][line] - others_low))
    bottom = np.select(
        [kind[line] == SUM, kind[line] == AT_MOST], [low[total][line] - others_high, least[line] - (all_grown[line] - grown)], low[child]
    )
    part_width = top - np.maximum(low[child], bottom)
    total_low = np.select([kind == AT_MOST], [least], np.maximum(low[total], floor))
    total_width = np.where(kind == AT_LEAST, high[total], np.minimum(high[total], ceiling)) - total_low
    is_narrow = by_line(is_open[child] & (part_width < protection[child])) > 0
    is_wide = is_single & ~is_narrow & (~is_open[total] | (total_width >= protection[total]))

    clear: Flags = is_open & (degree == 0) & (high - low >= protection)
    clear[child[is_wide[line] & is_open[child]]] = True
    clear[total[is_wide & is_open[total]]] = True
    return clear


def too_narrow(cells: Cells, low: Numbers, high: Numbers, protection: Numbers) -> Indices:
    """Return the cells that everything shown pins to an interval narrower than their protection.

    What is further than two lines from a cell that needs protection is taken as known exactly, so an attacker is credited with more than
    they have. Of the rest, what stands in one line only is bounded by arithmetic; what is left is for the solver. A few
    programs with random objectives clear most cells at once, for any two feasible points that lie far enough apart clear a
    cell; only what is left is minimised and maximised by itself.

    Args:
        cells: The web of cells.
        low: The least that each cell can be by itself, for whoever sees what is shown.
        high: The most.
        protection: How wide each cell's interval must be; 0 for cells that anybody may know.
    """
    wanted = protection > 0
    near = _near(cells, _near(cells, wanted))
    low, high = np.where(near, low, cells.values), np.where(near, high, cells.values)
    clear = cleared(cells, low, high, protection)
    program = _program(cells, np.where(clear, cells.values, low), np.where(clear, cells.values, high))
    narrow = np.flatnonzero(wanted & ~clear & (high - low < protection))
    if not len(program.cells):
        return narrow
    component = program.components()
    needed = np.unique(component[wanted[program.cells]])
    kept = np.flatnonzero(np.isin(component, needed))
    program, component = program.within(kept), component[kept]
    truth, wide = cells.values[program.cells], protection[program.cells]
    least, most = truth.copy(), truth.copy()
    random = np.random.default_rng(_SEED)
    _widen(least, most, program.extreme(np.ones(len(truth))))
    _widen(least, most, program.extreme(-np.ones(len(truth))))
    idle = 0
    while idle < _IDLE_DRAWS:
        pending = most - least < wide - 1e-6
        if not pending.any():
            return narrow
        # only what is not cleared yet pulls: each draw sends about half of it up and half of it down
        _widen(least, most, program.extreme(np.where(pending, random.choice([-1.0, 1.0], len(truth)), 0.0)))
        idle = idle + 1 if (most - least < wide - 1e-6).sum() > 0.9 * pending.sum() else 0
    found = [narrow]
    for number in np.unique(component[most - least < wide - 1e-6]):
        positions = np.flatnonzero(component == number)
        inner = program.within(positions)
        for at, position in enumerate(positions):
            if most[position] - least[position] >= wide[position] - 1e-6:
                continue
            for sign in (1.0, -1.0):
                objective = np.zeros(len(positions))
                objective[at] = sign
                point = inner.extreme(objective)
                least[positions] = np.minimum(least[positions], point)
                most[positions] = np.maximum(most[positions], point)
            if most[position] - least[position] < wide[position] - 1e-6:
                found.append(program.cells[position : position + 1])
    return np.unique(np.concatenate(found))


def _near(cells: Cells, marked: Flags) -> Flags:
    """Cells of the lines in which a marked one stands, and the marked ones."""
    lines = np.zeros(int(cells.line.max(initial=-1)) + 1, np.bool_)
    lines[cells.line[marked[cells.child] | marked[cells.parent]]] = True
    found = marked.copy()
    at = lines[cells.line]
    found[cells.child[at]] = True
    found[cells.parent[at]] = True
    return found


def _widen(least: Numbers, most: Numbers, point: Numbers) -> None:
    np.minimum(least, point, out=least)
    np.maximum(most, point, out=most)


def feasible_intervals(cells: Cells, low: Numbers, high: Numbers, wanted: Iterable[int]) -> dict[int, Interval]:
    """Return what an attacker can say of each wanted cell, each asked for by itself.

    Raises:
        ArithmeticError: If what is shown contradicts itself.
    """
    program = _program(cells, low, high)
    component = program.components()
    place = {int(cell): position for position, cell in enumerate(program.cells)}
    answers = {}
    for cell in wanted:
        positions = np.flatnonzero(component == component[place[int(cell)]])
        inner = program.within(positions)
        objective = (positions == place[int(cell)]).astype(float)
        answers[int(cell)] = Interval(float(inner.extreme(objective) @ objective), float(inner.extreme(-objective) @ objective))
    return answers
