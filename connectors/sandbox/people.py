"""The people of a synthetic organisation: teams, offices, managers, joiners, leavers, movers, and people outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from connectors.sandbox import names
from connectors.sandbox.world import World

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NEVER: Final = 1e9
"""A day beyond every world's end."""
_SPAN_OF_CONTROL: Final = 10
_SMALL_FIRM: Final = 45
_FACING: Final = {"Sales": 3.0, "Support": 2.0, "Operations": 1.5, "Legal": 1.0}


@dataclass(frozen=True, slots=True)
class Place:
    """A person's team and manager (a place in `Organisation.people`) from one day to another, the latter excluded."""

    team: str
    manager: int | None
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Person:
    """One person.

    Attributes:
        number: The place in `Organisation.people`, by which logs and truths name people.
        name: Display name.
        address: Main e-mail address.
        aliases: Other addresses, with the day from which the directory knows each (None: always).
        organisation: The organisation's name.
        kind: own, client, supplier, partner or public_body.
        office: The site; None outside.
        time_zone: IANA name.
        places: Team and manager over time; empty outside.
        joined_on: First day, if that lies in the observed time.
        left_on: Last day, if that lies in the observed time.
    """

    number: int
    name: str
    address: str
    aliases: tuple[tuple[str, date | None], ...]
    organisation: str
    kind: str
    office: str | None
    time_zone: str
    places: tuple[Place, ...]
    joined_on: date | None
    left_on: date | None

    @property
    def is_internal(self) -> bool:
        """Whether the person works for the organisation itself."""
        return self.kind == "own"

    @property
    def domain(self) -> str:
        """The domain of the main address."""
        return self.address.rpartition("@")[2]

    def place_on(self, day: date) -> Place | None:
        """Return the place held on a day; before the first and after the last, the nearest."""
        found = None
        for place in self.places:
            if found is None or place.valid_from <= day:
                found = place
        return found


@dataclass(slots=True)
class Roster:
    """People as columns; own people come first. Days are counted from the world's start, as floats.

    Attributes:
        own: How many own people there are.
        team: Number of the first team; -1 outside.
        team_after: Team after `move_day`.
        manager: The manager's number; -1 for none.
        manager_after: The same after `move_day`.
        office: Number of the office (its time zone counts outside as well).
        outside: Number of the outside organisation; -1 for own people.
        joined: Day of joining, negative for those who were there.
        left: Day of leaving, `NEVER` for those who stay.
        affinity: Number of the affinity group; -1 for none.
        keys: The two people on whom a team pair hangs, or none.
        facing: Weight with which one's ties go outside.
        teams: Names of teams.
        affinities: Names of affinity groups.
        people: The same as objects.
    """

    own: int
    team: Ints
    team_after: Ints
    move_day: Floats
    manager: Ints
    manager_after: Ints
    office: Ints
    outside: Ints
    joined: Floats
    left: Floats
    affinity: Ints
    keys: tuple[int, int] | None
    facing: Floats
    teams: tuple[str, ...]
    affinities: tuple[str, ...]
    people: list[Person]

    def team_at(self, people: Ints, day: Floats) -> Ints:
        """Return people's teams on days; -1 outside."""
        return np.where(day < self.move_day[people], self.team[people], self.team_after[people])

    def is_present(self, people: Ints, day: Floats) -> Flags:
        """Return whether people work there on days; outside people always do."""
        return (self.joined[people] <= day) & (day < self.left[people])


def make(world: World, rng: np.random.Generator) -> Roster:
    """Make the people of a world."""
    own = world.people
    teams = tuple(name for name, _ in (names.TEAMS if own >= _SMALL_FIRM else names.TEAMS[:4]))
    shares = np.array([share for name, share in names.TEAMS if name in teams])
    sizes = _apportioned(shares, own)
    team = np.repeat(np.arange(len(teams)), sizes)
    office = _apportioned_draw(np.array([place.share for place in names.OFFICES]), own, rng)
    manager, leads = _managers(team, sizes)
    permanent = np.zeros(own, dtype=bool)
    permanent[np.unique(manager[manager >= 0])] = True
    keys = None
    if set(names.HANGING) <= set(teams):
        first, second = (int(np.flatnonzero((team == teams.index(name)) & ~permanent)[0]) for name in names.HANGING)
        keys = (first, second)
        permanent[[first, second]] = True
    joined, left = _comings_and_goings(world, permanent, rng)
    move_day, team_after = _moves(world, team, permanent | (joined > 0) | (left < NEVER), len(teams), rng)
    manager_after = np.where(team_after != team, leads[team_after], manager)
    groups = max(2, min(len(names.AFFINITY), round(own * 0.4 / 25)))
    affinity = np.where(rng.random(own) < 0.4, rng.integers(0, groups, own), -1)
    facing = np.array([_FACING.get(teams[number], 0.4) for number in team])

    guests = max(3, round(own * 0.03) + 2)
    outside = np.repeat(np.arange(len(names.OUTSIDE)), guests)
    count = len(outside)

    def extended(own_values: Any, value: float) -> Any:
        return np.concatenate([own_values, np.full(count, value, dtype=own_values.dtype)])

    roster = Roster(
        own=own,
        team=extended(team, -1),
        team_after=extended(team_after, -1),
        move_day=extended(move_day, NEVER),
        manager=extended(manager, -1),
        manager_after=extended(manager_after, -1),
        office=np.concatenate([office, rng.integers(0, 3, count)]),
        outside=np.concatenate([np.full(own, -1), outside]),
        joined=extended(joined, -NEVER),
        left=extended(left, NEVER),
        affinity=extended(affinity, -1),
        keys=keys,
        facing=extended(facing, 0.0),
        teams=teams,
        affinities=names.AFFINITY[:groups],
        people=[],
    )
    roster.people = _people(world, roster, rng)
    return roster


def _apportioned(shares: Floats, total: int) -> Ints:
    """Whole numbers that add up to the total, by largest remainder."""
    exact = shares / shares.sum() * total
    counts: Ints = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _apportioned_draw(shares: Floats, total: int, rng: np.random.Generator) -> Ints:
    return rng.permutation(np.repeat(np.arange(len(shares)), _apportioned(shares, total)))


def _managers(team: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Each team has a lead; a lead of many has deputies with about ten people each. Person 0 leads the whole."""
    manager = np.empty(len(team), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    for start, size in zip(starts, sizes, strict=True):
        deputies = (size - 1) // (_SPAN_OF_CONTROL + 1) if size > _SPAN_OF_CONTROL + 4 else 0
        manager[start] = 0
        manager[start + 1 : start + 1 + deputies] = start
        rest = np.arange(start + 1 + deputies, start + size)
        manager[rest] = start if deputies == 0 else start + 1 + (rest - rest[0]) % deputies if len(rest) else start
    manager[0] = -1
    return manager, starts


def _comings_and_goings(world: World, permanent: Flags, rng: np.random.Generator) -> tuple[Floats, Floats]:
    joined = np.full(world.people, -NEVER)
    left = np.full(world.people, NEVER)
    free = rng.permutation(np.flatnonzero(~permanent))
    joiners, rest = np.split(free, [round(world.people * world.joiner_share)])
    leavers = rest[: round(world.people * world.leaver_share)]
    # Mondays for joining, Fridays for leaving; nobody on the very first or last days
    weeks = max(1, world.days // 7 - 2)
    joined[joiners] = (1 + rng.integers(0, weeks, len(joiners))) * 7.0 - world.start.weekday()
    left[leavers] = (1 + rng.integers(0, weeks, len(leavers))) * 7.0 - world.start.weekday() + 5
    return joined, left


def _moves(world: World, team: Ints, fixed: Flags, count: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    move_day = np.full(len(team), NEVER)
    after = team.copy()
    movers = rng.permutation(np.flatnonzero(~fixed))[: round(world.people * world.mover_share)]
    if count > 1 and world.days > 30:
        move_day[movers] = rng.integers(14, world.days - 13, len(movers))
        after[movers] = (team[movers] + rng.integers(1, count, len(movers))) % count
    return move_day, after


def _people(world: World, roster: Roster, rng: np.random.Generator) -> list[Person]:
    total = len(roster.team)
    combinations = len(names.FIRST_NAMES) * len(names.SURNAMES)
    drawn = rng.permutation(combinations)
    renamed = set(rng.permutation(roster.own)[: max(1, roster.own // 30)].tolist())
    people = []
    taken: set[str] = set()
    for number in range(total):
        first, last = divmod(int(drawn[number % combinations]), len(names.SURNAMES))
        name = f"{names.FIRST_NAMES[first]} {names.SURNAMES[last]}"
        local = name.lower().replace(" ", ".")
        where = int(roster.outside[number])
        domain = names.OWN_DOMAIN if where < 0 else names.OUTSIDE[where].domain
        address = f"{local}@{domain}"
        if address in taken:
            address = f"{local}.{number}@{domain}"
        taken.add(address)
        aliases: list[tuple[str, date | None]] = []
        if where < 0 and number % 9 == 4:
            aliases.append((f"{local[0]}.{number}@{names.ALIAS_DOMAIN}", None))
        if number in renamed:
            known = int(rng.integers(world.days // 3, max(world.days // 3 + 1, world.days - 5)))
            aliases.append((f"{local}-new.{number}@{names.OWN_DOMAIN}", world.start + timedelta(days=known)))
        people.append(
            Person(
                number=number,
                name=name,
                address=address,
                aliases=tuple(aliases),
                organisation=names.OWN_NAME if where < 0 else names.OUTSIDE[where].name,
                kind="own" if where < 0 else names.OUTSIDE[where].kind,
                office=names.OFFICES[int(roster.office[number])].name if where < 0 else None,
                time_zone=names.OFFICES[int(roster.office[number])].time_zone,
                places=_places(world, roster, number) if where < 0 else (),
                joined_on=_day(world, roster.joined[number]) if roster.joined[number] > 0 else None,
                left_on=_day(world, roster.left[number] - 1) if roster.left[number] < NEVER else None,
            )
        )
    return people


def _day(world: World, day: float) -> date:
    return world.start + timedelta(days=int(day))


def _places(world: World, roster: Roster, number: int) -> tuple[Place, ...]:
    first = _day(world, roster.joined[number]) if roster.joined[number] > 0 else date(2020, 1, 1)
    end = _day(world, roster.left[number]) if roster.left[number] < NEVER else None
    places = []
    manager = int(roster.manager[number])
    if roster.move_day[number] < NEVER:
        moved = _day(world, roster.move_day[number])
        places.append(Place(roster.teams[int(roster.team[number])], None if manager < 0 else manager, first, moved))
        first, manager = moved, int(roster.manager_after[number])
    places.append(Place(roster.teams[int(roster.team_after[number])], None if manager < 0 else manager, first, end))
    return tuple(places)
