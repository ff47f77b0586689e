"""What it costs to read a service: CPU a message, from socket to warehouse, and the memory that a million messages take.

    python tests/benchmarks/bench_sources.py --messages 1000000

Both services are served by a process of their own that makes pages up as they are asked for. The collecting process is the
real one: the vendors' kits, the parsers, the store in a file. Its CPU time (all threads) and its peak memory are told,
and what of the CPU is storing. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

ROOT: Final = Path(__file__).resolve().parents[2]
UNTIL: Final = datetime(2026, 11, 1, tzinfo=UTC)
PEOPLE: Final = 1_000
CHANNELS: Final = 20
_START: Final = int((UNTIL - timedelta(days=300)).timestamp())
_SPAN: Final = 299 * 86_400
_TEXT: Final = "what was said here is as long as what people write in a chat on an ordinary working day, " * 2

# -- the services -------------------------------------------------------------------------------------------------------


class Services:
    """Slack and Graph with so many messages each: Slack's in channels, Graph's as mail, chats and channel messages."""

    def __init__(self, messages: int) -> None:
        self.by_channel = messages // CHANNELS
        self.mails = messages * 5 // 10 // PEOPLE
        self.received = messages // 10 // PEOPLE
        self.chats = messages * 3 // 10 // PEOPLE
        self.posts = messages // 10 // CHANNELS

    # -- Slack

    async def slack(self, request: web.Request) -> web.Response:
        """Answer a method of the Web API."""
        method = request.match_info["method"]
        query = request.query
        if method == "conversations.history":
            return self._history(query)
        kinds: dict[str, dict[str, Any]] = {
            "auth.test": {"team_id": "T0BENCH", "user_id": user(0)},
            "team.info": {"team": {"id": "T0BENCH"}},
            "team.externalTeams.list": {"organizations": []},
            "usergroups.list": {"usergroups": []},
            "users.list": {"members": [slack_user(number) for number in range(PEOPLE)]},
            "conversations.list": {
                "channels": [channel(number) for number in range(CHANNELS)] if "public" in query.get("types", "") else []
            },
        }
        return found({"ok": True, **kinds[method]})

    def _history(self, query: Any) -> web.Response:
        place = int(query["channel"][2:])
        top = int(query["cursor"]) if "cursor" in query else self.by_channel
        low = max(0, top - int(query["limit"]))
        step = _SPAN / self.by_channel
        messages = [slack_message(place, number, _START + int(number * step)) for number in range(top - 1, low - 1, -1)]
        return found({"ok": True, "messages": messages, "has_more": low > 0, "response_metadata": {"next_cursor": str(low) if low else ""}})

    # -- Graph

    async def graph(self, request: web.Request) -> web.Response:
        """Answer a route of Graph, or give a token."""
        path = request.path.removeprefix("/v1.0/").replace("()", "")
        if path.endswith("/token"):
            return found({"access_token": "bench", "expires_in": 3600, "token_type": "Bearer"})
        parts = path.split("/")
        base = str(request.url.origin())
        if path == "users/delta":
            users = [graph_user(number) for number in range(PEOPLE)]
            return found({"value": users, "@odata.deltaLink": f"{base}/v1.0/users/delta?$deltatoken=1"})
        if path == "teams":
            return found({"value": [{"id": f"team{number}"} for number in range(CHANNELS)]})
        if path.endswith("/getAllMessages"):
            owner = int(parts[1].removeprefix("team")) if parts[0] == "teams" else person_number(parts[1])
            return self._page(request, self.posts if parts[0] == "teams" else self.chats, teams_message, owner, parts[0] == "teams")
        if parts[-1] == "messages":
            is_sent = "sentitems" in parts
            return self._page(request, self.mails if is_sent else self.received, mail, person_number(parts[1]), is_sent)
        return found({"value": []})

    def _page(self, request: web.Request, total: int, made: Any, *about: Any) -> web.Response:
        low = int(request.query.get("$skip", "0"))
        high = min(total, low + int(request.query.get("$top", "50")))
        body: dict[str, Any] = {"value": [made(number, *about) for number in range(low, high)]}
        if high < total:
            body["@odata.nextLink"] = f"{request.url.origin()}{request.path}?$top={request.query.get('$top', '50')}&$skip={high}"
        return found(body)


def found(body: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def user(number: int) -> str:
    return f"U{number:08}"


def slack_user(number: int) -> dict[str, Any]:
    return {"id": user(number), "team_id": "T0BENCH", "deleted": False, "is_bot": False, "profile": {"email": f"p{number}@firm.example"}}


def channel(number: int) -> dict[str, Any]:
    return {"id": f"C0{number:06}", "name": "a channel", "is_private": False, "is_member": True, "num_members": PEOPLE}


def slack_message(place: int, number: int, seconds: int) -> dict[str, Any]:
    sender = (place * 31 + number * 7) % PEOPLE
    other = user((sender + number % 50 + 1) % PEOPLE)
    elements: list[dict[str, Any]] = [{"type": "text", "text": _TEXT}]
    text = _TEXT
    if number % 3 == 0:
        elements.append({"type": "user", "user_id": other})
        text = f"{_TEXT} <@{other}>"
    blocks = [{"type": "rich_text", "block_id": "b", "elements": [{"type": "rich_text_section", "elements": elements}]}]
    message = {"type": "message", "user": user(sender), "ts": f"{seconds}.{number % 1_000_000:06}", "client_msg_id": "c", "team": "T0BENCH"}
    message |= {"text": text, "blocks": blocks}
    if number % 10 == 0:
        message["reactions"] = [{"name": "thumbsup", "users": [other], "count": 1}]
    return message


def object_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def person_number(text: str) -> int:
    return int(text[-12:])


def graph_user(number: int) -> dict[str, Any]:
    address = f"p{number}@firm.example"
    return {
        "id": object_id(number),
        "mail": address,
        "userPrincipalName": address,
        "proxyAddresses": [f"SMTP:{address}"],
        "department": f"Team {number % 20}",
        "userType": "Member",
        "accountEnabled": True,
        "assignedLicenses": [{"skuId": "x"}],
    }


def moment(number: int) -> str:
    return datetime.fromtimestamp(_START + number * 997 % _SPAN, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def mail(number: int, owner: int, is_sent: bool) -> dict[str, Any]:
    sender = f"p{owner}@firm.example" if is_sent else f"client{number % 40}@client{number % 9}.example"
    to = [f"p{(owner + shift * number + 1) % PEOPLE}@firm.example" for shift in range(1, 4)] if is_sent else [f"p{owner}@firm.example"]
    holders = [{"emailAddress": {"name": "A Name", "address": address}} for address in (sender, *to)]
    at, name = moment(number * 13 + owner), f"{owner}.{number}.{is_sent}"
    return {
        "@odata.etag": "W/x",
        "id": f"AAMk{name}",
        "internetMessageId": f"<{name}@firm.example>",
        "conversationId": f"AAQk{owner}-{number % 50}",
        "from": holders[0],
        "sender": holders[0],
        "toRecipients": holders[1:],
        "ccRecipients": [],
        "bccRecipients": [],
        "sentDateTime": at,
        "receivedDateTime": at,
        "isDraft": False,
    }


def teams_message(number: int, owner: int, is_channel: bool) -> dict[str, Any]:
    sender = (owner + number) % PEOPLE if is_channel else owner
    at = moment(number * 17 + owner)
    message = {
        "id": str(1_700_000_000_000 + number),
        "replyToId": None,
        "etag": "1",
        "messageType": "message",
        "createdDateTime": at,
        "lastModifiedDateTime": at,
        "deletedDateTime": None,
        "subject": None,
        "importance": "normal",
        "locale": "en-us",
        "from": {"user": {"id": object_id(sender), "displayName": "A Name", "userIdentityType": "aadUser"}},
        "body": {"contentType": "html", "content": f"<p>{_TEXT}</p>"},
        "attachments": [],
        "mentions": [],
        "reactions": [],
    }
    if is_channel:
        mentioned = {"user": {"id": object_id((sender + 1) % PEOPLE), "displayName": "A Name"}}
        mentions = [{"id": 0, "mentionText": "A Name", "mentioned": mentioned}]
        return message | {
            "mentions": mentions,
            "channelIdentity": {"teamId": f"team{owner}", "channelId": f"19:channel{owner}@thread.tacv2"},
        }
    other = object_id((owner + number % 20 + 1) % PEOPLE)
    return message | {"chatId": f"19:{object_id(owner)}_{other}@unq.gbl.spaces"}


async def serve(messages: int) -> None:
    """Serve until standard input ends; print the port first."""
    services = Services(messages)
    application = web.Application()
    application.router.add_route("*", "/api/{method}", services.slack)
    application.router.add_route("*", "/{path:.*}", services.graph)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


# -- the collecting process ---------------------------------------------------------------------------------------------


def collect(source: str, port: int, folder: Path) -> dict[str, Any]:
    """Read one service whole into a new warehouse; return what it cost this process."""
    from pipelines import sync
    from pipelines.home import Home
    from pipelines.settings import Settings
    from pipelines.warehouse import Warehouse

    base = f"http://127.0.0.1:{port}"
    account = {"tenant_id": "t", "client_id": "c", "client_secret": "s", "authority": base, "base_url": f"{base}/v1.0"}
    chosen = Settings(
        slack={"token": "xoxp-bench", "base_url": f"{base}/api/", "pace": 10_000},  # type: ignore[arg-type]
        microsoft365={**account, "calls": False, "calendar": False},  # type: ignore[arg-type]
    )
    __import__(f"connectors.{source}")
    storing = 0.0
    store = Warehouse.store

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal storing
        began = time.process_time()
        stored = store(*arguments, **options)
        storing += time.process_time() - began
        return stored

    Warehouse.store = timed  # type: ignore[method-assign]
    cpu, wall = time.process_time(), time.perf_counter()
    report = sync.sync_source(Home(folder).create(), chosen, source, until=UNTIL)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if report.has_gaps or report.quarantined:
        raise SystemExit(f"{source}: not everything was read: {report.missing} {report.quarantined}")
    return {
        "source": source,
        "messages": report.interaction_count,
        "cpu_ms_a_message": round(1000 * cpu / report.interaction_count, 4),
        "of_which_storing": round(1000 * storing / report.interaction_count, 4),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "messages_a_second": round(report.interaction_count / wall),
    }


@contextmanager
def serving(messages: int) -> Iterator[int]:
    """Serve from a process of its own; yield the port."""
    command = [sys.executable, __file__, "--serve", "--messages", str(messages)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield int(server.stdout.readline())
        server.stdin.close()


def measured(messages: int, source: str) -> dict[str, Any]:
    """Read one service in a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory() as folder, serving(messages) as port:
        command = [sys.executable, __file__, "--collect", source, "--port", str(port), "--folder", folder]
        environment = {**os.environ, "PERDURE_KEY": "5a" * 32, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure both services, or be one of the processes for it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=100_000, help="messages of each service (default: 100,000)")
    parser.add_argument("sources", nargs="*", help="slack, microsoft365; both by default")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--collect", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.messages))
    elif options.collect:
        sys.stdout.write(json.dumps(collect(options.collect, options.port, options.folder)))
    else:
        rows: list[dict[str, Any]] = []
        for source in options.sources or ("slack", "microsoft365"):
            rows.append(measured(options.messages, source))
            for row in ({name: name for name in rows[0]}, rows[-1]) if len(rows) == 1 else (rows[-1],):
                sys.stdout.write("  ".join(f"{value:>18}" for value in row.values()) + "\n")
                sys.stdout.flush()
        sys.stdout.write(json.dumps({"bench": "sources", "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
