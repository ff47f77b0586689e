"""Measures of a whole network, from its ties alone: numbers in, numbers out, by igraph and scipy.

A network is an array of ties, two people a row, people numbered from 0, no tie twice. networkx is what analysts are handed
(`metrics.graph`) and what the tests compare with; it takes minutes where this takes seconds. Beyond a stated size betweenness is sampled,
and its error stands beside it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import igraph
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from metrics.panels import Floats, Integers

BETWEENNESS_EXACT = 2_000
"""Up to so many people betweenness is exact."""

BETWEENNESS_SOURCES = 256
BETWEENNESS_GROUPS = 8


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let igraph draw from a generator of our own for a while, so that what it draws can be repeated."""
    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - no secret depends on it
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)


def network(ties: Integers, people: int) -> igraph.Graph:
    """The network as igraph holds it."""
    return igraph.Graph(n=people, edges=ties)


def clustering(graph: igraph.Graph) -> Floats:
    """Share of the pairs among each person's tied people that are tied themselves; 0 for people with fewer than two ties.

    Source:
        Watts, Strogatz (1998), Collective dynamics of 'small-world' networks, Nature 393, 440-442.
    """
    return np.array(graph.transitivity_local_undirected(mode="zero"), dtype=np.float64)


def triangles(graph: igraph.Graph) -> Floats:
    """In how many triangles each person is."""
    degree = np.array(graph.degree(), dtype=np.float64)
    return np.round(clustering(graph) * degree * (degree - 1) / 2)


def constraint(graph: igraph.Graph) -> Floats:
    """Burt's constraint of each person, all ties alike; NaN for people without a tie. It can exceed 1 for people with few ties.

    Source:
        Burt (1992), Structural Holes, Harvard University Press.
    """
    return np.array(graph.constraint(), dtype=np.float64)


def core_number(graph: igraph.Graph) -> Integers:
    """The largest k for which a person is in a group of people who each have at least k ties within it.

    Source:
        Seidman (1983), Network structure and minimum degree, Social Networks 5, 269-287.
    """
    return np.array(graph.coreness(), dtype=np.int64)


def component_sizes(ties: Integers, people: int) -> Integers:
    """People in each connected part, the largest first."""
    matrix = sparse.coo_array((np.ones(len(ties), dtype=np.int8), (ties[:, 0], ties[:, 1])), shape=(people, people)).tocsr()
    labels = csgraph.connected_components(matrix, directed=False)[1]
    return np.sort(np.bincount(labels))[::-1].astype(np.int64)


@dataclass(frozen=True, slots=True)
class Communities:
    """A division into communities: each person's, how many there are, and its modularity."""

    membership: Integers
    count: int
    modularity: float


def communities(graph: igraph.Graph, seed: int) -> Communities:
    """Communities of high modularity, by Leiden: one seeded run of a heuristic; another seed gives slightly others.

    Source:
        Traag, Waltman, van Eck (2019), From Louvain to Leiden, Scientific Reports 9, 5233.
    """
    with seeded(seed):
        found = graph.community_leiden(objective_function="modularity", n_iterations=2)
    return Communities(np.array(found.membership, dtype=np.int64), len(found), float(found.modularity))


@dataclass(frozen=True, slots=True)
class Betweenness:
    """Betweenness of each person, and the standard error of each; 0 where it is exact."""

    value: Floats
    error: Floats
    source_count: int


def betweenness(graph: igraph.Graph, draws: np.random.Generator, sources: int = BETWEENNESS_SOURCES) -> Betweenness:
    """Number of shortest paths among all pairs of people that lead over each person, each pair's paths sharing 1.

    With more than `BETWEENNESS_EXACT` people the paths from a random sample of people stand for all. The sample comes in groups, and the
    standard error is the spread of the groups' estimates; it is large, relatively, for people over whom few paths lead: read the top of the
    list, not its tail.

    Args:
        graph: The network.
        draws: The generator.
        sources: How many people's paths are followed beyond that size; at least two for each group.

    Source:
        Brandes, Pich (2007), Centrality estimation in large networks, Int. J. Bifurcation and Chaos 17, 2303-2318.
    """
    people = graph.vcount()
    if people <= max(BETWEENNESS_EXACT, sources):
        return Betweenness(np.array(graph.betweenness(directed=False), dtype=np.float64), np.zeros(people), people)
    groups = np.array_split(draws.choice(people, sources, replace=False), BETWEENNESS_GROUPS)
    found = np.array([np.array(graph.betweenness(directed=False, sources=group.tolist())) * (people / len(group)) for group in groups])
    return Betweenness(found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(groups)), sources)


def removal_curve(ties: Integers, people: int, order: Integers) -> Integers:
    """Size of the largest connected part after each removal: of nobody, of the first in `order`, of the first two, and so on.

    People are put back in reverse. A tie is there from when the later of its two people is, so that the minimum spanning forest by that
    moment holds every join of two parts; only its ties, fewer than people, are walked one by one.

    Args:
        ties: Two people a row.
        people: How many people there are.
        order: Everyone, the first to go first.

    Returns:
        people + 1 sizes, from the whole network down to nobody.

    Source:
        Newman, Ziff (2000), Efficient Monte Carlo algorithm and high-precision results for percolation, Phys. Rev. Lett. 85, 4104-4107.
    """
    returns = np.empty(people, dtype=np.int64)
    returns[order[::-1]] = np.arange(people)
    moment = returns[ties].max(axis=1)
    # a weight of 0 would be no tie to scipy
    matrix = sparse.coo_array((moment + 1.0, (ties[:, 0], ties[:, 1])), shape=(people, people)).tocsr()
    forest = csgraph.minimum_spanning_tree(matrix).tocoo()
    by_moment = np.argsort(forest.data, kind="stable")
    joins = zip(
        forest.row[by_moment].tolist(), forest.col[by_moment].tolist(), (forest.data[by_moment] - 1).astype(np.int64).tolist(), strict=True
    )
    parent, size = list(range(people)), [1] * people
    largest = np.zeros(people + 1, dtype=np.int64)
    largest[1:] = 1
    for first, second, when in joins:
        one, other = _root(parent, first), _root(parent, second)
        if size[one] < size[other]:
            one, other = other, one
        parent[other] = one
        size[one] += size[other]
        largest[when + 1] = max(largest[when + 1], size[one])
    return np.maximum.accumulate(largest)[::-1]


def _root(parent: list[int], person: int) -> int:
    while parent[person] != person:
        parent[person] = parent[parent[person]]
        person = parent[person]
    return person
