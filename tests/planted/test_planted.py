"""Planted truths lie in the published intervals, and what is not there is seldom called an effect.

The short form judges a few seeds, with bounds that a sound measure misses once in ten thousand times; the full form judges 200 against
what has to hold (`python -m planted` does the same and writes FIGURES.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from scipy import stats

from planted.figures import FIGURES, LEAST_COVERED, MOST_CALLED, Seed, Share, called, covered, run
from planted.verdicts import Cover, verdicts

SEEDS = (1, 2, 3)
RARE = 1e-4


@pytest.fixture(scope="module")
def few() -> list[Seed]:
    return [Seed(number, 0.0, tuple(verdicts(number, newcomer_worlds=12))) for number in SEEDS]


def too_seldom(shares: Iterable[Share]) -> list[str]:
    """Quantities, and all together, whose intervals hold the truth more seldom than nine in ten by more than chance."""
    shares = list(shares)
    everything = Share("all", "", len(SEEDS), sum(share.count for share in shares), sum(share.hits for share in shares))
    return [share.name for share in (*shares, everything) if share.hits < stats.binom.ppf(RARE, share.count, LEAST_COVERED)]


def too_often(shares: Iterable[Share]) -> list[str]:
    """Families of nulls that are called significant more often than they may be by more than chance."""
    return [share.name for share in shares if share.hits > stats.binom.isf(RARE, share.count, MOST_CALLED)]


def test_planted_truths_are_held(few: list[Seed]) -> None:
    shares = covered(few, by_level=False)
    assert len(shares) == 15
    assert not too_seldom(shares), covered(few, by_level=True)


def test_what_is_not_there_is_not_called(few: list[Seed]) -> None:
    shares = called(few, by_level=False)
    assert len(shares) == 7
    assert not too_often(shares), called(few, by_level=True)


def test_intervals_a_third_as_wide_would_be_found_out(few: list[Seed]) -> None:
    def narrowed(verdict: Cover) -> Cover:
        middle = verdict.estimate if verdict.estimate is not None else verdict.low
        reach = (verdict.high - verdict.low) / 6 if math.isfinite(verdict.high) else 0.0
        return replace(verdict, low=middle - reach, high=middle + reach)

    narrow = [replace(seed, found=tuple(narrowed(one) if isinstance(one, Cover) else one for one in seed.found)) for seed in few]
    assert "all" in too_seldom(covered(narrow, by_level=False))


def test_estimates_off_by_half_a_reach_more_than_the_interval_allows_would_be_found_out(few: list[Seed]) -> None:
    def moved(verdict: Cover) -> Cover:
        reach = (verdict.high - verdict.low) / 2 if math.isfinite(verdict.high) else abs(verdict.truth)
        return replace(verdict, low=verdict.low + 1.5 * reach, high=verdict.high + 1.5 * reach)

    shifted = [replace(seed, found=tuple(moved(one) if isinstance(one, Cover) else one for one in seed.found)) for seed in few]
    assert len(too_seldom(covered(shifted, by_level=False))) >= 8


def kept(heading: str) -> list[Share]:
    """The shares of a table of the figures that are kept."""
    section = FIGURES.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")][1:]
    return [Share(name, "", int(seeds), int(count), int(hits)) for name, seeds, count, hits, *_ in cells]


def test_the_figures_kept_are_of_these_quantities_and_not_against_what_must_hold(few: list[Seed]) -> None:
    quantities, families = kept("Quantities"), kept("Effects that are not there")
    assert {share.name for share in quantities} == {share.name for share in covered(few, by_level=False)}
    assert {share.name for share in families} == {share.name for share in called(few, by_level=False)}
    assert not too_seldom(quantities)
    assert not too_often(families)


@pytest.mark.full
@pytest.mark.timeout(6 * 3600)
def test_planted_truths_are_held_over_200_seeds() -> None:
    seeds = list(run(range(1, 201), processes=2))
    for share in covered(seeds, by_level=False):
        assert share.share >= LEAST_COVERED, share
    for share in called(seeds, by_level=False):
        assert share.share <= MOST_CALLED, share
