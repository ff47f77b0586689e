"""The medium scorecard: what each medium starts and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Folded, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, nice_scale, strip
from pipelines.report.sections.shared import apart, heads, line, missing, not_shown, notes, reason

SCORECARD: Final = "metrics.medium_scorecard"
KEPT: Final = ("adjusted_kept_90_ratio", "lower_adjusted_kept_90_ratio", "upper_adjusted_kept_90_ratio")


def scorecard(view: View) -> Section:
    """One row a medium."""
    words = view.words
    rows = view.rows(SCORECARD)
    if not rows or not view.has(SCORECARD, *KEPT, "started_tie_count", "reciprocity_index"):
        return missing(view, "scorecard", SCORECARD)
    everything = [row for row in rows if row["medium"] == "any"]
    media = sorted((row for row in rows if row["medium"] != "any"), key=lambda row: -(row.number("started_tie_count") or 0))
    said = _who_starts(view, media)
    blocks: list[Block] = [Text(Markup(" ").join(said), "lead")]
    blocks += _kept(view, media, everything)
    # media in which nothing is known but how they are used stand behind a fold
    known = [row for row in media if row.is_withheld or row.number(KEPT[0]) is not None]
    rest = [row for row in media if row not in known]
    if known:
        blocks.append(_character(view, [*known, *everything]))
    if rest:
        few = _character(view, rest, has_note=not known)
        blocks.append(Folded(words("scorecard.others"), [few]) if known else few)
    return Section("scorecard", words("scorecard.title"), blocks, words("scorecard.question"), Markup(" ").join(said[-1:]))


def _kept(view: View, media: Sequence[Row], everything: Sequence[Row]) -> list[Block]:
    """What began in each medium and how much of it holds; what cannot be compared in a sentence."""
    words = view.words
    known = [row for row in media if row.number(KEPT[0]) is not None]
    listed = [*known, *everything]
    values = [value for row in listed for column in KEPT if (value := row.number(column)) is not None]
    left = not_shown(
        view,
        [row for row in media if row not in known and row.number("started_tie_count") != 0],
        lambda row: _begun(view, row),
        lambda row: row["adjusted_reason"],
    )
    if not values:
        return [*notes(left)]
    scale = nice_scale(values)
    reference = everything[0].number(KEPT[0]) if everything else None
    table = Table(
        words("scorecard.kept_caption"),
        heads(view, "scorecard", "medium", "kept_strip", "kept", "started", "share", strips={"kept_strip": (scale, "percent")}),
        [line(view, row, view.medium(row["medium"]), *_kept_cells(view, row, scale, reference)) for row in listed],
        words("scorecard.kept_note"),
    )
    return [table, *notes(left)]


def _kept_cells(view: View, row: Row, scale: Scale, reference: float | None) -> Sequence[Markup]:
    is_any = row["medium"] == "any"
    return (
        strip(scale, *(row.number(c) for c in KEPT), mark=None if is_any else reference, is_other=is_any),
        reason(view, row, KEPT[0], "percent", "adjusted_reason", *KEPT[1:]),
        view.cell(row, "started_tie_count", "count"),
        view.cell(row, "started_ratio", "percent"),
    )


def _begun(view: View, row: Row) -> Markup:
    """A medium with the number of ties that began in it."""
    name = view.medium(row["medium"])
    return name if row.is_withheld else Markup("{} ({})").format(name, view.cell(row, "started_tie_count", "count"))


def _character(view: View, rows: Sequence[Row], *, has_note: bool = True) -> Table:
    words = view.words
    return Table(
        words("scorecard.character_caption"),
        heads(view, "scorecard", "medium", "reciprocity", "cross_team", "external", "revived"),
        [
            line(
                view,
                row,
                view.medium(row["medium"]),
                reason(view, row, "reciprocity_index", "number", "mutual_reason", "lower_reciprocity_index", "upper_reciprocity_index"),
                view.interval(row, "cross_team_ratio", "lower_cross_team_ratio", "upper_cross_team_ratio", "percent"),
                view.interval(row, "external_ratio", "lower_external_ratio", "upper_external_ratio", "percent"),
                view.interval(row, "revived_ratio", "lower_revived_ratio", "upper_revived_ratio", "percent"),
            )
            for row in rows
        ],
        words("scorecard.character_note") if has_note else None,
    )


def _who_starts(view: View, media: Sequence[Row]) -> list[Markup]:
    """Which medium starts most ties, and which keeps them; the last sentence is the one to remember."""
    words = view.words
    started = [row for row in media if (row.number("started_tie_count") or 0) > 0]
    if not started:
        return [words("scorecard.none_started")]
    first = started[0]
    if len(started) == 1:
        kept = reason(view, first, KEPT[0], "percent", "adjusted_reason", *KEPT[1:])
        count = view.cell(first, "started_tie_count", "count")
        return [words("scorecard.only_one", medium=words.name("begun", first["medium"]), kept=kept, n=count)]
    most = words(
        "scorecard.starts_most",
        medium=words.name("begun", first["medium"]),
        share=view.cell(first, "started_ratio", "percent"),
        n=view.cell(first, "started_tie_count", "count"),
    )
    known = sorted((row for row in started if row.number(KEPT[0]) is not None), key=lambda row: row.number(KEPT[0]) or 0)
    if len(known) < 2:
        return [most, words("scorecard.keep_unknown")]
    worst, best = known[0], known[-1]
    if not apart(best, worst, *KEPT[1:]):
        return [most, words("scorecard.keep_alike")]
    keeps = words(
        "scorecard.keeps_most",
        best=words.name("begun", best["medium"]),
        high=view.interval(best, *KEPT, "percent"),
        high_n=view.cell(best, "started_tie_count", "count"),
        worst=words.name("begun", worst["medium"]),
        low=view.interval(worst, *KEPT, "percent"),
        low_n=view.cell(worst, "started_tie_count", "count"),
    )
    return [most, keeps]
