"""Relationships with clients, suppliers, partners and public bodies: by kind, then organisation by organisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Points, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, strip
from pipelines.report.sections.shared import heads, line, missing, not_shown, notes, reason

TABLE: Final = "metrics.organisation_panel_tie"
MUTUAL: Final = ("mutual_share", "mutual_share_low", "mutual_share_high")
DECAY: Final = ("decay", "decay_low", "decay_high")
KINDS: Final = ("client", "supplier", "partner", "public_body", "unknown")
ALL: Final = "any"
MOST_OF_A_KIND: Final = 10


def outside(view: View) -> Section:
    """Kinds of organisation, and each organisation under its kind: people on both sides, ties, how mutual, what faded."""
    words = view.words
    rows = view.now(TABLE) or view.rows(TABLE, panel_kind="all")
    if not rows or not view.has(TABLE, *MUTUAL, *DECAY, "external_kind", "tie_count", "internal_person_count", "external_person_count"):
        return missing(view, "outside", TABLE)
    names = {row["organisation_key"]: row["name"] for row in view.rows("core.organisation")}
    earlier = {(row["external_kind"], row["external_organisation"]): row for row in view.before(TABLE)}
    is_whole = rows[0]["panel_kind"] == "all"
    period = words("teams.whole") if is_whole else view.period(rows[0]["panel_start"])
    kinds = sorted((row for row in rows if row["external_organisation"] == ALL and row["external_kind"] != ALL), key=_by_kind)
    single = [row for row in rows if row["external_organisation"] != ALL]
    headline = _headline(view, rows)
    blocks: list[Block] = [Text(headline, "lead"), Text(words("outside.intro", period=period))]
    blocks += _table(view, kinds, single, names, earlier)
    hanging = [row for row in single if row.get("is_hanging_on_one")]
    if hanging:
        blocks.append(Points([words("outside.hanging", name=_name(row, names)) for row in hanging]))
    blocks.append(Text(words("outside.note"), "note"))
    return Section("outside", words("outside.title"), blocks, words("outside.question"), headline)


def _by_kind(row: Row) -> int:
    kind = row["external_kind"]
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _name(row: Row, names: dict[str, str]) -> Markup:
    key = row["external_organisation"]
    return Markup('<span data-name="">{}</span>').format(names.get(key, key) or key)


def _table(
    view: View, kinds: Sequence[Row], single: Sequence[Row], names: dict[str, str], earlier: dict[tuple[str, str], Row]
) -> list[Block]:
    words = view.words
    lines: list[Sequence[Markup] | Markup] = []
    by_kind = {row["external_kind"]: row for row in kinds}
    is_cut = False
    for kind in sorted({row["external_kind"] for row in (*kinds, *single)}, key=lambda kind: KINDS.index(kind) if kind in KINDS else 9):
        shown = [row for row in single if row["external_kind"] == kind and not row.is_withheld]
        shown = sorted(shown, key=lambda row: (-(row.number("tie_count") or 0.0), row["external_organisation"]))
        is_cut |= len(shown) > MOST_OF_A_KIND
        shown = shown[:MOST_OF_A_KIND]
        if kind in by_kind:
            lines.append(_line(view, by_kind[kind], Markup("<b>{}</b>").format(words.name("kind", kind)), earlier))
        elif shown:
            lines.append(words.name("kind", kind))
        # what settings do not name is one row by itself
        lines += [
            _line(view, row, Markup('<span class="under">{}</span>').format(_name(row, names)), earlier)
            for row in shown
            if kind != "unknown"
        ]
    hidden = [row for row in single if row.is_withheld and row["external_kind"] != "unknown"]
    left = not_shown(view, sorted(hidden, key=_by_kind), lambda row: _name(row, names), lambda _: None)
    if not lines:
        return [*notes(left)]
    head = heads(
        view, "outside", "name", "own", "theirs", "ties", "before", "strip", "mutual", "decay", strips={"strip": (Scale(0, 1), "percent")}
    )
    return [Table(words("outside.caption"), head, lines, words("outside.smaller") if is_cut else None), *notes(left)]


def _line(view: View, row: Row, name: Markup, earlier: dict[tuple[str, str], Row]) -> Sequence[Markup]:
    before = earlier.get((row["external_kind"], row["external_organisation"]))
    return line(
        view,
        row,
        name,
        view.cell(row, "internal_person_count", "count"),
        view.cell(row, "external_person_count", "count"),
        view.cell(row, "tie_count", "count"),
        view.cell(before, "tie_count", "count") if before is not None else view.words("unknown.short"),
        strip(Scale(0.0, 1.0), *(row.number(column) for column in MUTUAL)),
        view.interval(row, *MUTUAL, "percent"),
        reason(view, row, DECAY[0], "percent", "decay_reason", *DECAY[1:]),
    )


def _headline(view: View, rows: Sequence[Row]) -> Markup:
    """All outside ties together: how many, how mutual, how many faded; where that is withheld, the broadest kind."""
    words = view.words
    totals = [row for row in rows if row["external_organisation"] == ALL]
    found = next((row for row in totals if row["external_kind"] == ALL and row.number("tie_count")), None)
    found = found or max((row for row in totals if row.number("tie_count")), key=lambda row: row.number("tie_count") or 0.0, default=None)
    if found is None:
        return words("outside.said_none", n=view.setting(view.release.policy.minimum_group_size))
    said = words(
        "outside.said",
        kind=words.name("level.external_kind", found["external_kind"]),
        ties=view.cell(found, "tie_count", "count"),
        own=view.cell(found, "internal_person_count", "count"),
        theirs=view.cell(found, "external_person_count", "count"),
    )
    parts = [
        words(key, share=view.interval(found, *columns, "percent"))
        for key, columns in (("outside.said_mutual", MUTUAL), ("outside.said_decay", DECAY))
        if found.number(columns[0]) is not None
    ]
    return Markup(" ").join([said, *parts])
