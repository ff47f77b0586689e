"""Segmented interrupted time series: what changed for everyone at once, against the organisation's own trend before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINIMUM_WEEKS: Final = 8
"""Observed weeks needed before and after."""

SEASON_WEEKS: Final = 78
"""From so many weeks on, the year's course is modelled too; with less it cannot be told from a trend or a change of level."""


@dataclass(frozen=True, slots=True)
class Change:
    """An estimate with its standard error and degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom)) if self.error > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A fitted interrupted time series.

    Attributes:
        average: Mean difference after the start from what the trend before would have led to.
        level: Change of level at the start.
        slope: Change of slope a week.
        autocorrelation: Of the errors from one week to the next, as estimated.
        residual_p: Whether what is left still hangs together over time (Ljung-Box over four weeks; small = it does, distrust the interval).
        is_seasonal: Whether the year's course was modelled.
    """

    average: Change
    level: Change
    slope: Change
    autocorrelation: float
    residual_p: float
    is_seasonal: bool


def _whiten(x: Floats, week: Ints, rho: float) -> Floats:
    """Take out what a first-order autoregression carries over, also across weeks that were not observed."""
    lag = np.diff(week)
    carried = rho**lag
    new = np.sqrt(1 - carried**2)
    rest = ((x[1:].T - x[:-1].T * carried) / new).T
    return np.asarray(np.concatenate([x[:1], rest]), dtype=np.float64)


def _restricted_likelihood(rho: float, x: Floats, y: Floats, week: Ints) -> float:
    """Minus the restricted log-likelihood of the autocorrelation: unlike the plain one it allows for the trends fitted."""
    white_x, white_y = _whiten(x, week, rho), _whiten(y, week, rho)
    beta, *_ = np.linalg.lstsq(white_x, white_y, rcond=None)
    rest = float(((white_y - white_x @ beta) ** 2).sum())
    freedom = len(y) - x.shape[1]
    # log-determinant of the errors' correlations: each week after the first holds as much that is new
    logarithm = float(np.log(1 - rho ** (2 * np.diff(week))).sum())
    return float(0.5 * (freedom * np.log(max(rest, 1e-300)) + np.linalg.slogdet(white_x.T @ white_x)[1] + logarithm))


def newey_west(x: Floats, rest: Floats, lags: int) -> Floats:
    """Covariance of least squares coefficients robust to unequal and autocorrelated errors, with Bartlett weights.

    Reference:
        Newey, West (1987), Econometrica 55, 703-708; scaled by T/(T - k).
    """
    bread = np.linalg.inv(x.T @ x)
    scores = x * rest[:, None]
    meat = scores.T @ scores
    for lag in range(1, min(lags, len(x) - 1) + 1):
        part = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (lags + 1)) * (part + part.T)
    return np.asarray(bread @ meat @ bread * len(x) / (len(x) - x.shape[1]), dtype=np.float64)


def ljung_box(rest: Floats, lags: int = 4) -> float:
    """The p value that a series has no autocorrelation up to so many lags, one of which was fitted."""
    n = len(rest)
    centred = rest - rest.mean()
    total = float((centred**2).sum())
    if total <= 0 or n <= lags + 1:
        return float("nan")
    statistic = n * (n + 2) * sum((float(centred[lag:] @ centred[:-lag]) / total) ** 2 / (n - lag) for lag in range(1, lags + 1))
    return float(stats.chi2.sf(statistic, lags - 1))


def interrupted(week: Ints, outcome: Floats, start: int) -> Interrupted | str:
    """Fit level and slope before and after `start`.

    outcome = a + b week + c after + d after (week - start) [+ the year's course], with errors that carry over from week to week by a
    first-order autoregression fitted by restricted likelihood. Standard errors are the larger of the model's and Newey and West's on
    what is left.

    Args:
        week: Week numbers, ascending, where the outcome is known; weeks may be missing.
        outcome: The outcome.
        start: First week under the policy.

    Returns:
        The fit, or the reason why there is none: too_few_weeks or no_variation.
    """
    after = (week >= start).astype(np.float64)
    if min(after.sum(), len(week) - after.sum()) < MINIMUM_WEEKS:
        return "too_few_weeks"
    if np.ptp(outcome) < 1e-12:
        return "no_variation"
    since = after * (week - start)
    columns = [np.ones(len(week)), (week - start).astype(np.float64), after, since]
    is_seasonal = int(week[-1] - week[0]) + 1 >= SEASON_WEEKS
    if is_seasonal:
        angle = 2 * np.pi * week / 52.1775
        columns += [np.sin(angle), np.cos(angle)]
    x = np.column_stack(columns)
    found = optimize.minimize_scalar(_restricted_likelihood, bounds=(0.0, 0.95), args=(x, outcome, week), method="bounded")
    rho = float(found.x)
    white_x, white_y = _whiten(x, week, rho), _whiten(outcome, week, rho)
    beta, *_ = np.linalg.lstsq(white_x, white_y, rcond=None)
    rest = white_y - white_x @ beta
    plain = np.linalg.inv(white_x.T @ white_x) * float((rest**2).sum()) / (len(week) - x.shape[1] - 1)
    # weeks that carry over into each other count for fewer: allows for the autocorrelation itself being an estimate
    freedom = max(len(week) * (1 - rho) / (1 + rho) - x.shape[1], 3.0)
    robust = newey_west(white_x, rest, int(4 * (len(week) / 100) ** (2 / 9)))

    def change(weights: Floats) -> Change:
        variance = max(float(weights @ plain @ weights), float(weights @ robust @ weights))
        return Change(float(weights @ beta), float(np.sqrt(variance)), freedom)

    unit = np.eye(x.shape[1])
    mean_since = float(since[after > 0].mean())
    return Interrupted(change(unit[2] + mean_since * unit[3]), change(unit[2]), change(unit[3]), rho, ljung_box(rest), is_seasonal)
