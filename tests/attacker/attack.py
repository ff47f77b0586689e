"""The attack: read exports, guess what ties their figures together, and say what follows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from attacker.crosswise import relate_tables
from attacker.earlier import align, relate_exports
from attacker.files import Export, Row, read_export
from attacker.finding import Finding
from attacker.grid import Grid
from attacker.relations import relate
from attacker.shares import relate_shares
from attacker.system import System
from attacker.words import relate_words

SECONDS = 10.0
"""Processor time for the linear programs of one attack."""
WIDEST = 60.0
"""A figure bounded below by more than this is not pursued by linear programs: it is about many."""


def attack(folder: Path, *earlier: Path, seconds: float = SECONDS) -> list[Finding]:
    """Say all that follows from an export, and from exports that came before it (the latest first)."""
    exports = [read_export(each) for each in (folder, *earlier)]
    align(exports)
    system = System()
    grids = [[Grid(sheet, system, number) for sheet in export.sheets.values()] for number, export in enumerate(exports)]
    for tables in grids:
        for grid in tables:
            relate(grid, system)
            relate_shares(grid, system)
            relate_words(grid, system)
        relate_tables(tables, system)
    for before, after in zip(grids[1:], grids, strict=False):
        relate_exports(before, after, system)
    system.solve()
    system.programs(_targets(system), seconds)
    return list(_all_said(exports, grids, system))


def _targets(system: System) -> list[int]:
    """The unknowns worth a linear program: those tied to something and not yet narrow, the withheld first, then the narrowest."""
    tied = np.zeros(len(system.keys), dtype=bool)
    tied[system.columns] = True
    width = system.high - system.low
    wanted = np.flatnonzero(tied & (width > 0.5) & (system.low < WIDEST) & ((width > 2.5) | ~system.whole))
    hidden = np.isinf(np.array(system.highest))[wanted]
    return [int(each) for each in wanted[np.lexsort((width[wanted], ~hidden))]]


def _all_said(exports: Sequence[Export], grids: Sequence[Sequence[Grid]], system: System) -> Iterator[Finding]:
    by_name = {(grid.export, grid.name): grid for tables in grids for grid in tables}
    for number, (export, table, row, column) in enumerate(system.keys):  # type: ignore[misc]
        yield from _said(system, by_name[export, table], number, row, column, exports[export])
        if export == 0 and len(exports) > 1:
            yield from _difference(exports, by_name, system, (table, row, column), number)
    for tables in grids:
        for grid in tables:
            yield from _plain_shares(grid, exports[grid.export])


def _said(system: System, grid: Grid, number: int, row: Row, column: str, export: Export) -> Iterator[Finding]:
    low, high, technique = system.bounds(number)
    is_withheld = "*" in column or " - " in column or math.isinf(system.highest[number])
    if math.isinf(high) or (is_withheld and not technique):
        return
    if not technique:
        is_exact = system.lowest[number] == system.highest[number] and grid.sheet.fields[column].kind == "integer"
        technique = "told exactly" if is_exact else "told"
    named = dict(zip(grid.sheet.dimensions, row, strict=True))
    yield Finding(technique, grid.name, named, column, low, high, str(export.folder), is_withheld, bool(system.whole[number]))


def _difference(
    exports: Sequence[Export], by_name: dict[tuple[int, str], Grid], system: System, key: tuple[str, Row, str], number: int
) -> Iterator[Finding]:
    """How much more the export before had of a figure: what went with whoever was erased, or came with the days between."""
    table, row, column = key
    before = system.place.get((1, *key))
    if before is None or math.isinf(system.high[number]) or math.isinf(system.high[before]):
        return
    low, high = system.low[before] - system.high[number], system.high[before] - system.low[number]
    if low <= 0 <= high:
        return
    named = dict(zip(by_name[0, table].sheet.dimensions, row, strict=True))
    where = f"{exports[1].folder} > {exports[0].folder}"
    yield Finding("difference of exports", table, named, column, float(low), float(high), where, False, bool(system.whole[number]))


def _plain_shares(grid: Grid, export: Export) -> Iterator[Finding]:
    """Shares and other figures that are no sums, as they are told."""
    for column in grid.shares:
        half = grid.step(column) / 2
        for place in np.flatnonzero(grid.shown(column)):
            named = dict(zip(grid.sheet.dimensions, grid.keys[place], strict=True))
            value = float(grid.value[column][place])
            yield Finding("told", grid.name, named, column, value - half, value + half, str(export.folder), False, False)


def counted(findings: Sequence[Finding]) -> dict[tuple[str, str], int]:
    """Return how many findings there are by technique and table."""
    counts: dict[tuple[str, str], int] = {}
    for found in findings:
        counts[found.technique, found.table] = counts.get((found.technique, found.table), 0) + 1
    return dict(sorted(counts.items()))
