"""Channels, of Slack and of Teams alike: which there are, who is in them, and in which a tie's two people meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.people import Ints, Roster
from connectors.sandbox.ties import AFFINITY, Ties

PROJECTS: Final = 10
GENERAL: Final = 0


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel.

    Attributes:
        number: Its number, the payload of its space's key.
        sort: general, team, team_private, affinity, project or connect.
        which: Number of the team, group, project or outside organisation.
        is_private: Whether only invited people see it.
    """

    number: int
    sort: str
    which: int
    is_private: bool


class Channels:
    """The channels of an organisation. Their numbers are the same in Slack and in Teams."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.listed: list[Channel] = [Channel(GENERAL, "general", 0, is_private=False)]
        self._first: dict[str, int] = {"general": GENERAL}
        for sort, count in (
            ("team", len(roster.teams)),
            ("team_private", len(roster.teams)),
            ("affinity", len(roster.affinities)),
            ("project", PROJECTS),
            ("connect", len(names.OUTSIDE)),
        ):
            self._first[sort] = len(self.listed)
            self.listed += [
                Channel(len(self.listed) + which, sort, which, is_private=sort in ("team_private", "connect")) for which in range(count)
            ]

    def first(self, sort: str) -> int:
        """Return the number of the first channel of a sort."""
        return self._first[sort]

    def members(self) -> dict[int, tuple[int, ...]]:
        """Return who is in the general, team and affinity channels, by their spaces' keys; others have whoever speaks there."""
        roster = self._roster
        own = np.arange(roster.own)
        found: dict[int, tuple[int, ...]] = {}
        for channel in self.listed:
            if channel.sort == "general":
                inside = own
            elif channel.sort in ("team", "team_private"):
                inside = own[(roster.team[own] == channel.which) | (roster.team_after[own] == channel.which)]
            elif channel.sort == "affinity":
                inside = own[roster.affinity[own] == channel.which]
            else:
                continue
            for code in (l.SLACK_CHANNEL, l.TEAMS_CHANNEL):
                found[int(l.space_key(code, np.int64(channel.number)))] = tuple(inside.tolist())
        return found

    def keys_of_ties(self, ties: Ties) -> Ints:
        """Return the key of the channel in which each tie's channel messages are written."""
        roster = self._roster
        number = np.arange(len(ties))
        team, other = roster.team_at(ties.a, ties.birth), roster.team_at(ties.b, ties.birth)
        low, high = np.minimum(team, other), np.maximum(team, other)
        place = np.where(number % 5 == 0, GENERAL, self._first["project"] + (low * 7 + high * 3) % PROJECTS)
        inside = np.where(number % 10 < 3, self._first["team_private"], self._first["team"]) + team
        place = np.where(team == other, inside, place)
        group = roster.affinity[ties.a]
        shared = (ties.origin == AFFINITY) & (group >= 0) & (group == roster.affinity[ties.b])
        place = np.where(shared, self._first["affinity"] + group, place)
        place = np.where(ties.is_external, self._first["connect"] + roster.outside[ties.b], place)
        code = np.where(ties.channel == l.MEDIUM["slack_channel"], l.SLACK_CHANNEL, l.TEAMS_CHANNEL)
        keys: Ints = (code << 52) | place
        return keys
