"""Difference in differences with staggered starts, after Callaway and Sant'Anna (2021).

ATT(g, t) is the mean effect at time t on the units that start at g. It compares their change since the period before g with that of
units that have not started: it never uses units that have started as if they had not, which is what biases two-way fixed effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NEVER: Final = 0
"""The start of units that never start."""

MINIMUM_UNITS: Final = 3
"""Fewer treated or comparison units than this say nothing of how much units differ."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One ATT(g, t).

    Attributes:
        group: When its units start.
        time: When the effect is measured; before `group` it is a check of the parallel trends.
        att: The effect.
        influence: Each unit's influence on it; their sum is 0 and the sum of their squares is its variance.
        treated: Numbers of the treated units used.
        compared: Numbers of the units compared with.
        change: Each treated unit's own change less what was to be expected of it.
    """

    group: int
    time: int
    att: float
    influence: Floats = field(repr=False)
    treated: Ints = field(repr=False)
    compared: Ints = field(repr=False)
    change: Floats = field(repr=False)

    @property
    def error(self) -> float:
        """Analytic standard error."""
        return float(np.sqrt((self.influence**2).sum()))


def _logit(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        fitted = special.expit(x @ beta)
        information = (x * (fitted * (1 - fitted))[:, None]).T @ x
        move = np.linalg.lstsq(information, x.T @ (y - fitted), rcond=None)[0]
        beta += move
        if np.abs(move).max() < 1e-10:
            break
    fitted = special.expit(x @ beta)
    return fitted, np.asarray(np.linalg.pinv((x * (fitted * (1 - fitted))[:, None]).T @ x), dtype=np.float64)


def doubly_robust(change: Floats, is_treated: Flags, covariates: Floats) -> tuple[float, Floats, Floats]:
    """The mean effect on the treated from two periods, right if either the outcome or the propensity model is.

    Without covariates (a column of ones) it is the plain difference in differences.

    Args:
        change: Each unit's change between the periods.
        is_treated: Which units are treated.
        covariates: Units x k, with a column of ones.

    Returns:
        The effect, each unit's influence on it, and each unit's change less the change that the comparison units lead one to expect.

    Reference:
        Sant'Anna, Zhao (2020), Doubly robust difference-in-differences estimators, Journal of Econometrics 219, 101-122.
    """
    n = len(change)
    d = is_treated.astype(np.float64)
    if covariates.shape[1] == 1:
        # a constant propensity: said outright, since it may be estimated as 0 or 1 only by rounding
        propensity = np.full(n, d.mean())
        bread = np.array([[1 / (n * d.mean() * (1 - d.mean()))]])
    else:
        propensity, bread = _logit(covariates, d)
    propensity = np.minimum(propensity, 1 - 1e-6)
    control = covariates[~is_treated]
    gram = np.linalg.pinv(control.T @ control)
    beta = gram @ control.T @ change[~is_treated]
    left = change - covariates @ beta
    odds = propensity * (1 - d) / (1 - propensity)
    mean_treated, mean_odds = d.mean(), odds.mean()
    of_treated, of_control = float((d * left).mean() / mean_treated), float((odds * left).mean() / mean_odds)
    att = of_treated - of_control
    # influence of the outcome model, of the propensity model, and of the means themselves
    ols = n * (covariates * ((1 - d) * left)[:, None]) @ gram
    score = n * (covariates * (d - propensity)[:, None]) @ bread
    treated = (d * (left - of_treated) - ols @ (d[:, None] * covariates).mean(axis=0)) / mean_treated
    slope = (odds[:, None] * (left - of_control)[:, None] * covariates).mean(axis=0)
    compared = (odds * (left - of_control) + score @ slope - ols @ (odds[:, None] * covariates).mean(axis=0)) / mean_odds
    return att, (treated - compared) / n, left - of_control


def cells(outcome: Floats, starts: Ints, times: Sequence[int], covariates: Floats | None = None, *, is_later_compared: bool) -> list[Cell]:
    """Every ATT(g, t) that the data allow.

    Periods before the start are compared with the period before them, later ones with the last before the start (no anticipation).

    Args:
        outcome: Units x times; NaN where not observed. A unit counts in a cell if it is observed in both periods.
        starts: Each unit's first treated time; `NEVER` for none.
        times: The times of the columns, ascending.
        covariates: Units x k without a constant; None for none.
        is_later_compared: Whether units that start later serve for comparison too, until they start.
    """
    units = len(starts)
    x = np.ones((units, 1)) if covariates is None else np.column_stack([np.ones(units), covariates])
    found: list[Cell] = []
    for group in sorted({int(start) for start in starts if start != NEVER and start > times[0]}):
        before = [place for place, time in enumerate(times) if time < group]
        for place in range(1, len(times)):
            base = min(place - 1, before[-1])
            time = times[place]
            change = outcome[:, place] - outcome[:, base]
            is_treated = starts == group
            is_compared = starts == NEVER
            if is_later_compared:
                is_compared |= starts > max(time, group)
            used = np.flatnonzero((is_treated | is_compared) & np.isfinite(change))
            treated, compared = used[is_treated[used]], used[~is_treated[used]]
            if not len(treated) or len(compared) < max(MINIMUM_UNITS, x.shape[1] + 1):
                continue
            att, influence, left = doubly_robust(change[used], is_treated[used], x[used])
            everyone = np.zeros(units)
            everyone[used] = influence
            found.append(Cell(group, time, att, everyone, treated, compared, left[is_treated[used]]))
    return found


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean of ATT(g, t) over cells, each weighed by its treated units.

    Attributes:
        value: The effect.
        error: Its standard error.
        freedom: Welch's degrees of freedom.
        influence: Each unit's influence, scaled so that the sum of squares is the variance.
        unit_count: Treated units in it.
    """

    value: float
    error: float
    freedom: float
    influence: Floats = field(repr=False)
    unit_count: int

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's t interval."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return float(2 * stats.t.sf(abs(self.value) / self.error, self.freedom)) if self.error > 0 else float("nan")

    @property
    def normal_score(self) -> float:
        """How far from 0 it is, as the |z| that is as unlikely as its |t|; NaN without variation."""
        return float(stats.norm.isf(stats.t.sf(abs(self.value) / self.error, self.freedom))) if self.error > 0 else float("nan")


def combine(chosen: Sequence[Cell], units: int) -> Effect | None:
    """The mean over treated units of each one's mean effect over the chosen cells.

    With cells after the start this is Callaway and Sant'Anna's average by group; with cells at one distance from the start, their event
    study. The treated side's variance is that of the units' own effects around their common mean, so that a start with a single unit
    counts for what it is, and effects that differ between starts widen the interval.

    Args:
        chosen: Cells.
        units: How many units there are in all.

    Returns:
        None with fewer than `MINIMUM_UNITS` treated units.
    """
    sums, counts = np.zeros(units), np.zeros(units)
    for cell in chosen:
        sums[cell.treated] += cell.change
        counts[cell.treated] += 1
    treated = np.flatnonzero(counts)
    if len(treated) < MINIMUM_UNITS:
        return None
    own = sums[treated] / counts[treated]
    value = float(own.mean())
    influence = np.zeros(units)
    for cell in chosen:
        share = (1 / counts[cell.treated]).sum() / len(treated)
        outside = np.ones(units, dtype=bool)
        outside[cell.treated] = False
        # as n - 1 in a variance, for each cell's own comparison units
        influence[outside] += share * cell.influence[outside] * np.sqrt(len(cell.compared) / (len(cell.compared) - 1))
    compared = np.unique(np.concatenate([cell.compared for cell in chosen]))
    own_influence = (own - value) / len(treated) * np.sqrt(len(treated) / (len(treated) - 1))
    parts = (float((own_influence**2).sum()), float((influence**2).sum()))
    influence[treated] += own_influence
    if len(np.intersect1d(treated, compared)):
        # units that serve on both sides: their number less that of the starts' means fitted, as in a regression
        starts = len({cell.group for cell in chosen})
        influence *= np.sqrt(units / max(units - starts - 1, 1))
    variance = max(float((influence**2).sum()), 1e-30)
    freedom = sum(parts) ** 2 / max(parts[0] ** 2 / (len(treated) - 1) + parts[1] ** 2 / (len(compared) - 1), 1e-60)
    return Effect(value, float(np.sqrt(variance)), float(max(freedom, 1.0)), influence, len(treated))


def event_study(found: Sequence[Cell], units: int) -> dict[int, Effect]:
    """Effects by time since the start; negative times check the parallel trends."""
    distances = sorted({cell.time - cell.group for cell in found})
    effects = {distance: combine([cell for cell in found if cell.time - cell.group == distance], units) for distance in distances}
    return {distance: effect for distance, effect in effects.items() if effect is not None}


def largest(effects: Mapping[int, Effect], draws: int, generator: np.random.Generator) -> Floats:
    """Draws of the largest |z| over these effects if there were none, with their correlations: a multiplier bootstrap over units.

    Compare with `Effect.normal_score`: each effect's own degrees of freedom are in there, so that effects of few units do not stand out
    by chance.
    """
    shown = [effect.influence / effect.error for effect in effects.values() if effect.error > 0]
    if not shown:
        return np.zeros(draws)
    influence = np.stack(shown)
    return np.asarray(np.abs(generator.standard_normal((draws, influence.shape[1])) @ influence.T).max(axis=1), dtype=np.float64)


def wald(found: Sequence[Cell]) -> tuple[float, int]:
    """The p value that all these cells are 0, and how many they are: the pre-trend test of the `did` package.

    NaN where there are too few units for so many cells (a tenth of the units at most).
    """
    if not found:
        return float("nan"), 0
    influence = np.stack([cell.influence for cell in found])
    used = int((np.abs(influence).sum(axis=0) > 0).sum())
    if len(found) * 10 > used:
        return float("nan"), len(found)
    att = np.array([cell.att for cell in found])
    statistic = float(att @ np.linalg.pinv(influence @ influence.T) @ att)
    return float(stats.chi2.sf(statistic, len(found))), len(found)
