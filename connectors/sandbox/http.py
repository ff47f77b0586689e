"""What both services share: an HTTP server that listens on this machine only, faults, budgets, counters."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from time import monotonic
from typing import Any, Final

import orjson
from aiohttp import web

from connectors.errors import UserError
from connectors.sandbox.canaries import canary
from connectors.sandbox.faults import PAGE_KINDS, Faults

JSON: Final = "application/json; charset=utf-8"
_HTML: Final = f"<html><head><title>502 Bad Gateway</title></head><body><h1>502 {canary('header')}</h1></body></html>".encode()


@dataclass(slots=True)
class Answer:
    """A response before it is sent.

    Attributes:
        body: Its bytes.
        status: HTTP status.
        headers: Further headers.
        quirk_was_used: Whether the fault that was asked of the page was made.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    quirk_was_used: bool = False


@dataclass(slots=True)
class Call:
    """A request, as the services see it.

    Attributes:
        path: Path below the service's root.
        query: Query and form parameters.
        headers: Headers, names in lower case.
        quirk: A page fault to be made, if the response has pages.
        body: The body's bytes, where it is no form.
    """

    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    quirk: str | None = None
    body: bytes = b""


class Service:
    """One of the two services behind HTTP.

    Args:
        name: slack or graph.
        faults: What goes wrong.
        per_minute: Requests allowed a minute by method or route, as a bucket of ten seconds' worth; others are free.

    Attributes:
        requests: Requests received, by method or route.
    """

    def __init__(self, name: str, faults: Faults, per_minute: Mapping[str, float] | None = None) -> None:
        self.name = name
        self.faults = faults
        self.requests: Counter[str] = Counter()
        self._budgets = {method: _Bucket(rate) for method, rate in (per_minute or {}).items()}

    def answer(self, call: Call) -> Answer:
        """Return the response to a request that goes well."""
        raise NotImplementedError

    def route(self, call: Call) -> str:
        """Return the name under which a request is counted."""
        raise NotImplementedError

    def refusal(self, status: int, code: str) -> bytes:
        """Return the body of an error."""
        raise NotImplementedError

    def may_fail(self, call: Call) -> bool:
        """Return whether faults may be made of a request."""
        return True

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request, or fail to."""
        call = await self._call(request)
        route = self.route(call)
        self.requests[route] += 1
        bucket = self._budgets.get(route)
        if bucket is not None and (wait := bucket.wait()) > 0:
            return self._plain(Answer(self.refusal(429, "ratelimited"), 429, {"Retry-After": str(ceil(wait))}))
        told = "&".join(f"{name}={value}" for name, value in sorted(call.query.items()))
        kind = self.faults.draw(self.name, f"{request.method} {call.path}?{told}") if self.may_fail(call) else None
        if kind in PAGE_KINDS:
            call.quirk = kind
        elif kind is not None:
            self.faults.made(self.name, kind)
            if (failed := await self._failed(request, call, kind)) is not None:
                return failed
        quirk = call.quirk
        answer = self.answer(call)
        if quirk is not None and answer.quirk_was_used:
            self.faults.made(self.name, quirk)
        return self._plain(answer)

    async def _call(self, request: web.Request) -> Call:
        query = dict(request.query)
        body = b""
        if request.can_read_body:
            if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
                query |= {name: str(value) for name, value in (await request.post()).items()}
            else:
                body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        return Call(request.path, query, headers, body=body)

    @staticmethod
    def _plain(answer: Answer) -> web.Response:
        return web.Response(body=answer.body, status=answer.status, headers={"Content-Type": JSON, **answer.headers})

    async def _failed(self, request: web.Request, call: Call, kind: str) -> web.StreamResponse | None:
        """Make a fault that is not of a page; None if the request is answered after all."""
        if kind == "slow":
            await asyncio.sleep(self.faults.slow_seconds)
            return None
        pause = self.faults.retry_after
        waiting = {"Retry-After": f"{ceil(pause) if self.name == 'graph' or pause == int(pause) else pause}"}
        if kind == "429":
            return self._plain(Answer(self.refusal(429, "ratelimited"), 429, waiting))
        if kind == "ratelimited":
            return self._plain(Answer(self.refusal(200, "ratelimited")))
        if kind == "expired_token":
            return self._plain(Answer(self.refusal(401, "InvalidAuthenticationToken"), 401))
        if kind == "502_html":
            return web.Response(body=_HTML, status=502, headers={"Content-Type": "text/html"})
        if kind in ("500", "503", "504"):
            return self._plain(Answer(self.refusal(int(kind), "internal_error"), int(kind), waiting if kind == "503" else {}))
        answer = self.answer(call)
        half = answer.body[: len(answer.body) // 2]
        if kind == "truncated":
            return self._plain(Answer(half, answer.status, answer.headers))
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": JSON, **answer.headers})
        response.content_length = len(answer.body) + 1
        await response.prepare(request)
        await response.write(half)
        if request.transport is not None:
            request.transport.abort() if hasattr(request.transport, "abort") else request.transport.close()
        return response


class _Bucket:
    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._size = max(1.0, per_minute / 6)
        self._left = self._size
        self._then = monotonic()

    def wait(self) -> float:
        """Take one, or return how many seconds until there is one."""
        now = monotonic()
        self._left = min(self._size, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate


class LoopbackServer:
    """An HTTP server for one service, on this machine only.

    Args:
        service: What answers.
        host: The address to listen on.
        port: The port; 0 for any that is free.

    Raises:
        UserError: If the address is not loopback: what it serves needs no password, so it is for this machine alone.
    """

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 0) -> None:
        if not is_loopback(host):
            raise UserError(f"sandbox: refuses to listen on {host}; it serves this machine only: use 127.0.0.1")
        self._service = service
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Begin to listen and return the root's URL, without a slash at its end."""
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._service.respond)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        server: Any = site._server
        port = server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


def is_loopback(host: str) -> bool:
    """Return whether an address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def dumps(value: object) -> bytes:
    """Return a value as JSON."""
    return orjson.dumps(value)
