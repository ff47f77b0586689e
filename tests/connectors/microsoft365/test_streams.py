"""Every stream through the real SDK adapter against a small Graph."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from graph_world import UNTIL, Landed, P, account, chat_message, event, mail, outsider, person

ANNA, BERT, CARA = "anna@own.example", "bert@own.example", "cara@own.example"
CHAT = "19:meeting_abc@thread.v2"


@pytest.fixture
def people(graph):
    graph.user("anna", ANNA, department="Sales", officeLocation="Bern", **{"manager@delta": [{"id": "cara"}]})
    graph.user("bert", BERT, department="Research")
    graph.user("cara", CARA)
    return graph


def only(landed: Landed, medium: str = "email") -> dict:
    (row,) = [row for row in landed.interactions().values() if row["medium"].startswith(medium)]
    return row


def pairs(row: dict) -> set:
    return {(entry["account_key"], entry["evidence"]) for entry in row["participants"]}


# -- mail ---------------------------------------------------------------------------------------------------------------


async def test_sent_mail_reaches_its_recipients_blind_copies_too(people, settings, run):
    people.put(
        "users/anna/mailFolders/sentitems/messages",
        mail("m1", "Anna@OWN.example", [BERT], ccRecipients=[person("client@far.example")], bccRecipients=[person(CARA)]),
    )
    landed = await run(settings())
    row = only(landed)
    assert row["sender_key"] == account("anna")
    assert row["interaction_key"] == P.key("microsoft365:mail", "<m1@own.example>")
    assert row["thread_key"] == P.key("microsoft365:conversation", "conversation")
    assert row["occurred_at"] == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert row["recipient_count"] == 3
    client = outsider("client@far.example")
    assert pairs(row) == {(account("bert"), "addressed"), (account("cara"), "addressed"), (client, "copied")}
    known = landed.accounts()[client]
    assert known["kind"] == "unknown"
    assert known["person_id"] == P.person_id("client@far.example")
    assert known["domain_key"] == P.domain_key("far.example")


async def test_no_request_asks_for_content_and_all_prefer_immutable_ids(people, settings, run):
    people.put("users/anna/mailFolders/sentitems/messages", *(mail(f"m{i}", ANNA, [BERT]) for i in range(5)))
    people.page_size = 2
    await run(settings())
    assert len([path for path in people.paths() if path.startswith("users/anna/mailFolders/sentitems")]) == 3
    for path, query, headers in people.requests:
        assert 'IdType="ImmutableId"' in headers["Prefer"]
        asked = query.get("$select", "")
        assert not {"subject", "body", "bodyPreview", "displayName", "attachments"} & set(asked.split(","))
        if path.endswith(("messages", "calendarView")) and "$skiptoken" not in query:
            assert asked
        if "getAllMessages" in path:
            assert "include-unknown-enum-members" in headers["Prefer"]


async def test_received_mail_counts_once(people, settings, run):
    outside = mail("x1", "client@far.example", [ANNA, BERT])
    people.put("users/anna/mailFolders/inbox/messages", outside)
    people.put("users/bert/mailFolders/inbox/messages", outside)
    landed = await run(settings())
    row = only(landed)
    assert (row["sender_key"], row["is_received"]) == (outsider("client@far.example"), True)
    assert pairs(row) == {(account("anna"), "addressed"), (account("bert"), "addressed")}


async def test_mail_of_who_has_no_mailbox_any_more_is_found_where_it_arrived(people, settings, run):
    people.user("left", "left@own.example", accountEnabled=False, assignedLicenses=[])
    people.put("users/bert/mailFolders/inbox/messages", mail("old", "left@own.example", [BERT]))
    row = only(await run(settings()))
    assert (row["sender_key"], pairs(row)) == (account("left"), {(account("bert"), "addressed")})


async def test_mail_of_a_refused_mailbox_is_found_where_it_arrived_from_the_first_night_on(people, settings, run):
    people.errors["users/anna/mailFolders"] = (403, "ErrorAccessDenied")
    made = mail("m1", ANNA, [BERT], "2026-03-10T09:00:00Z", bccRecipients=[person(CARA)])
    people.put("users/anna/mailFolders/sentitems/messages", made)
    people.put("users/bert/mailFolders/inbox/messages", made | {"bccRecipients": []})
    landed = await run(settings())
    assert pairs(only(landed)) == {(account("bert"), "addressed")}
    await run(settings(), landed, until=UNTIL + timedelta(hours=1))
    assert pairs(only(landed)) == {(account("bert"), "addressed")}
    people.errors.clear()
    await run(settings(), landed, until=UNTIL + timedelta(hours=2))
    assert pairs(only(landed)) == {(account("bert"), "addressed"), (account("cara"), "addressed")}


async def test_mail_to_a_group_reaches_nobody_by_that_address(people, settings, run):
    people.put("groups", {"id": "g", "mail": "all@own.example", "proxyAddresses": ["smtp:everyone@own.example"]})
    people.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, ["all@own.example", "Everyone@own.example", BERT]))
    landed = await run(settings())
    row = only(landed)
    assert pairs(row) == {(account("bert"), "addressed")}
    assert row["recipient_count"] == 3
    assert outsider("all@own.example") not in landed.accounts()


async def test_bulk_mail_keeps_only_how_many(people, settings, run):
    many = [f"p{i}@far.example" for i in range(251)]
    people.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, many))
    row = only(await run(settings()))
    assert (row["participants"], row["recipient_count"]) == ([], 251)


async def test_drafts_are_counted_and_reach_nobody(people, settings, run):
    people.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, [BERT], isDraft=True))
    row = only(await run(settings()))
    assert (row["exclusion"], row["participants"]) == ("draft", [])


async def test_who_opted_out_is_nowhere(people, settings, run):
    people.put("users/anna/mailFolders/sentitems/messages", mail("m1", ANNA, [BERT, CARA]))
    people.put("users/cara/mailFolders/inbox/messages", mail("x1", "shy@far.example", [CARA, ANNA]))
    out = (P.person_id(BERT), str(outsider("shy@far.example")))
    landed = await run(settings(opted_out=out))
    first, second = sorted(landed.interactions().values(), key=lambda row: row["exclusion"] or "")
    assert pairs(first) == {(account("cara"), "addressed")}
    assert (second["exclusion"], second["sender_key"], second["participants"]) == ("opted_out", None, [])
    assert not {account("bert"), outsider("shy@far.example")} & set(landed.accounts())
    assert not [path for path in people.paths() if path.startswith("users/bert/")]


async def test_only_mailboxes_in_scope_are_asked(people, settings, run):
    people.put("groups/team/transitiveMembers", {"id": "cara"})
    await run(settings(mailboxes=("ANNA@own.example",), groups=("team",)))
    asked = {path.split("/")[1] for path in people.paths() if path.startswith("users/") and "mailFolders" in path}
    assert asked == {"anna", "cara"}


# -- calendars ----------------------------------------------------------------------------------------------------------


def shared(people, made: dict, *mailboxes: str) -> None:
    for mailbox in mailboxes:
        people.put(f"users/{mailbox}/calendarView", made)


async def test_a_meeting_comes_from_its_organisers_copy(people, settings, run):
    full = event("e1", ANNA, {BERT: "accepted", CARA: "declined", "client@far.example": "tentativelyAccepted"})
    copy = event("e1", ANNA, {BERT: "none", CARA: "none"}, showAs="free")
    shared(people, copy, "bert", "cara")
    shared(people, full, "anna")
    landed = await run(settings())
    row = only(landed, "meeting")
    start = 1_772_528_400_000_000
    assert row["interaction_key"] == P.key("microsoft365:meeting", f"ical-e1|{start}")
    assert row["sender_key"] == account("anna")
    assert pairs(row) == {(account("anna"), "co_present"), (account("bert"), "co_present")}
    assert (row["minutes"], row["recipient_count"], row["exclusion"]) == (45.0, 2, None)
    assert (row["medium"], row["mode_evidence"]) == ("meeting_unknown", "none")
    assert len([row for row in landed.rows("interaction") if row["medium"].startswith("meeting")]) == 1


async def test_tentative_counts_by_setting(people, settings, run):
    shared(people, event("e1", ANNA, {BERT: "tentativelyAccepted"}), "anna")
    assert len(only(await run(settings()), "meeting")["participants"]) == 1
    assert len(only(await run(settings(count_tentative=True)), "meeting")["participants"]) == 2


@pytest.mark.parametrize("failing", [(404, "MailboxNotEnabledForRESTAPI"), (403, "ErrorAccessDenied")])
async def test_copies_stand_in_where_the_organisers_mailbox_cannot_be_read(people, settings, run, failing):
    people.errors["users/anna/"] = failing
    shared(people, event("e1", ANNA, {BERT: "none", CARA: "none"}, responseStatus={"response": "accepted"}), "bert", "cara")
    landed = await run(settings())
    row = only(landed, "meeting")
    assert pairs(row) == {(account(name), "co_present") for name in ("anna", "bert", "cara")}
    missing = [entry for entry in landed.rows("coverage") if entry["status"] == "missing" and entry["unit_key"]]
    assert {entry["unit_key"] for entry in missing} == {account("anna")}
    assert {entry["reason"] for entry in missing} == {"mailbox_not_found" if failing[0] == 404 else "forbidden"}
    assert {"email", "meeting_online", "meeting_in_person", "teams_chat"} <= {entry["medium"] for entry in missing}


async def test_an_outside_organisers_meeting_joins_all_copies_whatever_their_order(people, settings, run):
    base = {"organiser": "client@far.example", "attendees": {ANNA: "none", BERT: "none", CARA: "none"}}
    rows = []
    for _ in range(2):
        for mailbox, response in (("anna", "accepted"), ("bert", "declined"), ("cara", "accepted")):
            people.collections[f"users/{mailbox}/calendarView"] = [event("e1", **base, responseStatus={"response": response})]
        landed = await run(settings(concurrency=1 + 2 * len(rows)))
        rows.append(only(landed, "meeting"))
    assert rows[0] == rows[1]
    assert pairs(rows[0]) == {
        (outsider("client@far.example"), "co_present"),
        (account("anna"), "co_present"),
        (account("cara"), "co_present"),
    }
    assert rows[0]["sender_key"] == outsider("client@far.example")


@pytest.mark.parametrize(
    "more, exclusion",
    [
        ({"isCancelled": True}, "cancelled"),
        ({"isAllDay": True}, "all_day"),
        ({"showAs": "free"}, "free"),
        ({"sensitivity": "private"}, "out_of_scope"),
        ({"attendees": []}, "out_of_scope"),
    ],
)
async def test_what_makes_no_contact_is_counted(people, settings, run, more, exclusion):
    shared(people, event("e1", ANNA, {BERT: "accepted"}) | more, "anna")
    row = only(await run(settings()), "meeting")
    assert (row["exclusion"], row["participants"]) == (exclusion, [])


@pytest.mark.parametrize(
    "more, mode",
    [
        ({"isOnlineMeeting": True}, ("meeting_online", "stated")),
        ({"isOnlineMeeting": True, "room": "accepted"}, ("meeting_hybrid", "room")),
        ({"room": "accepted"}, ("meeting_in_person", "room")),
        ({"room": "declined"}, ("meeting_unknown", "none")),
        ({"location": {"displayName": "x", "locationType": "restaurant"}}, ("meeting_in_person", "inferred")),
        ({"isOnlineMeeting": True, "locations": [{"locationType": "streetAddress"}]}, ("meeting_hybrid", "inferred")),
        ({"onlineMeetingProvider": "unheardOf"}, ("meeting_online", "stated")),
        ({"location": {"displayName": "x", "locationType": "conferenceRoom"}}, ("meeting_in_person", "room")),
    ],
)
async def test_mode_and_its_grounds(people, settings, run, more, mode):
    room = more.pop("room", None)
    made = event("e1", ANNA, {BERT: "accepted"}, **more)
    if room is not None:
        made["attendees"].append({**person("room1@own.example"), "type": "resource", "status": {"response": room}})
    shared(people, made, "anna")
    row = only(await run(settings()), "meeting")
    assert (row["medium"], row["mode_evidence"]) == mode
    assert len(row["participants"]) == 2


async def test_a_room_is_no_person_also_where_it_is_listed_as_an_attendee(people, settings, run):
    people.user("room", "room2@own.example", accountEnabled=False, assignedLicenses=[])
    people.put("places/graph.room", {"id": "r", "emailAddress": "Room2@own.example", "displayName": "x"})
    shared(people, event("e1", ANNA, {BERT: "accepted", "room2@own.example": "accepted"}), "anna")
    landed = await run(settings())
    row = only(landed, "meeting")
    assert pairs(row) == {(account("anna"), "co_present"), (account("bert"), "co_present")}
    assert row["medium"] == "meeting_in_person"
    assert landed.accounts()[account("room")]["kind"] == "room"


async def test_a_series_is_a_standing_space_the_same_in_every_copy(people, settings, run):
    prefix = "040000008200E00074C5B7101A82E008"
    first = event(
        "a", "client@far.example", {ANNA: "none"}, seriesMasterId="m-anna", type="occurrence", iCalUId=f"{prefix}07EA0303{'A' * 24}"
    )
    second = event("b", "client@far.example", {ANNA: "none"}, at="2026-03-04T09:00:00", seriesMasterId="m-anna", type="occurrence")
    second["iCalUId"] = f"{prefix}07EA0304{'A' * 24}"
    shared(people, first, "anna")
    shared(people, second | {"seriesMasterId": "m-bert"}, "bert")
    landed = await run(settings())
    spaces = {row["space_key"] for row in landed.interactions().values()}
    assert spaces == {P.key("microsoft365:series", f"{prefix}00000000{'A' * 24}")}
    (space,) = {row["space_key"]: row for row in landed.rows("space")}.values()
    assert (space["kind"], space["is_standing"]) == ("meeting_series", True)


async def test_moved_and_deleted_meetings_are_swept(people, settings, run):
    keep, moved, gone = (
        event(name, ANNA, {BERT: "accepted"}, at=f"2026-03-0{day}T09:00:00") for name, day in (("k", 3), ("m", 4), ("g", 5))
    )
    foreign = event("f", "client@far.example", {ANNA: "none"}, at="2026-03-06T09:00:00")
    other = event("o", "client@far.example", {ANNA: "none"}, at="2026-03-06T15:00:00")
    shared(people, keep, "anna")
    people.put("users/anna/calendarView", moved, gone, foreign, other)
    landed = await run(settings())
    assert len(landed.interactions()) == 5
    later = event("m", ANNA, {BERT: "accepted"}, at="2026-03-04T14:00:00")
    people.collections["users/anna/calendarView"] = [
        keep,
        later,
        event("f", "client@far.example", {ANNA: "none"}, at="2026-03-06T11:00:00"),
        other,
    ]
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=1))
    state = sorted((row["occurred_at"].strftime("%d %H"), row["exclusion"]) for row in landed.interactions().values())
    assert state == [
        ("03 09", None),
        ("04 09", "deleted"),
        ("04 14", None),
        ("05 09", "deleted"),
        ("06 09", "deleted"),
        ("06 11", None),
        ("06 15", None),
    ]


async def test_long_histories_are_read_window_by_window(people, settings, run):
    for day in ("2026-02-12", "2026-02-22", "2026-03-04"):
        shared(people, event(day, ANNA, {BERT: "accepted"}, at=f"{day}T09:00:00"), "anna", "bert")
    landed = await run(settings(window_days=10))
    assert len(landed.interactions()) == 3
    windows = {query["startDateTime"][:10] for path, query, _ in people.requests if path == "users/anna/calendarView"}
    assert windows == {"2026-02-08", "2026-02-18", "2026-02-28"}


# -- Teams --------------------------------------------------------------------------------------------------------------


async def test_a_chat_message_lies_under_everyone_and_counts_once(people, settings, run):
    people.objects[f"chats/{CHAT}"] = {
        "id": CHAT,
        "chatType": "group",
        "topic": "t",
        "members": [{"userId": "anna"}, {"userId": "bert"}, {"userId": "far", "email": "client@far.example"}],
    }
    made = chat_message("1", "anna", chatId=CHAT, reactions=[{"reactionType": "like", "user": {"user": {"id": "bert"}}}])
    for name in ("anna", "bert"):
        people.put(f"users/{name}/chats/getAllMessages()", made)
    landed = await run(settings())
    row = only(landed, "teams")
    assert row["medium"] == "teams_group_chat"
    assert pairs(row) == {(account("bert"), "addressed"), (account("far"), "addressed"), (account("bert"), "reacted")}
    assert row["recipient_count"] == 2
    assert len([row for row in landed.rows("interaction") if row["medium"] == "teams_group_chat"]) == 1
    assert people.paths().count(f"chats/{CHAT}") == 1
    assert landed.accounts()[account("far")]["person_id"] == P.person_id("client@far.example")
    (space,) = landed.rows("space")
    assert (space["kind"], space["is_shared"], space["member_count"]) == ("group_chat", True, 3)


async def test_a_one_on_one_chat_needs_no_request(graph, settings, run):
    first, second = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    graph.user(first, ANNA)
    graph.user(second, BERT)
    graph.put(f"users/{first}/chats/getAllMessages()", chat_message("1", first, chatId=f"19:{first}_{second}@unq.gbl.spaces"))
    row = only(await run(settings()), "teams")
    assert (row["medium"], pairs(row)) == ("teams_chat", {(account(second), "addressed")})
    assert not [path for path in graph.paths() if path.startswith("chats/")]


@pytest.mark.parametrize(
    "more, exclusion",
    [
        ({"messageType": "systemEventMessage", "sender": None, "eventDetail": {"x": 1}}, "system"),
        ({"messageType": "unheardOf"}, "system"),
        ({"deletedDateTime": "2026-03-05T00:00:00Z"}, "deleted"),
        ({"from": {"application": {"id": "app1", "applicationIdentityType": "bot"}}}, "bot"),
    ],
)
async def test_what_no_person_wrote_is_counted(people, settings, run, more, exclusion):
    people.objects[f"chats/{CHAT}"] = {"chatType": "meeting", "members": [{"userId": "anna"}, {"userId": "bert"}]}
    sender = more.pop("sender", "anna")
    people.put("users/anna/chats/getAllMessages()", chat_message("1", sender, chatId=CHAT, **more))
    landed = await run(settings())
    row = only(landed, "teams")
    assert (row["exclusion"], row["participants"]) == (exclusion, [])
    if exclusion == "bot":
        assert landed.accounts()[account("app1")]["kind"] == "bot"


async def test_channel_messages_replies_mentions_reactions(people, settings, run):
    people.put("teams", {"id": "team"})
    people.put("teams/team/channels", {"id": "19:c", "membershipType": "private", "displayName": "x"})
    identity = {"teamId": "team", "channelId": "19:c"}
    root = chat_message(
        "1", "anna", channelIdentity=identity, mentions=[{"id": 0, "mentionText": "x", "mentioned": {"user": {"id": "bert"}}}]
    )
    reply = chat_message("2", "bert", "2026-03-05T09:00:00Z", replyToId="1", channelIdentity=identity)
    reply["reactions"] = [{"reactionType": "heart", "user": {"user": {"id": "anna"}}}]
    people.put("teams/team/channels/getAllMessages()", root, reply)
    landed = await run(settings())
    first, second = sorted(landed.interactions().values(), key=lambda row: row["occurred_at"])
    assert (first["thread_key"], pairs(first)) == (None, {(account("bert"), "mentioned")})
    assert second["thread_key"] == first["interaction_key"] == P.key("microsoft365:channel_message", "19:c:1")
    assert pairs(second) == {(account("anna"), "reacted")}
    (space,) = landed.rows("space")
    assert (space["kind"], space["is_private"], space["is_shared"]) == ("channel", True, False)


async def test_late_replies_edits_and_deletions_are_met_the_next_night(people, settings, run):
    people.put("teams", {"id": "team"})
    identity = {"teamId": "team", "channelId": "19:c"}
    old = chat_message("1", "anna", "2026-03-01T09:00:00Z", channelIdentity=identity)
    people.put("teams/team/channels/getAllMessages()", old, chat_message("2", "bert", "2026-03-01T10:00:00Z", channelIdentity=identity))
    landed = await run(settings())
    before = len(people.requests)
    night = "2026-03-10T20:00:00Z"
    changed = people.collections["teams/team/channels/getAllMessages()"]
    changed[0] |= {"lastModifiedDateTime": night, "reactions": [{"user": {"user": {"id": "cara"}}}]}
    changed[1] |= {"lastModifiedDateTime": night, "deletedDateTime": night}
    changed.append(chat_message("3", "cara", night, replyToId="1", channelIdentity=identity))
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=1))
    rows = sorted(landed.interactions().values(), key=lambda row: row["occurred_at"])
    assert [row["exclusion"] for row in rows] == [None, "deleted", None]
    assert pairs(rows[0]) == {(account("cara"), "reacted")}
    assert rows[2]["thread_key"] == rows[0]["interaction_key"]
    assert len(people.requests) - before < before + 3


async def test_only_teams_in_scope_are_asked(people, settings, run):
    people.put("teams", {"id": "team"}, {"id": "other"})
    for team in ("team", "other"):
        identity = {"teamId": team, "channelId": f"19:{team}"}
        people.put(f"teams/{team}/channels/getAllMessages()", chat_message("1", "anna", channelIdentity=identity))
    landed = await run(settings(teams=("team",)))
    assert only(landed, "teams")["space_key"] == P.key("microsoft365:channel", "19:team")
    assert not [path for path in people.paths() if path == "teams" or path.startswith("teams/other")]


async def test_of_channels_and_calls_only_what_people_in_scope_took_part_in_is_kept(people, settings, run):
    people.put("teams", {"id": "team"})
    identity = {"teamId": "team", "channelId": "19:c"}
    to_anna = [{"id": 0, "mentioned": {"user": {"id": "anna"}}}]
    people.put(
        "teams/team/channels/getAllMessages()",
        chat_message("1", "bert", channelIdentity=identity),
        chat_message("2", "bert", "2026-03-05T09:00:00Z", channelIdentity=identity, mentions=to_anna),
        chat_message("3", "stranger", "2026-03-05T09:30:00Z", channelIdentity=identity),
        chat_message("4", "anna", "2026-03-05T10:00:00Z", replyToId="1", channelIdentity=identity),
    )
    people.put("communications/callRecords", record("c1", "peerToPeer", organizer={"user": {"id": "stranger"}}), record("c2", "peerToPeer"))
    people.put("communications/callRecords/c1/sessions", {"caller": user("bert"), "callee": user("cara")})
    people.put("communications/callRecords/c2/sessions", {"caller": user("bert"), "callee": user("anna")})
    landed = await run(settings(mailboxes=(ANNA,)))
    kept = {row["interaction_key"] for row in landed.rows("interaction")}
    messages = {P.key("microsoft365:channel_message", f"19:c:{number}") for number in (2, 4)}
    assert kept == messages | {P.key("microsoft365:call", "c2")}
    assert account("stranger") not in landed.accounts()


# -- calls --------------------------------------------------------------------------------------------------------------


def record(name: str, kind: str, at: str = "2026-03-03T09:01:00.1234567Z", minutes: int = 30, **more) -> dict:
    end = (datetime.fromisoformat(at) + timedelta(minutes=minutes)).isoformat()
    organiser = {"user": {"id": "anna", "displayName": "x"}}
    return {
        "id": name,
        "version": 1,
        "type": kind,
        "startDateTime": at,
        "endDateTime": end,
        "organizer": organiser,
        "joinWebUrl": None,
        **more,
    }


def user(name: str) -> dict:
    return {"identity": {"user": {"id": name, "displayName": "x"}}}


async def test_a_call_of_two(people, settings, run):
    people.put("communications/callRecords", record("c1", "peerToPeer"))
    people.put("communications/callRecords/c1/sessions", {"caller": user("anna"), "callee": user("bert")})
    row = only(await run(settings()), "call")
    assert (row["sender_key"], row["minutes"], row["exclusion"]) == (account("anna"), 30.0, None)
    assert pairs(row) == {(account("anna"), "co_present"), (account("bert"), "co_present")}


@pytest.mark.parametrize(
    "session",
    [
        {"caller": user("anna"), "callee": user("bert"), "failureInfo": {"stage": "callSetup", "reason": "x"}},
        {"caller": user("anna"), "callee": {"@odata.type": "#microsoft.graph.callRecords.serviceEndpoint"}},
    ],
)
async def test_a_missed_call_makes_no_contact(people, settings, run, session):
    people.put("communications/callRecords", record("c1", "peerToPeer"))
    people.put("communications/callRecords/c1/sessions", session)
    row = only(await run(settings()), "call")
    assert (row["exclusion"], row["participants"]) == ("missed", [])


async def test_who_attended_counts_instead_of_who_accepted_and_the_call_is_no_second_meeting(people, settings, run):
    link = "https://teams.example/l/meetup-join/19%3ameeting_x/0?context=1"
    shared(people, event("e1", ANNA, {BERT: "accepted"}, isOnlineMeeting=True, onlineMeeting={"joinUrl": link}), "anna", "bert")
    people.put("communications/callRecords", record("c1", "groupCall", joinWebUrl=link.replace("%3a", "%3A")), record("c2", "groupCall"))
    people.put("communications/callRecords/c1/participants_v2", user("anna"), user("cara"), {"identity": {"phone": {"id": "+1"}}})
    people.put("communications/callRecords/c2/participants_v2", user("anna"), user("bert"))
    landed = await run(settings())
    meeting = only(landed, "meeting")
    assert pairs(meeting) == {(account("anna"), "co_present"), (account("cara"), "co_present")}
    assert pairs(only(landed, "call")) == {(account("anna"), "co_present"), (account("bert"), "co_present")}
    # the next night reads the calendar again, and the calls' details not
    before = people.paths().count("communications/callRecords/c1/participants_v2")
    landed = await run(settings(), landed, until=UNTIL + timedelta(hours=1))
    assert pairs(only(landed, "meeting")) == pairs(meeting)
    assert people.paths().count("communications/callRecords/c1/participants_v2") == before == 1


async def test_a_group_call_that_no_calendar_explains_is_a_call_until_one_does(people, settings, run):
    link = "https://teams.example/meet/1"
    people.put("communications/callRecords", record("c1", "groupCall", joinWebUrl=link))
    people.put("communications/callRecords/c1/participants_v2", user("anna"), user("cara"))
    landed = await run(settings())
    assert len(only(landed, "call")["participants"]) == 2
    shared(people, event("e1", ANNA, {CARA: "accepted"}, isOnlineMeeting=True, onlineMeeting={"joinUrl": link}), "anna")
    landed = await run(settings(), landed, until=UNTIL + timedelta(hours=1))
    assert only(landed, "call")["exclusion"] == "deleted"
    assert len(only(landed, "meeting")["participants"]) == 2


async def test_attendance_reports_where_the_policy_allows(people, settings, run):
    link = "https://teams.example/meet/1"
    shared(people, event("e1", ANNA, {BERT: "accepted"}, isOnlineMeeting=True, onlineMeeting={"joinUrl": link}), "anna")
    people.put("users/anna/onlineMeetings", {"id": "om"})
    times = {"meetingStartDateTime": "2026-03-03T09:00:00Z", "meetingEndDateTime": "2026-03-03T09:40:00Z"}
    people.put(
        "users/anna/onlineMeetings/om/attendanceReports",
        {"id": "r", **times},
        {"id": "old", **dict.fromkeys(times, "2026-02-03T09:00:00Z")},
    )
    people.objects["users/anna/onlineMeetings/om/attendanceReports/r"] = {
        "attendanceRecords": [
            {"emailAddress": ANNA, "totalAttendanceInSeconds": 900},
            {"emailAddress": CARA, "totalAttendanceInSeconds": 60, "identity": {"id": "cara", "displayName": "x"}},
            {"emailAddress": BERT, "totalAttendanceInSeconds": 0},
        ]
    }
    landed = await run(settings(calls=False, attendance_reports=True))
    assert pairs(only(landed, "meeting")) == {(account("anna"), "co_present"), (account("cara"), "co_present")}
    count = len(people.requests)
    landed = await run(settings(calls=False, attendance_reports=True), landed, until=UNTIL + timedelta(hours=1))
    assert not [path for path in people.paths()[count:] if "onlineMeetings" in path]
    assert len(only(landed, "meeting")["participants"]) == 2


# -- the directory ------------------------------------------------------------------------------------------------------


async def test_accounts_and_places(people, settings, run):
    people.user("guest", "x", mail=None, userPrincipalName="pat.doe_far.example#EXT#@own.example", userType="Guest", proxyAddresses=[])
    people.user("shared", "info@own.example", accountEnabled=False, assignedLicenses=[])
    people.user(
        "left", "left@own.example", accountEnabled=False, proxyAddresses=["SMTP:left@own.example", "smtp:l@own.example", "X500:/o=x"]
    )
    people.objects["users/shared/mailboxSettings"] = {"userPurpose": "shared"}
    landed = await run(settings())
    found = landed.accounts()
    assert found[account("guest")]["is_guest"]
    assert found[account("guest")]["person_id"] == P.person_id("pat.doe@far.example")
    assert found[account("shared")]["kind"] == "shared_mailbox"
    assert (found[account("left")]["is_active"], found[account("left")]["is_licensed"]) == (False, True)
    assert found[account("left")]["alias_ids"] == [P.person_id("l@own.example")]
    places = {row["account_key"]: row for row in landed.rows("membership")}
    anna = places[account("anna")]
    assert (anna["team"], anna["office"], anna["manager_key"], anna["observed_on"]) == ("Sales", "Bern", account("cara"), date(2026, 3, 10))
    asked = {path.split("/")[1] for path in people.paths() if "mailFolders" in path}
    assert asked == {"anna", "bert", "cara", "left"}


async def test_the_second_night_stores_only_what_changed(people, settings, run):
    landed = await run(settings())
    count = len(landed.batches)
    people.collections["users"][1]["department"] = "Sales"
    people.delta_tokens["t1"] = [{"id": "bert", "department": "Sales"}, {"id": "cara", "@removed": {"reason": "deleted"}}]
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=1))
    new = Landed()
    new.batches = landed.batches[count:]
    assert [(row["account_key"], row["is_active"], row["person_id"]) for row in new.rows("account")] == [
        (account("cara"), False, P.person_id(CARA))
    ]
    assert [(row["account_key"], row["team"], row["observed_on"]) for row in new.rows("membership")] == [
        (account("bert"), "Sales", date(2026, 3, 11))
    ]
    # a manager is told only where it changed, and stays otherwise
    people.delta_tokens["t1+"] = [{"id": "anna"}]
    people.collections["users"][0]["officeLocation"] = "Basel"
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=2))
    last = landed.rows("membership")[-1]
    assert (last["office"], last["manager_key"]) == ("Basel", account("cara"))


@pytest.mark.parametrize("expired", [(400, "syncStateNotFound"), (410, "resyncRequired")])
async def test_an_expired_delta_is_read_anew(people, settings, run, expired):
    landed = await run(settings())
    people.expired = expired
    people.user("dora", "dora@own.example")
    del people.collections["users"][2]
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=1))
    assert landed.accounts()[account("dora")]["is_active"]
    assert landed.accounts()[account("cara")]["is_active"] is False
    assert landed.state.cursor("directory:delta") == "t1"
    # the other streams went on from their own cursors
    asked = [query["$filter"] for path, query, _ in people.requests if path == "users/anna/mailFolders/sentitems/messages"]
    assert asked[-1].startswith("sentDateTime ge 2026-03-09T12:00:00")


async def test_first_and_last_days_are_kept_and_not_asked_where_unknown(graph, settings, run):
    graph.user("anna", ANNA, employeeHireDate="2020-05-01T00:00:00Z", employeeLeaveDateTime="2026-12-31T00:00:00Z")
    landed = await run(settings(leave_dates=True))
    assert [(row["joined_on"], row["left_on"]) for row in landed.rows("membership")] == [(date(2020, 5, 1), date(2026, 12, 31))]
    (anna,) = graph.collections["users"]
    del anna["employeeHireDate"], anna["employeeLeaveDateTime"]
    anna["department"] = "Sales"
    landed = await run(settings(leave_dates=True), landed, until=UNTIL + timedelta(days=1))
    assert [(row["team"], row["joined_on"]) for row in landed.rows("membership")][1:] == [("Sales", date(2020, 5, 1))]

    async def strict(request):
        return graph.error(400, "BadRequest") if "employeeHireDate" in request.query.get("$select", "") else None

    graph.faults.append(strict)
    assert len((await run(settings())).accounts()) == 1


async def test_the_same_user_may_repeat_in_a_delta(graph, settings, run):
    made = graph.user("anna", ANNA, department="Sales")
    graph.put("users", {"id": "anna", "manager": {"id": "boss"}}, dict(made))
    landed = await run(settings())
    (place,) = landed.rows("membership")
    assert (place["team"], place["manager_key"]) == ("Sales", account("boss"))
