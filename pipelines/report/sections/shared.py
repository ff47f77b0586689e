"""What several sections say in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Head, Section, Text
from pipelines.report.cells import Row, View

ALL_TIES: Final = {"grouping": "all", "level": "all"}


def missing(view: View, section: str, table: str) -> Section:
    """A section whose table is not there: it says what is missing and why."""
    words = view.words
    title = words(f"{section}.title")
    if table in view.release.controlled.refused:
        why = words("missing.refused", table=table)
    elif table not in view.release.specs:
        why = words("missing.no_table", table=table)
    else:
        why = words("missing.empty", table=table)
    return Section(section, title, [Text(why, "missing")], words(f"{section}.question"))


def heads(view: View, section: str, *names: str, strips: Sequence[str] = (), texts: Sequence[str] = ()) -> list[Head]:
    """Headings of a table's columns from the catalogue, `<section>.head.<name>`."""
    return [
        Head(
            view.words(f"{section}.head.{name}"), is_figure=name not in strips and name not in texts and number > 0, is_strip=name in strips
        )
        for number, name in enumerate(names)
    ]


def change(view: View, now: Row, before: Row | None, column: str, low: str, high: str, style: str = "percent") -> Markup:
    """How a figure compares with the period before: a change is called one only where the two intervals leave each other out."""
    words = view.words
    ends = [now.number(low), now.number(high)]
    earlier = None if before is None else [before.number(low), before.number(high)]
    start: date | None = view.panels.previous
    if before is None or start is None or before.number(column) is None:
        return words("change.unknown")
    was = view.cell(before, column, style)
    if earlier is None or None in earlier or None in ends:
        return words("change.no_interval", period=view.period(start), was=was)
    if ends[0] > earlier[1]:  # type: ignore[operator]
        return words("change.up", period=view.period(start), was=was)
    if ends[1] < earlier[0]:  # type: ignore[operator]
        return words("change.down", period=view.period(start), was=was)
    return words("change.same", period=view.period(start), was=was)


def apart(one: Row, other: Row, low: str, high: str) -> bool:
    """Whether the intervals of two rows leave each other out."""
    ends = [row.number(bound) for row in (one, other) for bound in (low, high)]
    if None in ends:
        return False
    return ends[0] > ends[3] or ends[1] < ends[2]  # type: ignore[operator]


def reason(view: View, row: Row, column: str, style: str, why: str, low: str | None = None, high: str | None = None) -> Markup:
    """A figure with its interval, or the reason that another column gives for its absence."""
    if not row.is_withheld and row.get(column) is None and row.get(why):
        code = row[why]
        text = view.words(f"reason.{code}") if view.words.has(f"reason.{code}") else view.words("unknown.short")
        return Markup('<span class="unknown">{}</span>').format(text)
    if low is None or high is None:
        return view.cell(row, column, style)
    return view.interval(row, column, low, high, style)
