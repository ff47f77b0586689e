"""What happens besides: posts to nobody, bots, newsletters, large and cancelled meetings, reactions. Save noise, no contacts."""

from __future__ import annotations

from typing import Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.calendar import MINUTE, Calendar, meeting_minutes, working_minutes
from connectors.sandbox.channels import Channels
from connectors.sandbox.log import MEDIUM, PROOF, Part
from connectors.sandbox.people import Ints, Roster
from connectors.sandbox.ties import Ties
from connectors.sandbox.world import World

POSTS_A_WEEK: Final = 1.2
REACTION_SHARE: Final = 0.12
BULK_SIZE: Final = 21
"""Newsletters and meetings that are to make no contact have at least so many recipients beside their sender."""
BOTS: Final = ("deploys", "alerts", "standup")
_NEWSLETTER_SIZE: Final = 25
_NOBODY: Final = np.zeros(0, dtype=np.int64)


def chatter(world: World, roster: Roster, channels: Channels, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Posts in channels that address nobody."""
    count = rng.poisson(POSTS_A_WEEK / 5 * roster.own * len(calendar.workdays))
    sender = rng.integers(0, roster.own, count)
    day = rng.choice(calendar.workdays, count)
    here = roster.is_present(sender, day.astype(np.float64)) & ~calendar.absent[sender, day]
    sender, day = sender[here], day[here]
    count = len(day)
    team = roster.team_at(sender, day.astype(np.float64))
    draw = rng.random(count)
    number = np.where(draw < 0.55, channels.first("team") + team, channels.first("general"))
    group = roster.affinity[sender]
    number = np.where((draw > 0.8) & (group >= 0), channels.first("affinity") + group, number)
    is_slack = rng.random(count) < 0.85
    at = calendar.moment(day, working_minutes(count, rng), roster.office[sender]) + rng.integers(0, 60_000_000, count)
    medium = np.where(is_slack, MEDIUM["slack_channel"], MEDIUM["teams_channel"])
    key = (np.where(is_slack, l.SLACK_CHANNEL, l.TEAMS_CHANNEL) << 52) | number
    return Part.of(at, medium, sender, _NOBODY, _NOBODY, 0, key=key, what=l.CHATTER)


def bots(roster: Roster, channels: Channels, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Posts of bots in Slack channels."""
    day = np.repeat(calendar.workdays, 3 * len(BOTS))
    bot = np.tile(np.arange(len(BOTS)), 3 * len(calendar.workdays))
    at = calendar.moment(day, rng.uniform(0, 1430, len(day)), np.zeros(len(day), dtype=np.int64)) + rng.integers(0, 60_000_000, len(day))
    team = min(roster.teams.index("Engineering") if "Engineering" in roster.teams else 0, len(roster.teams) - 1)
    number = np.where(bot == 2, channels.first("general"), channels.first("team") + team)
    key = l.space_key(l.SLACK_CHANNEL, number)
    return Part.of(at, MEDIUM["slack_channel"], -1 - bot, _NOBODY, _NOBODY, 0, key=key, what=l.BOT)


def joins(roster: Roster, channels: Channels, calendar: Calendar, days: int, rng: np.random.Generator) -> Part:
    """Joiners enter the general channel and their team's."""
    who = np.flatnonzero((roster.joined[: roster.own] >= 0) & (roster.joined[: roster.own] < days))
    day = roster.joined[who].astype(np.int64)
    at = calendar.moment(np.tile(day, 2), np.full(2 * len(who), 540.0), np.tile(roster.office[who], 2))
    at = at + rng.integers(0, 3_600_000_000, len(at))
    number = np.concatenate([np.full(len(who), channels.first("general")), channels.first("team") + roster.team[who]])
    key = l.space_key(l.SLACK_CHANNEL, number)
    return Part.of(at, MEDIUM["slack_channel"], np.tile(who, 2), _NOBODY, _NOBODY, 0, key=key, what=l.JOIN)


def newsletters(world: World, roster: Roster, calendar: Calendar, rng: np.random.Generator) -> Part:
    """A mail to some twenty-five people once a week, where there are that many."""
    days = calendar.workdays[calendar.weekday[calendar.workdays] == 1]
    writer = 0
    present = roster.is_present(np.arange(roster.own)[:, None], days[None, :].astype(np.float64))
    present[writer] = False
    rank = np.argsort(np.argsort(np.where(present, rng.random(present.shape), 2.0), axis=0), axis=0)
    present &= rank < _NEWSLETTER_SIZE
    owner, who = np.nonzero(present.T)
    large = present.sum(axis=0) >= BULK_SIZE
    keep = large[owner]
    at = calendar.moment(days, rng.uniform(600, 660, len(days)), np.full(len(days), roster.office[writer]))
    part = Part.of(at, MEDIUM["email"], writer, owner[keep], who[keep], PROOF["addressed"], what=l.BULK)
    part.thread = np.arange(len(days))
    return part.kept(large)


def large_meetings(roster: Roster, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Each team of more than twenty meets once a month; everybody is asked to an all-hands once a week by a group's address."""
    mondays = calendar.workdays[calendar.weekday[calendar.workdays] == 0]
    months = calendar.months[mondays]
    first = mondays[np.concatenate([[True], months[1:] != months[:-1]])] if len(mondays) else mondays
    host: list[int] = []
    day: list[int] = []
    series: list[int] = []
    owner: list[Ints] = []
    who: list[Ints] = []
    everyone = np.arange(roster.own)
    for team in range(len(roster.teams)):
        for date in first.tolist():
            moment = np.full(roster.own, float(date))
            inside = everyone[(roster.team_at(everyone, moment) == team) & roster.is_present(everyone, moment)]
            if len(inside) > BULK_SIZE:
                owner.append(np.full(len(inside) - 1, len(host)))
                who.append(inside[1:])
                host.append(int(inside[0]))
                day.append(date)
                series.append((1 << 40) + team)
    at = calendar.moment(np.array(day, dtype=np.int64), np.full(len(day), 780.0), np.zeros(len(day), dtype=np.int64))
    teams = Part.of(
        at, MEDIUM["meeting_online"], np.array(host, dtype=np.int64), np.concatenate([*owner, _NOBODY]), np.concatenate([*who, _NOBODY]),
        PROOF["co_present"], key=l.space_key(l.SERIES, np.array(series, dtype=np.int64)), minutes=50.0,
    )  # fmt: skip
    at = calendar.moment(mondays, np.full(len(mondays), 960.0), np.zeros(len(mondays), dtype=np.int64))
    everybody = Part.of(
        at, MEDIUM["meeting_online"], 0, _NOBODY, _NOBODY, 0, key=l.space_key(l.SERIES, np.full(len(mondays), (1 << 40) + 999)),
        minutes=30.0, what=l.ALL_HANDS,
    )  # fmt: skip
    starts = len(teams.at)
    columns = {name: np.concatenate([getattr(teams, name), getattr(everybody, name)]) for name in Part.__slots__}
    columns["owner"] = np.concatenate([teams.owner, everybody.owner + starts])
    return Part(**columns)


def not_held(world: World, roster: Roster, ties: Ties, calendar: Calendar, rng: np.random.Generator) -> Part:
    """Cancelled meetings, days out of office, meetings shown as free, and drafts of mails."""
    count = max(4, round(0.2 * roster.own * world.days / 365 * 5))
    sorts = rng.choice([l.CANCELLED, l.ALL_DAY, l.FREE, l.DRAFT], count, p=[0.5, 0.3, 0.1, 0.1])
    day = rng.choice(calendar.workdays, count)
    if len(ties):
        tie = rng.integers(0, len(ties), count)
        host, guest = ties.a[tie], ties.b[tie]
    else:
        host, guest = rng.integers(0, roster.own, count), rng.integers(0, roster.own, count)
    here = roster.is_present(host, day.astype(np.float64)) & roster.is_present(guest, day.astype(np.float64)) & (host != guest)
    sorts, day, host, guest = sorts[here], day[here], host[here], guest[here]
    at = calendar.moment(day, meeting_minutes(len(day), rng), roster.office[host])
    at = np.where(sorts == l.ALL_DAY, calendar.epoch + day * 1440 * MINUTE, at)
    alone = sorts == l.ALL_DAY
    medium = np.where(sorts == l.DRAFT, MEDIUM["email"], MEDIUM["meeting_online"])
    minutes = np.where(sorts == l.DRAFT, np.nan, np.where(alone, 1440.0, 30.0))
    proof = np.where(sorts == l.DRAFT, PROOF["addressed"], PROOF["co_present"])
    owner = np.flatnonzero(~alone)
    part = Part.of(at, medium, host, owner, guest[owner], proof[owner], minutes=minutes)
    part.what = sorts
    part.thread = np.where(sorts == l.DRAFT, np.arange(len(sorts)), -1)
    return part


def noise(world: World, roster: Roster, ties: Ties, calendar: Calendar, days_of_contact: int, rng: np.random.Generator) -> Part:
    """Chance meetings, and messages if the world has any, of two people who never have a tie."""
    count = int(rng.poisson((world.noise_share + world.noise_message_share) * days_of_contact))
    a, b = rng.integers(0, roster.own, (2, count))
    day = rng.choice(calendar.workdays, count)
    moment = day.astype(np.float64)
    taken = np.unique(l.pair_payload(ties.a, ties.b))
    fits = (a != b) & roster.is_present(a, moment) & roster.is_present(b, moment) & ~np.isin(l.pair_payload(a, b), taken)
    if roster.keys is not None:
        teams = [roster.teams.index(name) for name in names.HANGING]
        fits &= ~(np.isin(roster.team_at(a, moment), teams) & np.isin(roster.team_at(b, moment), teams))
    a, b, day = a[fits], b[fits], day[fits]
    total = world.noise_share + world.noise_message_share
    is_message = rng.random(len(a)) < (world.noise_message_share / total if total else 0.0)
    at = calendar.moment(day, meeting_minutes(len(a), rng), roster.office[a])
    at = at + np.where(is_message, rng.integers(0, 3_600_000_000, len(a)), 0)
    medium = np.where(is_message, MEDIUM["email"], MEDIUM["meeting_online"])
    proof = np.where(is_message, PROOF["addressed"], PROOF["co_present"])
    minutes = np.where(is_message, np.nan, 15.0)
    part = Part.of(at, medium, a, np.arange(len(a)), b, proof, minutes=minutes)
    part.thread = np.where(is_message, np.arange(len(a)), -1)
    return part


def reactions(parts: list[Part], channels: Channels, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Draw who reacts to chat and channel messages: people addressed, and members of the channel to posts that address nobody.

    Returns:
        Event over all parts, who, and microseconds after the message.
    """
    events: list[Ints] = []
    people: list[Ints] = []
    start = 0
    members = {key: np.array(listed, dtype=np.int64) for key, listed in channels.members().items() if listed}
    able = [MEDIUM[name] for name in ("slack_dm", "slack_group_dm", "slack_channel", "teams_chat", "teams_group_chat", "teams_channel")]
    for part in parts:
        good = np.isin(part.medium, able) & (part.sender >= 0)
        if len(part.owner):
            row = good[part.owner] & (rng.random(len(part.owner)) < REACTION_SHARE)
            events.append(part.owner[row] + start)
            people.append(part.who[row])
        idle = np.flatnonzero(good & (part.what == l.CHATTER) & (rng.random(len(good)) < 0.3))
        for post in idle.tolist():
            inside = members.get(int(part.key[post]))
            if inside is not None:
                drawn = np.unique(inside[rng.integers(0, len(inside), 1 + post % 3)])
                drawn = drawn[drawn != part.sender[post]]
                people.append(drawn)
                events.append(np.full(len(drawn), post + start))
        start += len(part.at)
    event = np.concatenate([*events, _NOBODY])
    who = np.concatenate([*people, _NOBODY])
    return event, who, rng.integers(5, 7200, len(event)) * 1_000_000
