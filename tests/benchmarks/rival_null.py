"""Reciprocity that degrees and strengths give by chance, the usual way: matrices of everybody with everybody, fitted by scipy.

Nothing of it is shared with `metrics.reciprocity`. The two models are those of Parisi, Squartini and Garlaschelli (2020): arcs by degrees
(DBCM), then exponential weights by strengths (CReM_A). What goes to several people at once stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Matrix = NDArray[np.float64]


def expected_reciprocity(alone: Matrix, group: Matrix) -> tuple[float, float]:
    """Mean r and r_w of networks in which everybody has the degrees and strengths of `alone`, on top of the weights of `group`."""
    chance = _links(alone > 0)
    rate = _rates(alone, chance)
    there = np.where(group > 0, 1.0, chance)
    r = (there * there.T).sum() / there.sum()
    # of each two the one with less given: it may catch up, and go on together with the other
    lag = group.T - group
    ahead = np.exp(-rate * np.maximum(lag, 0))
    lesser = group + chance * ((1 - ahead) / rate + chance.T * ahead / (rate + rate.T))
    # each pair once, from the side with less
    counted = (lag > 0) | ((lag == 0) & np.triu(np.ones_like(lag, dtype=bool), 1))
    return float(r), float(2 * lesser[counted].sum() / (alone.sum() + group.sum()))


def _links(arcs: NDArray[np.bool_]) -> Matrix:
    """The chance of each arc: everybody is expected to turn to, and to hear from, as many as they do."""
    sends, receives = arcs.any(axis=1), arcs.any(axis=0)
    others = _others(sends, receives)
    out, into = arcs.sum(axis=1)[sends], arcs.sum(axis=0)[receives]

    def chances(u: Matrix, v: Matrix) -> Matrix:
        return np.asarray(np.where(others, expit(u[:, None] + v[None, :]), 0.0))

    def value(u: Matrix, v: Matrix) -> float:
        return float(np.where(others, np.logaddexp(0, u[:, None] + v[None, :]), 0.0).sum() - out @ u - into @ v)

    def slopes(u: Matrix, v: Matrix) -> tuple[Matrix, Matrix]:
        p = chances(u, v)
        return p.sum(axis=1) - out, p.sum(axis=0) - into

    def curves(u: Matrix, v: Matrix) -> Matrix:
        p = chances(u, v)
        return p * (1 - p)

    root = np.sqrt(arcs.sum())
    u, v = _least((np.log(out / root), np.log(into / root)), value, slopes, curves)
    return _spread(chances(u, v), sends, receives, 0.0)


def _rates(weight: Matrix, chance: Matrix) -> Matrix:
    """The rate of each arc's weight: everybody is expected to send, and to receive, as much as they do; 1 where there is no arc."""
    sends, receives = chance.any(axis=1), chance.any(axis=0)
    p = chance[np.ix_(sends, receives)]
    scale = weight[weight > 0].mean()
    out, into = weight.sum(axis=1)[sends] / scale, weight.sum(axis=0)[receives] / scale

    def rates(u: Matrix, v: Matrix) -> Matrix:
        return np.asarray(np.where(p > 0, u[:, None] + v[None, :], 1.0))

    def value(u: Matrix, v: Matrix) -> float:
        rate = rates(u, v)
        return float(out @ u + into @ v - (p * np.log(rate)).sum()) if (rate > 0).all() else np.inf

    def slopes(u: Matrix, v: Matrix) -> tuple[Matrix, Matrix]:
        mean = p / rates(u, v)
        return out - mean.sum(axis=1), into - mean.sum(axis=0)

    def curves(u: Matrix, v: Matrix) -> Matrix:
        return np.asarray(p / rates(u, v) ** 2)

    u, v = _least((0.5 * p.sum(axis=1) / out, 0.5 * p.sum(axis=0) / into), value, slopes, curves)
    return _spread(rates(u, v) / scale, sends, receives, 1.0)


def _least(
    start: tuple[Matrix, Matrix],
    value: Callable[[Matrix, Matrix], float],
    slopes: Callable[[Matrix, Matrix], tuple[Matrix, Matrix]],
    curves: Callable[[Matrix, Matrix], Matrix],
) -> tuple[Matrix, Matrix]:
    """Where a convex function of u_i + v_j and of u and v themselves is least."""
    parts = len(start[0])

    def turned(at: Matrix, way: Matrix) -> Matrix:
        curve = curves(at[:parts], at[parts:])
        u, v = way[:parts], way[parts:]
        return np.concatenate([curve.sum(axis=1) * u + curve @ v, curve.T @ u + curve.sum(axis=0) * v])

    found = minimize(
        lambda at: value(at[:parts], at[parts:]),
        np.concatenate(start),
        jac=lambda at: np.concatenate(slopes(at[:parts], at[parts:])),
        hessp=turned,
        method="trust-ncg",
        options={"gtol": 1e-7, "maxiter": 2_000, "initial_trust_radius": 1.0, "max_trust_radius": 1e3},
    )
    return found.x[:parts], found.x[parts:]


def _others(sends: NDArray[np.bool_], receives: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each sender and receiver, whether they are two people."""
    return np.asarray(np.flatnonzero(sends)[:, None] != np.flatnonzero(receives)[None, :])


def _spread(values: Matrix, sends: NDArray[np.bool_], receives: NDArray[np.bool_], rest: float) -> Matrix:
    """The values of senders and receivers among everybody."""
    whole = np.full((len(sends), len(sends)), rest)
    whole[np.ix_(sends, receives)] = values
    return whole
