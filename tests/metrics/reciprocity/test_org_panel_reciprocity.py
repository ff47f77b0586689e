"""Reciprocity by hand, against networkx, and what must not change it."""

from __future__ import annotations

from datetime import date

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import built, event

from metrics.parameters import Parameters
from metrics.reciprocity import _null
from metrics.reciprocity._null import arc_null, sampled_null, strength_preserving_null
from metrics.reciprocity.org_panel_reciprocity import Contact, org_panel_reciprocity, reciprocity

FEW = Parameters(minimum_pairs=3, null_draws=40)
START = date(2024, 1, 1)


def figures(arcs: dict[tuple[int, int], tuple[int, float]], parameters: Parameters = FEW, seed: int = 1) -> dict[str, float]:
    """Figures of arcs (from, to) -> (contacts, weight)."""
    pairs = sorted({(min(arc), max(arc)) for arc in arcs})
    a, b = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    ab, ba = (np.array([arcs.get(pair[::way], (0, 0.0))[0] for pair in pairs]) for way in (1, -1))
    forth, back = (np.array([arcs.get(pair[::way], (0, 0.0))[1] for pair in pairs]) for way in (1, -1))
    count, weight = np.stack([ab, ba]), np.stack([forth, back])
    contact = Contact(a, b, count, weight, np.zeros_like(count), np.zeros_like(weight))
    return reciprocity(contact, parameters, np.random.default_rng(seed))


def test_by_hand() -> None:
    # arcs 1->2 (3), 2->1 (1), 2->3 (2), 4->3 (4): L = 4, mutual arcs 2, W = 10, sum of minima over both directions 2
    found = figures({(1, 2): (3, 3.0), (2, 1): (1, 1.0), (2, 3): (2, 2.0), (4, 3): (4, 4.0)})
    assert (found["person_count"], found["pair_count"], found["mutual_pair_count"], found["contact_count"]) == (4, 3, 1, 10)
    assert (found["arc_count"], found["mutual_arc_count"]) == (4, 2)
    assert found["density"] == pytest.approx(4 / 12)
    assert found["r"] == pytest.approx(0.5)
    assert found["rho"] == pytest.approx((0.5 - 1 / 3) / (1 - 1 / 3))
    assert found["r_w"] == pytest.approx(0.2)
    assert found["rho_w"] == pytest.approx((0.2 - found["r_w_null"]) / (1 - found["r_w_null"]))


def test_null_keeps_what_everyone_sends_and_receives() -> None:
    # two people who write only to each other: every draw returns the same network, less the contacts that fall on their sender
    sender, recipient = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    null = strength_preserving_null(sender, recipient, np.ones(4), 200, np.random.default_rng(0))
    # of the 6 ways to deal (1, 1, 0, 0), one leaves 2 + 2 contacts, four 1 + 1 and one none at all (counted as 0)
    assert null.r == pytest.approx(5 / 6, abs=0.08)
    assert null.r_w == pytest.approx(5 / 6, abs=0.08)
    assert null.draw_count == 200


def test_null_of_uneven_weights_agrees_with_even_ones() -> None:
    random = np.random.default_rng(3)
    sender, recipient = random.integers(0, 30, 2000), random.integers(0, 30, 2000)
    even = strength_preserving_null(sender, recipient, np.full(2000, 0.5), 20, np.random.default_rng(1))
    # a weight that differs by nothing that matters takes the other path
    uneven = strength_preserving_null(sender, recipient, 0.5 + 1e-9 * random.random(2000), 20, np.random.default_rng(1))
    assert uneven.r == pytest.approx(even.r)
    assert uneven.r_w == pytest.approx(even.r_w, abs=1e-6)


@pytest.mark.parametrize("sent, people", [(400_000, 300), (6_000, 75), (10, 50)])
def test_null_from_samples_of_people_agrees_with_the_whole(sent: int, people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(11)
    activity = random.lognormal(0, 1, 1500)
    ends = random.choice(1500, (2, 120_000), p=activity / activity.sum())
    arcs, count = np.unique(ends[:, ends[0] != ends[1]], axis=1, return_counts=True)
    weight = count * random.choice([1.0, 0.5, 0.25], len(count))
    whole = arc_null(*arcs, count, weight, 10, np.random.default_rng(1))
    assert whole.draw_count == 10
    monkeypatch.setattr(_null, "CONTACT_BUDGET", 100_000)
    monkeypatch.setattr(_null, "SAMPLE_CONTACTS", sent)
    sampled = arc_null(*arcs, count, weight, 10, np.random.default_rng(1))
    assert sampled == sampled_null(*arcs, count, weight / count, np.random.default_rng(1))
    # within four standard errors of the mean of the samples
    for name in ("r", "r_w"):
        error = getattr(sampled, f"{name}_sd") / np.sqrt(sampled.draw_count)
        assert getattr(sampled, name) == pytest.approx(getattr(whole, name), abs=4 * error)
        assert 0 < error < 0.05 * np.sqrt(300 / people) * getattr(whole, name)


def test_null_of_a_random_network_is_what_it_has() -> None:
    random = np.random.default_rng(5)
    arcs: dict[tuple[int, int], tuple[int, float]] = {}
    for sender, recipient in random.integers(0, 60, (3000, 2)).tolist():
        if sender != recipient:
            count = arcs.get((sender, recipient), (0, 0.0))[0] + 1
            arcs[sender, recipient] = (count, float(count))
    found = figures(arcs)
    assert abs(found["r_z"]) < 4
    assert abs(found["r_strength_z"]) < 4
    assert abs(found["r_w_strength_z"]) < 4
    for name in ("rho_strength", "rho_w_strength", "rho_degree"):
        assert found[name] == pytest.approx(0, abs=0.05)
    # counts of a Poisson law differ less between arcs than exponential weights do: the lesser of two is a little more than expected
    assert found["rho_w"] == pytest.approx(0.22, abs=0.04)


def test_exact_null_of_exponential_weights_is_what_they_have() -> None:
    random = np.random.default_rng(6)
    there = random.random((60, 60)) < 0.3
    arcs = {(a, b): (1, float(random.exponential())) for a, b in zip(*np.nonzero(there), strict=True) if a != b}
    found = figures(arcs)
    assert abs(found["r_z"]) < 4
    assert abs(found["r_w_z"]) < 4
    assert found["rho_w"] == pytest.approx(0, abs=0.05)


arc_lists = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda arc: arc[0] != arc[1]), st.integers(1, 4), min_size=1, max_size=60
)


@settings(max_examples=40, deadline=None)
@given(arc_lists)
def test_equals_networkx(counts: dict[tuple[int, int], int]) -> None:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from((tail, head, count) for (tail, head), count in counts.items())
    found = figures({arc: (count, float(count)) for arc, count in counts.items()}, Parameters(minimum_pairs=1000, null_draws=5))
    assert found["r"] == pytest.approx(nx.overall_reciprocity(graph))
    shared = sum(min(count, counts.get((head, tail), 0)) for (tail, head), count in counts.items())
    assert found["r_w"] == pytest.approx(shared / sum(counts.values()))
    assert found["density"] == pytest.approx(nx.density(graph))


@settings(max_examples=15, deadline=None)
@given(arc_lists.filter(lambda arcs: len({frozenset(arc) for arc in arcs}) >= 3), st.permutations(range(13)))
def test_relabelling_people_changes_nothing_but_the_draws(counts: dict[tuple[int, int], int], names: list[int]) -> None:
    plain = figures({arc: (count, 0.5 * count) for arc, count in counts.items()})
    other = figures({(names[a], names[b]): (count, 0.5 * count) for (a, b), count in counts.items()})
    for name in ("person_count", "arc_count", "r", "r_low", "r_high", "rho", "r_w", "r_w_low", "r_w_high"):
        assert other[name] == pytest.approx(plain[name])


def rows(order: list[int]) -> pa.Table:
    pairs = [(1, 2, "any", 3, 1), (2, 3, "any", 2, 2), (1, 4, "any", 0, 5), (3, 4, "any", 1, 0), (3, 4, "email", 1, 0)]
    listed = [
        {"panel_kind": "all", "panel_start": START, "person_a_key": a, "person_b_key": b, "medium": medium,
         "ab_count": ab, "ba_count": ba, "ab_weight": ab / 2, "ba_weight": ba / 3}
        for a, b, medium, ab, ba in pairs
    ]  # fmt: skip
    return pa.Table.from_pylist([listed[position] for position in order])


def grouped(order: list[int]) -> pa.Table:
    pairs = [(1, 2, "any", 2, 0), (3, 4, "any", 1, 0), (3, 4, "email", 1, 0)]
    listed = [
        {"panel_kind": "all", "panel_start": START, "person_a_key": a, "person_b_key": b, "medium": medium,
         "ab_group_count": ab, "ba_group_count": ba, "ab_group_weight": ab / 2, "ba_group_weight": ba / 3}
        for a, b, medium, ab, ba in pairs
    ]  # fmt: skip
    return pa.Table.from_pylist([listed[position] for position in order])


def test_order_of_rows_changes_nothing() -> None:
    panel = pa.table({"panel_kind": ["all"], "panel_start": pa.array([START]), "observed_day_count": [30]})
    plain = org_panel_reciprocity(rows([0, 1, 2, 3, 4]), grouped([0, 1, 2]), panel, panel, FEW)
    assert plain.equals(org_panel_reciprocity(rows([4, 2, 0, 3, 1]), grouped([2, 0, 1]), panel, panel, FEW))
    assert plain["medium"].to_pylist() == ["any", "email"]
    assert plain["reason"].to_pylist() == [None, "too_few"]
    assert plain["r_null"].to_pylist()[0] is not None
    # 1 + 1/2 of a weight of 3/2 + 1/3 + 1 + 2/3 + 5/3 + 1/2
    assert plain["group_weight_ratio"].to_pylist()[0] == pytest.approx(1.5 / (17 / 3))


def test_in_a_warehouse() -> None:
    world = built(
        [
            event("2024-01-02", 1, 2),
            event("2024-01-03", 2, 1),
            event("2024-01-03", 2, 3),
            event("2024-01-04", 3, 1, medium="slack_dm"),
            event("2024-01-05", 1, 3, medium="slack_dm"),
            event("2024-01-05", 4, 1, medium="slack_channel", evidence="reacted"),
            event("2024-01-08", 1, [2, 3], medium="meeting_online"),
            event("2024-02-08", 1, [2, 3], medium="meeting_online"),
        ],
        only=("org_panel_reciprocity",),
        minimum_pairs=3,
    )
    found = world.run(
        "select panel_kind, month(panel_start), medium, arc_count, mutual_arc_count, r, r_low is not null, reason "
        "from metrics.org_panel_reciprocity order by 1, 2, 3"
    )
    # meetings have no direction, and a reaction alone is no contact
    assert found == [
        ("all", 1, "any", 5, 4, 0.8, True, None),
        ("all", 1, "email", 3, 2, pytest.approx(2 / 3), False, "too_few"),
        ("all", 1, "slack_dm", 2, 2, 1.0, False, "too_few"),
        ("month", 1, "any", 5, 4, 0.8, True, None),
        ("month", 1, "email", 3, 2, pytest.approx(2 / 3), False, "too_few"),
        ("month", 1, "slack_dm", 2, 2, 1.0, False, "too_few"),
        ("month", 2, "any", 0, 0, None, False, "no_direction"),
    ]
