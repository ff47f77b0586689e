"""Both services over one organisation, begun and ended together."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from connectors.sandbox import names
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.faults import Faults
from connectors.sandbox.graph_server import GraphService
from connectors.sandbox.http import LoopbackServer
from connectors.sandbox.organisation import Organisation, make
from connectors.sandbox.slack_server import SCOPES, SlackService
from connectors.sandbox.truth import Truth
from connectors.sandbox.world import World

TOKEN: Final = "sandbox-slack-token"  # noqa: S105  (opens this machine's sandbox only)
CLIENT_ID: Final = "00000000-0000-4000-8000-00000000c11e"
CLIENT_SECRET: Final = "sandbox-client-secret"  # noqa: S105


class Sandbox:
    """Slack and Microsoft 365 on this machine. Use as a context manager, async or not; inside it the URLs are known.

    Time is set from the thread that calls, also while clients read: change it between nights, not within one.

    Args:
        world: The organisation to make, or one that was made.
        faults: What goes wrong; nothing by default.
        now: The sandbox's time; by default the end of the observed time, so that all of it has happened.
        host: Loopback address to listen on.
        slack_port: Port for Slack; 0 for any.
        graph_port: Port for Graph and its token endpoint; 0 for any.
        slack: Further options of `SlackService`: scopes, is_bot, is_limited, per_minute.
        graph: Further options of `GraphService`: permissions, token_seconds, call_record_days, closed_mailboxes, per_minute.

    Attributes:
        organisation: What is served.
        evolution: What changes after it happened.
        clock: The sandbox's time.
        faults: What goes wrong, with counts.
        slack: The Slack service.
        graph: The Graph service.
        slack_url: Base URL for Slack's clients, ending in /api/.
        graph_url: Base URL for Graph's clients, ending in /v1.0.
        authority: Base URL for signing in.
        token: Slack's token.
        tenant_id, client_id, client_secret: What signs in to Graph.
    """

    token: str = TOKEN
    tenant_id: str = names.TENANT
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET

    def __init__(
        self,
        world: World | Organisation | None = None,
        faults: Faults | None = None,
        *,
        now: datetime | None = None,
        host: str = "127.0.0.1",
        slack_port: int = 0,
        graph_port: int = 0,
        slack: Mapping[str, Any] | None = None,
        graph: Mapping[str, Any] | None = None,
    ) -> None:
        self.organisation = world if isinstance(world, Organisation) else make(world or World())
        self.evolution = Evolution.of(self.organisation)
        self.clock = Clock(now or self.organisation.ends)
        self.faults = faults or Faults()
        self.slack = SlackService(
            self.organisation, self.evolution, self.clock, faults=self.faults, **{"token": TOKEN, "scopes": SCOPES, **(slack or {})}
        )
        self.graph = GraphService(
            self.organisation,
            self.evolution,
            self.clock,
            faults=self.faults,
            **{"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **(graph or {})},
        )
        self._servers = LoopbackServer(self.slack, host, slack_port), LoopbackServer(self.graph, host, graph_port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.slack_url = ""
        self.graph_url = ""
        self.authority = ""

    async def __aenter__(self) -> Self:
        slack, graph = self._servers
        self.slack_url = f"{await slack.start()}/api/"
        self.authority = await graph.start()
        self.graph_url = f"{self.authority}/v1.0"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in self._servers:
            await server.stop()

    def __enter__(self) -> Self:
        """Serve from a thread of its own, for callers without an event loop or with one that is busy."""
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="sandbox", daemon=True)
        self._thread.start()
        self._loop = loop
        asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result(60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._loop is not None  # noqa: S101  (set by __enter__)
        assert self._thread is not None  # noqa: S101
        asyncio.run_coroutine_threadsafe(self.__aexit__(kind, error, trace), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
        self._loop = self._thread = None

    @property
    def truth(self) -> Truth:
        """What was planted."""
        return self.organisation.truth

    @property
    def now(self) -> datetime:
        """The sandbox's time: nothing later is shown. Set it to let time pass."""
        return self.clock.now

    @now.setter
    def now(self, moment: datetime) -> None:
        self.clock.now = moment

    @property
    def requests(self) -> Counter[str]:
        """Requests received by both services, by method or route."""
        return self.slack.requests + self.graph.requests

    def slack_settings(self) -> dict[str, Any]:
        """Return what `[slack]` in settings has to say; without waiting for Slack's budgets."""
        return {"token": self.token, "base_url": self.slack_url, "pace": 10_000.0}

    def graph_settings(self) -> dict[str, Any]:
        """Return what `[microsoft365]` in settings has to say; without waiting for Graph's budgets."""
        return {
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "authority": self.authority,
            "base_url": self.graph_url,
            "pace": 10_000.0,
        }
