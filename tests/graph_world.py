"""A small Graph on loopback: real HTTP for the real SDK adapter, with faults on demand."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import orjson
from aiohttp import web

from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.state import MemoryState

P = Pseudonymiser(b"k" * 32)
UNTIL = datetime(2026, 3, 10, 12, tzinfo=UTC)
CANARY = "xylophonquartz"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class FakeGraph:
    """Serves collections by path, in pages, filtered by time; remembers what was asked."""

    def __init__(self) -> None:
        self.collections: dict[str, list[Any]] = {}
        self.objects: dict[str, Any] = {}
        self.errors: dict[str, tuple[int, str]] = {}
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.faults: list[Handler] = []
        self.page_size = 20
        self.empty_pages = False
        self.whole_mailboxes = False
        """Whether `users/{id}/messages` gives all folders, each message with its folder's id, as Exchange does."""
        self.counts_skips = False
        """Whether links of messages count what to skip (`$skip`), in the order asked for, as Exchange's do."""
        self.delta_tokens: dict[str, list[Any]] = {}
        self.expired: tuple[int, str] | None = None
        self.base = ""
        self.token_requests = 0
        self.active: Counter[str] = Counter()
        self.most_active: Counter[str] = Counter()
        self.delay = 0.0

    # -- what it holds

    def user(self, user_id: str, address: str, **more: Any) -> dict[str, Any]:
        user = {
            "id": user_id,
            "mail": address,
            "userPrincipalName": address,
            "proxyAddresses": [f"SMTP:{address}"],
            "displayName": CANARY,
            "userType": "Member",
            "accountEnabled": True,
            "assignedLicenses": [{"skuId": "x"}],
            **more,
        }
        self.collections.setdefault("users", []).append(user)
        for path in ("mailFolders/sentitems/messages", "mailFolders/inbox/messages", "calendarView", "chats/getAllMessages()"):
            self.collections.setdefault(f"users/{user_id}/{path}", [])
        return user

    def put(self, path: str, *values: Any) -> None:
        self.collections.setdefault(path, []).extend(values)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    # -- how it answers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.path).removeprefix("/v1.0/")
        if path.endswith("/oauth2/v2.0/token"):
            self.token_requests += 1
            form = await request.post()
            if form["client_secret"] != "sesame":
                return web.json_response({"error": "invalid_client", "error_description": f"{CANARY} AADSTS7000215"}, status=401)
            return web.json_response({"access_token": "tok-secret-en", "expires_in": 3600, "token_type": "Bearer"})
        self.requests.append((path, dict(request.query), request.headers.copy()))
        unit = path.split("/")[1] if path.startswith("users/") and "/" in path else ""
        self.active[unit] += 1
        self.most_active[unit] = max(self.most_active[unit], self.active[unit])
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            for fault in self.faults:
                if (answer := await fault(request)) is not None:
                    return answer
            return self.answer(path, request)
        finally:
            self.active[unit] -= 1

    def answer(self, path: str, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == "Bearer tok-secret-en"
        for start, (status, code) in self.errors.items():
            if path.startswith(start):
                return self.error(status, code)
        if path == "users/delta()":
            return self.delta(request)
        if path in self.objects:
            return self.json(self.objects[path])
        if self.whole_mailboxes and re.fullmatch("users/[^/]+/messages", path):
            return self.page(path, self.whole(path.removesuffix("messages")), request)
        if path in self.collections:
            return self.page(path, self.collections[path], request)
        return self.error(404, "Request_ResourceNotFound")

    def whole(self, mailbox: str) -> list[Any]:
        """Every message of a mailbox, of whatever folder."""
        folders = {
            path: values for path, values in self.collections.items() if re.fullmatch(f"{mailbox}(mailFolders/[^/]+/)?messages", path)
        }
        return [
            value | {"parentFolderId": f"AAMk-folder-{path}"} if isinstance(value, dict) else value
            for path, values in folders.items()
            for value in values
        ]

    def error(self, status: int, code: str, **headers: str) -> web.Response:
        body = {"error": {"code": code, "message": f"{CANARY} anna@own.example", "innerError": {"date": "2026-03-10T00:00:00"}}}
        return web.json_response(body, status=status, headers=headers)

    def json(self, body: Any) -> web.Response:
        return web.Response(body=orjson.dumps(body), content_type="application/json")

    def delta(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("$deltatoken")
        if token is None:
            return self.page("users/delta()", self.collections.get("users", []), request, delta="t1")
        if self.expired is not None:
            status, code = self.expired
            return self.error(status, code, Location=f"{self.base}/users/delta?$deltatoken=")
        return self.page("users/delta()", self.delta_tokens.get(token, []), request, delta=f"{token}+")

    def page(self, path: str, values: list[Any], request: web.Request, delta: str | None = None) -> web.StreamResponse:
        for field, operator, moment in re.findall(r"(\w+DateTime) (ge|gt|lt) (\S+)", request.query.get("$filter", "")):
            values = [value for value in values if _passes(value, field, operator, moment)]
        if self.counts_skips and (field := request.query.get("$orderby", "").partition(" ")[0]):
            values = sorted(values, key=lambda value: value[field])
        start = int(request.query.get("$skip", request.query.get("$skiptoken", "0")))
        size = min(self.page_size, int(request.query.get("$top", "999")))
        body: dict[str, Any] = {"@odata.context": "x", "value": values[start : start + size]}
        following = start + size
        if self.empty_pages and start % 2 == 0 and values:
            # a page with a next link and nothing in it, before each real one
            body["value"], following = [], start + 1
        elif self.empty_pages:
            body["value"] = values[start - 1 : start - 1 + size]
            following = start - 1 + size + (start - 1 + size) % 2
        if following < len(values) or (self.empty_pages and not body["value"] and values):
            kept = {name: value for name, value in request.query.items() if name not in ("$skiptoken", "$skip")}
            query = "&".join(f"{name}={quote(value)}" for name, value in kept.items())
            body["@odata.nextLink"] = f"{self.base}/{quote(path)}?{query}&{'$skip' if self.counts_skips else '$skiptoken'}={following}"
        elif delta is not None:
            body["@odata.deltaLink"] = f"{self.base}/users/delta?$deltatoken={quote(delta)}"
        return self.json(body)


def _passes(value: Any, field: str, operator: str, moment: str) -> bool:
    text = value.get(field) if isinstance(value, dict) else None
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return True
    bound = datetime.fromisoformat(moment)
    return {"ge": at >= bound, "gt": at > bound, "lt": at < bound}[operator]


class Landed:
    """What a run yielded, as the warehouse would hold it: later records replace earlier ones by key."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.state = MemoryState()

    def add(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.state.apply(batch)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return [row for batch in self.batches if kind in batch.records for row in batch.records[kind].to_pylist()]

    def interactions(self) -> dict[int, dict[str, Any]]:
        """Interactions by key, swept as the warehouse sweeps those of an organiser; a sender's own copy of mail holds."""
        found: dict[int, dict[str, Any]] = {}
        for batch in self.batches:
            if "interaction" in batch.records:
                for row in batch.records["interaction"].to_pylist():
                    before = found.get(row["interaction_key"])
                    if before is None or not row["is_received"] or before["is_received"] is not False:
                        found[row["interaction_key"]] = row
            for sweep in batch.records["sweep"].to_pylist() if "sweep" in batch.records else []:
                for row in found.values():
                    is_in = sweep["since"] <= row["occurred_at"] < sweep["until"] and row["sender_key"] == sweep["sender_key"]
                    if is_in and row["medium"] in sweep["media"] and row["interaction_key"] not in sweep["seen"]:
                        row |= {"exclusion": "deleted", "participants": []}
        return found

    def accounts(self) -> dict[int, dict[str, Any]]:
        return {row["account_key"]: row for row in self.rows("account")}


# -- what the world is made of ------------------------------------------------------------------------------------------


def account(user_id: str) -> int:
    return P.key("microsoft365:account", user_id)


def outsider(address: str) -> int:
    return P.key("address", address)


def person(address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": CANARY, "address": address}}


def mail(name: str, sender: str, to: list[str], at: str = "2026-03-02T09:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "@odata.etag": "W/x",
        "id": f"AAMk-{name}",
        "internetMessageId": f"<{name}@own.example>",
        "conversationId": "conversation",
        "from": person(sender),
        "sender": person(sender),
        "toRecipients": [person(address) for address in to],
        "ccRecipients": [],
        "bccRecipients": [],
        "sentDateTime": at,
        "receivedDateTime": at,
        "isDraft": False,
        "subject": CANARY,
        "bodyPreview": CANARY,
        "body": {"contentType": "html", "content": CANARY},
        **more,
    }


def event(name: str, organiser: str, attendees: dict[str, str], at: str = "2026-03-03T09:00:00", **more: Any) -> dict[str, Any]:
    end = datetime.fromisoformat(at).replace(minute=45).isoformat()
    return {
        "id": f"AAMk-{name}",
        "iCalUId": f"ical-{name}",
        "type": "singleInstance",
        "seriesMasterId": None,
        "organizer": person(organiser),
        "attendees": [
            {**person(address), "type": "required", "status": {"response": response, "time": "0001-01-01T00:00:00Z"}}
            for address, response in attendees.items()
        ],
        "isOnlineMeeting": False,
        "onlineMeetingProvider": "unknown",
        "onlineMeeting": None,
        "location": {"displayName": CANARY, "locationType": "default"},
        "locations": [],
        "isCancelled": False,
        "isAllDay": False,
        "showAs": "busy",
        "sensitivity": "normal",
        "responseStatus": {"response": "none"},
        "start": {"dateTime": f"{at}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{end}.0000000", "timeZone": "UTC"},
        "subject": CANARY,
        "bodyPreview": CANARY,
        **more,
    }


def chat_message(name: str, sender: str | None, at: str = "2026-03-04T09:00:00.123Z", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "replyToId": None,
        "messageType": "message",
        "createdDateTime": at,
        "lastModifiedDateTime": more.pop("modified", at),
        "deletedDateTime": None,
        "subject": CANARY,
        "summary": CANARY,
        "from": None if sender is None else {"user": {"id": sender, "displayName": CANARY, "userIdentityType": "aadUser"}},
        "body": {"contentType": "html", "content": f"<p>{CANARY}</p>"},
        "attachments": [{"id": "1", "name": CANARY}],
        "mentions": [],
        "reactions": [],
        **more,
    }
