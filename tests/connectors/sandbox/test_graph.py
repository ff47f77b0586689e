from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import aiohttp
import numpy as np
import pytest

from connectors.sandbox import Organisation, Sandbox
from connectors.sandbox import log as l
from connectors.sandbox.graph_directory import object_id
from connectors.sandbox.log import MEDIUM

MAIL = "id,internetMessageId,conversationId,from,toRecipients,ccRecipients,bccRecipients,sentDateTime,isDraft"
CONTENT = re.compile(r"zqcanary")


def correspondent(organisation: Organisation) -> int:
    """Whoever writes most mails."""
    log = organisation.log
    mail = (log.medium == MEDIUM["email"]) & (log.what == l.MESSAGE) & (log.sender < organisation.roster.own)
    return int(np.bincount(log.sender[mail]).argmax())


async def test_tokens_are_given_for_the_right_secret_only(client: Any) -> None:
    sandbox = client.sandbox
    url = f"{sandbox.authority}/{sandbox.tenant_id}/oauth2/v2.0/token"
    wrong = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "client_secret": "no"}
    async with client.session.post(url, data=wrong) as response:
        assert response.status == 401
        assert "AADSTS" in (await response.json())["error_description"]
    async with client.session.get(f"{sandbox.graph_url}/users", headers={"Authorization": "Bearer none"}) as response:
        assert response.status == 401
    assert await client.token()


async def test_tokens_end(organisation: Organisation) -> None:
    async with Sandbox(organisation, graph={"token_seconds": -1}) as sandbox, aiohttp.ClientSession() as session:
        form = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        async with session.post(f"{sandbox.authority}/any/oauth2/v2.0/token", data=form) as response:
            token = (await response.json())["access_token"]
        async with session.get(f"{sandbox.graph_url}/users", headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == 401


async def test_the_directory_tells_people_guests_rooms_and_shared_mailboxes_apart(client: Any) -> None:
    users, _ = await client.graph_pages("users", top=25)
    assert len({user["id"] for user in users}) == len(users)
    guests = [user for user in users if user["userType"] == "Guest"]
    assert all("#EXT#" in user["userPrincipalName"] for user in guests)
    staff = [user for user in users if user["assignedLicenses"]]
    assert len(staff) == 60
    assert all(user["department"] and user["officeLocation"] for user in staff)
    rooms, _ = await client.graph_pages("places/graph.room")
    assert {room["emailAddress"] for room in rooms} <= {user["mail"] for user in users}
    groups, _ = await client.graph_pages("groups", filter="mailEnabled eq true", select="id,mail")
    assert set(groups[0]) == {"id", "mail"}
    members, _ = await client.graph_pages(f"groups/{groups[0]['id']}/transitiveMembers", select="id")
    assert len(members) == 60
    shared = next(user for user in users if (user["mail"] or "").startswith("support@"))
    assert (await client.graph(f"users/{shared['id']}/mailboxSettings", select="userPurpose"))["userPurpose"] == "shared"


async def test_only_what_is_selected_comes(client: Any) -> None:
    users, _ = await client.graph_pages("users", select="id,mail", top=10)
    assert {frozenset(user) for user in users} == {frozenset({"id", "mail"})}
    person = object_id(correspondent(client.sandbox.organisation))
    page = await client.graph(f"users/{person}/mailFolders/sentitems/messages", select=MAIL, top=50)
    assert len(page["value"]) == 50
    for message in page["value"]:
        assert set(message) == {*MAIL.split(","), "@odata.etag"}
        assert not CONTENT.search(str(message))
    view = await client.graph(
        f"users/{person}/calendarView?startDateTime=2025-01-06T00:00:00Z&endDateTime=2025-05-01T00:00:00Z",
        select="id,iCalUId,seriesMasterId,organizer,start,end",
    )
    assert not CONTENT.search(str(view["value"]))


async def test_without_a_selection_content_comes_and_holds_canaries(client: Any) -> None:
    organisation = client.sandbox.organisation
    person = object_id(correspondent(organisation))
    for message in (await client.graph(f"users/{person}/messages", top=20))["value"]:
        assert all(CONTENT.search(message[name]) for name in ("subject", "bodyPreview", "webLink"))
        assert CONTENT.search(message["body"]["content"])
    view = f"users/{person}/calendarView?startDateTime=2025-01-06T00:00:00Z&endDateTime=2025-05-01T00:00:00Z"
    for event in (await client.graph(view))["value"]:
        assert CONTENT.search(event["subject"])
        assert CONTENT.search(event["location"]["displayName"])
    teams, _ = await client.graph_pages("teams")
    for team in teams:
        messages, _ = await client.graph_pages(f"teams/{team['id']}/channels/getAllMessages()", top=50)
        assert all(message["deletedDateTime"] or CONTENT.search(message["body"]["content"]) for message in messages)
        assert all(CONTENT.search(one["mentionText"]) for message in messages for one in message["mentions"])


async def test_mailboxes_of_all_hold_every_mail_from_inside_once_as_sent(client: Any) -> None:
    organisation = client.sandbox.organisation
    log = organisation.log
    names: list[str] = []
    for person in range(organisation.roster.own):
        # some of what people send is filed elsewhere
        for folder in ("sentitems", "archive"):
            path = f"users/{object_id(person)}/mailFolders/{folder}/messages"
            messages, _ = await client.graph_pages(path, select="id,internetMessageId", top=999)
            found = [message["internetMessageId"] for message in messages]
            names += [name for name in found if folder == "sentitems" or f".{person:x}@" in name]
    mail = (log.medium == MEDIUM["email"]) & (log.what != l.DRAFT) & (log.sender < organisation.roster.own)
    assert len(names) == len(set(names)) == int(mail.sum())


async def test_filters_cut_time_into_pieces_that_add_up(client: Any) -> None:
    person = object_id(correspondent(client.sandbox.organisation))
    path = f"users/{person}/mailFolders/sentitems/messages"
    whole, _ = await client.graph_pages(path, select="id,sentDateTime", top=999)
    middle = sorted(message["sentDateTime"] for message in whole)[len(whole) // 2]
    early, _ = await client.graph_pages(path, select="id,sentDateTime", top=7, filter=f"sentDateTime lt {middle}")
    late, _ = await client.graph_pages(
        path, select="id,sentDateTime", top=999, filter=f"sentDateTime ge {middle} and sentDateTime lt 2026-01-01T00:00:00Z"
    )
    assert {message["id"] for message in early} | {message["id"] for message in late} == {message["id"] for message in whole}
    assert len(early) + len(late) == len(whole)
    await client.graph(path, expected=400, filter="contains(subject,'x')")


async def test_pages_follow_prefer_and_top(client: Any) -> None:
    person = object_id(correspondent(client.sandbox.organisation))
    path = f"users/{person}/mailFolders/sentitems/messages"
    assert len((await client.graph(path))["value"]) == 10
    assert len((await client.graph(path, prefer='IdType="ImmutableId", odata.maxpagesize=13'))["value"]) == 13
    assert len((await client.graph(path, prefer="odata.maxpagesize=13", top=5))["value"]) == 5


async def test_delta_tells_what_changed_and_its_tokens_end(organisation: Organisation, asking: Any) -> None:
    start = organisation.begins + timedelta(days=10)
    async with Sandbox(organisation, now=start) as sandbox, aiohttp.ClientSession() as session:
        plain = asking(sandbox, session)
        users, link = await plain.pages("users/delta()?$select=id,mail,department,manager,proxyAddresses,accountEnabled")
        assert link is not None
        assert any("manager@delta" in user for user in users)
        nothing, link = await plain.pages(link)
        assert nothing == []
        moved = [person for person in organisation.people if len(person.places) == 2]
        day = moved[0].places[1].valid_from
        sandbox.now = organisation.begins + timedelta(days=(day - organisation.world.start).days - 1)
        _, link = await plain.pages("users/delta?$select=id,department")
        sandbox.now = sandbox.now + timedelta(days=2)
        changed, link = await plain.pages(str(link))
        mine = [user for user in changed if user["id"] == object_id(moved[0].number)]
        assert mine == [{"id": object_id(moved[0].number), "department": moved[0].places[1].team}]
        sandbox.now = sandbox.now + timedelta(days=8)
        status, body = await plain.get(str(link))
        assert (status, body["error"]["code"]) == (400, "syncStateNotFound")


async def test_a_mailbox_may_be_closed_or_missing(organisation: Organisation, asking: Any) -> None:
    granted = frozenset({"User.Read.All", "Mail.ReadBasic.All"})
    async with (
        Sandbox(organisation, graph={"closed_mailboxes": frozenset({3}), "permissions": granted}) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        plain = asking(sandbox, session)
        assert (await plain.get(f"users/{object_id(3)}/messages"))[0] == 403
        guest = sandbox.graph.directory.guests[0]
        status, body = await plain.get(f"users/{object_id(guest)}/messages")
        assert (status, body["error"]["code"]) == (404, "MailboxNotEnabledForRESTAPI")
        assert (await plain.get("teams"))[0] == 403
        assert (await plain.get("users/nobody"))[0] == 404
        assert (await plain.get("pigeons"))[0] == 404


async def test_a_meeting_is_in_every_calendar_and_its_responses_in_the_organisers(client: Any) -> None:
    organisation = client.sandbox.organisation
    log = organisation.log
    meetings = np.flatnonzero((log.medium == MEDIUM["meeting_hybrid"]) & (log.what == l.MESSAGE) & (client.sandbox.evolution.moved == 0))
    event = next(int(one) for one in meetings if all(who < organisation.roster.own for who, _ in log.participants(int(one))))
    host, guest = int(log.sender[event]), int(log.who[log.offsets[event]])
    window = "startDateTime=2025-01-06T00:00:00Z&endDateTime=2025-06-01T00:00:00Z"
    copies = []
    for person in (host, guest):
        view, _ = await client.graph_pages(f"users/{object_id(person)}/calendarView?{window}", top=999)
        wanted = client.sandbox.graph.calendars.build(person, event, None)
        copies.append(next(one for one in view if (one["iCalUId"], one["start"]) == (wanted["iCalUId"], wanted["start"])))
    assert [copy["isOrganizer"] for copy in copies] == [True, False]
    # some answers were never sent: those are in their owners' copies only
    assert {attendee["status"]["response"] for attendee in copies[0]["attendees"]} <= {"accepted", "declined", "none"}
    assert copies[1]["responseStatus"]["response"] in ("accepted", "declined")
    assert copies[0]["isOnlineMeeting"]
    assert copies[0]["locations"][0]["locationType"] == "conferenceRoom"
    assert [attendee["type"] for attendee in copies[0]["attendees"]][-1] == "resource"


async def test_meetings_move(organisation: Organisation) -> None:
    async with Sandbox(organisation) as sandbox:
        evolution, calendars = sandbox.evolution, sandbox.graph.calendars
        event = int(np.flatnonzero(evolution.moved)[0])
        host = int(organisation.log.sender[event])
        for offset, expected in ((-60_000_000, evolution.moved_from), (60_000_000, organisation.log.at)):
            sandbox.now = organisation.begins + timedelta(microseconds=int(evolution.moved[event]) + offset - organisation.calendar.epoch)
            start = int(expected[event]) // 60_000_000 * 60_000_000
            assert event in calendars.view(host, start, start + 60_000_000)


async def test_chats_are_under_every_participant_and_channels_hold_replies(client: Any) -> None:
    organisation = client.sandbox.organisation
    log = organisation.log
    chats = (log.medium == MEDIUM["teams_chat"]) & (log.at <= client.sandbox.clock.microseconds)
    found: dict[str, int] = {}
    for person in range(len(organisation.people)):
        if organisation.people[person].is_internal:
            messages, _ = await client.graph_pages(f"users/{object_id(person)}/chats/getAllMessages", top=50)
            for message in messages:
                found[f"{message['chatId']}|{message['id']}"] = found.get(f"{message['chatId']}|{message['id']}", 0) + 1
    assert len(found) == int((chats | (log.medium == MEDIUM["teams_group_chat"])).sum())
    assert max(found.values()) >= 2
    name = next(iter(found)).partition("|")[0]
    members = (await client.graph(f"chats/{name}", expand="members"))["members"]
    assert len(members) == 2
    teams, _ = await client.graph_pages("teams")
    channel_messages = []
    for team in teams:
        messages, _ = await client.graph_pages(f"teams/{team['id']}/channels/getAllMessages()", top=50)
        channel_messages += messages
    assert len(channel_messages) == int((log.medium == MEDIUM["teams_channel"]).sum())
    roots = {(message["channelIdentity"]["channelId"], message["id"]) for message in channel_messages}
    replies = [message for message in channel_messages if message["replyToId"]]
    assert replies
    assert all((message["channelIdentity"]["channelId"], message["replyToId"]) in roots for message in replies)


async def test_call_records_live_thirty_days(client: Any) -> None:
    sandbox = client.sandbox
    records, _ = await client.graph_pages("communications/callRecords")
    oldest = min(record["startDateTime"] for record in records)
    assert oldest >= (sandbox.now - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    group = next(record for record in records if record["type"] == "groupCall")
    people, _ = await client.graph_pages(f"communications/callRecords/{group['id']}/participants_v2")
    assert len(people) >= 2
    pair = [record for record in records if record["type"] == "peerToPeer"]
    for record in pair[:1]:
        sessions, _ = await client.graph_pages(f"communications/callRecords/{record['id']}/sessions")
        assert sessions[0]["caller"]["identity"]["user"]["id"] == record["organizer"]["user"]["id"]
    quoted = group["joinWebUrl"].replace("'", "''")
    host = group["organizer"]["user"]["id"]
    found = (await client.graph(f"users/{host}/onlineMeetings", filter=f"JoinWebUrl eq '{quoted}'"))["value"]
    reports = (await client.graph(f"users/{host}/onlineMeetings/{found[0]['id']}/attendanceReports", expand="attendanceRecords"))["value"]
    assert all(report["attendanceRecords"] for report in reports)


async def test_a_batch_answers_each_request(client: Any) -> None:
    headers = {"Authorization": f"Bearer {await client.token()}"}
    asked = {"requests": [{"id": "1", "method": "GET", "url": "/users?$top=2"}, {"id": "2", "method": "GET", "url": "/pigeons"}]}
    async with client.session.post(client.sandbox.graph_url + "/$batch", json=asked, headers=headers) as response:
        answers = (await response.json())["responses"]
    assert [(answer["id"], answer["status"]) for answer in answers] == [("1", 200), ("2", 404)]


async def test_microsofts_own_sdk_can_read_it(client: Any) -> None:
    pytest.importorskip("msgraph")
    from connectors.microsoft365.client import Graph
    from connectors.microsoft365.settings import Microsoft365Settings

    async with Graph(Microsoft365Settings(**client.sandbox.graph_settings())) as graph:
        person = object_id(correspondent(client.sandbox.organisation))
        builder = graph.client.users.by_user_id(person).mail_folders.by_mail_folder_id("sentitems").messages
        found = [message async for page in graph.pages(builder, select=["id", "sentDateTime"], top=40) for message in page.values]
        assert len(found) == len({message["id"] for message in found}) > 40
        rooms = await graph.get(graph.client.places.graph_room, top=3)
        assert len(rooms["value"]) == 3
    assert client.sandbox.requests["users/{user}/mailFolders/{folder}/messages"] >= 2
