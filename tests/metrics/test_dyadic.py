"""Intervals for figures about pairs: by hand, at the ends, and their coverage where pairs hang together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import special

from metrics.dyadic import dyadic_variance, share_interval


def brute_variance(influence: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The sum of products over all pairs of pairs with a common person, straight from the definition."""
    total = sum(
        influence[p] * influence[q]
        for p, q in itertools.product(range(len(influence)), repeat=2)
        if {first[p], second[p]} & {first[q], second[q]}
    )
    people = len(set(first) | set(second))
    return max(total, float((influence**2).sum())) * people / (people - 1)


def test_variance_sums_pairs_with_a_common_person() -> None:
    # two pairs that share person 1: 1 + 4 + 2 x (1 x 2) = 9, times 3/2 for three people
    assert dyadic_variance(np.array([1.0, 2.0]), np.array([0, 1]), np.array([1, 2])) == pytest.approx(13.5)


@pytest.mark.parametrize("seed", range(5))
def test_variance_equals_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    pairs = np.array([pair for pair in itertools.combinations(range(9), 2) if random.random() < 0.5])
    influence = random.normal(size=len(pairs))
    assert dyadic_variance(influence, pairs[:, 0], pairs[:, 1]) == pytest.approx(brute_variance(influence, pairs[:, 0], pairs[:, 1]))


def test_all_or_nothing_has_an_exact_open_end() -> None:
    pairs = np.arange(8)
    none = share_interval(np.zeros(4), np.ones(4), pairs[::2], pairs[1::2], 0.95)
    assert (none.estimate, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 4))
    every = share_interval(np.ones(4), np.ones(4), pairs[::2], pairs[1::2], 0.95)
    assert (every.estimate, every.high) == (1.0, 1.0)
    assert share_interval(np.zeros(1), np.zeros(1), pairs[:1], pairs[1:2], 0.95).estimate is None


def covered(people: int, runs: int, spread: float, seed: int) -> float:
    """How often the interval holds the truth when some people answer more than others, so that their pairs hang together."""
    random = np.random.default_rng(seed)
    grid = special.expit(0.3 + np.sqrt(2) * spread * random.normal(size=200_000))
    # a pair is mutual with this chance, and a share of arcs has two mutual arcs for one that is not
    chance = grid.mean()
    truth = 2 * chance / (1 + chance)
    first, second = np.triu_indices(people, 1)
    hits = 0
    for _ in range(runs):
        answering = spread * random.normal(size=people)
        kept = random.random(len(first)) < 0.15
        a, b = first[kept], second[kept]
        is_mutual = (random.random(len(a)) < special.expit(0.3 + answering[a] + answering[b])).astype(float)
        found = share_interval(2 * is_mutual, 1 + is_mutual, a, b, 0.95)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    return hits / runs


@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_interval_covers_the_truth(spread: float) -> None:
    # 300 runs: the standard error of a coverage of .95 is .013
    assert 0.91 <= covered(people=60, runs=300, spread=spread, seed=7) <= 0.99


@pytest.mark.full
@pytest.mark.parametrize("people", [30, 100, 200])
@pytest.mark.parametrize("spread", [0.0, 0.4, 1.0])
def test_interval_covers_the_truth_at_many_sizes(people: int, spread: float) -> None:
    assert 0.91 <= covered(people=people, runs=1000, spread=spread, seed=11) <= 0.985
