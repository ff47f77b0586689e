"""Declared relationships and their state."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.sections.shared import heads, line, missing

STATUS: Final = "metrics.charter_status"
STATES: Final = ("off_track", "hanging_on_one", "not_observed", "on_track")
"""From what asks for attention to what does not."""


def charter(view: View) -> Section:
    """Each declared relationship with its state and the evidence."""
    words = view.words
    rows = view.rows(STATUS)
    if not rows or not view.has(STATUS, "name", "standing", "met_count", "required_count", "last_mutual_contact_date"):
        if not view.rows("core.declared_relationship"):
            return Section("charter", words("charter.title"), [Text(words("charter.none"), "missing")], words("charter.question"))
        return missing(view, "charter", STATUS)
    rows = sorted(rows, key=lambda row: (STATES.index(row["standing"]) if row["standing"] in STATES else -1, row["relationship_key"]))
    declared = {row["relationship_key"]: row["name"] for row in view.rows("core.declared_relationship")}
    table = Table(
        words("charter.caption"),
        heads(view, "charter", "name", "state", "met", "required", "before", "last", texts=("state",)),
        [
            line(
                view,
                row,
                _name(row, declared),
                _state(view, row),
                view.cell(row, "met_count", "count"),
                view.cell(row, "required_count", "count"),
                view.cell(row, "previous_met_count", "count"),
                view.cell(row, "last_mutual_contact_date", "date"),
            )
            for row in rows
        ],
        words("charter.note"),
    )
    said = _said(view, rows, declared)
    blocks: list[Block] = [Text(Markup(" ").join(said), "lead"), table]
    # what asks for attention comes first, and is what the opening paragraph says
    return Section("charter", words("charter.title"), blocks, words("charter.question"), said[0])


def _name(row: Row, declared: dict[str, str]) -> Markup:
    return Markup('<span data-name="">{}</span>').format(declared.get(row["relationship_key"], row["relationship_key"]))


def _state(view: View, row: Row) -> Markup:
    if row.is_withheld:
        return view.withheld()
    look = {"on_track": "good", "hanging_on_one": "weak"}.get(row["standing"], "bad")
    return Markup('<span class="state {}">{}</span>').format(look, view.words.name("charter.state", row["standing"]))


def _said(view: View, rows: list[Row], declared: dict[str, str]) -> list[Markup]:
    """Which declared relationships ask for attention, with what there is and what was asked for; then those that are on track."""
    words = view.words
    said = []
    for state in (*STATES[:2], STATES[-1]):
        named = [
            words("charter.counted", name=_name(row, declared), required=view.cell(row, "required_count", "count"))
            for row in rows
            if row["standing"] == state and not row.is_withheld
        ]
        if named:
            said.append(words(f"charter.said_{state}", names=words.listed(named)))
    return said or [words("charter.said_unknown")]
