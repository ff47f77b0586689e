"""Fixtures of the Slack connector's tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.pseudonyms import Pseudonymiser

TEAM = "T0HOME"
CANARY = "CANARYXYLOPHONE"


@pytest.fixture
def pseudonyms() -> Pseudonymiser:
    return Pseudonymiser(b"0123456789abcdef0123456789abcdef")


@pytest.fixture
def make_user() -> Callable[..., dict[str, Any]]:
    def user(name: str, **fields: Any) -> dict[str, Any]:
        profile = {"email": f"{name.lower()}@example.com", "real_name": CANARY, "title": CANARY}
        return {"id": name, "team_id": TEAM, "deleted": False, "is_bot": False, "name": CANARY, "profile": profile, **fields}

    return user


@pytest.fixture
def write_export(tmp_path: Path, make_user: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Write an export folder: lists by file name, days by folder and date; three people by default."""

    def write(
        days: dict[str, dict[str, Any]], *, lists: dict[str, list[dict[str, Any]]] | None = None, users: list[Any] | None = None
    ) -> Path:
        root = tmp_path / "export"
        root.mkdir()
        people = [make_user("U1"), make_user("U2"), make_user("U3")] if users is None else users
        named = {"channels.json": [{"id": "C1", "name": "general"}]} if lists is None else lists
        files: dict[str, Any] = {"users.json": people, **named}
        for folder, by_day in days.items():
            for day, messages in by_day.items():
                files[f"{folder}/{day}.json"] = messages
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(json.dumps(content), encoding="utf-8")
        return root

    return write


class FakeSlack:
    """A workspace served over HTTP: paging, bounds, errors and faults as Slack's documentation states them.

    `messages` holds first messages by channel, `replies` the replies by channel and root. A root's `reply_count` and
    `latest_reply` follow from its replies. `faults` maps a method to a list of responses that come before the true one.
    """

    def __init__(self) -> None:
        self.scopes = (
            "users:read,users:read.email,usergroups:read,team:read,channels:read,channels:history,groups:read,"
            "groups:history,mpim:read,mpim:history,im:read,im:history"
        )
        self.auth: dict[str, Any] = {"ok": True, "team_id": TEAM, "user_id": "U1", "bot_id": None, "url": CANARY}
        self.users: list[dict[str, Any]] = []
        self.strangers: dict[str, dict[str, Any]] = {}
        self.usergroups: list[dict[str, Any]] = []
        self.channels: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[str]] = {}
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        self.replies: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        self.errors: dict[str, str] = {}
        self.channel_errors: dict[str, str] = {}
        self.faults: dict[str, list[Callable[[], web.StreamResponse]]] = {}
        self.every: Callable[[str], web.StreamResponse | None] = lambda method: None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections: set[object] = set()
        self.cap: int | None = None
        self.is_ascending = False
        self.empty_pages = False
        self.discovered: dict[str, dict[str, Any]] = {}
        self.url = ""

    # -- what happens in the workspace ----------------------------------------------------------------------------

    def add_channel(self, channel: str, kind: str = "public_channel", members: list[str] | None = None, **about: Any) -> None:
        flags = {"is_im": kind == "im", "is_mpim": kind == "mpim", "is_private": kind != "public_channel"}
        named = {"id": channel, "name": CANARY, "kind": kind, "topic": {"value": CANARY}, "is_archived": False}
        self.channels[channel] = {**named, **flags, **about}
        self.members[channel] = members or []
        self.messages.setdefault(channel, {})
        self.replies.setdefault(channel, {})

    def say(self, channel: str, ts: str, user: str = "U1", /, **fields: Any) -> str:
        self.messages[channel][ts] = {"type": "message", "ts": ts, "user": user, "text": CANARY, **fields}
        return ts

    def answer(self, channel: str, root: str, ts: str, user: str = "U2", /, **fields: Any) -> str:
        self.replies[channel].setdefault(root, {})[ts] = {
            "type": "message",
            "ts": ts,
            "thread_ts": root,
            "user": user,
            "text": CANARY,
            **fields,
        }
        return ts

    def root(self, channel: str, ts: str) -> dict[str, Any]:
        message = dict(self.messages[channel][ts])
        replies = self.replies[channel].get(ts)
        if replies:
            users = list(dict.fromkeys(reply["user"] for reply in replies.values()))
            message |= {"thread_ts": ts, "reply_count": len(replies), "reply_users": users, "latest_reply": max(replies)}
        return message

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.requests)

    # -- the wire ----------------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        sent = {**request.query, **{name: str(value) for name, value in (await request.post()).items()}}
        assert "Bearer xoxb-" in request.headers["Authorization"]
        assert "token" not in sent
        self.requests.append((method, sent))
        self.connections.add(request.transport)
        if self.faults.get(method):
            return self.faults[method].pop(0)()
        fault = self.every(method)
        if fault is not None:
            return fault
        if method in self.errors:
            return web.json_response({"ok": False, "error": self.errors[method], "needed": "x:y"})
        data = getattr(self, "on_" + method.replace(".", "_"))(sent)
        return web.json_response({"ok": "error" not in data, **data}, headers={"X-OAuth-Scopes": self.scopes})

    def page(self, sent: dict[str, str], key: str, items: list[Any], **more: Any) -> dict[str, Any]:
        start = int(sent.get("cursor") or 0)
        limit = min(int(sent.get("limit") or 100), self.cap or 10**9)
        if self.empty_pages and "cursor" not in sent:
            return {key: [], "has_more": True, "response_metadata": {"next_cursor": "0"}, **more}
        found = items[start : start + limit]
        following = str(start + limit) if start + limit < len(items) else ""
        return {key: found, "has_more": bool(following), "response_metadata": {"next_cursor": following}, **more}

    def on_auth_test(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.auth

    def on_team_info(self, sent: dict[str, str]) -> dict[str, Any]:
        return {"team": {"id": TEAM, "name": CANARY}}

    def on_auth_teams_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.page(sent, "teams", [{"id": TEAM, "name": CANARY}])

    def on_team_externalTeams_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.page(sent, "organizations", [{"team_id": "T0CLIENT", "team_name": CANARY}])

    def on_users_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.page(sent, "members", self.users)

    def on_users_info(self, sent: dict[str, str]) -> dict[str, Any]:
        return {"user": self.strangers[sent["user"]]} if sent["user"] in self.strangers else {"error": "user_not_found"}

    def on_usergroups_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return {"usergroups": self.usergroups}

    def on_conversations_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.page(sent, "channels", [about for about in self.channels.values() if about["kind"] == sent["types"]])

    def on_conversations_members(self, sent: dict[str, str]) -> dict[str, Any]:
        return self.page(sent, "members", self.members[sent["channel"]])

    def within(self, sent: dict[str, str], stamps: Iterable[str]) -> list[str]:
        return [ts for ts in stamps if float(sent.get("oldest") or 0) < float(ts) < float(sent.get("latest") or 1e12)]

    def on_conversations_history(self, sent: dict[str, str]) -> dict[str, Any]:
        channel = sent["channel"]
        if channel in self.channel_errors:
            return {"error": self.channel_errors[channel]}
        shown = {ts: self.root(channel, ts) for ts in self.messages[channel]}
        for replies in self.replies[channel].values():
            shown |= {ts: reply for ts, reply in replies.items() if reply.get("subtype") == "thread_broadcast"}
        stamps = sorted(self.within(sent, shown), reverse=not self.is_ascending)
        return self.page(sent, "messages", [shown[ts] for ts in stamps])

    def on_conversations_replies(self, sent: dict[str, str]) -> dict[str, Any]:
        channel, root = sent["channel"], sent["ts"]
        replies = self.replies[channel].get(root, {})
        found = self.page(sent, "messages", [replies[ts] for ts in sorted(self.within(sent, replies))])
        found["messages"] = [self.root(channel, root), *found["messages"]]
        return found

    def on_discovery_users_list(self, sent: dict[str, str]) -> dict[str, Any]:
        return {"users": self.users, "offset": None}

    def on_discovery_conversations_list(self, sent: dict[str, str]) -> dict[str, Any]:
        kinds = {"only_im": "im", "only_mpim": "mpim", "only_public": "public_channel", "only_private": "private_channel"}
        kind = next((kinds[name] for name in kinds if name in sent), None)
        found = sorted(name for name, about in self.discovered.items() if about["kind"] == kind)
        at = int(sent.get("offset") or 0)
        return {"channels": [self.discovered[name] for name in found[at : at + 1]], "offset": at + 1 if at + 1 < len(found) else ""}

    def on_discovery_conversations_members(self, sent: dict[str, str]) -> dict[str, Any]:
        return {"members": [{"id": name, "name": CANARY} for name in self.members[sent["channel"]]]}

    def on_discovery_conversations_history(self, sent: dict[str, str]) -> dict[str, Any]:
        channel = sent["channel"]
        shown = {ts: self.root(channel, ts) for ts in self.messages[channel]}
        for replies in self.replies[channel].values():
            shown |= replies
        stamps = sorted(self.within(sent, shown), reverse=True)
        page = stamps[: int(sent["limit"])]
        return {"messages": [shown[ts] for ts in page], "offset": page[-1] if len(page) < len(stamps) else ""}


@pytest.fixture
async def slack(make_user: Callable[..., dict[str, Any]]) -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    fake.users = [make_user(name) for name in ("U1", "U2", "U3")]
    app = web.Application()
    app.router.add_route("*", "/api/{method}", fake.handle)
    server = TestServer(app)
    await server.start_server()
    fake.url = str(server.make_url("/api/"))
    yield fake
    await server.close()


@pytest.fixture
def fake_slack(make_user: Callable[..., dict[str, Any]]) -> Callable[[], FakeSlack]:
    """Make workspaces without a server, for tests that ask them directly."""

    def made() -> FakeSlack:
        fake = FakeSlack()
        fake.users = [make_user(name) for name in ("U1", "U2", "U3")]
        return fake

    return made
