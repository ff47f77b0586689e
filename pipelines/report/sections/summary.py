"""The opening paragraph: what changed since the period before, and what the sections after it say in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Section, Text
from pipelines.report.cells import View
from pipelines.report.sections.churn import CHURN, KEPT
from pipelines.report.sections.reciprocity import RHO
from pipelines.report.sections.reciprocity import TABLE as RECIPROCITY
from pipelines.report.sections.shared import direction
from pipelines.report.sections.teams import CROSS, SHARE

MEASURES: Final[Sequence[tuple[str, str, Mapping[str, str], tuple[str, str, str], str, str, str]]] = (
    ("kept", CHURN, {"slice": "all"}, KEPT, "percent", "previous_tie_count", "ties"),
    ("returned", RECIPROCITY, {}, RHO, "number", "person_count", "people"),
    ("crossing", CROSS, {}, SHARE, "percent", "tie_count", "ties"),
)
"""What is compared with the period before: its name, table, rows, columns, style, and of how many ties or people it speaks."""

HEADLINES: Final = ("survival", "scorecard", "teams", "outside", "charter", "policy")


def summary(view: View, body: Sequence[Section]) -> Section:
    """One paragraph in plain words."""
    words = view.words
    by_name = {section.id: section.headline for section in body}
    said = [*_changes(view), *(headline for name in HEADLINES if (headline := by_name.get(name)))]
    blocks = [Text(Markup(" ").join(said) if said else words("summary.nothing"), "lead")]
    if not view.panels.previous:
        blocks.append(Text(words("summary.no_previous"), "note"))
    blocks.append(Text(words("summary.associations"), "note"))
    return Section("summary", words("summary.title"), blocks)


def _changes(view: View) -> list[Markup]:
    """What moved between the two latest complete periods beyond what chance explains, and what did not."""
    words = view.words
    said: dict[str, list[Markup]] = {}
    for name, table, where, columns, style, base, what in MEASURES:
        if not view.has(table, *columns, base):
            continue
        rows, earlier = view.now(table, medium="any", **where), view.before(table, medium="any", **where)
        if len(rows) != 1 or rows[0].number(columns[0]) is None:
            continue
        row, before = rows[0], earlier[0] if len(earlier) == 1 else None
        way = direction(row, before, *columns)
        values = {
            "measure": words(f"measure.{name}"),
            "now": view.interval(row, *columns, style),
            "n": words(f"measure.{what}", n=view.cell(row, base, "count")),
        }
        if before is not None and way != "unknown":
            values["was"] = view.cell(before, columns[0], style)
        said.setdefault(way, []).append(words(f"went.{way}", **values))
    moved = [*said.get("up", []), *said.get("down", [])]
    still = said.get("same", [])
    unsure = [*said.get("no_interval", []), *said.get("unknown", [])]
    now, previous = view.panels.current, view.panels.previous
    found = []
    if now and previous and (moved or still):
        times = {"before": view.period(previous), "now": view.period(now)}
        if moved:
            found.append(words("summary.moved", changes=words.listed(moved), **times))
        if still:
            found.append(words("summary.still" if moved else "summary.nothing_moved", rest=words.listed(still), **times))
    if now and unsure:
        found.append(words("summary.stands", now=view.period(now), rest=words.listed(unsure)))
    return found
