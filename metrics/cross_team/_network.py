"""The tie network of the own organisation in each panel, and random networks with the same number of ties for everyone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.cross_team._mixing import main_label
from metrics.panels import Integers, codes, flags, in_pair_order, integers, number_people, row_groups


@dataclass(frozen=True, slots=True)
class TieNetwork:
    """Ties of one panel over all media.

    Attributes:
        people: Keys of the people with a tie, in order; elsewhere people are positions in it.
        ties: Ties within the own organisation, one row each: two people.
        team: Each person's team, a position in `team_names`; -1 where unknown.
        team_names: Names of teams, in order.
        outside: How many ties to other organisations each person has.
    """

    people: Integers
    ties: Integers
    team: Integers
    team_names: list[str]
    outside: Integers


def tie_networks(pair_panel: pa.Table, person: pa.Table) -> Iterator[tuple[tuple[Any, ...], TieNetwork]]:
    """The tie network of each panel: internal people with a tie, in the order of panels."""
    table = pair_panel.filter(pc.and_(pc.equal(pair_panel["medium"], "any"), pair_panel["is_tie"]))
    a, b = (integers(table, name) for name in ("person_a_key", "person_b_key"))
    teams, names = codes(pa.chunked_array([*table["team_a"].chunks, *table["team_b"].chunks], pa.string()))
    team_a, team_b = teams[: len(a)], teams[len(a) :]
    is_inner = ~flags(table, "is_external", default=True)
    own = np.sort(integers(person.filter(person["is_internal"]), "person_key"))
    for key, rows in row_groups(table, "panel_kind", "panel_start"):
        used = in_pair_order(rows, a, b)
        ends = np.concatenate([a[used], b[used]])
        is_own = np.isin(ends, own)
        people, (who,) = number_people(ends[is_own])
        label = np.concatenate([team_a[used], team_b[used]])[is_own]
        team = np.full(len(people), -1)
        placed, position = np.unique(who[label >= 0], return_inverse=True)
        team[placed] = main_label(position, label[label >= 0], len(placed), max(len(names), 1))
        inner = used[is_inner[used]]
        ties = np.searchsorted(people, np.stack([a[inner], b[inner]], axis=1))
        outside = np.bincount(who[np.tile(~is_inner[used], 2)[is_own]], minlength=len(people))
        yield key, TieNetwork(people, ties.astype(np.int64), team, [str(name) for name in names], outside)


def rewired(ties: Integers, people: int, random_numbers: np.random.Generator, rounds: int = 20) -> Integers:
    """A random network in which everyone has as many ties as before: each round offers every tie one exchange of partners.

    In a round the ties are paired off at random and (a, b), (c, d) become (a, d), (c, b), unless that would tie someone to themselves,
    repeat a tie, or clash with another exchange of the round. A round is as likely as its reverse, so that all networks with these numbers
    of ties come to be equally likely.

    Args:
        ties: Two people a row, no tie twice.
        people: How many people there are.
        random_numbers: The generator.
        rounds: How many rounds; after twenty nothing is left of where the ties were, and fewer make the next network from a random one.

    Reference:
        Maslov, Sneppen (2002), Specificity and stability in topology of protein networks, Science 296, 910-913.
    """
    first, second = ties[:, 0].copy(), ties[:, 1].copy()
    half = len(ties) // 2
    for _ in range(rounds):
        order = random_numbers.permutation(len(ties))
        is_flipped = random_numbers.random(len(ties)) < 0.5
        first, second = np.where(is_flipped, second, first)[order], np.where(is_flipped, first, second)[order]
        # the first half is paired with the second
        offered = np.concatenate([second[half : 2 * half], second[:half]])
        start = first[: 2 * half]
        codes_now = np.concatenate([_code(first, second, people), _code(start, offered, people)])
        position = np.argsort(codes_now)
        is_same = codes_now[position][1:] == codes_now[position][:-1]
        is_repeated = np.zeros(len(codes_now), dtype=np.bool_)
        is_repeated[position[1:][is_same]] = True
        is_repeated[position[:-1][is_same]] = True
        # whoever holds a tie that another pair is offered stands still too: else the way back would not be as likely as the way there
        is_free = (start != offered) & ~is_repeated[len(first) :] & ~is_repeated[: 2 * half]
        is_accepted = np.tile(is_free[:half] & is_free[half:], 2)
        second[: 2 * half] = np.where(is_accepted, offered, second[: 2 * half])
    return np.stack([first, second], axis=1)


def _code(first: Integers, second: Integers, people: int) -> Integers:
    """One number a tie, the same from either end."""
    return np.minimum(first, second) * people + np.maximum(first, second)
