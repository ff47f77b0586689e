"""An imitation of Slack's Web API on loopback that says what a case tells it to, and a witness of every request.

`slack.json` of a case holds `answers`, each with a `method` and a `body`, and perhaps `when` (parameters that must be so),
`status`, `headers`, `times` (how often it is given) and `for_seconds` (how long, from its first request). The first that fits
answers. `{ts+10}` in a text is the Slack time of ten seconds after a moment five days ago, `{own}` the server's own address.

A case whose server is a program of its own (`api_server.py PORT SCENARIO`, in its folder or beside it) has that started in an
empty folder, and the witness hands on to it what it is asked.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientConnectionError, ClientSession, web

_SCOPES: Final = (
    "channels:history,channels:read,groups:history,groups:read,im:history,im:read,mpim:history,mpim:read,"
    "users:read,users:read.email,usergroups:read,team:read,reactions:read"
)
_PATIENCE: Final = 20.0


@dataclass
class Witness:
    """Every request with the status of its answer."""

    base_url: str = ""
    requests: list[tuple[str, dict[str, str], int]] = field(default_factory=list)

    def count(self, status: int) -> int:
        """Return how many requests were answered with a status."""
        return sum(given == status for _, _, given in self.requests)

    def asked(self, method: str, value: str) -> bool:
        """Return whether a method was called with a value among its parameters."""
        return any(name == method and value in given.values() for name, given, _ in self.requests)


@contextmanager
def served(folder: Path, scenario: str, into: Path) -> Iterator[Witness]:
    """Serve a case's Slack while inside.

    Raises:
        FileNotFoundError: If the folder says neither by data nor by a program what the server answers.
    """
    if (folder / "slack.json").is_file():
        answers = json.loads((folder / "slack.json").read_text(encoding="utf-8"))["answers"]
        with _witnessed(lambda witness: _Told(answers, witness)) as witness:
            yield witness
        return
    program = next((path for path in (folder / "api_server.py", folder.parent / "api_server.py") if path.is_file()), None)
    if program is None:
        raise FileNotFoundError("neither slack.json nor api_server.py tells what Slack answers")
    with _program(program, scenario, into) as port, _witnessed(lambda _: _HandedOn(port)) as witness:
        yield witness


Answering = Callable[[str, dict[str, str], web.Request], Any]


class _Told:
    """Answers as the case's data say."""

    def __init__(self, answers: list[dict[str, Any]], witness: Witness) -> None:
        self.answers = answers
        self.witness = witness
        self.given = [0] * len(answers)
        self.first: dict[int, float] = {}
        self.epoch = int(time.time()) - 5 * 86400

    async def __call__(self, method: str, parameters: dict[str, str], request: web.Request) -> web.Response:
        for place, answer in enumerate(self.answers):
            if answer["method"] != method or any(parameters.get(name, "") != value for name, value in answer.get("when", {}).items()):
                continue
            began = self.first.setdefault(place, time.monotonic())
            if self.given[place] >= answer.get("times", float("inf")) or time.monotonic() - began > answer.get("for_seconds", float("inf")):
                continue
            self.given[place] += 1
            text = json.dumps({"ok": True, **answer["body"]}).replace("{own}", self.witness.base_url)
            text = re.sub(r"\{ts\+(\d+)\}", lambda found: f"{self.epoch + int(found[1])}.000100", text)
            headers = {"X-OAuth-Scopes": _SCOPES, **answer.get("headers", {})}
            return web.Response(text=text, status=answer.get("status", 200), headers=headers, content_type="application/json")
        return web.json_response({"ok": False, "error": "unknown_method"})


class _HandedOn:
    """Hands each request on to a server that another program is."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    async def __call__(self, method: str, parameters: dict[str, str], request: web.Request) -> web.Response:
        url = f"{self.base}{request.path}"
        async with ClientSession() as session, session.request(request.method, url, params=request.query, data=await request.post()) as got:
            headers = {name: got.headers[name] for name in ("X-OAuth-Scopes", "Retry-After") if name in got.headers}
            return web.Response(body=await got.read(), status=got.status, headers=headers, content_type=got.content_type)


@contextmanager
def _witnessed(answering: Callable[[Witness], Answering]) -> Iterator[Witness]:
    """Run a server in a thread of its own, since the command under test runs elsewhere, and note what it is asked."""
    witness = Witness()
    answer = answering(witness)

    async def handle(request: web.Request) -> web.Response:
        method = request.path.rpartition("/")[2]
        parameters = {name: str(value) for name, value in {**request.query, **await request.post()}.items()}
        try:
            response = await answer(method, parameters, request)
        except ClientConnectionError:
            response = web.Response(status=502)
        witness.requests.append((method, parameters, response.status))
        return response

    loop, ready = asyncio.new_event_loop(), threading.Event()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        witness.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
        ready.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        if not ready.wait(_PATIENCE):
            raise TimeoutError("the imitation of Slack did not start")
        yield witness
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()


@contextmanager
def _program(program: Path, scenario: str, into: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, str(program), str(port), scenario]
    with subprocess.Popen(command, cwd=into, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the case's own server did not start")
