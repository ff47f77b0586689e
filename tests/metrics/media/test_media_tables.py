"""The tables of media on one small world, by rows derived by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from narrow import built_only
from scipy.stats import binomtest
from worlds import event, person

from metrics.media.medium_escalation import medium_escalation
from metrics.media.medium_persistence import medium_persistence
from metrics.parameters import Parameters
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse

FIRST = datetime(2025, 1, 1, 12, tzinfo=UTC)
TABLES = ("metrics.medium_scorecard", "metrics.medium_multiplexity", "metrics.medium_escalation", "metrics.medium_persistence")
SPAN = 200


def said(medium: str, a: int, b: int, *days: int, **fields: Any) -> list[dict[str, Any]]:
    return [event(FIRST + timedelta(days=day), a, b, medium, **fields) for day in days]


@pytest.fixture(scope="module")
def world() -> Warehouse:
    """Eleven ties; days count from the first of January.

    1-2 and 3-4: e-mail both ways every week from the start. 5-6, 7-8, 9-10, 11-12 and 13-14 begin by e-mail on day 100 and meet
    from day 110 on. 15-16 and 17-18 begin by chat on day 100 and stop at once. 1-20: a client, e-mail. 21-22: chat on day 100,
    nothing for 95 days, chat.
    """
    events = []
    for a, b in ((1, 2), (3, 4)):
        events += said("email", a, b, *range(0, SPAN, 7)) + said("email", b, a, *range(1, SPAN, 7))
    for a in (5, 7, 9, 11, 13):
        events += said("email", a, a + 1, 100, 101) + said("email", a + 1, a, 102, 195)
        events += said("meeting_online", a, a + 1, *range(110, SPAN, 10), minutes=30.0)
    for a in (15, 17):
        events += said("slack_dm", a, a + 1, 100) + said("slack_dm", a + 1, a, 101)
    events += said("email", 1, 20, *range(0, SPAN, 7)) + said("email", 20, 1, *range(2, SPAN, 7))
    events += said("slack_dm", 21, 22, 100, 196) + said("slack_dm", 22, 21, 101, 197)
    people = [person(number, domain_key=2 if number == 20 else 1) for number in range(1, 23)]
    teams = {number: "North" if number % 2 else "South" for number in range(1, 23) if number != 20} | {4: "North"}
    declared = Declarations(organisations=[("own", "Own", "own"), ("acme", "Acme", "client")], domains=[(1, "own"), (2, "acme")])
    return built_only(TABLES, events, people=people, teams=teams, declarations=declared, gap_minimum_expected=1000)


def by(warehouse: Warehouse, table: str, *keys: str, where: str = "true") -> dict[Any, dict[str, Any]]:
    rows = warehouse.arrow(f"select * from metrics.{table} where {where}").to_pylist()
    return {tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in rows}


def test_media_in_a_tie_and_media_given_another(world: Warehouse) -> None:
    rows = by(world, "medium_multiplexity", "measure", "given_medium", "label", where="panel_kind = 'all'")
    assert rows["media_number", "any", "1"]["used_tie_count"] == 6
    assert rows["media_number", "any", "2"]["used_ratio"] == pytest.approx(5 / 11)
    assert (rows["also_uses", "email", "meeting_online"]["tie_count"], rows["also_uses", "email", "meeting_online"]["used_tie_count"]) == (
        8,
        5,
    )
    assert rows["also_uses", "meeting_online", "email"]["used_ratio"] == 1.0
    assert rows["also_uses", "slack_dm", "email"]["used_tie_count"] == 0
    assert rows["also_uses", "any", "email"]["used_ratio"] == pytest.approx(8 / 11)
    assert rows["also_uses", "any", "email"]["lift_ratio"] == pytest.approx(1)
    assert rows["also_uses", "meeting_online", "email"]["upper_ratio"] == pytest.approx(1)


def test_the_null_holds_activity_equal(world: Warehouse) -> None:
    row = by(world, "medium_multiplexity", "given_medium", "label", where="panel_kind = 'all' and measure = 'also_uses'")
    # days of contact: 58 three times (client 57), 13 five times, 2 twice and 4 once. Ties that meet are the only ones of their activity
    assert row["meeting_online", "email"]["null_ratio"] == pytest.approx(1)
    assert row["email", "meeting_online"]["null_ratio"] == pytest.approx(5 / 8)


def test_order_of_first_use(world: Warehouse) -> None:
    use = by(world, "tie_medium_use", "person_a_key", "medium", where="person_a_key in (1, 5) and person_b_key in (2, 6)")
    assert (use[5, "email"]["use_number"], use[5, "meeting_online"]["use_number"]) == (1, 2)
    assert (use[5, "email"]["active_days"], use[5, "meeting_online"]["active_days"]) == (4, 9)
    assert use[1, "email"]["is_left_truncated"]
    assert not use[5, "email"]["is_left_truncated"]
    steps = by(world, "medium_escalation", "from_medium", "to_medium")
    row = steps["email", "meeting_online"]
    assert (row["tie_count"], row["transition_count"], row["transition_ratio"], row["median_days"]) == (5, 5, 1.0, 10.0)
    # five times 4 / 13 of 1.54, rounded
    assert (row["null_count"], row["reason"]) == (2, "too_few")
    assert steps["meeting_online", "email"]["transition_count"] == 0


def test_hours_are_people_times_minutes_and_stated_assumptions_about_messages(world: Warehouse) -> None:
    rows = by(world, "medium_effort", "medium", where="panel_kind = 'all'")
    # 5 ties x 9 meetings x 2 people x 30 minutes
    assert rows["meeting_online"]["person_hours"] == pytest.approx(45)
    assert rows["meeting_online"]["start_window_hours"] == pytest.approx(45)
    # 8 chats of .75 + .25 minutes
    assert rows["slack_dm"]["person_hours"] == pytest.approx(8 / 60, abs=1e-6)
    assert rows["email"]["interaction_count"] == 116 + 58 + 20
    assert rows["email"]["person_hours"] == pytest.approx(rows["email"]["interaction_count"] * 5 / 60, abs=1e-6)
    assert rows["email"]["start_window_hours"] < rows["email"]["person_hours"]
    assert rows["any"]["person_hours"] == pytest.approx(sum(rows[medium]["person_hours"] for medium in rows if medium != "any"), abs=1e-5)


def test_hours_of_larger_meetings_and_calls() -> None:
    events = [
        event(FIRST, 1, [2, 3, 4], "meeting_online", minutes=60.0),
        event(FIRST, 1, 2, "call", minutes=15.0),
        event(FIRST, 1, 2, "meeting_in_person"),
        event(FIRST, 1, list(range(2, 31)), "meeting_hybrid", minutes=60.0),
    ]
    rows = by(built_only("metrics.medium_effort", events), "medium_effort", "medium", where="panel_kind = 'all'")
    assert rows["meeting_online"]["person_hours"] == pytest.approx(4)
    assert rows["call"]["person_hours"] == pytest.approx(0.5)
    assert (rows["meeting_in_person"]["person_hours"], rows["meeting_in_person"]["unknown_length_count"]) == (0, 1)
    # over the cap: no contact, but the time of thirty people
    assert rows["meeting_hybrid"]["person_hours"] == pytest.approx(30)


def test_scorecard(world: Warehouse) -> None:
    rows = by(world, "medium_scorecard", "medium")
    assert set(rows) == {"any", "email", "meeting_online", "slack_dm"}
    # eight begin in sight (five by e-mail, three by chat) and 21-22 begins again
    assert rows["any"]["started_tie_count"] == 9
    assert (rows["email"]["started_tie_count"], rows["slack_dm"]["started_tie_count"], rows["meeting_online"]["started_tie_count"]) == (
        5,
        4,
        0,
    )
    assert rows["email"]["started_ratio"] == pytest.approx(5 / 9)
    assert (rows["slack_dm"]["revived_tie_count"], rows["slack_dm"]["revived_ratio"]) == (1, 0.25)
    wilson = binomtest(1, 4).proportion_ci(method="wilson")
    bounds = (rows["slack_dm"]["lower_revived_ratio"], rows["slack_dm"]["upper_revived_ratio"])
    assert bounds == (pytest.approx(wilson.low, abs=1e-3), pytest.approx(wilson.high, abs=1e-3))
    assert rows["meeting_online"]["revived_ratio"] is None
    assert (rows["email"]["used_tie_count"], rows["any"]["used_tie_count"], rows["meeting_online"]["used_tie_count"]) == (8, 11, 5)
    assert rows["email"]["external_ratio"] == pytest.approx(1 / 8)
    # of the ten internal ties 3-4 alone is within a team
    assert rows["any"]["cross_team_ratio"] == pytest.approx(0.9)
    assert rows["email"]["cross_team_ratio"] == pytest.approx(6 / 7)
    assert rows["email"]["mutual_ratio"] == 1.0
    assert (rows["meeting_online"]["mutual_ratio"], rows["meeting_online"]["mutual_reason"]) == (None, "no_direction")
    assert rows["meeting_online"]["kept_reason"] == rows["meeting_online"]["adjusted_reason"] == "none_started"
    assert rows["email"]["adjusted_reason"] == "too_few"
    assert rows["email"]["lower_external_ratio"] < 1 / 8 < rows["email"]["upper_external_ratio"]


def use_rows(orders: list[tuple[str, str]], days: tuple[int, int] = (5, 5)) -> pa.Table:
    """Ties between people of their own that took up the two media of each order on days 0 and 4."""
    return pa.Table.from_pylist(
        [
            {
                "person_a_key": 2 * number, "person_b_key": 2 * number + 1, "medium": medium,
                "first_at": np.datetime64("2025-01-01", "us") + np.timedelta64(4 * at, "D"),
                "last_at": np.datetime64("2025-02-01", "us"), "active_days": days[sorted(order).index(medium)], "use_number": at + 1,
                "is_left_truncated": False,
            }
            for number, order in enumerate(orders)
            for at, medium in enumerate(order)
        ]
    )  # fmt: skip


def test_escalation_against_shuffled_labels() -> None:
    orders = [("email", "slack_dm")] * 30 + [("slack_dm", "email")] * 10
    rows = medium_escalation(use_rows(orders), Parameters()).set_index(["from_medium", "to_medium"])
    row = rows.loc[("email", "slack_dm")]
    # forty fair coins: 20 expected, variance 10
    assert (row["transition_count"], row["null_count"], row["over_null_ratio"], row["median_days"]) == (30, 20, 1.5, 4.0)
    assert row["z_score"] == pytest.approx(10 / 10**0.5)
    assert rows.loc[("slack_dm", "email"), "z_score"] == pytest.approx(-(10 / 10**0.5))
    # a medium that is used three times as often comes first three times as often
    rows = medium_escalation(use_rows(orders, (15, 5)), Parameters()).set_index(["from_medium", "to_medium"])
    assert rows.loc[("email", "slack_dm"), "z_score"] == pytest.approx(0)


def test_escalation_does_not_depend_on_the_order_of_rows() -> None:
    table = use_rows([("email", "slack_dm")] * 12 + [("slack_dm", "email")] * 9)
    shuffled = table.take(pa.array(list(reversed(range(table.num_rows)))))
    pd.testing.assert_frame_equal(medium_escalation(table, Parameters()), medium_escalation(shuffled, Parameters()))


def test_persistence_recovers_a_planted_association_and_no_more() -> None:
    rng = np.random.default_rng(11)
    rows = []
    for number in range(4000):
        media = [["email"], ["slack_dm"], ["email", "slack_dm"]][rng.integers(0, 3)]
        contacts = int(rng.integers(1, 6) + 4 * (len(media) == 2))
        halves = [contacts // 2, contacts - contacts // 2] if len(media) == 2 else [contacts]
        log_odds = -1.2 + 0.9 * np.log1p(contacts) - 0.7 * (media == ["slack_dm"])
        rows.append(
            {
                "panel_kind": "month", "panel_start": date(2025, 1 + number % 3, 1), "person_a_key": int(rng.integers(0, 300)),
                "person_b_key": 1000 + number, "media": media, "media_contact_counts": halves[-len(media) :],
                "contact_count": contacts, "active_days": contacts, "quiet_days": 1, "partner_count": 10, "is_tie": True,
                "is_active_next": bool(rng.random() < 1 / (1 + np.exp(-log_odds))), "sample_ratio": 1.0,
            }
        )  # fmt: skip
    table = medium_persistence(pa.Table.from_pylist(rows), Parameters())
    at = table[(table["population"] == "contact") & (table["contrast"] == "exclusive")].set_index(["medium", "adjustment"])
    reference = at["reference_medium"].iloc[0]
    other = "slack_dm" if reference == "email" else "email"
    sign = -1 if other == "slack_dm" else 1
    assert at.loc[(other, "contacts"), "association"] * sign == pytest.approx(0.7, abs=0.2)
    assert abs(at.loc[(other, "contacts"), "z_score"]) > 5
    several = at.loc[("several", "contacts"), "association"]
    against_email = several if reference == "email" else several - at.loc[("email", "contacts"), "association"]
    assert against_email == pytest.approx(0, abs=0.3)
    assert (table["reason"].dropna() == "reference").all()
