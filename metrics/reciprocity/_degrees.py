"""The random network in which everyone has as many partners, and sends and receives as much, as they do: solved, not drawn.

Two models of greatest entropy. The first (DBCM) gives each possible arc a chance p_ij = x_i y_j / (1 + x_i y_j), such that everybody is
expected to turn to as many people, and to hear from as many, as they do. Given these chances the second (CReM_A) gives each arc that is
there an exponential weight of rate b_ij = theta_i + phi_j, such that everybody is expected to send and to receive as much as they do.
Both are minima of convex functions, found by damped Newton steps, each solved by conjugate gradients.

Reference:
    Parisi, Squartini, Garlaschelli (2020), A faster horse on a safer trail: generalized inference for the efficient reconstruction of
    weighted networks, New J. Phys. 22, 053053.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from metrics.panels import Flags, Floats, Integers
from metrics.reciprocity._kernels import FINE, ROUGH, Ends, Links, Means

TOLERANCE = 1e-7
"""Relative: every constraint is met to this (the issue's bound is 1e-6)."""

STEPS = 200
CUT_STEPS = 25
GRADIENT_STEPS = 400


class Unsolved(Exception):
    """No random network keeps these numbers to within the tolerance."""


@dataclass(frozen=True, slots=True)
class Model:
    """A solved pair of models.

    Attributes:
        x: Of each person, 0 for those who send nothing.
        y: Of each person, 0 for those who receive nothing.
        theta: Of each person; meaningless where x is 0.
        phi: Of each person; meaningless where y is 0.
    """

    x: Floats
    y: Floats
    theta: Floats
    phi: Floats


class _Kernel(Protocol):
    def sums(self) -> tuple[Floats, Floats]: ...

    def slopes(self, of_senders: Floats, of_receivers: Floats) -> tuple[Floats, Floats]: ...


def solve(tail: Integers, head: Integers, weight: Floats, people: int) -> Model:
    """Fit both models to a network.

    Args:
        tail: Who turns to the other on each arc, numbered from 0; no arc twice and none to oneself.
        head: The other.
        weight: The arc's weight, positive.
        people: How many people there are.

    Raises:
        Unsolved: A constraint is not met.
    """
    sent, received = np.bincount(tail, minlength=people), np.bincount(head, minlength=people)
    ends = Ends.of(sent, received)
    k_out, k_in = sent[ends.sends].astype(np.float64), received[ends.receives].astype(np.float64)
    scale = float(weight.mean())
    s_out, s_in = (
        np.bincount(end, weight / scale, people)[of].astype(np.float64) for end, of in ((tail, ends.sends), (head, ends.receives))
    )
    root = np.sqrt(len(tail))
    u, v = _newton(
        (np.log(k_out / root), np.log(k_in / root)),
        (k_out, k_in),
        lambda u, v, precision: Links(ends, u, v, precision),
        sign=1.0,
        least=lambda u, v: np.full(len(u) + len(v), -2.0),
    )
    is_open = Links(ends, u, v).open
    links = {precision: Links(ends, u, v, precision) for precision in (FINE, ROUGH)}
    theta, phi = _newton(
        (0.5 * k_out / s_out, 0.5 * k_in / s_in),
        (s_out, s_in),
        lambda theta, phi, precision: Means(links[precision], theta, phi, precision),
        sign=-1.0,
        least=lambda theta, phi: -0.45 * np.concatenate(_least_rates(theta, phi, ends, is_open)),
    )
    x, y, all_theta, all_phi = np.zeros(people), np.zeros(people), np.ones(people), np.ones(people)
    x[ends.sends], y[ends.receives] = np.exp(u), np.exp(v)
    all_theta[ends.sends], all_phi[ends.receives] = theta / scale, phi / scale
    return Model(x, y, all_theta, all_phi)


def _least_rates(theta: Floats, phi: Floats, ends: Ends, is_open: Flags | None) -> tuple[Floats, Floats]:
    """Of each sender the least theta_i + phi_j over receivers who are somebody else, and of each receiver over senders."""
    if is_open is not None:
        rates = np.where(is_open, theta[:, None] + phi[None, :], np.inf)
        return rates.min(axis=1), rates.min(axis=0)
    return theta + _least_other(phi, len(theta), ends.receiver, ends.sender), phi + _least_other(
        theta, len(phi), ends.sender, ends.receiver
    )


def _least_other(values: Floats, count: int, of: Integers, at: Integers) -> Floats:
    """The least of some values for each of `count` people, leaving out their own, which stands at `of` for the person at `at`."""
    two = np.argsort(values)[:2]
    least = np.full(count, values[two[0]])
    least[at[of == two[0]]] = values[two[1]] if len(two) > 1 else np.inf
    return least


def _newton(
    start: tuple[Floats, Floats],
    wanted: tuple[Floats, Floats],
    kernel: Callable[[Floats, Floats, float], _Kernel],
    *,
    sign: float,
    least: Callable[[Floats, Floats], Floats],
) -> tuple[Floats, Floats]:
    """Two vectors for which the kernel's sums are as wanted; these grow with them (sign 1) or fall (-1).

    `least` says how far down each number may go at once, of itself: below 0 everywhere but beyond the edge, where a rate is not positive.
    """
    parts = len(start[0])
    goal, at = np.concatenate(wanted), np.concatenate(start)

    def missed(at: Floats) -> Floats | None:
        # beyond the edge there is nothing to sum
        if not (least(at[:parts], at[parts:]) < 0).all():
            return None
        return np.concatenate(kernel(at[:parts], at[parts:], FINE).sums()) - goal

    miss = np.concatenate(kernel(*start, FINE).sums()) - goal
    for number in range(STEPS):
        if np.abs(miss / goal).max() <= TOLERANCE:
            break
        whole = _solved(kernel(at[:parts], at[parts:], ROUGH), -sign * miss, parts, goal)
        bound = least(at[:parts], at[parts:])
        # number by number, or all shortened alike: the first is not held up by one person, the second always gets there
        cut = np.clip(whole, bound, 2.0 if sign > 0 else None)
        shortened = whole * min(1.0, 2.0 / np.abs(whole).max()) if sign > 0 else whole
        found = _taken(at, cut, miss, missed, sign, 1e-2) if number < CUT_STEPS else None
        found = found or _taken(at, shortened, miss, missed, sign, 1e-12)
        if found is None:
            break
        at, miss = found
    if np.abs(miss / goal).max() > 10 * TOLERANCE:
        raise Unsolved
    return at[:parts], at[parts:]


def _taken(
    at: Floats, step: Floats, miss: Floats, missed: Callable[[Floats], Floats | None], sign: float, least_share: float
) -> tuple[Floats, Floats] | None:
    """Where a step leads and what is missed there: halved until it goes down all the way, or not far up again; None if it never does."""
    slope = sign * float(miss @ step)
    share = 1.0
    while slope < 0 and share > least_share:
        new = missed(at + share * step)
        if new is not None and sign * float(new @ step) <= -0.5 * slope:
            return at + share * step, new
        share /= 2
    return None


def _solved(kernel: _Kernel, wanted: Floats, parts: int, goal: Floats) -> Floats:
    """A step that changes the sums by about as much as wanted: conjugate gradients, scaled by the diagonal."""
    ones = np.ones(len(goal))
    diagonal = np.concatenate(kernel.slopes(ones[:parts], ones[parts:]))
    diagonal = np.maximum(diagonal, 1e-300)
    found = np.zeros(len(goal))
    rest = wanted.copy()
    scaled = rest / diagonal
    way = scaled.copy()
    size = start = float(rest @ scaled)
    # the nearer the solution, the more exactly a step is worth solving
    enough = min(0.1, np.abs(wanted / goal).max()) ** 2 * 0.01
    for _ in range(GRADIENT_STEPS):
        turned = diagonal * way + np.concatenate(kernel.slopes(way[:parts], way[parts:]))
        curve = float(way @ turned)
        if curve <= 0:
            break
        found += size / curve * way
        rest -= size / curve * turned
        scaled = rest / diagonal
        new = float(rest @ scaled)
        if new <= enough * start:
            break
        way = scaled + new / size * way
        size = new
    return found if found.any() else wanted / diagonal
