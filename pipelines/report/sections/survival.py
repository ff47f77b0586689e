"""How long ties last, by where they began and what they live in; what came and went; where ties come from and where they go next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Figure, Folded, Heading, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, nice_scale, strip, survival_curve
from pipelines.report.sections.churn import churn
from pipelines.report.sections.origin import escalation, origin
from pipelines.report.sections.shared import ALL_TIES, heads, line, missing, not_shown, notes

SURVIVAL: Final = "metrics.tie_survival"
STOCK: Final = "metrics.tie_stock_survival"
HALF_LIFE: Final = "metrics.tie_half_life"
SHARE: Final = ("survival_ratio", "lower_ratio", "upper_ratio")
STOCK_SHARE: Final = ("alive_ratio", "lower_ratio", "upper_ratio")
HALF: Final = ("half_life_weeks", "lower_weeks", "upper_weeks")
AGES: Final = (30.0, 90.0, 180.0, 365.0)
ORIGIN: Final = "origin_medium"
GROUPINGS: Final = ("medium_mix", "is_cross_team", "external_kind", ORIGIN)
TELLING: Final = 4.0
"""From how many weeks on it says something that half of the ties last longer."""


def survival(view: View) -> Section:
    """Survival curves by medium of origin, half-lives, churn, origins and what follows on what."""
    words = view.words
    if not view.has(SURVIVAL, "grouping", "level", "age_days", *SHARE, "tie_count"):
        return missing(view, "survival", SURVIVAL)
    stock, mix, half = _stock(view), _mix(view), _half_life(view)
    blocks: list[Block] = []
    said = [each for each in (stock, half, mix) if each]
    if said:
        blocks.append(Text(Markup(" ").join(said), "lead"))
    blocks += _curves(view)
    blocks += _half_lives(view)
    for part in (churn, origin, escalation):
        blocks += part(view)
    return Section("survival", words("survival.title"), blocks, words("survival.question"), stock or mix or half)


def _curves(view: View) -> list[Block]:
    """One panel for each medium in which enough ties began; the others in one line."""
    words = view.words
    everything = view.rows(SURVIVAL, **ALL_TIES)
    reference = [(row["age_days"], row["survival_ratio"]) for row in everything if row.number("survival_ratio") is not None]
    levels: dict[str, list[Row]] = {}
    for row in view.rows(SURVIVAL, grouping="origin_medium"):
        levels.setdefault(row["level"], []).append(row)
    order = sorted(levels, key=lambda level: -(levels[level][0].number("tie_count") or 0))
    drawn = [level for level in order if _at(levels[level], AGES[1]) is not None]
    left = not_shown(
        view,
        [levels[level][0] for level in order if level not in drawn and levels[level][0].number("tie_count") != 0],
        lambda row: _counted(view, view.medium(row["level"]), row),
        lambda row: row["reason"] or "too_few",
    )
    if not drawn:
        return [*notes(left)]
    ages = [age for age, _ in reference] + [row["age_days"] for level in drawn for row in levels[level] if row.number(SHARE[0]) is not None]
    until = next((age for age in (90.0, 180.0, 270.0, 365.0) if max(ages) <= age * 1.02), 365.0)
    panels = [_panel(view, level, levels[level], reference, until) for level in drawn]
    figure = Figure(
        Markup('<ul class="multiples">{}</ul>').format(Markup("").join(panels)),
        words("survival.caption"),
        _twin(view, [(view.medium(level), levels[level]) for level in drawn] + [(words("survival.all"), everything)]),
        is_wide=True,
    )
    return [figure, *notes(left)]


def _at(rows: Sequence[Row], age: float) -> Row | None:
    """The row of an age, where it has a figure."""
    return next((row for row in rows if row["age_days"] == age and row.number(SHARE[0]) is not None), None)


def _counted(view: View, name: Markup, row: Row) -> Markup:
    """A name with its number of ties."""
    return name if row.is_withheld else Markup("{} ({})").format(name, view.cell(row, "tie_count", "count"))


def _panel(view: View, level: str, rows: Sequence[Row], reference: Sequence[tuple[float, float]], until: float) -> Markup:
    words = view.words
    name = view.medium(level)
    at_90 = _at(rows, AGES[1]) or rows[0]
    curve = [
        (row["age_days"], row["survival_ratio"], row.number("lower_ratio"), row.number("upper_ratio"))
        for row in rows
        if row.number("survival_ratio") is not None
    ]
    ticks = tuple(age for age in (0.0, 90.0, 180.0, 270.0, 365.0) if age <= until and (age != 270.0 or until < 365.0))
    drawn = survival_curve(curve, reference, until, ticks, str(words("survival.alt", medium=name)))
    said = words("survival.at_90", share=view.interval(at_90, *SHARE, "percent"), n=view.cell(at_90, "tie_count", "count"))
    return Markup("<li><h3>{}</h3><p>{}</p>{}</li>").format(name, said, drawn)


def _twin(view: View, groups: Sequence[tuple[Markup, Sequence[Row]]]) -> Table:
    lines = []
    for name, rows in groups:
        by_age = {row["age_days"]: row for row in rows}
        if not by_age:
            continue
        first = next(iter(by_age.values()))
        cells = [
            view.interval(by_age[age], *SHARE, "percent") if _at(rows, age) is not None else view.words("unknown.short") for age in AGES
        ]
        lines.append(line(view, first, name, view.cell(first, "tie_count", "count"), *cells))
    return Table(view.words("survival.twin"), heads(view, "survival", "origin", "ties", "d30", "d90", "d180", "d365"), lines)


def _stock(view: View) -> Markup | None:
    """How many of the ties alive on the latest day that can be followed were alive 90 days later."""
    if not view.has(STOCK, *STOCK_SHARE, "cut_date", "tie_count"):
        return None
    listed = view.rows(STOCK, **ALL_TIES, horizon_days=AGES[1])
    rows = [row for row in listed if not row.is_withheld and row.number(STOCK_SHARE[0]) is not None]
    if not rows:
        return None
    row = max(rows, key=lambda each: each["cut_date"])
    share = view.interval(row, *STOCK_SHARE, "percent")
    return view.words("survival.stock", n=view.cell(row, "tie_count", "count"), date=view.cell(row, "cut_date", "date"), share=share)


def _half_life(view: View) -> Markup | None:
    """How long half of all ties last."""
    row = view.row(HALF_LIFE, **ALL_TIES)
    if row is None:
        return None
    words = view.words
    if row.is_withheld:
        return words("survival.half_withheld", n=view.setting(view.release.policy.minimum_group_size))
    ties = view.cell(row, "tie_count", "count")
    if row.number(HALF[0]) is not None:
        return words("survival.half", half=view.interval(row, *HALF, "weeks"), n=ties)
    if row.number(HALF[1]) is not None:
        return words("survival.half_longer", low=view.cell(row, HALF[1], "weeks"), n=ties)
    return words("survival.half_unknown", n=ties)


def _mix(view: View) -> Markup | None:
    """Which single way of keeping up a tie fades fastest, and what holds it when it joins in."""
    words = view.words
    rows = [row for row in view.rows(HALF_LIFE, grouping="medium_mix") if not row.is_withheld and row.number(HALF[1]) is not None]
    alone = [row for row in rows if "+" not in row["level"] and row.number(HALF[0]) is not None]
    if len(rows) < 2 or not alone:
        return None
    base = min(alone, key=lambda row: row.number(HALF[0]) or 0.0)
    upper = base.number(HALF[2])
    half, n = view.interval(base, *HALF, "weeks"), view.cell(base, "tie_count", "count")
    fading = words("survival.fading", alone=words.name("alone", base["level"]), half=half, n=n)
    joined = [row for row in rows if base["level"] in str(row["level"]).split("+") and row is not base]
    holding = [row for row in joined if upper is not None and (row.number(HALF[1]) or 0.0) > upper]
    if not holding:
        return Markup("{} {}").format(fading, words("survival.no_help"))
    said = [
        words(
            "survival.joined",
            mixed=_others(view, row["level"], base["level"]),
            half=view.interval(row, *HALF, "weeks")
            if row.number(HALF[0]) is not None
            else words("survival.longer", low=view.cell(row, HALF[1], "weeks")),
            n=view.cell(row, "tie_count", "count"),
        )
        for row in sorted(holding, key=lambda row: -(row.number("tie_count") or 0))[:2]
    ]
    return Markup("{} {}").format(fading, words("survival.helps", joined=words.listed(said)))


def _others(view: View, level: str, base: str) -> Markup:
    """What else a mix of media has."""
    return view.words.listed([view.words.name("joined", part) for part in level.split("+") if part != base])


def _half_lives(view: View) -> list[Block]:
    """Half-lives by mix of media, team and outside kind, those that hold longest first; by medium of origin behind a fold."""
    words = view.words
    by_group = {grouping: view.rows(HALF_LIFE, grouping=grouping) for grouping in GROUPINGS}
    known = {
        grouping: sorted(
            (row for row in rows if row.number(HALF[0]) is not None or (row.number(HALF[1]) or 0.0) >= TELLING),
            key=lambda row: -(row.number(HALF[0]) or row.number(HALF[1]) or 0.0),
        )
        for grouping, rows in by_group.items()
    }
    values = [value for rows in known.values() for row in rows for column in HALF if (value := row.number(column)) is not None]
    if not any(by_group.values()):
        return []
    heading = Heading(words("survival.half_title"))
    left = not_shown(
        view,
        [row for grouping, rows in by_group.items() for row in rows if row not in known[grouping] and row.number("tie_count") != 0],
        lambda row: _counted(view, _level(view, row), row),
        lambda row: row["reason"],
    )
    if not values:
        return [heading, *notes(left)] if left else []
    scale = nice_scale(values)
    head = heads(view, "survival", "group", "ties", "half_strip", "half", strips={"half_strip": (scale, "weeks")})
    lines: list[Sequence[Markup] | Markup] = []
    for grouping, rows in known.items():
        if rows and grouping != ORIGIN:
            lines += [words(f"grouping.{grouping}"), *(_half_line(view, row, scale) for row in rows)]
    blocks: list[Block] = [heading]
    if lines:
        blocks.append(Table(words("survival.half_caption"), head, lines))
    if known[ORIGIN]:
        begun = Table(words("survival.half_caption"), head, [_half_line(view, row, scale) for row in known[ORIGIN]])
        blocks.append(Folded(words("survival.half_others"), [begun]) if lines else begun)
    return [*blocks, *notes(left)]


def _half_line(view: View, row: Row, scale: Scale) -> Sequence[Markup]:
    half = view.interval(row, *HALF, "weeks") if row.number(HALF[0]) is not None else None
    return (
        _level(view, row),
        view.cell(row, "tie_count", "count"),
        strip(scale, *(row.number(column) for column in HALF)),
        half if half is not None else view.words("survival.over", low=view.cell(row, HALF[1], "weeks")),
    )


def _level(view: View, row: Row) -> Markup:
    words = view.words
    if row["grouping"] == "origin_medium":
        return view.medium(row["level"])
    parts = str(row["level"]).split("+") if row["grouping"] == "medium_mix" else []
    if len(parts) > 1:
        text = Markup(" + ").join(words.name("mixed", part) for part in parts)
        return Markup(text[:1].upper() + text[1:])  # noqa: S704 - markup already
    return words.name(f"level.{row['grouping']}", row["level"])
