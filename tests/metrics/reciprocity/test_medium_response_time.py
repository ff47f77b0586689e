"""Time to answer by hand, against lifelines, and in working time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from worlds import Warehouse, built, event

ONLY = ("medium_response_time", "pair_panel_balance")


def answers(world: Warehouse, medium: str = "email") -> dict[str, Any]:
    rows: list[dict[str, Any]] = world.arrow(f"select * from metrics.medium_response_time where medium = '{medium}'").to_pylist()
    return rows[0]


@pytest.fixture(scope="module")
def world() -> Warehouse:
    rows = [
        # 1 and 2: asked Friday 17:00, nudged 17:30 (the clock starts anew), answered Monday 09:00; thanked 20 minutes later, never answered
        event("2024-01-05T17:00", 1, 2),
        event("2024-01-05T17:30", 1, 2),
        event("2024-01-08T09:00", 2, 1),
        event("2024-01-08T09:20", 1, 2),
        # 1 and 3: answered in another medium only
        event("2024-01-09T10:00", 1, 3),
        event("2024-01-09T10:10", 3, 1, medium="slack_dm"),
        # 2 and 3: two threads at once, each answered in its own
        event("2024-01-10T10:00", 2, 3, thread_key=71),
        event("2024-01-10T10:05", 3, 2, thread_key=72),
        event("2024-01-10T11:00", 3, 2, thread_key=71),
        event("2024-01-10T12:05", 2, 3, thread_key=72),
        # a reaction and a meeting are no answers
        event("2024-01-10T13:00", 1, 2, medium="slack_channel", evidence="reacted"),
        event("2024-01-10T14:00", 1, [2, 3], medium="meeting_online"),
    ]
    return built(rows, only=ONLY, minimum_pairs=3)


def test_counts_by_hand(world: Warehouse) -> None:
    found = answers(world)
    assert (found["person_count"], found["pair_count"], found["message_count"], found["answered_count"]) == (3, 3, 9, 4)
    # the changes of turn: 63.5 hours over the weekend, 20 minutes, an hour and two hours
    assert found["median_switch_hours"] == pytest.approx(1.5)


def test_shares_follow_kaplan_meier(world: Warehouse) -> None:
    # minutes until answered (+) or out of sight (until 11 January 00:00): 30, 20+, 3810+, 3760, 2280, 60+, 835, 120+, 715
    found = answers(world)
    assert found["answered_in_30_minutes"] == pytest.approx(1 / 9)
    # 8 still followed at 60 minutes less the one nudged after 30
    assert found["answered_in_2_hours"] == pytest.approx(1 - 8 / 9 * 6 / 7 * 5 / 6)
    assert found["answered_in_24_hours"] == found["answered_in_2_hours"]
    assert found["answered_in_30_minutes_low"] < 1 / 9 < found["answered_in_30_minutes_high"]


def test_any_medium_counts_answers_elsewhere(world: Warehouse) -> None:
    found = answers(world, "any")
    assert found["message_count"] == 10
    # in 10 minutes through the other medium; without threads 2 and 3 answer each other after 5, 55 and 65 minutes
    assert found["answered_count"] == 2 + 1 + 2
    assert answers(world, "slack_dm")["reason"] == "too_few"
    assert answers(world, "slack_dm")["answered_in_2_hours"] is None


def test_working_time_leaves_nights_and_weekends_out(world: Warehouse) -> None:
    # Friday 17:30 to Monday 09:00 is half an hour and an hour of working time; the others lie within one working day
    found = answers(world)
    assert found["working_median_switch_hours"] == pytest.approx((1 + 1.5) / 2)
    assert found["working_answered_in_30_minutes"] == pytest.approx(1 / 9)
    # the nudged message stops at 30, as before
    assert found["working_answered_in_2_hours"] == pytest.approx(1 - 8 / 9 * 6 / 7 * 5 / 6 * 4 / 5)


def test_working_time_is_local() -> None:
    # 06:30 to 07:30 UTC is 08:30 to 09:30 in Berlin in summer: an hour of work
    pairs = ((1, 2), (3, 4), (5, 6))
    rows = [event(f"2024-07-01T{hour}:30", a, b) for pair in pairs for hour, (a, b) in (("06", pair), ("07", pair[::-1]))]

    def switch_hours(**settings: Any) -> float:
        found: float = answers(built(rows, only=ONLY, minimum_pairs=3, **settings))["working_median_switch_hours"]
        return found

    assert switch_hours(time_zone="Europe/Berlin") == 1
    assert switch_hours(working_from_hour=7.25) == 0.25
    # that Monday is no day of work where weekends are
    assert switch_hours(working_days=(6, 7), working_to_hour=24) == 0


def test_equals_lifelines() -> None:
    random = np.random.default_rng(8)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    sent: list[tuple[datetime, int, int]] = []
    for _ in range(900):
        a, b = (int(n) for n in random.choice(12, 2, replace=False))
        moment = start + timedelta(minutes=int(random.integers(0, 20 * 1440)))
        sent.append((moment, a + 1, b + 1))
        if random.random() < 0.4:
            sent.append((moment + timedelta(minutes=int(random.exponential(400)) + 1), b + 1, a + 1))
    last = max(moment for moment, _, _ in sent)
    world = built([event(moment, a, b) for moment, a, b in sent], only=ONLY, minimum_pairs=3, response_weeks=1)
    # the same by a plain walk
    minutes, is_answered = [], []
    end = last.replace(hour=0, minute=0) + timedelta(days=1)
    for position, (moment, a, b) in enumerate(sent):
        later = [(m, p, c == b) for p, (m, c, d) in enumerate(sent) if {c, d} == {a, b} and (m, p) > (moment, position)]
        following = min(later, default=(end, -1, False))
        waited = (min(following[0], end, moment + timedelta(days=7)) - moment).total_seconds() / 60
        minutes.append(waited)
        is_answered.append(following[2] and following[0] - moment <= timedelta(days=7))
    curve = KaplanMeierFitter().fit(minutes, is_answered)
    found = answers(world)
    assert found["message_count"] == len(sent)
    assert found["answered_count"] == sum(is_answered)
    for column, at in (("answered_in_30_minutes", 30), ("answered_in_2_hours", 120), ("answered_in_24_hours", 1440)):
        assert found[column] == pytest.approx(1 - curve.predict(at))
        assert found[f"{column}_low"] < found[column] < found[f"{column}_high"]
    assert found["median_hours"] == pytest.approx(curve.median_survival_time_ / 60)
    assert found["median_hours_low"] <= found["median_hours"] <= found["median_hours_high"]


def test_a_gap_is_no_refusal() -> None:
    # five messages a day and nothing in March; the one answer comes after the gap, in which it may have come long before
    rows = [
        event(f"2024-{month}-{day:02}T{hour:02}:{minute:02}", n, n + 10)
        for month in ("01", "02", "04", "05")
        for day in range(1, 29)
        for n, (hour, minute) in enumerate(((8, 0), (9, 0), (10, 0), (11, 0), (12, 0)), start=1)
    ]
    rows += [event("2024-02-28T20:00", 7, 17), event("2024-04-01T20:00", 17, 7)]
    found = answers(built(rows, only=ONLY, minimum_pairs=3, response_weeks=9))
    assert found["answered_count"] == 0
    assert found["answered_in_24_hours"] == 0
    assert found["answered_in_24_hours_high"] > 0
    assert found["median_hours"] is None
    assert found["median_switch_hours"] == 33 * 24


def test_interval_covers_the_truth_where_people_differ() -> None:
    # half of all messages are answered within 10 hours, but some people are ten times as quick as others
    hits = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        pace = np.exp(0.8 * random.normal(size=41))
        rows = []
        for pair in range(150):
            a, b = (int(n) for n in random.choice(40, 2, replace=False) + 1)
            moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=int(random.integers(0, 1440)))
            wait = random.exponential(600 / pace[b])
            rows += [event(moment, a, b, thread_key=pair + 1), event(moment + timedelta(minutes=wait), b, a, thread_key=pair + 1)]
        rows.append(event("2024-03-15", 39, 40))
        found = answers(built(rows, only=ONLY, minimum_pairs=3))
        truth = _share_within(1440, 600, 0.8)
        # first messages are answered at this rate; the answers themselves never are
        hits += found["answered_in_24_hours_low"] <= truth / 2 <= found["answered_in_24_hours_high"]
    assert hits >= 5


def test_a_sample_of_pairs_stands_for_all() -> None:
    random = np.random.default_rng(8)
    rows = []
    for a, b in combinations(range(1, 61), 2):
        for week in range(3):
            sent = datetime(2024, 1, 1, 8, tzinfo=UTC) + timedelta(weeks=week, minutes=int(random.integers(600)))
            rows.append(event(sent, a, b))
            if random.random() < 0.6:
                rows.append(event(sent + timedelta(minutes=float(random.exponential(90))), b, a))
    whole, sampled = (answers(built(rows, only=ONLY, response_sample=most)) for most in (3_000_000, 3_000))
    assert whole["sample_ratio"] == 1
    assert sampled["sample_ratio"] == pytest.approx(3_000 / len(rows))
    assert sampled["pair_count"] == pytest.approx(whole["pair_count"] * sampled["sample_ratio"], rel=0.1)
    # pairs are followed whole, and the interval is as wide as so few pairs deserve
    assert sampled["answered_in_2_hours_low"] < whole["answered_in_2_hours"] < sampled["answered_in_2_hours_high"]
    width = {name: row["answered_in_2_hours_high"] - row["answered_in_2_hours_low"] for name, row in (("all", whole), ("some", sampled))}
    assert width["some"] > 1.2 * width["all"]


def _share_within(minutes: float, mean: float, spread: float) -> float:
    pace = np.exp(spread * np.random.default_rng(0).normal(size=200_000))
    return float((1 - np.exp(-minutes * pace / mean)).mean())


def test_balance_by_hand(world: Warehouse) -> None:
    rows = world.run(
        "select person_a_key, person_b_key, medium, contact_count, balance, weight, balance_weighted from metrics.pair_panel_balance "
        "where panel_kind = 'all' and medium in ('any', 'email') order by all"
    )
    assert rows == [
        # the reaction adds a tenth to the weight of the one answer
        (1, 2, "any", 4, 0.5, 4.1, pytest.approx(2 * 1.1 / 4.1)),
        (1, 2, "email", 4, 0.5, 4.0, 0.5),
        (1, 3, "any", 2, 1.0, 2.0, 1.0),
        (1, 3, "email", 1, 0.0, 1.0, 0.0),
        (2, 3, "any", 4, 1.0, 4.0, 1.0),
        (2, 3, "email", 4, 1.0, 4.0, 1.0),
    ]
