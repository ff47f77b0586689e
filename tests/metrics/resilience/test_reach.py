"""Reach through contacts in the order of their days, against brute force."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.resilience._reach import ContactDays, bits, count_bits, pass_on, reached_share, seeded
from metrics.resilience.knowledge_reach import arrivals
from metrics.resilience.turnover_resilience import largest_component_share

Contact = tuple[int, int, int]


def brute_force(contacts: list[Contact], people: int, start: int, horizon: int) -> dict[tuple[int, int], int]:
    """(source, other) -> first day (0 is the start) on which other has heard, by following every source by itself."""
    found = {}
    for source in range(people):
        heard = {source: -1}
        for day in range(start, start + horizon):
            morning = set(heard)
            for when, a, b in contacts:
                if when == day and a in morning and b not in heard:
                    heard[b] = day - start
        found |= {(source, other): day for other, day in heard.items() if other != source}
    return found


contact_lists = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 7), st.integers(0, 7)).filter(lambda each: each[1] != each[2]), max_size=40
)


def as_days(contacts: list[Contact]) -> ContactDays:
    rows = np.array(contacts, dtype=np.int64).reshape(-1, 3)
    return ContactDays.of(rows[:, 0], rows[:, 1], rows[:, 2])


def test_one_hop_a_day_in_the_order_of_days() -> None:
    # 0 -> 1 on day 0, 1 -> 2 on day 0 (too early), 2 -> 3 on day 1 (2 knows nothing yet), 1 -> 2 on day 2
    contacts = as_days([(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 1, 2)])
    state = seeded(4, np.array([0]))
    for _, source, target in contacts.each_day():
        pass_on(state, source, target)
    assert bits(state, 1)[:, 0].tolist() == [True, True, True, False]
    assert reached_share(contacts, 4, np.array([0])) == pytest.approx(2 / 3)


@given(contact_lists)
@settings(max_examples=60, deadline=None)
def test_share_reached_is_that_of_brute_force(contacts: list[Contact]) -> None:
    expected = len(brute_force(contacts, 8, 0, 7)) / (8 * 7)
    assert reached_share(as_days(contacts), 8, np.arange(8)) == pytest.approx(expected)


@given(contact_lists, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_of_rows_does_not_matter(contacts: list[Contact], random: object) -> None:
    shuffled = sorted(contacts, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert reached_share(as_days(shuffled), 8, np.arange(8)) == reached_share(as_days(contacts), 8, np.arange(8))


@given(contact_lists, st.lists(st.integers(-1, 2), min_size=8, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
@settings(max_examples=80, deadline=None)
def test_arrivals_by_team_are_those_of_brute_force(contacts: list[Contact], team: list[int], here: list[bool]) -> None:
    start, horizon = 2, 3
    found = arrivals(as_days(contacts), np.array(team), np.array(here), start, horizon, np.random.default_rng(0))
    groups = max(team) + 1
    couples, arrived = np.zeros((groups + 1, groups + 1)), np.zeros((groups + 1, groups + 1, horizon))
    first = brute_force(contacts, 8, start, horizon)
    for a in (person for person in range(8) if here[person]):
        for b in (person for person in range(8) if here[person] and person != a):
            cells = [(groups, groups)] + ([(team[a], team[b])] if team[a] >= 0 and team[b] >= 0 else [])
            for cell in cells:
                couples[cell] += 1
                if (a, b) in first:
                    arrived[(*cell, first[a, b])] += 1
    np.testing.assert_array_equal(found.couples, couples)
    np.testing.assert_array_equal(found.arrived, arrived)


def test_more_than_one_word_of_sources() -> None:
    people = 200
    ring = as_days([(day, person, (person + 1) % people) for day in range(3) for person in range(people)])
    state = seeded(people, np.arange(people))
    for _, source, target in ring.each_day():
        pass_on(state, source, target)
    assert count_bits(state) == people * 4
    assert bits(state, people)[3].nonzero()[0].tolist() == [0, 1, 2, 3]


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_largest_component_is_that_of_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 30
    edges = rng.integers(0, size, (25, 2))
    edges = edges[edges[:, 0] != edges[:, 1]]
    removed = rng.random(size) < 0.2
    graph = nx.Graph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(edges.tolist())
    graph.remove_nodes_from(np.flatnonzero(removed).tolist())
    expected = max(map(len, nx.connected_components(graph))) / len(graph)
    assert largest_component_share(edges[:, 0], edges[:, 1], removed) == pytest.approx(expected)
    assert largest_component_share(edges[:, 0], edges[:, 1], np.ones(size, dtype=bool)) == 0
