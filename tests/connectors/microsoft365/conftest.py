"""Fixtures of the Microsoft 365 connector's tests."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from graph_world import UNTIL, FakeGraph, Landed, P

from connectors.microsoft365 import Microsoft365Settings, fetch


@pytest_asyncio.fixture
async def graph() -> AsyncIterator[FakeGraph]:
    fake = FakeGraph()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    fake.base = f"http://127.0.0.1:{port}/v1.0"
    yield fake
    await runner.cleanup()


@pytest.fixture
def settings(graph: FakeGraph) -> Callable[..., Microsoft365Settings]:
    def made(**more: Any) -> Microsoft365Settings:
        return Microsoft365Settings.model_validate(
            {
                "tenant_id": "tenant",
                "client_id": "client",
                "client_secret": "sesame",
                "authority": graph.base.removesuffix("/v1.0"),
                "base_url": graph.base,
                "history_days": 30,
                "retry_seconds": 0.001,
                "resync_jitter_seconds": 0,
                **more,
            }
        )

    return made


@pytest.fixture
def run() -> Callable[..., Awaitable[Landed]]:
    async def ran(settings: Microsoft365Settings, landed: Landed | None = None, **more: Any) -> Landed:
        landed = landed or Landed()
        values = {"since": None, "until": UNTIL, **more}
        async for batch in fetch(settings, P, values["since"], values["until"], landed.state):
            landed.add(batch)
        return landed

    return ran


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Give loggers their levels back: the client quiets some."""
    names = ("httpx", "httpcore", "azure", "msal", "urllib3", "hpack", "h2")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
