"""Reciprocity of a directed network, and the reciprocity that busy people would show by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.panels import Floats, Integers

CONTACT_BUDGET = 4_000_000
"""About how many contacts are redrawn for one figure. Large networks get fewer draws: their null hardly varies between draws."""

LEAST_DRAWS = 3


@dataclass(frozen=True, slots=True)
class Null:
    """Mean and standard deviation of r and r_w over random networks."""

    r: float
    r_sd: float
    r_w: float
    r_w_sd: float
    draw_count: int


def strength_preserving_null(sender: Integers, recipient: Integers, weight: Floats, draws: int, random: np.random.Generator) -> Null:
    """Reciprocity of networks in which everyone sends as many contacts and receives as many as they do, but to and from whoever.

    Each draw permutes the recipients over the contacts. A contact that falls on its own sender is dropped (in a network of many people
    that is under one in a hundred). Each contact keeps its sender and its weight.

    Args:
        sender: The sender of each contact, numbered from 0.
        recipient: Its recipient.
        weight: Its weight.
        draws: How many networks; fewer where they would hold more than `CONTACT_BUDGET` contacts together.
        random: The generator.
    """
    count = int(max(sender.max(), recipient.max())) + 1
    is_even = bool(np.ptp(weight) < 1e-12)
    used = max(min(draws, CONTACT_BUDGET // len(sender)), min(draws, LEAST_DRAWS))
    found = np.array([_one_draw(sender, random.permutation(recipient), None if is_even else weight, count) for _ in range(used)])
    mean, deviation = found.mean(axis=0), found.std(axis=0, ddof=1)
    return Null(float(mean[0]), float(deviation[0]), float(mean[1]), float(deviation[1]), used)


def _one_draw(sender: Integers, recipient: Integers, weight: Floats | None, count: int) -> tuple[float, float]:
    """R and r_w of a list of contacts. Both arcs of a pair stand beside each other in the order of their codes."""
    kept = sender != recipient
    if not kept.all():
        sender, recipient = sender[kept], recipient[kept]
        weight = None if weight is None else weight[kept]
    if not len(sender):
        return 0.0, 0.0
    # the pair, then the direction in the last bit
    code = (np.minimum(sender, recipient) * count + np.maximum(sender, recipient)) * 2 + (sender > recipient)
    if weight is None:
        code.sort()
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        sums = np.diff(starts, append=len(code)).astype(np.float64)
        total = float(len(code))
    else:
        order = np.argsort(code)
        code = code[order]
        starts = np.flatnonzero(np.diff(code, prepend=-1))
        sums = np.add.reduceat(weight[order], starts)
        total = float(weight.sum())
    pair = code[starts] >> 1
    is_mutual = pair[1:] == pair[:-1]
    shared = np.minimum(sums[1:][is_mutual], sums[:-1][is_mutual])
    return 2.0 * float(is_mutual.sum()) / len(starts), 2.0 * float(shared.sum()) / total
