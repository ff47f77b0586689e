"""Interrupted time series: twins in statsmodels, planted changes, drifts that are no change, and honest refusals."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.linear_model import GLS, OLS

from metrics.policy._interrupted import Change, Interrupted, _fit, interrupted, ljung_box


def noise(seed: int, weeks: int, carry: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    error = np.zeros(weeks)
    error[0] = random.normal()
    for week in range(1, weeks):
        error[week] = carry * error[week - 1] + np.sqrt(1 - carry**2) * random.normal()
    return error


def fitted(seed: int, weeks: int, start: int, carry: float, level: float = 0.0, slope: float = 0.0, fresh: float = 0.0) -> Interrupted:
    week = np.arange(weeks)
    after = week >= start
    error = np.sqrt(1 - fresh) * noise(seed, weeks, carry) + np.sqrt(fresh) * noise(seed + 100_000, weeks, 0.0)
    found = interrupted(week, 3 + 0.02 * week + level * after + slope * after * (week - start) + error, start)
    assert isinstance(found, Interrupted)
    return found


def test_each_law_is_fitted_as_statsmodels_fits_it() -> None:
    random = np.random.default_rng(0)
    x = np.column_stack([np.ones(60), random.normal(size=(60, 2))])
    y = noise(1, 60, 0.5)
    week = np.arange(60)
    apart = np.abs(week[:, None] - week[None, :]).astype(float)
    law = 0.7 * 0.8**apart
    np.fill_diagonal(law, 1.0)
    twin = GLS(y, x, sigma=law).fit()
    fit = _fit(x, y, apart, 0.8, 0.3)
    assert fit.beta == pytest.approx(np.asarray(twin.params))
    assert fit.covariance == pytest.approx(np.asarray(twin.cov_params()))


def test_errors_without_memory_are_fitted_as_by_least_squares() -> None:
    week = np.arange(40)
    after = (week >= 20).astype(float)
    # alternating errors have no positive autocorrelation: nothing is carried over
    y = 1 + 0.1 * week + 2 * after + 0.1 * (-1.0) ** week
    found = interrupted(week, y, 20)
    assert isinstance(found, Interrupted)
    assert found.autocorrelation < 0.25
    expected = OLS(y, np.column_stack([np.ones(40), week - 20, after, after * (week - 20)])).fit().params
    assert (found.level.value, found.slope.value) == pytest.approx(tuple(expected[2:]), abs=0.02)
    assert found.average.value == pytest.approx(found.level.value + 9.5 * found.slope.value)


def test_an_interval_and_its_p_value_are_of_the_same_mixture() -> None:
    change = Change(np.array([1.0, 3.0]), np.array([0.5, 2.0]), np.array([0.7, 0.3]), 40)
    assert change.value == pytest.approx(1.6)
    low, high = change.interval(0.95)
    assert (change.below(low), change.below(high)) == pytest.approx((0.025, 0.975))
    draws = np.random.default_rng(0).standard_t(40, 400_000)
    draws = np.where(np.arange(400_000) < 280_000, 1 + 0.5 * draws, 3 + 2 * draws)
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.03)
    assert change.p_value == pytest.approx(2 * np.mean(draws < 0), abs=0.005)
    low, high = change.interval(1 - change.p_value)
    assert low == pytest.approx(0, abs=1e-6)


def test_missing_weeks_are_passed_over() -> None:
    week = np.array([number for number in range(60) if not 20 <= number < 26])
    y = 2 + 1.0 * (week >= 30) + 0.001 * np.sin(week)
    found = interrupted(week, y, 30)
    assert isinstance(found, Interrupted)
    assert found.level.value == pytest.approx(1, abs=0.01)


def test_the_years_course_is_modelled_from_a_year_and_a_half() -> None:
    assert fitted(0, 104, 50, 0.2).is_seasonal
    assert not fitted(0, 60, 30, 0.2).is_seasonal


def test_refusals() -> None:
    assert interrupted(np.arange(12), np.arange(12.0), 6) == "too_few_weeks"
    assert interrupted(np.arange(30), np.ones(30), 15) == "no_variation"


def test_ljung_box_sees_what_is_left() -> None:
    assert ljung_box(noise(3, 200, 0.8)) < 0.01
    assert ljung_box(noise(3, 200, 0.0)) > 0.05


def rates(seeds: range, weeks: int, start: int, carry: float, level: float, fresh: float = 0.0) -> tuple[float, float]:
    """Share of seeds whose interval covers the planted level, and that find a slope or average that is not there."""
    covered, false = [], []
    for seed in seeds:
        found = fitted(seed, weeks, start, carry, level, fresh=fresh)
        low, high = found.level.interval(0.95)
        covered.append(low <= level <= high)
        false.append(found.average.p_value < 0.05 if level == 0 else found.slope.p_value < 0.05)
    return float(np.mean(covered)), float(np.mean(false))


def test_planted_changes_are_covered_short() -> None:
    covered, false = rates(range(25), 52, 26, 0.3, 2.0)
    assert covered >= 0.84
    assert false <= 0.16


# a drift that hardly fades looks like a slope within a year of weeks, whatever is fitted: policy_effect's caveat says how often
@pytest.mark.full
@pytest.mark.parametrize("carry, fresh, most", [(0.0, 0.0, 0.07), (0.3, 0.0, 0.07), (0.6, 0.0, 0.07), (0.9, 0.5, 0.12), (0.95, 0.4, 0.15)])
@pytest.mark.parametrize("level", [0.0, 2.0])
def test_planted_changes_are_covered(carry: float, fresh: float, most: float, level: float) -> None:
    covered, false = rates(range(200), 52, 26, carry, level, fresh)
    print(f"carried {carry}, fresh {fresh}, level {level}: {covered:.3f} covered, {false:.3f} called")  # noqa: T201
    assert covered >= 0.90
    assert false <= most
