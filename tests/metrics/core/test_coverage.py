"""Not observed is not zero: gaps are found where collection stopped, and nowhere else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from worlds import batch, eu_core, event
from worlds import core as built

START = datetime(2024, 1, 1, 9, tzinfo=UTC)


def office(days: int, silent: range = range(0), a_day: int = 8) -> list[dict[str, object]]:
    """Messages on working days, none on `silent` days."""
    moments = [START + timedelta(days=day, minutes=minute) for day in range(days) if day not in silent for minute in range(a_day)]
    return [event(moment, 1 + number % 4, 5, "slack_dm") for number, moment in enumerate(moments) if moment.weekday() < 5]


def gaps(events: list[dict[str, object]], **options: object) -> list[tuple[object, ...]]:
    return built(events, **options).run("select date_from, date_to, day_count, kind from core.gap order by 1")  # type: ignore[arg-type]


def test_weekends_are_no_gap() -> None:
    assert gaps(office(120)) == []


def test_a_long_silence_of_a_busy_medium_is_a_gap() -> None:
    # days 40 to 59 silent; day 39 is a Friday, so the weekend before day 42 is part of the silence anyway
    found = gaps(office(120, range(40, 60)))
    assert found == [(date(2024, 2, 10), date(2024, 2, 29), 20, "silent")]


def test_a_quiet_medium_is_not_suspected() -> None:
    assert gaps([event(START + timedelta(days=day), 1, 2) for day in (0, 20, 41, 65, 90)]) == []


def test_a_medium_that_fades_away_is_not_suspected() -> None:
    early = office(60)
    late = [event(START + timedelta(days=day), 1, 5, "slack_dm") for day in (90, 120, 150)]
    assert gaps(early + late) == []


def test_what_a_connector_reports_missing_is_a_gap() -> None:
    statement = {
        "source": "test",
        "stream": "messages",
        "unit_key": 0,
        "medium": "slack_dm",
        "date_from": date(2024, 2, 1),
        "date_to": date(2024, 2, 3),
    }
    warehouse = built(batch(office(60), coverage=[statement | {"status": "missing", "reason": "missing_scope"}]))
    assert warehouse.run("select date_from, day_count, kind from core.gap") == [(date(2024, 2, 1), 3, "reported")]
    assert warehouse.run("select date, reason from core.coverage_day where status = 'missing' order by 1")[0] == (
        date(2024, 2, 1),
        "reported",
    )


def test_unread_channels_make_a_day_partial() -> None:
    statement = {
        "source": "test",
        "stream": "messages",
        "unit_key": 5,
        "medium": "slack_dm",
        "date_from": date(2024, 2, 1),
        "date_to": date(2024, 2, 1),
    }
    warehouse = built(batch(office(60), coverage=[statement | {"status": "missing", "reason": "not_in_channel"}]))
    found = warehouse.run("select date, reason, unread_unit_count from core.coverage_day where status = 'partial'")
    assert found == [(date(2024, 2, 1), "not_in_channel", 1)]


def test_observation_is_what_lies_between_gaps() -> None:
    warehouse = built(office(120, range(40, 60)))
    stretches = warehouse.run("select date_from, date_to from core.observation where medium = 'any' order by 1")
    assert stretches == [(date(2024, 1, 1), date(2024, 2, 9)), (date(2024, 3, 1), date(2024, 4, 29))]


def test_a_gap_in_a_minor_medium_does_not_hide_the_others() -> None:
    major = office(120, a_day=40)
    minor = [dict(row, medium="email") for row in office(120, range(40, 60), a_day=4)]
    warehouse = built(major + minor)
    assert warehouse.run("select medium from core.gap") == [("email",)]
    assert warehouse.value("select count(*) from core.observation where medium = 'any'") == 1


def test_panels_know_whether_they_were_observed_whole() -> None:
    warehouse = built(office(120, range(40, 60)))
    found = warehouse.run(
        "select panel_start, day_count, observed_day_count, is_complete from core.panel where panel_kind = 'month' order by 1"
    )
    assert found == [
        (date(2024, 1, 1), 31, 31, True),
        (date(2024, 2, 1), 29, 9, False),
        (date(2024, 3, 1), 31, 31, True),
        (date(2024, 4, 1), 29, 29, False),
    ]


@pytest.mark.oracle
def test_the_gap_of_eu_core_is_found(oracle_data: object) -> None:
    warehouse = built(eu_core(oracle_data))  # type: ignore[arg-type]
    assert warehouse.value("select count(*) from core.interaction where exclusion is null") == 332_334
    longest = warehouse.run("select date_from, day_count from core.gap order by day_count desc limit 1")
    # nothing between day 525.5 and day 797.3; day 0 is 2020-01-01
    assert longest == [(date(2021, 6, 10), 271)]
    assert warehouse.value("select max(date_to) from core.observation where date_to < date '2021-12-01'") == date(2021, 6, 9)


def drops(events: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return built(events).run("select date, status, interaction_count from core.coverage_day where reason = 'drop' order by 1")


def test_a_day_with_thirty_percent_less_than_usual_is_a_break_in_coverage() -> None:
    # 40 messages each working day; on Wednesday 6 March only 20: half, and below 40 - 3 * sqrt(40) = 21
    events = office(80, a_day=40)
    wednesday = [row for row in events if str(row["occurred_at"])[:10] == "2024-03-06"]
    without = [row for row in events if row not in wednesday[20:]]
    assert drops(events) == []
    assert drops(without) == [(date(2024, 3, 6), "partial", 20)]


def test_a_rare_medium_and_a_medium_that_always_varies_do_not_drop() -> None:
    assert drops([row for number, row in enumerate(office(80, a_day=4)) if number != 150]) == []
    varied = [event(START + timedelta(days=day, minutes=minute), 1, 5) for day in range(80) for minute in range(60 if day // 7 % 2 else 20)]
    assert drops(varied) == []


def passing(first: int, last: int, a_day: int, people: int, medium: str = "email") -> list[dict[str, object]]:
    """So many messages on each working day, by so many people."""
    return [
        event(START + timedelta(days=day, minutes=k), 1 + k % people, 101 + k % people, medium)
        for day in range(first, last)
        if (START + timedelta(days=day)).weekday() < 5
        for k in range(a_day)
    ]


def test_collection_that_fades_is_a_gap_until_it_comes_back() -> None:
    # from Monday, day 301, two people of twenty send a twentieth of what passed before
    faded = passing(0, 301, 40, 20) + passing(301, 420, 2, 2)
    start = (START + timedelta(days=301)).date()
    assert start.weekday() == 0
    (found,) = gaps(faded)
    assert (found[0], found[3]) == (start, "faded")
    assert found[1] == (START + timedelta(days=419)).date() or found[1].weekday() == 4
    (found,) = gaps(faded + passing(420, 480, 40, 20))
    assert (found[0], found[1], found[3]) == (start, date(2025, 2, 23), "faded")


def test_less_from_everybody_and_a_short_history_are_no_fault_of_collection() -> None:
    assert gaps(passing(0, 301, 160, 20) + passing(301, 420, 20, 20)) == []
    assert gaps(passing(0, 100, 40, 20) + passing(100, 200, 2, 2)) == []


def test_a_medium_that_everybody_left_for_another_is_no_fault_of_collection() -> None:
    left = passing(0, 200, 40, 20, "slack_dm")
    straggler = [event(START + timedelta(days=240), 1, 101, "slack_dm")]
    assert gaps(left + straggler) == []
    assert gaps(left + straggler + passing(200, 300, 40, 20, "teams_chat")) == []
    # but where it comes back, it was a fault
    assert [row[3] for row in gaps(left + passing(240, 300, 40, 20, "slack_dm"))] == ["silent"]
