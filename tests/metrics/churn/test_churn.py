"""Ties from one month to the next, and what becomes of bridges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from worlds import built, days, event

from metrics.durability._survival import Dyads

START = "2024-01-01"
MONTHS = {"jan": 0, "feb": 31, "mar": 60, "apr": 91, "may": 121, "jun": 152}


def backdrop(gap: range = range(0), length: int = 182) -> list[dict[str, Any]]:
    """Two people who write to each other every day: every month but one with a gap is seen to be observed."""
    return [
        event(moment, *((900, 901) if offset % 2 else (901, 900)))
        for offset, moment in enumerate(days(START, *range(length)))
        if offset not in gap
    ]


def tie(a: int, b: int, *months: str, medium: str = "email") -> list[dict[str, Any]]:
    """Contact both ways in each of the months."""
    moments = [days(START, MONTHS[month] + 5)[0] for month in months]
    return [event(moment, *pair, medium=medium) for moment in moments for pair in ((a, b), (b, a))]


def churn(events: list[dict[str, Any]], gap: range = range(0), **options: Any) -> pd.DataFrame:
    warehouse = built([*backdrop(gap), *events], only=["org_panel_churn"], **options)
    frame = warehouse.connection.sql("select * from metrics.org_panel_churn where panel_kind = 'month'").df()
    frame["month"] = frame["panel_start"].dt.strftime("%b").str.lower()
    return frame.set_index(["medium", "slice", "month"]).sort_index()


COUNTS = ["tie_count", "previous_tie_count", "persisted_count", "decayed_count", "thinned_count", "formed_count", "reactivated_count"]


def test_what_forms_holds_fades_and_comes_back() -> None:
    events = [
        *tie(1, 2, "jan", "feb", "mar"),
        *tie(1, 3, "jan", "mar"),
        *tie(2, 3, "feb"),
        *tie(4, 5, "feb"),
        event(days(START, MONTHS["mar"] + 5)[0], 4, 5),  # too little for a tie
    ]
    found = churn(events)
    # the backdrop is one tie every month
    assert found.loc[("any", "all", "feb"), COUNTS].tolist() == [4, 3, 2, 1, 0, 2, 0]
    assert found.loc[("any", "all", "mar"), COUNTS].tolist() == [3, 4, 2, 2, 1, 0, 1]
    assert found.loc[("any", "all", "mar"), "persistence_ratio"] == 0.5
    assert found.loc[("any", "all", "mar"), "lower_ratio"] < 0.5 < found.loc[("any", "all", "mar"), "upper_ratio"]
    assert found.loc[("any", "all", "jan"), "reason"] == "first"
    assert found.loc[("any", "all", "mar"), "person_count"] == 7


def test_a_month_that_was_not_observed_has_no_counts() -> None:
    found = churn([*tie(1, 2, "jan", "feb", "apr", "may", "jun")], gap=range(65, 88))
    for month in ("mar", "apr"):
        row = found.loc[("any", "all", month)]
        assert row["reason"] == "not_observed"
        assert row[["persisted_count", "decayed_count", "formed_count", "persistence_ratio"]].isna().all()
    assert pd.isna(found.loc[("any", "all", "mar"), "tie_count"])
    assert found.loc[("any", "all", "apr"), "tie_count"] == 2
    assert found.loc[("any", "all", "may"), COUNTS].tolist() == [2, 2, 2, 0, 0, 0, 0]
    assert found.loc[("any", "all", "may"), "history_count"] == 3


def test_media_are_counted_apart() -> None:
    chat = [event(moment, *pair, medium="slack_dm") for moment in days(START, *range(182)) for pair in ((800, 801), (801, 800))]
    found = churn([*chat, *tie(1, 2, "jan", "feb", medium="slack_dm"), *tie(1, 2, "mar")])
    assert found.loc[("slack_dm", "all", "mar"), COUNTS].tolist() == [1, 2, 1, 1, 0, 0, 0]
    assert found.loc[("email", "all", "mar"), COUNTS].tolist() == [2, 1, 1, 0, 0, 1, 0]
    assert found.loc[("any", "all", "mar"), COUNTS].tolist() == [3, 3, 3, 0, 0, 0, 0]


def test_slices() -> None:
    teams = {1: "north", 2: "south", 3: "north"}
    found = churn([*tie(1, 2, "jan"), *tie(1, 3, "jan", "feb")], teams=teams)
    assert found.loc[("any", "cross_team", "feb"), COUNTS].tolist() == [0, 1, 0, 1, 0, 0, 0]
    assert found.loc[("any", "within_team", "feb"), COUNTS].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert found.loc[("any", "external", "feb"), COUNTS].tolist() == [0] * 7


def test_the_interval_is_wilson_s_for_strangers_and_wider_for_people_in_many_ties() -> None:
    apart = [pair for number in range(20) for pair in tie(2 * number + 1, 2 * number + 2, *(("jan", "feb") if number % 2 else ("jan",)))]
    row = churn(apart).loc[("any", "all", "feb")]
    share, size, z = row["persistence_ratio"], 21, 1.959964
    assert share == pytest.approx(11 / 21)
    # each tie stands alone: only the correction for few people (42 of 41) is left
    size /= max(1.0, 42 / 41)
    centre, reach = share + z * z / (2 * size), z * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    assert row["lower_ratio"] == pytest.approx((centre - reach) / (1 + z * z / size), abs=1e-3)
    assert row["upper_ratio"] == pytest.approx((centre + reach) / (1 + z * z / size), abs=1e-3)

    hubs = [pair for number in range(20) for pair in tie(50 + number % 2, 100 + number, *(("jan", "feb") if number % 2 else ("jan",)))]
    hub = churn(hubs).loc[("any", "all", "feb")]
    assert hub["lower_ratio"] < row["lower_ratio"] < row["upper_ratio"] < hub["upper_ratio"]
    # the same as the sum over pairs of ties that share a person
    kept = np.array([number % 2 for number in range(20)] + [1.0])
    dyads = Dyads.of(np.array([50 + number % 2 for number in range(20)] + [900]), np.array([100 + number for number in range(20)] + [901]))
    variance = dyads.squares((kept - share)[:, None])[0] / 21**2
    size = share * (1 - share) / variance
    centre, reach = share + z * z / (2 * size), z * np.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    assert hub["lower_ratio"] == pytest.approx((centre - reach) / (1 + z * z / size), abs=1e-3)


OPTIONS = {"bridge_lookback_days": 30, "bridge_horizon_days": 30}


def bridges(events: list[dict[str, Any]], **options: Any) -> pd.DataFrame:
    warehouse = built([*backdrop(), *events], only=["bridge_decay"], **{**OPTIONS, **options})
    frame = warehouse.connection.sql("select * from metrics.bridge_decay").df()
    return frame.set_index(["cut_kind", "cut_date", "basis", "grouping", "level"]).sort_index()


def test_bridges_and_embedded_pairs() -> None:
    # 1, 2, 3 know each other; 3 alone knows 4, and the backdrop is a bridge of its own
    events = [*tie(1, 2, "jan", "feb"), *tie(2, 3, "jan"), *tie(1, 3, "jan", "feb"), *tie(3, 4, "jan")]
    found = bridges(events)
    february = pd.Timestamp("2024-02-01")
    columns = ["pair_count", "person_count", "kept_count"]
    assert found.loc[("month", february, "contact", "structure", "embedded"), columns].tolist() == [3, 3, 2]
    assert found.loc[("month", february, "contact", "structure", "bridge"), columns].tolist() == [2, 4, 1]
    assert found.loc[("month", february, "contact", "all", "all"), "kept_ratio"] == pytest.approx(3 / 5)


def test_pairs_with_little_contact_are_no_ties() -> None:
    events = [*tie(1, 2, "jan", "feb"), event(days(START, 5)[0], 1, 3)]
    found = bridges(events)
    february = pd.Timestamp("2024-02-01")
    assert found.loc[("month", february, "contact", "all", "all"), "pair_count"] == 3
    assert found.loc[("month", february, "tie", "all", "all"), "pair_count"] == 2


def test_teams() -> None:
    found = bridges([*tie(1, 2, "jan"), *tie(1, 3, "jan", "feb")], teams={1: "north", 2: "south", 3: "north"})
    february = pd.Timestamp("2024-02-01")
    assert found.loc[("month", february, "contact", "team", "cross_team"), "kept_ratio"] == 0
    assert found.loc[("month", february, "contact", "team_structure", "within_team_bridge"), "kept_ratio"] == 1


def test_all_months_together() -> None:
    found = bridges([*tie(1, 2, "jan", "feb", "mar")])
    whole = found.xs(("all", "contact", "all", "all"), level=("cut_kind", "basis", "grouping", "level")).iloc[0]
    months = found.xs(("month", "contact", "all", "all"), level=("cut_kind", "basis", "grouping", "level"))
    assert len(months) == 5  # the firsts of February to June
    assert whole["pair_count"] == months["pair_count"].sum()
    assert whole["person_count"] == 4
    assert whole["lower_ratio"] <= whole["kept_ratio"] <= whole["upper_ratio"]


def test_without_past_and_future_nothing_is_said() -> None:
    warehouse = built(backdrop(length=60), only=["bridge_decay"])
    rows = warehouse.run("select distinct cut_kind, cut_date, pair_count, kept_ratio, reason from metrics.bridge_decay")
    assert rows == [("all", None, 0, None, "not_observed")]


def test_bridges_are_the_pairs_without_a_common_neighbour_of_networkx() -> None:
    """Enough people that many have more contacts than are looked at first."""
    graph = nx.disjoint_union(nx.gnp_random_graph(45, 0.55, seed=4), nx.random_regular_graph(3, 30, seed=4))
    graph.add_edges_from((n, 45 + n % 30) for n in range(20))
    cut = days(START, MONTHS["jun"])[0]
    offsets = {edge: number % 100 for number, edge in enumerate(graph.edges)}
    events = [event(cut - timedelta(days=1 + offset), a + 1, b + 1) for (a, b), offset in offsets.items()]
    events += [event(cut + timedelta(days=offset % 25), a + 1, b + 1) for (a, b), offset in offsets.items() if offset % 3]
    warehouse = built([*backdrop(), *events], only=["bridge_decay"], bridge_lookback_days=120, bridge_horizon_days=30)
    rows = warehouse.run(
        "select level, pair_count, kept_count from metrics.bridge_decay "
        "where cut_kind = 'month' and cut_date = $1 and basis = 'contact' and grouping = 'structure'",
        [cut.date()],
    )
    found = {level: (pairs, kept) for level, pairs, kept in rows}
    # the two of the backdrop are a bridge of their own, and kept
    bridges = {edge for edge in graph.edges if not any(True for _ in nx.common_neighbors(graph, *edge))}
    assert found["bridge"] == (len(bridges) + 1, sum(offsets[edge] % 3 > 0 for edge in bridges) + 1)
    assert found["embedded"] == (graph.number_of_edges() - len(bridges), sum(offsets[e] % 3 > 0 for e in graph.edges if e not in bridges))
