"""Policies on built worlds: outcomes by week, effects planted in the events, and what is said when there is too little."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from narrow import built_only
from worlds import event, person

from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

TABLES = ("metrics.team_week_outcome", "metrics.policy_effect", "metrics.policy_event_study")
MONDAY = date(2024, 1, 1)
TEAMS = 10
SIZE = 3


def team_of(number: int) -> str:
    return f"team {number // SIZE:02d}"


def policy(*rows: tuple[str, date, list[str]]) -> Declarations:
    return Declarations(policies=[(key, key, start, teams, "") for key, start, teams in rows])


def meetings(weeks: int, minutes: dict[tuple[int, int], float], seed: int = 1) -> list[dict[str, object]]:
    """Every team meets once a week: an hour give or take, plus what `minutes` says for a team and week."""
    random = np.random.default_rng(seed)
    rows = []
    for week in range(weeks):
        for team in range(TEAMS):
            people = [team * SIZE + place + 1 for place in range(SIZE)]
            when = datetime.combine(MONDAY + timedelta(days=7 * week + 1), datetime.min.time()) + timedelta(hours=9)
            length = 60 + random.normal(0, 5) + minutes.get((team, week), 0)
            rows.append(event(when, people[0], people, medium="meeting_online", minutes=float(length)))
            # something on the last day of the week, so that the last week is whole
            rows.append(event(when + timedelta(days=5), people[0], people[1], medium="slack_dm"))
    return rows


def world(weeks: int, minutes: dict[tuple[int, int], float], declarations: Declarations, seed: int = 1) -> Warehouse:
    people = [person(number + 1) for number in range(TEAMS * SIZE)]
    teams = {number + 1: team_of(number) for number in range(TEAMS * SIZE)}
    return built_only(TABLES, meetings(weeks, minutes, seed), people, teams, declarations)


@pytest.fixture(scope="module")
def staggered() -> Warehouse:
    """Four of ten teams start in the 17th week and two more in the 21st; each then meets half an hour longer."""
    begun = {team: 16 if team < 4 else 20 for team in range(6)}
    more = {(team, week): 30.0 for team, start in begun.items() for week in range(start, 36)}
    first, second = MONDAY + timedelta(days=16 * 7), MONDAY + timedelta(days=20 * 7)
    rows = [("longer", first, [team_of(SIZE * team) for team in range(4)]), ("longer", second, [team_of(SIZE * team) for team in (4, 5)])]
    return world(36, more, policy(*rows, ("lonely", first, [team_of(0)])))


def effect(warehouse: Warehouse, key: str, outcome: str) -> pd.DataFrame:
    rows = warehouse.connection.sql("select * from metrics.policy_effect").df()
    return rows[(rows["policy_key"] == key) & (rows["outcome"] == outcome)]


def test_a_week_of_a_team_by_hand() -> None:
    declared = policy(("p", date(2024, 1, 15), []))
    people = [person(number) for number in (1, 2, 3, 4)]
    teams = {1: "a", 2: "a", 3: "b", 4: "b"}
    rows = [
        event("2024-01-01T09:00", 1, [1, 2, 3], medium="meeting_online", minutes=90.0),
        event("2024-01-02T09:00", 1, 2),
        event("2024-01-09T09:00", 2, 3),
        event("2024-01-28T09:00", 4, 3),
    ]
    warehouse = built_only(TABLES, rows, people, teams, declared, gap_minimum_expected=1e9)
    found = warehouse.run(
        "select member_count, meeting_hours, internal_contact_count, cross_team_ratio, at_risk_count from metrics.team_week_outcome "
        "where team = 'a' and week_start = '2024-01-01'"
    )
    # one and a half hours each for both of a; sides: 1-2 and 2-1 on Monday and Tuesday, 1-3 and 2-3 on Monday
    assert found == [(2, pytest.approx(1.5), 6, pytest.approx(2 / 6), 0)]
    whole = warehouse.run(
        "select member_count, meeting_hours from metrics.team_week_outcome where team is null and week_start = '2024-01-01'"
    )
    # the fourth person is first seen later; the third attended as well
    assert whole == [(3, pytest.approx(1.5))]
    kept = warehouse.run("select at_risk_count, kept_ratio from metrics.team_week_outcome where team = 'a' and week_start = '2024-01-08'")
    # fewer than four weeks were observed before
    assert kept == [(4, None)]


def test_a_team_that_fell_silent_keeps_its_row_while_ties_are_at_risk() -> None:
    declared = policy(("p", date(2024, 1, 15), []))
    people = [person(number) for number in (1, 2, 3, 4)]
    rows = [event("2024-01-02T09:00", 1, 2), *(event(f"2024-01-{day:02d}T09:00", 3, 4) for day in range(1, 29))]
    warehouse = built_only(TABLES, rows, people, {1: "a", 2: "a", 3: "b", 4: "b"}, declared, gap_minimum_expected=1e9)
    found = warehouse.run(
        "select week_start, member_count, at_risk_count, meeting_hours, kept_ratio from metrics.team_week_outcome "
        "where team = 'a' and week_start > '2024-01-01' order by 1"
    )
    # two sides of one pair; the fourth week has not four whole ones before it
    assert found == [(date(2024, 1, day), 0, 2, None, None) for day in (8, 15, 22)]


def test_nothing_is_computed_where_no_policy_is_declared() -> None:
    warehouse = built_only(TABLES, [event("2024-01-01", 1, 2)], [person(1), person(2)], {1: "a", 2: "b"})
    for table in ("team_week_outcome", "policy_effect", "policy_event_study"):
        assert warehouse.value(f"select count(*) from metrics.{table}") == 0


def test_weeks_in_a_gap_are_empty_not_nothing() -> None:
    chats = [event(datetime.combine(MONDAY + timedelta(days=day), datetime.min.time()), 1, 2, medium="slack_dm") for day in range(210)]
    rows = [row for row in [*meetings(30, {}), *chats * 5] if not date(2024, 4, 1) <= row["occurred_at"].date() < date(2024, 4, 29)]
    people = [person(number + 1) for number in range(TEAMS * SIZE)]
    warehouse = built_only(
        TABLES, rows, people, {number + 1: team_of(number) for number in range(TEAMS * SIZE)}, policy(("p", date(2024, 5, 6), []))
    )
    found = warehouse.run(
        "select distinct is_observed, meeting_hours is null, kept_ratio is null from metrics.team_week_outcome "
        "where week_start between '2024-04-01' and '2024-04-22'"
    )
    assert found == [(False, True, True)]
    after = warehouse.run("select distinct kept_ratio is null from metrics.team_week_outcome where week_start = '2024-05-06'")
    assert after == [(True,)]


def test_a_planted_effect_on_teams_is_found(staggered: Warehouse) -> None:
    row = effect(staggered, "longer", "meeting_hours").iloc[0]
    assert row["method"] == "staggered"
    assert (row["treated_team_count"], row["compared_team_count"]) == (6, 4)
    assert row["effect_low"] <= 0.5 <= row["effect_high"]
    assert row["p_value_ratio"] < 0.001
    assert row["pre_trend_p_ratio"] > 0.01
    assert row["baseline"] == pytest.approx(1, abs=0.05)
    # new ties are counted from the seventeenth week on, when the first teams start: there is no before to compare with
    assert effect(staggered, "longer", "tie_formation")["reason"].iloc[0] == "too_few_teams"


def test_the_event_study_is_flat_before_and_steps_after(staggered: Warehouse) -> None:
    rows = staggered.connection.sql("select * from metrics.policy_event_study where outcome = 'meeting_hours' order by block").df()
    assert set(rows["policy_key"]) == {"longer"}
    assert rows.loc[rows["is_before"], "effect"].abs().max() < 0.15
    assert (rows.loc[~rows["is_before"], "effect"] - 0.5).abs().max() < 0.15


def test_one_team_is_too_few(staggered: Warehouse) -> None:
    rows = effect(staggered, "lonely", "meeting_hours")
    assert list(rows["reason"]) == ["too_few_teams"]
    assert rows["effect"].isna().all()


def test_a_policy_for_everyone_is_judged_by_the_own_trend() -> None:
    more = {(team, week): 30.0 for team in range(TEAMS) for week in range(20, 40)}
    warehouse = world(40, more, policy(("all", MONDAY + timedelta(days=140), [])))
    rows = effect(warehouse, "all", "meeting_hours").set_index("estimand")
    assert set(rows.index) == {"average", "level", "slope"}
    assert rows.loc["level", "effect_low"] <= 0.5 <= rows.loc["level", "effect_high"]
    assert rows.loc["level", "p_value_ratio"] < 0.001
    assert (rows["method"] == "interrupted").all()
    # what calls more than 7% of changes that are not there is withheld
    assert (rows.loc["slope", "reason"], rows.loc["level", "reason"]) == ("false_alarms", None)
    assert np.isnan(rows.loc["slope", "effect"])
    crossing = effect(warehouse, "all", "cross_team").set_index("estimand")
    assert set(crossing["reason"].dropna()) <= {"false_alarms", "no_variation", "not_observed"}
    level = rows.loc["level"]
    # half the interval and 84% of its quantile more
    assert level["detectable_effect"] == pytest.approx((level["effect_high"] - level["effect_low"]) / 2 * (1 + 0.8416 / 1.96), rel=1e-3)
    assert level["margin"] == pytest.approx(0.1 * level["baseline"])
    # half an hour more is no equivalence
    assert level["equivalence_p_ratio"] > 0.9
    assert level["adjusted_p_ratio"] >= level["p_value_ratio"]


def test_no_more_than_the_margin_is_said_only_where_shown() -> None:
    for minutes, is_shown in ((0.0, True), (12.0, False)):
        more = {(team, week): minutes for team in range(5) for week in range(20, 40)}
        teams = [team_of(SIZE * number) for number in range(5)]
        warehouse = world(40, more, policy(("some", MONDAY + timedelta(days=140), teams)))
        row = effect(warehouse, "some", "meeting_hours").iloc[0]
        assert (row["equivalence_p_ratio"] < 0.05) == is_shown
        assert (row["effect_high"] < row["margin"]) or not is_shown


def test_a_few_weeks_are_too_few() -> None:
    warehouse = world(12, {}, policy(("all", MONDAY + timedelta(days=63), [])))
    assert effect(warehouse, "all", "meeting_hours")["reason"].iloc[0] == "too_few_weeks"
