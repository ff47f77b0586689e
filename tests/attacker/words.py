"""What words give away: a reason, a status or a flag beside a figure that is not told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

import numpy as np

from attacker.grid import Grid
from attacker.system import System

_LIMIT = re.compile(
    r"(?P<word>\w+) \((?P<text>[^()]*?)(?P<kind>fewer than|less than|under|at least) (?P<number>\d+|two|three|five|ten) (?P<noun>\w+)"
)
_NUMBERS = {"two": 2, "three": 3, "five": 5, "ten": 10}
_NOUNS = {"people": "person", "persons": "person"}


def relate_words(grid: Grid, system: System) -> None:
    """Learn from the rows that are told what a word says of a count, and from descriptions which limit it states."""
    counts = [name for name in grid.sheet.counts if name in grid.columns]
    for column in grid.sheet.words:
        told = [row[column] for row in grid.sheet.rows.values()]
        for word in sorted({str(each) for each in told if each is not None}):
            rows = np.array([each == word for each in told])
            for count in counts:
                _zeros(grid, system, count, rows)
            for small, large in permutations(counts, 2):
                _order(grid, system, small, large, rows)
        for word, name, low, high in _limits(grid, column, counts):
            rule = system.rule("word", 2.0)
            for row in np.flatnonzero(np.array([each == word for each in told])):
                if grid.number[name][row] >= 0:
                    rule.bounds.append((int(grid.number[name][row]), low, high))


def _zeros(grid: Grid, system: System, count: str, rows: np.ndarray) -> None:
    shown = grid.shown(count)
    if (
        np.count_nonzero(rows & shown) < 3
        or (grid.value[count][rows & shown] != 0).any()
        or not (grid.value[count][~rows & shown] != 0).any()
    ):
        return
    hidden = np.flatnonzero(rows & ~shown & (grid.number[count] >= 0))
    if len(hidden):
        rule = system.rule("word", 1.0)
        rule.bounds += [(int(grid.number[count][row]), 0.0, 2.0) for row in hidden]


def _order(grid: Grid, system: System, small: str, large: str, rows: np.ndarray) -> None:
    """A word that always stands where one count is above another says so where one of them is not told."""
    both = grid.shown(small) & grid.shown(large)
    here = rows & both
    if np.count_nonzero(here) < 3 or (grid.value[small][here] > grid.value[large][here]).any() or not (grid.value[large][here] > 0).any():
        return
    if not (grid.value[small][~rows & both] > grid.value[large][~rows & both]).any():
        return
    hidden = np.flatnonzero(rows & ~both & (grid.number[small] >= 0) & (grid.number[large] >= 0))
    if len(hidden):
        rule = system.rule("word", 0.8)
        for row in hidden:
            rule.between([(int(grid.number[large][row]), 1.0), (int(grid.number[small][row]), -1.0)], 0.0, np.inf)


def _limits(grid: Grid, column: str, counts: list[str]) -> Iterator[tuple[str, str, float, float]]:
    for found in _LIMIT.finditer(grid.sheet.fields[column].text):
        number = float(_NUMBERS.get(found["number"], found["number"] if found["number"].isdigit() else 0))
        noun = _NOUNS.get(found["noun"], found["noun"].removesuffix("s"))
        named = [name for name in counts if name in (f"{noun}_count", f"{noun}_number")]
        if named:
            yield (found["word"], named[0], number, np.inf) if found["kind"] == "at least" else (found["word"], named[0], 0.0, number - 1)
