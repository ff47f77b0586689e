"""Every measure against networkx on random networks, and the error of sampled betweenness against the exact values."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from metrics import graph_measures as measures


def random_network(seed: int, people: int = 120, ties: int = 420) -> tuple[np.ndarray, nx.Graph]:
    random = np.random.default_rng(seed)
    activity = random.lognormal(0, 1, people)
    drawn = np.sort(random.choice(people, (ties, 2), p=activity / activity.sum()), axis=1)
    found = np.unique(drawn[drawn[:, 0] != drawn[:, 1]], axis=0)
    twin = nx.Graph()
    twin.add_nodes_from(range(people))
    twin.add_edges_from(found.tolist())
    return found, twin


@pytest.mark.parametrize("seed", range(5))
def test_measures_equal_networkx(seed: int) -> None:
    ties, twin = random_network(seed)
    people = len(twin)
    graph = measures.network(ties, people)
    assert measures.clustering(graph) == pytest.approx(np.array(list(nx.clustering(twin).values())))
    assert measures.triangles(graph).tolist() == list(nx.triangles(twin).values())
    expected = np.array([nx.constraint(twin, [person])[person] for person in range(people)])
    assert measures.constraint(graph) == pytest.approx(expected, nan_ok=True)
    assert measures.core_number(graph).tolist() == list(nx.core_number(twin).values())
    assert measures.component_sizes(ties, people).tolist() == sorted(map(len, nx.connected_components(twin)), reverse=True)
    exact = measures.betweenness(graph, np.random.default_rng(seed))
    assert exact.value == pytest.approx(np.array(list(nx.betweenness_centrality(twin, normalized=False).values())))
    assert not exact.error.any()
    found = measures.communities(graph, seed)
    sets = [set(np.flatnonzero(found.membership == number)) for number in range(found.count)]
    assert found.modularity == pytest.approx(nx.community.modularity(twin, sets))


@pytest.mark.parametrize("seed", range(5))
def test_removal_curve_is_that_of_removing_one_by_one(seed: int) -> None:
    ties, twin = random_network(seed, people=60, ties=90)
    order = np.random.default_rng(seed).permutation(60)
    expected = []
    for person in [None, *order.tolist()]:
        if person is not None:
            twin.remove_node(person)
        expected.append(max(map(len, nx.connected_components(twin)), default=0))
    assert measures.removal_curve(ties, 60, order).tolist() == expected


def test_sampled_betweenness_lies_within_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ties, twin = random_network(3, people=900, ties=4000)
    graph = measures.network(ties, len(twin))
    exact = measures.betweenness(graph, np.random.default_rng(0)).value
    monkeypatch.setattr(measures, "BETWEENNESS_EXACT", 100)
    found = measures.betweenness(graph, np.random.default_rng(0), sources=160)
    top = np.argsort(-exact)[:100]
    off = (found.value - exact)[top] / found.error[top]
    assert found.source_count == 160
    assert np.abs(off).mean() < 1.5
    assert found.value[top].sum() == pytest.approx(exact[top].sum(), rel=0.05)


def test_communities_are_the_same_for_the_same_seed() -> None:
    ties, twin = random_network(1)
    graph = measures.network(ties, len(twin))
    first, second = (measures.communities(graph, 5) for _ in range(2))
    assert first.membership.tolist() == second.membership.tolist()
