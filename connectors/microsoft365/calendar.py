"""Meetings: who met whom, when, for how long, and whether online or in a room. No subject, body, place name or link is kept.

Read with plain `calendarView` (its delta form forbids `$select` and returns stubs). The key is
`Pseudonymiser.key("microsoft365:meeting", f"{iCalUId}|{start, UTC microseconds}")`.

Every attendee's mailbox holds a copy, and only the organiser's knows all responses. A copy is therefore stored only from
the organiser's mailbox, wherever that can be read; other copies are then passed over. Where it cannot be read (an
organiser outside, a closed mailbox) copies are held until all mailboxes were read, and become one meeting: what it says
is taken from the mailbox with the least key, who accepted from all copies. Neither depends on the order of reading.

There is no flag for in-person meetings: the mode is inferred, and how well grounded it is stands beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from connectors.columns import PARTICIPANT_LIMIT, Interactions, to_microseconds, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People
from connectors.microsoft365.times import parse_time

STREAM: Final = "calendar"
MEDIA: Final = ("meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")
SELECT: Final = (
    "id",
    "iCalUId",
    "seriesMasterId",
    "type",
    "organizer",
    "isOrganizer",
    "attendees",
    "isOnlineMeeting",
    "onlineMeetingProvider",
    "onlineMeeting",
    "location",
    "locations",
    "isCancelled",
    "isAllDay",
    "showAs",
    "sensitivity",
    "responseStatus",
    "start",
    "end",
)
_PLACES: Final = frozenset(
    {"homeAddress", "businessAddress", "geoCoordinates", "streetAddress", "hotel", "restaurant", "localBusiness", "postalAddress"}
)
_UTC_NAMES: Final = frozenset({"UTC", "Etc/UTC", "Etc/GMT", "GMT", "tzone://Microsoft/Utc"})
_GLOBAL_ID: Final = "040000008200E00074C5B7101A82E008"
_LONGEST_ID: Final = 2000
_LONGEST_LIST: Final = 100_000
_LONGEST_MINUTES: Final = 14 * 24 * 60.0
_MINUTE: Final = 60_000_000

Attended = Callable[[int, int, int], Set[int] | None]
"""Join key, start, end -> who was in the online meeting, or None where no record of it is known."""


@dataclass(slots=True)
class Meeting:
    """A copy of a meeting, as parsed.

    Attributes:
        key: The interaction key.
        start: Start, microseconds since 1970.
        medium: One of `MEDIA`.
        evidence: On what the mode rests.
        organiser: The organiser's account.
        present: Accounts who accepted, the organiser among them.
        minutes: Scheduled length.
        space: The series, or None.
        join: Hash of the join link, or None.
        end: End.
        exclusion: Why it makes no contact.
        copy_of: The mailbox that the copy lies in.
    """

    key: int
    start: int
    medium: str
    evidence: str
    organiser: int
    present: set[int]
    minutes: float
    space: int | None
    join: int | None
    end: int
    exclusion: str | None
    copy_of: int


class CalendarParser:
    """Turns events into interactions, one for each meeting.

    Args:
        people: The run's accounts.
        faults: Where records that make no sense are counted.
        readable: Accounts whose mailboxes are read in this run; take out those that turn out not to be.
        count_tentative: Whether a tentative acceptance counts.
        attended: Who was in an online meeting, where call records tell.
        keep_links: Whether to keep raw join links of organised meetings in memory, for attendance reports.

    Attributes:
        deferred: Mailbox -> organisers whose own copies were relied on.
        series: Spaces of recurring meetings met since they were last taken.
        joins: Join keys of meetings met, with start and end.
        joins_since: Only of meetings from here on: call records do not live long.
        links: Meeting key -> raw join link, only where attendance reports are to be asked for.
    """

    def __init__(
        self,
        people: People,
        faults: Faults,
        readable: set[int],
        *,
        count_tentative: bool = False,
        attended: Attended = lambda join, start, end: None,
        keep_links: bool = False,
    ) -> None:
        self.deferred: defaultdict[int, set[int]] = defaultdict(set)
        self.series: set[int] = set()
        self.joins: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self.joins_since = 0
        self.links: dict[int, str] = {}
        self.readable = readable
        self._keep_links = keep_links
        self.attended = attended
        self._people = people
        self._faults = faults
        self._yes = frozenset({"accepted", "organizer", "tentativelyAccepted"} if count_tentative else {"accepted", "organizer"})
        self._held: dict[int, Meeting] = {}

    def take(self, events: Iterable[Any], owner: int, since: int, until: int) -> list[Meeting]:
        """Take events of a mailbox and return the meetings that are to be stored from it now.

        Args:
            events: Events as parsed.
            owner: The mailbox's account.
            since: Meetings that start earlier belong to another window.
            until: So do those that start at this moment or later.
        """
        found = []
        for event in events:
            meeting = self.parse(event, owner)
            if meeting is None or not since <= meeting.start < until:
                continue
            if meeting.join is not None and meeting.start >= self.joins_since:
                self.joins[meeting.join].add((meeting.start, meeting.end))
            if meeting.organiser == owner:
                found.append(meeting)
                if self._keep_links and meeting.join is not None:
                    self.links[meeting.key] = event["onlineMeeting"]["joinUrl"]
            elif meeting.organiser in self.readable:
                self.deferred[owner].add(meeting.organiser)
            else:
                self._hold(meeting)
        return found

    def store(self, meetings: Iterable[Meeting], rows: Interactions) -> None:
        """Store meetings as interactions."""
        people = self._people
        for meeting in meetings:
            present = meeting.present
            if meeting.join is not None and meeting.exclusion is None:
                there = self.attended(meeting.join, meeting.start, meeting.end)
                if there:
                    # people in the room do not show in the call: there, who accepted counts too
                    present = set(there) | present if meeting.medium == "meeting_hybrid" else set(there)
            counted = {account for account in present if people.is_person(account)}
            is_kept = meeting.exclusion is None and len(counted) <= PARTICIPANT_LIMIT
            sender = None if meeting.exclusion in {"opted_out", "out_of_scope"} else meeting.organiser
            if meeting.space is not None:
                self.series.add(meeting.space)
            rows.add(
                meeting.key,
                meeting.start,
                meeting.medium,
                sender,
                ((account, "co_present") for account in sorted(counted)) if is_kept else (),
                space=meeting.space,
                recipients=len(present),
                minutes=meeting.minutes,
                mode=meeting.evidence,
                exclusion=meeting.exclusion,
            )

    def held(self) -> list[Meeting]:
        """Return, and forget, the meetings whose organiser's mailbox is not read."""
        found = [self._held[key] for key in sorted(self._held)]
        self._held.clear()
        return found

    def _hold(self, meeting: Meeting) -> None:
        other = self._held.get(meeting.key)
        if other is None:
            self._held[meeting.key] = meeting
            return
        first, second = (other, meeting) if other.copy_of <= meeting.copy_of else (meeting, other)
        first.present |= second.present
        self._held[meeting.key] = first

    # -- one event ----------------------------------------------------------------------------------------------------

    def parse(self, event: object, owner: int) -> Meeting | None:
        """Return an event as a meeting, or None if it is quarantined."""
        if type(event) is not dict:
            self._faults.add("not_an_object", event)
            return None
        get = event.get
        start, end = _moment(get("start")), _moment(get("end"))
        if start is None or end is None or end < start:
            self._faults.add("bad_time", event, utc_day(start) if start is not None else None)
            return None
        minutes = (end - start) / _MINUTE
        name = get("iCalUId")
        if type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
            self._faults.add("missing_id", event, utc_day(start))
            return None
        attendees = get("attendees")
        if attendees is None:
            attendees = []
        if type(attendees) is not list or len(attendees) > _LONGEST_LIST:
            self._faults.add("bad_attendees", event, utc_day(start))
            return None
        people = self._people
        organiser = owner if get("isOrganizer") is True else _account(get("organizer"), people)
        if organiser is None:
            self._faults.add("missing_sender", event, utc_day(start))
            return None
        present = {organiser}
        # whoever holds a copy was invited, also through a list or a forward
        invited = {organiser, owner}
        has_room = False
        for attendee in attendees:
            account = _account(attendee, people)
            status = attendee.get("status") if type(attendee) is dict else None
            response = status.get("response") if type(status) is dict else None
            if (type(attendee) is dict and attendee.get("type") == "resource") or people.kinds.get(account or 0) == "room":
                has_room = has_room or response != "declined"
                continue
            if account is None:
                continue
            invited.add(account)
            if type(response) is str and response in self._yes:
                present.add(account)
        own = get("responseStatus")
        if type(own) is dict and type(own.get("response")) is str and own["response"] in self._yes:
            present.add(owner)
        medium, evidence = self._mode(event, has_room)
        return Meeting(
            key=people.pseudonyms.key("microsoft365:meeting", f"{name}|{start}", remember=False),
            start=start,
            medium=medium,
            evidence=evidence,
            organiser=organiser,
            present=present,
            minutes=minutes,
            space=self._series(event, name),
            join=self._join(event),
            end=end,
            exclusion=self._exclusion(event, organiser, len(invited), minutes),
            copy_of=owner,
        )

    def _exclusion(self, event: dict[str, Any], organiser: int, invited: int, minutes: float) -> str | None:
        if event.get("isCancelled") is True:
            return "cancelled"
        if invited < 2 or event.get("sensitivity") in ("private", "personal"):
            # an appointment, or somebody's private matter: counted, and nothing more
            return "out_of_scope"
        if event.get("isAllDay") is True or minutes >= _LONGEST_MINUTES:
            return "all_day"
        if event.get("showAs") == "free":
            return "free"
        return "opted_out" if organiser in self._people.opted_out else None

    def _mode(self, event: dict[str, Any], has_room: bool) -> tuple[str, str]:
        provider = event.get("onlineMeetingProvider")
        online = event.get("isOnlineMeeting") is True or (type(provider) is str and provider not in {"", "unknown"})
        kinds = set()
        locations = event.get("locations")
        for location in [event.get("location"), *(locations if type(locations) is list else [])]:
            if type(location) is dict and type(location.get("locationType")) is str:
                kinds.add(location["locationType"])
                uri = location.get("locationEmailAddress") or location.get("locationUri")
                if type(uri) is str and self._people.kinds.get(self._people.by_room(uri) or 0) == "room":
                    kinds.add("conferenceRoom")
        if has_room or "conferenceRoom" in kinds:
            return ("meeting_hybrid" if online else "meeting_in_person"), "room"
        if not kinds.isdisjoint(_PLACES):
            return ("meeting_hybrid" if online else "meeting_in_person"), "inferred"
        return ("meeting_online", "stated") if online else ("meeting_unknown", "none")

    def _series(self, event: dict[str, Any], name: str) -> int | None:
        """Return the series: the same in every copy where the id is Exchange's own, whose occurrences differ only by a date."""
        master = event.get("seriesMasterId")
        is_part = type(master) is str and 0 < len(master) <= _LONGEST_ID
        if not is_part and event.get("type") not in ("occurrence", "exception", "seriesMaster"):
            return None
        if name[:32].upper() == _GLOBAL_ID and len(name) >= 40:
            return self._people.pseudonyms.key("microsoft365:series", f"{name[:32]}00000000{name[40:]}".upper())
        return self._people.pseudonyms.key("microsoft365:series", str(master)) if is_part else None

    def _join(self, event: dict[str, Any]) -> int | None:
        online = event.get("onlineMeeting")
        return join_key(self._people, online.get("joinUrl")) if type(online) is dict else None


def join_key(people: People, link: object) -> int | None:
    """Return the keyed hash of a join link, which calendars and call records share; None if it is none."""
    if type(link) is not str or not 0 < len(link) <= 8000:
        return None
    return people.pseudonyms.key("microsoft365:join", link.partition("?")[0].casefold(), remember=False)


def _account(holder: Any, people: People) -> int | None:
    """Return the account of `{"emailAddress": {"address": ...}}`, or None."""
    if type(holder) is not dict:
        return None
    address = holder.get("emailAddress")
    return people.by_address(address.get("address")) if type(address) is dict else None


def _moment(value: object) -> int | None:
    """Return a `dateTimeTimeZone` as microseconds since 1970, or None."""
    if type(value) is not dict:
        return None
    zone, text = value.get("timeZone"), value.get("dateTime")
    found = parse_time(text)
    if found is None or type(text) is not str or zone is None:
        return found
    # UTC is asked for by default; a mailbox that answers in another zone is believed
    if type(zone) is not str or len(zone) > 64:
        return None
    if zone in _UTC_NAMES:
        return found
    try:
        local = datetime.fromisoformat(text)
        return to_microseconds((local if local.tzinfo else local.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC))
    except (ValueError, OSError, KeyError, OverflowError):
        return None
