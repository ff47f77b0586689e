"""Reading calendars: window by window, every mailbox, so that each meeting comes from the right copy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.columns import Interactions, to_microseconds
from connectors.microsoft365.calendar import MEDIA, SELECT, STREAM, CalendarParser
from connectors.microsoft365.calls import LONGEST_DAYS, Attendance
from connectors.microsoft365.calls_stream import read_reports
from connectors.microsoft365.client import GraphError
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import Member
from connectors.microsoft365.pump import Batcher, Emit, Part, each
from connectors.microsoft365.run import ROWS_A_PART, Run
from connectors.microsoft365.times import graph_time
from connectors.microsoft365.windows import Coverage
from connectors.records import Batch


@dataclass(slots=True)
class _Reader:
    run: Run
    parser: CalendarParser
    coverage: Coverage
    attendance: Attendance | None
    low: datetime
    high: datetime
    starts: dict[int, datetime] = field(default_factory=dict)

    def window(self, member: Member) -> tuple[datetime, datetime] | None:
        """Return the part of the window that a mailbox is to be read over."""
        low = max(self.starts[member.key], self.low)
        return (low, self.high) if low < self.high else None

    async def read(self, member: Member, emit: Emit) -> None:
        """Read a calendar over the window."""
        window = self.window(member)
        if window is None:
            return
        low, high = window
        rows = Interactions()
        builder = self.run.graph.client.users.by_user_id(member.user_id).calendar_view
        query: dict[str, Any] = {
            "select": list(SELECT),
            "start_date_time": graph_time(low),
            "end_date_time": graph_time(high),
            "top": self.run.settings.page_size,
        }
        organised: list[int] = []
        try:
            async for page in self.run.graph.pages(builder, unit=member.user_id, **query):
                meetings = self.parser.take(page.values, member.key, to_microseconds(low), to_microseconds(high))
                if self.attendance is not None and self.run.settings.attendance_reports:
                    await read_reports(self.run, member, meetings, self.parser.links, self.attendance)
                organised += [meeting.key for meeting in meetings]
                self.parser.store(meetings, rows)
                if len(rows) >= ROWS_A_PART:
                    await emit(Part(rows))
                    rows = Interactions()
        except GraphError as error:
            self.coverage.fail(member.key, error)
            self.parser.readable.discard(member.key)
            await emit(Part(rows))
            return
        part = Part(rows)
        if self.coverage.windows.stored(member.key) is not None:
            # read whole, and read before: what is stored of this organiser and was not seen is gone or has moved
            part.rows["sweep"] = [_sweep(member.key, low, high, organised)]
        await emit(part)


def _sweep(organiser: int, low: datetime, high: datetime, seen: list[int]) -> dict[str, Any]:
    return {"sender_key": organiser, "media": list(MEDIA), "since": low, "until": high, "seen": sorted(set(seen))}


async def read(run: Run, attendance: Attendance | None, joins: MutableMapping[int, set[tuple[int, int]]]) -> AsyncGenerator[Batch, None]:
    """Read the calendar of every mailbox in scope.

    Args:
        run: The run.
        attendance: Who was in online meetings, as far as call records tell.
        joins: Filled with the meetings met, by join key.
    """
    windows = run.windows(STREAM, timedelta(days=run.settings.lookback_days))
    faults = Faults(run.people.pseudonyms, STREAM)
    coverage = Coverage(windows, MEDIA)
    parser = CalendarParser(
        run.people,
        faults,
        {member.key for member in run.mailboxes},
        count_tentative=run.settings.count_tentative,
        keep_links=run.settings.attendance_reports,
    )
    parser.joins_since = to_microseconds(run.until - timedelta(days=LONGEST_DAYS))
    if attendance is not None:
        parser.attended = attendance.attended
    starts = {member.key: windows.start(member.key) for member in run.mailboxes}
    batcher = Batcher(STREAM, len(run.mailboxes), run.extras(faults))
    spans = _spans(starts, run)
    for position, (low, high) in enumerate(spans):
        reader = _Reader(run, parser, coverage, attendance, low, high, starts)
        async with aclosing(_window(reader, batcher)) as batches:
            async for batch in batches:
                yield batch
        for member in run.mailboxes:
            if reader.window(member) is None or member.key in coverage.failed:
                continue
            part = Part(cursors=windows.cursor(member.key, high))
            if position == len(spans) - 1:
                done = coverage.done(member.key)
                part = Part(rows=done.rows, cursors=part.cursors | done.cursors, units=1)
            batcher.put(part)
        yield batcher.flush()
    joins.update(parser.joins)
    batcher.put(coverage.finish())
    yield batcher.flush()


def _spans(starts: dict[int, datetime], run: Run) -> list[tuple[datetime, datetime]]:
    """Return consecutive windows from the earliest start on."""
    length = timedelta(days=run.settings.window_days)
    found = []
    low = min(starts.values(), default=run.until)
    while low < run.until:
        high = min(low + length, run.until)
        found.append((low, high))
        low = high
    return found


async def _window(reader: _Reader, batcher: Batcher) -> AsyncGenerator[Batch, None]:
    """Read every mailbox over one window.

    Those that failed the last time come first: whether they can be read decides whose copies count. When another one
    fails, the mailboxes that relied on its copies are read again.
    """
    run, parser, coverage = reader.run, reader.parser, reader.coverage
    members = [member for member in run.mailboxes if member.key not in coverage.failed and reader.window(member) is not None]
    parser.deferred.clear()
    doubtful = [member for member in members if coverage.windows.unread(member.key) is not None]
    first = {member.key for member in doubtful}
    for turn in (doubtful, [member for member in members if member.key not in first]):
        async with aclosing(each(turn, reader.read, workers=run.settings.concurrency)) as parts:
            async for part in parts:
                batcher.put(part)
                if (batch := batcher.due()) is not None:
                    yield batch
    settled: set[int] = set()
    while lost := {key for key in coverage.failed if key not in settled}:
        settled |= lost
        again = [member for member in members if member.key not in coverage.failed and not lost.isdisjoint(parser.deferred[member.key])]
        async with aclosing(each(again, reader.read, workers=run.settings.concurrency)) as parts:
            async for part in parts:
                batcher.put(part)
                if (batch := batcher.due()) is not None:
                    yield batch
    part = _held(reader, members)
    if parser.series:
        part.rows["space"] = [
            {"space_key": key, "kind": "meeting_series", "is_private": True, "is_standing": True} for key in sorted(parser.series)
        ]
        parser.series.clear()
    batcher.put(part)
    if (batch := batcher.due()) is not None:
        yield batch


def _held(reader: _Reader, members: list[Member]) -> Part:
    """Return the meetings whose organisers' mailboxes are not read, and sweep those organisers who are outside."""
    parser, windows = reader.parser, reader.coverage.windows
    meetings = parser.held()
    rows = Interactions()
    parser.store(meetings, rows)
    part = Part(rows)
    # copies of a mailbox that failed just now are missing: what is not seen need not be gone
    known = [member for member in members if windows.stored(member.key) is not None and member.key not in reader.coverage.failed]
    if meetings and known and not reader.coverage.newly_failed():
        low = max(max(reader.starts[member.key], reader.low) for member in known)
        seen: dict[int, list[int]] = {}
        for meeting in meetings:
            if not reader.run.people.is_internal(meeting.organiser):
                seen.setdefault(meeting.organiser, []).append(meeting.key)
        part.rows["sweep"] = [_sweep(key, low, reader.high, keys) for key, keys in sorted(seen.items())]
    return part
