"""Ties between teams by hand, followed over three months."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from worlds import Warehouse, built, event

TEAMS = {1: "red", 2: "red", 3: "red", 4: "blue", 5: "blue", 6: "green"}


@pytest.fixture(scope="module")
def world() -> Warehouse:
    rows = []
    # January: 1-2, 1-3 in red, 1-4, 2-4 between, 4-5 met on three days; 6 wrote to 5 once
    for a, b in ((1, 2), (1, 3), (1, 4), (2, 4)):
        rows += [event("2024-01-02", a, b), event("2024-01-03", b, a)]
    rows += [event(f"2024-01-{day}", 4, 5, medium="meeting_online") for day in (10, 11, 12)]
    rows += [event("2024-01-15", 6, 5), event("2024-01-01", 1, 3), event("2024-01-31", 1, 3)]
    # February: 1-4 kept; 3-5 one way on three days
    rows += [event("2024-02-02", 1, 4), event("2024-02-03", 4, 1), *(event(f"2024-02-{day}", 3, 5) for day in (10, 11, 12))]
    rows += [
        event(f"2024-{month:02}-{day:02}T09:00", 1, 2, medium="call")
        for month in (1, 2, 3)
        for day in range(1, 32)
        if (month, day) < (2, 30)
    ]
    rows += [event("2024-03-31", 1, 2)]
    return built(rows, teams=TEAMS, only=("team_pair_panel",), as_of=date(2024, 3, 31))


def row(world: Warehouse, month: int, team_a: str, team_b: str, columns: str) -> tuple[Any, ...]:
    found = world.run(
        f"select {columns} from metrics.team_pair_panel "
        "where panel_kind = 'month' and month(panel_start) = $1 and team_a = $2 and team_b = $3",
        [month, team_a, team_b],
    )
    assert len(found) == 1
    return tuple(found[0])


def test_ties_people_and_density(world: Warehouse) -> None:
    columns = "is_within, person_count, team_a_person_count, team_b_person_count, tie_count, possible_tie_count, density"
    # between: tied are 1, 2 of red and 4 of blue
    assert row(world, 1, "blue", "red", columns) == (False, 1, 2, 3, 2, 6, pytest.approx(2 / 6))
    assert row(world, 1, "red", "red", columns) == (True, 3, 3, 3, 2, 3, pytest.approx(2 / 3))
    assert row(world, 1, "blue", "blue", columns) == (True, 2, 2, 2, 1, 1, 1.0)
    assert row(world, 1, "blue", "green", columns) == (False, 0, 2, 1, 0, 2, 0.0)


def test_expected_under_both_nulls(world: Warehouse) -> None:
    # 5 ties over 15 possible pairs: 1/3 a pair; degrees 1: 3, 2: 2, 3: 1, 4: 3, 5: 1, 6: 0, so that (10^2 - 24) / 2 = 38 over all pairs
    columns = "expected_tie_count_dyad, density_ratio, expected_tie_count_degree, degree_ratio"
    assert row(world, 1, "blue", "red", columns) == tuple(map(pytest.approx, (2, 1, 5 * 24 / 38, 2 / (5 * 24 / 38))))
    assert row(world, 1, "red", "red", columns) == tuple(map(pytest.approx, (1, 2, 5 * 11 / 38, 2 / (5 * 11 / 38))))
    # 6 has no tie, so none was to be expected from how busy people are
    assert row(world, 1, "blue", "green", columns) == (pytest.approx(2 / 3), 0.0, 0.0, None)


def test_interval_lets_ties_of_a_person_depend_on_each_other(world: Warehouse) -> None:
    ratio, low, high = row(world, 1, "blue", "red", "density_ratio, density_ratio_low, density_ratio_high")
    # persons: (1 + 1 - 4/3) + (4 - 4/2) = 2.667, pairs: 2 (1 - 1/3) = 1.333, so sqrt(1.333) / 2 on the log scale
    assert (low, high) == (pytest.approx(ratio * 0.3226, rel=1e-3), pytest.approx(ratio * 3.0999, rel=1e-3))
    assert row(world, 1, "blue", "green", "density_ratio_low, density_ratio_high") == (0, pytest.approx(3.6889 / (2 / 3), rel=1e-4))


def test_mutuality_leaves_out_ties_of_meetings(world: Warehouse) -> None:
    columns = "directed_tie_count, mutual_tie_count, mutual_share"
    assert row(world, 1, "blue", "blue", columns) == (0, 0, None)
    assert row(world, 1, "blue", "red", columns) == (2, 2, 1.0)
    assert row(world, 2, "blue", "red", columns) == (2, 1, 0.5)


def test_decay_follows_the_ties_of_the_month_before(world: Warehouse) -> None:
    columns = "previous_tie_count, kept_tie_count, decay, decay_reason"
    assert row(world, 1, "blue", "red", columns) == (None, None, None, "no_previous")
    assert row(world, 2, "blue", "red", columns) == (2, 1, 0.5, None)
    assert row(world, 2, "blue", "blue", columns) == (1, 0, 1.0, None)
    assert row(world, 2, "blue", "blue", "tie_count, team_a_person_count, density_ratio") == (0, 2, 0.0)
    # Wilson's interval of 1 in 2
    assert row(world, 2, "blue", "red", "decay_low, decay_high") == (pytest.approx(0.0945, abs=2e-4), pytest.approx(0.9055, abs=2e-4))
    assert row(world, 3, "blue", "red", "tie_count, possible_tie_count, decay") == (0, 0, 1.0)


def test_expected_ties_add_up(world: Warehouse) -> None:
    found = world.run(
        "select sum(tie_count), sum(possible_tie_count) from metrics.team_pair_panel where panel_kind = 'month' and month(panel_start) = 1"
    )
    # green with red was never in contact and has no row: 3 of 15 pairs
    assert found == [(5, 12)]
