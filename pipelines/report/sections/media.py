"""The medium scorecard, and which media start and which keep ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Figure, Heading, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import nice_scale, strip, survival_curve
from pipelines.report.sections.shared import ALL_TIES, apart, heads, missing, reason

SCORECARD: Final = "metrics.medium_scorecard"
SURVIVAL: Final = "metrics.tie_survival"
HALF_LIFE: Final = "metrics.tie_half_life"
KEPT: Final = ("adjusted_kept_90_ratio", "lower_adjusted_kept_90_ratio", "upper_adjusted_kept_90_ratio")
AGES: Final = (30.0, 90.0, 180.0, 365.0)


def scorecard(view: View) -> Section:
    """One row a medium."""
    words = view.words
    rows = view.rows(SCORECARD)
    if not rows or not view.has(SCORECARD, *KEPT, "started_tie_count", "reciprocity_index", "durable_ties_per_100_hours"):
        return missing(view, "scorecard", SCORECARD)
    everything = next((row for row in rows if row["medium"] == "any"), None)
    media = sorted((row for row in rows if row["medium"] != "any"), key=lambda row: -(row.number("started_tie_count") or 0))
    ends = [row.number(column) for row in rows for column in KEPT]
    scale = nice_scale([value for value in ends if value is not None] or [0.0, 1.0])
    listed = [*media, *([everything] if everything else [])]
    reference = everything.number(KEPT[0]) if everything else None
    kept = Table(
        words("scorecard.kept_caption"),
        heads(view, "scorecard", "medium", "started", "share", "kept_strip", "kept", strips=("kept_strip",)),
        [
            (
                view.medium(row["medium"]),
                view.cell(row, "started_tie_count", "count"),
                view.cell(row, "started_ratio", "percent"),
                strip(scale, *(row.number(c) for c in KEPT), mark=reference if row is not everything else None, is_other=row is everything),
                reason(view, row, KEPT[0], "percent", "adjusted_reason", *KEPT[1:]),
            )
            for row in listed
        ],
        words("scorecard.kept_note"),
    )
    character = Table(
        words("scorecard.character_caption"),
        heads(view, "scorecard", "medium", "reciprocity", "cross_team", "external", "revived", "per_hours"),
        [
            (
                view.medium(row["medium"]),
                reason(view, row, "reciprocity_index", "number", "mutual_reason", "lower_reciprocity_index", "upper_reciprocity_index"),
                view.interval(row, "cross_team_ratio", "lower_cross_team_ratio", "upper_cross_team_ratio", "percent"),
                view.interval(row, "external_ratio", "lower_external_ratio", "upper_external_ratio", "percent"),
                view.cell(row, "revived_ratio", "percent"),
                reason(
                    view,
                    row,
                    "durable_ties_per_100_hours",
                    "number",
                    "hours_reason",
                    "lower_durable_ties_per_100_hours",
                    "upper_durable_ties_per_100_hours",
                ),
            )
            for row in listed
        ],
        words("scorecard.character_note"),
    )
    said = _who_starts_and_keeps(view, media)
    blocks: list[Block] = [Text(said, "lead"), kept, character]
    return Section("scorecard", words("scorecard.title"), blocks, words("scorecard.question"), said)


def _who_starts_and_keeps(view: View, media: Sequence[Row]) -> Markup:
    words = view.words
    started = [row for row in media if (row.number("started_tie_count") or 0) > 0]
    if not started:
        return words("scorecard.none_started")
    first = started[0]
    if len(started) == 1:
        return words(
            "scorecard.only_one",
            medium=view.medium(first["medium"]),
            kept=reason(view, first, KEPT[0], "percent", "adjusted_reason", *KEPT[1:]),
        )
    most = words("scorecard.starts_most", medium=view.medium(first["medium"]), share=view.cell(first, "started_ratio", "percent"))
    known = sorted((row for row in started if row.number(KEPT[0]) is not None), key=lambda row: row.number(KEPT[0]) or 0)
    if len(known) < 2:
        return Markup("{} {}").format(most, words("scorecard.keep_unknown"))
    worst, best = known[0], known[-1]
    if not apart(best, worst, *KEPT[1:]):
        return Markup("{} {}").format(most, words("scorecard.keep_alike"))
    return Markup("{} {}").format(
        most,
        words(
            "scorecard.keeps_most",
            best=view.medium(best["medium"]),
            high=view.interval(best, *KEPT, "percent"),
            worst=view.medium(worst["medium"]),
            low=view.interval(worst, *KEPT, "percent"),
        ),
    )


def survival(view: View) -> Section:
    """Survival curves by medium of origin, and half-lives."""
    words = view.words
    if not view.has(SURVIVAL, "grouping", "level", "age_days", "survival_ratio", "lower_ratio", "upper_ratio", "tie_count"):
        return missing(view, "survival", SURVIVAL)
    everything = view.rows(SURVIVAL, **ALL_TIES)
    until = 365.0 if any(row["age_days"] > 200 and row.number("survival_ratio") is not None for row in everything) else 180.0
    reference = [(row["age_days"], row["survival_ratio"]) for row in everything if row.number("survival_ratio") is not None]
    levels: dict[str, list[Row]] = {}
    for row in view.rows(SURVIVAL, grouping="origin_medium"):
        levels.setdefault(row["level"], []).append(row)
    order = sorted(levels, key=lambda level: -(levels[level][0].number("tie_count") or 0))
    blocks: list[Block] = []
    headline = _half_life(view)
    if headline is not None:
        blocks.append(Text(headline, "lead"))
    if order:
        panels = [_panel(view, level, levels[level], reference, until) for level in order]
        blocks.append(
            Figure(
                Markup('<ul class="multiples">{}</ul>').format(Markup("").join(panels)),
                words("survival.caption"),
                _twin(view, [(view.medium(level), levels[level]) for level in order] + [(words("survival.all"), everything)]),
                is_wide=True,
            )
        )
    halves = _half_lives(view)
    if halves is not None:
        blocks += [Heading(words("survival.half_title")), halves]
    return Section("survival", words("survival.title"), blocks, words("survival.question"), headline)


def _panel(view: View, level: str, rows: Sequence[Row], reference: Sequence[tuple[float, float]], until: float) -> Markup:
    words = view.words
    name = view.medium(level)
    at_90 = next((row for row in rows if row["age_days"] == AGES[1]), rows[0])
    curve = [
        (row["age_days"], row["survival_ratio"], row.number("lower_ratio"), row.number("upper_ratio"))
        for row in rows
        if row.number("survival_ratio") is not None
    ]
    ticks = (0, 90, 180, 365) if until > 200 else (0, 90, 180)
    drawn = survival_curve(curve, reference, until, ticks, str(words("survival.alt", medium=name)))
    said = words(
        "survival.at_90",
        share=view.interval(at_90, "survival_ratio", "lower_ratio", "upper_ratio", "percent"),
        n=view.cell(at_90, "tie_count", "count"),
    )
    return Markup("<li><h3>{}</h3><p>{}</p>{}</li>").format(name, said, drawn)


def _twin(view: View, groups: Sequence[tuple[Markup, Sequence[Row]]]) -> Table:
    lines = []
    for name, rows in groups:
        by_age = {row["age_days"]: row for row in rows}
        if not by_age:
            continue
        first = next(iter(by_age.values()))
        cells = [
            view.interval(by_age[age], "survival_ratio", "lower_ratio", "upper_ratio", "percent") if age in by_age else Markup("")
            for age in AGES
        ]
        lines.append((name, view.cell(first, "tie_count", "count"), *cells))
    return Table(view.words("survival.twin"), heads(view, "survival", "origin", "ties", "d30", "d90", "d180", "d365"), lines)


def _half_life(view: View) -> Markup | None:
    row = view.row(HALF_LIFE, **ALL_TIES)
    if row is None:
        return None
    words = view.words
    if row.is_withheld:
        return words("survival.half_withheld")
    ties = view.cell(row, "tie_count", "count")
    if row.number("half_life_weeks") is not None:
        return words("survival.half", half=view.interval(row, "half_life_weeks", "lower_weeks", "upper_weeks", "weeks"), n=ties)
    if row.number("lower_weeks") is not None:
        return words("survival.half_longer", low=view.cell(row, "lower_weeks", "weeks"), n=ties)
    return words("survival.half_unknown", n=ties)


def _half_lives(view: View) -> Table | None:
    """Half-lives by team, outside kind and mix of media."""
    words = view.words
    lines: list[tuple[Markup, ...]] = []
    values: list[float] = []
    rows = [
        row
        for grouping in ("origin_medium", "is_cross_team", "external_kind", "medium_mix")
        for row in view.rows(HALF_LIFE, grouping=grouping)
    ]
    for row in rows:
        values += [value for column in ("half_life_weeks", "lower_weeks", "upper_weeks") if (value := row.number(column)) is not None]
    if not rows:
        return None
    scale = nice_scale(values or [0.0, 52.0])
    for row in rows:
        group = words.name("grouping", row["grouping"])
        kind = "medium" if row["grouping"] == "origin_medium" else f"level.{row['grouping']}"
        parts = str(row["level"]).split("+") if row["grouping"] == "medium_mix" else []
        mixed = Markup(" + ").join(words.name("mixed", part) for part in parts)
        level = mixed if len(parts) > 1 else words.name(kind, row["level"])
        lines.append(
            (
                Markup("{}<br><span class=ci>{}</span>").format(level, group),
                view.cell(row, "tie_count", "count"),
                strip(scale, row.number("half_life_weeks"), row.number("lower_weeks"), row.number("upper_weeks"))
                if row.number("lower_weeks") is not None
                else Markup(""),
                view.interval(row, "half_life_weeks", "lower_weeks", "upper_weeks", "weeks"),
            )
        )
    return Table(
        words("survival.half_caption"), heads(view, "survival", "group", "ties", "half_strip", "half", strips=("half_strip",)), lines
    )
