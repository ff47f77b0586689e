"""Logistic regression by Newton's method, with what is needed for variances of its coefficients and of what it predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model.

    Attributes:
        beta: Coefficients, log-odds.
        inverse: Inverse of the information matrix: the covariance if rows were independent.
        scores: Each row's contribution to the gradient at the fit (rows x k).
    """

    beta: Floats
    inverse: Floats
    scores: Floats

    @property
    def influence(self) -> Floats:
        """What each row adds to the coefficients (rows x k): sums to zero."""
        return np.asarray(self.scores @ self.inverse, dtype=np.float64)


def probability(x: Floats, beta: Floats) -> Floats:
    """1 / (1 + exp(-x beta)), safe at the ends."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * (x @ beta))), dtype=np.float64)


def fit(x: Floats, y: Floats, steps: int = 50) -> Fit | None:
    """Maximum likelihood of y (0 or 1) on x (rows x k, with a column of ones); None where there is none (separation, collinearity)."""
    beta = np.zeros(x.shape[1])
    for _ in range(steps):
        p = probability(x, beta)
        information = x.T @ (x * (p * (1 - p))[:, None])
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, x.T @ (y - p))
        beta = beta + step
        if np.abs(beta).max() > 25:
            return None
        if np.abs(step).max() < 1e-10:
            p = probability(x, beta)
            inverse = np.asarray(np.linalg.inv(x.T @ (x * (p * (1 - p))[:, None])), dtype=np.float64)
            return Fit(beta, inverse, x * (y - p)[:, None])
    return None
