"""Who brings ties about, the organisation or its people, and which medium follows on which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Folded, Heading, Points, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import nice_scale, strip
from pipelines.report.sections.shared import apart, heads, line

ORIGIN: Final = "metrics.tie_origin"
ESCALATION: Final = "metrics.medium_escalation"
ALIVE: Final = ("survival_90_ratio", "lower_90_ratio", "upper_90_ratio")
TIMES: Final = ("over_null_ratio", "lower_over_null_ratio", "upper_over_null_ratio")
EXCLUSIVE: Final = ("institutional", "organic", "unknown")
PARTS: Final = ("manager_line", "standing_meeting", "same_team", "declared")
MOST_NAMED: Final = 3
MOST_ROWS: Final = 12


def origin(view: View) -> list[Block]:
    """Ties that the organisation makes beside those that people make, and how long each kind holds."""
    words = view.words
    rows = {row["origin"]: row for row in view.rows(ORIGIN)}
    if not rows or not view.has(ORIGIN, *ALIVE, "tie_count", "tie_ratio", "half_life_weeks", "reason"):
        return []
    values = [value for row in rows.values() for column in ALIVE if (value := row.number(column)) is not None]
    scale = nice_scale(values or [0.0, 1.0])
    lines: list[Sequence[Markup] | Markup] = []
    for over, names in (("", EXCLUSIVE), ("parts", PARTS)):
        listed = [rows[name] for name in names if name in rows and rows[name].number("tie_count") != 0]
        if listed:
            lines += [words(f"origin.{over}")] if over else []
            lines += [
                line(
                    view,
                    row,
                    words.name("origin.kind", row["origin"]),
                    view.cell(row, "tie_count", "count"),
                    view.cell(row, "tie_ratio", "percent"),
                    strip(scale, *(row.number(column) for column in ALIVE)),
                    view.interval(row, *ALIVE, "percent"),
                )
                for row in listed
            ]
    if not lines:
        return []
    said = _said(view, rows.get("institutional"), rows.get("organic"))
    return [
        Heading(words("origin.title")),
        *([Text(said)] if said else []),
        Table(
            words("origin.caption"),
            heads(view, "origin", "kind", "ties", "share", "strip", "alive", strips={"strip": (scale, "percent")}),
            lines,
            words("origin.note"),
        ),
    ]


def _said(view: View, made: Row | None, own: Row | None) -> Markup | None:
    """How much the organisation brings about, and whether that holds better."""
    words = view.words
    if made is None or own is None or made.number("tie_ratio") is None or own.number("tie_ratio") is None:
        return None
    share = words("origin.said", share=view.cell(made, "tie_ratio", "percent"), n=view.cell(made, "tie_count", "count"))
    if made.number(ALIVE[0]) is None or own.number(ALIVE[0]) is None:
        return share
    better = (made.number(ALIVE[0]) or 0.0) > (own.number(ALIVE[0]) or 0.0)
    verdict = ("longer" if better else "shorter") if apart(made, own, *ALIVE[1:]) else "alike"
    held = words(f"origin.{verdict}", made=view.interval(made, *ALIVE, "percent"), own=view.interval(own, *ALIVE, "percent"))
    return Markup("{} {}").format(share, held)


def escalation(view: View) -> list[Block]:
    """Which medium is taken up next, more or less often than its use alone would have it."""
    words = view.words
    rows = [row for row in view.rows(ESCALATION) if row.number(TIMES[0]) is not None]
    if not rows or not view.has(ESCALATION, *TIMES, "transition_count", "tie_count", "median_days"):
        return []
    more = sorted((row for row in rows if (row.number(TIMES[1]) or 0.0) > 1), key=lambda row: -(row.number(TIMES[0]) or 0.0))
    high = ((row, row.number(TIMES[2])) for row in rows)
    less = sorted((row for row, end in high if end is not None and end < 1), key=lambda row: row.number(TIMES[0]) or 0.0)
    said = [
        words(
            f"escalation.{way}",
            before=view.medium(row["from_medium"]),
            after=view.medium(row["to_medium"]),
            times=view.interval(row, *TIMES, "times"),
            n=view.cell(row, "tie_count", "count"),
        )
        for way, found in (("more", more), ("less", less))
        for row in found[:MOST_NAMED]
    ]
    listed = sorted(rows, key=lambda row: -(row.number("transition_count") or 0.0))[:MOST_ROWS]
    table = Table(
        words("escalation.caption"),
        heads(view, "escalation", "step", "ties", "steps", "times", "days"),
        [
            line(
                view,
                row,
                Markup("{} &rarr; {}").format(view.medium(row["from_medium"]), view.medium(row["to_medium"])),
                view.cell(row, "tie_count", "count"),
                view.cell(row, "transition_count", "count"),
                view.interval(row, *TIMES, "times"),
                view.cell(row, "median_days", "days"),
            )
            for row in listed
        ],
        words("escalation.note"),
    )
    return [
        Heading(words("escalation.title")),
        Points(said) if said else Text(words("escalation.none")),
        Folded(words("escalation.table"), [table]),
    ]
