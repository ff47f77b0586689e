"""Ties across teams: by hand, the exact null against shuffled labels, and what must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import Warehouse, built, event

from metrics.cross_team._mixing import main_label, shuffled_within
from metrics.cross_team.org_panel_cross_team import crossing
from metrics.parameters import Parameters

FEW = Parameters(minimum_pairs=3)


def figures(pairs: list[tuple[int, int]], team: dict[int, int], parameters: Parameters = FEW) -> dict[str, Any]:
    a, b = (np.array([min(pair) for pair in sorted(pairs)]), np.array([max(pair) for pair in sorted(pairs)]))
    return crossing(a, b, np.array([team[n] for n in a.tolist()]), np.array([team[n] for n in b.tolist()]), parameters)


def test_by_hand() -> None:
    # teams {1, 2, 3} and {4, 5}; ties 12, 13, 45 within and 34 across: E-I = (1 - 3) / 4
    found = figures([(1, 2), (1, 3), (4, 5), (3, 4)], {1: 0, 2: 0, 3: 0, 4: 1, 5: 1})
    assert (found["person_count"], found["team_count"], found["tie_count"], found["cross_team_tie_count"]) == (5, 2, 4, 1)
    assert found["ei"] == pytest.approx(-0.5)
    # 3 + 1 of 10 possible pairs lie within teams
    assert found["ei_null"] == pytest.approx(1 - 2 * 4 / 10)
    assert found["cross_team_share_null"] == pytest.approx(0.6)
    # ends: 1, 1 and 2, 1, 2 ... team 0 has 2 + 1 + 2 = 5 of 8, team 1 has 3
    assert found["ei_degree_null"] == pytest.approx(1 - 2 * ((5 / 8) ** 2 + (3 / 8) ** 2))
    assert found["ei_z"] == pytest.approx((found["ei"] - found["ei_null"]) / found["ei_null_sd"])
    assert found["ei_low"] == pytest.approx(2 * found["cross_team_share_low"] - 1)


@pytest.mark.parametrize("seed", range(4))
def test_null_equals_shuffled_labels(seed: int) -> None:
    random = np.random.default_rng(seed)
    people = 14
    first, second = np.triu_indices(people, 1)
    kept = random.random(len(first)) < 0.3
    first, second = first[kept], second[kept]
    degree = np.bincount(np.concatenate([first, second]), minlength=people)
    label = np.sort(random.integers(0, 4, people))
    shares = []
    for _ in range(20_000):
        dealt = random.permutation(label)
        shares.append((dealt[first] == dealt[second]).mean())
    mean, deviation = shuffled_within(degree, np.bincount(label, minlength=4))
    assert mean == pytest.approx(np.mean(shares), abs=4 * deviation / np.sqrt(20_000))
    assert deviation == pytest.approx(np.std(shares), rel=0.03)


def test_null_without_variation() -> None:
    # everyone tied to everyone: however the teams are dealt, the same ties lie within
    degree = np.full(6, 5)
    mean, deviation = shuffled_within(degree, np.array([3, 3]))
    assert mean == pytest.approx(6 / 15)
    assert deviation == 0


def test_main_label() -> None:
    person, label = np.array([0, 0, 0, 1, 1, 2]), np.array([2, 1, 2, 3, 0, 1])
    # person 1 is as often in 3 as in 0: the lesser
    assert main_label(person, label, 3, 4).tolist() == [2, 0, 1]


pair_sets = st.sets(st.tuples(st.integers(1, 12), st.integers(1, 12)).filter(lambda pair: pair[0] < pair[1]), min_size=3, max_size=40)


@settings(max_examples=40, deadline=None)
@given(pair_sets, st.lists(st.integers(0, 3), min_size=13, max_size=13), st.permutations(range(1, 13)))
def test_names_of_people_and_teams_do_not_matter(pairs: set[tuple[int, int]], teams: list[int], names: list[int]) -> None:
    team = dict(enumerate(teams))
    plain = figures(list(pairs), team)
    renamed = {names[number - 1]: 7 - team[number] for number in range(1, 13)}
    other = figures([(names[a - 1], names[b - 1]) for a, b in pairs], renamed)
    assert {k: v for k, v in other.items() if isinstance(v, int | str | None)} == {
        k: v for k, v in plain.items() if isinstance(v, int | str | None)
    }
    for name, value in plain.items():
        if isinstance(value, float):
            assert other[name] == pytest.approx(value, rel=1e-6, abs=1e-9)


@pytest.fixture(scope="module")
def world() -> Warehouse:
    teams = {1: "red", 2: "red", 3: "red", 4: "blue", 5: "blue"}
    rows = []
    for a, b in ((1, 2), (1, 3), (4, 5), (3, 4), (5, 6)):
        rows += [event("2024-01-02", a, b), event("2024-01-03", b, a)]
    # a contact that is no tie, and a tie of another medium
    rows += [event("2024-01-04", 2, 4), *(event(f"2024-01-{day}", 1, 2, medium="meeting_online") for day in (10, 11, 12))]
    return built(rows, teams=teams, only=("org_panel_cross_team",), minimum_pairs=3)


def test_in_a_warehouse(world: Warehouse) -> None:
    found = world.run(
        "select medium, person_count, team_count, tie_count, cross_team_tie_count, unplaced_tie_count, ei, reason "
        "from metrics.org_panel_cross_team where panel_kind = 'month' order by medium"
    )
    assert found == [
        ("any", 5, 2, 4, 1, 1, -0.5, None),
        ("email", 5, 2, 4, 1, 1, -0.5, None),
        ("meeting_online", 2, 1, 1, 0, 0, None, "one_team"),
    ]


def test_without_teams_the_reason_is_said() -> None:
    rows = [event("2024-01-02", 1, 2), event("2024-01-03", 2, 1)]
    silent = built(rows, only=("org_panel_cross_team",))
    assert silent.run(
        "select medium, tie_count, unplaced_tie_count, reason from metrics.org_panel_cross_team where panel_kind = 'all'"
    ) == [
        ("any", 0, 1, "no_team"),
        ("email", 0, 1, "no_team"),
    ]
