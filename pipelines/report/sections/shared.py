"""What several sections say in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Head, Section, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale

ALL_TIES: Final = {"grouping": "all", "level": "all"}
MOST_NAMED: Final = 20
"""How many names a sentence about what is left out lists."""


def missing(view: View, section: str, table: str) -> Section:
    """A section whose table is not there: it says what is missing and why."""
    words = view.words
    title = words(f"{section}.title")
    if table in view.release.controlled.refused:
        key = "missing.refused"
    else:
        key = "missing.no_table" if table not in view.release.specs else "missing.empty"
    why = words(key, table=Markup("<code>{}</code>").format(table))
    return Section(section, title, [Text(why, "missing")], words(f"{section}.question"))


def heads(
    view: View,
    section: str,
    *names: str,
    strips: Mapping[str, tuple[Scale, str]] | None = None,
    texts: Sequence[str] = (),
) -> list[Head]:
    """Headings of a table's columns from the catalogue, `<section>.head.<name>`.

    Args:
        view: The release and its words.
        section: The section of the catalogue.
        names: The columns, in order.
        strips: Columns that hold drawings, with their scale and the style in which its ends are written; no ends where that is empty.
        texts: Columns that hold words.
    """
    drawn = strips or {}
    return [
        Head(
            view.words(f"{section}.head.{name}"),
            is_figure=name not in drawn and name not in texts and number > 0,
            is_strip=name in drawn,
            ends=_ends(view, *drawn[name]) if name in drawn else None,
        )
        for number, name in enumerate(names)
    ]


def _ends(view: View, scale: Scale, style: str) -> tuple[str, str] | None:
    if not style:
        return None
    low = "0" if scale.low == 0 else view.shown(scale.low, style)
    return low, view.shown(scale.high, style)


def line(view: View, row: Row, name: Markup, *cells: Markup) -> Sequence[Markup]:
    """A row's cells; where the row is withheld, one cell that says so."""
    return (name, view.withheld()) if row.is_withheld else (name, *cells)


def not_shown(view: View, rows: Sequence[Row], name: Callable[[Row], Markup], why: Callable[[Row], str | None]) -> list[Markup]:
    """One sentence for each reason why rows are left out of a table, with their names."""
    words = view.words
    by_reason: dict[str, list[Markup]] = {}
    for row in rows:
        code = "withheld" if row.is_withheld else str(why(row) or "unknown")
        by_reason.setdefault(code, []).append(name(row))
    said = []
    for code, names in by_reason.items():
        unique = list(dict.fromkeys(names))
        listed = words.listed(unique[:MOST_NAMED])
        if code == "withheld":
            said.append(words("left_out.withheld", names=listed, n=view.setting(view.release.policy.minimum_group_size)))
        elif words.has(f"reason.{code}"):
            said.append(words("left_out.because", names=listed, why=words(f"reason.{code}")))
        else:
            said.append(words("left_out.plain", names=listed))
        if len(unique) > MOST_NAMED:
            said.append(words("left_out.more"))
    return said


def notes(said: Sequence[Markup]) -> list[Text]:
    """Sentences in small print, one paragraph; nothing where there are none."""
    return [Text(Markup(" ").join(said), "note")] if said else []


def direction(now: Row, before: Row | None, column: str, low: str, high: str) -> str:
    """How a figure went since the period before: up or down only where the two intervals leave each other out.

    Returns:
        up, down, same, no_interval or unknown.
    """
    if before is None or before.number(column) is None or now.number(column) is None:
        return "unknown"
    ends = [row.number(bound) for row in (now, before) for bound in (low, high)]
    if None in ends:
        return "no_interval"
    low_now, high_now, low_before, high_before = (float(end) for end in ends if end is not None)
    return "up" if low_now > high_before else "down" if high_now < low_before else "same"


def change(view: View, now: Row, before: Row | None, column: str, low: str, high: str, style: str = "percent") -> Markup:
    """How a figure compares with the period before, as a sentence."""
    start: date | None = view.panels.previous
    way = direction(now, before, column, low, high)
    if before is None or start is None or way == "unknown":
        return view.words("change.unknown")
    return view.words(f"change.{way}", period=view.period(start), was=view.interval(before, column, low, high, style))


def apart(one: Row, other: Row, low: str, high: str) -> bool:
    """Whether the intervals of two rows leave each other out; an open end leaves nothing out."""
    ends = [row.number(bound) for row in (one, other) for bound in (low, high)]
    above = ends[0] is not None and ends[3] is not None and ends[0] > ends[3]
    below = ends[1] is not None and ends[2] is not None and ends[1] < ends[2]
    return above or below


def reason(view: View, row: Row, column: str, style: str, why: str, low: str | None = None, high: str | None = None) -> Markup:
    """A figure with its interval, or the reason that another column gives for its absence."""
    if not row.is_withheld and row.get(column) is None and row.get(why):
        code = row[why]
        text = view.words(f"reason.{code}") if view.words.has(f"reason.{code}") else view.words("unknown.short")
        return Markup('<span class="unknown">{}</span>').format(text)
    if low is None or high is None:
        return view.cell(row, column, style)
    return view.interval(row, column, low, high, style)
