"""What a change of policy did: estimates, and the event study where teams began at different times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.report.blocks import Block, Figure, Heading, Section, Table, Text
from pipelines.report.cells import Row, View
from pipelines.report.charts import Scale, event_study, nice_scale, strip
from pipelines.report.sections.shared import heads, line, missing, reason

EFFECT: Final = "metrics.policy_effect"
STUDY: Final = "metrics.policy_event_study"
ENDS: Final = ("effect", "effect_low", "effect_high")
OUTCOMES: Final = ("meeting_hours", "tie_formation", "persistence", "cross_team")
HEADLINE: Final = ("meeting_hours", "persistence")
"""Of which outcomes the opening paragraph says what can or cannot be told where no change is shown."""
DOUBTFUL: Final = 0.05
CALLED: Final = 0.05


def policy(view: View) -> Section:
    """Each policy: its effect on four outcomes, and how it came about over time."""
    words = view.words
    declared = view.rows("core.policy")
    if not declared:
        return Section("policy", words("policy.title"), [Text(words("policy.none"), "missing")], words("policy.question"))
    rows = view.rows(EFFECT)
    if not rows or not view.has(EFFECT, *ENDS, "estimand", "baseline", "method", "margin", "detectable_effect", "equivalence_p_ratio"):
        return missing(view, "policy", EFFECT)
    blocks: list[Block] = []
    said: list[Markup] = []
    for key in dict.fromkeys(row["policy_key"] for row in declared):
        mine = [row for row in rows if row["policy_key"] == key]
        starts = [row for row in declared if row["policy_key"] == key]
        name = Markup('<span data-name="">{}</span>').format(starts[0]["name"])
        blocks.append(Heading(name))
        since = words.listed([view.cell(row, "starts_on", "date") for row in sorted(starts, key=lambda row: row["starts_on"])])
        is_for_all = any(row.get("method") == "interrupted" for row in mine)
        blocks.append(Text(words("policy.since_for_all" if is_for_all else "policy.since", starts=since)))
        if not mine:
            blocks.append(Text(words("policy.no_rows"), "missing"))
            continue
        said.append(_sentence(view, name, mine, HEADLINE))
        blocks += [Text(_sentence(view, name, mine, OUTCOMES), "lead"), _effects(view, mine)]
        blocks += _studies(view, key)
    blocks.append(Text(words("policy.note"), "note"))
    return Section("policy", words("policy.title"), blocks, words("policy.question"), Markup(" ").join(said) if said else None)


def _averages(rows: Sequence[Row]) -> list[Row]:
    found = [row for row in rows if row["estimand"] == "average"]
    return sorted(found, key=lambda row: OUTCOMES.index(row["outcome"]) if row["outcome"] in OUTCOMES else len(OUTCOMES))


def _sentence(view: View, name: Markup, rows: Sequence[Row], unchanged: Sequence[str]) -> Markup:
    """What the policy did that chance does not explain, what it is shown not to have done, and what cannot be told; each with its interval.

    Of outcomes of which no change is shown, it names those in `unchanged`.
    """
    words = view.words
    changes: list[Markup] = []
    still: list[Markup] = []
    for row in _averages(rows):
        low, high = row.number("effect_low"), row.number("effect_high")
        if low is None or high is None:
            continue
        way = "rose" if low > 0 else "fell" if high < 0 else "still"
        # one of several looks is no finding
        if (row.number("adjusted_p_ratio") or 0.0) >= CALLED:
            way = "still"
        said = words(
            f"policy.{'within' if way == 'still' and _is_within(row) else way}",
            outcome=words.name("outcome_within", row["outcome"]),
            effect=view.interval(row, *ENDS),
            low=view.cell(row, "effect_low"),
            high=view.cell(row, "effect_high"),
            margin=view.cell(row, "margin"),
            seen=view.cell(row, "detectable_effect"),
        )
        if way != "still":
            changes.append(said)
        elif row["outcome"] in unchanged or not still:
            still.append(said)
    n = next((view.cell(row, "person_count", "count") for row in rows if row.number("person_count") is not None), None)
    if n is None or not (changes or still):
        return words("policy.said_unknown", name=name)
    if changes:
        return words("policy.said", name=name, changes=words.listed(changes), n=n)
    return words("policy.said_nothing", name=name, still=words.listed(still), n=n)


def _is_within(row: Row) -> bool:
    """Whether it is shown that the effect is no more than the margin."""
    doubt = row.number("equivalence_p_ratio")
    return doubt is not None and doubt < CALLED


def _effects(view: View, rows: Sequence[Row]) -> Table:
    words = view.words
    lines = []
    for row in _averages(rows):
        values = [value for column in ENDS if (value := row.number(column)) is not None]
        doubt = row.number("pre_trend_p_ratio")
        lines.append(
            line(
                view,
                row,
                words.name("outcome", row["outcome"]),
                view.cell(row, "baseline"),
                strip(nice_scale(values), *(row.number(column) for column in ENDS)) if values else Markup(""),
                reason(view, row, "effect", "number", "reason", *ENDS[1:]),
                words("policy.doubt")
                if doubt is not None and doubt < DOUBTFUL
                else words.name("comparison", row.get("comparison") or "unknown"),
            )
        )
    return Table(
        words("policy.caption"),
        heads(view, "policy", "outcome", "baseline", "strip", "effect", "against", strips={"strip": (Scale(0, 1), "")}, texts=("against",)),
        lines,
    )


def _studies(view: View, key: str) -> list[Block]:
    words = view.words
    blocks: list[Block] = []
    if not view.has(STUDY, *ENDS, "block", "is_before"):
        return blocks
    for outcome in OUTCOMES:
        rows = sorted(
            (row for row in view.rows(STUDY, policy_key=key, outcome=outcome) if row.number("effect") is not None),
            key=lambda row: row["block"],
        )
        if len(rows) < 2:
            continue
        low, high = ("band_low", "band_high") if view.has(STUDY, "band_low", "band_high") else ENDS[1:]
        points = [(float(row["block"]), row["effect"], row.number(low), row.number(high)) for row in rows]
        values = [value for point in points for value in point[1:] if value is not None]
        scale = nice_scale(values)
        marks = sorted({scale.low, 0.0, scale.high})
        digits = 2 if max(abs(scale.low), abs(scale.high)) < 1 else 1
        name = words.name("outcome", outcome)
        drawn = event_study(points, str(words("policy.alt", outcome=name)), [(mark, words.number(mark, digits)) for mark in marks])
        twin = Table(
            words("policy.study_twin", outcome=name),
            heads(view, "policy", "block", "effect", "teams"),
            [
                (
                    Markup('<span data-axis="">{}</span>').format(words.number(row["block"])),
                    Markup('<span class="est">{} <span class="ci">({})</span></span>').format(
                        view.cell(row, "effect"), view.span(row, low, high)
                    ),
                    view.cell(row, "team_count", "count"),
                )
                for row in rows
            ],
        )
        body = Markup('<div class="network">{}</div>').format(drawn)
        blocks.append(Figure(body, words("policy.study_caption", outcome=name), twin))
    return blocks
