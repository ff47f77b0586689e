"""Logistic regression by Newton's method, with what is needed for variances of its coefficients and of what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.media._dyads import gram

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model on rows that were grouped by equal covariates.

    Attributes:
        x: The distinct rows of covariates (groups x k).
        count: How many observations each stands for.
        group: Which of them each observation has.
        residual: Each observation's outcome less its expectation.
        beta: Coefficients, log-odds.
        inverse: Inverse of the information matrix: the covariance if observations were independent.
    """

    x: Floats
    count: Floats
    group: Ints
    residual: Floats
    beta: Floats
    inverse: Floats

    @property
    def influence(self) -> Floats:
        """What each observation adds to the coefficients (observations x k): sums to zero."""
        return np.asarray((self.x @ self.inverse)[self.group] * self.residual[:, None], dtype=np.float64)


def probability(x: Floats, beta: Floats) -> Floats:
    """1 / (1 + exp(-x beta)), safe at the ends."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * (x @ beta))), dtype=np.float64)


def fit(x: Floats, group: Ints, y: Floats, steps: int = 50) -> Fit | None:
    """Logistic regression by maximum likelihood.

    Args:
        x: Distinct rows of covariates (groups x k), with a column of ones.
        group: Which row each observation has.
        y: Its outcome, 0 or 1.
        steps: At most so many steps of Newton's method.

    Returns:
        None where there is no maximum (separation) or it is not unique (collinearity).
    """
    count = np.bincount(group, minlength=len(x)).astype(float)
    total = np.bincount(group, y, minlength=len(x))
    beta = np.zeros(x.shape[1])
    for _ in range(steps):
        p = probability(x, beta)
        information = gram(x * np.sqrt(count * p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(information, x.T @ (total - count * p))
        except np.linalg.LinAlgError:
            return None
        beta = beta + step
        if not np.abs(beta).max() <= 25:
            return None
        if np.abs(step).max() < 1e-10:
            if np.linalg.cond(information) > 1e12:
                return None
            p = probability(x, beta)
            inverse = np.asarray(np.linalg.inv(gram(x * np.sqrt(count * p * (1 - p))[:, None])), dtype=np.float64)
            return Fit(x, count, group, y - p[group], beta, inverse)
    return None
