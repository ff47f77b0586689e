"""How exactly figures may be told: ranges worked out by trying every number, not by the formulas that are tested."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.disclosure._precision import coarser, count_range, few, outward, preferred, rounded, share, step_of, volume_range


@pytest.mark.parametrize("base", [5, 10, 20, 50])
def test_every_count_shares_what_is_shown_of_it_with_at_least_five_neighbours(base: int) -> None:
    counts = np.arange(0, 40 * base, dtype=float)
    shown = rounded(counts, np.full(len(counts), float(base)))
    assert np.isnan(shown[: int(few(base)) + 1]).all()
    assert few(5) == 7
    for value in np.unique(shown[~np.isnan(shown)]):
        same = counts[shown == value]
        assert np.ptp(same) >= base - 1 or same.max() == counts[-1]
    # the range that an attacker is credited with is what they could find by trying
    low, high = count_range(counts, np.full(len(counts), float(base)), np.zeros(len(counts)))
    for value, least, most in zip(counts, low, high, strict=True):
        same = counts[np.isnan(shown)] if np.isnan(shown[int(value)]) else counts[shown == shown[int(value)]]
        if same.max() < counts[-1]:
            assert (least, most) == (same.min(), same.max())


def test_a_guard_of_five_is_shown_as_five() -> None:
    guards = np.array([5.0, 6, 7, 8, 12, 13])
    assert rounded(guards, np.full(6, 5.0), np.full(6, True)).tolist() == [5, 5, 5, 10, 10, 15]


@given(st.floats(min_value=11.2, max_value=1e9))
def test_a_volume_is_told_within_a_quarter_of_itself(value: float) -> None:
    low, high = volume_range(np.array([value]))
    assert low[0] <= value <= high[0]
    assert (high[0] - low[0]) / value > 0.2
    told = preferred(np.array([value]))[0]
    assert low[0] * 0.999 <= told <= high[0] * 1.001
    inside = np.linspace(low[0], high[0], 30)[1:-1]
    assert np.allclose(preferred(inside), told)


@pytest.mark.parametrize("people", [20, 26, 50, 99, 100, 251, 500, 1200])
def test_a_share_tells_no_more_of_its_part_than_a_rounded_count_would(people: int) -> None:
    parts = np.arange(people + 1, dtype=float)
    on = np.full(people + 1, float(people))
    told = share(parts / people, on, np.maximum(step_of(on, np.full(people + 1, 5.0)), 0.01), np.full(people + 1, 7.0))
    assert not np.isnan(told).any()
    for value in np.unique(told):
        same = parts[told == value]
        assert np.ptp(same) >= 3 if value not in (0, 1) else np.ptp(same) >= 7, (value, same)


def test_a_share_of_too_few_is_not_told() -> None:
    on = np.array([4.0, 19, 20])
    assert np.isnan(step_of(on, np.full(3, 5.0))).tolist() == [True, True, False]


def test_ends_of_intervals_move_outward_to_a_step() -> None:
    step = np.full(3, 0.1)
    assert outward(np.array([0.19, 0.2, 0.21]), step, is_low=True).tolist() == [0.1, 0.2, 0.2]
    assert outward(np.array([0.19, 0.2, 0.21]), step, is_low=False).tolist() == [0.2, 0.2, 0.3]


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_bases_grow_on_a_ladder_of_multiples(base: float, least: float) -> None:
    found = coarser(np.array([5.0]), np.array([max(base, least)]), 5)[0]
    assert found >= max(base, least, 5) - 1e-6
    assert found % 5 == 0
