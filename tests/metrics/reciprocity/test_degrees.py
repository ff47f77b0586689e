"""The null of degrees and strengths: constraints, exact sums against every pair, degenerate networks, and messages to groups."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import Warehouse, built, event

from metrics.reciprocity import _kernels
from metrics.reciprocity._degrees import Model, solve
from metrics.reciprocity._expected import Expected, Pairs, expected

ARC = st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda arc: arc[0] != arc[1])
ARCS = st.dictionaries(ARC, st.floats(0.05, 50), min_size=1, max_size=60)


def matrices(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Chances and rates of every arc, the plain way."""
    both = np.outer(model.x, model.y)
    chance, rate = both / (1 + both), model.theta[:, None] + model.phi[None, :]
    np.fill_diagonal(chance, 0)
    np.fill_diagonal(rate, 1)
    return chance, rate


def held(arcs: dict[tuple[int, int], float], people: int) -> None:
    """Every degree and strength is met."""
    tail, head = np.array(list(arcs)).T
    weight = np.array(list(arcs.values()))
    model = solve(tail, head, weight, people)
    chance, rate = matrices(model)
    # among few people degrees can leave an arc without a chance, and so without a weight
    is_open = chance > _kernels.NO_CHANCE
    assert (rate[is_open] > 0).all()
    rate[~is_open] = np.inf
    for found, axis, end in ((chance, 1, tail), (chance, 0, head)):
        np.testing.assert_allclose(found.sum(axis=axis), np.bincount(end, minlength=people), rtol=1e-6)
        np.testing.assert_allclose((found / rate).sum(axis=axis), np.bincount(end, weight, people), rtol=1e-6, atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(ARCS)
def test_everybody_keeps_what_they_have(arcs: dict[tuple[int, int], float]) -> None:
    held(arcs, 10)


@pytest.mark.parametrize(
    "arcs",
    [
        {(0, 1): 3.0},
        {(0, 1): 3.0, (1, 0): 5.0},
        {(0, n): float(n) for n in range(1, 9)},
        {(n, 0): 1.0 for n in range(1, 9)} | {(0, 1): 7.0},
        dict.fromkeys(permutations(range(6), 2), 2.0),
        {arc: 1.0 + sum(arc) for arc in permutations(range(6), 2)},
        # one person far busier than all others, both ways
        {arc: 400.0 if 0 in arc else 1.0 for arc in permutations(range(8), 2)},
    ],
)
def test_networks_at_the_edge(arcs: dict[tuple[int, int], float]) -> None:
    held(arcs, 9)


@pytest.mark.parametrize("seed", range(4))
def test_many_people_as_few(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # what is summed by narrow matrices is what is summed pair by pair
    random = np.random.default_rng(seed)
    people = 150
    pull = np.exp(random.normal(0, 1.2, people))
    ends = random.choice(people, (2, 2500), p=pull / pull.sum())
    tail, head = np.unique(ends[:, ends[0] != ends[1]], axis=1)
    weight = np.exp(random.normal(0, 2, len(tail)))
    monkeypatch.setattr(_kernels, "DENSE_PEOPLE", 0)
    held(dict(zip(zip(tail.tolist(), head.tolist(), strict=True), weight.tolist(), strict=True)), people)
    of = _kernels.Ends.of(np.bincount(tail, minlength=people), np.bincount(head, minlength=people))
    u, v = random.normal(-2, 2, len(of.sends)), random.normal(-1, 2, len(of.receives))
    theta, phi = random.uniform(0.3, 2, len(u)), random.uniform(-0.25, 2, len(v))
    of_senders, of_receivers = random.normal(size=len(u)), random.normal(size=len(v))

    def sums() -> list[np.ndarray]:
        links = _kernels.Links(of, u, v)
        means = _kernels.Means(links, theta, phi)
        return [*links.sums(), *links.slopes(of_senders, of_receivers), *means.sums(), *means.slopes(of_senders, of_receivers)]

    narrow = sums()
    monkeypatch.setattr(_kernels, "DENSE_PEOPLE", 1000)
    monkeypatch.setattr(_kernels, "NO_CHANCE", 0.0)
    for found, plain in zip(narrow, sums(), strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-6, atol=1e-6 * np.abs(plain).max())


def drawn(model: Model, given: np.ndarray, draws: int, random: np.random.Generator) -> Expected:
    """The same by drawing every arc."""
    chance, rate = matrices(model)
    links, shared = [], []
    for _ in range(draws):
        weight = (random.random(chance.shape) < chance) * random.exponential(1 / rate) + given
        links.append(((weight > 0) & (weight.T > 0)).sum())
        shared.append(np.minimum(weight, weight.T).sum())
    return Expected(float(np.mean(links)), float(np.std(links)), float(np.mean(shared)), float(np.std(shared)))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_mean_and_deviation_are_those_of_draws(share: float) -> None:
    random = np.random.default_rng(7)
    people = 24
    weight = (random.random((people, people)) < 0.2) * np.exp(random.normal(0, 1, (people, people)))
    groups = (random.random((people, people)) < share) * random.uniform(0.05, 3, (people, people))
    np.fill_diagonal(weight, 0)
    np.fill_diagonal(groups, 0)
    a, b = np.triu_indices(people, 1)
    found = expected(Pairs(a, b, weight[a, b], weight[b, a], groups[a, b], groups[b, a]), people)
    tail, head = np.nonzero(weight)
    model = solve(tail, head, weight[tail, head], people)
    plain = drawn(model, groups, 6000, random)
    total = weight.sum() + groups.sum()
    assert found.r_w * total == pytest.approx(plain.r_w, abs=5 * plain.r_w_sd / np.sqrt(6000))
    assert found.r_w_sd * total == pytest.approx(plain.r_w_sd, rel=0.05)
    chance, _ = matrices(model)
    arcs = np.where(groups > 0, 1, chance).sum()
    assert found.r * arcs == pytest.approx(plain.r, abs=5 * plain.r_sd / np.sqrt(6000))
    assert found.r_sd * arcs == pytest.approx(plain.r_sd, rel=0.05)


def of_whole(world: Warehouse, medium: str = "any") -> dict[str, float]:
    found: dict[str, float] = world.arrow(
        f"select * from metrics.org_panel_reciprocity where panel_kind = 'all' and medium = '{medium}'"
    ).to_pylist()[0]
    return found


def groups(random: np.random.Generator, posts: int = 20) -> list[dict[str, object]]:
    """40 groups of 5 that post at random and never answer."""
    return [
        event(f"2024-01-{1 + post:02}T{int(random.integers(8, 18)):02}:00", sender, members - {sender}, medium="slack_group_dm")
        for group in range(40)
        for members in [set(range(5 * group + 1, 5 * group + 6))]
        for post in range(posts)
        for sender in [5 * group + 1 + int(random.integers(5))]
    ]


def test_groups_that_never_answer_have_no_reciprocity() -> None:
    world = built(groups(np.random.default_rng(1)), only=("org_panel_reciprocity",))
    found = of_whole(world)
    # what was published: nearly all is mutual, and far beyond what strengths give
    assert found["r"] > 0.9
    assert found["rho_w_strength"] > 0.4
    assert (found["rho_w"], found["r_w_null"], found["reason"]) == (None, None, "groups_only")
    assert found["group_weight_ratio"] == 1


def test_groups_do_not_hide_or_make_answers() -> None:
    random = np.random.default_rng(2)
    posts = groups(random)
    # 600 messages from anybody to anybody, then an answer to each
    pairs = [tuple(random.choice(200, 2, replace=False) + 1) for _ in range(600)]
    asked = [event(f"2024-01-{1 + n % 20:02}T07:00", int(a), int(b)) for n, (a, b) in enumerate(pairs)]
    replies = [event(f"2024-01-{1 + n % 20:02}T19:00", int(b), int(a)) for n, (a, b) in enumerate(pairs)]
    unanswered = of_whole(built([*posts, *asked], only=("org_panel_reciprocity",)))
    assert unanswered["rho_w"] == pytest.approx(0, abs=0.02)
    assert unanswered["rho_degree"] == pytest.approx(0, abs=0.02)
    assert abs(unanswered["r_w_z"]) < 4
    answered = of_whole(built([*posts, *asked, *replies], only=("org_panel_reciprocity",)))
    assert answered["rho_w"] > 0.8
    alone = of_whole(built([*asked, *replies], only=("org_panel_reciprocity",)))
    assert alone["rho_w"] == pytest.approx(1, abs=0.01)


def test_reciprocity_is_no_measure_of_volume() -> None:
    # the same planted mutual share in a busy and in a quiet medium
    random = np.random.default_rng(3)
    found = []
    for rate in (1.0, 6.0):
        rows = []
        for _ in range(900):
            a, b = (int(n) for n in random.choice(80, 2, replace=False) + 1)
            for _ in range(1 + random.poisson(rate)):
                rows.append(event(f"2024-01-{int(random.integers(1, 29)):02}T08:00", a, b))
                rows.append(event(f"2024-01-{int(random.integers(1, 29)):02}T09:00", b, a))
        found.append(of_whole(built(rows, only=("org_panel_reciprocity",))))
    quiet, busy = found
    assert busy["rho_w"] == pytest.approx(quiet["rho_w"], abs=0.02)


def test_weights_count_as_what_they_are_of() -> None:
    # another unit changes nothing
    random = np.random.default_rng(4)
    a, b = np.triu_indices(30, 1)
    forth, back = ((random.random(len(a)) < 0.3) * random.exponential(size=len(a)) for _ in range(2))
    none = np.zeros(len(a))
    one = expected(Pairs(a, b, forth, back, none, none), 30)
    other = expected(Pairs(a, b, 60 * forth, 60 * back, none, none), 30)
    assert (other.r_w, other.r_w_sd, other.r) == (pytest.approx(one.r_w), pytest.approx(one.r_w_sd), pytest.approx(one.r))
