"""A table as arrays, with each figure's bounds and its unknown in the system of all tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from attacker.files import TOTALS, Row, Sheet, Value
from attacker.system import System

SHARE = re.compile(r"ratio|share|proportion|percent|probability")
_ADDITIVE = re.compile(r"contact|interaction|message|minutes|hours|exposure|meeting|weight")


class Grid:
    """A table as arrays."""

    def __init__(self, sheet: Sheet, system: System, export: int = 0) -> None:
        self.sheet = sheet
        self.export = export
        self.name = sheet.name
        self.keys: list[Row] = list(sheet.rows)
        self.place = {key: number for number, key in enumerate(self.keys)}
        self.columns = [name for name in sheet.figures if not self.is_share(name)]
        self.shares = [name for name in sheet.figures if self.is_share(name)]
        self.value = {name: self._values(name) for name in sheet.figures}
        self.hidden = {name: np.array([sheet.is_hidden(row, name) for row in sheet.rows.values()], dtype=bool) for name in sheet.figures}
        self.low, self.high, self.number = {}, {}, {}
        for name in self.columns:
            told = [sheet.interval(value, name) if value == value else (0.0, np.inf) for value in self.value[name]]
            self.low[name] = np.array([low for low, _ in told], dtype=float)
            self.high[name] = np.array([high for _, high in told], dtype=float)
            is_signed = bool(np.nanmin(self.value[name], initial=0.0) < 0)
            self.number[name] = np.full(len(self.keys), -1)
            for place, key in enumerate(self.keys):
                if self.value[name][place] == self.value[name][place] or (self.hidden[name][place] and not is_signed):
                    self.number[name][place] = system.add(
                        (export, self.name, key, name),
                        self.low[name][place],
                        self.high[name][place],
                        is_whole=sheet.fields[name].kind == "integer",
                    )

    def _values(self, name: str) -> np.ndarray:
        return np.array([np.nan if row[name] is None else row[name] for row in self.sheet.rows.values()], dtype=float)

    def is_share(self, name: str) -> bool:
        """Whether a figure is a share, or anything else that is no sum of parts, by its unit, its name or its values."""
        field = self.sheet.fields[name]
        if field.kind == "integer":
            return False
        if SHARE.search(field.unit) or SHARE.search(name):
            return True
        return field.unit not in ("hours", "minutes", "days") and not _ADDITIVE.search(name)

    def is_additive(self, name: str) -> bool:
        """Whether a figure's name says that it adds up."""
        return bool(_ADDITIVE.search(name)) and not re.search(r"(person|people|pair|tie|member)s?_(count|number)|median|mean", name)

    def shown(self, name: str) -> np.ndarray:
        """Which rows show a figure."""
        return ~np.isnan(self.value[name])

    def step(self, name: str) -> float:
        """How finely a figure is told."""
        return self.sheet.steps.get(name, 0.0)

    def axes(self) -> Iterator[tuple[str, ...]]:
        """Yield the dimensions over which something may add up: one, or two of which the second refines the first."""
        names = self.sheet.dimensions
        for place, name in enumerate(names):
            if any(is_total(key[place]) for key in self.keys):
                yield (name,)
                if place + 1 < len(names):
                    yield (name, names[place + 1])

    def families(self, axis: tuple[str, ...]) -> Iterator[tuple[Value, int, list[int]]]:
        """Yield (group, the total's row, the parts' rows) of every total over an axis.

        Over two dimensions the parts are those of one value of the first (a grouping, an organisation's kind, a kind of
        period), and the total is that of all values together.
        """
        places = [self.sheet.dimensions.index(name) for name in axis]
        others = [place for place in range(len(self.sheet.dimensions)) if place not in places]
        totals: dict[Row, list[int]] = {}
        parts: dict[Row, dict[Value, list[int]]] = {}
        whole: set[tuple[Row, Value]] = set()
        for number, key in enumerate(self.keys):
            rest = tuple(key[place] for place in others)
            head, tail = key[places[0]], key[places[-1]]
            if len(axis) == 1:
                if is_total(head):
                    totals.setdefault(rest, []).append(number)
                else:
                    parts.setdefault(rest, {}).setdefault(None, []).append(number)
            elif is_total(head) and (is_total(tail) or is_date(tail)):
                totals.setdefault(rest, []).append(number)
            elif is_total(tail):
                whole.add((rest, head))
            elif not is_total(head):
                parts.setdefault(rest, {}).setdefault(head, []).append(number)
        for rest, found in totals.items():
            for group, numbers in parts.get(rest, {}).items():
                # a group with a total of its own is one of several: its parts do not make up all
                if len(found) == 1 and (rest, group) not in whole:
                    yield group, found[0], numbers


def is_total(value: Value) -> bool:
    """Whether a dimension's value stands for all."""
    return isinstance(value, str) and value.lower() in TOTALS


def is_date(value: Value) -> bool:
    """Whether a dimension's value is a day."""
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None


def lags(grid: Grid) -> dict[int, int]:
    """Return for each row the row of the period before, by the last dimension that is a day."""
    places = [place for place in range(len(grid.sheet.dimensions)) if any(is_date(key[place]) for key in grid.keys)]
    if not places:
        return {}
    place = places[-1]
    runs: dict[Row, list[tuple[str, int]]] = {}
    for number, key in enumerate(grid.keys):
        if is_date(key[place]):
            runs.setdefault((*key[:place], *key[place + 1 :]), []).append((str(key[place]), number))
    days: dict[Value, list[str]] = {}
    for key in grid.keys:
        if is_date(key[place]):
            days.setdefault(key[place - 1] if place else None, []).append(str(key[place]))
    order = {kind: sorted(set(listed)) for kind, listed in days.items()}
    found = {}
    for rest, run in runs.items():
        calendar = order[rest[place - 1] if place else None]
        by_day = dict(run)
        for day, number in run:
            before = calendar.index(day) - 1
            if before >= 0 and calendar[before] in by_day:
                found[number] = by_day[calendar[before]]
    return found


def numbers(grids: Iterable[Grid]) -> int:
    """How many unknowns there are."""
    return sum(int((places >= 0).sum()) for grid in grids for places in grid.number.values())
