"""The judge: opens the analysts' file, which holds every figure exactly, and says which findings matter.

It knows what the attacker does not: the truth, and who was in contact with whom. It shares nothing with the disclosure
control either: how many people a row is about is counted anew (`recount.py`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from attacker.files import Export, Row, Value
from attacker.finding import Finding
from attacker.recount import Recount, is_of_people

FEW = 4
"""A group of this many people or fewer must stay unknown."""
NEAR = 0.1
"""A magnitude within this share of the truth is as good as told."""

_OF_OTHERS = re.compile(r"history|team_count|day_count|days|cut_count|draw_count|start_number|component_count|community_count")
"""Counts of what is neither people nor anything that passes between them."""


@dataclass(frozen=True)
class Verdict:
    """What a finding is worth.

    Attributes:
        finding: The finding.
        truth: The exact value.
        people: How many people the figure is about.
        kind: recovered (about few people, and narrow), guarded (withheld to shield others, and narrow), wrong (narrow, and
            the truth lies outside), lucky (right by chance: most of its kind are wrong) or nothing.
    """

    finding: Finding
    truth: float
    people: int
    kind: str


@dataclass(frozen=True)
class Judgement:
    """What came of an attack on a world.

    Attributes:
        verdicts: What each finding is worth.
        rows: The rows that an export shows although they are about few people.
        folders: The exports.
    """

    verdicts: list[Verdict]
    rows: list[SmallRow]
    folders: list[Path]

    def recovered(self, *techniques: str, table: str = "") -> list[Verdict]:
        """Return the recoveries, of all techniques or of those that have one of these words in their name, in a table or in all."""
        return [
            each
            for each in self.verdicts
            if each.kind == "recovered"
            and table in each.finding.table
            and (not techniques or any(word in each.finding.technique for word in techniques))
        ]

    def shown(self, *why: str, table: str = "") -> list[SmallRow]:
        """Return the rows shown, of all kinds or of these."""
        return [each for each in self.rows if table in each.table and (not why or each.why in why)]


@dataclass(frozen=True)
class SmallRow:
    """A row that an export shows although it is about few people."""

    table: str
    row: Mapping[str, Value]
    people: int
    why: str


class Truth:
    """The analysts' file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = duckdb.connect(str(path), read_only=True)
        self._tables: dict[str, dict[Row, dict[str, Any]]] = {}
        self._telling: dict[tuple[str, str], bool] = {}

    @cached_property
    def recount(self) -> Recount:
        """How many people rows are about."""
        return Recount(self.connection)

    def close(self) -> None:
        self.connection.close()

    def rows(self, table: str, dimensions: Sequence[str]) -> dict[Row, dict[str, Any]]:
        """Return a table's rows by the dimensions that the attacker found, written as the files write them."""
        if table not in self._tables:
            schema, _, name = table.partition(".")
            cursor = self.connection.execute(f'select * from {schema}."{name}"')
            names = [each[0] for each in cursor.description]
            found: dict[Row, dict[str, Any]] = {}
            for values in cursor.fetchall():
                row = dict(zip(names, map(_plain, values), strict=True))
                found[tuple(row[each] for each in dimensions)] = row
            self._tables[table] = found
        return self._tables[table]

    def row(self, table: str, named: Mapping[str, Value]) -> dict[str, Any] | None:
        """Return one row."""
        return self.rows(table, list(named)).get(tuple(_unescaped(value) for value in named.values()))

    def value(self, finding: Finding) -> float | None:
        """Return the exact value of what a finding bounds."""
        row = self.row(finding.table, finding.row)
        return None if row is None else evaluate(row, finding.column)

    def is_telling(self, table: str, dimensions: Sequence[str], column: str) -> bool:
        """Whether a figure says something of people: it was not declared, and is not the same for all rows of a period."""
        if (table, column) not in self._telling:
            self._telling[table, column] = _is_telling(table, dimensions, column, self.rows(table, dimensions))
        return self._telling[table, column]


def evaluate(row: Mapping[str, Any], column: str) -> float | None:
    """Return the value of a column, of `a - b`, or of `a * b` to the nearest whole number."""
    for sign in (" - ", " * "):
        if sign in column:
            left, _, right = column.partition(sign)
            a, b = evaluate(row, left), evaluate(row, right)
            if a is None or b is None:
                return None
            return a - b if sign == " - " else float(round(a * b))
    value = row.get(column)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return None if value in (None, "") else value


def _unescaped(value: Value) -> Value:
    return value[1:] if isinstance(value, str) and value[:2] in ("'=", "'+", "'-", "'@") else value


# -- findings ---------------------------------------------------------------------------------------------------------


def judge(findings: Iterable[Finding], truths: Mapping[str, Truth]) -> list[Verdict]:
    """Weigh findings against the analysts' file that each export (by its folder) was made from."""
    verdicts = []
    for finding in findings:
        if " > " in finding.export:
            before, after = (truths[folder] for folder in finding.export.split(" > "))
            verdict = _difference(finding, before, after)
        else:
            verdict = _verdict(finding, truths[finding.export])
        if verdict is not None:
            verdicts.append(verdict)
    return _without_luck(verdicts)


def _verdict(finding: Finding, truth: Truth) -> Verdict | None:
    exact, row = truth.value(finding), truth.row(finding.table, finding.row)
    if exact is None or row is None:
        return None
    people = truth.recount.people(finding.table, finding.row, row)
    if finding.is_whole and 0 < exact <= FEW and not _OF_OTHERS.search(finding.column):
        # a contact, a tie or a pair is of two people
        people = min(people or FEW + 1, int(exact) if is_of_people(finding.column) else 2 * int(exact))
    if not all(truth.is_telling(finding.table, list(finding.row), part) for part in finding.column.replace(" * ", " - ").split(" - ")):
        people = 0
    return _weighed(finding, exact, people)


def _difference(finding: Finding, before: Truth, after: Truth) -> Verdict | None:
    """Between two exports lie the days between them; where there are none, whoever was erased."""
    old, new, row = before.value(finding), after.value(finding), after.row(finding.table, finding.row)
    if old is None or new is None or row is None:
        return None
    days = before.recount.end, after.recount.end
    people = 1 if days[0] == days[1] else after.recount.people(finding.table, finding.row, {}, days)
    if not after.is_telling(finding.table, list(finding.row), finding.column):
        people = 0
    return _weighed(finding, old - new, people)


def _weighed(finding: Finding, exact: float, people: int) -> Verdict:
    kind = "nothing"
    if is_narrow(finding, of_people=is_of_people(finding.column)):
        slack = 1e-4 * max(1.0, abs(exact))
        if not finding.low - slack <= exact <= finding.high + slack:
            kind = "wrong"
        elif exact and 1 <= people <= FEW:
            kind = "recovered"
        elif exact and finding.is_withheld:
            kind = "guarded"
    return Verdict(finding, exact, people, kind)


def is_narrow(finding: Finding, *, of_people: bool) -> bool:
    """Whether bounds are as good as the figure: fewer than four values for people, a tenth for everything else."""
    if finding.is_whole and of_people:
        return math.floor(finding.high + 1e-6) - math.ceil(finding.low - 1e-6) + 1 < FEW
    return finding.high - finding.low <= NEAR * abs(finding.high + finding.low) + 1e-3


def _without_luck(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Call recoveries lucky where most narrow findings of the same kind are wrong: nobody could tell which to believe."""

    def kind(verdict: Verdict) -> tuple[str, str, str]:
        return verdict.finding.technique, verdict.finding.table, verdict.finding.column

    wrong = Counter(kind(each) for each in verdicts if each.kind == "wrong")
    right = Counter(
        kind(each) for each in verdicts if each.kind != "wrong" and is_narrow(each.finding, of_people=is_of_people(each.finding.column))
    )
    return [
        Verdict(each.finding, each.truth, each.people, "lucky")
        if each.kind == "recovered" and wrong[kind(each)] > right[kind(each)]
        else each
        for each in verdicts
    ]


def by_technique(verdicts: Iterable[Verdict], kind: str = "recovered") -> dict[tuple[str, str], int]:
    """Return how many verdicts of a kind there are by technique and table."""
    return dict(sorted(Counter((each.finding.technique, each.finding.table) for each in verdicts if each.kind == kind).items()))


# -- rows by the truth ------------------------------------------------------------------------------------------------

_DECLARED = frozenset({"declared_relationship", "policy", "organisation"})
"""Tables that repeat what leadership wrote down itself."""
_DECLARED_COLUMNS = frozenset({"contact_within_days", "minimum_tie_count", "required_count"})


def small_rows(export: Export, truth: Truth) -> list[SmallRow]:
    """Return every row that an export shows and that is about one to four people, on the smaller side."""
    found = []
    for sheet in export.sheets.values():
        exact = truth.rows(sheet.name, sheet.dimensions)
        telling = [column for column in sheet.figures if truth.is_telling(sheet.name, sheet.dimensions, column)]
        for key, row in sheet.rows.items():
            full = exact.get(tuple(_unescaped(value) for value in key))
            if full is None or not any(row[column] is not None for column in telling):
                continue
            named = dict(zip(sheet.dimensions, key, strict=True))
            people = truth.recount.people(sheet.name, named, full)
            if 1 <= people <= FEW:
                found.append(SmallRow(sheet.name, named, people, truth.recount.why))
    return found


def _is_telling(table: str, dimensions: Sequence[str], column: str, exact: Mapping[Row, Mapping[str, Any]]) -> bool:
    if table.partition(".")[2] in _DECLARED or column in _DECLARED_COLUMNS:
        return False
    periods = [place for place, name in enumerate(dimensions) if name.startswith(("panel_", "week_start", "date"))]
    seen: dict[Row, set[Any]] = {}
    for key, row in exact.items():
        seen.setdefault(tuple(key[place] for place in periods), set()).add(row.get(column))
    # a table of periods is a calendar, unless what it counts differs between rows of one period
    return any(len(values - {None}) > 1 for values in seen.values())


def by_table(rows: Iterable[SmallRow]) -> dict[tuple[str, str], int]:
    """Return how many small rows there are by table and by what makes them small."""
    return dict(sorted(Counter((each.table, each.why) for each in rows).items()))
