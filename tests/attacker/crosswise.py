"""Relations between tables: the same figure told twice, and a total told in one table of parts told in another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np

from attacker.files import Row
from attacker.grid import Grid, is_total
from attacker.system import System

LEAST = 8
"""How many figures must agree before two columns are taken for the same."""


def relate_tables(grids: list[Grid], system: System) -> None:
    """Add every rule that two tables give together."""
    for one, other in combinations(grids, 2):
        for here, there in _meetings(one, other):
            _repeats(one, other, here, there, system)
    for fine, coarse in permutations(grids, 2):
        _subtotals(fine, coarse, system)


def _shared(one: Grid, other: Grid) -> list[str]:
    return [name for name in one.sheet.dimensions if name in other.sheet.dimensions]


def _meetings(one: Grid, other: Grid) -> Iterator[tuple[list[int], list[int]]]:
    """Yield rows of two tables that are about the same: shared dimensions alike, all others at their totals."""
    shared = _shared(one, other)
    if not shared:
        return
    here, there = _at_totals(one, shared), _at_totals(other, shared)
    alike = [key for key in here if key in there]
    if len(alike) >= LEAST:
        yield [here[key] for key in alike], [there[key] for key in alike]


def _at_totals(grid: Grid, shared: list[str]) -> dict[Row, int]:
    names = grid.sheet.dimensions
    places = [names.index(name) for name in shared]
    others = [place for place in range(len(names)) if place not in places]
    found: dict[Row, int] = {}
    for number, key in enumerate(grid.keys):
        if all(is_total(key[place]) for place in others):
            found.setdefault(tuple(key[place] for place in places), number)
    return found


def _repeats(one: Grid, other: Grid, here: list[int], there: list[int], system: System) -> None:
    """Columns that are equal wherever both are told are equal where one is not."""
    for left in one.columns:
        for right in other.columns:
            both = one.shown(left)[here] & other.shown(right)[there]
            a, b = one.value[left][here][both], other.value[right][there][both]
            if len(a) < LEAST or len(set(a)) < 4 or (a != b).any():
                continue
            rule = system.rule("another table", 3.0 + len(a) / 100)
            for i, j in zip(one.number[left][here], other.number[right][there], strict=True):
                if i >= 0 and j >= 0:
                    rule.equal([(int(i), 1.0), (int(j), -1.0)])


def _subtotals(fine: Grid, coarse: Grid, system: System) -> None:
    """A figure of one table summed over what the other does not tell apart, such as all pairs of teams or all days of a month."""
    shared = _shared(fine, coarse)
    apart = [name for name in fine.sheet.dimensions if name not in shared]
    if not shared or not apart:
        return
    names = fine.sheet.dimensions
    places = [names.index(name) for name in shared]
    groups: dict[Row, list[int]] = {}
    for number, key in enumerate(fine.keys):
        if not any(is_total(key[names.index(name)]) for name in apart):
            groups.setdefault(tuple(key[place] for place in places), []).append(number)
    totals = _at_totals(coarse, shared)
    found = [(totals[key], parts) for key, parts in groups.items() if key in totals and len(parts) > 1]
    if len(found) < 2:
        return
    for column in fine.columns:
        for total in coarse.columns:
            told = [(whole, parts) for whole, parts in found if fine.shown(column)[parts].all() and coarse.shown(total)[whole]]
            if len(told) < 3:
                continue
            off = np.array([coarse.value[total][whole] - fine.value[column][parts].sum() for whole, parts in told])
            steps = np.array([fine.step(column), coarse.step(total)]) / np.sqrt(12)
            spread = np.array([np.sqrt(steps[0] ** 2 * len(parts) + steps[1] ** 2) for _, parts in told])
            size = np.array([coarse.value[total][whole] for whole, _ in told])
            if (np.abs(off) > 3 * spread + 1e-6).any() or np.count_nonzero(size > 8 * spread) < 3:
                continue
            rule = system.rule("total of another table", 2.5 + len(told) / 100)
            for whole, parts in found:
                numbers = fine.number[column][parts]
                if coarse.number[total][whole] >= 0 and (numbers >= 0).all():
                    rule.equal([(int(coarse.number[total][whole]), -1.0), *((int(number), 1.0) for number in numbers)])
