"""Whole nights: with faults, cut short, repeated; and no word of content anywhere."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

import pytest
from aiohttp import web
from graph_world import CANARY, UNTIL, Landed, P, account, chat_message, event, mail

from connectors.microsoft365 import SCOPES, check, fetch, pump
from pipelines.warehouse import Warehouse

NAMES = [f"u{number}" for number in range(4)]
CHAT = "19:x@thread.v2"


def address(name: str) -> str:
    return f"{name}@own.example"


@pytest.fixture
def world(graph):
    """Six people, mail both ways, meetings inside and with a client, chats, channels and calls."""
    chance = random.Random(3)
    graph.page_size = 6
    for name in NAMES:
        graph.user(name, address(name), department="Sales", manager={"id": "u0", "displayName": CANARY})
    graph.put("groups", {"id": "g", "mail": "all@own.example", "displayName": CANARY})
    graph.put("places/graph.room", {"emailAddress": "room@own.example", "displayName": CANARY})
    for number in range(24):
        sender, other = chance.sample(NAMES, 2)
        at = f"2026-03-{1 + number % 9:02d}T0{number % 8}:30:00Z"
        graph.put(f"users/{sender}/mailFolders/sentitems/messages", mail(f"m{number}", address(sender), [address(other)], at))
        graph.put(f"users/{other}/mailFolders/inbox/messages", mail(f"m{number}", address(sender), [address(other)], at))
        if number % 4 == 0:
            outside = mail(f"x{number}", "client@far.example", [address(sender), address(other)], at)
            for name in (sender, other):
                graph.put(f"users/{name}/mailFolders/inbox/messages", outside)
        organiser = "client@far.example" if number % 5 == 0 else address(sender)
        for name in (sender, other):
            response = {"response": chance.choice(["accepted", "declined"])} if number % 5 == 0 else {"response": "none"}
            made = event(f"e{number}", organiser, {address(sender): "none", address(other): "accepted"}, at[:19], responseStatus=response)
            graph.put(f"users/{name}/calendarView", made)
            graph.put(f"users/{name}/chats/getAllMessages()", chat_message(str(number), sender, at, chatId=CHAT))
    graph.objects[f"chats/{CHAT}"] = {
        "chatType": "group",
        "topic": CANARY,
        "members": [{"userId": name, "displayName": CANARY} for name in NAMES],
    }
    graph.put("teams", {"id": "t", "displayName": CANARY})
    graph.put("teams/t/channels", {"id": "19:c", "displayName": CANARY, "membershipType": "standard"})
    identity = {"teamId": "t", "channelId": "19:c"}
    graph.put(
        "teams/t/channels/getAllMessages()",
        *(chat_message(str(n), "u1", replyToId="0" if n else None, channelIdentity=identity) for n in range(5)),
    )
    times = {"startDateTime": "2026-03-05T09:00:00Z", "endDateTime": "2026-03-05T09:20:00Z"}
    graph.put("communications/callRecords", {"id": "c1", "type": "peerToPeer", **times})
    sides = {side: {"identity": {"user": {"id": name, "displayName": CANARY}}} for side, name in (("caller", "u1"), ("callee", "u2"))}
    graph.put("communications/callRecords/c1/sessions", {"id": "s", **sides})
    return graph


def tables(landed: Landed) -> dict:
    interactions = {key: {**row, "participants": sorted(map(str, row["participants"]))} for key, row in landed.interactions().items()}
    places = {(row["account_key"], row["observed_on"]): row for row in landed.rows("membership")}
    spaces = {row["space_key"]: row for row in landed.rows("space")}
    return {"interaction": interactions, "account": landed.accounts(), "membership": places, "space": spaces}


def some_faults(seed: int, share: float):
    chance = random.Random(seed)

    async def fault(request):
        if chance.random() >= share:
            return None
        kind = chance.randrange(5)
        if kind == 0:
            return web.json_response({"error": {"code": "x", "message": CANARY}}, status=429, headers={"Retry-After": "0"})
        if kind == 1:
            return web.json_response({"error": {"code": "x"}}, status=chance.choice([500, 502, 503, 504]))
        if kind == 2:
            return web.Response(status=502, text=f"<html>{CANARY}", content_type="text/html")
        if kind == 3:
            return web.Response(text='{"value": [', content_type="application/json")
        request.transport.abort()
        return web.Response()

    return fault


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_night_with_faults_ends_like_one_without(world, settings, run, seed):
    plain = tables(await run(settings()))
    assert len(plain["interaction"]) > 50
    world.faults.append(some_faults(seed, 0.2))
    world.empty_pages = bool(seed % 2)
    assert tables(await run(settings(attempts=30, concurrency=3 * seed))) == plain


@pytest.mark.parametrize("limit", ["_PARTS_A_BATCH", "_SECONDS_A_BATCH", "_ROWS_A_BATCH"])
async def test_nothing_is_lost_between_batches_however_small(world, settings, run, monkeypatch, limit):
    plain = await run(settings(window_days=7))
    monkeypatch.setattr(pump, limit, 0 if limit != "_ROWS_A_BATCH" else 1)
    small = await run(settings(window_days=7))
    assert len(small.batches) > len(plain.batches)
    assert tables(small) == tables(plain)
    assert small.state.cursors("") == plain.state.cursors("")


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100))
async def test_a_hundred_nights_with_faults(world, settings, run, seed):
    plain = tables(await run(settings()))
    world.faults.append(some_faults(seed, 0.2))
    assert tables(await run(settings(attempts=30))) == plain


async def test_runs_cut_short_anywhere_lose_nothing(world, settings, run):
    plain = tables(await run(settings(window_days=7)))
    landed = Landed()
    stop = 2
    while stop:
        batches = fetch(settings(window_days=7, concurrency=2), P, None, UNTIL, landed.state)
        count = 0
        async for batch in batches:
            landed.add(batch)
            count += 1
            if count == stop:
                break
        else:
            stop = -2
        await batches.aclose()
        stop += 2
    assert tables(landed) == plain


async def test_a_repeated_night_changes_nothing_and_asks_little(world, settings, run):
    landed = await run(settings())
    plain, count = tables(landed), len(world.requests)
    world.delta_tokens["t1"] = []
    again = Landed()
    again.state = landed.state
    await run(settings(), again, until=UNTIL + timedelta(hours=1))
    for key, row in tables(again)["interaction"].items():
        assert plain["interaction"][key] == row
    assert not again.rows("membership")
    assert {row["kind"] for row in again.rows("account")} <= {"unknown"}
    assert len(world.requests) - count < count


async def test_the_warehouse_holds_the_same_after_every_night(world, settings):
    warehouse = Warehouse(None, time_zone="UTC")
    changed, plain = [], None
    for hours in (0, 1):
        count = 0
        async for batch in fetch(settings(), P, None, UNTIL + timedelta(hours=hours), warehouse.state("microsoft365")):
            count += warehouse.store(batch).changed_interaction_count
        changed.append(count)
        held = warehouse.run("select interaction_key, exclusion, participants from raw.interaction order by interaction_key")
        plain = plain or held
        assert held == plain
    warehouse.close()
    assert changed[0] > 50
    assert changed[1] == 0


async def test_no_word_of_content_leaves(world, settings, run, caplog):
    caplog.set_level(logging.DEBUG)
    landed = await run(settings())
    for batch in landed.batches:
        for table in batch.records.values():
            assert CANARY not in str(table.to_pydict())
        assert CANARY not in str(batch.cursors)
        for word in ("own.example", "far.example", "19:", "AAMk", *NAMES):
            assert word not in str(dict(batch.cursors)).replace("u0021", "")
    assert CANARY not in caplog.text
    assert "own.example" not in caplog.text


async def test_everything_read_is_accounted_for(world, settings, run):
    broken = mail("bad", "u1@own.example", [], "2021-03-1706:47:05.123Z")
    world.put("users/u1/mailFolders/sentitems/messages", broken, {**mail("bad2", "x", []), "from": None, "sender": None}, "no object")
    landed = await run(settings(external_mail="off", calendar=False, chats=False, channels=False, calls=False))
    sent = sum(len(world.collections[f"users/{name}/mailFolders/sentitems/messages"]) for name in NAMES)
    quarantined = {row["record_key"]: row["reason"] for row in landed.rows("quarantine")}
    assert sorted(quarantined.values()) == ["bad_time", "missing_sender", "not_an_object"]
    assert len(landed.interactions()) + len(quarantined) == sent


async def test_a_mailbox_that_comes_back_is_read_from_where_it_was_lost(world, settings, run):
    world.errors["users/u1/"] = (403, "ErrorAccessDenied")
    landed = await run(settings())
    missing = [row for row in landed.rows("coverage") if row["unit_key"] == account("u1") and row["medium"] == "email"]
    assert [(row["status"], row["reason"]) for row in missing] == [("missing", "forbidden")]
    world.errors.clear()
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    found = [row for row in landed.rows("coverage") if row["unit_key"] == account("u1") and row["medium"] == "email"]
    assert found[-1]["status"] == "observed"
    assert found[-1]["date_from"] == missing[0]["date_from"]
    plain = await run(settings(), until=UNTIL + timedelta(days=1))
    assert tables(landed)["interaction"] == tables(plain)["interaction"]


async def test_a_missing_permission_is_said_once(world, settings, run):
    for name in NAMES:
        world.errors[f"users/{name}/calendarView"] = (403, "ErrorAccessDenied")
    world.errors["communications/"] = (403, "Forbidden")
    world.errors["teams"] = (403, "Forbidden")
    landed = await run(settings())
    missing = {
        (row["stream"], row["medium"], row["unit_key"], row["reason"]) for row in landed.rows("coverage") if row["status"] == "missing"
    }
    assert missing == {
        *(
            ("calendar", medium, 0, "missing_scope")
            for medium in ("meeting_online", "meeting_in_person", "meeting_hybrid", "meeting_unknown")
        ),
        ("calls", "call", 0, "missing_scope"),
        ("channels", "teams_channel", 0, "missing_scope"),
    }


async def test_a_later_since_leaves_no_hole(world, settings, run):
    landed = await run(settings(), until=UNTIL - timedelta(days=6))
    await run(settings(), landed, since=UNTIL - timedelta(days=1))
    assert tables(landed)["interaction"].keys() == tables(await run(settings()))["interaction"].keys()


# -- check --------------------------------------------------------------------------------------------------------------


async def test_check_names_what_works_and_what_is_missing(world, settings):
    world.errors["users/u0/calendarView"] = (403, "ErrorAccessDenied")
    world.errors["communications/callRecords"] = (403, "Forbidden")
    found = {entry.scope: entry for entry in await check(settings())}
    assert [scope for scope, entry in found.items() if not entry.works] == ["Calendars.ReadBasic.All", "CallRecords.Read.All"]
    assert found["Calendars.ReadBasic.All"].costs == "all meetings"
    assert "Calendars.ReadBasic.All" in found["Calendars.ReadBasic.All"].grant
    assert "OnlineMeetings.Read.All" not in found
    assert "OnlineMeetings.Read.All" in {entry.scope for entry in await check(settings(attendance_reports=True))}
    assert len(world.requests) < 40


async def test_check_proves_every_permission_that_is_ever_asked_for(world, settings):
    found = [entry.scope for entry in await check(settings(attendance_reports=True, leave_dates=True))]
    assert sorted(found) == sorted(SCOPES)
    plain = {entry.scope for entry in await check(settings(mail=False, calendar=False, chats=False, channels=False, calls=False))}
    assert plain == {"User.Read.All", "Organization.Read.All", "GroupMember.Read.All", "Place.Read.All", "MailboxSettings.Read"}


async def test_check_stops_where_the_directory_is_closed(world, settings):
    world.errors["users"] = (403, "Authorization_RequestDenied")
    (only,) = await check(settings())
    assert (only.scope, only.works) == ("User.Read.All", False)
