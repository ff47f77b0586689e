"""Calendars as Graph shows them: a copy in every attendee's mailbox, which knows its owner's answer; the organiser's knows those sent.

Some people accept or decline without sending an answer (`UNSENT`): their own copies alone tell.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox.calendar import DAY, MINUTE
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.graph_directory import ALL_STAFF, ROOMS_A_OFFICE, room_address
from connectors.sandbox.graph_mail import Grouped
from connectors.sandbox.log import MEDIUM, PROOF
from connectors.sandbox.odata import time_text_long
from connectors.sandbox.organisation import Organisation

MEETING_MEDIA: Final = ("meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")
BOOKED_DAYS: Final = 7
"""A meeting is in calendars so many days before it begins."""
UNSENT: Final = 4
"""Of so many answers of people inside one is never sent."""
_GLOBAL_ID: Final = "040000008200E00074C5B7101A82E008"
_ONLINE: Final = (MEDIUM["meeting_online"], MEDIUM["meeting_hybrid"])
_IN_ROOM: Final = (MEDIUM["meeting_in_person"], MEDIUM["meeting_hybrid"])


class Calendars:
    """Calendars at the clock's time.

    Args:
        organisation: The organisation.
        evolution: What changes later.
        clock: The time.
    """

    def __init__(self, organisation: Organisation, evolution: Evolution, clock: Clock) -> None:
        self._organisation = organisation
        self._evolution = evolution
        self._clock = clock
        self._log = log = organisation.log
        self.is_meeting = np.isin(log.medium, [MEDIUM[name] for name in MEETING_MEDIA])
        events = np.flatnonzero(self.is_meeting)
        owner = log.owner()
        invited = self.is_meeting[owner]
        people = np.concatenate([log.sender[events], log.who[invited]])
        self._by_person = Grouped(people, np.concatenate([events, owner[invited]]))
        self._addresses = [person.address for person in organisation.people]
        self._names = [person.name for person in organisation.people]
        self._version = -1
        self._starts = log.at

    def starts(self) -> Any:
        """Return when each event begins, as calendars say now."""
        if self._version != self._clock.version:
            moved = self._evolution.moved
            is_later = (moved > 0) & (moved > self._clock.microseconds)
            self._starts = np.where(is_later, self._evolution.moved_from, self._log.at) // MINUTE * MINUTE
            self._version = self._clock.version
        return self._starts

    def view(self, person: int, low: int, high: int) -> list[int]:
        """Return the meetings in a person's calendar that overlap [low, high), in order of their start."""
        events = self._by_person.of(person)
        starts = self.starts()[events]
        lengths = np.nan_to_num(self._log.minutes[events]) * MINUTE
        known = starts - BOOKED_DAYS * DAY <= self._clock.microseconds
        inside = events[(starts < high) & (starts + lengths > low) & known]
        return [int(event) for event in inside[np.argsort(self.starts()[inside], kind="stable")]]

    def join_url(self, event: int) -> str | None:
        """Return the link of an online meeting; all meetings of a series share one."""
        if int(self._log.medium[event]) not in _ONLINE:
            return None
        space = int(self._log.space[event])
        name = f"s{space:x}" if space >= 0 else f"e{event:x}"
        return f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{CANARIES['link']}{name}%40thread.v2/0?context=%7b%7d"

    def build(self, person: int, event: int, fields: frozenset[str] | None) -> dict[str, Any]:
        """Return an event object of a person's calendar."""
        log = self._log
        start = int(self.starts()[event])
        end = start + int(float(log.minutes[event]) * MINUTE)
        what, medium = int(log.what[event]), int(log.medium[event])
        host = int(log.sender[event])
        is_host = host == person
        series = int(log.space[event])
        is_part = series >= 0
        is_online = medium in _ONLINE and what != l.ALL_DAY
        place, places = self._places(event, host, medium)
        response = self._response(person, event, is_host)
        found: dict[str, Any] = {
            "@odata.etag": f'W/"{event:x}"',
            "id": f"AAMkCAL{person:06x}{event:010x}AAA=",
            "iCalUId": self._ical(event, start, series),
            "seriesMasterId": f"AAMkCAL{host:06x}S{series:09x}AAA=" if is_part else None,
            "type": "occurrence" if is_part else "singleInstance",
            "organizer": self._party(host),
            "isOrganizer": is_host,
            "attendees": [],
            "isOnlineMeeting": is_online,
            "onlineMeetingProvider": "teamsForBusiness" if is_online else "unknown",
            "onlineMeeting": {"joinUrl": self.join_url(event)} if is_online else None,
            "onlineMeetingUrl": None,
            "location": place,
            "locations": places,
            "isCancelled": what == l.CANCELLED,
            "isAllDay": what == l.ALL_DAY,
            "showAs": "free" if what == l.FREE else "oof" if what == l.ALL_DAY else "busy",
            "sensitivity": "normal",
            "responseStatus": {"response": response, "time": "0001-01-01T00:00:00Z"},
            "start": {"dateTime": time_text_long(start), "timeZone": "UTC"},
            "end": {"dateTime": time_text_long(end), "timeZone": "UTC"},
            "originalStartTimeZone": "W. Europe Standard Time",
            "isDraft": False,
        }
        if fields is None or "attendees" in fields:
            found["attendees"] = self._attendees(person, event, host, medium, is_host=is_host)
        if fields is None or not fields.isdisjoint(_CONTENT):
            found |= self._content(event)
        return (
            found if fields is None else {name: value for name, value in found.items() if name in fields or name in ("id", "@odata.etag")}
        )

    @staticmethod
    def _content(event: int) -> dict[str, Any]:
        return {
            "subject": f"{CANARIES['subject']} {event}",
            "bodyPreview": f"{CANARIES['preview']} {event}",
            "body": {"contentType": "html", "content": f"<p>{CANARIES['body']} {event}</p>"},
            "categories": [CANARIES["note"]],
            "webLink": f"https://{CANARIES['link']}.example/{event}",
            "hasAttachments": False,
        }

    def _ical(self, event: int, start: int, series: int) -> str:
        day = "00000000"
        if series >= 0:
            when = (self._organisation.begins + timedelta(microseconds=start - self._organisation.calendar.epoch)).date()
            day = f"{when.year:04X}{when.month:02X}{when.day:02X}"
        name = series if series >= 0 else event
        return f"{_GLOBAL_ID}{day}{'A' if series >= 0 else 'E'}{name:023X}100000000000"

    def _places(self, event: int, host: int, medium: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if medium not in _IN_ROOM:
            name = CANARIES["location"]
            return {"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}, []
        address = self._room(event, host)
        place = {
            "displayName": f"{CANARIES['room']} {CANARIES['location']}",
            "locationType": "conferenceRoom",
            "locationUri": address,
            "uniqueId": address,
            "uniqueIdType": "directory",
        }
        return place, [place]

    def _room(self, event: int, host: int) -> str:
        return room_address(int(self._organisation.roster.office[host]), event % ROOMS_A_OFFICE)

    def _response(self, person: int, event: int, is_host: bool) -> str:
        if is_host:
            return "organizer"
        for who, proof in self._log.participants(event):
            if who == person:
                return "declined" if proof == PROOF["declined"] else "accepted"
        return "none"

    def _attendees(self, person: int, event: int, host: int, medium: int, *, is_host: bool) -> list[dict[str, Any]]:
        found = []
        if int(self._log.what[event]) == l.ALL_HANDS:
            found.append(_attendee({"name": CANARIES["group"], "address": ALL_STAFF}, "none"))
        for who, proof in self._log.participants(event):
            response = "declined" if proof == PROOF["declined"] else "accepted"
            is_told = who == person or (is_host and not self._is_unsent(event, who))
            found.append(_attendee(self._party(who)["emailAddress"], response if is_told else "none"))
        if medium in _IN_ROOM:
            room = {"name": CANARIES["room"], "address": self._room(event, host)}
            found.append(_attendee(room, "accepted" if is_host else "none", "resource"))
        return found

    def _is_unsent(self, event: int, who: int) -> bool:
        one = self._organisation.people[who]
        return one.is_internal and one.left_on is None and (event + who) % UNSENT == 0

    def _party(self, person: int) -> dict[str, Any]:
        return {"emailAddress": {"name": self._names[person], "address": self._addresses[person]}}


def _attendee(address: dict[str, Any], response: str, kind: str = "required") -> dict[str, Any]:
    return {"type": kind, "status": {"response": response, "time": "0001-01-01T00:00:00Z"}, "emailAddress": address}


_CONTENT: Final = frozenset(Calendars._content(0))
