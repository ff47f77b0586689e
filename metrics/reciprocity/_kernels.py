"""Sums over everybody a person could turn to, without going through all pairs where there are many people.

Both maximum-entropy models (`_degrees`) need, for each sender i, sums over receivers j of p_ij = x_i y_j / (1 + x_i y_j), its derivative,
and of p_ij / b_ij and p_ij / b_ij^2 with b_ij = theta_i + phi_j. Up to `DENSE_PEOPLE` people these are matrices. Beyond, they are taken as
products of narrow ones: p_ij / x_i is a smooth function of log x_i, interpolated between Chebyshev points, and 1 / b is a sum of
exponentials exp(-b t), which come apart into a factor of i and one of j. Nobody turns to themselves: the
diagonal is taken out again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.panels import Flags, Floats, Integers

DENSE_PEOPLE = 1_200
"""Up to so many people a matrix of all pairs is the quicker way."""

EXACT_PEOPLE = 8
"""So many of the busiest both ways are summed pair by pair: theta + phi may be negative for one person, who is no pair of themselves."""

NO_CHANCE = 1e-5
"""Among few people, degrees can rule an arc out: its chance then goes to 0 as they are met, and it has no weight and no rate."""

FINE = 1e-9
"""Relative error of sums, on which it depends whether everybody sends and receives as much as they should."""

ROUGH = 1e-4
"""Relative error that does for the derivatives, on which it depends only how quickly that is reached."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Who sends and who receives.

    Attributes:
        sends: Numbers of the people who send.
        receives: Numbers of those who receive.
        sender: Of those who do both, the place among `sends`.
        receiver: The place among `receives`.
    """

    sends: Integers
    receives: Integers
    sender: Integers
    receiver: Integers

    @classmethod
    def of(cls, sent: Integers, received: Integers) -> Ends:
        """From how many each person sends to, and receives from."""
        sends, receives = np.flatnonzero(sent), np.flatnonzero(received)
        _, sender, receiver = np.intersect1d(sends, receives, assume_unique=True, return_indices=True)
        return cls(sends, receives, sender, receiver)


class Links:
    """The chances p_ij of a link and their derivatives p_ij (1 - p_ij), from log x and log y."""

    def __init__(self, ends: Ends, u: Floats, v: Floats, precision: float = FINE) -> None:
        x, y = np.exp(u), np.exp(v)
        self.ends = ends
        points, weights = _chebyshev(float(u.min()), float(u.max()), precision)
        at = np.exp(points)
        if max(len(u), len(v)) <= DENSE_PEOPLE:
            chance = x[:, None] * y[None, :] / (1 + x[:, None] * y[None, :])
            chance[ends.sender, ends.receiver] = 0
            self._left, self._right, self._slope = chance, None, chance * (1 - chance)
        else:
            self._left = x[:, None] * _interpolation(u, points, weights)
            self._right = y[:, None] / (1 + at[None, :] * y[:, None])
            self._slope = y[:, None] / (1 + at[None, :] * y[:, None]) ** 2
        self.own = x[ends.sender] * y[ends.receiver] / (1 + x[ends.sender] * y[ends.receiver])

    @property
    def open(self) -> Flags | None:
        """Which arcs have a chance, where there is a matrix of them; all have one where there are many people."""
        return self._left > NO_CHANCE if self._right is None else None

    @property
    def factors(self) -> tuple[Floats, Floats | None]:
        """The matrix of chances and None, or two narrow ones whose product it is, the diagonal filled."""
        return self._left, self._right

    def sums(self) -> tuple[Floats, Floats]:
        """Of each sender over the receivers, and of each receiver over the senders."""
        if self._right is None:
            return self._left.sum(axis=1), self._left.sum(axis=0)
        rows, columns = self._left @ self._right.sum(axis=0), self._right @ self._left.sum(axis=0)
        return _less(rows, self.ends.sender, self.own), _less(columns, self.ends.receiver, self.own)

    def slopes(self, of_senders: Floats, of_receivers: Floats) -> tuple[Floats, Floats]:
        """The derivatives times a number a receiver, summed for each sender, and the other way round."""
        if self._right is None:
            return self._slope @ of_receivers, of_senders @ self._slope
        own = self.own * (1 - self.own)
        rows, columns = self._left @ (self._slope.T @ of_receivers), self._slope @ (self._left.T @ of_senders)
        return (
            _less(rows, self.ends.sender, own * of_receivers[self.ends.receiver]),
            _less(columns, self.ends.receiver, own * of_senders[self.ends.sender]),
        )


class Means:
    """Expected weights p_ij / b_ij and their derivatives p_ij / b_ij^2, from theta and phi."""

    def __init__(self, links: Links, theta: Floats, phi: Floats, precision: float = FINE) -> None:
        self.ends = links.ends
        self._left, self._right = links.factors
        if self._right is None:
            is_open = self._left > NO_CHANCE
            rates = np.where(is_open, theta[:, None] + phi[None, :], 1.0)
            self._mean = np.where(is_open, self._left, 0.0) / rates
            self._slope = self._mean / rates
            return
        both = theta[self.ends.sender] + phi[self.ends.receiver]
        exact = np.argsort(both)[:EXACT_PEOPLE]
        self._rows, self._columns = self.ends.sender[exact], self.ends.receiver[exact]
        self._is_row, self._is_column = np.ones(len(theta)), np.ones(len(phi))
        self._is_row[self._rows] = 0
        self._is_column[self._columns] = 0
        theta_floor, phi_floor = (float(part[kept > 0].min()) for part, kept in ((theta, self._is_row), (phi, self._is_column)))
        # only sums count: both parts are moved to begin at the same positive number
        least = theta_floor + phi_floor
        moved_theta = np.maximum(theta - theta_floor, 0) + least / 2
        moved_phi = np.maximum(phi - phi_floor, 0) + least / 2
        self._at, self._step = _exponents(least, float(moved_theta.max() + moved_phi.max()), precision)
        self._theta, self._phi = np.exp(-moved_theta[:, None] * self._at), np.exp(-moved_phi[:, None] * self._at)
        own = np.ones(len(both), dtype=np.bool_)
        own[exact] = False
        self._own = np.flatnonzero(own)
        self._own_rate, self._own_chance = both[own], links.own[own]
        self._row_rate = theta[self._rows][:, None] + phi[None, :]
        self._column_rate = theta[:, None] + phi[self._columns][None, :]
        self._row_chance, self._column_chance = self._left[self._rows] @ self._right.T, self._left @ self._right[self._columns].T
        self._row_chance[np.arange(len(exact)), self._columns] = 0
        # both of whom are exact: counted in the rows
        self._column_chance[self._rows] = 0
        for rate, chance in ((self._row_rate, self._row_chance), (self._column_rate, self._column_chance)):
            rate[chance == 0] = 1.0

    def sums(self) -> tuple[Floats, Floats]:
        """Expected strength sent by each sender, and received by each receiver."""
        if self._right is None:
            return self._mean.sum(axis=1), self._mean.sum(axis=0)
        return self._apart(1, np.ones(len(self._theta)), np.ones(len(self._phi)))

    def slopes(self, of_senders: Floats, of_receivers: Floats) -> tuple[Floats, Floats]:
        """The derivatives times a number a receiver, summed for each sender, and the other way round."""
        if self._right is None:
            return self._slope @ of_receivers, of_senders @ self._slope
        return self._apart(2, of_senders, of_receivers)

    def _apart(self, power: int, of_senders: Floats, of_receivers: Floats) -> tuple[Floats, Floats]:
        assert self._right is not None  # noqa: S101
        step = self._step if power == 1 else self._step * self._at
        inner = self._right.T @ ((of_receivers * self._is_column)[:, None] * self._phi)
        rows = np.einsum("iq,iq->i", self._theta * step, self._left @ inner) * self._is_row
        inner = self._left.T @ ((of_senders * self._is_row)[:, None] * self._theta)
        columns = np.einsum("jq,jq->j", self._phi * step, self._right @ inner) * self._is_column
        own = self._own_chance / self._own_rate**power
        sender, receiver = self.ends.sender[self._own], self.ends.receiver[self._own]
        rows, columns = _less(rows, sender, own * of_receivers[receiver]), _less(columns, receiver, own * of_senders[sender])
        of_rows, of_columns = self._row_chance / self._row_rate**power, self._column_chance / self._column_rate**power
        rows[self._rows] += of_rows @ of_receivers
        columns += of_senders[self._rows] @ of_rows
        rows += of_columns @ of_receivers[self._columns]
        columns[self._columns] += of_senders @ of_columns
        return rows, columns


def _less(values: Floats, places: Integers, parts: Floats) -> Floats:
    """Values less a part each at some places, which are all different."""
    values[places] -= parts
    return values


def _chebyshev(low: float, high: float, precision: float) -> tuple[Floats, Floats]:
    """Chebyshev points between two logarithms, as many as the precision takes, and their barycentric weights.

    A logistic curve has its nearest pole at a distance of pi from the axis, which says how quickly interpolation converges.
    """
    half = max((high - low) / 2, 1e-6)
    nearest = np.pi / half
    count = min(8 + int(np.ceil(-np.log(precision) / np.arcsinh(nearest))), 400)
    angle = np.pi * (np.arange(count) + 0.5) / count
    return (low + high) / 2 + half * np.cos(angle), np.where(np.arange(count) % 2, -1.0, 1.0) * np.sin(angle)


def _interpolation(at: Floats, points: Floats, weights: Floats) -> Floats:
    """The matrix that takes values at the points to values at other places (Berrut, Trefethen 2004)."""
    apart = at[:, None] - points[None, :]
    is_hit = apart == 0
    apart[is_hit] = 1.0
    shares = weights / apart
    shares[is_hit.any(axis=1)] = 0
    shares[is_hit] = 1.0
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


def _exponents(least: float, most: float, precision: float) -> tuple[Floats, Floats]:
    """Times t and steps w such that 1 / b = sum of w exp(-b t) for b between two numbers: the integral over log t by trapezoids."""
    width = np.pi**2 / -np.log(precision)
    at = np.exp(np.arange(np.log(precision / most), np.log(-1.2 * np.log(precision) / least) + width, width))
    step = at * width
    # what lies before the first time, where the exponential is 1
    step[0] += at[0] - 0.5 * step[0]
    return at, step
