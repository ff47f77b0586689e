"""What a synthetic organisation is made of: every effect that is planted in it, with its size.

The model, in one paragraph. Ties between people are born at a known rate and die at a known hazard. Each uses a mix of
kinds of media that is drawn at its birth. While it lives, its two people are in contact on a number of working days that is
Poisson at the tie's own rate; each contact is in one of the tie's media. A tie is mutual or one-way for life: on every day
of contact a mutual one sees at least one message each way, a one-way one none back. Nothing else makes a message from
one person to another; what else there is (posts to nobody, reactions, newsletters, meetings of more than twenty, bots) makes no
contact, save chance meetings of two, which are few.

So the hazard of a tie's end per week, at age t weeks, is

    h(t) = weekly_hazard * shape * t^(shape - 1) * exp( sum of medium_effects over the kinds it uses
           + cross_team_effect [teams differ at birth] + external_effect [one of the two is outside] + mutual_effect [mutual]
           + policy_hazard_effect [the policy holds for the team of the person who began it, from its first day on] )

and all effects are log hazard ratios. With the default shape of 1 a tie's half-life is ln 2 / h.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

KINDS: Final = ("channel", "chat", "email", "meeting")
"""Kinds of media; a tie uses one or more."""

KIND_MEDIA: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": ("slack_channel", "teams_channel"),
    "chat": ("slack_dm", "teams_chat"),
    "email": ("email",),
    "meeting": ("meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown", "slack_huddle", "call"),
}
"""Media of each kind. A tie has one medium of each of its kinds for life."""

_MIXES: Final[Mapping[str, float]] = {
    "channel": 0.22,
    "email": 0.16,
    "chat": 0.14,
    "meeting": 0.08,
    "channel+chat": 0.11,
    "chat+meeting": 0.09,
    "email+meeting": 0.08,
    "channel+meeting": 0.05,
    "chat+email": 0.04,
    "channel+chat+meeting": 0.03,
}
_EXTERNAL_MIXES: Final[Mapping[str, float]] = {
    "email": 0.42,
    "email+meeting": 0.30,
    "meeting": 0.08,
    "chat+email": 0.07,
    "channel": 0.07,
    "channel+email": 0.06,
}


@dataclass(frozen=True)
class World:
    """The settings of a synthetic organisation. Equal settings make equal organisations, to the byte.

    Attributes:
        people: How many people work there at some time; outside people come on top.
        days: How many days are observed, from `start` on.
        seed: Everything random comes from it.
        start: The first day.
        time_zone: The organisation's time zone.
        formation_rate: Ties that a present person begins in a week.
        weekly_hazard: Hazard a week of a tie's end where all effects are 0: that of one that lives in channels only.
        hazard_shape: Weibull shape of the hazard; 1 for a constant one, below 1 for one that falls with age.
        medium_effects: Log hazard ratio of each kind of media used.
        cross_team_effect: Log hazard ratio of ties whose people are in different teams.
        external_effect: Log hazard ratio of ties with people outside.
        mutual_effect: Log hazard ratio of mutual ties.
        mixes: How often a new tie within the organisation has which mix of kinds.
        external_mixes: The same of ties with people outside.
        mutual_share: Share of ties that are mutual.
        external_share: Share of begun ties that go outside.
        cross_team_share: Of ties begun within the organisation, the share that crosses teams (affinity groups' included).
        affinity_share: Of those that cross teams, the share that comes from an affinity group.
        manager_share: Of begun ties within the organisation, the share that goes to one's manager.
        contact_rate: Days of contact a week of an average tie.
        contact_spread: Coefficient of variation of that rate between ties (gamma, above a floor of 0.7 times the mean).
        burst: Mean number of messages on a day of contact beyond those that have to be.
        noise_share: Chance meetings of two who have no tie, per day of contact of ties.
        noise_message_share: Single unanswered messages between two who have no tie, per day of contact of ties. Any such lowers
            the reciprocity that can be measured; `Truth.reciprocity` says by how much.
        joiner_share: Share of people who join after the start.
        leaver_share: Share who leave before the end.
        mover_share: Share who change team.
        newcomer_ties: Ties that a newcomer begins beyond the usual rate, in all.
        newcomer_days: Time constant of that: after t days newcomer_ties * (1 - exp(-t / newcomer_days)) are to be expected.
        policy_day: Day on which meeting-free Fridays begin, counted from `start`; None for never.
        policy_staggered: Whether teams adopt it one after another, a fifth of them never.
        policy_meeting_effect: Log ratio of meeting hours after it, among meetings that ties hold.
        policy_formation_effect: Log ratio of the rate at which ties are begun.
        policy_hazard_effect: Log hazard ratio of ties' ends.
        policy_cross_team_effect: Change of the log odds that a begun tie crosses teams.
        thread_share: Share of channel conversations that are threads; the others answer by mention.
        late_reply_share: Share of threads of mutual ties that get one more reply days later.
        outages: Collection gaps: (source, first day, day after the last), source slack or microsoft365.
    """

    people: int = 200
    days: int = 365
    seed: int = 1
    start: date = date(2025, 1, 6)
    time_zone: str = "Europe/Berlin"
    formation_rate: float = 0.2
    weekly_hazard: float = math.log(2) / 11
    hazard_shape: float = 1.0
    medium_effects: Mapping[str, float] = field(default_factory=lambda: {"channel": 0.0, "chat": -0.8, "email": -0.3, "meeting": -0.6})
    cross_team_effect: float = 0.4
    external_effect: float = 0.2
    mutual_effect: float = 0.0
    mixes: Mapping[str, float] = field(default_factory=lambda: dict(_MIXES))
    external_mixes: Mapping[str, float] = field(default_factory=lambda: dict(_EXTERNAL_MIXES))
    mutual_share: float = 0.7
    external_share: float = 0.12
    cross_team_share: float = 0.4
    affinity_share: float = 0.35
    manager_share: float = 0.05
    contact_rate: float = 1.4
    contact_spread: float = 0.3
    burst: float = 0.8
    noise_share: float = 0.01
    noise_message_share: float = 0.0
    joiner_share: float = 0.12
    leaver_share: float = 0.08
    mover_share: float = 0.04
    newcomer_ties: float = 8.0
    newcomer_days: float = 40.0
    policy_day: int | None = 196
    policy_staggered: bool = False
    policy_meeting_effect: float = math.log(0.8)
    policy_formation_effect: float = 0.0
    policy_hazard_effect: float = 0.0
    policy_cross_team_effect: float = 0.0
    thread_share: float = 0.15
    late_reply_share: float = 0.05
    outages: tuple[tuple[str, int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.people < 10 or self.days < 1:
            raise ValueError("a world needs at least 10 people and 1 day")
        if self.hazard_shape <= 0 or self.weekly_hazard <= 0 or self.formation_rate < 0 or self.contact_rate <= 0:
            raise ValueError("rates, the hazard and its shape must be positive")
        for name in ("mutual_share", "external_share", "cross_team_share", "affinity_share", "manager_share", "thread_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if unknown := {kind for mix in (*self.mixes, *self.external_mixes) for kind in mix.split("+")} - set(KINDS):
            raise ValueError(f"unknown kinds of media: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")

    def log_hazard_ratio(
        self, mix: str, *, is_cross_team: bool = False, is_external: bool = False, is_mutual: bool = False, is_under_policy: bool = False
    ) -> float:
        """Return the log of how many times as fast a tie ends as one that lives in channels only."""
        return (
            sum(self.medium_effects.get(kind, 0.0) for kind in mix.split("+"))
            + self.cross_team_effect * is_cross_team
            + self.external_effect * is_external
            + self.mutual_effect * is_mutual
            + self.policy_hazard_effect * is_under_policy
        )

    def half_life_weeks(self, mix: str, **traits: bool) -> float:
        """Return the median lifetime in weeks of ties with a mix of kinds, such as `chat+meeting`, and traits."""
        hazard = self.weekly_hazard * math.exp(self.log_hazard_ratio(mix, **traits))
        return float((math.log(2) / hazard) ** (1 / self.hazard_shape))

    def newcomer_expectation(self, day: float) -> float:
        """Return how many ties a newcomer is expected to have begun `day` days after joining (others begin some with them besides)."""
        extra = self.newcomer_ties * (1 - math.exp(-day / self.newcomer_days))
        return extra + self.formation_rate * day / 7

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return {
            name: value.isoformat() if isinstance(value, date) else dict(value) if isinstance(value, Mapping) else value
            for name, value in self.__dict__.items()
        }
