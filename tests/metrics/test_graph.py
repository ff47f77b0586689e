"""Graphs for analysts carry what the published file knows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import networkx as nx
import pytest
from worlds import built, event

from metrics import graph
from pipelines.warehouse import Warehouse

TEAMS = {1: "red", 2: "red", 3: "blue", 4: "blue"}


@pytest.fixture(scope="module")
def world() -> Warehouse:
    rows = [
        event("2024-01-02", 1, 2),
        event("2024-01-03", 2, 1),
        event("2024-01-04", 1, 2),
        event("2024-01-05", 1, 3, medium="slack_dm"),
        event("2024-01-08", 3, 1, medium="slack_dm"),
        event("2024-01-09", 3, 4),
        *(event(f"2024-01-{day}", 2, 4, medium="meeting_online", minutes=30.0) for day in (10, 11, 12)),
        event("2024-02-01", 4, 3),
    ]
    return built(rows, teams=TEAMS, only=("pair_panel",))


def test_ties_with_their_attributes(world: Warehouse) -> None:
    found = graph.load(world.connection, panel_kind="month", panel_start="2024-01-01")
    assert isinstance(found, nx.Graph)
    assert not found.is_directed()
    assert sorted(found.edges) == [(1, 2), (1, 3), (2, 4)]
    assert set(found.nodes) == {1, 2, 3, 4}
    assert found.nodes[3] == {"organisation": "own", "kind": "own", "is_internal": True, "team": "blue"}
    assert found.edges[1, 2]["active_days"] == 3
    assert found.edges[1, 2]["weight"] == 3.0
    assert found.edges[1, 2]["is_cross_team"] is False
    assert found.edges[2, 4]["minutes"] == 90
    assert found.edges[2, 4]["is_mutual"] is False


def test_pairs_without_a_tie_on_request(world: Warehouse) -> None:
    found = graph.load(world.connection, panel_kind="month", panel_start="2024-01-01", ties_only=False)
    assert (3, 4) in found.edges
    assert not found.edges[3, 4]["is_tie"]


def test_directed_edges_leave_meetings_out(world: Warehouse) -> None:
    found = graph.load(world.connection, panel_kind="month", panel_start="2024-01-01", directed=True, ties_only=False)
    assert sorted(found.edges) == [(1, 2), (1, 3), (2, 1), (3, 1), (3, 4)]
    assert found.edges[1, 2] == {"weight": 2.0, "contact_count": 2}
    assert nx.overall_reciprocity(found) == pytest.approx(4 / 5)


def test_one_medium_and_the_latest_period(world: Warehouse) -> None:
    assert list(graph.load(world.connection, medium="slack_dm").edges) == [(1, 3)]
    assert list(graph.load(world.connection, panel_kind="month", ties_only=False).edges) == [(3, 4)]


def test_teams(world: Warehouse) -> None:
    found = graph.load(world.connection, level="team")
    assert set(map(frozenset, found.edges)) == {frozenset({"red"}), frozenset({"red", "blue"}), frozenset({"blue"})}
    assert found.edges["red", "blue"]["pair_count"] == 2
    assert found.edges["red", "blue"]["contact_count"] == 5
    assert found.nodes["red"]["person_count"] == 2
    directed = graph.load(world.connection, level="team", directed=True)
    assert directed.edges["red", "blue"]["contact_count"] == 1
    assert directed.edges["blue", "red"]["contact_count"] == 1


def test_a_file_is_read_and_closed(world: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    with duckdb.connect(str(path)) as target:
        for schema, name in (("core", "person"), ("core", "membership"), ("core", "panel"), ("metrics", "pair_panel")):
            table = world.arrow(f"select * from {schema}.{name}")
            target.execute(f"create schema if not exists {schema}")
            target.register("given", table)
            target.execute(f"create table {schema}.{name} as select * from given")
            target.unregister("given")
    assert len(graph.load(path).edges) == 4
    path.unlink()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"medium": "fax"}, "there is any, email"),
        ({"panel_kind": "year"}, "there is all, month"),
        ({"panel_kind": "month", "panel_start": "2023-01-01"}, "between 2024-01-01 and 2024-02-01"),
        ({"level": "floor"}, "person or team"),
    ],
)
def test_what_is_not_there_is_said(world: Warehouse, wrong: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graph.load(world.connection, **wrong)  # type: ignore[arg-type]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="perdure publish"):
        graph.load(tmp_path / "nothing.duckdb")
