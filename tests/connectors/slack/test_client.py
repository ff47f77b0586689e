"""The client: patience, budgets, silence, and what it tells the user."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from connectors.errors import UserError
from connectors.slack.client import SlackClient, SlackError, SlackUnavailableError
from connectors.slack.limits import TIERS, Bucket, Budgets
from connectors.slack.settings import SlackSettings

CANARY = "CANARYXYLOPHONE"


class Time:
    """A clock that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def settings_for(slack: Any, **more: Any) -> SlackSettings:
    return SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack.url, pace=10_000, **more)


def patient(slack: Any, **more: Any) -> tuple[SlackClient, Time]:
    time = Time()
    return SlackClient(settings_for(slack, **more), clock=time, sleep=time.sleep, chance=random.Random(1)), time


BODIES: dict[str, Callable[[], web.StreamResponse]] = {
    "500": lambda: web.json_response({"ok": False, "error": CANARY}, status=500),
    "502 page": lambda: web.Response(status=502, text=f"<html>{CANARY}</html>", content_type="text/html"),
    "503 empty": lambda: web.Response(status=503),
    "504": lambda: web.Response(status=504, text="", content_type="text/plain"),
    "200 page": lambda: web.Response(text=f"<html>{CANARY}", content_type="text/html"),
    "200 truncated": lambda: web.Response(text='{"ok": true, "messages": [{"te', content_type="application/json"),
    "200 list": lambda: web.json_response([1]),
    "200 empty": lambda: web.Response(),
    "internal_error": lambda: web.json_response({"ok": False, "error": "internal_error"}),
    "ratelimited in a 200 body": lambda: web.json_response({"ok": False, "error": "ratelimited"}),
    "429": lambda: web.Response(status=429, headers={"Retry-After": "7"}),
    "429 without a time": lambda: web.Response(status=429),
    "302": lambda: web.Response(status=302, headers={"Location": "https://example.org/"}),
}


@pytest.mark.parametrize("name", BODIES)
async def test_what_may_pass_is_tried_again(slack: Any, name: str) -> None:
    slack.faults["team.info"] = [BODIES[name]] * 3
    client, time = patient(slack)
    async with client:
        assert (await client.call("team.info"))["team"]["id"] == "T0HOME"
    assert client.requests["team.info"] == 4
    assert sum(client.faults.values()) == 3
    assert len(time.slept) >= 3


@pytest.mark.parametrize("is_half_sent", [False, True])
async def test_a_dropped_connection_is_tried_again(is_half_sent: bool) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        sent += 1
        if sent > 2:
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}')
        elif is_half_sent:
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"ok":true')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    time = Time()
    settings = SlackSettings(token=SecretStr("xoxb-1"), base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api")
    async with server, SlackClient(settings, clock=time, sleep=time.sleep) as client:
        assert await client.call("team.info") == {"ok": True}
        assert sent == 3


async def test_retry_after_is_honoured_with_jitter_and_capped(slack: Any) -> None:
    slack.faults["team.info"] = [lambda: web.Response(status=429, headers={"Retry-After": "30"})]
    client, time = patient(slack)
    async with client:
        await client.call("team.info")
    assert 30 <= sum(time.slept) <= 33.2
    slack.faults["team.info"] = [lambda: web.Response(status=429, headers={"Retry-After": "86400"})]
    client, time = patient(slack, longest_wait_seconds=100)
    async with client:
        await client.call("team.info")
    assert sum(time.slept) == pytest.approx(100)


async def test_a_refusal_slows_nothing_for_good(slack: Any) -> None:
    time = Time()
    settings = SlackSettings(token=SecretStr("xoxb-1"), base_url=slack.url, requests_per_minute={"team.info": 60})
    async with SlackClient(settings, clock=time, sleep=time.sleep) as client:
        for _ in range(10):
            await client.call("team.info")  # the burst
        start = time.now
        for _ in range(10):
            await client.call("team.info")
        steady = time.now - start
        slack.faults["team.info"] = [lambda: web.Response(status=429, headers={"Retry-After": "20"})]
        await client.call("team.info")
        for _ in range(20):
            await client.call("team.info")
        start = time.now
        for _ in range(10):
            await client.call("team.info")
        assert time.now - start == pytest.approx(steady, rel=0.01)
        assert steady == pytest.approx(10 * 60 / 57, rel=0.01)  # the burst is of the minute's budget


async def test_budgets_are_per_method(slack: Any) -> None:
    time = Time()
    settings = SlackSettings(token=SecretStr("xoxb-1"), base_url=slack.url, requests_per_minute={"team.info": 6})
    async with SlackClient(settings, clock=time, sleep=time.sleep) as client:
        await client.call("team.info")
        await client.call("users.list", limit=1)
        assert time.slept == []
        await client.call("team.info")
        assert sum(time.slept) == pytest.approx(10)


@pytest.mark.parametrize("method", [*TIERS, "some.unknown.method"])
async def test_no_minute_takes_more_than_95_percent_of_a_limit(method: str) -> None:
    time = Time()
    budgets = Budgets({}, 1.0, time, time.sleep)
    taken: list[float] = []
    for _ in range(400):
        await budgets.bucket(method).take()
        taken.append(time.now)
    limit = TIERS.get(method, 20)
    busiest = max(sum(start <= moment < start + 60 for moment in taken) for start in taken)
    assert busiest <= 0.95 * limit
    assert len(taken) / (taken[-1] - taken[0]) * 60 >= 0.8 * limit


async def test_a_refusal_of_one_closes_the_method_for_all(slack: Any) -> None:
    time = Time()
    budgets = Budgets({}, 1.0, time, time.sleep)
    bucket = budgets.bucket("conversations.history")
    bucket.close(30)
    start = time.now
    await asyncio.gather(*(budgets.bucket("conversations.history").take() for _ in range(3)))
    assert time.now - start >= 30
    before = time.now
    await budgets.bucket("conversations.replies").take()
    assert time.now == before


async def test_a_bucket_serves_many_waiters() -> None:
    time = Time()
    bucket = Bucket(60, time, time.sleep)
    start = time.now
    await asyncio.gather(*(bucket.take() for _ in range(40)))
    assert time.now - start >= 29


async def test_what_never_passes_is_unavailable(slack: Any) -> None:
    slack.every = lambda method: web.Response(status=502, text=CANARY)
    client, _ = patient(slack, retries=3)
    async with client:
        with pytest.raises(SlackUnavailableError, match=r"^http_502$"):
            await client.call("team.info")
    assert client.requests["team.info"] == 4


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive", "token_expired", "not_authed"])
async def test_a_refused_token_is_the_users_to_mend(slack: Any, code: str) -> None:
    slack.errors["team.info"] = code
    client, _ = patient(slack)
    async with client:
        with pytest.raises(UserError, match=rf"slack\.token.*{code}"):
            await client.call("team.info")
    assert client.requests["team.info"] == 1


async def test_an_error_code_is_all_that_an_error_says(slack: Any) -> None:
    slack.faults["team.info"] = [lambda: web.json_response({"ok": False, "error": "missing_scope", "needed": "team:read", "text": CANARY})]
    client, _ = patient(slack)
    async with client:
        with pytest.raises(SlackError, match=r"^missing_scope$") as caught:
            await client.call("team.info")
        assert caught.value.needed == "team:read"
        slack.faults["team.info"] = [lambda: web.json_response({"ok": False, "error": f"no such <@U1> {CANARY}"})]
        with pytest.raises(SlackError, match=r"^unknown_error$") as caught:
            await client.call("team.info")
    assert caught.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(caught.value))


async def test_no_body_is_logged_even_with_the_root_at_debug(slack: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    slack.add_channel("C1")
    slack.say("C1", "1600000001.000100")
    slack.faults["conversations.history"] = [BODIES["502 page"], BODIES["200 truncated"], BODIES["429"]]
    client, _ = patient(slack)
    async with client:
        data = await client.call("conversations.history", channel="C1", limit=5)
    assert data["messages"][0]["text"] == CANARY
    assert CANARY not in caplog.text
    assert "xoxb" not in caplog.text


async def test_connections_are_kept(slack: Any) -> None:
    client, _ = patient(slack)
    async with client:
        for _ in range(20):
            await client.call("team.info")
    assert len(slack.connections) == 1


async def test_pages_follow_the_cursor_past_short_and_empty_pages(slack: Any, make_user: Any) -> None:
    slack.users = [make_user(f"U{n}") for n in range(7)]
    slack.cap = 3
    slack.empty_pages = True
    client, _ = patient(slack)
    async with client:
        sizes = [len(page) async for page in client.pages("users.list", "members", limit=200)]
    assert sizes == [0, 3, 3, 1]


async def test_a_refusal_between_pages_loses_no_page(slack: Any, make_user: Any) -> None:
    slack.users = [make_user(f"U{n}") for n in range(7)]
    client, _ = patient(slack)
    seen: list[str] = []
    async with client:
        async for page in client.pages("users.list", "members", limit=2):
            seen += [user["id"] for user in page]
            slack.faults["users.list"] = [BODIES["429"], BODIES["ratelimited in a 200 body"]]
    assert seen == [f"U{n}" for n in range(7)]


async def test_the_class_limited_to_fifteen_messages_is_explained(slack: Any) -> None:
    slack.add_channel("C1")
    for n in range(100):
        slack.say("C1", f"16000000{n:02}.000000")
    slack.cap = 15
    client, _ = patient(slack)
    with pytest.raises(UserError, match=r"15 messages a request.*internal app"):
        await read_all(client, 999)
    # one full page and a refusal for a minute say the same
    slack.faults["conversations.history"] = [lambda: web.Response(status=429, headers={"Retry-After": "60"})]
    client, _ = patient(slack)
    with pytest.raises(UserError, match="15 messages"):
        await read_all(client, 999)
    # fifteen messages asked for, or fifteen that are all there are, say nothing
    client, _ = patient(slack)
    assert await read_all(client, 15) == 100


async def read_all(client: SlackClient, limit: int) -> int:
    async with client:
        return sum([len(page) async for page in client.pages("conversations.history", "messages", channel="C1", limit=limit)])


@pytest.mark.parametrize("url", ["http://slack.com/api/", "ftp://127.0.0.1/", "slack.com", "http://127.0.0.1.example.org/"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(ValidationError, match="base_url must begin with https"):
        SlackSettings(token=SecretStr("xoxb-1"), base_url=url)
    assert SlackSettings(token=SecretStr("xoxb-1"), base_url="http://127.0.0.1:9/api").base_url == "http://127.0.0.1:9/api/"


def test_the_token_shows_nowhere() -> None:
    settings = SlackSettings(token=SecretStr("xoxb-verysecret"))
    assert "verysecret" not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValidationError, match="empty"):
        SlackSettings(token=SecretStr(" "))
    with pytest.raises(ValidationError) as caught:
        SlackSettings(token=SecretStr("xoxb-verysecret"), tocken="xoxb-verysecret")  # type: ignore[call-arg]
    assert "verysecret" not in str(caught.value)
