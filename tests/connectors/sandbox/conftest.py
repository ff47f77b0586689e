from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from connectors.sandbox import Organisation, Sandbox, World, make


@pytest.fixture(scope="session")
def organisation() -> Organisation:
    """A small organisation with everything in it."""
    return make(World(people=60, days=120, policy_day=60, thread_share=0.4, late_reply_share=0.3))


@pytest.fixture(scope="session")
def year() -> Organisation:
    """The organisation of the demonstration: 200 people over a year."""
    return make(World())


@dataclass
class Client:
    """A plain HTTP client of a sandbox."""

    sandbox: Sandbox
    session: aiohttp.ClientSession

    async def slack(self, method: str, **query: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.sandbox.token}"}
        parameters = {name: str(value) for name, value in query.items()}
        async with self.session.get(self.sandbox.slack_url + method, params=parameters, headers=headers) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def slack_pages(self, method: str, key: str, **query: Any) -> list[Any]:
        found: list[Any] = []
        cursor = ""
        seen = set()
        while True:
            body = await self.slack(method, **query, **({"cursor": cursor} if cursor else {}))
            assert body["ok"], body
            found += body[key]
            cursor = (body.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return found
            assert cursor not in seen, "a cursor that comes twice would be an endless loop"
            seen.add(cursor)

    async def token(self) -> str:
        sandbox = self.sandbox
        form = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        async with self.session.post(f"{sandbox.authority}/{sandbox.tenant_id}/oauth2/v2.0/token", data=form) as response:
            assert response.status == 200
            return str((await response.json())["access_token"])

    async def graph(self, path: str, expected: int = 200, prefer: str = "", **query: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {await self.token()}", "Prefer": prefer}
        url = path if path.startswith("http") else f"{self.sandbox.graph_url}/{path}"
        async with self.session.get(url, params={f"${name}": str(value) for name, value in query.items()}, headers=headers) as response:
            assert response.status == expected, await response.text()
            found: dict[str, Any] = await response.json()
            return found

    async def graph_pages(self, path: str, **query: Any) -> tuple[list[Any], str | None]:
        """All elements, and the delta link."""
        body = await self.graph(path, **query)
        found = list(body["value"])
        seen = set()
        while link := body.get("@odata.nextLink"):
            assert link not in seen
            seen.add(link)
            body = await self.graph(link)
            found += body["value"]
        return found, body.get("@odata.deltaLink")


class Asking:
    """Graph asked plainly: status and body."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self._client = Client(sandbox, session)

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {await self._client.token()}"}
        url = path if path.startswith("http") else f"{self._client.sandbox.graph_url}/{path}"
        async with self._client.session.get(url, headers=headers) as response:
            return response.status, await response.json()

    async def pages(self, path: str) -> tuple[list[Any], str | None]:
        _, body = await self.get(path)
        found = list(body["value"])
        while link := body.get("@odata.nextLink"):
            _, body = await self.get(link)
            found += body["value"]
        return found, body.get("@odata.deltaLink")


@pytest.fixture
def asking() -> type[Asking]:
    return Asking


@pytest.fixture
async def client(organisation: Organisation) -> AsyncIterator[Client]:
    async with Sandbox(organisation) as sandbox, aiohttp.ClientSession() as session:
        yield Client(sandbox, session)
