"""A whole tenant with every shape at once: what is true of it is stored, however it is read, and a quiet night asks little."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from aiohttp import web
from graph_world import CANARY, UNTIL, Landed, P
from tenants import Tenant

from connectors.microsoft365 import fetch, pump


@pytest.fixture
def tenant(graph):
    graph.page_size = 6
    return Tenant(graph)


def tables(landed: Landed) -> dict:
    interactions = {key: {**row, "participants": sorted(map(str, row["participants"]))} for key, row in landed.interactions().items()}
    spaces = {row["space_key"]: row for row in landed.rows("space")}
    return {"interaction": interactions, "account": landed.accounts(), "space": spaces}


def faults(seed: int, share: float):
    """Faults of every kind that passes, single refusals of the token among them."""
    chance = random.Random(seed)

    async def fault(request):
        if chance.random() >= share:
            return None
        kind = chance.randrange(7)
        if kind == 0:
            return web.json_response({"error": {"code": "InvalidAuthenticationToken", "message": CANARY}}, status=401)
        if kind == 1:
            return web.json_response({"error": {"code": "x", "message": CANARY}}, status=429, headers={"Retry-After": "0"})
        if kind == 2:
            return web.json_response({"error": {"code": "x"}}, status=chance.choice([500, 502, 503, 504]))
        if kind == 3:
            return web.Response(status=503, text=f"<html>{CANARY}", content_type="text/html")
        if kind == 4:
            return web.json_response({"@odata.context": "x"})
        if kind == 5:
            return web.Response(text='{"value": [', content_type="application/json")
        request.transport.abort()
        return web.Response()

    return fault


async def test_what_is_true_of_a_tenant_is_stored(tenant, settings, run):
    landed = await run(settings())
    stored = landed.interactions()
    for key, there in tenant.ledger.together.items():
        assert {entry["account_key"] for entry in stored[key]["participants"]} == there
        assert stored[key]["exclusion"] is None
    for key, exclusion in tenant.ledger.excluded.items():
        assert (stored[key]["exclusion"], stored[key]["participants"]) == (exclusion, [])
    for key, reached in tenant.ledger.chats.items():
        assert {entry["account_key"] for entry in stored[key]["participants"]} == reached
    known = {*tenant.ledger.together, *tenant.ledger.excluded, *tenant.ledger.chats}
    assert {key for key, row in stored.items() if row["medium"] not in {"email", "teams_channel"}} == known
    assert not landed.rows("quarantine")
    assert {row["status"] for row in landed.rows("coverage") if row["unit_key"] == 0} == {"observed"}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_faults_pace_and_order_leave_equal_tables(tenant, settings, run, seed):
    plain = tables(await run(settings()))
    tenant.graph.faults.append(faults(seed, 0.1))
    random.Random(seed).shuffle(tenant.graph.collections["users"])
    tenant.graph.empty_pages = seed == 2
    tenant.graph.delay = 0.002 * (seed == 3)
    assert tables(await run(settings(concurrency=(1, 5, 40)[seed - 1], pace=(1, 0.5, 3)[seed - 1], window_days=5 * seed))) == plain


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100))
async def test_a_hundred_nights_with_faults_of_every_kind(tenant, settings, run, seed):
    plain = tables(await run(settings()))
    tenant.graph.faults.append(faults(seed, 0.1))
    assert tables(await run(settings())) == plain


async def test_a_night_with_nothing_new_asks_little(tenant, settings, run):
    landed = await run(settings())
    tenant.graph.delta_tokens["t1"] = []
    tenant.graph.page_size = 500
    before = len(tenant.graph.requests)
    plain = tables(landed)
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    asked = [path for path in tenant.graph.paths()[before:] if path.startswith("users/")]
    mailboxes = len(tenant.with_mailbox)
    # calendars and chats, a request each; mail has the third
    assert len([path for path in asked if "calendarView" in path]) == mailboxes
    assert len([path for path in asked if "getAllMessages" in path]) == mailboxes + 3
    assert not [path for path in tenant.graph.paths()[before:] if path.startswith(("chats/", "communications/callRecords/"))]
    assert tables(landed)["interaction"] == plain["interaction"]


@pytest.mark.parametrize("stop", [5, 20, 45, 70])
async def test_a_night_that_was_killed_is_gone_on_with(tenant, settings, run, monkeypatch, stop):
    monkeypatch.setattr(pump, "_PARTS_A_BATCH", 1)
    plain = await run(settings(concurrency=2))
    whole = len(tenant.graph.requests)
    tenant.graph.requests.clear()
    landed = Landed()
    batches = fetch(settings(concurrency=2), P, None, UNTIL, landed.state)
    async for batch in batches:
        landed.add(batch)
        if len(landed.batches) == stop:
            break
    await batches.aclose()
    # some hours later, by the clock
    await run(settings(concurrency=2), landed, until=UNTIL + timedelta(hours=3))
    assert tables(landed) == tables(plain)
    # again only the directory, the lists of calls and teams, and what was under way or not yet stored
    assert len(tenant.graph.requests) <= whole + 40
    assert not {name for name in landed.state.cursors("") if name.startswith(("run:", "copies:"))}
