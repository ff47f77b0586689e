"""Relationships with clients, suppliers, partners and public bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Points, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, strip
from pipelines.report.sections.shared import heads, missing, reason

TABLE: Final = "metrics.organisation_panel_tie"
MUTUAL: Final = ("mutual_share", "mutual_share_low", "mutual_share_high")
DECAY: Final = ("decay", "decay_low", "decay_high")
KINDS: Final = ("client", "supplier", "partner", "public_body", "unknown")


def outside(view: View) -> Section:
    """Each other organisation under its kind: people on both sides, ties, how mutual, what faded."""
    words = view.words
    rows = view.now(TABLE) or view.rows(TABLE, panel_kind="all")
    if not rows or not view.has(TABLE, *MUTUAL, *DECAY, "external_kind", "tie_count", "internal_person_count", "external_person_count"):
        return missing(view, "outside", TABLE)
    names = {row["organisation_key"]: (row["name"], row["kind"]) for row in view.rows("core.organisation")}
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        # a withheld row has lost its kind with its figures; settings still know it
        kind = row["external_kind"] or names.get(row["external_organisation"], ("", "unknown"))[1]
        by_kind.setdefault(kind, []).append(row)
    earlier = {row["external_organisation"]: row for row in view.before(TABLE)}
    is_whole = rows[0]["panel_kind"] == "all"
    period = words("teams.whole") if is_whole else view.period(rows[0]["panel_start"])
    blocks: list[Block] = [Text(words("outside.intro", period=period))]
    order = sorted(by_kind, key=lambda kind: KINDS.index(kind) if kind in KINDS else len(KINDS))
    blocks.append(_table(view, [(kind, row) for kind in order for row in _largest_first(by_kind[kind])], names, earlier))
    hanging = [row for row in rows if row.get("is_hanging_on_one")]
    if hanging:
        blocks.append(
            Points(
                [words("outside.hanging", name=_name(row, names), share=view.cell(row, "top_internal_share", "percent")) for row in hanging]
            )
        )
    blocks.append(Text(words("outside.note"), "note"))
    headline = _headline(view, rows, names)
    return Section("outside", words("outside.title"), [Text(headline, "lead"), *blocks], words("outside.question"), headline)


def _largest_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.is_withheld, -(row.number("tie_count") or 0.0), row["external_organisation"]))


def _name(row: Row, names: dict[str, tuple[str, str]]) -> Markup:
    key = row["external_organisation"]
    return Markup('<span data-name="">{}</span>').format(names.get(key, (key, ""))[0] or key)


def _table(view: View, rows: Sequence[tuple[str, Row]], names: dict[str, tuple[str, str]], earlier: dict[str, Row]) -> Table:
    scale = Scale(0.0, 1.0)
    return Table(
        view.words("outside.caption"),
        heads(view, "outside", "name", "own", "theirs", "ties", "before", "strip", "mutual", "decay", strips=("strip",)),
        [
            (
                Markup("{}<br><span class=ci>{}</span>").format(_name(row, names), view.words.name("kind", kind)),
                view.cell(row, "internal_person_count", "count"),
                view.cell(row, "external_person_count", "count"),
                view.cell(row, "tie_count", "count"),
                view.cell(earlier[row["external_organisation"]], "tie_count", "count")
                if row["external_organisation"] in earlier
                else view.words("change.unknown_short"),
                strip(scale, *(row.number(column) for column in MUTUAL)),
                view.interval(row, *MUTUAL, "percent"),
                reason(view, row, DECAY[0], "percent", "decay_reason", *DECAY[1:]),
            )
            for kind, row in rows
        ],
    )


def _headline(view: View, rows: Sequence[Row], names: dict[str, tuple[str, str]]) -> Markup:
    words = view.words
    shown = sorted((row for row in rows if (row.number("tie_count") or 0) > 0), key=lambda row: -(row.number("tie_count") or 0.0))
    if not shown:
        return words("outside.said_none")
    first = shown[0]
    if first.number(MUTUAL[0]) is None:
        return words("outside.said_ties", name=_name(first, names), ties=view.cell(first, "tie_count", "count"))
    return words(
        "outside.said",
        name=_name(first, names),
        ties=view.cell(first, "tie_count", "count"),
        mutual=view.interval(first, *MUTUAL, "percent"),
    )
