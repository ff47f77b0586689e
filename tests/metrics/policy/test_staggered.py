"""Callaway and Sant'Anna's estimator: by hand, and on planted effects."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.policy._staggered import NEVER, cells, combine, doubly_robust, event_study, largest


def test_by_hand() -> None:
    # two teams start at 3, the others never; the comparison rises by 1 a period
    outcome = np.array([[1.0, 2, 7, 8], [2, 3, 6, 9], [0, 1, 2, 3], [5, 6, 7, 8], [3, 4, 5, 6]])
    starts = np.array([3, 3, NEVER, NEVER, NEVER])
    found = {(cell.group, cell.time): cell.att for cell in cells(outcome, starts, [1, 2, 3, 4], is_later_compared=False)}
    # at 3: changes since 2 of 5 and 3, less 1; at 4: 6 and 6, less 2; before: as the others
    assert found == {(3, 2): pytest.approx(0), (3, 3): pytest.approx(3), (3, 4): pytest.approx(4)}


def test_without_covariates_it_is_the_difference_of_mean_changes() -> None:
    random = np.random.default_rng(0)
    change, treated = random.normal(size=30), np.arange(30) < 12
    att, influence, left = doubly_robust(change, treated, np.ones((30, 1)))
    assert att == pytest.approx(change[treated].mean() - change[~treated].mean())
    assert left[treated].mean() == pytest.approx(att)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert (influence**2).sum() == pytest.approx(change[treated].var() / 12 + change[~treated].var() / 18)


def test_a_unit_that_has_started_is_never_compared_with() -> None:
    outcome = np.random.default_rng(1).normal(size=(9, 6))
    starts = np.array([2, 2, 2, 4, 4, 4, 6, 6, 6])
    for cell in cells(outcome, starts, [1, 2, 3, 4, 5, 6], is_later_compared=True):
        assert (starts[cell.compared] > max(cell.time, cell.group)).all()


def test_the_order_of_units_changes_nothing() -> None:
    random = np.random.default_rng(2)
    outcome, starts = random.normal(size=(12, 6)), np.repeat([NEVER, 3, 5], 4)
    order = random.permutation(12)
    one = combine([cell for cell in cells(outcome, starts, range(1, 7), is_later_compared=False) if cell.time >= cell.group], 12)
    other = combine(
        [cell for cell in cells(outcome[order], starts[order], range(1, 7), is_later_compared=False) if cell.time >= cell.group], 12
    )
    assert one is not None
    assert other is not None
    assert (one.value, one.error, one.freedom) == pytest.approx((other.value, other.error, other.freedom))


def test_two_treated_units_are_too_few() -> None:
    outcome = np.random.default_rng(3).normal(size=(8, 4))
    found = cells(outcome, np.array([3, 3, *[NEVER] * 6]), [1, 2, 3, 4], is_later_compared=False)
    assert combine(found, 8) is None


def planted(seed: int, units: int, treated: int, effect: float, *, carry: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of 12 blocks: team and time effects, errors that carry over, and an effect from each team's own start."""
    random = np.random.default_rng(seed)
    error = np.zeros((units, 12))
    error[:, 0] = random.normal(size=units)
    for time in range(1, 12):
        error[:, time] = carry * error[:, time - 1] + np.sqrt(1 - carry**2) * random.normal(size=units)
    starts = np.zeros(units, dtype=np.int64)
    starts[:treated] = random.integers(5, 10, treated)
    active = (np.arange(1, 13)[None] >= starts[:, None]) & (starts[:, None] > 0)
    return random.normal(size=(units, 1)) + random.normal(0, 0.5, (1, 12)) + error + effect * active, starts


def judged(seeds: range, units: int, treated: int, effect: float) -> tuple[float, float]:
    """Share of seeds whose interval covers the effect, and whose pre-trend test rejects."""
    covered, rejected = [], []
    for seed in seeds:
        outcome, starts = planted(seed, units, treated, effect)
        found = cells(outcome, starts, range(1, 13), is_later_compared=treated == units)
        whole = combine([cell for cell in found if cell.time >= cell.group], units)
        assert whole is not None
        low, high = whole.interval(0.95)
        covered.append(low <= effect <= high)
        before = event_study([cell for cell in found if cell.time < cell.group], units)
        score = max(one.normal_score for one in before.values())
        rejected.append(np.mean(largest(before, 199, np.random.default_rng(seed)) >= score) < 0.05)
    return float(np.mean(covered)), float(np.mean(rejected))


def test_planted_effects_are_covered_short() -> None:
    covered, rejected = judged(range(12), 20, 8, 1.0)
    assert covered >= 0.75
    assert rejected <= 0.25


@pytest.mark.full
@pytest.mark.parametrize("units, treated", [(12, 4), (20, 8), (30, 30)])
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_planted_effects_are_covered(units: int, treated: int, effect: float) -> None:
    covered, rejected = judged(range(200), units, treated, effect)
    assert covered >= 0.93  # so that an effect of nothing is called one in at most 7%
    # measured at 3 to 10%: with few teams it warns somewhat too often, which errs towards distrust
    assert rejected <= 0.12
