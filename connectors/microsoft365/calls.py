"""Calls, and who was in an online meeting: from Teams call records and attendance reports.

A call of two is stored as `call`. A group call with a meeting's join link is that meeting: it tells who attended, in
place of who had accepted, and is no interaction of its own; without a meeting in any calendar it is a call. Records live
30 days at Graph, and later versions replace earlier ones. The key is `key("microsoft365:call", record id)`.

A call with a telephone, or with a guest who has no account, that was answered is `out_of_scope`: nobody is known at the other end.
`missed` is what nobody answered, a voice mailbox or a service aside.

Calendars are read again for some days, so who attended is remembered for as long: keyed hashes in one cursor an hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import orjson

from connectors.columns import PARTICIPANT_LIMIT, Interactions, to_instant, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People
from connectors.microsoft365.times import parse_time
from connectors.state import State

STREAM: Final = "calls"
CURSOR: Final = "calls"
LONGEST_DAYS: Final = 30
"""Call records older than this are gone from Graph."""
_PREFIX: Final = "attended:"
_MARGIN: Final = 30 * 60_000_000
_MINUTE: Final = 60_000_000
_LONGEST_ID: Final = 512
_WITHOUT_ACCOUNT: Final = ("phone", "guest", "acsUser", "encrypted")


@dataclass(slots=True)
class CallRecord:
    """A call record's head.

    Attributes:
        record_id: The raw id, to ask for its details.
        key: The interaction key.
        version: Its version.
        start: Start, microseconds since 1970.
        end: End.
        organiser: Who started it, or None.
        is_group: Whether it is a group call.
        join: Hash of the join link, or None.
        present: Who was in it.
        count: How many were in it, also those without an account (telephones, anonymous guests).
        is_answered: Whether anybody answered: a person with an account, or somebody at a telephone.
        origin: What the record says of the organiser; resolved with the details, once it is known that the call is in scope.
    """

    record_id: str
    key: int
    version: int
    start: int
    end: int
    organiser: int | None
    is_group: bool
    join: int | None
    present: set[int]
    count: int = 0
    is_answered: bool = True
    origin: tuple[object, object] = (None, None)


def parse_record(record: object, people: People, faults: Faults, join: int | None) -> CallRecord | None:
    """Return a call record's head, or None if it is quarantined. `join` is the hash of its join link."""
    if type(record) is not dict:
        faults.add("not_an_object", record)
        return None
    name = record.get("id")
    if type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
        faults.add("missing_id", record)
        return None
    start, end = parse_time(record.get("startDateTime")), parse_time(record.get("endDateTime"))
    if start is None or end is None or end < start:
        faults.add("bad_time", record, utc_day(start) if start is not None else None)
        return None
    version = record.get("version")
    return CallRecord(
        record_id=name,
        key=people.pseudonyms.key("microsoft365:call", name, remember=False),
        version=version if type(version) is int and abs(version) < 1 << 60 else 0,
        start=start,
        end=end,
        organiser=None,
        is_group=record.get("type") != "peerToPeer",
        join=join,
        present=set(),
        origin=(record.get("organizer_v2"), {"identity": record.get("organizer")}),
    )


def take_participants(call: CallRecord, participants: Iterable[object], people: People) -> None:
    """Take a group call's `participants_v2`."""
    _take_organiser(call, people)
    present: set[int] = set()
    others: set[bytes] = set()
    for participant in participants:
        account = _identity(participant, people)
        if account is not None:
            present.add(account)
        else:
            # a page may repeat an element
            others.add(orjson.dumps(participant, option=orjson.OPT_SORT_KEYS))
    call.count = len(present) + len(others)
    if call.count:
        # whoever organised need not have come
        call.present = present


def take_sessions(call: CallRecord, sessions: Iterable[object], people: People) -> None:
    """Take a call's sessions: who rang whom, and whether a person answered (not a voice mailbox, not nobody)."""
    _take_organiser(call, people)
    is_answered = False
    for session in sessions:
        if type(session) is not dict:
            continue
        caller, callee = _user(session.get("caller"), people), _user(session.get("callee"), people)
        failure = session.get("failureInfo")
        is_failed = type(failure) is dict and failure.get("stage") in ("callSetup", "unknown")
        is_answered = is_answered or ((callee is not None or _is_outside(session.get("callee"))) and not is_failed)
        if call.organiser is None:
            call.organiser = caller
        call.present |= {account for account in (caller, callee) if account is not None}
    call.count = max(2, len(call.present))
    call.is_answered = is_answered and call.end > call.start


def _take_organiser(call: CallRecord, people: People) -> None:
    participant, endpoint = call.origin
    call.organiser = _identity(participant, people)
    if call.organiser is None:
        call.organiser = _user(endpoint, people)
    if call.organiser is not None:
        call.present.add(call.organiser)


def add_call(call: CallRecord, rows: Interactions, people: People, *, is_meeting: bool = False) -> None:
    """Store a call; with `is_meeting`, take one back that turned out to be a meeting of a calendar."""
    exclusion = "deleted" if is_meeting else None if call.is_answered else "missed"
    if exclusion is None and len(call.present) < 2 and call.count >= 2:
        # the others have no account: telephones, guests
        exclusion = "out_of_scope"
    if exclusion is None and call.organiser is None and not call.is_group:
        exclusion = "no_sender"
    if exclusion is None and call.organiser in people.opted_out:
        exclusion = "opted_out"
    present = sorted(account for account in call.present if people.is_person(account))
    rows.add(
        call.key,
        call.start,
        "call",
        None if call.organiser in people.opted_out else call.organiser,
        [(account, "co_present") for account in present] if exclusion is None and len(present) <= PARTICIPANT_LIMIT else (),
        recipients=max(call.count, len(present)),
        minutes=(call.end - call.start) / _MINUTE,
        exclusion=exclusion,
    )


def users(entries: Iterable[object]) -> Iterator[dict[str, Any]]:
    """Give the users (`{"id": ...}`) of participants, and of callers and callees of sessions."""
    for entry in entries:
        if type(entry) is dict:
            for endpoint in (entry, entry.get("caller"), entry.get("callee")):
                yield from _users(endpoint)


def _identity(participant: object, people: People) -> int | None:
    """Return the account of a `participant` (`{"id": ..., "identity": {"user": {"id": ...}}}`)."""
    return _user(participant, people) if type(participant) is dict else None


def _user(endpoint: object, people: People) -> int | None:
    """Return the account of an endpoint; None for telephones, anonymous guests and services such as voice mail."""
    return next((account for user in _users(endpoint) if (account := people.by_id(user.get("id"))) is not None), None)


def _is_outside(endpoint: object) -> bool:
    """Return whether an endpoint is somebody without an account: at a telephone, or a guest without a name. Services are nobody."""
    identity = endpoint.get("identity") if type(endpoint) is dict else None
    return type(identity) is dict and any(type(identity.get(kind)) is dict for kind in _WITHOUT_ACCOUNT)


def _users(endpoint: object) -> Iterator[dict[str, Any]]:
    """Give what of an endpoint may name its user, the likeliest first."""
    if type(endpoint) is not dict:
        return
    for field in ("identity", "associatedIdentity"):
        identity = endpoint.get(field)
        if type(identity) is not dict:
            continue
        if type(user := identity.get("user")) is dict:
            yield user
        if field == "associatedIdentity":
            # here the user may stand bare
            yield identity


class Attendance:
    """Who was in which online meeting, remembered between runs.

    Args:
        state: Cursors of earlier runs.
        today: The run's day; what is older than a month is forgotten.
    """

    def __init__(self, state: State, today: date) -> None:
        self._hours: dict[str, dict[str, list[Any]]] = {}
        self._dirty: set[str] = set()
        self._by_join: defaultdict[int, dict[int, tuple[int, int, frozenset[int]]]] = defaultdict(dict)
        oldest = str(today - timedelta(days=LONGEST_DAYS + 1))
        for name, value in state.cursors(_PREFIX).items():
            hour = name.removeprefix(_PREFIX)
            if hour < oldest:
                self._hours[hour] = {}
                self._dirty.add(hour)
                continue
            try:
                entries = orjson.loads(value)
            except ValueError:
                continue
            if isinstance(entries, dict):
                self._hours[hour] = entries
                for key, (_, join, start, end, present, *_) in entries.items():
                    if join:
                        self._by_join[join][int(key)] = (start, end, frozenset(present))

    def knows(self, call: CallRecord) -> bool:
        """Return whether this version of a record was read before."""
        entry = self._entry(call.key, call.start)
        return entry is not None and entry[0] == call.version

    def remember(self, call: CallRecord) -> None:
        """Remember a call: of one that is in no meeting only that it was read."""
        present = call.present if call.join else set()
        self._put(call.key, call.version, call.join or 0, call.start, call.end, present, call.organiser, count=call.count)

    def remember_report(self, meeting_key: int, join: int, start: int, end: int, present: Set[int]) -> None:
        """Remember an attendance report's."""
        self._put(meeting_key, 0, join, start, end, present, None, is_call=None)

    def has_report(self, meeting_key: int, start: int) -> bool:
        """Return whether a meeting's attendance report was read before."""
        return self._entry(meeting_key, start) is not None

    def _entry(self, key: int, start: int) -> list[Any] | None:
        return self._hours.get(_hour(start), {}).get(str(key))

    def _put(
        self,
        key: int,
        version: int,
        join: int,
        start: int,
        end: int,
        present: Set[int],
        organiser: int | None,
        *,
        is_call: bool | None = False,
        count: int = 0,
    ) -> None:
        hour = _hour(start)
        before = self._hours.setdefault(hour, {}).get(str(key))
        if before is not None and is_call is not None:
            # a later version of a record that was stored as a call is stored again
            is_call = before[5] and version == before[0]
        self._hours[hour][str(key)] = [version, join, start, end, sorted(present), is_call, organiser, count]
        self._dirty.add(hour)
        if join:
            self._by_join[join][key] = (start, end, frozenset(present))

    def attended(self, join: int, start: int, end: int) -> frozenset[int] | None:
        """Return who was in the meeting with this join link at this time, in all records of it; None if there is none."""
        known = self._by_join.get(join, {}).values()
        found = [present for began, ended, present in known if began < end + _MARGIN and ended > start - _MARGIN]
        return frozenset().union(*found) if found else None

    def unmatched(self, joins: Mapping[int, Set[tuple[int, int]]], since: int) -> tuple[list[CallRecord], list[CallRecord]]:
        """Return group calls that no calendar explains, and those stored as calls that a calendar now does.

        Args:
            joins: Join key -> starts and ends of the meetings that calendars showed.
            since: Calendars were read from here on; older calls stay as they are.
        """
        alone: list[CallRecord] = []
        explained: list[CallRecord] = []
        for hour, entries in self._hours.items():
            for key, entry in entries.items():
                version, join, start, end, present, is_call, organiser, *rest = entry
                if not join or is_call is None or start < since:
                    continue
                is_meeting = any(start < ended + _MARGIN and end > began - _MARGIN for began, ended in joins.get(join, ()))
                if is_meeting == is_call:
                    call = CallRecord(
                        "", int(key), version, start, end, organiser, True, join, set(present), rest[0] if rest else len(present)
                    )
                    (explained if is_meeting else alone).append(call)
                    entry[5] = not is_meeting
                    self._dirty.add(hour)
        return alone, explained

    def cursors(self) -> dict[str, str]:
        """Return the cursors that changed since the last call; hours without entries are removed."""
        found = {}
        for hour in sorted(self._dirty):
            entries = self._hours[hour]
            found[f"{_PREFIX}{hour}"] = orjson.dumps(entries, option=orjson.OPT_SORT_KEYS).decode() if entries else ""
        self._dirty.clear()
        return found


def _hour(moment: int) -> str:
    """Return the UTC hour of microseconds since 1970: a part of what is remembered that is small enough to be written often."""
    return to_instant(moment).strftime("%Y-%m-%dT%H")
