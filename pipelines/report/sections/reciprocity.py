"""Reciprocity beside what chance would give, and how long an answer takes."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Heading, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import nice_scale, strip
from pipelines.report.sections.shared import change, heads, line, missing, not_shown, notes

TABLE: Final = "metrics.org_panel_reciprocity"
ANSWERS: Final = "metrics.medium_response_time"
RHO: Final = ("rho_w", "rho_w_low", "rho_w_high")
WEIGHTED: Final = ("r_w", "r_w_low", "r_w_high")
DAY: Final = ("answered_in_24_hours", "answered_in_24_hours_low", "answered_in_24_hours_high")
HOURS: Final = ("answered_in_2_hours", "answered_in_2_hours_low", "answered_in_2_hours_high")
MEDIAN: Final = ("median_hours", "median_hours_low", "median_hours_high")


def reciprocity(view: View) -> Section:
    """Observed and null reciprocity by medium, how it changed, and how quickly people are answered."""
    words = view.words
    rows = view.now(TABLE)
    if not rows or not view.has(TABLE, *RHO, *WEIGHTED, "r_w_null"):
        return missing(view, "reciprocity", TABLE)
    rows = sorted(rows, key=lambda row: (row["medium"] == "any", -(row.number("contact_count") or 0)))
    earlier = {row["medium"]: row for row in view.before(TABLE)}
    blocks: list[Block] = []
    everything = next((row for row in rows if row["medium"] == "any"), None)
    if everything is not None:
        blocks.append(Text(_said(view, everything, earlier.get("any")), "lead"))
    blocks += _by_medium(view, rows, earlier)
    blocks += _answers(view)
    return Section("reciprocity", words("reciprocity.title"), blocks, words("reciprocity.question"))


def _said(view: View, row: Row, before: Row | None) -> Markup:
    if row.number("rho_w") is None:
        return view.words("reciprocity.unknown", why=view.cell(row, "rho_w"))
    return view.words(
        "reciprocity.said",
        observed=view.interval(row, *WEIGHTED, "percent"),
        null=view.cell(row, "r_w_null", "percent"),
        people=view.cell(row, "person_count", "count"),
        beyond=view.interval(row, *RHO),
        change=change(view, row, before, *RHO, "number"),
    )


def _by_medium(view: View, rows: list[Row], earlier: dict[str, Row]) -> list[Block]:
    words = view.words
    known = [row for row in rows if row.number(RHO[0]) is not None]
    left = not_shown(
        view,
        [row for row in rows if row not in known],
        lambda row: view.medium(row["medium"]),
        lambda row: row.get("reason") or "too_few",
    )
    if not known:
        return [*notes(left)]
    values = [value for row in known for column in (*WEIGHTED, "r_w_null") if (value := row.number(column)) is not None]
    scale = nice_scale(values or [0.0, 1.0])
    table = Table(
        words("reciprocity.caption", period=view.period(rows[0]["panel_start"])),
        heads(view, "reciprocity", "medium", "strip", "observed", "null", "beyond", "before", strips={"strip": (scale, "percent")}),
        [
            (
                view.medium(row["medium"]),
                strip(scale, *(row.number(column) for column in WEIGHTED), mark=row.number("r_w_null"), is_other=row["medium"] == "any"),
                view.interval(row, *WEIGHTED, "percent"),
                view.cell(row, "r_w_null", "percent"),
                view.interval(row, *RHO),
                view.cell(earlier[row["medium"]], "rho_w") if row["medium"] in earlier else words("unknown.short"),
            )
            for row in known
        ],
        words("reciprocity.note"),
    )
    return [table, *notes(left)]


def _answers(view: View) -> list[Block]:
    """How quickly messages are answered, over the whole time."""
    words = view.words
    rows = sorted(view.rows(ANSWERS), key=lambda row: (row["medium"] == "any", -(row.number("message_count") or 0.0)))
    if not rows or not view.has(ANSWERS, *HOURS, *DAY, *MEDIAN, "message_count"):
        return []
    known = [row for row in rows if row.number(DAY[0]) is not None]
    left = not_shown(
        view, [row for row in rows if row not in known], lambda row: view.medium(row["medium"]), lambda row: row["reason"] or "too_few"
    )
    heading = Heading(words("answers.title"))
    if not known:
        return [heading, *notes(left)]
    scale = nice_scale([value for row in known for column in DAY if (value := row.number(column)) is not None])
    table = Table(
        words("answers.caption"),
        heads(view, "answers", "medium", "messages", "hours", "strip", "day", "median", strips={"strip": (scale, "percent")}),
        [
            line(
                view,
                row,
                view.medium(row["medium"]),
                view.cell(row, "message_count", "count"),
                view.interval(row, *HOURS, "percent"),
                strip(scale, *(row.number(column) for column in DAY), is_other=row["medium"] == "any"),
                view.interval(row, *DAY, "percent"),
                view.interval(row, *MEDIAN, "hours") if row.number(MEDIAN[0]) is not None else words("answers.never"),
            )
            for row in known
        ],
        words("answers.note"),
    )
    return [heading, table, *notes(left)]
