from __future__ import annotations

from datetime import timedelta
from typing import Any

import aiohttp
import numpy as np
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from connectors.sandbox import Organisation, Sandbox
from connectors.sandbox import log as l
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.slack_messages import channel_id, ts_text, user_id


def busiest(sandbox: Sandbox, code: int = l.SLACK_CHANNEL) -> l.Space:
    log = sandbox.organisation.log
    counts = np.bincount(log.space[log.space >= 0], minlength=len(log.spaces))
    return max((space for space in log.spaces if space.code == code), key=lambda space: counts[space.number])


async def test_signing_in_says_the_scopes(client: Any) -> None:
    headers = {"Authorization": f"Bearer {client.sandbox.token}"}
    async with client.session.post(client.sandbox.slack_url + "auth.test", headers=headers) as response:
        assert "channels:history" in response.headers["X-OAuth-Scopes"]
        assert (await response.json())["team_id"].startswith("T")
    async with client.session.post(client.sandbox.slack_url + "auth.test") as response:
        assert (await response.json()) == {"ok": False, "error": "not_authed"}


async def test_slacks_own_sdk_can_read_it(client: Any) -> None:
    sdk = AsyncWebClient(token=client.sandbox.token, base_url=client.sandbox.slack_url, session=client.session)
    sdk.proxy = None
    assert (await sdk.auth_test())["ok"]
    members = []
    async for page in await sdk.users_list(limit=20):
        members += page["members"]
    assert len({member["id"] for member in members}) == len(members) > 60
    history = await sdk.conversations_history(channel=channel_id(busiest(client.sandbox)), limit=999)
    assert len(history["messages"]) > 15


async def test_small_pages_add_up_to_one_large_one(client: Any) -> None:
    channel = channel_id(busiest(client.sandbox))
    whole = (await client.slack("conversations.history", channel=channel, limit=1000))["messages"]
    parts = await client.slack_pages("conversations.history", "messages", channel=channel, limit=7)
    assert parts[: len(whole)] == whole
    stamps = [message["ts"] for message in parts]
    assert stamps == sorted(stamps, reverse=True)
    assert len(set(stamps)) == len(stamps)
    users = await client.slack_pages("users.list", "members", limit=9)
    assert len(users) == len({user["id"] for user in users})
    members = await client.slack_pages("conversations.members", "members", channel=channel, limit=3)
    assert members == (await client.slack("conversations.members", channel=channel, limit=999))["members"]


async def test_bounds_exclude_unless_inclusive_is_asked_for(client: Any) -> None:
    channel = channel_id(busiest(client.sandbox))
    messages = (await client.slack("conversations.history", channel=channel, limit=10))["messages"]
    newest, oldest = messages[2]["ts"], messages[6]["ts"]
    between = await client.slack("conversations.history", channel=channel, latest=newest, oldest=oldest, limit=100)
    assert [message["ts"] for message in between["messages"]] == [message["ts"] for message in messages[3:6]]
    around = await client.slack("conversations.history", channel=channel, latest=newest, oldest=oldest, inclusive=1, limit=100)
    assert [message["ts"] for message in around["messages"]] == [message["ts"] for message in messages[2:7]]


async def test_history_holds_first_messages_and_replies_the_rest(client: Any) -> None:
    log = client.sandbox.organisation.log
    for space in client.sandbox.slack.directory.spaces:
        if space.code != l.SLACK_CHANNEL:
            continue
        channel = channel_id(space)
        history = await client.slack_pages("conversations.history", "messages", channel=channel, limit=1000)
        found = {message["ts"] for message in history}
        for root in history:
            if root.get("reply_count"):
                replies = await client.slack_pages("conversations.replies", "messages", channel=channel, ts=root["ts"], limit=2)
                told = [message for message in replies if message["ts"] != root["ts"]]
                assert len(told) == root["reply_count"]
                assert told[-1]["ts"] == root["latest_reply"]
                assert all(message["thread_ts"] == root["ts"] for message in told)
                found |= {message["ts"] for message in told}
        events = np.flatnonzero(log.space == space.number)
        assert len(found) == len(client.sandbox.slack.messages.visible(events))


async def test_refusals_are_those_of_slack(client: Any) -> None:
    channel = channel_id(busiest(client.sandbox))
    for method, query, error in (
        ("conversations.history", {"channel": "C0NONE"}, "channel_not_found"),
        ("conversations.replies", {"channel": channel, "ts": "1700000000.000001"}, "thread_not_found"),
        ("conversations.history", {"channel": channel, "cursor": "rubbish"}, "invalid_cursor"),
        ("conversations.list", {"types": "pigeons"}, "invalid_types"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("chat.postMessage", {}, "unknown_method"),
    ):
        assert (await client.slack(method, **query))["error"] == error


async def test_a_missing_scope_is_named(organisation: Organisation) -> None:
    async with Sandbox(organisation, slack={"scopes": ("users:read",), "is_bot": True}) as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        async with session.get(sandbox.slack_url + "conversations.list?types=im", headers=headers) as response:
            assert (await response.json())["needed"] == "im:read"
        async with session.get(sandbox.slack_url + "users.list", headers=headers) as response:
            assert not any("email" in user["profile"] for user in (await response.json())["members"])


async def test_other_apps_get_fifteen_messages_at_a_time(organisation: Organisation) -> None:
    async with (
        Sandbox(organisation, slack={"is_limited": True, "per_minute": {"users.list": 6}}) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        url = f"{sandbox.slack_url}conversations.history?limit=999&channel={channel_id(busiest(sandbox))}"
        async with session.get(url, headers=headers) as response:
            body = await response.json()
        assert len(body["messages"]) == 15
        assert body["has_more"]
        statuses = []
        for _ in range(2):
            async with session.get(sandbox.slack_url + "users.list", headers=headers) as response:
                statuses.append(response.status)
                retry = response.headers.get("Retry-After")
        assert statuses == [200, 429]
        assert retry is not None
        assert int(retry) >= 9


async def test_discovery_reads_direct_messages_of_everyone(client: Any) -> None:
    own = await client.slack_pages("conversations.list", "channels", types="im", limit=1000)
    found: list[Any] = []
    offset = ""
    while True:
        body = await client.slack("discovery.conversations.list", only_im=1, limit=20, **({"offset": offset} if offset else {}))
        found += body["channels"]
        offset = body.get("offset", "")
        if not offset:
            break
    assert len(found) > len(own)
    channel = channel_id(busiest(client.sandbox, l.SLACK_DM))
    members = (await client.slack("discovery.conversations.members", channel=channel))["members"]
    assert len(members) == 2
    history = (await client.slack("discovery.conversations.history", channel=channel, limit=1000))["messages"]
    assert {message["user"] for message in history} - {"USLACKBOT"} <= {member["id"] for member in members}


# -- nights -------------------------------------------------------------------------------------------------------------


async def test_late_replies_edits_and_deletions_come_in_their_night(organisation: Organisation) -> None:
    log = organisation.log
    async with Sandbox(organisation) as sandbox:
        evolution, messages = sandbox.evolution, sandbox.slack.messages
        late = int(np.flatnonzero((log.step > 8) & (log.medium == l.MEDIUM["slack_channel"]))[0])
        root = int(log.thread[late])
        space = channel_id(log.spaces[int(log.space[root])])

        def at(microseconds: int, days: float = 0.0) -> None:
            sandbox.now = organisation.begins + timedelta(microseconds=microseconds - organisation.calendar.epoch, days=days)

        at(int(log.at[late]), -0.5)
        before = messages.build(root, channel=space)
        at(int(log.at[late]), 0.5)
        after = messages.build(root, channel=space)
        assert after["latest_reply"] == ts_text(int(log.at[late]))
        assert after["reply_count"] == before["reply_count"] + 1
        slack = np.isin(log.medium, [l.MEDIUM["slack_channel"], l.MEDIUM["slack_dm"]])
        gone = int(np.flatnonzero((evolution.deleted > 0) & slack & (evolution.deleted < log.at[-1]))[0])
        at(int(evolution.deleted[gone]), -0.01)
        assert len(messages.visible(np.array([gone])))
        at(int(evolution.deleted[gone]), 0.01)
        assert not len(messages.visible(np.array([gone])))
        changed = int(np.flatnonzero(evolution.adds_mention & slack)[0])
        channel = channel_id(log.spaces[int(log.space[changed])])
        who = user_id(int(log.who[log.offsets[changed]]))
        at(int(evolution.edited[changed]), -0.0001)
        assert who not in str(messages.build(changed, channel=channel).get("blocks", "")) + messages.build(changed, channel=channel)["text"]
        at(int(evolution.edited[changed]), 0.0001)
        edited = messages.build(changed, channel=channel)
        assert who in str(edited.get("blocks", "")) + edited["text"]
        assert edited["edited"]["user"] == edited["user"]


async def test_nothing_of_the_future_is_shown(organisation: Organisation) -> None:
    now = organisation.begins + timedelta(days=30)
    async with Sandbox(organisation, now=now) as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        url = f"{sandbox.slack_url}conversations.history?limit=999&channel={channel_id(busiest(sandbox))}"
        async with session.get(url, headers=headers) as response:
            early = (await response.json())["messages"]
        assert max(float(message["ts"]) for message in early) <= now.timestamp()
        async with session.get(sandbox.slack_url + "users.list?limit=999", headers=headers) as response:
            users = len((await response.json())["members"])
        sandbox.now = organisation.ends
        async with session.get(sandbox.slack_url + "users.list?limit=999", headers=headers) as response:
            assert len((await response.json())["members"]) > users


# -- canaries -----------------------------------------------------------------------------------------------------------


async def test_every_content_field_holds_a_canary(client: Any) -> None:
    seen: set[str] = set()
    for space in client.sandbox.slack.directory.spaces:
        channel = channel_id(space)
        body = await client.slack("discovery.conversations.history", channel=channel, limit=1000)
        for message in body["messages"]:
            subtype = message.get("subtype")
            if subtype == "channel_join":
                continue
            assert "zqcanary" in message["text"]
            for block in message.get("blocks", ()):
                texts = [part["text"] for section in block["elements"] for part in section["elements"] if part["type"] == "text"]
                assert all("zqcanary" in text for text in texts)
            for file in message.get("files", ()):
                assert all("zqcanary" in file[name] for name in ("name", "title", "preview", "url_private"))
                seen.add("file")
            for reaction in message.get("reactions", ()):
                assert "zqcanary" in reaction["name"]
                seen.add("reaction")
            seen.add(str(subtype))
    assert {"file", "reaction", "huddle_thread", "thread_broadcast", "bot_message", "None"} <= seen
    channels = await client.slack_pages("conversations.list", "channels", types="public_channel,private_channel", limit=1000)
    assert all(CANARIES["channel"] in channel["name"] for channel in channels)
    assert all(CANARIES["topic"] in channel["topic"]["value"] for channel in channels)
    groups = (await client.slack("usergroups.list", include_users=1))["usergroups"]
    assert all(CANARIES["group"] in group["handle"] and group["users"] for group in groups)
    outside = (await client.slack("team.externalTeams.list"))["organizations"]
    assert all(team["team_id"].startswith("T0EXTERN") for team in outside)


@pytest.mark.parametrize("kind", ["public_channel", "private_channel", "mpim", "im"])
async def test_conversations_are_listed_by_type(client: Any, kind: str) -> None:
    found = await client.slack_pages("discovery.conversations.list", "channels", limit=1000)
    channels = [space for space in client.sandbox.slack.directory.spaces if client.sandbox.slack.directory.kind(space) == kind]
    assert {channel_id(space) for space in channels} <= {conversation["id"] for conversation in found}
