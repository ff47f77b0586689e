"""Cox regression for ties: late entry, Breslow's ties, and a variance that allows for people who are in many ties.

`lifelines` fits the same model (the tests say so) but knows clusters of one kind only, whereas a tie belongs to two people;
and its time with late entry grows with the product of ties and ages. With ages in whole days every sum over risk sets is
a running total, so that a fit of a million ties takes seconds.

References:
    Cox (1972), Regression models and life-tables, JRSS B 34. Breslow (1974), Covariance analysis of censored survival data, Biometrics 30.
    Lin, Wei (1989), The robust inference for the Cox proportional hazards model, JASA 84; here summed over dyads that share a person
    after Aronow, Samii, Assenova (2015), Political Analysis 23.
    Grambsch, Therneau (1994), Proportional hazards tests and diagnostics based on weighted residuals, Biometrika 81.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from metrics.durability._survival import Dyads, Floats, Ints, Lives

_STEPS: Final = 50
_TOLERANCE: Final = 1e-9


class NoFitError(Exception):
    """The model has no finite answer on these ties (a column that is a sum of others, or that tells the ends without fail)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model; arrays have one entry a column.

    Attributes:
        coefficients: Logarithms of the hazard ratios.
        errors: Standard errors: dyad-robust, and never less than the model's own.
        model_errors: Standard errors if ties were independent.
        proportionality: z of the trend of the scaled Schoenfeld residuals in the logarithm of age: far from 0, the association
            changes with age.
        log_likelihood: Partial log-likelihood.
    """

    coefficients: Floats
    errors: Floats
    model_errors: Floats
    proportionality: Floats
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class _Sums:
    """Running totals at given coefficients: by day of age, sums over the ties at risk."""

    ended: Floats
    weight: Floats
    mean: Floats
    hazard: Floats

    def information(self, columns: Floats, lives: Lives, relative: Floats) -> Floats:
        exposure = relative * (self.hazard[lives.exit] - self.hazard[lives.entry])
        scaled = self.mean * np.sqrt(self.ended)[:, None]
        return np.asarray(columns.T @ (exposure[:, None] * columns) - scaled.T @ scaled)


def _sums(columns: Floats, lives: Lives, relative: Floats) -> _Sums:
    length = int(lives.exit.max()) + 1

    def at_risk(values: Floats) -> Floats:
        # a tie is at risk on day t if entry < t <= exit: what entered before t less what left before t
        entered = np.bincount(lives.entry, values, length)
        left = np.bincount(lives.exit, values, length)
        return np.concatenate([[0.0], np.cumsum(entered - left)[:-1]])

    ended = np.bincount(lives.exit[lives.ended], minlength=length).astype(float)
    weight = np.maximum(at_risk(relative), 1e-300)
    mean = np.stack([at_risk(relative * column) for column in columns.T], axis=1) / weight[:, None]
    mean[ended == 0] = 0
    return _Sums(ended, weight, mean, np.cumsum(np.where(ended > 0, ended / weight, 0.0)))


def fit(columns: Floats, lives: Lives, dyads: Dyads) -> Fit:
    """Fit log hazard = baseline(age) + columns x coefficients by partial likelihood (Newton steps, halved when they overshoot).

    Args:
        columns: Ties x k, not constant and none a sum of others.
        lives: The ties.
        dyads: Who is in which.

    Raises:
        NoFitError: If no finite maximum is found.
    """
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    if (spread < 1e-12).any() or not lives.ended.any():
        raise NoFitError
    scaled = (columns - centre) / spread
    events, at_end = scaled[lives.ended], lives.exit[lives.ended]
    beta = np.zeros(scaled.shape[1])
    best = -np.inf
    step = np.zeros_like(beta)
    for _ in range(_STEPS):
        proposal = beta + step
        score_of = scaled @ proposal
        relative = np.exp(np.clip(score_of, -50, 50))
        sums = _sums(scaled, lives, relative)
        likelihood = float((events @ proposal).sum() - np.log(sums.weight[at_end]).sum())
        if likelihood < best - 1e-9 * abs(best):
            step = step / 2
            continue
        gain, best, beta = likelihood - best, likelihood, proposal
        exposure = relative * (sums.hazard[lives.exit] - sums.hazard[lives.entry])
        gradient = events.sum(axis=0) - exposure @ scaled
        information = sums.information(scaled, lives, relative)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            raise NoFitError from None
        if np.abs(step).max() < _TOLERANCE or 0 <= gain < 1e-10:
            break
    else:
        raise NoFitError
    if np.abs(beta).max() > 15 or np.linalg.cond(information) > 1e10:
        raise NoFitError
    inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
    influence = _residuals(scaled, lives, relative, sums) @ inverse
    robust = np.clip(dyads.squares(influence), 0, None)
    own = np.diag(inverse)
    return Fit(
        beta / spread,
        np.sqrt(np.maximum(robust, own)) / spread,
        np.sqrt(own) / spread,
        _proportionality(events - sums.mean[at_end], at_end, inverse),
        best,
    )


def _residuals(columns: Floats, lives: Lives, relative: Floats, sums: _Sums) -> Floats:
    """Score residuals: what each tie adds to the score, its end against its share of the ends expected while it was at risk."""
    drift = np.cumsum(sums.mean * np.where(sums.ended > 0, sums.ended / sums.weight, 0.0)[:, None], axis=0)
    hazard = (sums.hazard[lives.exit] - sums.hazard[lives.entry])[:, None]
    expected = relative[:, None] * (columns * hazard - (drift[lives.exit] - drift[lives.entry]))
    observed = np.where(lives.ended[:, None], columns - sums.mean[lives.exit], 0.0)
    return np.asarray(observed - expected)


def _proportionality(schoenfeld: Floats, ages: Ints, inverse: Floats) -> Floats:
    """Trend of the scaled Schoenfeld residuals in log age, as z for each column (Grambsch and Therneau's test of one column)."""
    trend = np.log(np.maximum(ages, 1))
    trend = trend - trend.mean()
    total = float((trend**2).sum())
    if total < 1e-12:
        return np.full(len(inverse), np.nan)
    scaled = len(ages) * schoenfeld @ inverse
    return np.asarray(trend @ scaled / np.sqrt(len(ages) * np.diag(inverse) * total))
