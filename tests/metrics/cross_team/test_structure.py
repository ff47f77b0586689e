"""Structure of the tie network and positions in it, against networkx on random networks."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import Warehouse, built, event

from metrics.cross_team._network import TieNetwork, rewired
from metrics.cross_team.org_panel_structure import structure
from metrics.cross_team.person_panel_position import participation, structural_holes
from metrics.parameters import Parameters

QUICK = Parameters(minimum_pairs=3, null_draws=5)


def network(graph: nx.Graph, team: np.ndarray) -> TieNetwork:  # type: ignore[type-arg]
    size = graph.number_of_nodes()
    ties = np.array([sorted(edge) for edge in graph.edges], dtype=np.int64).reshape(-1, 2)
    return TieNetwork(np.arange(size), ties, team, ["a", "b", "c", "d"], np.zeros(size, np.int64))


graphs = st.builds(nx.gnp_random_graph, st.integers(6, 20), st.floats(0.15, 0.6), seed=st.integers(0, 10_000)).filter(
    lambda graph: graph.number_of_edges() >= 3
)


@settings(max_examples=40, deadline=None)
@given(graphs)
def test_structural_holes_equal_networkx(graph: nx.Graph) -> None:  # type: ignore[type-arg]
    ties = np.array(graph.edges, dtype=np.int64).reshape(-1, 2)
    constraint, size, bridges = structural_holes(ties, graph.number_of_nodes())
    for person, expected in nx.constraint(graph).items():
        assert constraint[person] == pytest.approx(expected, nan_ok=True)
    for person, expected in nx.effective_size(graph).items():
        assert size[person] == pytest.approx(0 if np.isnan(expected) else expected)
    local = list(nx.local_bridges(graph, with_span=False))
    assert bridges.tolist() == [sum(person in edge for edge in local) for person in graph]


@settings(max_examples=25, deadline=None)
@given(graphs, st.integers(0, 1000))
def test_structure_equals_networkx(graph: nx.Graph, seed: int) -> None:  # type: ignore[type-arg]
    team = np.random.default_rng(seed).integers(0, 3, graph.number_of_nodes())
    found = structure(network(graph, team), QUICK, np.random.default_rng(seed))
    tied = graph.subgraph([person for person in graph if graph.degree(person)]).copy()
    assert found["person_count"] == tied.number_of_nodes()
    assert found["transitivity"] == pytest.approx(nx.transitivity(tied))
    assert found["clustering"] == pytest.approx(nx.average_clustering(tied))
    assert found["triangle_count"] == sum(nx.triangles(tied).values()) / 3
    assert found["component_count"] == nx.number_connected_components(tied)
    assert found["largest_component_person_count"] == max(map(len, nx.connected_components(tied)))
    if len({team[person] for person in tied}) > 1:
        groups = [{person for person in tied if team[person] == label} for label in range(3)]
        assert found["modularity"] == pytest.approx(nx.community.modularity(tied, [group for group in groups if group]))
        nx.set_node_attributes(tied, {person: int(team[person]) for person in tied}, "team")
        assert found["assortativity"] == pytest.approx(nx.attribute_assortativity_coefficient(tied, "team"))
        assert found["null_draw_count"] == 5


def test_degree_assortativity_equals_networkx() -> None:
    graph = nx.karate_club_graph()
    found = structure(network(graph, np.full(34, -1)), QUICK, np.random.default_rng(0))
    assert found["degree_assortativity"] == pytest.approx(nx.degree_assortativity_coefficient(graph))
    assert found["reason"] == "no_team"
    # the best partition that is known has modularity .4198
    assert 0.38 < found["community_modularity"] <= 0.4198 + 1e-4


def test_participation_by_hand() -> None:
    # 0 is tied to two of team 0, one of team 1 and one without a team
    ties = np.array([[0, 1], [0, 2], [0, 3], [0, 4]])
    found = participation(TieNetwork(np.arange(5), ties, np.array([0, 0, 0, 1, -1]), ["a", "b"], np.zeros(5, np.int64)))
    assert found.tolist()[:4] == [pytest.approx(1 - (2 / 3) ** 2 - (1 / 3) ** 2), 0, 0, 0]
    assert participation(TieNetwork(np.arange(2), ties[:1], np.array([-1, 0]), ["a"], np.zeros(2, np.int64)))[1] != 0


def test_rewiring_keeps_everyones_number_of_ties() -> None:
    graph = nx.karate_club_graph()
    ties = np.array(graph.edges)
    random = np.random.default_rng(4)
    drawn = [rewired(ties, 34, random, 40) for _ in range(300)]
    for one in drawn[:20]:
        other = nx.Graph(one.tolist())
        assert other.number_of_edges() == 78
        assert not list(nx.selfloop_edges(other))
        assert dict(other.degree) == dict(graph.degree)
    # the mean over all such networks, by a long chain of single exchanges, is .2245 (standard error .0008)
    mean = np.mean([nx.transitivity(nx.Graph(one.tolist())) for one in drawn])
    assert mean == pytest.approx(0.2245, abs=0.006)


@pytest.fixture(scope="module")
def world() -> Warehouse:
    rows = []
    for a, b in ((1, 2), (1, 3), (2, 3), (3, 4), (4, 5), (6, 7), (5, 8)):
        rows += [event("2024-01-02", a, b), event("2024-01-03", b, a)]
    return built(
        rows,
        teams={1: "red", 2: "red", 3: "red", 4: "blue", 5: "blue"},
        only=("person_panel_position", "org_panel_structure"),
        minimum_pairs=3,
    )


def test_positions_in_a_warehouse(world: Warehouse) -> None:
    found = world.run(
        "select person_key, team, degree, cross_team_degree, external_degree, round(participation, 4), "
        "effective_size, local_bridge_count, reason "
        "from metrics.person_panel_position where panel_kind = 'month' order by 1"
    )
    assert found == [
        (1, "red", 2, 0, 0, 0.0, 1.0, 0, None),
        (2, "red", 2, 0, 0, 0.0, 1.0, 0, None),
        (3, "red", 3, 1, 0, 0.4444, pytest.approx(3 - 2 / 3), 1, None),
        (4, "blue", 2, 1, 0, 0.5, 2.0, 2, None),
        (5, "blue", 2, 0, 0, 0.0, 2.0, 2, None),
        (6, None, 1, None, 0, None, 1.0, 1, "no_team"),
        (7, None, 1, None, 0, None, 1.0, 1, "no_team"),
        (8, None, 1, None, 0, 0.0, 1.0, 1, "no_team"),
    ]


def test_structure_in_a_warehouse(world: Warehouse) -> None:
    found = world.run(
        "select person_count, tie_count, placed_person_count, team_count, component_count, largest_component_share, triangle_count, reason "
        "from metrics.org_panel_structure where panel_kind = 'month'"
    )
    assert found == [(8, 7, 5, 2, 2, 6 / 8, 1, None)]


def test_a_rebuild_gives_the_same_figures(world: Warehouse) -> None:
    query = "select * from metrics.org_panel_structure order by panel_kind"
    again = built(
        [
            event(f"2024-01-0{day}", *ends[::way])
            for ends in ((5, 8), (6, 7), (4, 5), (3, 4), (2, 3), (1, 3), (1, 2))
            for day, way in ((3, -1), (2, 1))
        ],
        teams={5: "blue", 4: "blue", 3: "red", 2: "red", 1: "red"},
        only=("org_panel_structure",),
        minimum_pairs=3,
    )
    assert world.run(query) == again.run(query)
