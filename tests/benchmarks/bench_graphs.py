"""Measures of whole networks: clustering, constraint, communities, sampled betweenness, cores, parts and the removal curve."""

from __future__ import annotations

import time
from typing import Any

import networkx as nx
import numpy as np
from benchmarks.measure import exponents, measured

from metrics import graph_measures as measures

SIZES = {20_000: 500_000, 63_000: 1_575_000, 200_000: 5_000_000}
"""People -> arcs."""
NETWORKX_PEOPLE = 2_000


def network(people: int, arcs: int, seed: int = 1) -> np.ndarray:
    """Ties of people in teams of 25 who differ in activity: half of the arcs within the team, the rest anywhere."""
    random = np.random.default_rng([seed, people])
    activity = random.lognormal(0, 0.8, people)
    tail = np.searchsorted(np.cumsum(activity / activity.sum()), random.random(arcs)).clip(max=people - 1)
    anyone = np.searchsorted(np.cumsum(activity / activity.sum()), random.random(arcs)).clip(max=people - 1)
    head = np.where(random.random(arcs) < 0.5, np.minimum(tail // 25 * 25 + random.integers(0, 25, arcs), people - 1), anyone)
    ends = np.sort(np.stack([tail, head], axis=1), axis=1)
    code = np.unique(ends[ends[:, 0] != ends[:, 1]] @ np.array([people, 1]))
    return np.stack([code // people, code % people], axis=1)


def all_measures(people: int, arcs: int) -> dict[str, Any]:
    """Every measure once; seconds of each."""
    ties = network(people, arcs)
    seconds: dict[str, float] = {}

    def timed(name: str, function: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments)
        seconds[name] = time.perf_counter() - began
        return result

    graph = timed("network", measures.network, ties, people)
    timed("clustering", measures.clustering, graph)
    timed("constraint", measures.constraint, graph)
    found = timed("communities", measures.communities, graph, 1)
    between = timed("betweenness", measures.betweenness, graph, np.random.default_rng(1))
    timed("core_number", measures.core_number, graph)
    parts = timed("component_sizes", measures.component_sizes, ties, people)
    order = np.argsort(-np.bincount(ties.ravel(), minlength=people), kind="stable")
    curve = timed("removal_curve", measures.removal_curve, ties, people, order)
    top = np.argsort(-between.value)[: people // 100]
    return {
        "ties": len(ties),
        "seconds": seconds,
        "all_seconds": sum(seconds.values()),
        "modularity": found.modularity,
        "largest_part": int(parts[0]),
        "largest_part_after_a_tenth_left": int(curve[people // 10]),
        "betweenness_sources": between.source_count,
        "betweenness_relative_error_of_top_hundredth": float((between.error[top] / between.value[top]).mean()),
    }


def by_networkx(people: int, arcs: int) -> dict[str, float]:
    """The same measures by networkx, on a network that it can manage; seconds of each."""
    ties = network(people, arcs)
    graph = nx.Graph()
    graph.add_nodes_from(range(people))
    graph.add_edges_from(ties.tolist())
    seconds = {}
    for name, function in {
        "clustering": nx.clustering,
        "constraint": nx.constraint,
        "communities": lambda each: nx.community.louvain_communities(each, seed=1),
        "betweenness": lambda each: nx.betweenness_centrality(each, k=min(measures.BETWEENNESS_SOURCES, people), seed=1),
        "core_number": nx.core_number,
        "component_sizes": lambda each: list(nx.connected_components(each)),
    }.items():
        began = time.perf_counter()
        function(graph)
        seconds[name] = time.perf_counter() - began
    return seconds


def run(sizes: dict[int, int], networkx_people: int = NETWORKX_PEOPLE) -> dict[str, Any]:
    """Measure every size; networkx at a small one beside ours at the same."""
    found: dict[str, Any] = {"sizes": {}}
    for people, arcs in sizes.items():
        result, figures = measured(all_measures, people, arcs)
        found["sizes"][people] = {**figures, **result}
    found["exponents"] = {
        name: exponents({people: found["sizes"][people]["seconds"][name] for people in sizes})
        for name in found["sizes"][min(sizes)]["seconds"]
    }
    arcs = networkx_people * 25
    ours, _ = measured(all_measures, networkx_people, arcs)
    theirs, _ = measured(by_networkx, networkx_people, arcs)
    found["networkx"] = {
        "people": networkx_people,
        "seconds": theirs,
        "times_faster": {name: theirs[name] / ours["seconds"][name] for name in theirs},
    }
    return found
