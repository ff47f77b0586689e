"""Tie strength by hand, and the properties that make day-decay a clock of observed days."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from narrow import built_only
from worlds import days, event, person

from pipelines.warehouse import Warehouse

TABLES = ("metrics.pair_strength", "metrics.observed_day")
FEW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def strength(warehouse: Warehouse, *columns: str) -> list[tuple[object, ...]]:
    return warehouse.run(f"select {', '.join(columns)} from metrics.pair_strength order by person_a_key, person_b_key")


def test_by_hand() -> None:
    rows = [
        event("2024-01-01T09:00", 1, 2),
        event("2024-01-01T10:00", 2, 1),
        event("2024-01-11T09:00", 1, 2, medium="slack_dm"),
        event("2024-01-11T11:00", 1, [2, 3], medium="meeting_online", minutes=60.0),
        event("2024-01-21T09:00", 3, 4),
    ]
    warehouse = built_only(TABLES, rows, half_life_days=10, short_half_life_days=5, long_half_life_days=20)
    found = strength(warehouse, "active_days", "ab_count", "ba_count", "co_count", "silence_days", "age_days", "medium_count", "is_mutual")
    assert found[0] == (2, 2, 1, 1, 10, 20, 3, True)
    # two active days, 20 and 10 observed days ago: a quarter and a half; a meeting of three counts half an hour each
    decay = strength(
        warehouse, "decay_score", "decay_short_score", "decay_long_score", "meeting_minutes", "meeting_strength_minutes", "weight"
    )
    assert decay[0] == pytest.approx((0.75, 0.3125, 2**-1 + 2**-0.5, 60, 30, 3.5))
    assert warehouse.run("select media from metrics.pair_strength where person_a_key = 1 and person_b_key = 2") == [
        (["email", "meeting_online", "slack_dm"],)
    ]


def test_reactions_alone_make_no_strength() -> None:
    rows = [event("2024-01-01", 1, 2), {**event("2024-01-05", 3), "participants": [{"account_key": 4, "evidence": "reacted"}]}]
    assert strength(built_only(TABLES, rows), "person_a_key", "person_b_key") == [(1, 2)]


def chatter(skipped: range) -> list[dict[str, object]]:
    """A busy medium every day among others, and one pair in touch on two days; nothing collected on the skipped days."""
    rows = [event(moment, 8, 9) for moment in days("2024-01-01", *range(200)) if (moment.date() - date(2024, 1, 1)).days not in skipped]
    return [*rows * 3, event("2024-01-10T12:00", 1, 2), event("2024-02-10T12:00", 2, 1)]


def test_a_gap_in_collection_does_not_age_a_tie() -> None:
    whole, broken = (built_only(TABLES, chatter(skipped)) for skipped in (range(0), range(100, 130)))
    assert broken.value("select count(*) from core.gap") == 1
    assert strength(whole, "silence_days")[0] == (159,)
    assert strength(broken, "silence_days")[0] == (129,)
    assert broken.value("select max(day_number) from metrics.observed_day") == 170
    assert broken.value("select count(*) from metrics.observed_day where not is_observed") == 30


@FEW
@given(st.sets(st.integers(0, 60), min_size=1, max_size=8), st.integers(1, 40))
def test_decay_is_a_semigroup(active: set[int], later: int) -> None:
    """Decaying from today to a later day without contact is decaying all the way at once (Ahmad, Porter, Beguerisse-Diaz)."""
    rows = [event(moment, 1, 2) for moment in days("2024-01-01", *active)]
    last = date(2024, 1, 1) + timedelta(days=60)
    clock = [event(datetime.combine(last + timedelta(days=added), datetime.min.time()), 8, 9) for added in (0, later)]
    wide = {"gap_minimum_expected": 1e9}
    now = strength(built_only(TABLES, [*rows, clock[0]], **wide), "decay_score", "decay_short_score", "decay_long_score")[0]
    then = strength(built_only(TABLES, [*rows, *clock], **wide), "decay_score", "decay_short_score", "decay_long_score")[0]
    for half_life, before, after in zip((60, 14, 180), now, then, strict=True):
        assert after == pytest.approx(before * 2 ** (-later / half_life), abs=1e-8)  # type: ignore[operator]


@FEW
@given(st.permutations(range(12)), st.integers(1, 3))
def test_order_silent_people_and_repeats_within_a_day_change_nothing(order: list[int], copies: int) -> None:
    rows = [event(moment, 1 + number % 3, 4 + number % 2) for number, moment in enumerate(days("2024-01-01", *range(0, 24, 2)))]
    columns = ("person_a_key", "person_b_key", "active_days", "decay_score", "silence_days")
    expected = strength(built_only(TABLES, rows), *columns)
    moved = [row for place in order for row in [rows[place]] * copies]
    assert strength(built_only(TABLES, moved, [person(99)]), *columns) == expected
