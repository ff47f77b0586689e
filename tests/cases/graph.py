"""A Microsoft 365 case: `graph.json` served on loopback, read by the real connector night by night, and what landed compared.

`graph.json` holds `settings`; `collections` (path -> list) and `objects` (path -> object); `errors` (path prefix -> [status,
code]); `faults` (answers given instead, while `times` lasts, to paths that hold `path`); and `nights`, each with its `until`
and with what changes before it (`set`, `add`, `errors`, `heal`, `users_delta`).
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web
from graph_world import FakeGraph, Landed, P, account, outsider

from cases.homes import compared
from connectors.microsoft365 import Microsoft365Settings, fetch
from connectors.pseudonyms import normalise_address

_LISTS: Final = ("groups", "places/graph.room", "communications/callRecords", "teams")
_LISTS_OF_A_USER: Final = ("mailFolders/sentitems/messages", "mailFolders/inbox/messages", "calendarView", "chats/getAllMessages()")
_ONE_NIGHT: Final = ({"until": "2026-03-10T12:00:00+00:00"},)
_ACCOUNT_FIELDS: Final = ("kind", "is_guest", "is_active")


def judge(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Run the case and return what is wrong."""
    case = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    return differences(expected, asyncio.run(_observed(case)))


async def _observed(case: dict[str, Any]) -> dict[str, Any]:
    world = _world(case)
    landed, error = Landed(), None
    async with _served(world):
        try:
            for number, night in enumerate(case.get("nights", _ONE_NIGHT), 1):
                _begin(world, night, f"t1{'+' * (number - 1)}")
                async for batch in fetch(_settings(world, case), P, None, datetime.fromisoformat(night["until"]), landed.state):
                    landed.add(batch)
        except Exception as found:
            error = f"{type(found).__name__}: {found}"
    return _told(case, landed, error)


def _world(case: dict[str, Any]) -> FakeGraph:
    world = FakeGraph()
    world.page_size = 500
    for path in _LISTS:
        world.collections[path] = []
    for user in case["collections"].get("users", []):
        for path in _LISTS_OF_A_USER:
            world.collections[f"users/{user['id']}/{path}"] = []
    world.collections.update(copy.deepcopy(case["collections"]))
    world.objects.update(copy.deepcopy(case.get("objects", {})))
    world.errors.update({path: tuple(answer) for path, answer in case.get("errors", {}).items()})
    faults = [{"times": float("inf"), **fault} for fault in case.get("faults", [])]

    async def answer_instead(request: web.Request) -> web.Response | None:
        fault = next((fault for fault in faults if fault["path"] in unquote(request.path) and fault["times"] > 0), None)
        if fault is None:
            return None
        fault["times"] -= 1
        body = fault.get("body")
        return web.Response(
            text=body if isinstance(body, str) else json.dumps(body).replace("{base}", world.base),
            status=fault.get("status", 200),
            headers=fault.get("headers"),
            content_type=fault.get("content_type", "application/json"),
        )

    world.faults.append(answer_instead)
    return world


@asynccontextmanager
async def _served(world: FakeGraph) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", world.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    world.base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1.0"
    try:
        yield
    finally:
        await runner.cleanup()


def _begin(world: FakeGraph, night: dict[str, Any], delta_token: str) -> None:
    """Change the world as it is before a night."""
    for path, value in night.get("set", {}).items():
        (world.objects if isinstance(value, dict) else world.collections)[path] = value
    for path, values in night.get("add", {}).items():
        world.collections.setdefault(path, []).extend(values)
    world.errors.update({path: tuple(answer) for path, answer in night.get("errors", {}).items()})
    for path in night.get("heal", []):
        world.errors.pop(path, None)
    if "users_delta" in night:
        world.delta_tokens[delta_token] = night["users_delta"]


def _settings(world: FakeGraph, case: dict[str, Any]) -> Microsoft365Settings:
    given = {
        "tenant_id": "t",
        "client_id": "c",
        "client_secret": "sesame",
        "authority": world.base.removesuffix("/v1.0"),
        "base_url": world.base,
        "history_days": 30,
        "retry_seconds": 0.001,
        "resync_jitter_seconds": 0,
        "attempts": 4,
    }
    return Microsoft365Settings.model_validate(given | case.get("settings", {}))


# -- what landed, by the names of the case -----------------------------------------------------------------------------


def _told(case: dict[str, Any], landed: Landed, error: str | None) -> dict[str, Any]:
    names = _names(case)

    def who(key: int | None) -> str | None:
        return None if key is None else names.get(key, f"?{key}")

    accounts = landed.accounts()
    coverage = [row for row in landed.rows("coverage") if row["status"] != "observed"]
    return {
        "error": error,
        "interactions": _interactions(landed, who),
        "accounts": {
            who(key): {name: row[name] for name in _ACCOUNT_FIELDS} | {"has_address": row["person_id"] is not None}
            for key, row in accounts.items()
        },
        "persons": len({row["person_id"] or key for key, row in accounts.items() if row["kind"] in ("human", "unknown")}),
        "quarantine": sorted({(row["stream"], row["reason"]) for row in landed.rows("quarantine")}),
        "not_observed": sorted({(row["stream"], row["medium"] or "", row["status"], row["reason"] or "") for row in coverage}),
    }


def _interactions(landed: Landed, who: Any) -> list[dict[str, Any]]:
    rows = [
        {
            "medium": row["medium"],
            "at": f"{row['occurred_at']:%Y-%m-%dT%H:%M:%SZ}",
            "from": who(row["sender_key"]),
            "to": {who(part["account_key"]): part["evidence"] for part in row["participants"] or []},
            "count": row["recipient_count"],
            "minutes": row["minutes"],
            "mode": row["mode_evidence"],
            "exclusion": row["exclusion"],
            "thread": row["thread_key"],
        }
        for row in landed.interactions().values()
    ]
    rows.sort(key=lambda row: (row["at"], row["medium"], str(row["from"]), str(row["to"])))
    threads: dict[int, int] = {}
    for row in rows:
        if row["thread"] is not None:
            row["thread"] = threads.setdefault(row["thread"], len(threads) + 1)
    return rows


def _names(case: dict[str, Any]) -> dict[int, str]:
    """Return account keys with what the case calls them: a user's id, or an address as it is written first."""
    names: dict[int, str] = {}
    for field, text in _texts(case):
        if "@" in text and len(text) < 200 and (normal := normalise_address(text)):
            names.setdefault(outsider(normal), text)
        if field in ("id", "userId"):
            names[account(text)] = text
    return names


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with the field that it stands in."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, field)
    elif isinstance(value, str) and value:
        yield field, value


# -- comparing ----------------------------------------------------------------------------------------------------------


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Return what of the expected does not hold.

    An object holds if each of its fields does (`to` as a whole: nobody may be there who is not expected; a field that begins
    with `_` is a remark), a list if it is as long and each entry holds, `"*"` if there is anything.
    """
    if path.endswith(".to"):
        return compared(path, found, expected)
    if isinstance(expected, dict):
        wrong = []
        for name, wanted in expected.items():
            if name.startswith("_"):
                continue
            if isinstance(found, dict) and name in found:
                wrong += differences(wanted, found[name], f"{path}.{name}")
            else:
                wrong.append(f"{path}.{name}: is not there")
        return wrong
    if isinstance(expected, list):
        if not isinstance(found, list | tuple) or len(expected) != len(found):
            return [f"{path}: not {len(expected)} entries, but {json.dumps(found, default=str)}"]
        return [
            line
            for place, (one, other) in enumerate(zip(expected, found, strict=True))
            for line in differences(one, other, f"{path}[{place}]")
        ]
    if expected == "*":
        return [] if found else [f"{path}: nothing"]
    return compared(path, found, expected)
