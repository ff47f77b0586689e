"""What changes after it happened: edits, deletions, meetings moved. All of it has its moment, so that every night sees its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox.calendar import DAY, MINUTE
from connectors.sandbox.log import MEDIUM, PROOF
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Flags, Ints

DELETED_SHARE: Final = 0.02
EDITED_SHARE: Final = 0.02
MOVED_SHARE: Final = 0.01
_WRITTEN: Final = ("slack_dm", "slack_group_dm", "slack_channel", "teams_chat", "teams_group_chat", "teams_channel")
_MET: Final = ("meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")


@dataclass(slots=True)
class Evolution:
    """Later changes, one row an event; microseconds since 1970, 0 for never.

    Only posts that address nobody and third or later messages of a day are deleted, and only a third or later mention comes
    by an edit: which people are in contact, and whether both ways, stays as planted.

    Attributes:
        edited: When its text was edited.
        adds_mention: Whether it mentions somebody only since the edit.
        deleted: When it was deleted.
        moved: When the meeting was moved to the time that the log says.
        moved_from: Its start before.
    """

    edited: Ints
    adds_mention: Flags
    deleted: Ints
    moved: Ints
    moved_from: Ints

    @classmethod
    def of(cls, organisation: Organisation) -> Evolution:
        """Draw what changes later in an organisation."""
        log = organisation.log
        rng = np.random.default_rng(np.random.SeedSequence([organisation.world.seed, 7]))
        count = len(log)
        written = np.isin(log.medium, [MEDIUM[name] for name in _WRITTEN]) & (log.sender >= 0)
        late = written & ((log.what == l.CHATTER) | ((log.what == l.MESSAGE) & (log.step >= 2) & (log.thread != np.arange(count))))
        gone = late & (rng.random(count) < DELETED_SHARE)
        deleted = np.where(gone, log.at + rng.integers(30 * MINUTE, 8 * DAY, count), 0)
        revised = written & ~gone & (log.what != l.JOIN) & (rng.random(count) < EDITED_SHARE)
        edited = np.where(revised, log.at + rng.integers(MINUTE, 4 * DAY, count), 0)
        mentions = np.zeros(count, dtype=bool)
        mentions[log.owner()[log.proof == PROOF["mentioned"]]] = True
        adds = revised & mentions & (log.step >= 2) & (log.thread < 0)
        met = np.isin(log.medium, [MEDIUM[name] for name in _MET]) & (log.what == l.MESSAGE) & (log.tie >= 0)
        shifted = met & (rng.random(count) < MOVED_SHARE) & (log.at - 3 * DAY > int(organisation.begins.timestamp()) * 1_000_000)
        before = log.at - rng.integers(1, 4, count) * DAY
        moment = before + (rng.random(count) * (log.at - before)).astype(np.int64)
        return cls(edited, adds, deleted, np.where(shifted, moment, 0), np.where(shifted, before, 0))


class Clock:
    """The sandbox's own time. Nothing later than it is shown.

    Args:
        now: The moment to begin at.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.version = 0
        """Goes up whenever the time changes, so that what was worked out before is known to be old."""

    @property
    def now(self) -> datetime:
        """The moment up to which everything has happened."""
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("the sandbox's time needs a time zone")
        self._now = moment.astimezone(UTC)
        self.version += 1

    @property
    def microseconds(self) -> int:
        """The same in microseconds since 1970."""
        seconds = self._now - datetime(1970, 1, 1, tzinfo=UTC)
        return seconds.days * DAY + seconds.seconds * 1_000_000 + seconds.microseconds
