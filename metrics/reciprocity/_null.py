"""Reciprocity of a directed network, and the reciprocity that busy people would show by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.panels import Floats, Integers

CONTACT_BUDGET = 2_000_000
"""About how many contacts are redrawn for one figure. Large networks get fewer draws: their null hardly varies between draws."""

LEAST_DRAWS = 3
"""Where the budget does not allow for this many draws, each draw looks at a sample of the people only (see `sampled_null`)."""

SAMPLE_DRAWS = 5
SAMPLE_PEOPLE = 300
LEAST_SAMPLE_PEOPLE = 50
SAMPLE_CONTACTS = 400_000
"""About how many contacts the people of a sample send: where each sends very many, a sample is of fewer people, down to the least."""


@dataclass(frozen=True, slots=True)
class Null:
    """Mean and standard deviation of r and r_w over random networks."""

    r: float
    r_sd: float
    r_w: float
    r_w_sd: float
    draw_count: int


def arc_null(tail: Integers, head: Integers, count: Integers, weight: Floats, draws: int, random: np.random.Generator) -> Null:
    """The null of a network of arcs: `strength_preserving_null` of its contacts, or `sampled_null` where they are too many for that.

    Args:
        tail: Who turns to the other on each arc, numbered from 0.
        head: The other.
        count: Contacts on the arc; an arc without any plays no part.
        weight: Weight of the arc, shared evenly by its contacts.
        draws: How many random networks.
        random: The generator.
    """
    each = weight / np.maximum(count, 1)
    if int(count.sum()) * min(draws, LEAST_DRAWS) > CONTACT_BUDGET:
        return sampled_null(tail, head, count, each, random)
    return strength_preserving_null(np.repeat(tail, count), np.repeat(head, count), np.repeat(each, count), draws, random)


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
    return _summary([_one_draw(sender, random.permutation(recipient), None if is_even else weight, count) for _ in range(used)])


def sampled_null(tail: Integers, head: Integers, count: Integers, each: Floats, random: np.random.Generator) -> Null:
    """The same null for a network of very many contacts, from samples of its people: all that they send and receive is redrawn.

    A sample takes people at even steps in the order of how much they send, from a random start. Whom they turn to, and which contacts reach
    them, is drawn from all contacts (with replacement: of millions hardly any comes twice). Every arc of a random network touches the
    sample with the same chance, so that ratios over its people's arcs estimate those of the whole. The standard deviation is that
    between samples: it holds the error of sampling beside the variation of networks, and z comes out too small rather than too large.

    Args:
        tail: Who turns to the other on each arc, numbered from 0.
        head: The other.
        count: Contacts on the arc.
        each: Weight of each of them.
        random: The generator.
    """
    people = int(max(tail.max(), head.max())) + 1
    contacts = np.cumsum(count)
    total = int(contacts[-1])
    sent, received = (np.bincount(end, count, people).astype(np.int64) for end in (tail, head))
    receivers = np.cumsum(received)
    by_activity = np.lexsort((received, sent))
    size = min(people, SAMPLE_PEOPLE, max(LEAST_SAMPLE_PEOPLE, SAMPLE_CONTACTS * people // total))
    found = []
    for _ in range(SAMPLE_DRAWS):
        chosen = by_activity[((np.arange(size) + random.random()) * (people / size)).astype(np.int64)]
        arcs = np.flatnonzero(np.isin(tail, chosen))
        sender, receiver = np.repeat(tail[arcs], count[arcs]), np.repeat(chosen, received[chosen])
        recipient = random.permutation(np.searchsorted(receivers, _places(len(sender), total, random), side="right"))
        arriving = random.permutation(np.searchsorted(contacts, _places(len(receiver), total, random), side="right"))
        # both by the person of the sample, then the other
        out, out_weight = _sums(sender, recipient, np.repeat(each[arcs], count[arcs]), people)
        back, back_weight = _sums(receiver, tail[arriving], each[arriving], people)
        _, first, second = np.intersect1d(out, back, assume_unique=True, return_indices=True)
        shared = float(np.minimum(out_weight[first], back_weight[second]).sum())
        found.append((2.0 * len(first) / max(len(out) + len(back), 1), 2.0 * shared / float(out_weight.sum() + back_weight.sum())))
    return _summary(found)


def _places(size: int, total: int, random: np.random.Generator) -> Integers:
    """Random places among `total`, with replacement. In order: looked up so, they stay in the processor's cache."""
    return np.sort(random.integers(0, total, size))


def _sums(person: Integers, other: Integers, weight: Floats, people: int) -> tuple[Integers, Floats]:
    """Each distinct pair of a person and another, as one number, with its summed weight; nobody turns to themselves."""
    code = person * people + other
    order = np.argsort(code)
    code, weight = code[order], weight[order]
    kept = code // people != code % people
    code, weight = code[kept], weight[kept]
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    return code[starts], np.add.reduceat(weight, starts) if len(starts) else weight


def _summary(found: list[tuple[float, float]]) -> Null:
    values = np.array(found)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    return Null(float(mean[0]), float(deviation[0]), float(mean[1]), float(deviation[1]), len(found))


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
