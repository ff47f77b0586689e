"""The truths of a synthetic organisation, written down: what was planted, and what came of it in this one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import orjson

from connectors.sandbox import names
from connectors.sandbox.calendar import Calendar
from connectors.sandbox.contacts import RESPONSE_CAP, RESPONSE_MINUTES, RESPONSE_SPREAD, ContactDays
from connectors.sandbox.people import NEVER, Floats, Roster
from connectors.sandbox.ties import ORIGINS, Ties, media_of
from connectors.sandbox.world import KIND_MEDIA, World


@dataclass(frozen=True, slots=True)
class TieTruth:
    """One tie as planted.

    Attributes:
        a: Number of the person who began it.
        b: Number of the other.
        birth: Day of its beginning, from the world's start; negative before it.
        death: Day on which its hazard ends it, were nobody to leave.
        end: The day on which it ended: death, or someone's leaving; None if it outlives the world.
        has_ended: Whether it died, rather than being cut off by a leaver or the end of the world.
        mix: Kinds of media joined by +.
        media: Media, one of each kind.
        is_mutual: Whether messages go both ways.
        is_cross_team: Whether teams differed at its birth.
        external_kind: Kind of the outside organisation; None within the own one.
        origin: team, affinity, cross_team, manager or external.
        weekly_hazard: Its hazard (for a shape of 1; else its scale).
        rate: Days of contact a week.
        is_under_policy: Whether the policy held for who began it, when it began.
    """

    a: int
    b: int
    birth: float
    death: float
    end: float | None
    has_ended: bool
    mix: str
    media: tuple[str, ...]
    is_mutual: bool
    is_cross_team: bool
    external_kind: str | None
    origin: str
    weekly_hazard: float
    rate: float
    is_under_policy: bool


@dataclass(frozen=True)
class Truth:
    """What is true of a synthetic organisation. Planted values are exact; realised ones are counts in this one.

    Attributes:
        world: The settings, which hold every planted effect.
        hazard: `weekly` baseline, `shape`, and log hazard ratios: `kind` and `medium` (compared with channels), `cross_team`,
            `external`, `mutual`, `policy`.
        half_life_weeks: Planted, by mix, for ties within a team.
        reciprocity: `mutual_share` planted; `arc_reciprocity` = 2p / (1 + p), which the network's binary reciprocity has in
            expectation where there is no noise by message; `realised_mutual_share` of pairs with messages;
            `realised_arc_reciprocity` of all pairs that exchange messages, noise included.
        response: Planted `median_minutes` by kind, `spread` (sigma of the logarithm), `cap_minutes`.
        cross_team_share: `planted` at formation; `realised` at formation; `alive` by month: share of tie days of ties within the
            organisation that cross teams.
        formation: Per person and week: `planted` rate, `realised` rate after the start without newcomers' extra; and `count`
            by mix and by origin of ties born in the observed time.
        newcomers: `extra`, `time_constant_days`, and by days since joining: `expected` ties begun by a newcomer (`expected_own`)
            and mean ties `realised` (begun by either), `realised_cross_team`, over `count` newcomers watched so long.
        policy: Name, first day, teams (empty: everyone), `starts` by team, planted log ratios, and of meetings held after it:
            `meeting_hours_dropped_share` by team and overall.
        hanging: The two teams, and the two people through whom all their ties go.
        noise: Chance contacts: count.
        outages: Collection gaps as (source, first date, last date).
        ties: Every tie alive at some time.
    """

    world: Mapping[str, Any]
    hazard: Mapping[str, Any]
    half_life_weeks: Mapping[str, float]
    reciprocity: Mapping[str, float]
    response: Mapping[str, Any]
    cross_team_share: Mapping[str, Any]
    formation: Mapping[str, Any]
    newcomers: Mapping[str, Any]
    policy: Mapping[str, Any] | None
    hanging: Mapping[str, Any] | None
    noise: Mapping[str, int]
    outages: tuple[tuple[str, str, str], ...]
    ties: tuple[TieTruth, ...]

    def to_json(self) -> bytes:
        """Return all of it as JSON."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


def tell(
    world: World,
    roster: Roster,
    ties: Ties,
    calendar: Calendar,
    adoption: Floats,
    held: ContactDays,
    dropped: ContactDays,
    noise_meetings: int,
    noise_messages: int,
) -> Truth:
    """Write down the truths of a world."""
    return Truth(
        world=world.as_dict(),
        hazard={
            "weekly": world.weekly_hazard,
            "shape": world.hazard_shape,
            "kind": dict(world.medium_effects),
            "medium": {medium: world.medium_effects.get(kind, 0.0) for kind, media in KIND_MEDIA.items() for medium in media},
            "cross_team": world.cross_team_effect,
            "external": world.external_effect,
            "mutual": world.mutual_effect,
            "policy": world.policy_hazard_effect,
        },
        half_life_weeks={mix: world.half_life_weeks(mix) for mix in ties.mixes},
        reciprocity=_reciprocity(world, ties, held, noise_messages),
        response={"median_minutes": dict(RESPONSE_MINUTES), "spread": RESPONSE_SPREAD, "cap_minutes": dict(RESPONSE_CAP)},
        cross_team_share=_cross_team(world, ties, calendar),
        formation=_formation(world, roster, ties),
        newcomers=_newcomers(world, roster, ties),
        policy=_policy(world, roster, ties, adoption, held, dropped),
        hanging=_hanging(roster),
        noise={"meetings": noise_meetings, "messages": noise_messages},
        outages=tuple((source, _date(world, first), _date(world, last - 1)) for source, first, last in world.outages),
        ties=_ties(world, roster, ties),
    )


def _date(world: World, day: float) -> str:
    return (world.start + timedelta(days=int(day))).isoformat()


def _ties(world: World, roster: Roster, ties: Ties) -> tuple[TieTruth, ...]:
    media = media_of(ties)
    found = []
    for n in range(len(ties)):
        mix = ties.mixes[int(ties.mix[n])]
        is_external, is_cross, is_mutual = bool(ties.is_external[n]), bool(ties.is_cross_team[n]), bool(ties.is_mutual[n])
        under = bool(ties.is_under_policy[n])
        ratio = world.log_hazard_ratio(mix, is_cross_team=is_cross, is_external=is_external, is_mutual=is_mutual, is_under_policy=under)
        end = float(ties.end[n])
        found.append(
            TieTruth(
                a=int(ties.a[n]),
                b=int(ties.b[n]),
                birth=round(float(ties.birth[n]), 3),
                death=round(float(ties.death[n]), 3),
                end=round(end, 3) if end < world.days else None,
                has_ended=end < world.days and bool(ties.death[n] <= end),
                mix=mix,
                media=media[n],
                is_mutual=is_mutual,
                is_cross_team=is_cross,
                external_kind=names.OUTSIDE[int(roster.outside[ties.b[n]])].kind if is_external else None,
                origin=ORIGINS[int(ties.origin[n])],
                weekly_hazard=world.weekly_hazard * math.exp(ratio),
                rate=round(float(ties.rate[n]), 4),
                is_under_policy=under,
            )
        )
    return tuple(found)


def _reciprocity(world: World, ties: Ties, held: ContactDays, noise_messages: int) -> dict[str, float]:
    written = np.unique(held.tie[held.kind != 3])
    mutual = float(ties.is_mutual[written].sum())
    one_way = len(written) - mutual + noise_messages
    share = world.mutual_share
    return {
        "mutual_share": share,
        "arc_reciprocity": 2 * share / (1 + share),
        "realised_mutual_share": mutual / max(1.0, mutual + one_way),
        "realised_arc_reciprocity": 2 * mutual / max(1.0, 2 * mutual + one_way),
    }


def _cross_team(world: World, ties: Ties, calendar: Calendar) -> dict[str, Any]:
    own = ~ties.is_external
    born = own & (ties.birth >= 0)
    days = np.arange(world.days)
    alive: dict[str, float] = {}
    counts = []
    for which in (own & ties.is_cross_team, own):
        begun = np.searchsorted(np.sort(ties.birth[which]), days, "right")
        gone = np.searchsorted(np.sort(ties.end[which]), days, "right")
        counts.append((begun - gone).astype(float))
    for month in np.unique(calendar.months):
        inside = calendar.months == month
        number = world.start.month - 1 + int(month)
        name = date(world.start.year + number // 12, number % 12 + 1, 1).isoformat()
        alive[name] = float(counts[0][inside].sum() / max(1.0, counts[1][inside].sum()))
    return {
        "planted": world.cross_team_share,
        "realised": float(ties.is_cross_team[born].mean()) if born.any() else None,
        "alive": alive,
    }


def _formation(world: World, roster: Roster, ties: Ties) -> dict[str, Any]:
    born = ties.birth >= 0
    own = np.arange(roster.own)
    stay = np.clip(np.minimum(roster.left[own], world.days) - np.maximum(roster.joined[own], 0), 0, None)
    old = roster.joined[own] < 0
    begun = born & old[ties.a]
    return {
        "planted": world.formation_rate,
        "realised": float(begun.sum() / (stay[old].sum() / 7)),
        "count": int(born.sum()),
        "by_mix": {mix: int((born & (ties.mix == number)).sum()) for number, mix in enumerate(ties.mixes)},
        "by_origin": {origin: int((born & (ties.origin == number)).sum()) for number, origin in enumerate(ORIGINS)},
    }


def _newcomers(world: World, roster: Roster, ties: Ties) -> dict[str, Any]:
    joiners = np.flatnonzero((roster.joined >= 0) & (roster.joined < world.days))
    found: dict[str, Any] = {"extra": world.newcomer_ties, "time_constant_days": world.newcomer_days, "by_day": {}}
    for day in (30, 60, 90):
        watched = joiners[(roster.joined[joiners] + day <= world.days) & (roster.left[joiners] >= roster.joined[joiners] + day)]
        by_newcomer, all_ties, crossing = 0, 0, 0
        for person in watched.tolist():
            since = roster.joined[person]
            early = (ties.birth >= since) & (ties.birth < since + day)
            mine = early & ((ties.a == person) | (ties.b == person))
            all_ties += int(mine.sum())
            by_newcomer += int((early & (ties.a == person)).sum())
            crossing += int((mine & ties.is_cross_team).sum())
        size = max(1, len(watched))
        found["by_day"][str(day)] = {
            "count": len(watched),
            "expected_own": world.newcomer_expectation(day),
            "realised_own": by_newcomer / size,
            "realised": all_ties / size,
            "realised_cross_team": crossing / size,
        }
    return found


def _policy(world: World, roster: Roster, ties: Ties, adoption: Floats, held: ContactDays, dropped: ContactDays) -> dict[str, Any] | None:
    if world.policy_day is None:
        return None

    def by_team(contacts: ContactDays) -> Floats:
        tie = contacts.tie[contacts.kind == 3]
        day = contacts.day[contacts.kind == 3].astype(np.float64)
        team = roster.team_at(ties.a[tie], day)
        return np.bincount(team[day >= adoption[team]], minlength=len(roster.teams)).astype(np.float64)

    kept, gone = by_team(held), by_team(dropped)
    adopting = [team for team, day in zip(roster.teams, adoption, strict=True) if day < NEVER]
    return {
        "name": "Meeting-free Friday",
        "starts_on": _date(world, world.policy_day),
        "teams": adopting if world.policy_staggered else [],
        "starts": {team: _date(world, day) for team, day in zip(roster.teams, adoption, strict=True) if day < NEVER},
        "log_ratio": {
            "meeting_hours": world.policy_meeting_effect,
            "formation": world.policy_formation_effect,
            "hazard": world.policy_hazard_effect,
            "cross_team_log_odds": world.policy_cross_team_effect,
        },
        "meeting_hours_dropped_share": {
            "all": float(gone.sum() / max(1.0, (gone + kept).sum())),
            **{team: float(gone[n] / max(1.0, gone[n] + kept[n])) for n, team in enumerate(roster.teams)},
        },
    }


def _hanging(roster: Roster) -> dict[str, Any] | None:
    return None if roster.keys is None else {"teams": list(names.HANGING), "people": list(roster.keys)}
