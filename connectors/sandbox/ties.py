"""Ties as planted: who is in relation with whom, from when to when, by which media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from connectors.records import MEDIA
from connectors.sandbox import names
from connectors.sandbox.people import NEVER, Flags, Floats, Ints, Roster
from connectors.sandbox.world import KIND_MEDIA, KINDS, World

TEAM, AFFINITY, CROSS, MANAGER, EXTERNAL = range(5)
ORIGINS: Final = ("team", "affinity", "cross_team", "manager", "external")
"""Where a tie comes from, by its code."""
REST_DAYS: Final = 120.0
"""Two people whose tie ended begin another at the earliest so many days later, so that the two lives can be told apart."""
_ROUNDS: Final = 60
_LONGEST_BURN_IN: Final = 3650.0
_CODES: Final = {name: number for number, name in enumerate(MEDIA)}
MEETING_CODES: Final = tuple(_CODES[name] for name in KIND_MEDIA["meeting"])
_MODES: Final = (0.42, 0.22, 0.13, 0.06, 0.09, 0.08)
"""How often a tie's meetings are online, in person, hybrid, of unknown mode, huddles, calls."""


@dataclass(slots=True)
class Ties:
    """Ties as columns. Days are floats from the world's start; negative ones lie before it.

    Attributes:
        a: Who began it.
        b: The other.
        birth: Day of its beginning.
        death: Day on which it dies by its hazard, were nobody to leave.
        end: The same, or the day on which one of the two left; may lie beyond the world's end.
        mix: Number in `mixes`.
        is_mutual: Whether messages go both ways.
        from_a: Of one-way ties, whether messages go from a to b.
        is_cross_team: Whether the two were in different teams at its birth; False with outside people.
        is_external: Whether b is outside.
        is_under_policy: Whether a's team had adopted the policy at its birth.
        origin: Code in `ORIGINS`.
        rate: Days of contact a week.
        chat: Medium code for its chats.
        channel: Medium code for its channel messages.
        meeting: Medium code for its meetings.
        is_standing: Whether its meetings are a recurring series.
        mixes: Names of mixes.
    """

    a: Ints
    b: Ints
    birth: Floats
    death: Floats
    end: Floats
    mix: Ints
    is_mutual: Flags
    from_a: Flags
    is_cross_team: Flags
    is_external: Flags
    is_under_policy: Flags
    origin: Ints
    rate: Floats
    chat: Ints
    channel: Ints
    meeting: Ints
    is_standing: Flags
    mixes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.a)

    def kept(self, keep: Flags | Ints) -> Ties:
        """Return some of the ties."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name)[keep] for f in fields(self) if f.name != "mixes"}
        return Ties(mixes=self.mixes, **columns)

    def kinds(self) -> Flags:
        """Return which kinds each tie uses: one row a tie, one column a kind of `KINDS`."""
        uses = np.array([[kind in mix.split("+") for kind in KINDS] for mix in self.mixes], dtype=bool)
        return uses[self.mix]


def adoption_days(world: World, roster: Roster, rng: np.random.Generator) -> Floats:
    """Return the day on which each team adopts the policy; `NEVER` for those that never do."""
    days = np.full(len(roster.teams), NEVER if world.policy_day is None else float(world.policy_day))
    if world.policy_staggered and world.policy_day is not None:
        order = rng.permutation(len(days))
        never = max(1, len(days) // 5)
        days[order[:never]] = NEVER
        for step, team in enumerate(order[never:]):
            days[team] = world.policy_day + 28 * (step // 2)
    return days


@dataclass(slots=True)
class _Births:
    """Ties about to be: who begins one, when, and of what origin."""

    ego: Ints
    day: Floats
    origin: Ints

    def kept(self, keep: Flags) -> _Births:
        return _Births(self.ego[keep], self.day[keep], self.origin[keep])


def make(world: World, roster: Roster, adoption: Floats, rng: np.random.Generator) -> Ties:
    """Plant the ties of a world that are alive in it at some time, in order of birth."""
    births = _births(world, roster, adoption, rng)
    return _matched(world, roster, adoption, births, rng)


def burn_in_days(world: World) -> float:
    """Return how long before the start ties have to begin for those alive then to be as many, and as old, as ever."""
    slowest = max(world.half_life_weeks(mix) for mix in {**world.mixes, **world.external_mixes})
    return min(_LONGEST_BURN_IN, 6 * 7 * slowest)


def _births(world: World, roster: Roster, adoption: Floats, rng: np.random.Generator) -> _Births:
    first = -burn_in_days(world)
    lift = max(1.0, float(np.exp(world.policy_formation_effect)))
    count = rng.poisson(world.formation_rate * lift * world.people * (world.days - first) / 7)
    activity = rng.gamma(6.0, 1 / 6.0, world.people)
    ego = rng.choice(world.people, count, p=activity / activity.sum())
    day = rng.uniform(first, world.days, count)
    joiners = np.flatnonzero(roster.joined > 0)
    extra = rng.poisson(world.newcomer_ties * lift, len(joiners))
    ego = np.concatenate([ego, np.repeat(joiners, extra)])
    day = np.concatenate([day, np.repeat(roster.joined[joiners], extra) + rng.exponential(world.newcomer_days, extra.sum())])

    is_external = rng.random(len(ego)) < world.external_share
    weights = np.where(roster.joined[: roster.own] > 0, 0.0, roster.facing[: roster.own])
    ego = np.where(is_external & (roster.joined[ego] <= 0), rng.choice(world.people, len(ego), p=weights / weights.sum()), ego)
    births = _Births(ego, day, np.zeros(len(ego), dtype=np.int64))
    under = _is_under_policy(roster, adoption, ego, day)
    keep = (day < world.days) & roster.is_present(ego, day)
    keep &= rng.random(len(ego)) < np.where(under, np.exp(world.policy_formation_effect), 1.0) / lift

    share = np.full(len(ego), world.cross_team_share)
    if world.policy_cross_team_effect and 0 < world.cross_team_share < 1:
        odds = world.cross_team_share / (1 - world.cross_team_share) * np.exp(world.policy_cross_team_effect)
        share = np.where(under, odds / (1 + odds), share)
    is_cross = rng.random(len(ego)) < share
    is_affine = (rng.random(len(ego)) < world.affinity_share) & (roster.affinity[ego] >= 0)
    # a manager is of the same team, so these come out of the share that does not cross
    is_line = rng.random(len(ego)) < world.manager_share / max(1e-9, 1 - world.cross_team_share)
    births.origin = np.where(is_cross, np.where(is_affine, AFFINITY, CROSS), np.where(is_line, MANAGER, TEAM))
    births.origin[is_external] = EXTERNAL
    return births.kept(keep)


def _is_under_policy(roster: Roster, adoption: Floats, people: Ints, day: Floats) -> Flags:
    return day >= adoption[roster.team_at(people, day)]


def _matched(world: World, roster: Roster, adoption: Floats, births: _Births, rng: np.random.Generator) -> Ties:
    """Find the other one of every tie; where the two already have one, or may not, another is drawn."""
    count = len(births.ego)
    mixes = tuple(dict.fromkeys([*world.mixes, *world.external_mixes]))
    mix = np.where(births.origin == EXTERNAL, _draw_mix(world.external_mixes, mixes, count, rng), _draw_mix(world.mixes, mixes, count, rng))
    ties = Ties(
        a=births.ego, b=np.zeros(count, dtype=np.int64), birth=births.day, death=np.zeros(count), end=np.zeros(count),
        mix=mix,
        is_mutual=rng.random(count) < world.mutual_share, from_a=rng.random(count) < 0.6,
        is_cross_team=np.zeros(count, dtype=bool), is_external=births.origin == EXTERNAL,
        is_under_policy=_is_under_policy(roster, adoption, births.ego, births.day), origin=births.origin, rate=_rates(world, count, rng),
        chat=np.zeros(count, dtype=np.int64), channel=np.zeros(count, dtype=np.int64),
        meeting=rng.choice(MEETING_CODES, count, p=_MODES), is_standing=rng.random(count) < 0.5, mixes=mixes,
    )  # fmt: skip
    exposure = rng.exponential(1.0, count)
    pools = _Pools(roster)
    waiting = np.arange(count)
    for attempt in range(_ROUNDS):
        ego, other, allowed = pools.draw(ties, waiting, rng, attempt)
        ties.a[waiting], ties.b[waiting] = ego, other
        _live(world, roster, adoption, ties, exposure, waiting)
        clash = _clashes(ties, waiting, count)
        waiting = waiting[~allowed | clash[waiting]]
        if not len(waiting):
            break
    matched = np.ones(count, dtype=bool)
    matched[waiting] = False
    matched &= (ties.end > 0) & (ties.birth < world.days)
    order = np.flatnonzero(matched)[np.argsort(ties.birth[matched], kind="stable")]
    return _placed(ties.kept(order), roster, rng)


def _placed(ties: Ties, roster: Roster, rng: np.random.Generator) -> Ties:
    """Give ties their tools: some teams live in Teams, the others in Slack, and between the two either may be.

    Outside people chat in Teams, and in Slack channels only where Slack Connect joins their organisation; rooms need one office.
    """
    outside = roster.outside[ties.b]
    connected = np.array([outside.has_slack for outside in names.OUTSIDE])
    settled = np.array([name in names.TEAMS_TEAMS for name in roster.teams])
    in_teams = settled[roster.team_at(ties.a, ties.birth)].astype(int) + settled[roster.team_at(ties.b, ties.birth)]
    in_teams = (in_teams == 2) | ((in_teams == 1) & (rng.random(len(ties)) < 0.3))
    ties.chat = np.where(in_teams, _CODES["teams_chat"], _CODES["slack_dm"])
    ties.channel = np.where(in_teams, _CODES["teams_channel"], _CODES["slack_channel"])
    ties.chat = np.where(ties.is_external, _CODES["teams_chat"], ties.chat)
    here = (roster.office[ties.a] == roster.office[ties.b]) & ~ties.is_external
    ties.meeting = np.where((ties.meeting == _CODES["meeting_in_person"]) & ~here, _CODES["meeting_online"], ties.meeting)
    ties.meeting = np.where((ties.meeting == _CODES["slack_huddle"]) & ties.is_external, _CODES["meeting_online"], ties.meeting)
    ties.is_standing &= (ties.meeting != _CODES["slack_huddle"]) & (ties.meeting != _CODES["call"])
    ties.channel = np.where(ties.is_external, np.where(connected[outside], _CODES["slack_channel"], _CODES["teams_channel"]), ties.channel)
    return ties


def _rates(world: World, count: int, rng: np.random.Generator) -> Floats:
    floor = 0.7 * world.contact_rate
    spread = world.contact_spread * world.contact_rate
    if spread <= 0:
        return np.full(count, world.contact_rate)
    rest = world.contact_rate - floor
    return floor + rng.gamma((rest / spread) ** 2, spread**2 / rest, count)


def _draw_mix(shares: Mapping[str, float], mixes: tuple[str, ...], count: int, rng: np.random.Generator) -> Ints:
    weights = np.array(list(shares.values()))
    codes = np.array([mixes.index(mix) for mix in shares])
    return codes[rng.choice(len(codes), count, p=weights / weights.sum())]


def _live(world: World, roster: Roster, adoption: Floats, ties: Ties, exposure: Floats, which: Ints) -> None:
    """Give ties their team traits and their days of death and end."""
    a, b, birth = ties.a[which], ties.b[which], ties.birth[which]
    team_a, team_b = roster.team_at(a, birth), roster.team_at(b, birth)
    is_external = ties.is_external[which]
    is_cross = (team_a != team_b) & ~is_external
    ties.is_cross_team[which] = is_cross
    ties.is_under_policy[which] = birth >= adoption[team_a]
    base = np.array([world.log_hazard_ratio(mix) for mix in ties.mixes])[ties.mix[which]]
    base = base + world.cross_team_effect * is_cross + world.external_effect * is_external + world.mutual_effect * ties.is_mutual[which]
    hazard = world.weekly_hazard * np.exp(base)
    shape = world.hazard_shape
    before = np.clip((adoption[team_a] - birth) / 7, 0.0, 1e6) ** shape
    spent = hazard * before
    later = np.exp(world.policy_hazard_effect)
    target = exposure[which]
    weeks = np.where(target <= spent, target / hazard, before + (target - spent) / (hazard * later)) ** (1 / shape)
    ties.death[which] = birth + 7 * weeks
    ties.end[which] = np.minimum(ties.death[which], np.minimum(roster.left[a], roster.left[b]))


def _clashes(ties: Ties, waiting: Ints, count: int) -> Flags:
    """Return which of the waiting ties would overlap another of the same pair, or come too soon after it."""
    pair = np.minimum(ties.a, ties.b) * (1 << 24) + np.maximum(ties.a, ties.b)
    is_waiting = np.zeros(count, dtype=bool)
    is_waiting[waiting] = True
    order = np.lexsort((ties.birth, pair))
    same = pair[order][1:] == pair[order][:-1]
    close = same & (ties.birth[order][1:] < ties.end[order][:-1] + REST_DAYS)
    clash = np.zeros(count, dtype=bool)
    earlier, later = order[:-1][close], order[1:][close]
    clash[later[is_waiting[later]]] = True
    clash[earlier[is_waiting[earlier] & ~is_waiting[later]]] = True
    return clash


class _Pools:
    """From whom the other one of a tie is drawn."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        own = roster.own
        by_team = [np.flatnonzero((roster.team == n) | (roster.team_after == n)) for n in range(len(roster.teams))]
        self._teams = _Lists(by_team)
        self._affinities = _Lists([np.flatnonzero(roster.affinity == n) for n in range(len(roster.affinities))])
        self._everyone = np.arange(own)
        self._settled = np.flatnonzero(roster.joined[:own] <= 0)
        self._outside = np.arange(own, len(roster.team))

    def draw(self, ties: Ties, which: Ints, rng: np.random.Generator, attempt: int) -> tuple[Ints, Ints, Flags]:
        """Return both people of each tie, and whether they may have one."""
        roster = self._roster
        ego, day, origin = ties.a[which], ties.birth[which], ties.origin[which]
        count = len(which)
        if attempt >= 4:
            # in a small team all may have ties with all already: then somebody of another team begins one
            ego = np.where((origin == TEAM) & (roster.joined[ego] <= 0), rng.choice(self._settled, count), ego)
        team = roster.team_at(ego, day)
        other = rng.choice(self._everyone, count)
        other = np.where(origin == TEAM, self._teams.draw(team, rng), other)
        other = np.where(origin == AFFINITY, self._affinities.draw(roster.affinity[ego], rng), other)
        other = np.where(origin == EXTERNAL, rng.choice(self._outside, count), other)
        manager = np.where(day < roster.move_day[ego], roster.manager[ego], roster.manager_after[ego])
        other = np.where(origin == MANAGER, np.where(manager < 0, ego, manager), other)
        if attempt >= 2:
            # whoever has a tie with the manager already begins one in the team, whose group has few people left to meet one elsewhere
            ties.origin[which[origin == MANAGER]] = TEAM
            ties.origin[which[(origin == AFFINITY) & (attempt >= 4)]] = CROSS
        ego, other = self._through_keys(ego, other, team, day, rng)
        team, team_other = roster.team_at(ego, day), roster.team_at(other, day)
        allowed = (ego != other) & roster.is_present(other, day) & roster.is_present(ego, day)
        crosses = (origin == CROSS) | (origin == AFFINITY)
        allowed &= np.where(crosses, team != team_other, True) & np.where(origin == TEAM, team == team_other, True)
        return ego, other, allowed

    def _through_keys(self, ego: Ints, other: Ints, team: Ints, day: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Let every tie between the two hanging teams be one of the two people on whom they hang."""
        roster = self._roster
        if roster.keys is None:
            return ego, other
        first, second = (roster.teams.index(name) for name in names.HANGING)
        team_other = roster.team_at(other, day)
        is_first = rng.random(len(ego)) < 0.5
        key = np.where(is_first, roster.keys[0], roster.keys[1])
        key_team = np.where(is_first, first, second)
        between = ((team == first) & (team_other == second)) | ((team == second) & (team_other == first))
        return np.where(between & (team == key_team), key, ego), np.where(between & (team_other == key_team), key, other)


class _Lists:
    """Lists of people end to end, so that one of each of many lists is drawn at once."""

    def __init__(self, lists: list[Ints]) -> None:
        self._flat = np.concatenate([*lists, np.zeros(1, dtype=np.int64)])
        self._lengths = np.array([len(found) for found in lists])
        self._starts = np.concatenate([[0], np.cumsum(self._lengths)])[:-1]

    def draw(self, which: Ints, rng: np.random.Generator) -> Ints:
        """Return one of list `which`, for each; anything where there is no such list."""
        which = np.maximum(which, 0)
        drawn: Ints = self._flat[self._starts[which] + (rng.random(len(which)) * self._lengths[which]).astype(np.int64)]
        return drawn


def media_of(ties: Ties) -> list[tuple[str, ...]]:
    """Return each tie's media as planted, one of each of its kinds."""
    columns = {"chat": ties.chat, "channel": ties.channel, "meeting": ties.meeting}
    named = {kind: [MEDIA[code] for code in codes] for kind, codes in columns.items()}
    named["email"] = ["email"] * len(ties)
    return [tuple(named[kind][place] for kind in ties.mixes[mix].split("+")) for place, mix in enumerate(ties.mix)]


def none_at_all() -> Ties:
    """Return no ties, for organisations in which nothing is planted."""
    numbers = np.zeros(0, dtype=np.int64)
    columns: dict[str, Any] = {f.name: numbers for f in fields(Ties) if f.name != "mixes"}
    for name in ("birth", "death", "end", "rate"):
        columns[name] = np.zeros(0)
    for name in ("is_mutual", "from_a", "is_cross_team", "is_external", "is_under_policy", "is_standing"):
        columns[name] = np.zeros(0, dtype=bool)
    return Ties(mixes=("email",), **columns)
