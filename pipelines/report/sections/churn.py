"""What came and went: ties formed, kept and faded from one period to the next."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Figure, Folded, Heading, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import flow, nice_scale, strip
from pipelines.report.sections.shared import change, heads, line, not_shown, notes

CHURN: Final = "metrics.org_panel_churn"
KEPT: Final = ("persistence_ratio", "lower_ratio", "upper_ratio")
COUNTS: Final = ("previous_tie_count", "formed_count", "reactivated_count", "decayed_count")
PERIODS: Final = 12


def churn(view: View) -> list[Block]:
    """All media over time, and each medium in the latest period."""
    words = view.words
    rows = view.now(CHURN, slice="all")
    if not rows or not view.has(CHURN, *KEPT, *COUNTS):
        return []
    everything = next((row for row in rows if row["medium"] == "any"), None)
    blocks: list[Block] = [Heading(words("churn.title"))]
    if everything is not None and everything.number(KEPT[0]) is not None:
        blocks.append(Text(_said(view, everything)))
    blocks += _over_time(view)
    blocks += _by_medium(view, rows)
    return blocks


def _said(view: View, row: Row) -> Markup:
    before = view.before(CHURN, slice="all", medium="any")
    return view.words(
        "churn.said",
        period=view.period(row["panel_start"]),
        kept=view.interval(row, *KEPT, "percent"),
        n=view.cell(row, "previous_tie_count", "count"),
        formed=view.cell(row, "formed_count", "count"),
        back=view.cell(row, "reactivated_count", "count"),
        faded=view.cell(row, "decayed_count", "count"),
        change=change(view, row, before[0] if before else None, *KEPT),
    )


def _over_time(view: View) -> list[Block]:
    """Bars of the last dozen periods."""
    words = view.words
    rows = view.rows(CHURN, panel_kind=view.panels.kind, slice="all", medium="any")
    known = sorted((row for row in rows if row["panel_start"] <= view.panels.current), key=lambda row: row["panel_start"])[-PERIODS:]
    # a period before the first comparison is no gap
    while known and known[0].number(KEPT[0]) is None:
        known = known[1:]
    if len(known) < 2:
        return []
    periods = []
    for row in known:
        came = [row.number("formed_count"), row.number("reactivated_count")]
        name = words.short_month(row["panel_start"]) if view.panels.kind == "month" else words.short_day(row["panel_start"])
        periods.append((name, None if None in came else sum(each or 0.0 for each in came), row.number("decayed_count")))
    twin = Table(
        words("churn.twin"),
        heads(view, "churn", "period", "before", "kept", "formed", "back", "faded"),
        [
            line(
                view,
                row,
                view.period(row["panel_start"]),
                view.cell(row, "previous_tie_count", "count"),
                view.interval(row, *KEPT, "percent"),
                view.cell(row, "formed_count", "count"),
                view.cell(row, "reactivated_count", "count"),
                view.cell(row, "decayed_count", "count"),
            )
            for row in known
        ],
    )
    ends = [value for _, *both in periods for value in both if value is not None]
    scale = nice_scale(ends)
    drawn = flow(periods, scale, f"{words.number(scale.high)} {words('churn.scale')}", str(words("churn.alt")))
    return [Figure(drawn, words("churn.caption"), twin)]


def _by_medium(view: View, rows: list[Row]) -> list[Block]:
    """Share of the last period's ties that are kept, by medium."""
    words = view.words
    earlier = {row["medium"]: row for row in view.before(CHURN, slice="all")}
    ordered = sorted(rows, key=lambda row: (row["medium"] == "any", -(row.number("previous_tie_count") or 0.0)))
    known = [row for row in ordered if row.number(KEPT[0]) is not None]
    left = not_shown(
        view,
        [row for row in ordered if row not in known],
        lambda row: view.medium(row["medium"]),
        lambda row: row["reason"] or "no_tie",
    )
    if len(known) < 2:
        return [*notes(left)]
    scale = nice_scale([value for row in known for column in KEPT if (value := row.number(column)) is not None])
    table = Table(
        words("churn.medium_caption", period=view.period(known[0]["panel_start"])),
        heads(view, "churn", "medium", "before", "strip", "kept", "earlier", strips={"strip": (scale, "percent")}),
        [
            (
                view.medium(row["medium"]),
                view.cell(row, "previous_tie_count", "count"),
                strip(scale, *(row.number(column) for column in KEPT), is_other=row["medium"] == "any"),
                view.interval(row, *KEPT, "percent"),
                view.cell(earlier[row["medium"]], KEPT[0], "percent") if row["medium"] in earlier else words("unknown.short"),
            )
            for row in known
        ],
    )
    return [Folded(words("churn.table"), [table, *notes(left)])]
