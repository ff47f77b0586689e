"""From when to when a unit is read, and what is said where it could not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from connectors.microsoft365.client import GraphError
from connectors.microsoft365.pump import Part
from connectors.microsoft365.times import graph_time
from connectors.state import State

_LEAST_OVERLAP: Final = timedelta(hours=1)
Unit = TypeVar("Unit")


@dataclass(slots=True)
class Windows:
    """The windows of one stream's units.

    A unit's cursor is the moment up to which it was read. It never moves back, nor over anything unread: a run that is
    asked to begin later than the cursor begins at the cursor.

    Attributes:
        stream: The stream's name.
        state: Cursors of earlier runs.
        since: What the run was asked for, or None.
        until: The run's fixed upper bound.
        history: How far back a first run reads.
        overlap: How much of what was read is read again.
        share: Where nothing arrives late by its own clock: no more is read again than this share of what is new, or an hour.
        is_resumed: Whether this run goes on with one that was interrupted: what that one read whole is not read again.
    """

    stream: str
    state: State
    since: datetime | None
    until: datetime
    history: timedelta
    overlap: timedelta
    share: float | None = None
    is_resumed: bool = False
    _stored: dict[str, str] = field(init=False)
    _unread: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        # as the run found them, in two look-ups: one for each mailbox would cost more than reading it
        self._stored = self.state.cursors(f"{self.stream}:")
        self._unread = self.state.cursors(self.unread_name(""))

    def stored(self, key: int | str) -> datetime | None:
        """Return up to when a unit was read before this run, or None."""
        return parse_cursor(self._stored.get(f"{self.stream}:{key}"))

    def unread(self, key: int | str) -> datetime | None:
        """Return from when on a unit could not be read the last time, or None if it could."""
        return parse_cursor(self._unread.get(self.unread_name(key)))

    def unread_name(self, key: int | str) -> str:
        """Return the name of the cursor that says from when on a unit could not be read."""
        return f"unread:{self.stream}:{key}"

    def start(self, key: int | str) -> datetime:
        """Return from when on a unit is to be read."""
        stored = self.stored(key)
        if stored is None:
            return self.since if self.since is not None else self.until - self.history
        if self.is_resumed and stored >= self.until:
            return self.until
        overlap = self.overlap
        if self.share is not None:
            overlap = min(overlap, max(_LEAST_OVERLAP, (self.until - stored) * self.share))
        start = stored - overlap
        return start if self.since is None else min(start, self.since)

    def in_turn(self, units: Iterable[Unit], key: Callable[[Unit], int]) -> list[Unit]:
        """Return units in the order in which to read them: first what could not be read the last time, then what was read longest ago."""
        longest_ago = datetime.min.replace(tzinfo=UTC)
        return sorted(units, key=lambda unit: (self.unread(key(unit)) is None, self.stored(key(unit)) or longest_ago, key(unit)))

    def cursor(self, key: int | str, reached: datetime) -> dict[str, str]:
        """Return the unit's cursor after it was read up to a moment."""
        stored = self.stored(key)
        return {f"{self.stream}:{key}": graph_time(reached if stored is None else max(stored, reached))}


def parse_cursor(value: str | None) -> datetime | None:
    """Return a cursor's moment; None if there is none, or none that can be read: then all is read again."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@dataclass(slots=True)
class Coverage:
    """What of a stream could be read, and what could not.

    Attributes:
        windows: The stream's windows.
        media: The media that it observes.
        failed: Unit -> reason.
        read_count: How many units were read.
        status: What is said of a stream that was read: observed, or partial where settings leave some of it out.
        told: What of it was read, as a code; None for all there is.
    """

    windows: Windows
    media: tuple[str, ...]
    failed: dict[int, str] = field(default_factory=dict)
    read_count: int = 0
    status: str = "observed"
    told: str | None = None

    def done(self, key: int, told: str | None = None) -> Part:
        """Note a unit that was read, and return what to store where it could not be read before, or was read otherwise than others."""
        self.read_count += 1
        unread = self.windows.unread(key)
        part = Part(units=1)
        if unread is not None or told is not None:
            part.rows["coverage"] = self._rows(key, unread or self.windows.start(key), "observed", told)
        if unread is not None:
            part.cursors[self.windows.unread_name(key)] = ""
        return part

    def fail(self, key: int, error: GraphError) -> None:
        """Note a unit that could not be read."""
        self.failed[key] = error.reason

    def finish(self) -> Part:
        """Return the stream's own coverage, and that of every unit that could not be read.

        Where every unit was refused, the permission is missing, and that is said once. What the stream observed goes by a cursor
        of the stream, not by those of its units: of a run that was killed, some units are ahead, and nothing was said of their days.
        """
        windows = self.windows
        if self.failed and not self.read_count and set(self.failed.values()) == {"forbidden"}:
            start = min(windows.start(key) for key in self.failed)
            return Part(rows={"coverage": self._rows(0, start, "missing", "missing_scope")})
        part = Part(rows={"coverage": []})
        if windows.unread(0) is not None and 0 not in self.failed:
            part.cursors[windows.unread_name(0)] = ""
        if self.read_count:
            part.rows["coverage"] += self._rows(0, windows.start(""), self.status, self.told)
            part.cursors |= windows.cursor("", windows.until)
        for key, reason in sorted(self.failed.items()):
            start = windows.unread(key) or windows.start(key)
            part.rows["coverage"] += self._rows(key, start, "missing", reason)
            part.cursors[windows.unread_name(key)] = graph_time(start)
        return part

    def newly_failed(self) -> bool:
        """Return whether a unit failed that was read the last time."""
        return any(self.windows.unread(key) is None for key in self.failed)

    def _rows(self, key: int, start: datetime, status: str, reason: str | None) -> list[dict[str, Any]]:
        windows = self.windows
        return [
            {
                "stream": windows.stream,
                "unit_key": key,
                "medium": medium,
                "date_from": start.astimezone(UTC).date(),
                "date_to": windows.until.astimezone(UTC).date(),
                "status": status,
                "reason": reason,
            }
            for medium in self.media
        ]
