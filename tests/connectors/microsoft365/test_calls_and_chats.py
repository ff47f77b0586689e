"""Calls that come late, are answered at a telephone or refused one by one; chats of people without mailboxes, and who is in them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiohttp import web
from graph_world import CANARY, UNTIL, P, account, chat_message

ANNA, BERT = "anna@own.example", "bert@own.example"
CHAT = "19:x@thread.v2"


@pytest.fixture
def people(graph):
    graph.user("anna", ANNA)
    graph.user("bert", BERT)
    for path in ("communications/callRecords", "teams"):
        graph.put(path)
    return graph


@pytest.fixture
def only_calls(settings):
    return lambda **more: settings(**{"mail": False, "calendar": False, "chats": False, "channels": False, **more})


@pytest.fixture
def only_chats(settings):
    return lambda **more: settings(**{"mail": False, "calendar": False, "calls": False, "channels": False, **more})


def record(name="c1", kind="peerToPeer", at="2026-03-03T09:00:00.1234567Z", end="2026-03-03T09:10:00Z", **more):
    return {"id": name, "version": 1, "type": kind, "startDateTime": at, "endDateTime": end, "joinWebUrl": None, **more}


def user(name):
    return {"identity": {"user": {"id": name, "displayName": CANARY}, "phone": None}}


PHONE = {"identity": {"user": None, "phone": {"id": "+49301234", "displayName": CANARY}}}
GUEST = {"identity": {"user": None, "guest": {"id": "anonymous", "displayName": CANARY}}}
VOICE_MAIL = {"@odata.type": "#microsoft.graph.callRecords.serviceEndpoint"}
ROBOT = {"identity": {"user": None, "application": {"id": "queue", "displayName": CANARY}}}


def only(landed):
    (row,) = landed.interactions().values()
    return row


def present(row):
    return {entry["account_key"] for entry in row["participants"]}


# -- telephones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "session, more, exclusion",
    [
        ({"caller": user("anna"), "callee": PHONE}, {}, "out_of_scope"),
        ({"caller": PHONE, "callee": user("anna")}, {"organizer": {"phone": {"id": "+49301234"}}}, "out_of_scope"),
        ({"caller": user("anna"), "callee": GUEST}, {}, "out_of_scope"),
        ({"caller": user("anna"), "callee": PHONE, "failureInfo": {"stage": "callSetup"}}, {}, "missed"),
        ({"caller": user("anna"), "callee": PHONE}, {"end": "2026-03-03T09:00:00.1234567Z"}, "missed"),
        ({"caller": PHONE, "callee": VOICE_MAIL}, {"organizer": {"phone": {"id": "+49301234"}}}, "missed"),
        ({"caller": PHONE, "callee": ROBOT}, {"organizer": {"phone": {"id": "+49301234"}}}, "missed"),
        ({"caller": user("anna"), "callee": VOICE_MAIL}, {}, "missed"),
        ({"caller": user("anna"), "callee": user("bert")}, {}, None),
    ],
)
async def test_an_answered_telephone_is_not_missed(people, only_calls, run, session, more, exclusion):
    people.put("communications/callRecords", record(**{"organizer": {"user": {"id": "anna"}}, **more}))
    people.put("communications/callRecords/c1/sessions", {"failureInfo": None, **session})
    landed = await run(only_calls())
    row = only(landed)
    assert (row["exclusion"], len(row["participants"])) == (exclusion, 0 if exclusion else 2)
    assert "+49301234" not in str(row)


async def test_of_several_tries_one_that_was_answered_counts(people, only_calls, run):
    people.put("communications/callRecords", record(organizer={"user": {"id": "anna"}}))
    failed = {"caller": user("anna"), "callee": user("bert"), "failureInfo": {"stage": "callSetup"}}
    people.put("communications/callRecords/c1/sessions", failed, {"caller": user("anna"), "callee": PHONE, "failureInfo": None})
    assert only(await run(only_calls()))["exclusion"] is None


async def test_a_group_call_with_telephones_only_reaches_nobody_who_is_known(people, only_calls, run):
    people.put("communications/callRecords", record(kind="groupCall"))
    people.put("communications/callRecords/c1/participants_v2", user("anna"), PHONE, PHONE)
    row = only(await run(only_calls()))
    assert (row["exclusion"], row["participants"], row["recipient_count"]) == ("out_of_scope", [], 3)


# -- late, and one by one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [1, 20, 30, 50, 75, 100, 140])
async def test_a_call_record_that_comes_late_is_met(people, only_calls, run, hours):
    landed = await run(only_calls(), until=UNTIL - timedelta(days=6))
    # the call was at 9 on the third; nights end at noon
    for day in range(-5, 5):
        night = UNTIL + timedelta(days=day)
        if night >= UNTIL - timedelta(days=7, hours=3) + timedelta(hours=hours) and not people.collections["communications/callRecords"]:
            people.put("communications/callRecords", record(organizer={"user": {"id": "anna"}}))
            people.put("communications/callRecords/c1/sessions", {"caller": user("anna"), "callee": user("bert")})
        await run(only_calls(), landed, until=night)
    assert present(only(landed)) == {account("anna"), account("bert")}
    assert people.paths().count("communications/callRecords/c1/sessions") == 1


@pytest.mark.parametrize("status", [500, 403, 401, 429])
async def test_a_refused_record_costs_itself_and_is_asked_for_again(people, only_calls, run, status):
    for number in range(70):
        name, day = f"c{number}", f"2026-03-0{1 + number % 9}"
        people.put("communications/callRecords", record(name, at=f"{day}T09:00:00Z", end=f"{day}T09:10:00Z"))
        people.put(f"communications/callRecords/{name}/sessions", {"caller": user("anna"), "callee": user("bert")})
    people.errors["communications/callRecords/c7/"] = (status, "someCode")
    landed = await run(only_calls(attempts=2))
    assert len(landed.interactions()) == 69
    told = [row for row in landed.rows("coverage") if row["unit_key"] == P.key("microsoft365:call", "c7")]
    assert [(row["status"], row["reason"]) for row in told] == [("missing", "forbidden" if status in {401, 403} else "unavailable")]
    assert {row["status"] for row in landed.rows("coverage") if row["unit_key"] == 0} == {"observed"}
    people.errors.clear()
    before = len(people.requests)
    await run(only_calls(), landed, until=UNTIL + timedelta(hours=1))
    assert len(landed.interactions()) == 70
    told = [row for row in landed.rows("coverage") if row["unit_key"] == P.key("microsoft365:call", "c7")]
    assert told[-1]["status"] == "observed"
    # what was read before is not asked for again
    assert len([path for path in people.paths()[before:] if path.endswith("/sessions")]) == 1


async def test_what_was_read_before_a_page_failed_is_remembered(people, only_calls, run):
    people.page_size = 10
    for number in range(30):
        people.put("communications/callRecords", record(f"c{number}"))
        people.put(f"communications/callRecords/c{number}/sessions", {"caller": user("anna"), "callee": user("bert")})

    async def fault(request):
        is_third = request.path.endswith("callRecords") and request.query.get("$skiptoken") == "20"
        return web.Response(status=500, text="<html>") if is_third else None

    people.faults.append(fault)
    landed = await run(only_calls(attempts=2))
    assert len(landed.interactions()) == 20
    assert [row["status"] for row in landed.rows("coverage")] == ["missing"]
    people.faults.clear()
    before = len(people.requests)
    await run(only_calls(), landed, until=UNTIL + timedelta(hours=1))
    assert len(landed.interactions()) == 30
    assert len([path for path in people.paths()[before:] if path.endswith("/sessions")]) == 10


# -- frontline ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["fay@own.example", "fay"])
async def test_people_without_a_mailbox_have_chats(people, only_chats, settings, run, address):
    fay = "44444444-4444-4444-4444-444444444444"
    people.user(fay, "x", mail=None, userPrincipalName=address, proxyAddresses=[])
    people.objects[f"chats/{CHAT}"] = {"chatType": "group", "members": [{"userId": fay}, {"userId": "anna"}, {"userId": "bert"}]}
    people.put(f"users/{fay}/chats/getAllMessages()", chat_message("1", fay, chatId=CHAT))
    landed = await run(settings())
    row = only(landed)
    assert (row["sender_key"], present(row)) == (account(fay), {account("anna"), account("bert")})
    # they are asked for nothing else
    asked = {path.partition(f"users/{fay}/")[2] for path in people.paths() if f"users/{fay}/" in path}
    assert asked == {"chats/getAllMessages()"}


@pytest.mark.parametrize(
    "more",
    [{"assignedLicenses": []}, {"userType": "Guest", "mail": "x@far.example"}, {"userType": "Guest"}],
    ids=["no-licence", "guest", "bare"],
)
async def test_who_has_no_licence_or_is_a_guest_is_not_asked(people, only_chats, run, more):
    people.user("x", "x@own.example", **{"mail": None, **more})
    await run(only_chats())
    assert not [path for path in people.paths() if path.startswith("users/x/chats")]


# -- members ------------------------------------------------------------------------------------------------------------


def group(people, *names, kind="group"):
    people.objects[f"chats/{CHAT}"] = {"chatType": kind, "members": [{"userId": name} for name in names]}


def at(hours):
    return (UNTIL + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_members_of_chats_are_kept_over_nights(people, only_chats, run):
    people.user("cara", "cara@own.example")
    group(people, "anna", "bert", "far")
    people.put("users/anna/chats/getAllMessages()", chat_message("1", "anna", at(-1), chatId=CHAT))
    landed = await run(only_chats())
    first = dict(landed.interactions())
    for day in range(1, 4):
        people.put("users/anna/chats/getAllMessages()", chat_message(f"n{day}", "anna", at(24 * day - 1), chatId=CHAT))
        await run(only_chats(), landed, until=UNTIL + timedelta(days=day))
    assert people.paths().count(f"chats/{CHAT}") == 1
    assert {frozenset(present(row)) for row in landed.interactions().values()} == {frozenset({account("bert"), account("far")})}
    assert all(landed.interactions()[key] == row for key, row in first.items())
    assert "anna" not in str(landed.state.cursors("chats_known"))
    # a month later they are asked about once more
    people.put("users/anna/chats/getAllMessages()", chat_message("m", "anna", at(24 * 40 - 1), chatId=CHAT))
    await run(only_chats(), landed, until=UNTIL + timedelta(days=40))
    assert people.paths().count(f"chats/{CHAT}") == 2


@pytest.mark.parametrize("what", ["membersAdded", "membersDeleted", "membersJoined", "membersLeft"])
async def test_a_chat_is_asked_about_again_once_somebody_came_or_went(people, only_chats, run, what):
    people.user("cara", "cara@own.example")
    group(people, "anna", "bert")
    people.put("users/anna/chats/getAllMessages()", chat_message("1", "anna", at(-30), chatId=CHAT))
    landed = await run(only_chats())
    group(people, "anna", "cara")
    told = {"messageType": "systemEventMessage", "eventDetail": {"@odata.type": f"#microsoft.graph.{what}EventMessageDetail"}}
    people.put(
        "users/anna/chats/getAllMessages()",
        chat_message("2", None, at(20), chatId=CHAT, **told),
        chat_message("3", "anna", at(21), chatId=CHAT),
    )
    await run(only_chats(), landed, until=UNTIL + timedelta(days=1))
    row = landed.interactions()[P.key("microsoft365:chat_message", f"{CHAT}:3")]
    assert present(row) == {account("cara")}
    await run(only_chats(), landed, until=UNTIL + timedelta(days=2))
    assert people.paths().count(f"chats/{CHAT}") == 2


async def test_members_who_ask_to_be_left_out_are_left_out_of_chats_that_are_known(people, only_chats, run):
    group(people, "anna", "bert")
    people.objects[f"chats/{CHAT}"]["members"].append({"userId": "far", "email": "far@far.example"})
    people.put("users/anna/chats/getAllMessages()", chat_message("1", "anna", at(-1), chatId=CHAT))
    landed = await run(only_chats())
    people.put("users/anna/chats/getAllMessages()", chat_message("2", "anna", at(23), chatId=CHAT))
    out = (P.person_id("far@far.example"),)
    await run(only_chats(opted_out=out), landed, until=UNTIL + timedelta(days=1))
    assert present(landed.interactions()[P.key("microsoft365:chat_message", f"{CHAT}:2")]) == {account("bert")}


@pytest.mark.parametrize("fault", [(500, "x"), "no members", "html"])
async def test_a_chat_whose_members_cannot_be_read_is_told_and_made_good(people, only_chats, run, fault):
    group(people, "anna", "bert", "cara")
    whole = people.objects[f"chats/{CHAT}"]
    if fault == "no members":
        people.objects[f"chats/{CHAT}"] = {"chatType": "group"}
    elif fault == "html":
        people.faults.append(lambda request: _html(request))
    else:
        people.errors["chats/"] = fault
    people.put("users/anna/chats/getAllMessages()", chat_message("1", "anna", at(-20), chatId=CHAT))
    landed = await run(only_chats(attempts=2))
    assert only(landed)["participants"] == []
    (told,) = [row for row in landed.rows("coverage") if row["status"] == "partial"]
    assert (told["unit_key"], told["reason"]) == (P.key("microsoft365:chat", CHAT), "members_unavailable")
    people.errors.clear()
    people.faults.clear()
    people.objects[f"chats/{CHAT}"] = whole
    await run(only_chats(), landed, until=UNTIL + timedelta(days=1))
    assert present(only(landed)) == {account("bert"), account("cara")}


async def _html(request):
    is_chat = request.path.startswith("/v1.0/chats/")
    return web.Response(status=200, text="<html>sign in here</html>", content_type="text/html") if is_chat else None
