"""Meetings: who met whom, when, for how long, and whether online or in a room. No subject, body, place name or link is kept.

Read with plain `calendarView` (its delta form forbids `$select` and returns stubs). The key is
`Pseudonymiser.key("microsoft365:meeting", f"{iCalUId}|{start, UTC microseconds}")`.

Everybody who was invited holds a copy, and each knows something that the others do not: the organiser's what the meeting is, each
other its owner's answer, also one that was never sent. So copies are joined once every mailbox was read (`Meetings`), whatever
the order of reading. Where the organiser's mailbox is read and holds no copy, the meeting was withdrawn, whatever copies say.

There is no flag for in-person meetings: the mode is inferred, and how well grounded it is stands beside it. A link as location
means online; it is looked at here and dropped here.

Private appointments, meetings whose organiser marks them private or personal, and what has nobody else in it are `out_of_scope`:
counted, without organiser and people. Who marks a copy of their own private is left out of the meeting. No meeting counts for more
than a working day: a timed event of days is no time spent together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from connectors.columns import PARTICIPANT_LIMIT, Interactions, to_microseconds, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.meeting_mode import mode
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
    "onlineMeetingUrl",
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
_UTC_NAMES: Final = frozenset({"UTC", "Etc/UTC", "Etc/GMT", "GMT", "tzone://Microsoft/Utc"})
_GLOBAL_ID: Final = "040000008200E00074C5B7101A82E008"
_LONGEST_ID: Final = 2000
_LONGEST_LIST: Final = 100_000
_LONGEST_MINUTES: Final = 14 * 24 * 60.0
_WORKING_DAY_MINUTES: Final = 8 * 60.0
_ANSWERS: Final = frozenset({"accepted", "organizer", "tentativelyAccepted", "declined"})
_MINUTE: Final = 60_000_000

Attended = Callable[[int, int, int], Set[int] | None]
"""Join key, start, end -> who was in the online meeting, or None where no record of it is known."""


@dataclass(slots=True)
class Meeting:
    """A copy of a meeting, as parsed, or several of them joined: what the best of them says, and everybody's answers.

    Attributes:
        key: The interaction key.
        start: Start, microseconds since 1970.
        end: End.
        medium: One of `MEDIA`.
        evidence: On what the mode rests.
        organiser: The organiser's account; None where it is nobody's: a group's, or not told.
        minutes: How long it counts for.
        space: The series, or None.
        join: Hash of the join link, or None.
        link: The raw join link, only where attendance reports are to be asked for.
        exclusion: Why it makes no contact, as far as one copy tells.
        others: Whether the copy names anybody beside its owner.
        copy_of: The mailbox that the copy lies in.
        listed: Account -> whether they accepted, as far as the list of attendees tells.
        answers: Owner of a copy -> whether they accepted, as their own copy says; None for no answer.
    """

    key: int
    start: int
    end: int
    medium: str
    evidence: str
    organiser: int | None
    minutes: float
    space: int | None
    join: int | None
    link: str | None
    exclusion: str | None
    others: bool
    copy_of: int
    listed: dict[int, bool]
    answers: dict[int, bool | None] = field(default_factory=dict)

    @property
    def is_organisers(self) -> bool:
        """Whether this is the organiser's own copy, or was joined with it."""
        return self.organiser == self.copy_of

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, int]:
        """Of several copies the least says what the meeting is: the organiser's own, else one that names the organiser and is on."""
        return (
            not self.is_organisers,
            self.organiser is None,
            self.exclusion == "cancelled",
            self.exclusion is not None,
            self.copy_of,
        )

    def joined(self, other: Meeting) -> Meeting:
        """Return the meeting that two copies, or parts joined of copies, are of."""
        first, second = (self, other) if self.rank <= other.rank else (other, self)
        if not first.is_organisers:
            # nobody's list of the others is better than another's
            for account, is_yes in second.listed.items():
                first.listed[account] = is_yes or first.listed.get(account, False)
        first.answers |= second.answers
        first.others = first.others or second.others
        return first

    def present(self) -> set[int]:
        """Return who accepted, the organiser among them: by their own copy, else by the organiser's, else by any."""
        said = {**self.listed, **{owner: answer for owner, answer in self.answers.items() if answer is not None}}
        found = {account for account, is_yes in said.items() if is_yes}
        return found if self.organiser is None else found | {self.organiser}

    def noted(self) -> list[Any]:
        """Return a copy as a list that JSON takes, without its link: to be gone on with where a run is interrupted."""
        facts = [getattr(self, name) for name in _NOTED]
        return [
            *facts,
            {str(account): is_yes for account, is_yes in self.listed.items()},
            {str(key): yes for key, yes in self.answers.items()},
        ]

    @classmethod
    def of_note(cls, note: list[Any]) -> Self:
        """Return the copy that was noted."""
        *facts, listed, answers = note
        people = [{int(account): is_yes for account, is_yes in some.items()} for some in (listed, answers)]
        return cls(**dict(zip(_NOTED, facts, strict=True)), link=None, listed=people[0], answers=people[1])

    def holders(self) -> list[int]:
        """Return whose mailboxes hold a copy, the organiser's aside."""
        return sorted(owner for owner in self.answers if owner != self.organiser)


_NOTED: Final = ("key", "start", "end", "medium", "evidence", "organiser", "minutes", "space", "join", "exclusion", "others", "copy_of")


class Meetings:
    """The copies of a window, joined as they come.

    Attributes:
        joins: Join keys of meetings met, with start and end.
        joins_since: Only of meetings from here on: call records do not live long.
    """

    def __init__(self) -> None:
        self.joins: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self.joins_since = 0
        self._found: dict[int, Meeting] = {}

    def take(self, copies: Iterable[Meeting]) -> None:
        """Take copies of meetings."""
        for copy in copies:
            if copy.join is not None and copy.start >= self.joins_since:
                self.joins[copy.join].add((copy.start, copy.end))
            before = self._found.get(copy.key)
            self._found[copy.key] = copy if before is None else before.joined(copy)

    def settled(self, is_read: Callable[[int, int], bool]) -> Iterator[Meeting]:
        """Give, and forget, the meetings in order of their keys.

        Args:
            is_read: Whether an account's mailbox was read whole at a moment: a meeting that its organiser's lacks is withdrawn.
        """
        for key in sorted(self._found):
            meeting = self._found.pop(key)
            if meeting.organiser is None or meeting.is_organisers or not is_read(meeting.organiser, meeting.start):
                yield meeting


class CalendarParser:
    """Turns events into copies of meetings, and meetings into interactions.

    Args:
        people: The run's accounts.
        faults: Where records that make no sense are counted.
        count_tentative: Whether a tentative acceptance counts.
        attended: Who was in an online meeting, where call records tell.
        keep_links: Whether to keep raw join links of organised meetings in memory, for attendance reports.

    Attributes:
        series: Spaces of recurring meetings met since they were last taken.
    """

    def __init__(
        self,
        people: People,
        faults: Faults,
        *,
        count_tentative: bool = False,
        attended: Attended = lambda join, start, end: None,
        keep_links: bool = False,
    ) -> None:
        self.series: set[int] = set()
        self.attended = attended
        self._keep_links = keep_links
        self._people = people
        self._faults = faults
        self._yes = frozenset({"accepted", "organizer", "tentativelyAccepted"} if count_tentative else {"accepted", "organizer"})

    def copies(self, events: Iterable[Any], owner: int, since: int, until: int) -> list[Meeting]:
        """Return the events of a mailbox as copies of meetings.

        Args:
            events: Events as parsed.
            owner: The mailbox's account.
            since: Meetings that start earlier belong to another window.
            until: So do those that start at this moment or later.
        """
        found = (self.parse(event, owner) for event in events)
        return [copy for copy in found if copy is not None and since <= copy.start < until]

    def store(self, meetings: Iterable[Meeting], rows: Interactions) -> None:
        """Store meetings as interactions."""
        people = self._people
        for meeting in meetings:
            exclusion = meeting.exclusion
            if exclusion != "cancelled" and not meeting.others and len(meeting.answers) < 2:
                # an appointment
                exclusion = "out_of_scope"
            present = meeting.present()
            if meeting.join is not None and exclusion is None:
                there = self.attended(meeting.join, meeting.start, meeting.end)
                if there:
                    # people in the room do not show in the call: there, who accepted counts too
                    present = set(there) | present if meeting.medium == "meeting_hybrid" else set(there)
            counted = {account for account in present if people.is_person(account)}
            is_kept = exclusion is None and len(counted) <= PARTICIPANT_LIMIT
            sender = None if exclusion in {"opted_out", "out_of_scope"} else meeting.organiser
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
                exclusion=exclusion,
            )

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
        own = _response(event, "responseStatus")
        organiser = owner if get("isOrganizer") is True or own == "organizer" else _account(get("organizer"), people)
        listed: dict[int, bool] = {}
        has_room = False
        # an organiser who is no account's is a group; of a list as attendee, whoever is behind it holds a copy
        others = organiser != owner and _is_somebody(get("organizer"))
        for attendee in attendees:
            if type(attendee) is not dict:
                continue
            account = _account(attendee, people)
            response = _response(attendee, "status")
            if attendee.get("type") == "resource" or people.kinds.get(account or 0) == "room":
                has_room = has_room or response != "declined"
                continue
            others = others or (account is not None and account != owner)
            if account is not None and response in _ANSWERS:
                listed[account] = response in self._yes
        is_private = get("sensitivity") in ("private", "personal")
        answer = None if own not in _ANSWERS else own in self._yes
        if organiser != owner and (is_private or get("isCancelled") is True):
            # their own matter, or the organiser has taken them out: either way only they are not in it
            answer = False
        medium, evidence = mode(event, people, has_room=has_room)
        join = self._join(event)
        return Meeting(
            key=people.pseudonyms.key("microsoft365:meeting", f"{name}|{start}", remember=False),
            start=start,
            end=end,
            medium=medium,
            evidence=evidence,
            organiser=organiser,
            minutes=minutes if get("isAllDay") is True else min(minutes, _WORKING_DAY_MINUTES),
            space=self._series(event, name),
            join=join,
            link=event["onlineMeeting"]["joinUrl"] if self._keep_links and organiser == owner and join is not None else None,
            exclusion=self._exclusion(event, organiser, minutes, is_private=is_private),
            others=others,
            copy_of=owner,
            listed=listed,
            answers={owner: answer},
        )

    def _exclusion(self, event: dict[str, Any], organiser: int | None, minutes: float, *, is_private: bool) -> str | None:
        if event.get("isCancelled") is True:
            return "cancelled"
        if is_private:
            return "out_of_scope"
        if event.get("isAllDay") is True or minutes >= _LONGEST_MINUTES:
            return "all_day"
        if event.get("showAs") == "free":
            return "free"
        return "opted_out" if organiser in self._people.opted_out else None

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


def _response(holder: Mapping[str, Any], name: str) -> str | None:
    """Return the answer in `{name: {"response": ...}}`, or None."""
    status = holder.get(name)
    response = status.get("response") if type(status) is dict else None
    return response if type(response) is str else None


def _is_somebody(holder: object) -> bool:
    """Return whether `{"emailAddress": {"address": ...}}` names anybody, be it a list."""
    address = holder.get("emailAddress") if type(holder) is dict else None
    return type(address) is dict and bool(address.get("address"))


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
