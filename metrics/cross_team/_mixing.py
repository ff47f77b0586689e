"""How ties would fall within and across groups if who belongs to which group were shuffled: exact, without drawing."""

from __future__ import annotations

import numpy as np

from metrics.panels import Floats, Integers


def _falling(values: Floats, steps: int) -> Floats:
    """Values (values - 1) ... (values - steps + 1)."""
    result = np.ones_like(values)
    for step in range(steps):
        result = result * (values - step)
    return result


def shuffled_within(degree: Integers, group_size: Integers) -> tuple[float, float]:
    """Mean and standard deviation of the share of ties within groups, over all ways to deal the group labels to the people.

    The ties stay as they are and so do the sizes of the groups. With m ties, n people, P2 the chance that two people share a group, P3
    that three do, and P4 that two and two others do: mean = P2 (the share of dyads that lie within groups), and the variance of the
    number within = m P2 + A P3 + D P4 - (m P2)^2. A = sum degree (degree - 1) ordered pairs of ties share a person, D = m^2 - m - A do not.

    Args:
        degree: Ties of each person; everyone has at least one.
        group_size: People in each group; they sum to the number of people.

    Reference:
        Hubert, Schultz (1976), Quadratic assignment as a general data analysis strategy, Br. J. Math. Stat. Psychol. 29, 190-241.
    """
    ties = float(degree.sum()) / 2
    size = group_size.astype(np.float64)
    people = np.array(size.sum())
    second, third, fourth = (float(_falling(size, steps).sum()) for steps in (2, 3, 4))
    crossed = float(_falling(size, 2).sum() ** 2 - (_falling(size, 2) ** 2).sum())
    in_two = second / float(_falling(people, 2)) if people > 1 else 0.0
    in_three = third / float(_falling(people, 3)) if people > 2 else 0.0
    in_four = (fourth + crossed) / float(_falling(people, 4)) if people > 3 else 0.0
    adjacent = float((degree.astype(np.float64) * (degree - 1)).sum())
    apart = ties * ties - ties - adjacent
    variance = ties * in_two + adjacent * in_three + apart * in_four - (ties * in_two) ** 2
    # what is left of the subtraction of large numbers is noise where no labelling differs from another
    variance = variance if variance > 1e-9 * max(ties, 1.0) else 0.0
    return in_two, float(np.sqrt(variance)) / ties


def main_label(person: Integers, label: Integers, people: int, labels: int) -> Integers:
    """Each person's most frequent label, the lesser where two are equally frequent.

    Args:
        person: A person, numbered from 0, once for each of their ties.
        label: The label that the person had in that tie, numbered from 0.
        people: How many people there are; each occurs.
        labels: How many labels there are.
    """
    pair, count = np.unique(person * labels + label, return_counts=True)
    order = np.lexsort((pair % labels, -count, pair // labels))
    who = pair[order] // labels
    first = np.flatnonzero(np.diff(who, prepend=-1))
    result = np.empty(people, dtype=np.int64)
    result[who[first]] = pair[order][first] % labels
    return result
