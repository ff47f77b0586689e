"""Reading call records and attendance reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from connectors.columns import Interactions, to_microseconds, utc_day
from connectors.microsoft365.calendar import Meeting, join_key
from connectors.microsoft365.calls import (
    CURSOR,
    LONGEST_DAYS,
    STREAM,
    Attendance,
    CallRecord,
    add_call,
    parse_record,
    take_participants,
    take_sessions,
    users,
)
from connectors.microsoft365.client import UNKNOWN_MEMBERS, GraphError
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import Member
from connectors.microsoft365.pump import Batcher, Extras, Part
from connectors.microsoft365.run import Run
from connectors.microsoft365.times import graph_time, parse_time
from connectors.records import Batch

_LONGEST_LIST: Final = 20_000


class Calls:
    """Call records of a run: read before the calendars, settled after them.

    Args:
        run: The run.

    Attributes:
        attendance: Who was in which online meeting.
    """

    def __init__(self, run: Run) -> None:
        self.attendance = Attendance(run.state, run.until.date())
        self._run = run
        self._faults = Faults(run.people.pseudonyms, STREAM)
        self._cursor: dict[str, str] = {}
        # records come when they come, a day late and more; of those known nothing but the list is asked for
        self._windows = run.windows(CURSOR, timedelta(days=run.settings.calls_overlap_days))

    async def read(self) -> AsyncGenerator[Batch, None]:
        """Read call records. The cursor follows in `finish`, once it is known which of them are meetings."""
        run = self._run
        oldest = run.until - timedelta(days=LONGEST_DAYS)
        wanted = self._windows.start("")
        start = max(wanted, oldest)
        batcher = Batcher(STREAM, 1, self._extras())
        query = {
            "filter": f"startDateTime ge {graph_time(start)} and startDateTime lt {graph_time(run.until)}",
        }
        status: tuple[str, str | None] = ("observed", None)
        try:
            async for page in run.graph.pages(run.graph.client.communications.call_records, prefer=(UNKNOWN_MEMBERS,), **query):
                batcher.put(await self._details(self._heads(page.values)))
                if (batch := batcher.due()) is not None:
                    yield batch
            self._cursor = self._windows.cursor("", run.until)
        except GraphError as error:
            status = ("missing", "missing_scope" if error.status == 403 else error.reason)
        coverage = [_coverage(start, run, *status)]
        if wanted < start and self._windows.stored("") is not None:
            coverage.append({**_coverage(wanted, run, "missing", "expired"), "date_to": (start - timedelta(days=1)).date()})
        batcher.put(Part(rows={"coverage": coverage}, units=1))
        yield batcher.flush()

    def _heads(self, values: Iterable[Any]) -> list[CallRecord]:
        people = self._run.people
        found = []
        for value in values:
            link = value.get("joinWebUrl") if isinstance(value, dict) else None
            call = parse_record(value, people, self._faults, join_key(people, link))
            if call is not None and not self.attendance.knows(call):
                found.append(call)
        return found

    def _extras(self) -> Extras:
        """Return what goes along with each batch: what was read is remembered, whatever comes next."""
        taken = self._run.extras(self._faults)

        def extras() -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
            rows, cursors = taken()
            return rows, {**cursors, **self.attendance.cursors()}

        return extras

    async def _details(self, calls: list[CallRecord]) -> Part:
        """Read who was in some calls. A record that is refused costs itself, and is asked for again as long as records come late."""
        rows = Interactions()
        part = Part(rows, {"coverage": []})
        found = await asyncio.gather(*(self._detail(call) for call in calls), return_exceptions=True)
        for call, outcome in zip(calls, found, strict=True):
            day = utc_day(call.start)
            told = {"stream": STREAM, "unit_key": call.key, "medium": "call", "date_from": day, "date_to": day}
            name = f"unread:record:{call.key}"
            if isinstance(outcome, GraphError):
                part.rows["coverage"].append({**told, "status": "missing", "reason": outcome.reason})
                part.cursors[name] = outcome.reason
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            if self._run.state.cursor(name) is not None:
                part.rows["coverage"].append({**told, "status": "observed"})
                part.cursors[name] = ""
            if not outcome:
                continue
            if not (call.is_group and call.join is not None):
                call.join = None
                add_call(call, rows, self._run.people)
            self.attendance.remember(call)
        return part

    async def _detail(self, call: CallRecord) -> bool:
        """Read who was in a call; False if nobody in scope was, or if Graph has no details of it (yet): those are read again."""
        graph = self._run.graph
        builder = graph.client.communications.call_records.by_call_record_id(call.record_id)
        entries: list[Any] = []
        try:
            async for page in graph.pages(builder.participants_v2 if call.is_group else builder.sessions, prefer=(UNKNOWN_MEMBERS,)):
                entries += page.values[:_LONGEST_LIST]
        except GraphError as error:
            if error.status != 404:
                raise
            return False
        if not self._run.people.is_any_in_scope(users(entries)):
            return False
        if call.is_group:
            take_participants(call, entries, self._run.people)
        else:
            take_sessions(call, entries, self._run.people)
        return True

    async def finish(self, joins: Mapping[int, set[tuple[int, int]]]) -> AsyncGenerator[Batch, None]:
        """Store group calls that are no calendar's meeting, and the cursor.

        Args:
            joins: Join key -> starts and ends of the meetings that calendars showed.
        """
        run = self._run
        since = run.until - timedelta(days=run.settings.lookback_days)
        alone, explained = self.attendance.unmatched(joins, to_microseconds(since))
        rows = Interactions()
        for call in alone:
            add_call(call, rows, run.people)
        for call in explained:
            add_call(call, rows, run.people, is_meeting=True)
        batcher = Batcher(STREAM, 1, self._extras())
        batcher.put(Part(rows, cursors=self._cursor, units=1))
        yield batcher.flush()


def _coverage(start: Any, run: Run, status: str, reason: str | None) -> dict[str, Any]:
    return {
        "stream": STREAM,
        "unit_key": 0,
        "medium": "call",
        "date_from": start.date(),
        "date_to": run.until.date(),
        "status": status,
        "reason": reason,
    }


# -- attendance reports -------------------------------------------------------------------------------------------------


async def read_reports(run: Run, member: Member, meetings: Iterable[Meeting], attendance: Attendance) -> str | None:
    """Learn who attended a member's online meetings that no call record tells of.

    Three requests a meeting, once each. Where the access policy does not allow it, the responses count instead.

    Returns:
        Why a report could not be read this time, as a reason of coverage; None if all could that the policy allows.
    """
    failure: str | None = None
    for meeting in meetings:
        link, meeting.link = meeting.link, None
        if link is None or meeting.join is None or meeting.exclusion is not None:
            continue
        is_known = attendance.has_report(meeting.key, meeting.start) or attendance.attended(meeting.join, meeting.start, meeting.end)
        if is_known or meeting.end >= to_microseconds(run.until):
            continue
        try:
            present = await _reported(run, member, link, meeting)
        except GraphError as error:
            if error.status == 403:
                return None
            if error.status not in {400, 404}:
                failure = f"reports_{error.reason}"
            continue
        if present is not None:
            attendance.remember_report(meeting.key, meeting.join, meeting.start, meeting.end, present)
    return failure


async def _reported(run: Run, member: Member, link: str, meeting: Meeting) -> set[int] | None:
    online = run.graph.client.users.by_user_id(member.user_id).online_meetings
    quoted = link.replace("'", "''")
    answer = await run.graph.get(online, unit=member.user_id, has="value", filter=f"JoinWebUrl eq '{quoted}'")
    names = [entry["id"] for entry in answer["value"] if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    if not names:
        return None
    reports = online.by_online_meeting_id(names[0]).attendance_reports
    present: set[int] | None = None
    async for page in run.graph.pages(reports, unit=member.user_id):
        for report in page.values:
            if not isinstance(report, dict) or not isinstance(report.get("id"), str):
                continue
            began, ended = parse_time(report.get("meetingStartDateTime")), parse_time(report.get("meetingEndDateTime"))
            # a series has one report for each time it met
            if began is None or ended is None or began >= meeting.end or ended <= meeting.start:
                continue
            item = reports.by_meeting_attendance_report_id(report["id"])
            detail = await run.graph.get(item, unit=member.user_id, expand=["attendanceRecords"])
            present = (present or set()) | _attendees(detail, run)
    return present


def _attendees(report: Mapping[str, Any], run: Run) -> set[int]:
    found: set[int] = set()
    listed = report.get("attendanceRecords")
    for record in listed[:_LONGEST_LIST] if isinstance(listed, list) else []:
        if not isinstance(record, dict):
            continue
        identity = record.get("identity")
        account = run.people.by_address(record.get("emailAddress"))
        if account is None and isinstance(identity, dict):
            account = run.people.by_id(identity.get("id"), address=record.get("emailAddress"))
        seconds = record.get("totalAttendanceInSeconds")
        if account is not None and not (isinstance(seconds, int | float) and seconds <= 0):
            found.add(account)
    return found
