"""When people leave, when they join, and how far knowledge travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Folded, Heading, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, nice_scale, strip
from pipelines.report.sections.shared import heads, line, missing, not_shown, notes

TURNOVER: Final = "metrics.turnover_resilience"
NEWCOMERS: Final = "metrics.newcomer_integration"
REACH: Final = "metrics.knowledge_reach"
CONNECTED: Final = ("component_ratio", "component_lower_ratio", "component_upper_ratio")
CROSS: Final = ("mean_cross_team_ties", "lower_mean_cross_team_ties", "upper_mean_cross_team_ties")
TIES: Final = ("mean_ties", "lower_mean_ties", "upper_mean_ties")


def resilience(view: View) -> Section:
    """Departures, newcomers and the reach of knowledge, each if its table is there."""
    words = view.words
    blocks: list[Block] = []
    headlines: list[Markup] = []
    for part in (_turnover, _newcomers, _reach):
        found, said = part(view)
        blocks += found
        headlines += [said] if said else []
    if not blocks:
        return missing(view, "resilience", TURNOVER)
    return Section(
        "resilience", words("resilience.title"), blocks, words("resilience.question"), Markup(" ").join(headlines) if headlines else None
    )


def _turnover(view: View) -> tuple[list[Block], Markup | None]:
    """What departures would do: the largest share that is tried stands open, the others behind a fold."""
    words = view.words
    rows = view.rows(TURNOVER)
    if not rows or not view.has(TURNOVER, *CONNECTED, "component_null_ratio", "reach_ratio", "reach_null_ratio", "removed_count"):
        return [], None
    order = ("leavers", "random", "degree", "betweenness", "brokers")
    rows = sorted((row for row in rows if row["removal"] in order), key=lambda row: (order.index(row["removal"]), _share(row)))
    known = [row for row in rows if row.number("component_ratio") is not None]
    left = not_shown(
        view, [row for row in rows if row not in known], lambda row: _who_leaves(view, row), lambda row: row.get("reason") or "too_few"
    )
    blocks: list[Block] = [Heading(words("resilience.turnover_title"))]
    said = _leavers(view, known)
    if said is not None:
        blocks.append(Text(said))
    most = max((_share(row) for row in known), default=0)
    first = [row for row in known if row["removal"] == "leavers" or _share(row) == most]
    rest = [row for row in known if row not in first]
    if first:
        values = [v for row in known for c in (*CONNECTED, "component_null_ratio") if (v := row.number(c)) is not None]
        scale = nice_scale(values or [0.0, 1.0])
        blocks.append(_departures(view, first, scale))
        if rest:
            blocks.append(Folded(words("resilience.fewer"), [_departures(view, rest, scale)]))
        blocks.append(Text(words("resilience.turnover_note"), "note"))
    blocks += notes(left)
    return blocks, said


def _share(row: Row) -> int:
    """Which share of people leaves, in percent; 0 where the scenario is not a share."""
    text = str(row["scenario"])
    return int(text) if text.isdigit() else 0


def _departures(view: View, rows: Sequence[Row], scale: Scale) -> Table:
    words = view.words
    return Table(
        words("resilience.turnover_caption"),
        heads(view, "resilience", "leaves", "removed", "strip", "connected", "null", "reach", strips={"strip": (scale, "percent")}),
        [
            line(
                view,
                row,
                _who_leaves(view, row),
                view.cell(row, "removed_count", "count"),
                strip(
                    scale,
                    row.number("component_ratio"),
                    row.number("component_lower_ratio"),
                    row.number("component_upper_ratio"),
                    mark=row.number("component_null_ratio"),
                ),
                view.cell(row, "component_ratio", "percent"),
                view.cell(row, "component_null_ratio", "percent") if row["removal"] != "random" else Markup(""),
                view.cell(row, "reach_ratio", "percent"),
            )
            for row in rows
        ],
    )


def _leavers(view: View, rows: Sequence[Row]) -> Markup | None:
    """What the departures that really happened did."""
    real = next((row for row in rows if row["removal"] == "leavers"), None)
    if real is None:
        return None
    return view.words(
        "resilience.leavers_said",
        removed=view.cell(real, "removed_count", "count"),
        people=view.cell(real, "person_count", "count"),
        share=view.cell(real, "component_ratio", "percent"),
        null=view.cell(real, "component_null_ratio", "percent"),
        low=view.cell(real, "component_null_lower_ratio", "bare_percent"),
        high=view.cell(real, "component_null_upper_ratio", "percent"),
    )


def _who_leaves(view: View, row: Row) -> Markup:
    words = view.words
    name = words.name("removal", row["removal"])
    if row["removal"] in ("none", "leavers"):
        return name
    share = Markup('<data value="{}" data-table="{}" data-column="scenario" data-key="{}" data-style="text">{}</data>').format(
        row["scenario"], row.spec.full_name, row.key, row["scenario"]
    )
    return words("resilience.share_leaves", who=name, share=share)


def _newcomers(view: View) -> tuple[list[Block], Markup | None]:
    words = view.words
    rows = view.rows(NEWCOMERS, cohort="all")
    if not rows or not view.has(NEWCOMERS, *CROSS, *TIES, "without_tie_ratio", "horizon_days"):
        return [], None
    overall = sorted((row for row in rows if row["medium"] == "any"), key=lambda row: row["horizon_days"])
    values = [v for row in overall for c in (*TIES, *CROSS) if (v := row.number(c)) is not None]
    scale = nice_scale(values or [0.0, 1.0])
    strips = {"tie_strip": (scale, "number")}
    table = Table(
        words("resilience.newcomer_caption"),
        heads(view, "resilience", "after", "newcomers", "tie_strip", "ties", "cross", "without", strips=strips),
        [
            line(
                view,
                row,
                view.cell(row, "horizon_days", "days") if not row.is_withheld else words("unit.days", n=_horizon(view, row)),
                view.cell(row, "person_count", "count"),
                strip(scale, *(row.number(column) for column in TIES)),
                view.interval(row, *TIES),
                view.interval(row, *CROSS),
                view.cell(row, "without_tie_ratio", "percent"),
            )
            for row in overall
        ],
        words("resilience.newcomer_note"),
    )
    # the longest time for which anything is known
    last = next((row for row in reversed(overall) if row.number("mean_ties") is not None), None)
    said = None
    if last is not None:
        has_teams = last.is_withheld or last.number(CROSS[0]) is not None
        said = words(
            "resilience.newcomer_said" if has_teams else "resilience.newcomer_said_without_teams",
            days=view.cell(last, "horizon_days", "days"),
            ties=view.interval(last, *TIES),
            cross=view.interval(last, *CROSS),
            n=view.cell(last, "person_count", "count"),
        )
    lead: list[Block] = [Text(said, "lead")] if said else []
    return [Heading(words("resilience.newcomer_title")), *lead, table], said


def _horizon(view: View, row: Row) -> Markup:
    return view.setting(view.words.number(row["horizon_days"]))


def _reach(view: View) -> tuple[list[Block], Markup | None]:
    words = view.words
    row = view.row(REACH, from_team="any", to_team="any")
    if row is None or not view.has(REACH, "reached_ratio", "lower_ratio", "upper_ratio", "median_days", "within_days"):
        return [], None
    if row.number("reached_ratio") is None:
        return [], None
    said = words(
        "resilience.reach_said",
        share=view.interval(row, "reached_ratio", "lower_ratio", "upper_ratio", "percent"),
        days=view.cell(row, "within_days", "days"),
    )
    return [Heading(words("resilience.reach_title")), Text(said), Text(words("resilience.reach_note"), "note")], None
