"""The tables of resilience on small worlds, by rows derived by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from narrow import built_only
from scipy import stats
from worlds import batch, event, person

from connectors.records import Batch, table
from metrics.parameters import Parameters
from metrics.resilience.newcomer_integration import mean_interval, median_interval
from metrics.resilience.team_pair_reliance import chance_share, concentration, team_pair_reliance
from pipelines.warehouse import Warehouse

LAST = datetime(2025, 9, 28, 12, tzinfo=UTC)
SPAN = 270
TABLES = ("metrics.turnover_resilience", "metrics.knowledge_reach", "metrics.newcomer_integration", "metrics.team_pair_reliance")


def both(a: int, b: int, *back: int) -> list[dict[str, Any]]:
    return [event(LAST - timedelta(days=day, hours=hour), *ends) for day in back for hour, ends in ((0, (a, b)), (1, (b, a)))]


@pytest.fixture(scope="module")
def world() -> Warehouse:
    """Two rings of six people, North and South, every day; person 1 alone ties them together; newcomers join."""
    events = []
    for ring in (range(1, 7), range(11, 17)):
        members = list(ring)
        for one, other in zip(members, [*members[1:], members[0]], strict=True):
            events += both(one, other, *range(SPAN))
    for other in (11, 12, 13):
        events += both(1, other, *range(0, SPAN, 3))
    # 21 joined 100 days ago: one tie by day 30, two by day 60, three by day 90, the last in another team; 22 joined 50 days ago; 23 left
    events += both(21, 2, 95) + both(21, 3, 60) + both(21, 12, 20) + both(22, 2, 45) + both(23, 2, 110)
    # 7 was tied to both 4 and 5, and left 30 days ago
    events += both(7, 4, *range(100, SPAN)) + both(7, 5, *range(100, SPAN))
    teams = {**dict.fromkeys([*range(1, 8), 21, 22, 23], "North"), **dict.fromkeys(range(11, 17), "South")}
    dates = {
        21: {"joined_on": (LAST - timedelta(days=100)).date()},
        22: {"joined_on": (LAST - timedelta(days=50)).date()},
        23: {"joined_on": (LAST - timedelta(days=120)).date(), "left_on": (LAST - timedelta(days=80)).date()},
        7: {"left_on": (LAST - timedelta(days=30)).date()},
    }
    memberships = [
        {"source": "test", "account_key": key, "observed_on": date(2000, 1, 1), "team": team, **dates.get(key, {})}
        for key, team in teams.items()
    ]
    made = batch(events, [person(key) for key in teams])
    made = Batch(made.source, made.stream, {**made.records, "membership": table("membership", memberships)})
    return built_only(TABLES, made)


def test_the_present_network_and_who_holds_it_together(world: Warehouse) -> None:
    rows = {(row["removal"], row["scenario"]): row for row in world.arrow("select * from metrics.turnover_resilience").to_pylist()}
    whole = rows["none", "0"]
    # twelve in the rings, and the newcomers 21 (ties to 3 and 12) and 22 (tie to 2)
    assert (whole["person_count"], whole["component_ratio"], whole["reach_ratio"]) == (14, 1.0, pytest.approx(1.0, abs=0.1))
    # ten per cent of fourteen is one: the link between the rings
    assert rows["degree", "10"]["removed_count"] == 1
    assert rows["degree", "10"]["component_ratio"] == 1.0  # 21 still ties the rings together
    ties = world.run("select person_a_key, person_b_key from metrics.window_tie where period = 'present'")
    graph = nx.Graph(ties)
    through = nx.betweenness_centrality(graph, normalized=False)
    graph.remove_nodes_from(sorted(through, key=lambda key: (-round(through[key], 6), key))[:3])
    assert rows["betweenness", "20"]["component_ratio"] == max(map(len, nx.connected_components(graph))) / 11
    assert rows["random", "20"]["component_lower_ratio"] <= rows["random", "20"]["component_ratio"]
    left = rows["leavers", "real"]
    # 7 and 23
    assert (left["removed_count"], left["reason"]) == (2, None)
    assert left["component_ratio"] == 1.0
    assert left["date_to"] == (LAST - timedelta(days=90)).date()


def test_knowledge_passes_between_the_rings(world: Warehouse) -> None:
    rows = {(row["from_team"], row["to_team"]): row for row in world.arrow("select * from metrics.knowledge_reach").to_pylist()}
    assert set(rows) == {("any", "any"), ("North", "South"), ("South", "North")}
    north = rows["North", "South"]
    assert north["start_number"] == 8
    assert north["to_person_count"] == 6
    # at most 3 days to reach person 1, 3 to wait, 3 more around the other ring
    assert 3 <= north["median_days"] <= 9
    assert north["reached_ratio"] > 0.6


def test_ties_to_other_teams_are_not_said_to_be_none_where_no_team_is_known() -> None:
    start = datetime(2024, 1, 1, 9, tzinfo=UTC)
    rows = [event(start + timedelta(days=day), 1, 2) for day in range(400)]
    rows += [event(start + timedelta(days=day), 3, 1 + day % 2) for day in range(200, 400)]
    warehouse = built_only("metrics.newcomer_integration", rows, [person(number) for number in (1, 2, 3)])
    found = warehouse.run(
        "select mean_ties, mean_cross_team_ties, median_cross_team_ties, reason from metrics.newcomer_integration "
        "where cohort = 'all' and medium = 'any' and horizon_days = 90"
    )
    assert found == [(2.0, None, None, None)]


def test_newcomers_at_each_horizon(world: Warehouse) -> None:
    rows = {
        (row["cohort"], row["horizon_days"]): row
        for row in world.arrow("select * from metrics.newcomer_integration where medium = 'any'").to_pylist()
    }
    everyone = [rows["all", horizon] for horizon in (30, 60, 90)]
    assert [row["person_count"] for row in everyone] == [3, 1, 1]
    # 22 is too recent for 60 and 90 days; 23 left on the 40th
    assert [row["excluded_count"] for row in everyone] == [0, 2, 2]
    assert [row["mean_ties"] for row in everyone] == [1.0, 2.0, 3.0]
    assert [row["mean_cross_team_ties"] for row in everyone] == [0.0, 0.0, 1.0]
    assert everyone[2]["lower_mean_ties"] is None
    late = rows["2025-08", 90]
    assert (late["person_count"], late["excluded_count"], late["mean_ties"], late["reason"]) == (0, 1, None, "not_observed")


def test_the_bridge_that_rests_on_one_person(world: Warehouse) -> None:
    row = world.arrow("select * from metrics.team_pair_reliance where panel_kind = 'all'").to_pylist()[0]
    # 90 days with each of three people, and one day of 21 with 12
    assert (row["contact_days"], row["pair_count"], row["side_a_number"], row["side_b_number"]) == (271, 4, 2, 3)
    assert row["top_one_a_ratio"] == pytest.approx(270 / 271)
    assert row["top_one_b_ratio"] == pytest.approx(91 / 271)
    assert (row["carriers_a_number"], row["carriers_b_number"]) == (1, 3)
    # only two people of North deal with another team: too small a side to speak of a risk
    assert (row["is_hanging_on_one"], row["reason"]) == (None, "small_team")


def test_concentration_by_hand() -> None:
    group = np.array([0, 0, 0, 1, 1])
    number, one, two, carriers = concentration(group, np.array([5, 6, 5, 5, 7]), np.array([3.0, 4, 3, 1, 1]))
    assert number.tolist() == [2, 2]
    assert one.tolist() == [0.6, 0.5]
    assert two.tolist() == [1.0, 1.0]
    assert carriers.tolist() == [2, 2]


def test_chance_share_of_one_pair_is_all_and_of_many_small_ones_the_degree() -> None:
    group, days = np.zeros(1, dtype=np.int64), np.array([5.0])
    share, size = chance_share(
        group, days, np.zeros(1, dtype=np.int64), np.zeros(3, dtype=np.int64), np.ones(3), 5, lambda: np.random.default_rng(1).random(1)
    )
    assert (share.tolist(), size.tolist()) == ([1.0], [3])
    many, chance = 20_000, np.random.default_rng(1)
    share, _ = chance_share(
        np.zeros(many, dtype=np.int64), np.ones(many), np.ones(many, dtype=np.int64), np.array([0, 1, 1]), np.array([9.0, 3, 1]), 3,
        lambda: chance.random(many),
    )  # fmt: skip
    assert share[0] == pytest.approx(0.75, abs=0.01)


def test_a_panels_null_does_not_depend_on_which_panels_are_computed_with_it() -> None:
    chance = np.random.default_rng(4)
    rows = [
        {"panel_kind": "month", "panel_start": date(2024, month, 1), "team_a": "A", "team_b": "B", "side_a_key": a, "side_b_key": 100 + b,
         "contact_days": int(chance.integers(1, 9)), "is_tie": True, "side_a_degree": 2 + a % 3, "side_b_degree": 1 + b % 4}
        for month in (1, 2, 3) for a in range(8) for b in range(6)
    ]  # fmt: skip
    last = [row for row in rows if row["panel_start"] == date(2024, 3, 1)]
    with duckdb.connect() as connection:
        whole, alone = (
            team_pair_reliance(duckdb.from_arrow(pa.Table.from_pylist(listed), connection=connection), Parameters())
            for listed in (rows, last)
        )
    assert whole.filter(pc.equal(whole["panel_start"], date(2024, 3, 1))).to_pylist() == alone.to_pylist()
    assert alone["null_top_one_a_ratio"].null_count == 0


def test_intervals_of_mean_and_median() -> None:
    values = np.arange(1.0, 11.0)
    mean, low, high = mean_interval(values, 0.95)
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == (5.5, pytest.approx(reference.low), pytest.approx(reference.high))
    # of ten values the 2nd and the 9th hold the median with probability .979
    assert median_interval(values, 0.95) == (5.5, 2.0, 9.0)
    assert median_interval(values[:3], 0.95) == (2.0, None, None)
