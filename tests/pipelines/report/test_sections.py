"""What single sections say, on tables written by hand."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from releases import published_file, spec

from pipelines.report import render

POLICY = spec("policy", "policy_key", "policy_key:text name:text starts_on:date teams:texts description:text", schema="core")
EFFECT = spec(
    "policy_effect",
    "policy_key outcome estimand",
    "policy_key:text outcome:text method:text estimand:text person_count:count effect:score effect_low:score effect_high:score "
    "baseline:score pre_trend_p_ratio:ratio comparison:text reason:text adjusted_p_ratio:ratio detectable_effect:score margin:score "
    "equivalence_p_ratio:ratio",
)
STUDY = spec(
    "policy_event_study",
    "policy_key outcome block",
    "policy_key:text outcome:text block:count is_before:flag person_count:count effect:score effect_low:score effect_high:score "
    "band_low:score band_high:score team_count:count",
)
PANEL = spec("panel", "panel_kind panel_start", "panel_kind:text panel_start:date is_complete:flag", schema="core")
RECIPROCITY = spec(
    "org_panel_reciprocity",
    "panel_kind panel_start medium",
    "panel_kind:text panel_start:date medium:text person_count:count contact_count:count r_w:ratio r_w_low:ratio r_w_high:ratio "
    "r_w_null:ratio rho_w:index rho_w_low:index rho_w_high:index reason:text",
)
MONTHS = [["month", date(2026, 4, 1), True], ["month", date(2026, 5, 1), True], ["month", date(2026, 6, 1), False]]


def plain(page: str, section: str) -> str:
    """The text of a section, blanks made single."""
    start = page.index(f'<section id="{section}"')
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page[start : page.index("</section>", start)])).replace("&#39;", "'")


def effect(
    outcome: str,
    low: float | None,
    high: float | None,
    doubt: float = 0.6,
    reason: str | None = None,
    adjusted: float | None = None,
    equivalence: float = 0.4,
) -> list[Any]:
    if low is None or high is None:
        return ["quiet", outcome, "staggered", "average", 60, None, None, None, 4.2, doubt, "never_started", reason, None, None, None, None]
    chance = adjusted if adjusted is not None else 0.2 if low <= 0 <= high else 0.01
    shown = [(low + high) / 2, low, high, 4.2, doubt, "never_started", reason, chance, 0.7 * (high - low), 0.42, equivalence]
    return ["quiet", outcome, "staggered", "average", 60, *shown]


@pytest.mark.parametrize(
    "row,said,unsaid",
    [
        # a planted fifth less, of which chance could make a third less or a little more
        (effect("meeting_hours", -1.4, 0.2), "whether meeting hours a person and week changed cannot be told, between -1.4", "by no more"),
        (effect("meeting_hours", -1.4, 0.2), "would have been seen in four cases out of five", "nothing"),
        (effect("meeting_hours", -0.2, 0.1, equivalence=0.01), "changed by no more than 0.4", "cannot be told"),
        # one of many looks
        (effect("meeting_hours", -1.5, -0.1, adjusted=0.12), "cannot be told", "changed by -"),
    ],
)
def test_a_policy_is_said_to_have_done_what_the_test_shows(tmp_path: Path, row: list[Any], said: str, unsaid: str) -> None:
    declared = [["quiet", "Quiet mornings", date(2026, 1, 5), ["A"], ""]]
    page = render(published_file(tmp_path / "a.duckdb", [(POLICY, declared), (EFFECT, [row])]))
    text = plain(page, "policy").replace("\u00a0", " ").replace("\u2212", "-")
    assert said in text
    lead = text[text.index("Quiet mornings, among") :]
    assert unsaid not in lead[: lead.index(".  ") if ".  " in lead else 400]
    assert "changed nothing" not in page


@pytest.fixture
def policy_page(tmp_path: Path) -> Path:
    study = [["quiet", "meeting_hours", block, block < 0, 60, 0.1 * block, -0.4, 0.4, -0.6, 0.6, 3] for block in range(-2, 3)]
    rows = [
        effect("meeting_hours", -1.5, -0.5),
        effect("tie_formation", -0.2, 0.3),
        effect("persistence", 0.02, 0.1, doubt=0.01),
        effect("cross_team", None, None, reason="too_few_weeks"),
    ]
    declared = [["quiet", "Quiet <mornings>", date(2026, 1, 5), ["A"], ""]]
    return published_file(tmp_path / "a.duckdb", [(POLICY, declared), (EFFECT, rows), (STUDY, study)])


def test_a_policy_is_said_to_have_changed_only_what_leaves_zero_out(policy_page: Path) -> None:
    said = plain(render(policy_page, language="en"), "policy")
    assert "Quiet &lt;mornings&gt;, among 60 people: since it began" in said
    assert "meeting hours a person and week changed by \u22121.00 (\u22121.50 to \u22120.50)" in said
    assert "share of pairs kept rose by 0.06 (0.02 to 0.10)" in said
    assert "new ties a person and week" not in said
    assert "too few weeks" in said
    assert "with doubt: the teams were moving apart before it began" in said


def test_the_event_study_is_drawn_with_its_twin(policy_page: Path) -> None:
    page = render(policy_page, language="fr")
    start = page.index('<section id="policy"')
    section = page[start : page.index("</section>", start)]
    assert section.count('class="point before"') == 2
    assert section.count('class="point after"') == 3
    assert section.count("<svg") == 1
    assert "<details>" in section


def test_without_policies_the_section_says_so(tmp_path: Path) -> None:
    assert "No change of policy has been declared" in plain(render(published_file(tmp_path / "a.duckdb", [])), "policy")


def months(*rows: tuple[int, float, float]) -> list[list[Any]]:
    return [
        ["month", date(2026, month, 1), "any", 80, 900, (low + high) / 2, low, high, 0.1, (low + high) / 2, low, high, None]
        for month, low, high in rows
    ]


@pytest.mark.parametrize(
    "rows,said",
    [
        (months((4, 0.2, 0.4), (5, 0.5, 0.7)), "higher than in April 2026, when it was 0.30 (0.20 to 0.40)"),
        (months((4, 0.5, 0.7), (5, 0.2, 0.4)), "lower than in April 2026, when it was 0.60 (0.50 to 0.70)"),
        (months((4, 0.2, 0.4), (5, 0.3, 0.5)), "In April 2026 it was 0.30 (0.20 to 0.40); the difference cannot be told from chance"),
        (months((5, 0.3, 0.5)), "no earlier complete period"),
    ],
)
def test_a_change_is_called_one_only_where_intervals_part(tmp_path: Path, rows: list[list[Any]], said: str) -> None:
    # June is not complete, so May is the latest period to speak of
    rows = [*rows, ["month", date(2026, 6, 1), "any", 80, 900, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9, None]]
    page = render(published_file(tmp_path / "a.duckdb", [(PANEL, MONTHS), (RECIPROCITY, rows)]))
    assert said in plain(page, "reciprocity").replace("\u00a0", " ")
    assert "0.9" not in plain(page, "reciprocity")


def test_a_withheld_figure_is_not_on_the_page(tmp_path: Path) -> None:
    rows = [["month", date(2026, 5, 1), "any", 4, 777, 0.77, 0.7, 0.8, 0.1, 0.77, 0.7, 0.8, None]]
    page = render(published_file(tmp_path / "a.duckdb", [(PANEL, MONTHS), (RECIPROCITY, rows)]))
    assert "withheld" in plain(page, "reciprocity")
    assert "77" not in plain(page, "reciprocity")


CHARTER = spec(
    "charter_status",
    "relationship_key",
    "relationship_key:text name:text standing:text required_count:count met_count:count previous_met_count:count "
    "contact_a_person_count:count contact_b_person_count:count last_mutual_contact_date:date",
)
DECLARED = spec("declared_relationship", "relationship_key", "relationship_key:text name:text", schema="core")


def test_declared_relationships_in_order_of_need_with_counts_as_promised(tmp_path: Path) -> None:
    rows = [
        ["good", "Good", "on_track", 9, 14, 10, 20, 20, date(2026, 6, 1)],
        ["gone", "Gone", "off_track", 2, 0, 1, 20, 20, None],
        ["tiny", "Tiny", "off_track", 2, 1, 3, 30, 3, date(2026, 6, 1)],
    ]
    declared = [[row[0], row[1]] for row in rows]
    said = plain(render(published_file(tmp_path / "a.duckdb", [(CHARTER, rows), (DECLARED, declared)])), "charter")
    # how many are left of two is about fewer than five people, and so is whether any are
    assert "Declared important and not on track: Gone (2 mutual ties are asked for)." in said
    assert said.index("Gone", said.index("Last mutual")) < said.index("Good", said.index("Last mutual"))
    assert re.search(r"Good ?on track ?15 ?9 ?10", said)
    assert "withheld" in said[said.index("Tiny") :]


HALF = spec(
    "tie_half_life",
    "grouping level",
    "grouping:text level:text tie_count:count person_count:count half_life_weeks:weeks lower_weeks:weeks upper_weeks:weeks reason:text",
)
CURVE = spec(
    "tie_survival",
    "grouping level age_days",
    "grouping:text level:text age_days:days tie_count:count person_count:count survival_ratio:ratio lower_ratio:ratio upper_ratio:ratio "
    "reason:text",
)
CURVES = [["all", "all", age, 900, 300, share, share - 0.05, share + 0.05, None] for age, share in ((0.0, 1.0), (30.0, 0.8), (90.0, 0.5))]


def half(level: str, ties: int, middle: float | None, low: float | None, high: float | None) -> list[Any]:
    return ["medium_mix", level, ties, 120, middle, low, high, None if middle else "not_reached"]


@pytest.mark.parametrize(
    "joined,said",
    [
        # the interval of channels ends at 13 weeks: chats lie wholly above it, meetings do not
        (
            half("channel+chat", 60, 19.0, 14.0, None),
            "Where chats join in within the first weeks, half last 19 weeks (at least 14), of 60 ties.",
        ),
        (
            half("channel+meeting", 60, None, 15.0, None),
            "Where meetings join in within the first weeks, half last longer than 15 weeks, of 60 ties.",
        ),
        (half("channel+meeting", 60, 14.0, 12.0, 17.0), "No other medium that joins in can be told to make them last."),
    ],
)
def test_what_keeps_ties_is_said_only_where_intervals_part(tmp_path: Path, joined: list[Any], said: str) -> None:
    rows = [half("channel", 135, 11.0, 10.0, 13.0), half("email", 135, 15.0, 12.0, 18.0), joined]
    page = render(published_file(tmp_path / "a.duckdb", [(CURVE, CURVES), (HALF, rows)]))
    text = plain(page, "survival").replace("\u00a0", " ")
    assert "Ties kept up in channels alone fade fastest: half are gone after 11 weeks (10 to 13), of 135 ties." in text
    assert said in text
    assert said in plain(page, "summary").replace("\u00a0", " ")


def test_media_in_which_too_few_ties_began_are_one_line(tmp_path: Path) -> None:
    begun = [
        *(["origin_medium", "email", *row[2:]] for row in CURVES),
        ["origin_medium", "call", 0.0, 15, 20, None, None, None, "too_few"],
    ]
    page = render(published_file(tmp_path / "a.duckdb", [(CURVE, [*CURVES, *begun])]))
    assert page.count('aria-label="Share of ties begun in') == 1
    text = plain(page, "survival")
    assert "Not shown (too few to tell): Call (15)." in text


CHURN = spec(
    "org_panel_churn",
    "panel_kind panel_start medium slice",
    "panel_kind:text panel_start:date medium:text slice:text person_count:count previous_tie_count:count persisted_count:count "
    "formed_count:count reactivated_count:count decayed_count:count persistence_ratio:ratio lower_ratio:ratio upper_ratio:ratio "
    "reason:text",
)


def kept(month: int, low: float, high: float) -> list[Any]:
    return ["month", date(2026, month, 1), "any", "all", 200, 900, 700, 130, 60, 200, (low + high) / 2, low, high, None]


@pytest.mark.parametrize(
    "rows,said",
    [
        (
            [kept(4, 0.70, 0.74), kept(5, 0.80, 0.84)],
            "the share of ties kept from the period before rose to 82% (80 to 84%) from 72% (900 ties)",
        ),
        (
            [kept(4, 0.80, 0.84), kept(5, 0.70, 0.74)],
            "the share of ties kept from the period before fell to 72% (70 to 74%) from 82% (900 ties)",
        ),
        (
            [kept(4, 0.70, 0.80), kept(5, 0.75, 0.85)],
            "Whether anything moved between April 2026 and May 2026 cannot be told from chance: the share of ties kept from the period "
            "before is 80% (75 to 85%), after 75% (900 ties)",
        ),
    ],
)
def test_the_opening_paragraph_says_what_changed_with_interval_and_base(tmp_path: Path, rows: list[list[Any]], said: str) -> None:
    page = render(published_file(tmp_path / "a.duckdb", [(PANEL, MONTHS), (CHURN, rows)]))
    assert said in plain(page, "summary").replace("\u00a0", " ")


ORIGIN = spec(
    "tie_origin",
    "origin",
    "origin:text tie_count:count tie_ratio:ratio person_count:count survival_90_ratio:ratio lower_90_ratio:ratio upper_90_ratio:ratio "
    "half_life_weeks:weeks reason:text",
)


@pytest.mark.parametrize(
    "own,said",
    [((0.30, 0.40), "They hold better"), ((0.70, 0.80), "They hold less well"), ((0.45, 0.55), "cannot be told")],
)
def test_ties_of_the_organisation_beside_those_of_people(tmp_path: Path, own: tuple[float, float], said: str) -> None:
    rows = [
        ["institutional", 600, 0.6, 200, 0.55, 0.5, 0.6, 15.0, None],
        ["organic", 400, 0.4, 200, sum(own) / 2, *own, 11.0, None],
    ]
    text = plain(render(published_file(tmp_path / "a.duckdb", [(CURVE, CURVES), (ORIGIN, rows)])), "survival")
    assert "The organisation itself brought about 60% of the ties that began (600 ties)" in text
    assert said in text
