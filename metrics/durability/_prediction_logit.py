"""Logistic regression with a light ridge on standardised terms, and intervals that know that pairs share people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from metrics.panels import number_people

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# matrices this narrow gain nothing from threads, and where other work runs beside they lose twentyfold: hence one thread below

RIDGE: Final = 10.0
"""Penalty on half the squared standardised coefficients: worth ten observations, so it matters only where there are few."""


@dataclass(frozen=True, slots=True)
class Logit:
    """A fitted model.

    Attributes:
        mean: Mean of each term where it was fitted.
        scale: Standard deviation of each term there (1 where it does not vary).
        intercept: Log-odds where all terms are at their mean.
        coefficient: Log-odds per standard deviation of each term.
        information: Penalised information of intercept and coefficients.
    """

    mean: Floats
    scale: Floats
    intercept: float
    coefficient: Floats
    information: Floats

    def predict(self, terms: Floats) -> Floats:
        """The probability for each row of terms."""
        return np.asarray(special.expit(self.intercept + (terms - self.mean) / self.scale @ self.coefficient), dtype=np.float64)


@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator]
def newton(x: Floats, y: Floats, penalty: Floats, steps: int = 50) -> tuple[Floats, Floats]:
    """Coefficients that maximise the penalised likelihood, and the penalised information there.

    Args:
        x: Rows x k, with a column of ones where an intercept is wanted.
        y: 0 or 1.
        penalty: One ridge penalty a coefficient.
        steps: At most so many steps, each halved until the objective does not fall.
    """
    beta = np.zeros(x.shape[1])

    def objective(at: Floats) -> float:
        eta = x @ at
        return float(y @ eta - np.logaddexp(0, eta).sum() - 0.5 * penalty @ at**2)

    value = objective(beta)
    for _ in range(steps):
        fitted = special.expit(x @ beta)
        slope = x.T @ (y - fitted) - penalty * beta
        move = np.linalg.lstsq(_information(x, fitted, penalty), slope, rcond=None)[0]
        if slope @ move < 1e-9:
            # what is still to be gained is below what matters (and near what rounding allows to see)
            break
        size = 1.0
        while size > 1e-4 and objective(beta + size * move) < value:
            size /= 2
        beta = beta + size * move
        value = objective(beta)
    return beta, _information(x, special.expit(x @ beta), penalty)


def _information(x: Floats, fitted: Floats, penalty: Floats) -> Floats:
    return np.asarray((x * (fitted * (1 - fitted))[:, None]).T @ x + np.diag(penalty), dtype=np.float64)


def dyadic_meat(scores: Floats, first: Ints, second: Ints) -> Floats:
    """Sum of products of scores over all pairs of rows that share a person (rows of the same pair counted once).

    Sum over persons of the outer product of their summed scores, less that over pairs, since the two rows of one pair share both.

    Reference:
        Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
    """
    people, (one, other) = number_people(first, second)
    by_person = _summed(scores, one) + _summed(scores, other)
    by_pair = _summed(scores, np.unique(one * len(people) + other, return_inverse=True)[1])
    return np.asarray(by_person.T @ by_person - by_pair.T @ by_pair, dtype=np.float64)


def _summed(scores: Floats, group: Ints) -> Floats:
    """Sums of the columns of `scores` by group; groups up to the largest number among both people of a pair."""
    rows = np.arange(len(group))
    return np.asarray(sparse.csr_array((np.ones(len(group)), (group, rows)), shape=(len(group) * 2, len(group))) @ scores, dtype=np.float64)


def fit(terms: Floats, y: Floats) -> Logit:
    """Fit the model.

    Args:
        terms: Rows x terms, as they are.
        y: 0 or 1.
    """
    mean, scale = terms.mean(axis=0), terms.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = np.column_stack([np.ones(len(terms)), (terms - mean) / scale])
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 0.0
    beta, information = newton(x, y, penalty)
    return Logit(mean, scale, float(beta[0]), beta[1:], information)


@threadpool_limits.wrap(limits=1)  # type: ignore[untyped-decorator]
def standard_errors(model: Logit, terms: Floats, y: Floats, first: Ints, second: Ints) -> Floats:
    """Standard errors of intercept and coefficients, for pairs that share people.

    Args:
        model: The model, fitted on these rows.
        terms: Rows x terms.
        y: 0 or 1.
        first: One person's key of each row.
        second: The other's.

    Returns:
        Errors, never below those of independent rows.
    """
    x = np.column_stack([np.ones(len(terms)), (terms - model.mean) / model.scale])
    bread = np.linalg.inv(model.information)
    scores = x * (y - model.predict(terms))[:, None]
    robust, independent = (bread @ meat @ bread for meat in (dyadic_meat(scores, first, second), scores.T @ scores))
    return np.asarray(np.sqrt(np.maximum(np.diag(robust), np.diag(independent))), dtype=np.float64)
