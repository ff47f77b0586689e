"""Reciprocity to be expected of everybody's degrees and strengths, and how much it varies: exact, without draws.

Each pair is independent of the others in these models, so that means and variances are sums over pairs. With a link both ways, the
lesser of two exponential weights is exponential itself, of rate b_ij + b_ji.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.panels import Floats, Integers
from metrics.reciprocity._degrees import Model, solve

BLOCK = 100_000
"""About how many pairs are looked at together: they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Contact within pairs: what can be answered apart from what goes to a group.

    Attributes:
        a: One person of each pair, numbered from 0.
        b: The other.
        forth: Weight from a to b of contact with that person alone.
        back: The same from b to a.
        group_forth: Weight from a to b of messages to several at once.
        group_back: The same from b to a.
    """

    a: Integers
    b: Integers
    forth: Floats
    back: Floats
    group_forth: Floats
    group_back: Floats


@dataclass(frozen=True, slots=True)
class Expected:
    """Mean of r and r_w over all such networks, and their standard deviations."""

    r: float
    r_sd: float
    r_w: float
    r_w_sd: float


def expected(pairs: Pairs, people: int) -> Expected:
    """What chance gives, degrees and strengths being what they are.

    Whom a person writes to alone is drawn anew. A message to several reaches all of them or none, and who is in a group is no answer to
    anybody: those stay as they are, so that reciprocity which membership of a group makes is in the null as well.

    Args:
        pairs: Contact within pairs; at least one of them with a weight.
        people: How many people there are.

    Raises:
        Unsolved: No such network keeps the degrees and strengths.
    """
    tail, head = np.concatenate([pairs.a, pairs.b]), np.concatenate([pairs.b, pairs.a])
    weight = np.concatenate([pairs.forth, pairs.back])
    is_arc = weight > 0
    model = (
        solve(tail[is_arc], head[is_arc], weight[is_arc], people) if is_arc.any() else Model(*np.zeros((2, people)), *np.ones((2, people)))
    )
    alone = _of_all_pairs(model)
    arcs = float(is_arc.sum())
    total = float(weight.sum() + pairs.group_forth.sum() + pairs.group_back.sum())
    grouped = np.flatnonzero((pairs.group_forth > 0) | (pairs.group_back > 0))
    if len(grouped):
        i, j = pairs.a[grouped], pairs.b[grouped]
        given = (pairs.group_forth[grouped], pairs.group_back[grouped])
        zero = np.zeros(len(grouped))
        alone = alone - _of_pairs(model, i, j, zero, zero) + _of_pairs(model, i, j, *given)
        chances = (_chance(model, i, j), _chance(model, j, i))
        arcs += sum(float((1 - chance[weight > 0]).sum()) for chance, weight in zip(chances, given, strict=True))
    links, links_variance, shared, shared_variance = (float(value) for value in alone)
    return Expected(
        2 * links / arcs,
        2 * float(np.sqrt(max(links_variance, 0.0))) / arcs,
        2 * shared / total,
        2 * float(np.sqrt(max(shared_variance, 0.0))) / total,
    )


def _chance(model: Model, i: Integers, j: Integers) -> Floats:
    both = model.x[i] * model.y[j]
    return np.asarray(both / (1 + both), dtype=np.float64)


def _of_all_pairs(model: Model) -> Floats:
    """Mean and variance of the number of mutual pairs, and of the sum of the lesser weights, over all pairs without group contact."""
    both = np.flatnonzero((model.x > 0) & (model.y > 0))
    x, y, rate = model.x[both], model.y[both], (model.theta + model.phi)[both]
    # p_ij p_ji = z_i z_j / (1 + x_i y_j + y_i x_j + z_i z_j), a product of narrow matrices below the line
    z, one = x * y, np.ones(len(both))
    left, right = np.stack([x, y, z, one], axis=1), np.stack([y, x, z, one])
    found = np.zeros(4)
    size = max(1, BLOCK // max(len(both), 1))
    for first in range(0, len(both) - 1, size):
        rows, width = slice(first, first + size), len(both[first : first + size])
        mutual = np.multiply.outer(z[rows], z[first:])
        mutual /= left[rows] @ right[:, first:]
        # each pair once: within the block, only those to the right
        mutual[:, :width][np.tril_indices(width)] = 0
        rates = np.add.outer(rate[rows], rate[first:])
        rates[:, :width][np.diag_indices(width)] = 1.0
        # a pair without a chance has no rate that means anything
        mutual[rates <= 0] = 0
        rates[rates <= 0] = 1.0
        mutual, rates = mutual.ravel(), np.reciprocal(rates, out=rates).ravel()
        lesser = mutual * rates
        links = mutual.sum()
        found += [links, links - mutual @ mutual, lesser.sum(), 2 * (lesser @ rates) - lesser @ lesser]
    return found


def _of_pairs(model: Model, i: Integers, j: Integers, forth: Floats, back: Floats) -> Floats:
    """The same four sums over some pairs, of which a weight either way is given and the rest is drawn."""
    p, q = _chance(model, i, j), _chance(model, j, i)
    b, c = model.theta[i] + model.phi[j], model.theta[j] + model.phi[i]
    # the one with less given may catch up
    is_less = forth <= back
    floor, lag = np.minimum(forth, back), np.abs(forth - back)
    p, q = np.where(b > 0, p, 0.0), np.where(c > 0, q, 0.0)
    catch, rate = np.where(is_less, p, q), np.where(is_less, b, c)
    other = np.where(is_less, q, p)
    both = b + c
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.exp(-rate * lag)
        # the lesser beyond the floor: of the lag and what is drawn, and beyond the lag if the other is drawn too
        first = catch * ((1 - left) / rate + other * left / both)
        square = catch * (2 / rate**2 - left * (2 * lag / rate + 2 / rate**2) + other * left * (2 * lag / both + 2 / both**2))
    first, square = (np.where(catch > 0, value, 0.0) for value in (first, square))
    linked = np.where(forth > 0, 1.0, p) * np.where(back > 0, 1.0, q)
    return np.array(
        [linked.sum(), (linked * (1 - linked)).sum(), (floor + first).sum(), np.maximum(square - first**2, 0.0).sum()], dtype=np.float64
    )
