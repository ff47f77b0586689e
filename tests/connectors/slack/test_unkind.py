"""The API as it is on a bad day: cursors that come round, refusals of a part, pauses left out, kinds that are not as asked for."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from connectors.slack import SlackClient, SlackSettings, fetch
from connectors.slack.people import ANYWHERE
from connectors.state import MemoryState

P = Pseudonymiser(b"0123456789abcdef0123456789abcdef")
NIGHT = datetime(2026, 6, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def ts(days_ago: float) -> str:
    return f"{(NIGHT - days_ago * DAY).timestamp():.6f}"


def account(name: str) -> int:
    return P.key("slack:account", f"{ANYWHERE}:{name}")


class Kept(MemoryState):
    """The last word on each record."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, dict[Any, dict[str, Any]]] = {"account": {}, "interaction": {}, "space": {}}
        self.coverage: list[dict[str, Any]] = []

    def reasons(self) -> set[tuple[Any, ...]]:
        return {(row["medium"], row["status"], row["reason"], row["unit_key"] == 0) for row in self.coverage if row["status"] != "observed"}

    def observed(self) -> set[str]:
        return {row["medium"] for row in self.coverage if row["status"] == "observed" and row["unit_key"] == 0}

    def alive(self) -> list[dict[str, Any]]:
        return [row for row in self.records["interaction"].values() if row["exclusion"] is None]


async def night(slack: Any, kept: Kept, nights: int = 0, **more: Any) -> Kept:
    about = {"pace": 10_000, "backoff_seconds": 0.001, "history_days": 100, "sweep_nights": 0, **more}
    settings = SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url, **about)
    slack.requests.clear()
    kept.coverage.clear()

    async def read() -> None:
        async for batch in fetch(settings, P, None, NIGHT + nights * DAY, kept):
            kept.apply(batch)
            for kind, held in kept.records.items():
                if kind in batch.records:
                    for row in batch.records[kind].to_pylist():
                        held[row[f"{kind}_key"]] = row
            if "coverage" in batch.records:
                kept.coverage += batch.records["coverage"].to_pylist()

    await asyncio.wait_for(read(), 60)
    return kept


# -- cursors ---------------------------------------------------------------------------------------------------------------


def ring(slack: Any, method: str, key: str, size: int, *, items: bool = True) -> None:
    """Let a listing answer with cursors that come round."""
    answer = getattr(slack, f"on_{method.replace('.', '_')}")

    def ringed(sent: dict[str, str]) -> dict[str, Any]:
        at = int(sent["cursor"].removeprefix("ring")) if sent.get("cursor", "").startswith("ring") else 0
        found = answer({name: value for name, value in sent.items() if name != "cursor"})
        return {key: found[key] if items else [], "response_metadata": {"next_cursor": f"ring{at % size + 1}"}, "has_more": True}

    setattr(slack, f"on_{method.replace('.', '_')}", ringed)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "method,key,medium",
    [
        ("users.list", "members", None),
        ("conversations.list", "channels", "slack_channel"),
        ("team.externalTeams.list", "organizations", None),
    ],
)
async def test_a_list_whose_cursors_come_round_ends_with_a_word(slack: Any, method: str, key: str, medium: str | None, size: int) -> None:
    slack.add_channel("C1")
    slack.say("C1", ts(1), text="<@U2>")
    ring(slack, method, key, size)
    kept = await night(slack, Kept())
    assert len(kept.alive()) == 1
    assert "slack_channel" in kept.observed()
    assert (medium, "cursor_cycle") in {(row[0], row[2]) for row in kept.reasons()}
    assert slack.count(method) <= 4 * (size + 2)


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_a_history_whose_cursors_come_round_goes_on_by_time(slack: Any, size: int) -> None:
    slack.add_channel("C1")
    for n in range(9):
        slack.say("C1", ts(1 + n))
    answer = slack.on_conversations_history

    def ringed(sent: dict[str, str]) -> dict[str, Any]:
        at = int(sent["cursor"].removeprefix("ring")) if sent.get("cursor") else 0
        found = answer(
            {**sent, "limit": "2"}
            if "cursor" not in sent
            else {name: sent[name] for name in ("channel", "oldest", "latest")} | {"limit": "2"}
        )
        more = len(answer({name: value for name, value in sent.items() if name != "cursor"})["messages"]) > 2
        return {**found, "has_more": more, "response_metadata": {"next_cursor": f"ring{at % size + 1}" if more else ""}}

    slack.on_conversations_history = ringed
    kept = await night(slack, Kept())
    assert len(kept.alive()) == 9
    assert slack.count("conversations.history") < 60


async def test_a_thread_whose_cursors_come_round_costs_itself(slack: Any) -> None:
    slack.add_channel("C1")
    slack.say("C1", ts(2))
    slack.say("C1", ts(1))
    slack.answer("C1", ts(2), ts(1.5))
    ring(slack, "conversations.replies", "messages", 2)
    kept = await night(slack, Kept())
    assert len(kept.alive()) == 3
    assert ("slack_channel", "partial", "cursor_cycle", False) in kept.reasons()


@pytest.mark.parametrize("method", ["users.list", "conversations.list", "conversations.replies", "conversations.members"])
@pytest.mark.parametrize("times", [1, 99])
async def test_a_cursor_that_is_refused_begins_the_list_anew_once(slack: Any, make_user: Any, method: str, times: int) -> None:
    slack.users += [make_user(f"U{n}") for n in range(10, 600)]
    slack.add_channel("C1")
    for n in range(1200):
        slack.add_channel(f"C{n + 10}", is_archived=True)
    slack.add_channel("G1", "mpim", [f"U{n}" for n in range(1, 4)] + [f"U{n}" for n in range(10, 1100)])
    slack.say("G1", ts(1), "U1")
    slack.say("C1", ts(30))
    for n in range(1100):
        slack.answer("C1", ts(30), ts(29 - n / 1000))
    answer = getattr(slack, f"on_{method.replace('.', '_')}")
    left = times

    def refusing(sent: dict[str, str]) -> dict[str, Any]:
        nonlocal left
        if sent.get("cursor") and left:
            left -= 1
            return {"error": "invalid_cursor"}
        found: dict[str, Any] = answer(sent)
        return found

    setattr(slack, f"on_{method.replace('.', '_')}", refusing)
    kept = await night(slack, Kept(), include_archived=False)
    assert ("invalid_cursor" in {row[2] for row in kept.reasons()}) is (times > 1)
    if times == 1:
        assert (len(kept.records["account"]) >= 593, len(kept.records["space"]), len(kept.alive())) == (True, 1202, 1102)
    assert slack.count(method) < 40


# -- refusals of a part ------------------------------------------------------------------------------------------------------


def organisation(slack: Any, refused: dict[str, str]) -> None:
    """Three workspaces with a channel each, of which some refuse methods."""
    slack.auth |= {"enterprise_id": "E0HOME", "is_enterprise_install": True}
    teams = ["T0ONE", "T0TWO", "T0THREE"]
    slack.on_auth_teams_list = lambda sent: {"teams": [{"id": team} for team in teams]}
    for n, team in enumerate(teams, 1):
        slack.add_channel(f"C{n}", context_team_id=team)
        slack.say(f"C{n}", ts(n), "U1", text="<@U2>")
    listed, users = slack.on_conversations_list, slack.on_users_list

    def of_team(sent: dict[str, str]) -> dict[str, Any]:
        found = listed(sent)
        return {**found, "channels": [about for about in found["channels"] if about.get("context_team_id") == sent["team_id"]]}

    def refusing(method: str, answer: Any) -> Any:
        return lambda sent: (
            {"error": refused[sent["team_id"]]} if sent.get("team_id") in refused and method not in refused else answer(sent)
        )

    slack.on_conversations_list = refusing("conversations.list", of_team)
    slack.on_users_list = refusing("users.list", users)
    slack.on_usergroups_list = refusing("usergroups.list", slack.on_usergroups_list)


@pytest.mark.parametrize("which", ["T0ONE", "T0TWO", "T0THREE"])
@pytest.mark.parametrize("code", ["team_access_not_granted", "access_denied", "missing_scope", "internal_error"])
async def test_a_workspace_that_refuses_costs_itself(slack: Any, which: str, code: str) -> None:
    organisation(slack, {which: code})
    kept = await night(slack, Kept(), retries=1)
    assert len(kept.alive()) == 2
    assert "slack_channel" in kept.observed()
    said = "unavailable" if code == "internal_error" else code
    assert ("slack_channel", "missing", said, False) in kept.reasons()
    assert not any(is_whole for *_, is_whole in kept.reasons())


async def test_where_every_workspace_refuses_the_medium_is_missing(slack: Any) -> None:
    organisation(slack, dict.fromkeys(["T0ONE", "T0TWO", "T0THREE"], "team_access_not_granted"))
    kept = await night(slack, Kept())
    assert ("slack_channel", "missing", "team_access_not_granted", True) in kept.reasons()
    assert kept.observed() == set()


@pytest.mark.parametrize("code", ["missing_scope", "team_access_not_granted", "internal_error"])
async def test_conversations_that_could_not_be_listed_are_not_gone(slack: Any, code: str) -> None:
    slack.add_channel("C1")
    slack.add_channel("D1", "im", user="U2")
    slack.say("C1", ts(3))
    slack.answer("C1", ts(3), ts(2))
    slack.say("D1", ts(3))
    kept = await night(slack, Kept())
    cursors = kept.cursors("")
    slack.errors["conversations.list"] = code
    await night(slack, kept, 1, retries=1)
    assert "not_listed" not in {row[2] for row in kept.reasons()}
    assert kept.cursors("thread:") == {name: value for name, value in cursors.items() if name.startswith("thread:")}
    del slack.errors["conversations.list"]
    slack.say("C1", ts(-1))
    await night(slack, kept, 2)
    assert (len(kept.alive()), "not_listed" in {row[2] for row in kept.reasons()}) == (4, False)


# -- pauses that are left out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [None, "0", "0.0", "soon", "", "-5", "nan", "date"])
async def test_a_refusal_that_names_no_pause_backs_off(slack: Any, stated: str | None) -> None:
    slack.add_channel("C1")
    slack.say("C1", ts(1))
    waited: list[float] = []
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds
        await asyncio.sleep(0)

    def refused() -> web.StreamResponse:
        past = format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)
        headers = {} if stated is None else {"Retry-After": past if stated == "date" else stated}
        return web.Response(status=429, body=b"", headers=headers)

    slack.faults["conversations.history"] = [refused] * 12
    settings = SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url, backoff_seconds=0.5)
    async with SlackClient(settings, clock=lambda: now, sleep=sleep) as client:
        await client.call("conversations.history", channel="C1")
    # each pause about twice the one before, and none of nothing
    assert sum(waited) > 300
    assert slack.count("conversations.history") == 13


async def test_a_pause_may_be_stated_as_a_date(slack: Any) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    slack.faults["users.list"] = [lambda: web.Response(status=429, headers={"Retry-After": later})]
    settings = SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url)
    async with SlackClient(settings, clock=lambda: now, sleep=sleep) as client:
        await client.call("users.list", limit=200)
    assert 15 < now < 30


# -- a service that is not there -----------------------------------------------------------------------------------------------


async def test_a_closed_port_fails_in_seconds_and_names_the_setting() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/api/"
    began = time.monotonic()
    with pytest.raises(UserError, match=r"slack\.base_url.*127\.0\.0\.1"):
        async for _ in fetch(SlackSettings(token=SecretStr("xoxb-secret"), base_url=url), P, None, NIGHT, MemoryState()):
            pass
    assert time.monotonic() - began < 10


# -- what the window cannot show ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", [5, 60, 95])
async def test_late_reactions_and_edits_on_replies_are_learnt_by_the_sweep(slack: Any, age: float) -> None:
    slack.add_channel("C1")
    root = slack.say("C1", ts(age))
    reply = slack.answer("C1", root, ts(age - 1))
    kept = await night(slack, Kept())
    slack.replies["C1"][root][reply] |= {"reactions": [{"name": "x", "users": ["U3"]}], "text": "<@U1>", "edited": {"ts": ts(0)}}
    await night(slack, kept, 1)
    key = P.key("slack:message", f"{ANYWHERE}:C1:{reply}")
    for nights in range(2, 5):
        await night(slack, kept, nights, sweep_nights=1)
    evidence = {(part["account_key"], part["evidence"]) for part in kept.records["interaction"][key]["participants"]}
    assert evidence == {(account("U3"), "reacted"), (account("U1"), "mentioned")}


# -- kinds ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["public_channel", "private_channel", "mpim", "im"])
@pytest.mark.parametrize(
    "flags,medium", [({"is_mpim": True}, "slack_group_dm"), ({"is_im": True, "user": "U2"}, "slack_dm"), ({}, "slack_channel")]
)
async def test_a_conversation_is_what_it_says_it_is(slack: Any, asked: str, flags: dict[str, Any], medium: str) -> None:
    slack.add_channel("X1", asked, ["U1", "U2", "U3"] if medium == "slack_group_dm" else ["U1", "U2"])
    slack.channels["X1"] |= {"is_im": False, "is_mpim": False, **flags}
    slack.say("X1", ts(1), "U1", text="<@U3>")
    kept = await night(slack, Kept())
    (row,) = kept.alive()
    assert row["medium"] == medium
    reached = {"slack_group_dm": {"U2", "U3"}, "slack_dm": {"U2"}, "slack_channel": {"U3"}}[medium]
    assert {part["account_key"] for part in row["participants"]} == {account(name) for name in reached}
    left_out = await night(slack, Kept(), include_dms=False, include_group_dms=False, include_private_channels=True)
    wanted = medium == "slack_channel" and asked in ("public_channel", "private_channel")
    assert len(left_out.alive()) == wanted


# -- whose a message is does not depend on when its author is learnt ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_the_same_messages_say_the_same_in_any_order_of_learning(slack: Any, seed: int) -> None:
    app = {"bot_id": "B1", "bot_profile": {"id": "B1"}}
    slack.strangers["U8"] = {"id": "U8", "team_id": "T0CLIENT", "is_bot": True, "profile": {}}
    slack.strangers["U9"] = {"id": "U9", "team_id": "T0CLIENT", "is_stranger": True, "profile": {"email": "nine@client.org"}}
    for n in range(6):
        slack.add_channel(f"C{n}")
        for m in range(6):
            name = ("U8", "U9", "U7", "U1")[(n + m) % 4]
            team = {} if name == "U1" else {"user_team": "T0CLIENT"}
            slack.say(f"C{n}", ts(9 - m - n / 10), name, text="<@U2>", **team, **(app if (n * m) % 3 == 1 else {}))
    names = list(slack.channels)
    slack.channels = {name: slack.channels[name] for name in (names[seed:] + names[:seed])[:: 1 if seed % 2 else -1]}
    kept = await night(slack, Kept(), concurrency=1 + seed)
    calm = await night(slack, Kept(), concurrency=1)
    assert kept.records["interaction"] == calm.records["interaction"]
    told = {name: (row["kind"], row["is_guest"], row["domain_key"]) for name, row in kept.records["account"].items()}
    assert told == {name: (row["kind"], row["is_guest"], row["domain_key"]) for name, row in calm.records["account"].items()}


# -- a night asks for what changed --------------------------------------------------------------------------------------------------


async def test_members_of_direct_messages_are_asked_for_once(slack: Any) -> None:
    slack.scopes += ",discovery:read"
    slack.add_channel("G1", "mpim", ["U1", "U2", "U3"])
    slack.add_channel("D7", "im", ["U2", "U3"])
    slack.discovered["D7"] = slack.channels.pop("D7")
    for name in ("G1", "D7"):
        slack.say(name, ts(2), "U2")
    members = ("conversations.members", "discovery.conversations.members")
    kept = await night(slack, Kept())
    assert [slack.count(method) for method in members] == [1, 1]
    for name in ("G1", "D7"):
        slack.say(name, ts(-0.5), "U3")
    await night(slack, kept, 1)
    assert [slack.count(method) for method in members] == [0, 0]
    fresh = await night(slack, Kept(), 1)
    assert kept.records["interaction"] == fresh.records["interaction"]
    # who asks to be left out later is left out of what is remembered too
    out = await night(slack, kept, 2, opted_out={str(account("U2"))}, sweep_nights=1)
    assert account("U2") not in {part["account_key"] for row in out.alive() for part in row["participants"]}


async def test_members_of_whom_one_was_forgotten_are_asked_for_again(slack: Any) -> None:
    slack.add_channel("G1", "mpim", ["U1", "U2", "U3"])
    slack.say("G1", ts(2), "U2")
    kept = await night(slack, Kept())
    (name,) = kept.cursors("members:")
    count, *keys = json.loads(kept.cursors("members:")[name])
    kept._cursors[name] = json.dumps([count, *keys[1:]])  # as forgetting leaves it
    await night(slack, kept, 1)
    assert slack.count("conversations.members") == 1
