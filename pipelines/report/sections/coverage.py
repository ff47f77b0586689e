"""What was seen and what was not."""

from __future__ import annotations

from datetime import date
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Points, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, coverage_strip
from pipelines.report.sections.shared import heads, missing

PERIODS: Final = "metrics.coverage_panel"
GAPS: Final = "core.gap"
OBSERVED: Final = "core.observation"
MOST_GAPS: Final = 12


def coverage(view: View) -> Section:
    """A strip of periods by medium, the gaps in words, and what is withheld."""
    words = view.words
    periods = [row for row in view.rows(PERIODS, panel_kind=view.panels.kind) if not row.is_withheld]
    if not periods:
        return missing(view, "coverage", PERIODS)
    blocks: list[Block] = [Text(_stretches(view), "lead"), _strips(view, periods)]
    together: dict[tuple[str, str, date, date], list[Row]] = {}
    for row in sorted(view.rows(GAPS), key=lambda row: (-row["day_count"], row["date_from"])):
        together.setdefault((row["source"], row["kind"], row["date_from"], row["date_to"]), []).append(row)
    if together:
        blocks.append(Points([_gap(view, rows) for rows in list(together.values())[:MOST_GAPS]]))
        blocks.append(Text(words("coverage.gaps_note"), "note"))
    else:
        blocks.append(Text(words("coverage.no_gaps")))
    blocks.append(Text(words("coverage.withheld", n=view.setting(view.release.policy.minimum_group_size)), "note"))
    return Section("coverage", words("coverage.title"), blocks, words("coverage.question"))


def _stretches(view: View) -> Markup:
    words = view.words
    stretches = view.rows(OBSERVED, medium="any")
    if not stretches:
        return words("coverage.none")
    listed = [
        words(
            "coverage.stretch",
            start=view.cell(row, "date_from", "date"),
            end=view.cell(row, "date_to", "date"),
            days=view.cell(row, "day_count", "days"),
        )
        for row in stretches
    ]
    return words("coverage.said", stretches=words.listed(listed))


def _strips(view: View, periods: list[Row]) -> Table:
    words = view.words
    status: dict[tuple[str, str], dict[date, str]] = {}
    for row in periods:
        status.setdefault((row["source"], row["medium"]), {})[row["panel_start"]] = row["status"]
    whole = sorted({row["panel_start"] for row in periods})
    lines = []
    for (source, medium), known in sorted(status.items(), key=lambda each: (each[0][1], each[0][0])):
        codes = [known.get(start, "none") for start in whole]
        seen = sorted(known)
        alt = words(
            "coverage.alt", medium=view.medium(medium), start=view.period(seen[0]).striptags(), end=view.period(seen[-1]).striptags()
        )
        lines.append(
            (
                Markup("{}<br><span class=ci>{}</span>").format(view.medium(medium), words.name("source", source)),
                coverage_strip(codes, str(alt)),
                view.period(seen[0]),
                view.period(seen[-1]),
            )
        )
    return Table(
        words("coverage.caption"),
        heads(view, "coverage", "medium", "strip", "start", "end", strips={"strip": (Scale(0, 1), "")}),
        lines,
        Markup('<span class="key">{}</span>').format(words("coverage.key")),
    )


def _gap(view: View, rows: list[Row]) -> Markup:
    """One silence, or one failure to collect, with all media that it took."""
    words = view.words
    row = rows[0]
    media = [view.medium(each["medium"]) for each in rows]
    return words(
        f"coverage.gap_{row['kind']}",
        media=words.listed(media),
        source=words.name("source", row["source"]),
        start=view.cell(row, "date_from", "date"),
        end=view.cell(row, "date_to", "date"),
        days=view.cell(row, "day_count", "days"),
    )
