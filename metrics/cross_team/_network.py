"""The tie network of the own organisation in each panel, and random networks with the same number of ties for everyone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import igraph
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.cross_team._mixing import main_label
from metrics.panels import Integers, codes, flags, integers, number_people, row_groups


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
        used = rows[np.lexsort((b[rows], a[rows]))]
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


def rewired(ties: Integers, people: int, random_numbers: np.random.Generator, rounds: int = 10) -> Integers:
    """A random network in which everyone has as many ties as before: each round offers every tie one exchange of partners.

    In a round the ties are paired off at random and (a, b), (c, d) become (a, d), (c, b), unless that would tie someone to themselves,
    repeat a tie, or clash with another exchange of the round.

    Args:
        ties: Two people a row, no tie twice.
        people: How many people there are.
        random_numbers: The generator.
        rounds: How many rounds; after ten, hardly a tie is where it was.

    Reference:
        Maslov, Sneppen (2002), Specificity and stability in topology of protein networks, Science 296, 910-913.
    """
    current = ties.copy()
    half = len(current) // 2
    for _ in range(rounds):
        current = random_numbers.permutation(current)
        flipped = random_numbers.random(len(current)) < 0.5
        current[flipped] = current[flipped][:, ::-1]
        left, right = current[:half], current[half : 2 * half]
        offered = np.concatenate([np.stack([left[:, 0], right[:, 1]], axis=1), np.stack([right[:, 0], left[:, 1]], axis=1)])
        code = _code(offered, people)
        is_free = (offered[:, 0] != offered[:, 1]) & ~np.isin(code, _code(current, people))
        _, inverse, count = np.unique(code, return_inverse=True, return_counts=True)
        is_free &= count[inverse] == 1
        accepted = np.flatnonzero(is_free[:half] & is_free[half:])
        current[accepted] = offered[accepted]
        current[half + accepted] = offered[half + accepted]
    return current


def _code(ties: Integers, people: int) -> Integers:
    return np.minimum(ties[:, 0], ties[:, 1]) * people + np.maximum(ties[:, 0], ties[:, 1])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let igraph draw from a generator of our own for a while, so that what it draws can be repeated."""
    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - no secret depends on it
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
