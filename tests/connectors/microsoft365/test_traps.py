"""Traps of Graph and of Microsoft's kits that no other file here meets, a test each."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from graph_world import UNTIL, P, account, event, mail

from connectors.microsoft365 import directory
from connectors.microsoft365.client import Graph

ROOT = Path(__file__).resolve().parents[3]
ANNA, BERT, CARA = "anna@own.example", "bert@own.example", "cara@own.example"
LINK = "https://teams.example/meet/1"


@pytest.fixture
def people(graph):
    for name, address in (("anna", ANNA), ("bert", BERT), ("cara", CARA)):
        graph.user(name, address)
    return graph


def only(landed, medium):
    (row,) = [row for row in landed.interactions().values() if row["medium"].startswith(medium)]
    return row


def present(row):
    return {entry["account_key"] for entry in row["participants"]}


def record(name, version=1, at="2026-03-08T09:00:00Z", **more):
    return {"id": name, "version": version, "type": "groupCall", "startDateTime": at, "endDateTime": at.replace("09:00", "09:30"), **more}


def member(name):
    return {"identity": {"user": {"id": name}}}


# -- the kits -----------------------------------------------------------------------------------------------------------


def test_no_typed_model_of_a_message_is_ever_loaded():
    code = """
import asyncio, sys
from connectors.microsoft365 import Microsoft365Settings
from connectors.microsoft365.client import Graph
async def main():
    given = {"tenant_id": "t", "client_id": "c", "client_secret": "s", "authority": "http://127.0.0.1:9", "base_url": "http://127.0.0.1:9/v1.0"}
    async with Graph(Microsoft365Settings(**given, attempts=1)) as graph:
        user = graph.client.users.by_user_id("u")
        for builder in (user.mail_folders.by_mail_folder_id("sentitems").messages, user.calendar_view, user.chats.get_all_messages):
            builder.to_get_request_information()
asyncio.run(main())
kits = {name.rpartition(".")[2] for name in sys.modules if name.startswith("msgraph.generated.models.")}
print(sorted(kits & {"message", "event", "chat_message", "user", "call_record"}))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "host, login",
    [
        ("https://graph.microsoft.us", "https://login.microsoftonline.us"),
        ("https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        ("https://microsoftgraph.chinacloudapi.cn", "https://login.partner.microsoftonline.cn"),
    ],
)
async def test_a_national_cloud_is_two_settings(settings, host, login):
    async with Graph(settings(base_url=f"{host}/v1.0", authority=login)) as graph:
        information = graph.client.users.to_get_request_information()
        information.path_parameters["baseurl"] = graph.settings.base_url
        assert information.url == f"{host}/v1.0/users"
        provider = graph._adapter._authentication_provider.access_token_provider
        assert provider._scopes == [f"{host}/.default"]
        assert graph._is_ours(f"{host}/v1.0/users?$skiptoken=1")
        assert not graph._is_ours("https://graph.microsoft.com/v1.0/users?$skiptoken=1")
        assert graph._sign_in._credential._client._authority == login


async def test_a_managed_identity_signs_in_at_the_machines_own_endpoint(people, settings, monkeypatch):
    asked = []

    async def token(request):
        asked.append((dict(request.query), request.headers["X-IDENTITY-HEADER"]))
        return web.json_response({"access_token": "tok-secret-en", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"})

    application = web.Application()
    application.router.add_get("/msi/token", token)
    async with TestServer(application) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", str(server.make_url("/msi/token")))
        monkeypatch.setenv("IDENTITY_HEADER", "of this machine")
        chosen = settings(client_secret=None, client_id="", managed_identity=True, authority="https://login.microsoftonline.com")
        async with Graph(chosen) as graph:
            found = [value["id"] async for page in graph.pages(graph.client.users, select=["id"]) for value in page.values]
    assert found == ["anna", "bert", "cara"]
    ((query, header),) = asked
    assert query["resource"] == people.base.removesuffix("/v1.0")
    assert header == "of this machine"


# -- the directory ------------------------------------------------------------------------------------------------------


async def test_an_expired_delta_waits_a_random_while_before_everybody_is_read_anew(people, settings, run, monkeypatch):
    landed = await run(settings())
    people.expired = (410, "resyncRequired")
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(directory.asyncio, "sleep", sleep)
    drawn = set()
    for number in range(1, 4):
        await run(settings(resync_jitter_seconds=40), landed, until=UNTIL + timedelta(hours=number))
        drawn.add(waits[-1])
    assert len(drawn) == 3
    assert all(0 <= seconds <= 40 for seconds in drawn)
    # that stream alone: mail went on from its cursor
    asked = [query["$filter"] for path, query, _ in people.requests if path == "users/anna/mailFolders/sentitems/messages"]
    assert all(text.startswith("sentDateTime ge 2026-03-0") for text in asked[1:])


async def test_calendars_are_read_plainly_and_never_by_delta(people, settings, run):
    people.put("users/anna/calendarView", *(event(f"e{number}", ANNA, {BERT: "accepted"}) for number in range(3)))
    people.page_size = 1
    await run(settings())
    views = [(path, query) for path, query, _ in people.requests if "calendarView" in path]
    assert {path.rpartition("/")[2] for path, _ in views} == {"calendarView"}
    assert all("$select" in query and {"startDateTime", "endDateTime"} <= set(query) for _, query in views)


# -- calls --------------------------------------------------------------------------------------------------------------


async def test_a_later_version_of_a_call_record_replaces_the_earlier(people, settings, run):
    people.put("communications/callRecords", record("c1"))
    people.put("communications/callRecords/c1/participants_v2", member("anna"), member("bert"))
    landed = await run(settings())
    assert present(only(landed, "call")) == {account("anna"), account("bert")}
    people.collections["communications/callRecords"] = [record("c1", version=2)]
    people.put("communications/callRecords/c1/participants_v2", member("cara"))
    landed = await run(settings(overlap_hours=720), landed, until=UNTIL + timedelta(days=1))
    assert present(only(landed, "call")) == {account("anna"), account("bert"), account("cara")}


async def test_participants_come_from_the_paged_list_and_not_from_the_capped_one(people, settings, run):
    names = [f"p{number:03}" for number in range(140)]
    for name in names:
        people.user(name, f"{name}@own.example")
    people.put("communications/callRecords", record("c1", participants=[{"user": {"id": "anna"}}]))
    people.put("communications/callRecords/c1/participants_v2", *(member(name) for name in names))
    row = only(await run(settings(mail=False, calendar=False, chats=False, channels=False)), "call")
    assert (len(row["participants"]), row["recipient_count"]) == (140, 140)
    assert people.paths().count("communications/callRecords/c1/participants_v2") == 7


async def test_call_records_that_expired_before_they_were_read_are_coverage(people, settings, run):
    people.put("communications/callRecords")
    landed = await run(settings())
    landed = await run(settings(), landed, until=UNTIL + timedelta(days=45))
    (lost,) = [row for row in landed.rows("coverage") if row["reason"] == "expired"]
    assert (lost["stream"], lost["medium"], lost["status"]) == ("calls", "call", "missing")
    assert lost["date_to"] == (UNTIL + timedelta(days=14)).date()


@pytest.mark.parametrize("place", ["users/anna/onlineMeetings", "users/anna/onlineMeetings/om/attendanceReports"])
async def test_where_no_policy_allows_attendance_reports_the_responses_count(people, settings, run, place):
    made = event("e1", ANNA, {BERT: "accepted"}, isOnlineMeeting=True, onlineMeeting={"joinUrl": LINK})
    people.put("users/anna/calendarView", made)
    people.put("users/anna/onlineMeetings", {"id": "om"})
    people.put("users/anna/onlineMeetings/om/attendanceReports")
    people.errors[place] = (403, "Forbidden")
    row = only(await run(settings(calls=False, attendance_reports=True)), "meeting")
    assert present(row) == {account("anna"), account("bert")}


# -- mail ---------------------------------------------------------------------------------------------------------------


async def test_a_message_found_in_two_folders_of_two_mailboxes_is_one(people, settings, run):
    outside = mail("x1", "client@far.example", [ANNA, BERT])
    for name in ("anna", "bert"):
        people.put(f"users/{name}/mailFolders/inbox/messages", outside | {"id": f"AAMk-{name}"})
        people.put(f"users/{name}/messages", outside | {"id": f"AAMk-{name}-again"}, outside | {"id": f"AAMk-{name}"})
    assert only(await run(settings(external_mail="all_folders")), "email")["interaction_key"] == P.key(
        "microsoft365:mail", "<x1@own.example>"
    )
    asked = {path for path in people.paths() if path.endswith("messages")}
    assert "users/anna/messages" in asked
    assert "users/anna/mailFolders/inbox/messages" not in asked
