"""Who is a colleague, a person at all, and of which team: as of the day, and as the tenant says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from graph_world import UNTIL, FakeGraph, Landed, P, account, mail, outsider

from connectors.errors import UserError

ANNA, BERT = "anna@own.example", "bert@own.example"
INBOX, SENT = "mailFolders/inbox/messages", "mailFolders/sentitems/messages"
ID, GONE = "11111111-1111-1111-1111-111111111111", "33333333-3333-3333-3333-333333333333"


@pytest.fixture
def people(graph: FakeGraph) -> FakeGraph:
    graph.user("anna", ANNA, department="Sales")
    graph.user("bert", BERT, department="Research")
    return graph


def last(landed: Landed, key: int) -> dict[str, Any]:
    return landed.accounts()[key]


def places(landed: Landed, key: int) -> list[tuple[str | None, Any]]:
    return [(row["team"], row["observed_on"]) for row in landed.rows("membership") if row["account_key"] == key]


# -- leavers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["shared", "room", "equipment", "user", None])
@pytest.mark.parametrize("more", [{}, {"department": None, "officeLocation": None}, {"assignedLicenses": [{"skuId": "x"}]}])
async def test_who_was_a_person_stays_one(people, settings, run, purpose: str | None, more: dict) -> None:
    landed = await run(settings())
    left = people.collections["users"][1] | {"accountEnabled": False, "assignedLicenses": []} | more
    people.collections["users"][1] = left
    people.delta_tokens["t1"] = [left]
    if purpose is not None:
        people.objects["users/bert/mailboxSettings"] = {"userPurpose": purpose}
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    row = last(landed, account("bert"))
    assert (row["kind"], row["is_active"], row["is_guest"]) == ("human", False, False)
    # the team of before was not taken back
    assert places(landed, account("bert"))[0][0] == "Research"


async def test_a_deleted_account_keeps_what_it_was(people, settings, run) -> None:
    landed = await run(settings())
    del people.collections["users"][1]
    people.delta_tokens["t1"] = [{"id": "bert", "@removed": {"reason": "deleted"}}]
    people.put(f"users/anna/{INBOX}", mail("m1", BERT, [ANNA], "2026-03-10T13:00:00Z"))
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    row = last(landed, account("bert"))
    assert (row["kind"], row["is_active"], row["person_id"]) == ("human", False, P.person_id(BERT))
    # what still comes from the address is theirs: the same person
    (found,) = [row for row in landed.interactions().values() if row["medium"] == "email"]
    assert last(landed, found["sender_key"])["person_id"] == P.person_id(BERT)
    assert last(landed, found["sender_key"])["is_guest"] is False


async def test_a_member_who_is_a_guest_now_was_a_member(people, settings, run) -> None:
    landed = await run(settings())
    people.collections["users"][1] |= {"userType": "Guest"}
    people.delta_tokens["t1"] = [people.collections["users"][1]]
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    assert last(landed, account("bert"))["is_guest"] is False


@pytest.mark.parametrize(
    "more, kind",
    [
        ({}, "shared_mailbox"),
        ({"department": "Support"}, "shared_mailbox"),
        ({"manager@delta": [{"id": "anna"}]}, "human"),
        ({"employeeHireDate": "2020-01-01T00:00:00Z"}, "human"),
    ],
)
async def test_a_shared_mailbox_that_was_employed_is_someone_who_left_before_the_first_run(people, settings, run, more, kind) -> None:
    people.user("x", "x@own.example", accountEnabled=False, assignedLicenses=[], **more)
    people.objects["users/x/mailboxSettings"] = {"userPurpose": "shared"}
    assert last(await run(settings()), account("x"))["kind"] == kind


async def test_a_shared_mailbox_with_a_licence_stays_one(people, settings, run) -> None:
    people.user("x", "x@own.example", accountEnabled=False, assignedLicenses=[])
    people.objects["users/x/mailboxSettings"] = {"userPurpose": "shared"}
    landed = await run(settings())
    people.collections["users"][2] |= {"accountEnabled": True, "assignedLicenses": [{"skuId": "x"}]}
    people.delta_tokens["t1"] = [people.collections["users"][2]]
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    assert last(landed, account("x"))["kind"] == "shared_mailbox"


# -- own domains --------------------------------------------------------------------------------------------------------


def tenant(*domains: str) -> dict[str, Any]:
    return {"id": "t-own", "verifiedDomains": [{"name": domain, "isDefault": False} for domain in domains]}


async def guests(run: Any, settings: Any, people: FakeGraph, *addresses: str, **more: Any) -> dict[str, bool]:
    people.put(f"users/anna/{SENT}", mail("m", ANNA, list(addresses)))
    landed = await run(settings(**more))
    return {address: last(landed, outsider(address))["is_guest"] for address in addresses}


async def test_own_domains_are_those_that_the_tenant_verified(people, settings, run) -> None:
    people.put("organization", tenant("own.example", "Old.Example", "b\u00fccher.example"))
    found = await guests(run, settings, people, "a@old.example", "b@far.example", "c@own.example", "d@xn--bcher-kva.example")
    assert found == {"a@old.example": False, "b@far.example": True, "c@own.example": False, "d@xn--bcher-kva.example": False}


@pytest.mark.parametrize("broken", [None, {}, {"verifiedDomains": None}, {"verifiedDomains": [7, {"name": None}]}, 7])
async def test_without_an_answer_they_are_those_of_licensed_members(people, settings, run, broken: Any) -> None:
    if broken is not None:
        people.put("organization", broken)
    people.user("svc", "svc@far.example", assignedLicenses=[])
    people.user("home", "home@private.example", userPrincipalName="home@own.example")
    found = await guests(run, settings, people, "a@far.example", "b@private.example", "c@own.example")
    assert found == {"a@far.example": True, "b@private.example": True, "c@own.example": False}


@pytest.mark.parametrize("kind", ["Member", "Guest"])
async def test_a_partner_does_not_become_own_by_being_listed(people, settings, run, kind: str) -> None:
    name = "pat_partner.example#EXT#@own.onmicrosoft.example"
    for number in range(3):
        people.user(f"pat{number}", f"pat{number}@partner.example", userPrincipalName=f"{number}{name}", userType=kind)
    assert await guests(run, settings, people, "zoe@partner.example") == {"zoe@partner.example": True}
    assert not [path for path in people.paths() if path.startswith("users/pat")]


async def test_settings_name_more(people, settings, run) -> None:
    assert await guests(run, settings, people, "a@sister.example", own_domains=["Sister.example"]) == {"a@sister.example": False}


async def test_where_nobody_would_be_inside_the_run_stops_with_the_fix(graph, settings, run) -> None:
    graph.user("pat", "pat@partner.example", userPrincipalName="pat_partner.example#EXT#@own.example")
    with pytest.raises(UserError, match=r"Organization\.Read\.All.*own_domains"):
        await run(settings())
    assert await run(settings(own_domains=["own.example"]))


async def test_where_everybody_would_be_inside_the_run_stops_with_the_fix(people, settings, run) -> None:
    with pytest.raises(UserError, match=r"gmail\.com.*leave it out"):
        await run(settings(own_domains=["own.example", "gmail.com"]))
    people.user("x", "x@gmail.com", userPrincipalName="x@gmail.com")
    assert await guests(run, settings, people, "stranger@gmail.com") == {"stranger@gmail.com": True}


# -- ids without an entry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "member, is_guest",
    [
        ({"tenantId": "t-own", "email": None}, False),
        ({"tenantId": "T-OWN"}, False),
        ({"tenantId": "t-far", "email": "x@far.example"}, True),
        ({"tenantId": "t-far"}, True),
        ({"email": "gone@own.example"}, False),
        ({"email": "x@far.example"}, True),
        ({}, True),
    ],
)
@pytest.mark.parametrize("known_by", ["settings", "organization"])
async def test_someone_of_the_own_tenant_was_a_colleague(graph, settings, run, member: dict, is_guest: bool, known_by: str) -> None:
    graph.user(ID, ANNA)
    chat = f"19:{ID}_{GONE}@unq.gbl.spaces"
    message = {"id": "1", "chatId": chat, "messageType": "message", "createdDateTime": "2026-03-04T09:00:00Z"}
    message |= {"lastModifiedDateTime": "2026-03-04T09:00:00Z", "from": {"user": {"id": GONE}}}
    graph.put(f"users/{ID}/chats/getAllMessages()", message)
    graph.objects[f"chats/{chat}"] = {"chatType": "oneOnOne", "members": [{"userId": ID, "email": ANNA}, {"userId": GONE, **member}]}
    if known_by == "organization":
        graph.put("organization", tenant("own.example"))
    landed = await run(settings(tenant_id="t-own" if known_by == "settings" else "own.onmicrosoft.example"))
    assert last(landed, account(GONE))["is_guest"] is is_guest
    (space,) = [row for row in landed.rows("space") if row["kind"] == "chat"]
    assert space["is_shared"] is is_guest


# -- parts that fail ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part, path", [("groups", "groups"), ("rooms", "places/")])
@pytest.mark.parametrize("status", [500, 503, 502])
async def test_a_part_of_the_directory_that_fails_costs_that_part(people, settings, run, part: str, path: str, status: int) -> None:
    people.put("groups", {"id": "g", "mail": "all@own.example"})
    people.put("places/graph.room", {"emailAddress": "room@own.example"})
    landed = await run(settings())
    people.errors[path] = (status, "generalException")
    people.put(f"users/anna/{SENT}", mail("m1", ANNA, ["all@own.example", BERT], "2026-03-10T13:00:00Z"))
    await run(settings(attempts=2), landed, until=UNTIL + timedelta(days=1))
    told = [(row["status"], row["reason"]) for row in landed.rows("coverage") if row["stream"] == "directory"]
    assert told == [("partial", f"{part}_unavailable")]
    # groups are remembered: mail to one makes no person
    assert outsider("all@own.example") not in landed.accounts()
    assert len([row for row in landed.interactions().values() if row["medium"] == "email"]) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_a_part_that_may_not_be_read_is_no_hole(people, settings, run, status: int) -> None:
    people.errors |= {"groups": (status, "x"), "places/": (status, "x"), "organization": (status, "x")}
    landed = await run(settings())
    assert not [row for row in landed.rows("coverage") if row["stream"] == "directory"]
