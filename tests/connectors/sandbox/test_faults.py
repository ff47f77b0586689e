from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import orjson
import pytest

from connectors.errors import UserError
from connectors.sandbox import Faults, Organisation, Sandbox
from connectors.sandbox.faults import GRAPH_KINDS, KINDS, SLACK_KINDS
from connectors.sandbox.http import LoopbackServer


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org", ""])  # noqa: S104
def test_it_listens_on_this_machine_only(organisation: Organisation, host: str) -> None:
    with pytest.raises(UserError, match="this machine only"):
        Sandbox(organisation, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_addresses_are_accepted(organisation: Organisation, host: str) -> None:
    sandbox = Sandbox(organisation)
    LoopbackServer(sandbox.slack, host)


def test_what_fails_depends_on_the_seed_and_the_request_alone() -> None:
    def drawn(seed: int, order: list[str]) -> dict[str, list[str | None]]:
        faults = Faults(rate=0.5, seed=seed)
        found: dict[str, list[str | None]] = {}
        for name in order:
            found.setdefault(name, []).append(faults.draw("slack", name))
        return found

    names = [f"request {n}" for n in range(20)]
    assert drawn(1, names * 5) == drawn(1, [name for name in names for _ in range(5)])
    assert drawn(1, names * 5) != drawn(2, names * 5)


def test_faults_come_at_their_rate_and_never_for_ever() -> None:
    faults = Faults(rate=0.2, seed=4)
    drawn = [faults.draw("graph", f"{n}") for n in range(5000)]
    assert sum(kind is not None for kind in drawn) / 5000 == pytest.approx(0.2, abs=0.02)
    assert set(drawn) == {None, *GRAPH_KINDS}
    stubborn = Faults(rate=0.99, seed=4)
    row = [stubborn.draw("slack", "same") is not None for _ in range(40)]
    assert max(len(run) for run in "".join("x" if bad else " " for bad in row).split()) <= 3


def test_unknown_kinds_and_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="pigeon"):
        Faults(slack=("pigeon",))
    with pytest.raises(ValueError, match="rate"):
        Faults(rate=1.0)


async def asked(organisation: Organisation, kind: str, path: str, tries: int = 4) -> tuple[Sandbox, list[tuple[int, bytes, Any]]]:
    """What comes of one request, made again and again, where everything fails in one way."""
    found: list[tuple[int, bytes, Any]] = []
    faults = Faults(rate=0.999999, seed=1, slack=(kind,), graph=(kind,), retry_after=0, most_in_a_row=1)
    async with Sandbox(organisation, faults) as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        base = sandbox.slack_url
        if path.startswith("graph:"):
            form = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
            async with session.post(f"{sandbox.authority}/t/oauth2/v2.0/token", data=form) as response:
                headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}
            base, path = sandbox.graph_url + "/", path.removeprefix("graph:")
        for _ in range(tries):
            try:
                async with session.get(base + path, headers=headers) as response:
                    found.append((response.status, await response.read(), response.headers))
            except aiohttp.ClientError as error:
                found.append((0, type(error).__name__.encode(), {}))
    return sandbox, found


@pytest.mark.parametrize("kind, status", [("429", 429), ("500", 500), ("502_html", 502), ("503", 503), ("504", 504)])
@pytest.mark.parametrize("path", ["users.list", "graph:users"])
async def test_errors_come_as_they_should_and_pass(organisation: Organisation, kind: str, status: int, path: str) -> None:
    sandbox, found = await asked(organisation, kind, path)
    assert [one[0] for one in found] == [status, 200, status, 200]
    assert sandbox.faults.counts == {kind: 2}
    if kind == "429":
        assert found[0][2]["Retry-After"] == "0"
    assert (b"<html>" in found[0][1]) == (kind == "502_html")


async def test_slack_refuses_in_a_200_body(organisation: Organisation) -> None:
    _, found = await asked(organisation, "ratelimited", "users.list", 1)
    assert orjson.loads(found[0][1]) == {"ok": False, "error": "ratelimited"}


@pytest.mark.parametrize("path", ["users.list", "graph:users"])
async def test_bodies_are_cut_short_and_connections_dropped(organisation: Organisation, path: str) -> None:
    _, found = await asked(organisation, "truncated", path, 2)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(found[0][1])
    assert orjson.loads(found[1][1])
    _, found = await asked(organisation, "dropped", path, 2)
    assert [one[0] for one in found] == [0, 200]


@pytest.mark.parametrize("path, key", [("users.list?limit=5", "members"), ("graph:users?$top=5", "value")])
async def test_pages_may_repeat_an_element_or_be_empty_before_the_end(organisation: Organisation, path: str, key: str) -> None:
    _, found = await asked(organisation, "duplicate", path, 2)
    first, plain = (orjson.loads(one[1])[key] for one in found)
    assert first == [*plain, plain[-1]]
    sandbox, found = await asked(organisation, "empty_page", path, 2)
    body = orjson.loads(found[0][1])
    assert body[key] == []
    assert body.get("@odata.nextLink") or body["response_metadata"]["next_cursor"]
    assert sandbox.faults.counts["empty_page"] == 1


async def test_delta_tokens_may_be_refused_in_both_ways(organisation: Organisation) -> None:
    moment = int(organisation.ends.timestamp()) * 1_000_000
    _, found = await asked(organisation, "expired_delta", f"graph:users/delta?$deltatoken={moment}|id")
    assert [one[0] for one in found] == [400, 200, 410, 200]
    assert b"syncStateNotFound" in found[0][1]
    assert "Location" in found[2][2]


async def test_a_collection_comes_without_its_value(organisation: Organisation) -> None:
    _, found = await asked(organisation, "without_value", "graph:users?$select=id")
    assert found[0][0] == 200
    assert set(orjson.loads(found[0][1])) == {"@odata.context"}
    assert "value" in orjson.loads(found[1][1])


async def test_slow_bodies_come_all_the_same(organisation: Organisation) -> None:
    sandbox, found = await asked(organisation, "slow", "users.list", 2)
    assert [one[0] for one in found] == [200, 200]
    assert sandbox.faults.by_service == Counter({("slack", "slow"): 1})


def test_every_kind_is_of_some_service() -> None:
    assert {*SLACK_KINDS, *GRAPH_KINDS} == set(KINDS)


def test_it_can_be_served_from_a_thread(organisation: Organisation) -> None:
    async def ask(url: str, token: str) -> bool:
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            return bool((await response.json())["ok"])

    with Sandbox(organisation) as sandbox:
        assert asyncio.run(ask(sandbox.slack_url + "team.info", sandbox.token))
        assert sandbox.requests == Counter({"team.info": 1})
