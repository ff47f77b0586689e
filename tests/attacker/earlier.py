"""Several exports of one home: what one tells and another withholds, and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attacker.files import Export, Row
from attacker.grid import Grid, is_date
from attacker.system import System


def align(exports: Sequence[Export]) -> None:
    """Let a table have the same dimensions in every export: the longest run that any of them needs to tell rows apart."""
    for name in {name for export in exports for name in export.sheets}:
        sheets = [export.sheets[name] for export in exports if name in export.sheets]
        dimensions = max((sheet.dimensions for sheet in sheets), key=len)
        for sheet in sheets:
            if set(dimensions) <= set(sheet.fields):
                sheet.dimensions = dimensions
                sheet.rows = {tuple(row[each] for each in dimensions): row for row in sheet.rows.values()}


def relate_exports(before: Sequence[Grid], after: Sequence[Grid], system: System) -> None:
    """A period that was over when the first export was made has the same figures in the second, if none that both tell differs."""
    earlier = {grid.name: grid for grid in before}
    for grid in after:
        old = earlier.get(grid.name)
        if old is None:
            continue
        both = [(old.place[key], grid.place[key]) for key in closed(old) if key in grid.place]
        for column in grid.columns:
            if column not in old.columns:
                continue
            told = [(a, b) for a, b in both if old.shown(column)[a] and grid.shown(column)[b]]
            if any(old.value[column][a] != grid.value[column][b] for a, b in told):
                continue
            rule = system.rule("told in another export", 6.0 + len(told) / 100)
            for a, b in both:
                if old.number[column][a] >= 0 and grid.number[column][b] >= 0:
                    rule.equal([(int(old.number[column][a]), 1.0), (int(grid.number[column][b]), -1.0)])
        _growing(old, grid, system)


def closed(grid: Grid) -> list[Row]:
    """The rows about a period after which the table has another."""
    places = [place for place in range(len(grid.sheet.dimensions)) if any(is_date(key[place]) for key in grid.keys)]
    if not places:
        return []
    place = places[-1]
    last: dict[object, str] = {}
    for key in grid.keys:
        if is_date(key[place]):
            kind = key[place - 1] if place else None
            last[kind] = max(last.get(kind, ""), str(key[place]))
    return [key for key in grid.keys if is_date(key[place]) and str(key[place]) < last[key[place - 1] if place else None]]


def _growing(old: Grid, grid: Grid, system: System) -> None:
    """A figure of all days, or of a period that goes on, that never falls from one export to the next, bounds what is withheld."""
    shut = set(closed(old))
    both = [(old.place[key], grid.place[key]) for key in old.keys if key in grid.place and key not in shut]
    for column in grid.columns:
        if column not in old.columns or grid.sheet.fields[column].kind != "integer":
            continue
        told = [(old.value[column][a], grid.value[column][b]) for a, b in both if old.shown(column)[a] and grid.shown(column)[b]]
        if len(told) < 8 or any(a > b for a, b in told) or not any(a < b for a, b in told):
            continue
        rule = system.rule("growth between exports", 0.6 + len(told) / 100)
        for a, b in both:
            if old.number[column][a] >= 0 and grid.number[column][b] >= 0:
                rule.between([(int(grid.number[column][b]), 1.0), (int(old.number[column][a]), -1.0)], 0.0, np.inf)
