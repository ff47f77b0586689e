"""Reading calendars: window by window, every mailbox, then the copies of each meeting joined to one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from connectors.columns import Interactions, to_microseconds
from connectors.microsoft365.calendar import MEDIA, SELECT, STREAM, CalendarParser, Meeting, Meetings
from connectors.microsoft365.calls import LONGEST_DAYS, Attendance
from connectors.microsoft365.calls_stream import read_reports
from connectors.microsoft365.client import GraphError
from connectors.microsoft365.copies import Copies
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.known_meetings import KnownMeetings
from connectors.microsoft365.people import Member
from connectors.microsoft365.pump import Batcher, Emit, Extras, Part, each
from connectors.microsoft365.run import ROWS_A_PART, Run
from connectors.microsoft365.times import graph_time
from connectors.microsoft365.windows import Coverage
from connectors.records import Batch

_MAILBOX_DAYS: Final = 2_000_000
"""A window holds no more days of all mailboxes together: their meetings are in memory until all copies are there."""


@dataclass(slots=True)
class _Reader:
    """Reads every mailbox over one window.

    Attributes:
        done: Mailbox -> from when on it was read, microseconds since 1970: to the end of the window, and whole.
        partly: Mailboxes of which attendance reports could not be read.
    """

    run: Run
    parser: CalendarParser
    meetings: Meetings
    coverage: Coverage
    attendance: Attendance | None
    copies: Copies
    low: datetime
    high: datetime
    starts: dict[int, datetime] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)
    partly: dict[int, str] = field(default_factory=dict)

    def window(self, member: Member) -> tuple[datetime, datetime] | None:
        """Return the part of the window that a mailbox is to be read over."""
        low = max(self.starts[member.key], self.low)
        return (low, self.high) if low < self.high else None

    def is_read(self, key: int, moment: int) -> bool:
        """Return whether an account's mailbox was read whole at a moment of the window."""
        return self.done.get(key, moment + 1) <= moment

    async def read(self, member: Member, emit: Emit) -> None:
        """Read a calendar over the window."""
        window = self.window(member)
        if window is None:
            return
        low, high = window
        begin, end = to_microseconds(low), to_microseconds(high)
        before = self.copies.of(member.key, begin, end)
        if before is not None:
            self.meetings.take(before)
            self.done[member.key] = begin
            await emit(Part())
            return
        found: list[Meeting] = []
        builder = self.run.graph.client.users.by_user_id(member.user_id).calendar_view
        query: dict[str, Any] = {
            "select": list(SELECT),
            "start_date_time": graph_time(low),
            "end_date_time": graph_time(high),
            "top": self.run.settings.page_size,
        }
        try:
            async for page in self.run.graph.pages(builder, unit=member.user_id, **query):
                copies = self.parser.copies(page.values, member.key, begin, end)
                if self.attendance is not None and self.run.settings.attendance_reports:
                    failure = await read_reports(self.run, member, copies, self.attendance)
                    if failure is not None:
                        self.partly[member.key] = failure
                found += copies
        except GraphError as error:
            # what was read of it counts: it is true, though not all
            self.coverage.fail(member.key, error)
            self.meetings.take(found)
            await emit(Part())
            return
        self.done[member.key] = begin
        noted = self.copies.note(member.key, begin, end, found)
        self.meetings.take(found)
        await emit(Part(cursors=noted))


async def read(run: Run, attendance: Attendance | None, joins: MutableMapping[int, set[tuple[int, int]]]) -> AsyncGenerator[Batch, None]:
    """Read the calendar of every mailbox in scope.

    Args:
        run: The run.
        attendance: Who was in online meetings, as far as call records tell.
        joins: Filled with the meetings met, by join key.
    """
    lookback = timedelta(days=run.settings.lookback_days)
    windows = run.windows(STREAM, lookback)
    faults = Faults(run.people.pseudonyms, STREAM)
    coverage = Coverage(windows, MEDIA)
    parser = CalendarParser(
        run.people,
        faults,
        count_tentative=run.settings.count_tentative,
        keep_links=run.settings.attendance_reports and attendance is not None,
    )
    meetings = Meetings()
    meetings.joins_since = to_microseconds(run.until - timedelta(days=LONGEST_DAYS))
    if attendance is not None:
        parser.attended = attendance.attended
    copies = Copies(run.state, is_resumed=run.is_resumed)
    known = KnownMeetings(run.state, run.until - lookback)
    starts = {member.key: windows.start(member.key) for member in run.mailboxes}
    batcher = Batcher(STREAM, len(run.mailboxes), _extras(run, faults, attendance))
    spans = _spans(starts, run)
    for position, (low, high) in enumerate(spans):
        reader = _Reader(run, parser, meetings, coverage, attendance, copies, low, high, starts)
        members = [member for member in run.mailboxes if member.key not in coverage.failed and reader.window(member) is not None]
        async with aclosing(each(members, reader.read, workers=run.settings.concurrency)) as parts:
            async for part in parts:
                batcher.put(part)
                if (batch := batcher.due()) is not None:
                    yield batch
        for part in _settled(reader, known):
            batcher.put(part)
            if (batch := batcher.due()) is not None:
                yield batch
        for member in members:
            if member.key in coverage.failed:
                continue
            part = Part(cursors=windows.cursor(member.key, high))
            if position == len(spans) - 1:
                done = coverage.done(member.key)
                part = Part(rows=done.rows, cursors=part.cursors | done.cursors, units=1)
            batcher.put(part)
        batcher.put(Part(rows={"coverage": _partial(reader)}, cursors={**known.cursors(), **copies.cleared()}))
        yield batcher.flush()
    joins.update(meetings.joins)
    batcher.put(coverage.finish())
    yield batcher.flush()


def _extras(run: Run, faults: Faults, attendance: Attendance | None) -> Extras:
    """Return what goes along with each batch: attendance reports are asked for once, so what they say is kept at once."""
    taken = run.extras(faults)

    def extras() -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
        rows, cursors = taken()
        return rows, {**cursors, **(attendance.cursors() if attendance is not None else {})}

    return extras


def _spans(starts: dict[int, datetime], run: Run) -> list[tuple[datetime, datetime]]:
    """Return consecutive windows from the earliest start on."""
    days = min(run.settings.window_days, max(run.settings.lookback_days + 1, _MAILBOX_DAYS // max(1, len(starts))))
    found = []
    low = min(starts.values(), default=run.until)
    while low < run.until:
        high = min(low + timedelta(days=days), run.until)
        found.append((low, high))
        low = high
    return found


def _settled(reader: _Reader, known: KnownMeetings) -> Iterator[Part]:
    """Give the meetings of a window that was read, what of it was withdrawn, and the series met."""
    parser, windows = reader.parser, reader.coverage.windows
    seen: set[int] = set()
    organised: defaultdict[int, list[int]] = defaultdict(list)
    settled = iter(known.meet(reader.meetings.settled(reader.is_read)))
    while some := list(islice(settled, ROWS_A_PART)):
        rows = Interactions()
        parser.store(some, rows)
        for meeting in some:
            seen.add(meeting.key)
            if meeting.organiser is not None:
                organised[meeting.organiser].append(meeting.key)
        yield Part(rows)
    asked = reader.starts.keys()
    rows = Interactions()
    for key, start, medium, organiser in known.withdrawn(seen, reader.low, reader.high, reader.is_read, asked.__contains__):
        rows.add(key, start, medium, organiser, exclusion="deleted")
    # read whole, and read before: what is stored of these organisers and was not seen is gone or has moved
    sweeps = [
        _sweep(key, max(reader.starts[key], reader.low), reader.high, organised[key])
        for key in sorted(reader.done)
        if windows.stored(key) is not None
    ]
    series = [{"space_key": key, "kind": "meeting_series", "is_private": True, "is_standing": True} for key in sorted(parser.series)]
    parser.series.clear()
    yield Part(rows, {"sweep": sweeps, "space": series})


def _sweep(organiser: int, low: datetime, high: datetime, seen: list[int]) -> dict[str, Any]:
    return {"sender_key": organiser, "media": list(MEDIA), "since": low, "until": high, "seen": sorted(set(seen))}


def _partial(reader: _Reader) -> list[dict[str, Any]]:
    day = reader.run.until.date()
    return [
        {
            "stream": STREAM,
            "unit_key": key,
            "medium": "meeting_online",
            "date_from": day,
            "date_to": day,
            "status": "partial",
            "reason": reason,
        }
        for key, reason in sorted(reader.partly.items())
    ]
