"""Whatever Graph sends in whatever collection: no exception, no good record lost, and what was refused is counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
import pytest
from graph_world import UNTIL, FakeGraph, Landed, P, account, chat_message, event, mail
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from spoiling import spoiler

from connectors.columns import Interactions
from connectors.errors import UserError
from connectors.microsoft365 import Microsoft365Settings, calendar, calls, client, directory, fetch, sync, teams
from connectors.microsoft365 import mail as mails
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
NAMES = (
    *("id", "mail", "emailAddress", "address", "userPrincipalName", "proxyAddresses", "members", "user", "identity", "start", "dateTime"),
    *("attendees", "from", "chatId", "createdDateTime", "participants", "caller", "attendanceRecords", "internetMessageId", "sentDateTime"),
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8)
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), max_leaves=6
)
GIVEN = {"tenant_id": "t", "client_id": "c", "client_secret": "s", "authority": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9/v1.0"}
ANNA, BERT = "anna@own.example", "bert@own.example"
CHAT = "19:x@thread.v2"
LINK = "https://teams.example/meet/1"
TIMES = {"startDateTime": "2026-03-05T09:00:00Z", "endDateTime": "2026-03-05T09:20:00Z"}
IDENTITY = {"teamId": "t", "channelId": "19:c"}
PEOPLE = [{"identity": {"user": {"id": name}}} for name in ("anna", "bert")]
REPORT = {"id": "r", "meetingStartDateTime": "2026-03-03T09:00:00Z", "meetingEndDateTime": "2026-03-03T09:40:00Z"}


def world() -> tuple[FakeGraph, set[int]]:
    """A Graph with one of everything, and the keys of what must be stored of it."""
    fake = FakeGraph()
    fake.base, fake.page_size = GIVEN["base_url"], 2
    fake.user("anna", ANNA)
    fake.user("bert", BERT)
    fake.put("groups", {"id": "g", "mail": "all@own.example"})
    fake.put("places/graph.room", {"emailAddress": "room@own.example"})
    fake.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, [BERT]))
    fake.put("users/bert/mailFolders/inbox/messages", mail("x1", "client@far.example", [BERT]))
    fake.put("users/anna/calendarView", event("e1", ANNA, {BERT: "accepted"}, isOnlineMeeting=True, onlineMeeting={"joinUrl": LINK}))
    fake.put("users/anna/chats/getAllMessages()", chat_message("1", "anna", chatId=CHAT))
    fake.objects[f"chats/{CHAT}"] = {"chatType": "group", "members": [{"userId": "anna"}, {"userId": "bert"}]}
    fake.put("teams", {"id": "t"})
    fake.put("teams/t/channels", {"id": "19:c", "membershipType": "standard"})
    replies = (chat_message(str(n), "anna", replyToId="1" if n > 1 else None, channelIdentity=IDENTITY) for n in (1, 2))
    fake.put("teams/t/channels/getAllMessages()", *replies)
    fake.put("communications/callRecords", {"id": "c1", "type": "peerToPeer", **TIMES}, {"id": "c2", "type": "groupCall", **TIMES})
    fake.put("communications/callRecords/c1/sessions", {"caller": PEOPLE[0], "callee": PEOPLE[1]})
    fake.put("communications/callRecords/c2/participants_v2", *PEOPLE)
    fake.put("users/anna/onlineMeetings", {"id": "om"})
    fake.put("users/anna/onlineMeetings/om/attendanceReports", REPORT)
    fake.objects["users/anna/onlineMeetings/om/attendanceReports/r"] = {
        "attendanceRecords": [{"emailAddress": ANNA}, {"emailAddress": BERT}]
    }
    named = {
        "mail": ("<m1@own.example>", "<x1@own.example>"),
        "meeting": ("ical-e1|1772528400000000",),
        "chat_message": (f"{CHAT}:1",),
        "channel_message": ("19:c:1", "19:c:2"),
        "call": ("c1", "c2"),
    }
    return fake, {P.key(f"microsoft365:{kind}", name) for kind, names in named.items() for name in names}


def read(fake: FakeGraph, spoil: Callable[[Any], Any], nights: int = 1) -> Landed:
    """Nights through the SDK's own builders and spoilt responses; every table that comes of it is whole."""

    class Spoilt(Graph):
        async def _once(self, request: Any, has: str | None) -> dict[str, Any] | client.Failure:
            await asyncio.sleep(0)
            parts = urlsplit(request.url)
            asked = SimpleNamespace(query=dict(parse_qsl(parts.query)), headers={"Authorization": "Bearer tok-secret-en"})
            answer: Any = fake.answer(unquote(parts.path).removeprefix("/v1.0/"), asked)  # type: ignore[arg-type]
            body = orjson.loads(answer.body)
            if answer.status != 200:
                return client.Failure(GraphError(answer.status, body["error"]["code"]), "refused")
            spoilt = spoil(body)
            if isinstance(spoilt, dict) and "error" not in spoilt and (has is None or isinstance(spoilt.get(has), list)):
                return spoilt
            return client.Failure(GraphError(0, "malformed_response"), "passing")

    landed = Landed()
    chosen = Microsoft365Settings.model_validate(
        {**GIVEN, "history_days": 30, "attendance_reports": True, "resync_jitter_seconds": 0, "attempts": 1}
    )

    async def night(number: int) -> None:
        async for batch in fetch(chosen, P, None, UNTIL + timedelta(days=number), landed.state):
            for table in batch.records.values():
                table.validate(full=True)
            landed.add(batch)

    with patch.object(sync, "Graph", Spoilt):
        for number in range(nights):
            asyncio.run(asyncio.wait_for(night(number), 30))
    return landed


@FUZZ
@given(junk=st.lists(JUNK, min_size=1, max_size=4), seed=st.integers(0, 10**6))
def test_junk_among_good_elements_of_any_collection_loses_none_of_them(junk: list[Any], seed: int) -> None:
    fake, good = world()
    chance = random.Random(seed)
    put = 0

    def spoil(body: dict[str, Any]) -> dict[str, Any]:
        nonlocal put
        for name in ("value", "members", "attendanceRecords"):
            if isinstance(body.get(name), list):
                for value in junk:
                    body[name].insert(chance.randint(0, len(body[name])), value)
                    put += 1
        return body

    landed = read(fake, spoil)
    stored = landed.interactions()
    assert good <= stored.keys()
    assert {stored[key]["exclusion"] for key in good} == {None}
    assert all(len(stored[key]["participants"]) > 0 for key in good - {P.key("microsoft365:channel_message", f"19:c:{n}") for n in (1, 2)})
    assert {account("anna"), account("bert")} <= landed.accounts().keys()
    assert put
    if not any(isinstance(value, dict) for value in junk):
        counted = {(row["stream"], row["reason"]) for row in landed.rows("quarantine")}
        assert {(stream, "not_an_object") for stream in ("mail", "calendar", "calls", "chats", "channels")} <= counted
        assert ("directory", "missing_id") in counted


@FUZZ
@given(data=st.data())
def test_nothing_that_a_response_may_be_raises(data: st.DataObject) -> None:
    fake, _ = world()
    # where the directory's own pages lead nowhere, the night ends with that; of every other stream it is coverage
    with suppress(GraphError):
        read(fake, spoiler(data, JUNK, 4), nights=2)


# -- extremes -----------------------------------------------------------------------------------------------------------

HUGE = "x" * 10_000_000
GOOD: dict[str, dict[str, Any]] = {
    "mail": mail("m1", ANNA, [BERT], ccRecipients=[], bccRecipients=[]),
    "event": event("e1", ANNA, {BERT: "accepted"}, seriesMasterId="s", onlineMeeting={"joinUrl": LINK}),
    "chat": chat_message("1", "anna", chatId="g"),
    "channel": chat_message("1", "anna", channelIdentity=IDENTITY),
    "call": {"id": "c", "version": 1, "type": "groupCall", "organizer": {}, "organizer_v2": {}, "joinWebUrl": LINK, **TIMES},
    "user": {
        "id": "u",
        "mail": ANNA,
        "userPrincipalName": ANNA,
        "proxyAddresses": [],
        "department": "x",
        "officeLocation": "y",
        "userType": "Member",
    },
}


@pytest.mark.parametrize("kind, field", [(kind, field) for kind, good in GOOD.items() for field in sorted(good)])
def test_ten_megabytes_in_any_field_are_refused_or_passed_over_at_once(kind: str, field: str) -> None:
    people, rows = People(P), Interactions()
    began = time.process_time()
    for value in (HUGE, [HUGE], {"x": HUGE}):
        spoilt = {**GOOD[kind], field: value}
        faults, before = Faults(P, kind), len(rows)
        if kind == "mail":
            parser, mailbox = mails.MailParser(people, faults), mails.Mailbox(1, rows)
            parser.take([spoilt], mailbox, is_sent=True)
            parser.finish(mailbox)
        elif kind == "event":
            parser = calendar.CalendarParser(people, faults)
            meeting = parser.parse(spoilt, 1)
            parser.store([] if meeting is None else [meeting], rows)
        elif kind == "chat":
            teams.TeamsParser(people, faults).chat_messages([spoilt], {"g": teams.Chat(1, "teams_chat", (1, 2), 2)}, rows)
        elif kind == "channel":
            teams.TeamsParser(people, faults).channel_messages([spoilt], rows)
        elif kind == "call":
            call = calls.parse_record(spoilt, people, faults, calendar.join_key(people, spoilt["joinWebUrl"]))
            if call is not None:
                calls.add_call(call, rows, people)
        elif (member := directory.parse_user(spoilt, people)) is not None:
            place = directory.place_row(spoilt, member.key, people, None)
            assert all(len(text) < 1000 for text in place.values() if isinstance(text, str))
            continue
        else:
            continue
        assert len(rows) - before + len(faults.rows) == 1
    rows.table("microsoft365").validate(full=True)
    assert time.process_time() - began < 5


def test_a_members_enum_that_nobody_knows_is_of_no_consequence() -> None:
    people, rows, faults = People(P), Interactions(), Faults(P, "x")
    parser = calendar.CalendarParser(people, faults)
    unknown = {"showAs": "unknownFutureValue", "sensitivity": "unheardOf", "type": "unheardOf", "onlineMeetingProvider": "unknown"}
    made = event("e1", ANNA, {BERT: "accepted"}, **unknown, location={"locationType": "onTheMoon"})
    made["attendees"][0] |= {"type": "unheardOf"}
    meeting = parser.parse(made, 1)
    assert meeting is not None
    assert (meeting.exclusion, meeting.medium) == (None, "meeting_unknown")
    message = chat_message(
        "1", "anna", channelIdentity=IDENTITY, importance="unheardOf", reactions=[{"reactionType": "unheardOf", "user": None}]
    )
    teams.TeamsParser(people, faults).channel_messages([message], rows)
    assert (len(rows), faults.rows) == (1, [])


def test_what_the_user_can_mend_is_told_apart_from_nonsense() -> None:
    fake, _ = world()
    fake.errors["users"] = (403, "Authorization_RequestDenied")
    with pytest.raises(UserError, match=r"User\.Read\.All"):
        read(fake, lambda body: body)
