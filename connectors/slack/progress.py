"""What the connector remembers of a conversation between runs. Cursors hold pseudonyms, times and counts, never ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final, Self

import orjson

CONVERSATION_CURSOR: Final = "conversation:"
THREAD_CURSOR: Final = "thread:"
MEMBERS_CURSOR: Final = "members:"
"""Begins the cursor of a direct message's members: how many they are, and their account keys."""


@dataclass(slots=True)
class Progress:
    """How far one conversation has been read. All times are microseconds since 1970.

    Attributes:
        medium: Its medium, to speak of it when it is no longer listed.
        floor: From here on it has been read.
        through: Up to here (exclusive) it has been read; set by the frozen end of a run, never by a message's or reply's time.
        begun: A window that a run began and did not finish: its start, how far down it was read, and its end.
        swept: The day on which it was last read whole.
        missing_since: The first day that could not be read, while that lasts.
        is_finished: Whether it is archived and read to its end, so that nothing in it can change.
        is_gone: Whether it was missing from the list and that has been reported.
    """

    medium: str
    floor: int
    through: int
    begun: tuple[int, int, int] | None = None
    swept: str = ""
    missing_since: str | None = None
    is_finished: bool = False
    is_gone: bool = False

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Return the progress that a cursor holds, or None if it cannot be read: the conversation is then read anew."""
        try:
            fields = orjson.loads(value)
            if fields.get("begun") is not None:
                fields["begun"] = tuple(fields["begun"])
            return cls(**fields)
        except (orjson.JSONDecodeError, TypeError, AttributeError):
            return None

    def dump(self) -> str:
        """Return the cursor's value."""
        return orjson.dumps(asdict(self)).decode()

    @property
    def is_known(self) -> bool:
        """Whether any of it has been read whole."""
        return self.through > self.floor

    @property
    def missing_from(self) -> date | None:
        """The first day that could not be read, as a date."""
        return None if self.missing_since is None else date.fromisoformat(self.missing_since)


@dataclass(frozen=True, slots=True)
class ThreadMark:
    """What was known of a thread when its replies were last read.

    Attributes:
        root: When its first message was sent.
        latest: When its latest reply was sent, as its first message stated.
        count: How many replies it had, as its first message stated.
        is_settled: Whether it had been quiet for long enough by then.
    """

    root: int
    latest: int
    count: int
    is_settled: bool

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Return what a cursor holds, or None if it cannot be read."""
        try:
            root, latest, count, settled = (int(part) for part in value.split("|"))
        except ValueError:
            return None
        return cls(root, latest, count, bool(settled))

    def dump(self) -> str:
        """Return the cursor's value."""
        return f"{self.root}|{self.latest}|{self.count}|{int(self.is_settled)}"


def parse_members(value: str) -> tuple[int, ...]:
    """Return the members that a cursor holds; nothing if not all of them are in it any more, and they are asked for again."""
    try:
        count, *keys = orjson.loads(value)
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return ()
    return tuple(keys) if count == len(keys) and all(type(key) is int for key in keys) else ()


def dump_members(keys: Sequence[int]) -> str:
    """Return the cursor's value for a direct message's members."""
    return orjson.dumps([len(keys), *keys]).decode()
