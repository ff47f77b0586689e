"""Segmented interrupted time series: what changed for everyone at once, against the organisation's own trend before.

What an organisation does in a week is carried by ties that live for months, seen through the chances of that week: errors have a
part that fades slowly and a part that is gone the week after. How much of each, and how slowly, cannot be told from a year of weeks;
an interval that took the most likely answer for the truth would call a drift of its own an effect of the policy in one case out of
six (tests/planted). So no answer is picked: every one on a grid is fitted, and weighed by how likely it makes the series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINIMUM_WEEKS: Final = 8
"""Observed weeks needed before and after."""

SEASON_WEEKS: Final = 78
"""From so many weeks on, the year's course is modelled too; with less it cannot be told from a trend or a change of level."""

CARRIED: Final = (0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.985)
"""How much of the slow part of an error is left a week later; half of it is gone after 3 days to 11 months."""

FRESH: Final = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
"""Share of an error's variance that is gone the week after."""


@dataclass(frozen=True, slots=True)
class Change:
    """An estimate under each law of the errors, and how much each of them counts.

    Attributes:
        values: The estimates.
        errors: Their standard errors.
        weights: Their weights; they sum to 1.
        freedom: Degrees of freedom of each.
    """

    values: Floats
    errors: Floats
    weights: Floats
    freedom: int

    @property
    def value(self) -> float:
        """The mean estimate."""
        return float(self.weights @ self.values)

    def below(self, number: float) -> float:
        """How sure it is that the change is less than a number: Student's t under each law, averaged over them."""
        return float(self.weights @ special.stdtr(self.freedom, (number - self.values) / self.errors))

    def interval(self, confidence: float) -> tuple[float, float]:
        """The interval that leaves as much out on either side."""
        low, high = self._quantile((1 - confidence) / 2), self._quantile((1 + confidence) / 2)
        # a mean may lie outside of a narrow interval of a lopsided mixture, but an estimate has to lie in its own
        return min(low, self.value), max(high, self.value)

    def _quantile(self, share: float) -> float:
        one_by_one = self.values + special.stdtrit(self.freedom, share) * self.errors
        low, high = float(one_by_one.min()), float(one_by_one.max())
        # the quantile of a mixture lies between those of its parts
        return low if high - low < 1e-12 else float(optimize.brentq(lambda number: self.below(number) - share, low - 1e-9, high + 1e-9))

    @property
    def p_value(self) -> float:
        """Two-sided."""
        under = self.below(0.0)
        return 2 * min(under, 1 - under)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A fitted interrupted time series.

    Attributes:
        average: Mean difference after the start from what the trend before would have led to.
        level: Change of level at the start.
        slope: Change of slope a week.
        autocorrelation: Of the errors from one week to the next, averaged over the laws.
        residual_p: Whether what is left under the likeliest law still hangs together over time (Ljung-Box over four weeks; small = it
            does, distrust the interval).
        is_seasonal: Whether the year's course was modelled.
    """

    average: Change
    level: Change
    slope: Change
    autocorrelation: float
    residual_p: float
    is_seasonal: bool


@dataclass(frozen=True, slots=True)
class _Fit:
    """Generalised least squares under one law of the errors."""

    beta: Floats
    covariance: Floats
    rest: Floats
    log_likelihood: float
    autocorrelation: float


def _fit(x: Floats, y: Floats, apart: Floats, carried: float, fresh: float) -> _Fit:
    """Fit with errors whose correlation over t weeks is (1 - fresh) carried^t; restricted likelihood."""
    law = (1 - fresh) * carried**apart
    np.fill_diagonal(law, 1.0)
    root = np.linalg.cholesky(law)
    white = np.linalg.solve(root, np.column_stack([x, y]))
    white_x, white_y = white[:, :-1], white[:, -1]
    bread = np.linalg.inv(white_x.T @ white_x)
    beta = bread @ white_x.T @ white_y
    rest = white_y - white_x @ beta
    freedom = len(y) - x.shape[1]
    square = max(float(rest @ rest), 1e-300)
    likelihood = -0.5 * (freedom * np.log(square) - np.linalg.slogdet(bread)[1]) - np.log(np.diag(root)).sum()
    return _Fit(beta, bread * square / freedom, rest, float(likelihood), (1 - fresh) * carried)


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

    outcome = a + b week + c after + d after (week - start) [+ the year's course] + error. An error has a slow part, of which a share is
    left a week later (`CARRIED`), and a fresh part (`FRESH`); each law on the grid of the two is fitted by generalised least squares and
    weighed by its restricted likelihood, all being held equally likely beforehand.

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
    apart = np.abs(week[:, None] - week[None, :]).astype(np.float64)
    fits = [_fit(x, outcome, apart, 0.0, 0.0), *(_fit(x, outcome, apart, carried, fresh) for carried in CARRIED for fresh in FRESH)]
    likelihood = np.array([fit.log_likelihood for fit in fits])
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()

    def change(wanted: Floats) -> Change:
        values = np.array([wanted @ fit.beta for fit in fits])
        errors = np.sqrt([max(float(wanted @ fit.covariance @ wanted), 1e-300) for fit in fits])
        return Change(values, errors, weights, len(week) - x.shape[1])

    unit = np.eye(x.shape[1])
    mean_since = float(since[after > 0].mean())
    return Interrupted(
        change(unit[2] + mean_since * unit[3]),
        change(unit[2]),
        change(unit[3]),
        float(weights @ [fit.autocorrelation for fit in fits]),
        ljung_box(fits[int(likelihood.argmax())].rest),
        is_seasonal,
    )
