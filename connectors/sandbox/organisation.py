"""A synthetic organisation: its people, what passed between them, and the truths that were planted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from connectors.records import MEDIA
from connectors.sandbox import background, contacts, names, people, ties
from connectors.sandbox.calendar import Calendar
from connectors.sandbox.channels import Channels
from connectors.sandbox.contacts import ContactDays
from connectors.sandbox.log import EventLog, Part, assembled
from connectors.sandbox.people import Floats, Person, Roster
from connectors.sandbox.ties import Ties
from connectors.sandbox.truth import Truth, tell
from connectors.sandbox.world import World


@dataclass
class Organisation:
    """A synthetic organisation over its whole observed time.

    Attributes:
        world: The settings it was made from.
        roster: Its people as columns.
        calendar: Its working days and local times.
        channels: Its channels.
        ties: Its ties as columns.
        adoption: Day on which each team adopts the policy.
        log: Everything that happened.
        contact_days: Days of contact of ties that are in the log.
        dropped_meetings: Those that the policy dropped.
        noise_meetings: How many chance meetings there were.
        noise_messages: How many chance messages.
    """

    world: World
    roster: Roster
    calendar: Calendar
    channels: Channels
    ties: Ties
    adoption: Floats
    log: EventLog
    contact_days: ContactDays
    dropped_meetings: ContactDays
    noise_meetings: int
    noise_messages: int

    @property
    def people(self) -> list[Person]:
        """Everyone, own people first."""
        return self.roster.people

    @cached_property
    def truth(self) -> Truth:
        """The truths, written down."""
        return tell(
            self.world, self.roster, self.ties, self.calendar, self.adoption, self.contact_days, self.dropped_meetings,
            self.noise_meetings, self.noise_messages,
        )  # fmt: skip

    @property
    def begins(self) -> datetime:
        """The first moment of the observed time."""
        return datetime(self.world.start.year, self.world.start.month, self.world.start.day, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The moment at which the observed time is over."""
        return self.begins + timedelta(days=self.world.days)

    def settings(self) -> dict[str, Any]:
        """Return what the organisation would write in `perdure.toml`: itself, other organisations, policies, its time zone."""
        found: dict[str, Any] = {
            "organisation": {"name": names.OWN_NAME, "domains": [names.OWN_DOMAIN, names.ALIAS_DOMAIN], "slack_teams": [names.SLACK_TEAM]},
            "organisations": [
                {
                    "key": other.domain.partition(".")[0].replace("-", "_"),
                    "name": other.name,
                    "kind": other.kind,
                    "domains": [other.domain],
                    "slack_teams": [names.EXTERNAL_TEAMS[other.domain]] if other.has_slack else [],
                }
                for other in names.OUTSIDE
            ],
            "policies": [],
            "measure": {"time_zone": self.world.time_zone},
        }
        starts: dict[float, list[str]] = {}
        for team, day in zip(self.roster.teams, self.adoption.tolist(), strict=True):
            if day < self.world.days:
                starts.setdefault(day, []).append(team)
        for day, teams in sorted(starts.items()):
            # one policy, whenever it began: a row a start
            found["policies"].append(
                {
                    "key": "meeting_free_friday",
                    "name": "Meeting-free Friday",
                    "starts_on": self.date_of(day),
                    "teams": teams if self.world.policy_staggered else [],
                }
            )
        return found

    def date_of(self, day: float) -> date:
        """Return the date of a day counted from the start."""
        return self.world.start + timedelta(days=int(day))


def make(world: World) -> Organisation:
    """Make the organisation of a world: equal worlds give equal organisations.

    200 people over a year take about a second.
    """
    seeds = np.random.SeedSequence(world.seed).spawn(6)
    who, relation, days, talk, beside, _ = (np.random.default_rng(seed) for seed in seeds)
    roster = people.make(world, who)
    calendar = Calendar.of(world, roster, days)
    adoption = ties.adoption_days(world, roster, relation)
    planted = ties.make(world, roster, adoption, relation)
    channels = Channels(roster)
    drawn = contacts.contact_days(world, planted, calendar, talk)
    held, dropped = contacts.without_dropped_meetings(world, roster, planted, drawn, calendar, adoption, talk)
    parts = [contacts.messages(world, roster, planted, channels, held, kind, calendar, talk) for kind in ("chat", "channel", "email")]
    parts.append(contacts.meetings(world, roster, planted, held, calendar, talk))
    parts.append(contacts.group_chats(world, roster, planted, held, calendar, talk))
    noise = background.noise(world, roster, planted, calendar, len(held.tie), beside)
    parts += [
        noise,
        background.chatter(world, roster, channels, calendar, beside),
        background.bots(roster, channels, calendar, beside),
        background.joins(roster, channels, calendar, world.days, beside),
        background.newsletters(world, roster, calendar, beside),
        background.large_meetings(roster, calendar, beside),
        background.not_held(world, roster, planted, calendar, beside),
    ]
    parts = [_observed(world, calendar, part) for part in parts]
    log = assembled(parts, background.reactions(parts, channels, beside), channels.members())
    messages = int(np.isnan(noise.minutes).sum())
    return Organisation(world, roster, calendar, channels, planted, adoption, log, held, dropped, len(noise.at) - messages, messages)


_IS_SLACK = np.array([name.startswith("slack") for name in MEDIA])


def _observed(world: World, calendar: Calendar, part: Part) -> Part:
    """Drop what lies outside the observed time or in a collection gap of its source."""
    day = calendar.day_of(part.at)
    keep = (day >= 0) & (day < world.days)
    for source, first, last in world.outages:
        keep &= ~((_IS_SLACK[part.medium] == (source == "slack")) & (day >= first) & (day < last))
    return part if keep.all() else part.kept(keep)
