"""Interrupted time series: twins in statsmodels, planted changes, and honest refusals."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from metrics.policy._interrupted import Interrupted, interrupted, ljung_box, newey_west


def noise(seed: int, weeks: int, carry: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    error = np.zeros(weeks)
    error[0] = random.normal()
    for week in range(1, weeks):
        error[week] = carry * error[week - 1] + np.sqrt(1 - carry**2) * random.normal()
    return error


def fitted(seed: int, weeks: int, start: int, carry: float, level: float = 0.0, slope: float = 0.0) -> Interrupted:
    week = np.arange(weeks)
    after = week >= start
    found = interrupted(week, 3 + 0.02 * week + level * after + slope * after * (week - start) + noise(seed, weeks, carry), start)
    assert isinstance(found, Interrupted)
    return found


def test_newey_west_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(0)
    x = np.column_stack([np.ones(60), random.normal(size=(60, 2))])
    fit = OLS(noise(1, 60, 0.5), x).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True})
    assert newey_west(x, np.asarray(fit.resid), 3) == pytest.approx(np.asarray(fit.cov_params()))


def test_without_autocorrelation_the_coefficients_are_those_of_least_squares() -> None:
    week = np.arange(40)
    after = (week >= 20).astype(float)
    # alternating errors have no positive autocorrelation: nothing is carried over
    y = 1 + 0.1 * week + 2 * after + 0.1 * (-1.0) ** week
    found = interrupted(week, y, 20)
    assert isinstance(found, Interrupted)
    assert found.autocorrelation == pytest.approx(0, abs=1e-3)
    expected = OLS(y, np.column_stack([np.ones(40), week - 20, after, after * (week - 20)])).fit().params
    assert (found.level.value, found.slope.value) == pytest.approx(tuple(expected[2:]), abs=1e-3)
    assert found.average.value == pytest.approx(found.level.value + 9.5 * found.slope.value)


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


def rates(seeds: range, weeks: int, start: int, carry: float, level: float) -> tuple[float, float]:
    """Share of seeds whose interval covers the planted level, and that find a slope or average that is not there."""
    covered, false = [], []
    for seed in seeds:
        found = fitted(seed, weeks, start, carry, level)
        low, high = found.level.interval(0.95)
        covered.append(low <= level <= high)
        false.append(found.average.p_value < 0.05 if level == 0 else found.slope.p_value < 0.05)
    return float(np.mean(covered)), float(np.mean(false))


def test_planted_changes_are_covered_short() -> None:
    covered, false = rates(range(25), 52, 26, 0.3, 2.0)
    assert covered >= 0.84
    assert false <= 0.16


@pytest.mark.full
@pytest.mark.parametrize("carry", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("level", [0.0, 2.0])
def test_planted_changes_are_covered(carry: float, level: float) -> None:
    covered, false = rates(range(200), 52, 26, carry, level)
    assert covered >= 0.90
    assert false <= 0.07
