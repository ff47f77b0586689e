"""Mail as tenants have it: copies here and there, delegates, leavers, robots, threads; each kind in several shapes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from graph_world import UNTIL, FakeGraph, Landed, P, account, mail, outsider, person

from connectors.microsoft365.mail import conversation_id
from pipelines.warehouse import Warehouse

ANNA, BERT, CARA = "anna@own.example", "bert@own.example", "cara@own.example"
ZOE = "zoe@far.example"
INBOX, SENT, ARCHIVE = "mailFolders/inbox/messages", "mailFolders/sentitems/messages", "mailFolders/archive/messages"
PATH = "/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=aa11-bert"


@pytest.fixture(params=["folders", "whole"])
def people(graph: FakeGraph, request: pytest.FixtureRequest) -> FakeGraph:
    """Three colleagues in a service that lists folders one by one, or whole mailboxes as well."""
    graph.whole_mailboxes = request.param == "whole"
    for name, address in (("anna", ANNA), ("bert", BERT), ("cara", CARA)):
        graph.user(name, address)
    return graph


def mails(landed: Landed) -> list[dict[str, Any]]:
    found = [row for row in landed.interactions().values() if row["medium"] == "email"]
    return sorted(found, key=lambda row: (row["occurred_at"], row["interaction_key"]))


def only(landed: Landed) -> dict[str, Any]:
    (row,) = mails(landed)
    return row


def reached(row: dict[str, Any]) -> dict[int, str]:
    return {entry["account_key"]: entry["evidence"] for entry in row["participants"]}


def persons(landed: Landed) -> set[int]:
    return {key for key, row in landed.accounts().items() if row["kind"] in ("human", "unknown")}


# -- whose copy counts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sender, spoil",
    [
        pytest.param("gone@own.example", lambda graph: None, id="deleted before the first run"),
        pytest.param(BERT, lambda graph: graph.errors.update({"users/bert/": (404, "MailboxNotEnabledForRESTAPI")}), id="on premises"),
        pytest.param(BERT, lambda graph: graph.errors.update({"users/bert/": (403, "ErrorAccessDenied")}), id="closed"),
        pytest.param(BERT, lambda graph: graph.errors.update({"users/bert/": (503, "serviceNotAvailable")}), id="failing"),
        pytest.param(BERT, lambda graph: None, id="sent without a copy"),
        pytest.param(BERT, lambda graph: graph.collections["users"][1].update(assignedLicenses=[]), id="without a licence"),
        pytest.param(BERT, lambda graph: graph.collections["users"][1].update(accountEnabled=False), id="blocked"),
        pytest.param(ZOE, lambda graph: None, id="outside"),
    ],
)
async def test_a_received_copy_counts_where_the_senders_was_not_met(people, settings, run, sender: str, spoil: Callable) -> None:
    spoil(people)
    made = mail("m1", sender, [ANNA, CARA])
    people.put(f"users/anna/{INBOX}", made)
    people.put(f"users/cara/{INBOX}", made | {"id": "AAMk-other"})
    row = only(await run(settings(attempts=2)))
    assert row["sender_key"] == (account("bert") if sender == BERT else outsider(sender))
    assert reached(row) == {account("anna"): "addressed", account("cara"): "addressed"}
    assert row["is_received"] is True


async def test_mail_of_people_out_of_scope_counts_both_ways_and_coverage_says_so(people, settings, run) -> None:
    people.put("groups/g/transitiveMembers", {"id": "anna"})
    people.put(f"users/anna/{INBOX}", mail("m1", BERT, [ANNA]))
    people.put(f"users/anna/{SENT}", mail("m2", ANNA, [BERT], "2026-03-02T10:00:00Z"))
    for only_some in ({"mailboxes": (ANNA,)}, {"groups": ("g",)}):
        landed = await run(settings(**only_some))
        assert [row["sender_key"] for row in mails(landed)] == [account("bert"), account("anna")]
        whole = [row for row in landed.rows("coverage") if row["medium"] == "email" and row["unit_key"] == 0]
        assert [(row["status"], row["reason"]) for row in whole] == [("partial", "out_of_scope")]


@pytest.mark.parametrize("owner", ["anna", "zzz"])
async def test_the_senders_own_copy_holds_whichever_is_read_first(people, settings, run, owner: str) -> None:
    # a mailbox that is read before or after those of the recipients
    people.user("zzz", "zzz@own.example")
    sender = f"{owner}@own.example"
    people.put(f"users/{owner}/{SENT}", mail("m1", sender, [BERT], bccRecipients=[person(CARA)]))
    for name in ("bert", "cara"):
        people.put(f"users/{name}/{INBOX}", mail("m1", sender, [BERT]))
    row = only(await run(settings(concurrency=1)))
    assert reached(row) == {account("bert"): "addressed", account("cara"): "addressed"}
    assert row["is_received"] is False


async def test_the_senders_own_copy_is_found_in_whichever_folder_it_was_filed(graph, settings, run) -> None:
    graph.whole_mailboxes = True
    graph.user("anna", ANNA)
    graph.user("bert", BERT)
    graph.put("users/anna/mailFolders/project/messages", mail("m1", ANNA, [BERT], bccRecipients=[person(ZOE)]))
    graph.put(f"users/bert/{INBOX}", mail("m1", ANNA, [BERT]))
    assert set(reached(only(await run(settings())))) == {account("bert"), outsider(ZOE)}
    asked = [path for path in graph.paths() if path.endswith("messages")]
    assert sorted(asked) == ["users/anna/messages", "users/bert/messages"]


async def test_parts_of_a_tenant_read_one_by_one_leave_the_same(people, settings) -> None:
    """Two homes' worth of mailboxes, in both orders, and everybody at once: the same in the warehouse."""
    people.put(f"users/anna/{SENT}", mail("m1", ANNA, [BERT], bccRecipients=[person(CARA)]))
    people.put(f"users/bert/{INBOX}", mail("m1", ANNA, [BERT]), mail("m2", ZOE, [BERT, ANNA]))
    people.put(f"users/cara/{INBOX}", mail("m1", ANNA, [BERT]))
    people.put(f"users/anna/{INBOX}", mail("m2", ZOE, [BERT, ANNA]))

    async def held(*turns: tuple[str, ...]) -> list[Any]:
        with Warehouse(None) as warehouse:
            for mailboxes in turns:
                await stored(warehouse, settings(mailboxes=mailboxes))
            return warehouse.run("select interaction_key, sender_key, participants, is_received from raw.interaction order by all")

    whole = await held(())
    assert len(whole) == 2
    assert await held((ANNA,), (BERT, CARA)) == await held((BERT, CARA), (ANNA,)) == await held((CARA,), (BERT,), (ANNA,)) == whole


async def stored(warehouse: Warehouse, settings: Any) -> None:
    from connectors.microsoft365 import fetch

    async for batch in fetch(settings, P, UNTIL - timedelta(days=30), UNTIL, warehouse.state("microsoft365")):
        warehouse.store(batch)


@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_copies_of_a_message_to_oneself_the_fuller_holds(people, settings, run, order: int) -> None:
    copies = [mail("m1", ANNA, [ANNA]), mail("m1", ANNA, [ANNA], bccRecipients=[person(BERT)])][::order]
    people.put(f"users/anna/{INBOX}", copies[0])
    people.put(f"users/anna/{SENT}", copies[1])
    people.put(f"users/bert/{INBOX}", mail("m1", ANNA, [ANNA]))
    assert set(reached(only(await run(settings())))) == {account("bert")}


async def test_drafts_in_other_folders_are_nothing_that_happened(people, settings, run) -> None:
    people.put("users/anna/mailFolders/drafts/messages", mail("d1", ANNA, [BERT], isDraft=True))
    people.put(f"users/anna/{INBOX}", mail("d2", ZOE, [ANNA], isDraft=True))
    assert mails(await run(settings())) == []


# -- which folders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["archive", "AAMk-rule", "junkemail", "deleteditems"])
async def test_mail_that_was_filed_before_the_night_is_found(graph, settings, run, folder: str) -> None:
    graph.whole_mailboxes = True
    graph.user("anna", ANNA)
    graph.put(f"users/anna/mailFolders/{folder}/messages", mail("m1", ZOE, [ANNA]))
    landed = await run(settings())
    assert only(landed)["sender_key"] == outsider(ZOE)
    assert told(landed) == ("observed", "all_folders")


@pytest.mark.parametrize("where, said, count", [("inbox", ("partial", "inbox_only"), 2), ("off", ("partial", "sent_only"), 1)])
async def test_what_settings_leave_out_coverage_tells(people, settings, run, where: str, said: tuple[str, str], count: int) -> None:
    people.put(f"users/anna/{ARCHIVE}", mail("m1", ZOE, [ANNA]))
    people.put(f"users/anna/{INBOX}", mail("m2", ZOE, [ANNA]))
    people.put(f"users/anna/{SENT}", mail("m3", ANNA, [ZOE]))
    landed = await run(settings(external_mail=where))
    assert (len(mails(landed)), told(landed)) == (count, said)


def told(landed: Landed) -> tuple[str, str]:
    (row,) = [row for row in landed.rows("coverage") if row["medium"] == "email" and row["unit_key"] == 0]
    return row["status"], row["reason"]


async def test_a_folder_that_fails_costs_that_folder_and_is_read_again(graph, settings, run) -> None:
    graph.user("anna", ANNA)
    graph.put(f"users/anna/{INBOX}", mail("m1", ZOE, [ANNA]))
    graph.put(f"users/anna/{SENT}", mail("m2", ANNA, [ZOE]))
    graph.errors[f"users/anna/{SENT}"] = (503, "serviceNotAvailable")
    landed = await run(settings(attempts=2))
    assert only(landed)["sender_key"] == outsider(ZOE)
    missing = [row for row in landed.rows("coverage") if row["unit_key"] == account("anna") and row["medium"] == "email"]
    assert [(row["status"], row["reason"]) for row in missing] == [("missing", "unavailable")]
    graph.errors.clear()
    await run(settings(), landed, until=UNTIL + timedelta(days=1))
    assert len(mails(landed)) == 2


async def test_a_quiet_mailbox_costs_one_request(graph, settings, run) -> None:
    graph.whole_mailboxes = True
    graph.user("anna", ANNA)
    await run(settings(calendar=False, chats=False))
    assert [path for path in graph.paths() if path.startswith("users/anna/")] == ["users/anna/messages"]


@pytest.mark.parametrize("vanishing", [0, 3, 11])
async def test_what_vanishes_while_a_mailbox_is_read_hides_nothing_else(graph, settings, run, vanishing: int) -> None:
    graph.whole_mailboxes = graph.counts_skips = True
    graph.page_size = 5
    graph.user("anna", ANNA)
    # several of one moment, more of them than a page holds
    times = [f"2026-03-02T09:{n // 7:02d}:00Z" for n in range(21)]
    graph.put(f"users/anna/{INBOX}", *(mail(f"m{n}", ZOE, [ANNA], times[n]) for n in range(21)))
    inbox = graph.collections[f"users/anna/{INBOX}"]
    asked = 0

    async def delete(request: Any) -> None:
        nonlocal asked
        if request.path.endswith("users/anna/messages"):
            asked += 1
            if asked == 2 and vanishing < 8:
                del inbox[:vanishing]

    graph.faults.append(delete)
    assert len(mails(await run(settings(calendar=False, chats=False)))) == 21


# -- threads ------------------------------------------------------------------------------------------------------------


def index(conversation: bytes, answers: int = 0) -> str:
    return base64.b64encode(b"\x01\xd3\x27\x5b\xbc\x4e" + conversation + b"\x00\x00\x00\x00\x05" * answers).decode()


def in_mailbox(mailbox: int, conversation: bytes) -> str:
    text = f"00000000-0000-0000-0000-{mailbox:012x}".encode()
    return base64.urlsafe_b64encode(b"\x00\x04\x24\x00" + text + b"\x00\x10\x00" + conversation).decode()


ONE, OTHER = bytes(range(16)), bytes(range(100, 116))


@pytest.mark.parametrize("answers", [0, 1, 7])
async def test_a_thread_is_one_in_every_mailbox(people, settings, run, answers: int) -> None:
    people.put(f"users/anna/{SENT}", mail("m1", ANNA, [BERT], conversationId=in_mailbox(1, ONE), conversationIndex=index(ONE)))
    again = mail("m2", BERT, [ANNA], conversationId=in_mailbox(2, ONE), conversationIndex=index(ONE, answers))
    people.put(f"users/bert/{SENT}", again)
    people.put(f"users/cara/{SENT}", mail("m3", CARA, [ANNA], conversationId=in_mailbox(3, OTHER), conversationIndex=index(OTHER)))
    threads = {row["sender_key"]: row["thread_key"] for row in mails(await run(settings()))}
    assert threads[account("anna")] == threads[account("bert")] != threads[account("cara")]


def test_a_conversation_is_named_by_its_own_bytes() -> None:
    assert conversation_id(index(ONE), "x") == conversation_id(index(ONE, 3), None) == ONE.hex()
    # without an index the id ends with the same bytes; where it is built otherwise, it is taken as it is
    assert conversation_id(None, in_mailbox(1, ONE)) == conversation_id("no base64!", in_mailbox(2, ONE)) == ONE.hex()
    assert conversation_id("AQHV", "plain") == "plain"
    assert conversation_id(None, "A" * 80) == "A" * 80
    assert conversation_id(7, None) is conversation_id(None, "") is conversation_id("AQHV", 7) is None


# -- who wrote ----------------------------------------------------------------------------------------------------------


def shared_mailbox(graph: FakeGraph) -> None:
    graph.user("help", "help@own.example", assignedLicenses=[], accountEnabled=False)
    graph.objects["users/help/mailboxSettings"] = {"userPurpose": "shared"}


@pytest.mark.parametrize(
    "shown, wrote, expected",
    [
        pytest.param(ANNA, BERT, account("bert"), id="on behalf of a colleague"),
        pytest.param("help@own.example", BERT, account("bert"), id="on behalf of a shared mailbox"),
        pytest.param("all@own.example", BERT, account("bert"), id="on behalf of a group"),
        pytest.param("help@own.example", "help@own.example", account("bert"), id="as a shared mailbox"),
        pytest.param("all@own.example", "all@own.example", account("bert"), id="as a group"),
        pytest.param(PATH, PATH, account("bert"), id="by an unknown path"),
        pytest.param("gone@own.example", BERT, account("bert"), id="on behalf of who left"),
        pytest.param(BERT, "noreply@own.example", account("bert"), id="through a robot"),
    ],
)
async def test_what_lies_in_sent_items_is_of_who_wrote_it(people, settings, run, shown: str, wrote: str, expected: int) -> None:
    shared_mailbox(people)
    people.put("groups", {"id": "g", "mail": "all@own.example"})
    made = mail("m1", shown, [CARA]) | {"sender": person(wrote)}
    people.put(f"users/bert/{SENT}", made)
    people.put(f"users/cara/{INBOX}", made)
    row = only(await run(settings()))
    assert row["sender_key"] == expected
    assert reached(row) == {account("cara"): "addressed"}


@pytest.mark.parametrize(
    "shown, wrote, expected",
    [
        pytest.param(ZOE, "assistant@far.example", "assistant@far.example", id="a delegate outside"),
        pytest.param(ZOE, "office@mail.far.example", "office@mail.far.example", id="a delegate at a subdomain"),
        pytest.param(ZOE, "u123@sender.example", ZOE, id="a mailing service"),
        pytest.param(ZOE, "bounces+1@far.example", ZOE, id="a bounce address"),
        pytest.param("gone@own.example", "tickets@service.example", "tickets@service.example", id="a service in a colleague's name"),
        pytest.param(ZOE, None, ZOE, id="no sender"),
        pytest.param(None, ZOE, ZOE, id="no from"),
    ],
)
async def test_what_came_is_of_who_wrote_it(people, settings, run, shown: str | None, wrote: str | None, expected: str) -> None:
    made = mail("m1", ZOE, [ANNA]) | {"from": shown and person(shown), "sender": wrote and person(wrote)}
    people.put(f"users/anna/{INBOX}", made)
    assert only(await run(settings()))["sender_key"] == outsider(expected)


async def test_mail_from_a_shared_mailbox_whose_writer_nobody_knows_is_no_persons(people, settings, run) -> None:
    shared_mailbox(people)
    people.put(f"users/anna/{INBOX}", mail("m1", "help@own.example", [ANNA]))
    landed = await run(settings())
    assert only(landed)["sender_key"] == account("help")
    assert account("help") not in persons(landed)


# -- no mail, no persons ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "marks",
    [
        {"@odata.type": "#microsoft.graph.eventMessage"},
        {"@odata.type": "#microsoft.graph.eventMessageRequest", "meetingMessageType": "meetingRequest"},
        {"@odata.type": "#microsoft.graph.eventMessageResponse"},
        {"meetingMessageType": "meetingCancelled"},
        {"meetingMessageType": "meetingTentativelyAccepted"},
    ],
)
@pytest.mark.parametrize("sender, folder", [(ANNA, SENT), (ZOE, INBOX)])
async def test_invitations_and_answers_are_no_mail(people, settings, run, marks: dict, sender: str, folder: str) -> None:
    people.put(f"users/anna/{folder}", mail("m1", sender, [BERT], **marks))
    row = only(await run(settings()))
    assert (row["exclusion"], row["participants"], row["recipient_count"]) == ("system", [], 1)


@pytest.mark.parametrize("type_", ["#microsoft.graph.message", None])
async def test_other_types_are_mail(people, settings, run, type_: str | None) -> None:
    people.put(f"users/anna/{SENT}", mail("m1", ANNA, [BERT], **{"@odata.type": type_, "meetingMessageType": "none"}))
    assert only(await run(settings()))["exclusion"] is None


async def test_robots_are_counted_and_nobody(people, settings, run) -> None:
    robots = ["noreply@shop.example", "MAILER-DAEMON@mx.example", "bounces+7@news.example", "users@lists.far.example", "jira@own.example"]
    for number, robot in enumerate(robots):
        people.put(f"users/anna/{INBOX}", mail(f"m{number}", robot, [ANNA]))
    people.put(f"users/anna/{SENT}", mail("s", ANNA, [*robots, BERT]))
    landed = await run(settings(automatic_senders=("jira@*",)))
    assert len(mails(landed)) == len(robots) + 1
    assert persons(landed) == {account(name) for name in ("anna", "bert", "cara")}
    assert {landed.accounts()[outsider(robot.casefold().replace("+7", ""))]["kind"] for robot in robots} == {"bot"}


async def test_a_robots_mailbox_in_the_directory_is_nobodys_and_not_read(people, settings, run) -> None:
    people.user("robot", "no-reply@own.example")
    people.put(f"users/robot/{SENT}", mail("m1", "no-reply@own.example", [ANNA]))
    people.put(f"users/anna/{INBOX}", mail("m1", "no-reply@own.example", [ANNA]))
    landed = await run(settings())
    assert (only(landed)["sender_key"], landed.accounts()[account("robot")]["kind"]) == (account("robot"), "bot")
    assert not [path for path in people.paths() if path.startswith("users/robot/")]


# -- addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "'bert@own.example'",
        "\u202abert@own.example\u202c",
        "SIP:Bert@Own.Example",
        "Bert <bert@own.example>;",
        '"bert"@own.example.',
        "bert@old.example",
        "IMCEASMTP-bert+40own+2Eexample@eurprd01.example",
        PATH.upper(),
        f"x500:{PATH}",
        "IMCEAEX-_O=EXCHANGELABS_OU=EXCHANGE+20ADMINISTRATIVE+20GROUP+20+28FYDIBOHF23SPDLT+29_CN=RECIPIENTS_CN=AA11-BERT@own.example",
    ],
)
@pytest.mark.parametrize("field", ["toRecipients", "ccRecipients", "bccRecipients", "from"])
async def test_a_colleague_is_known_however_they_are_written(people, settings, run, written: str, field: str) -> None:
    people.collections["users"][1]["proxyAddresses"] = [
        "SMTP:bert@own.example",
        "smtp:bert@old.example",
        f"X500:{PATH}",
        "SIP:bert@own.example",
    ]
    if field == "from":
        people.put(f"users/anna/{INBOX}", mail("m1", written, [ANNA]))
    else:
        people.put(f"users/anna/{SENT}", mail("m1", ANNA, []) | {field: [person(written)]})
    landed = await run(settings())
    row = only(landed)
    assert account("bert") in {row["sender_key"], *reached(row)}
    assert persons(landed) == {account(name) for name in ("anna", "bert", "cara")}


async def test_a_path_that_nobody_has_is_counted_and_nobody(people, settings, run) -> None:
    people.put("groups", {"id": "g", "mail": "all@own.example", "proxyAddresses": [f"x500:{PATH}-list"]})
    people.put(f"users/anna/{SENT}", mail("m1", ANNA, [f"{PATH}-list", f"{PATH}-gone", BERT]))
    landed = await run(settings())
    assert (reached(only(landed)), only(landed)["recipient_count"]) == ({account("bert"): "addressed"}, 3)
    assert len(persons(landed)) == 3


# -- the whole way ------------------------------------------------------------------------------------------------------


async def test_a_delegates_work_makes_the_delegates_contact(people, settings, run) -> None:
    people.put(f"users/bert/{SENT}", mail("m1", ANNA, [CARA]) | {"sender": person(BERT)})
    landed = await run(settings())
    with Warehouse(None) as warehouse:
        for batch in landed.batches:
            warehouse.store(batch)
        assert warehouse.run("select sender_key from raw.interaction") == [(account("bert"),)]
