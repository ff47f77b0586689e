"""People with whom both of a pair are in contact, found along adjacency lists.

A join of pairs with pairs would hold all its steps at once. Here one person's contacts are marked at a time, and the contacts of
everybody who is paired with them are looked up among the marks: from the less connected of the two to their contacts, and on to
the other, so that there are never more steps than there are triangles to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metrics.panels import Flags, Floats, Integers


@dataclass(frozen=True, slots=True)
class Adjacency:
    """Everybody's contacts, one person after another.

    Attributes:
        others: The contacts; those of person `p` begin at `starts[p]` and are `degree[p]` many.
        starts: Where each person's contacts begin.
        degree: How many each person has.
        order: For each entry of `others`, the number of its pair, the pairs standing there twice: once for either side.
    """

    others: Integers
    starts: Integers
    degree: Integers
    order: Integers

    @classmethod
    def of(cls, first: Integers, second: Integers, people: int) -> Adjacency:
        """Return the contacts in pairs of people who are numbered from 0; no pair stands there twice."""
        ends, others = np.concatenate([first, second]), np.concatenate([second, first])
        order = np.argsort(ends, kind="stable")
        degree = np.bincount(ends, minlength=people).astype(np.int64)
        return cls(others[order], np.cumsum(degree) - degree, degree, order)

    def walks(self, one: Integers, other: Integers) -> Iterator[tuple[Integers, slice, Integers, Integers]]:
        """Go from one of each pair to the other by their contacts, all pairs that lead to the same person together.

        Yields:
            The pairs' numbers; where the contacts of the person they lead to lie; where the contacts of those they come from lie, one
            after another; and where among these each pair begins.
        """
        is_near = self.degree[one] <= self.degree[other]
        near, far = np.where(is_near, one, other), np.where(is_near, other, one)
        by_far = np.argsort(far, kind="stable")
        for rows in np.split(by_far, np.flatnonzero(np.diff(far[by_far])) + 1):
            if not len(rows):
                continue
            person = far[rows[0]]
            steps = self.degree[near[rows]]
            begins = np.cumsum(steps) - steps
            place = np.arange(steps.sum()) + np.repeat(self.starts[near[rows]] - begins, steps)
            yield rows, slice(self.starts[person], self.starts[person] + self.degree[person]), place, begins


def shared_contacts(first: Integers, second: Integers, score: Floats, people: int, wanted: Integers) -> tuple[Integers, Floats]:
    """Of each wanted pair, how many people both are in contact with, and the sum over them of the lesser of the two scores.

    Args:
        first: One person of each pair in contact, numbered from 0; no pair twice.
        second: The other person.
        score: Each pair's score, above 0.
        people: How many people there are.
        wanted: Which of the pairs to count for.
    """
    contacts = Adjacency.of(first, second, people)
    scores = np.tile(score, 2)[contacts.order]
    count, total = np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted))
    marked = np.zeros(people)
    for rows, own, place, begins in contacts.walks(first[wanted], second[wanted]):
        marked[contacts.others[own]] = scores[own]
        lesser = np.minimum(marked[contacts.others[place]], scores[place])
        count[rows] = np.add.reduceat(lesser > 0, begins, dtype=np.int64)
        total[rows] = np.add.reduceat(lesser, begins)
        marked[contacts.others[own]] = 0
    return count, total


def has_shared_contact(first: Integers, second: Integers, people: int) -> Flags:
    """Return whether anybody is in contact with both of each pair.

    Args:
        first: One person of each pair in contact, numbered from 0; no pair twice.
        second: The other person.
        people: How many people there are.
    """
    contacts = Adjacency.of(first, second, people)
    found = np.zeros(len(first), dtype=np.bool_)
    marked = np.zeros(people, dtype=np.bool_)
    for rows, own, place, begins in contacts.walks(first, second):
        marked[contacts.others[own]] = True
        found[rows] = np.logical_or.reduceat(marked[contacts.others[place]], begins)
        marked[contacts.others[own]] = False
    return found
