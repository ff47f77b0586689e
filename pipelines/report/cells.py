"""Figures of the report as what they are: cells of released tables, each marked with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from metrics.disclosure import PART, WHOLE, WITHHELD
from pipelines.exports.release import Release, ReleasedTable
from pipelines.report.language import Words

DURATIONS: Final = {"days", "weeks", "hours", "minutes"}
_BARE: Final = {"percent": "bare_percent", "times": "number", **dict.fromkeys(DURATIONS, "bare_duration")}


class Row(Mapping[str, Any]):
    """A row of a released table."""

    def __init__(self, spec: ReleasedTable, values: Mapping[str, Any]) -> None:
        self.spec = spec
        self.values_by_name = values

    def __getitem__(self, column: str) -> Any:
        return self.values_by_name[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    @property
    def is_withheld(self) -> bool:
        """Whether all its figures are withheld."""
        return bool(self.values_by_name[WITHHELD] == WHOLE)

    def hides(self, column: str) -> bool:
        """Whether a figure is withheld, with the whole row or because another table withholds it."""
        return self.is_withheld or (self.values_by_name[WITHHELD] == PART and self.values_by_name.get(column) is None)

    @property
    def key(self) -> str:
        """The row's grain as JSON."""
        return json.dumps({column: _stated(self[column]) for column in self.spec.grain}, ensure_ascii=False)

    def number(self, column: str) -> float | None:
        """A figure, or None where it is withheld, empty or not a column."""
        value = self.values_by_name.get(column)
        return None if value is None else float(value)


def _stated(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


@dataclass(frozen=True, slots=True)
class Panels:
    """The latest complete period and the one before it; None where there is none."""

    kind: str
    current: date | None
    previous: date | None


class View:
    """A release as the report's sections see it: rows by table, and figures as markup in one language."""

    def __init__(self, release: Release, words: Words) -> None:
        self.release = release
        self.words = words

    # -- rows ---------------------------------------------------------------------------------------------------------

    def has(self, table: str, *columns: str) -> bool:
        """Whether a table was released with rows and these columns."""
        found = self.release.tables.get(table)
        return found is not None and found.num_rows > 0 and set(columns) <= set(found.column_names)

    def rows(self, table: str, **where: Any) -> list[Row]:
        """The rows of a table whose columns have the given values (a set of values: one of them); [] where it was not released."""
        found = self.release.tables.get(table)
        if found is None or not set(where) <= set(found.column_names):
            return []
        for column, value in where.items():
            found = found.filter(_condition(found[column], value))
        spec = self.release.specs[table]
        return [Row(spec, values) for values in found.to_pylist()]

    def row(self, table: str, **where: Any) -> Row | None:
        """The only row that fits, or None."""
        found = self.rows(table, **where)
        return found[0] if len(found) == 1 else None

    def values(self, table: str, column: str) -> list[Any]:
        """The distinct values of a column, sorted, empty ones left out."""
        found = self.release.tables.get(table)
        if found is None or column not in found.column_names:
            return []
        return sorted(value for value in pc.unique(found[column]).to_pylist() if value is not None)

    @cached_property
    def panels(self) -> Panels:
        """The latest complete month (or week, where months are not built) and the one before."""
        for kind in ("month", "week"):
            complete = sorted(row["panel_start"] for row in self.rows("core.panel", panel_kind=kind, is_complete=True))
            if complete:
                return Panels(kind, complete[-1], complete[-2] if len(complete) > 1 else None)
        return Panels("month", None, None)

    def now(self, table: str, **where: Any) -> list[Row]:
        """Rows of the latest complete period."""
        return self._at(table, self.panels.current, where)

    def before(self, table: str, **where: Any) -> list[Row]:
        """Rows of the period before that."""
        return self._at(table, self.panels.previous, where)

    def _at(self, table: str, start: date | None, where: Mapping[str, Any]) -> list[Row]:
        return [] if start is None else self.rows(table, panel_kind=self.panels.kind, panel_start=start, **where)

    def period(self, start: date) -> Markup:
        """A period's name."""
        text = self.words.month(start) if self.panels.kind == "month" else self.words("week_of", day=self.words.day(start))
        return Markup('<time datetime="{}">{}</time>').format(start.isoformat(), text)

    def day(self, value: date) -> Markup:
        """A day."""
        return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), self.words.day(value))

    # -- figures ------------------------------------------------------------------------------------------------------

    def cell(self, row: Row, column: str, style: str = "number") -> Markup:
        """A figure, marked with its table, column and key; why it is not there where it is not."""
        if row.hides(column):
            return self.withheld()
        value = row.values_by_name.get(column)
        if value is None:
            return self.unknown(row)
        raw = value.isoformat() if isinstance(value, date) else value
        return Markup('<data value="{}" data-table="{}" data-column="{}" data-key="{}" data-style="{}">{}</data>').format(
            raw, row.spec.full_name, column, row.key, style, self.shown(value, style)
        )

    def shown(self, value: Any, style: str) -> str:
        """A figure as text."""
        words = self.words
        if style == "count":
            return words.number(value)
        if style == "percent":
            return words.percent(value)
        if style == "date":
            return words.day(value)
        if style == "text":
            return str(value)
        if style in DURATIONS or style == "bare_duration":
            digits = 0 if value >= 10 or value == int(value) else 1
            number = words.number(value, digits)
            return number if style == "bare_duration" else words.unit(style, round(value, digits), number)
        if style == "bare_percent":
            return words.number(value * 100)
        # three figures are enough to read: 156, 32.1, 2.42
        number = words.number(value, max(self.release.policy.ratio_digits - (abs(value) >= 10) - (abs(value) >= 100), 0))
        return str(words("unit.times", n=number)) if style == "times" else number

    def interval(self, row: Row, column: str, low: str, high: str, style: str = "number") -> Markup:
        """A figure with the interval that it lies in."""
        if row.is_withheld or row.values_by_name.get(column) is None:
            return self.cell(row, column, style)
        return Markup('<span class="est">{} <span class="ci">({})</span></span>').format(
            self.cell(row, column, style), self.span(row, low, high, style)
        )

    def span(self, row: Row, low: str, high: str, style: str = "number") -> Markup:
        """From a lower to an upper bound; an open end is said to be open."""
        bounds = [row.values_by_name.get(bound) for bound in (low, high)]
        if bounds[0] is None and bounds[1] is None:
            return self.words("interval.none")
        # a unit stands once, beside the estimate, and a percent sign after the last bound too
        first = _BARE.get(style, style)
        last = style if style == "percent" else first
        if bounds[1] is None:
            return self.words("interval.from", low=self.cell(row, low, last))
        if bounds[0] is None:
            return self.words("interval.to", high=self.cell(row, high, last))
        return self.words("interval.both", low=self.cell(row, low, first), high=self.cell(row, high, last))

    def withheld(self) -> Markup:
        """What stands where a figure is withheld; below its table stands why."""
        why = self.words("withheld.why", n=self.release.policy.minimum_group_size)
        return Markup('<span class="withheld" title="{}">{}</span>').format(why, self.words("withheld.short"))

    def unknown(self, row: Row) -> Markup:
        """What stands where a figure is empty, with the reason where the table gives one."""
        reason = row.values_by_name.get("reason")
        if reason and self.words.has(f"reason.{reason}"):
            return Markup('<span class="unknown">{}</span>').format(self.words("unknown.because", why=self.words(f"reason.{reason}")))
        return Markup('<span class="unknown">{}</span>').format(self.words("unknown.short"))

    def medium(self, code: object) -> Markup:
        """A medium's name."""
        return self.words.name("medium", code)

    def setting(self, value: object) -> Markup:
        """A number that is a setting, not a figure."""
        return Markup('<span data-setting="">{}</span>').format(value)


def _condition(values: pa.ChunkedArray, wanted: Any) -> pa.ChunkedArray:
    if wanted is None:
        return pc.is_null(values)
    if isinstance(wanted, set | frozenset):
        return pc.is_in(values, value_set=pa.array(sorted(wanted), values.type))
    return pc.fill_null(pc.equal(values, pa.scalar(wanted, values.type)), fill_value=False)
