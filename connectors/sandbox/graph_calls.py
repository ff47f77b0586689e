"""Call records, their participants and sessions, and attendance reports, as Graph shows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.calendar import DAY, MINUTE
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock
from connectors.sandbox.graph_calendar import Calendars
from connectors.sandbox.graph_directory import object_id
from connectors.sandbox.log import MEDIUM, PROOF
from connectors.sandbox.odata import GraphRefusal, time_text
from connectors.sandbox.organisation import Organisation

_DELAY = 30 * MINUTE
"""A record is there so long after the call has ended."""


class Calls:
    """Calls of two, and the calls behind online meetings that a series or tie held.

    Args:
        organisation: The organisation.
        clock: The time.
        calendars: The calendars.
        kept_days: For how many days records are kept; None for ever.
    """

    def __init__(self, organisation: Organisation, clock: Clock, calendars: Calendars, kept_days: int | None) -> None:
        self._organisation = organisation
        self._clock = clock
        self._calendars = calendars
        self._kept_days = kept_days
        self._log = log = organisation.log
        online = np.isin(log.medium, [MEDIUM["meeting_online"], MEDIUM["meeting_hybrid"]]) & (log.what == l.MESSAGE)
        self._events = np.flatnonzero((log.medium == MEDIUM["call"]) | online)
        self._names = [person.name for person in organisation.people]
        self._by_url: dict[str, list[int]] = {}

    def records(self, span: tuple[int, int] | None) -> list[int]:
        """Return the calls that began in a span and whose records are there, in order."""
        now = self._clock.microseconds
        starts = self._log.at[self._events]
        ended = starts + (self._log.minutes[self._events] * MINUTE).astype(np.int64)
        there = ended + _DELAY <= now
        if self._kept_days is not None:
            there &= starts >= now - self._kept_days * DAY
        if span is not None:
            there &= (starts >= span[0]) & (starts < span[1])
        return [int(event) for event in self._events[there]]

    def event_of(self, record: str) -> int:
        """Return the event of a call record's id.

        Raises:
            GraphRefusal: 404 if there is none.
        """
        try:
            event = int(record.partition("-")[0], 16)
        except ValueError:
            raise GraphRefusal(404, "NotFound") from None
        if record != record_id(event) or event not in self._events:
            raise GraphRefusal(404, "NotFound")
        return event

    def record(self, event: int) -> dict[str, Any]:
        """Return a call record."""
        log = self._log
        is_call = int(log.medium[event]) == MEDIUM["call"]
        start, end = self._times(event)
        host = int(log.sender[event])
        return {
            "id": record_id(event),
            "version": 1,
            "type": "peerToPeer" if is_call else "groupCall",
            "modalities": ["audio", "video"],
            "lastModifiedDateTime": time_text(end + _DELAY),
            "startDateTime": time_text(start),
            "endDateTime": time_text(end),
            "joinWebUrl": None if is_call else self._calendars.join_url(event),
            "organizer": self._identity_set(host),
            "participants": [self._identity_set(who) for who in self._present(event)],
            "organizer_v2": self._participant(host),
        }

    def participants(self, event: int) -> list[dict[str, Any]]:
        """Return `participants_v2`."""
        return [self._participant(who) for who in self._present(event)]

    def sessions(self, event: int) -> list[dict[str, Any]]:
        """Return the sessions of a call: one a guest."""
        start, end = self._times(event)
        host = int(self._log.sender[event])
        return [
            {
                "id": f"{record_id(event)[:-2]}{place:02x}",
                "modalities": ["audio"],
                "startDateTime": time_text(start),
                "endDateTime": time_text(end),
                "caller": self._endpoint(host),
                "callee": self._endpoint(guest),
                "failureInfo": None,
                "isTest": False,
            }
            for place, guest in enumerate(self._present(event)[1:])
        ]

    # -- attendance reports -------------------------------------------------------------------------------------------

    def meetings_by_url(self, person: int, url: str) -> list[int]:
        """Return the meetings of a join link that a person organised."""
        if not self._by_url:
            for event in self._events.tolist():
                link = self._calendars.join_url(event)
                if link is not None:
                    self._by_url.setdefault(link, []).append(event)
        return [event for event in self._by_url.get(url, []) if int(self._log.sender[event]) == person]

    def online_meeting(self, event: int) -> dict[str, Any]:
        """Return an online meeting object."""
        start, end = self._times(event)
        return {
            "id": f"MSo{event:x}",
            "subject": CANARIES["subject"],
            "startDateTime": time_text(start),
            "endDateTime": time_text(end),
            "joinWebUrl": self._calendars.join_url(event),
            "participants": {"organizer": {"identity": self._identity_set(int(self._log.sender[event]))}, "attendees": []},
        }

    def meeting_of(self, name: str) -> list[int]:
        """Return all meetings behind an online meeting's id: those of its link that are over.

        Raises:
            GraphRefusal: 404 if there is none.
        """
        try:
            event = int(name.removeprefix("MSo"), 16)
        except ValueError:
            raise GraphRefusal(404, "NotFound") from None
        if event >= len(self._log) or (link := self._calendars.join_url(event)) is None:
            raise GraphRefusal(404, "NotFound")
        found = self.meetings_by_url(int(self._log.sender[event]), link)
        return [one for one in found if self._times(one)[1] <= self._clock.microseconds][-50:]

    def report(self, event: int, *, with_records: bool) -> dict[str, Any]:
        """Return an attendance report."""
        start, end = self._times(event)
        present = self._present(event)
        found: dict[str, Any] = {
            "id": f"AR{event:x}",
            "totalParticipantCount": len(present),
            "meetingStartDateTime": time_text(start),
            "meetingEndDateTime": time_text(end),
        }
        if with_records:
            found["attendanceRecords"] = self.attendance(event)
        return found

    def attendance(self, event: int) -> list[dict[str, Any]]:
        """Return the attendance records of a meeting."""
        start, end = self._times(event)
        host = int(self._log.sender[event])
        return [
            {
                "id": object_id(who),
                "emailAddress": self._organisation.people[who].address,
                "totalAttendanceInSeconds": (end - start) // 1_000_000,
                "role": "Organizer" if who == host else "Presenter",
                "identity": {"id": object_id(who), "displayName": self._names[who], "tenantId": names.TENANT},
                "attendanceIntervals": [],
            }
            for who in self._present(event)
        ]

    # -- parts --------------------------------------------------------------------------------------------------------

    def _times(self, event: int) -> tuple[int, int]:
        start = int(self._log.at[event]) // 1_000_000 * 1_000_000
        if int(self._log.medium[event]) != MEDIUM["call"]:
            start = start // MINUTE * MINUTE
        return start, start + int(float(self._log.minutes[event]) * MINUTE)

    def _present(self, event: int) -> list[int]:
        guests = [who for who, proof in self._log.participants(event) if proof == PROOF["co_present"]]
        return [int(self._log.sender[event]), *guests]

    def _identity_set(self, person: int) -> dict[str, Any]:
        user = {"id": object_id(person), "displayName": self._names[person], "tenantId": names.TENANT}
        return {"acsUser": None, "phone": None, "guest": None, "application": None, "user": user}

    def _participant(self, person: int) -> dict[str, Any]:
        return {"id": object_id(person), "identity": self._identity_set(person), "administrativeUnitInfos": []}

    def _endpoint(self, person: int) -> dict[str, Any]:
        return {
            "@odata.type": "#microsoft.graph.callRecords.participantEndpoint",
            "userAgent": {"headerValue": CANARIES["header"], "platform": "windows", "productFamily": "teams"},
            "identity": self._identity_set(person),
            "associatedIdentity": {"id": object_id(person), "displayName": self._names[person]},
        }


def record_id(event: int) -> str:
    """Return a call record's id."""
    return f"{event:08x}-ca11-4000-8000-{event:012x}"
