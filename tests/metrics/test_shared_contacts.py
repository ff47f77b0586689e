"""Shared contacts of pairs, against sets."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.shared_contacts import has_shared_contact, shared_contacts


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 25), st.floats(0.05, 0.9), st.integers(0, 10_000))
def test_counts_and_scores_are_those_of_sets(people: int, density: float, seed: int) -> None:
    graph = nx.gnp_random_graph(people, density, seed=seed)
    random = np.random.default_rng(seed)
    pairs = np.array(list(graph.edges), dtype=np.int64).reshape(-1, 2)
    score = random.random(len(pairs)) + 0.01
    nx.set_edge_attributes(graph, {(int(a), int(b)): value for (a, b), value in zip(pairs, score, strict=True)}, "score")
    wanted = np.flatnonzero(random.random(len(pairs)) < 0.6)
    count, total = shared_contacts(pairs[:, 0], pairs[:, 1], score, people, wanted)
    for place, (a, b) in enumerate(pairs[wanted].tolist()):
        common = list(nx.common_neighbors(graph, a, b))
        assert count[place] == len(common)
        assert total[place] == pytest.approx(sum(min(graph[a][c]["score"], graph[b][c]["score"]) for c in common))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 25), st.floats(0.02, 0.5), st.integers(0, 10_000))
def test_a_pair_is_embedded_where_networkx_finds_a_common_neighbour(people: int, density: float, seed: int) -> None:
    graph = nx.gnp_random_graph(people, density, seed=seed)
    pairs = np.array(list(graph.edges), dtype=np.int64).reshape(-1, 2)
    found = has_shared_contact(pairs[:, 0], pairs[:, 1], people)
    assert found.tolist() == [any(True for _ in nx.common_neighbors(graph, a, b)) for a, b in pairs.tolist()]
