"""The traps of Graph and of its SDK, each met through the real adapter."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from graph_world import CANARY, mail

from connectors.errors import UserError
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.limits import family


def once(*answers):
    """Return a fault that answers the first data requests with these, one each, and then no more."""
    waiting = list(answers)

    async def fault(request):
        if not waiting:
            return None
        answer = waiting.pop(0)
        return await answer(request) if callable(answer) else answer

    return fault


async def cut_short(request):
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"value": [')
    request.transport.close()
    return response


async def dropped(request):
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


def html(status):
    async def answer(request):
        return web.Response(status=status, text=f"<html>{CANARY}</html>", content_type="text/html")

    return answer


def json_error(status, **headers):
    async def answer(request):
        body = {"error": {"code": "someCode", "message": f"{CANARY} anna@own.example"}}
        return web.json_response(body, status=status, headers=headers)

    return answer


async def not_json(request):
    return web.Response(text='{"value": [{"subject": "' + CANARY, content_type="application/json")


async def error_in_200(request):
    return web.json_response({"error": {"code": "tooManyRequests", "message": CANARY}})


async def empty(request):
    return web.Response(status=200)


async def users(graph_settings, **more):
    async with Graph(graph_settings, **more) as graph:
        return [value["id"] async for page in graph.pages(graph.client.users, select=["id"], top=2) for value in page.values]


@pytest.fixture
def five(graph):
    graph.page_size = 2
    for number in range(5):
        graph.user(f"u{number}", f"u{number}@own.example")
    return graph


@pytest.mark.parametrize(
    "answer",
    [
        html(502),
        html(200),
        json_error(500),
        json_error(503),
        json_error(504),
        json_error(429, **{"Retry-After": "0"}),
        json_error(429, **{"Retry-After": "Tue, 10 Mar 2020 12:00:00 GMT"}),
        cut_short,
        dropped,
        not_json,
        error_in_200,
        empty,
    ],
    ids=["html-502", "html-200", "500", "503", "504", "429", "429-date", "cut", "dropped", "no-json", "error-in-200", "empty"],
)
async def test_passing_faults_are_tried_again(five, settings, answer):
    five.faults.append(once(answer, answer))
    assert await users(settings()) == [f"u{number}" for number in range(5)]


async def test_a_long_retry_after_is_waited_for(five, settings):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    five.faults.append(once(json_error(429, **{"Retry-After": "200"})))
    assert len(await users(settings(), sleep=sleep)) == 5
    assert len(waits) == 1
    assert 200 <= waits[0] <= 220


async def test_too_long_a_retry_after_is_not(five, settings):
    five.faults.append(once(json_error(429, **{"Retry-After": "100000"})))
    with pytest.raises(GraphError) as caught:
        await users(settings())
    assert caught.value.code == "retry_after_too_long"


@pytest.mark.parametrize("status", [400, 403, 404, 410])
async def test_refusals_are_not_tried_again(five, settings, status):
    five.faults.append(once(json_error(status)))
    with pytest.raises(GraphError) as caught:
        await users(settings())
    assert (caught.value.status, caught.value.code, len(five.requests)) == (status, "someCode", 1)


async def test_tries_end(five, settings):
    five.faults.append(html(502))
    with pytest.raises(GraphError) as caught:
        await users(settings(attempts=3))
    assert (caught.value.status, caught.value.reason, len(five.requests)) == (502, "unavailable", 3)


async def test_nothing_of_a_response_is_in_an_exception_or_its_causes(five, settings):
    for answer in (json_error(403), html(500), not_json):
        five.faults[:] = [answer]
        with pytest.raises(GraphError) as caught:
            await users(settings(attempts=1))
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY not in str(error) + repr(error)
            assert "own.example" not in str(error)
            assert not hasattr(error, "doc")
            error = error.__cause__ or error.__context__


async def test_a_refused_sign_in_says_what_to_mend(five, settings):
    with pytest.raises(UserError, match=r"sign-in is refused.*client_id") as caught:
        await users(settings(client_secret="wrong"))
    assert CANARY not in str(caught.value)


async def test_a_refused_token_says_so(five, settings):
    five.faults.append(json_error(401))
    with pytest.raises(UserError, match="401"):
        await users(settings())


async def test_one_token_serves_many_requests(five, settings):
    await users(settings())
    assert (five.token_requests, len(five.requests)) == (1, 3)


async def test_pages_may_be_empty_and_keep_their_headers(five, settings):
    five.empty_pages = True
    assert await users(settings()) == [f"u{number}" for number in range(5)]
    assert len(five.requests) > 3
    assert {headers["Prefer"] for _, _, headers in five.requests} == {'IdType="ImmutableId"'}


async def test_the_delta_token_survives_paging_and_is_all_that_is_kept(five, settings):
    async with Graph(settings()) as graph:
        tokens = [page.delta_token async for page in graph.pages(graph.client.users.delta, select=["id"])]
        assert tokens == [None, None, "t1"]
        five.delta_tokens["t1"] = [{"id": "u9"}]
        pages = [page async for page in graph.pages(graph.client.users.delta, delta_token="t1")]
    assert [page.values for page in pages] == [[{"id": "u9"}]]
    assert five.requests[-1][:2] == ("users/delta()", {"$deltatoken": "t1"})


@pytest.mark.parametrize("link", ["http://evil.example/v1.0/users", "users?$skiptoken=1", 7, "SAME"])
async def test_next_links_stay_on_graphs_host_and_go_on(five, settings, link):
    five.objects["users"] = {"value": [], "@odata.nextLink": f"{five.base}/users?x=1" if link == "SAME" else link}
    with pytest.raises(GraphError) as caught:
        await users(settings())
    assert caught.value.code == "bad_next_link"
    assert len(five.requests) <= 2


async def test_requests_under_way_are_limited_by_mailbox_and_in_all(five, settings):
    five.delay = 0.02
    five.page_size = 500

    async def ask(graph, name):
        await graph.get(graph.client.users.by_user_id(name).mail_folders.by_mail_folder_id("inbox").messages, unit=name, top=1)

    async with Graph(settings(mailbox_concurrency=2, concurrency=6)) as graph:
        await asyncio.gather(*(ask(graph, f"u{number}") for number in range(5) for _ in range(5)))
    assert max(five.most_active.values()) == 2
    assert graph.request_count == 25


async def test_logs_at_debug_hold_no_word_id_or_token(five, settings, run, caplog):
    caplog.set_level(logging.DEBUG)
    five.put("users/u0/mailFolders/sentitems/messages", mail("m1", "u0@own.example", ["u1@own.example"]))
    five.faults.append(once(html(502), json_error(429, **{"Retry-After": "0"}), not_json))
    await run(settings())
    text = "\n".join(f"{record.name} {record.getMessage()} {record.args}" for record in caplog.records)
    for word in (CANARY, "own.example", "/users/", "tok-secret-en", "sesame"):
        assert word not in text


def test_settings_refuse_plain_http_and_half_given_credentials(settings):
    for wrong in (
        {"base_url": "http://graph.example/v1.0"},
        {"authority": "http://login.example"},
        {"client_secret": None},
        {"managed_identity": True},
        {"client_id": ""},
    ):
        with pytest.raises(ValueError, match=r"https|exactly one|client_id"):
            settings(**wrong)
    assert "sesame" not in repr(settings())


async def test_an_unreadable_certificate_says_what_to_mend(settings, tmp_path):
    (tmp_path / "x.pem").write_text("no certificate")
    wrong = settings(client_secret=None, certificate_path=str(tmp_path / "x.pem"), authority="https://login.example")
    with pytest.raises(UserError, match="certificate_path"):
        Graph(wrong)


@pytest_asyncio.fixture
async def authority(tmp_path):
    """A token endpoint over HTTPS on loopback, with its own certificate authority; returns its URL and the forms it was sent."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "ca.pem").write_bytes(public)
    (tmp_path / "both.pem").write_bytes(private + public)
    forms = []

    async def handle(request):
        forms.append(dict(await request.post()))
        return web.json_response({"access_token": "tok-secret-en", "expires_in": 3600, "token_type": "Bearer"})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "both.pem")
    application = web.Application()
    application.router.add_post("/tenant/oauth2/v2.0/token", handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}", forms
    await runner.cleanup()


@pytest.mark.parametrize("way", ["secret", "certificate"])
async def test_azure_identity_signs_in_at_an_authority_of_settings(five, settings, authority, tmp_path, way):
    url, forms = authority
    more = {"authority": url, "authority_certificates": str(tmp_path / "ca.pem")}
    if way == "certificate":
        more |= {"client_secret": None, "certificate_path": str(tmp_path / "both.pem")}
    assert len(await users(settings(**more))) == 5
    (form,) = forms
    assert form["scope"] == f"{five.base.removesuffix('/v1.0')}/.default"
    assert form.get("client_secret") == ("sesame" if way == "secret" else None)
    assert ("client_assertion" in form) == (way == "certificate")


# -- tokens -------------------------------------------------------------------------------------------------------------


def every(number, answer):
    """Return a fault that answers each so many-th data request."""
    count = 0

    async def fault(request):
        nonlocal count
        count += 1
        return await answer(request) if count % number == 0 else None

    return fault


async def test_one_401_refreshes_the_token_and_is_tried_again(five, settings):
    five.faults.append(once(json_error(401)))
    assert len(await users(settings())) == 5
    assert (five.token_requests, len(five.requests)) == (2, 4)


async def test_single_401s_are_not_the_end(five, settings):
    five.faults.append(every(3, json_error(401)))
    for _ in range(5):
        assert len(await users(settings())) == 5


async def test_a_token_that_was_evicted_is_not_used_again(five, settings):
    given = []

    async def strict(request):
        token = request.headers["Authorization"]
        if token not in given:
            given.append(token)
        return await json_error(401)(request) if five.token_requests < 2 else None

    five.faults.append(strict)
    assert len(await users(settings())) == 5
    assert five.token_requests == 2


async def test_many_requests_refused_at_once_refresh_once(five, settings):
    refused = set()

    async def fault(request):
        path = request.path
        if path in refused:
            return None
        refused.add(path)
        await asyncio.sleep(0.05)
        return await json_error(401)(request)

    five.faults.append(fault)
    async with Graph(settings()) as graph:
        mailboxes = [graph.client.users.by_user_id(f"u{number}").mail_folders.by_mail_folder_id("inbox").messages for number in range(5)]
        await asyncio.gather(*(graph.get(mailbox, unit=str(number)) for number, mailbox in enumerate(mailboxes)))
    assert five.token_requests == 2


async def test_a_part_that_is_always_refused_costs_itself(five, settings, run):
    async def fault(request):
        return await json_error(401)(request) if "users/u1/m" in request.path else None

    five.put("users/u0/mailFolders/sentitems/messages", mail("m1", "u0@own.example", ["u2@own.example"]))
    five.faults.append(fault)
    landed = await run(settings(attempts=3, calls=False, channels=False))
    assert len(landed.interactions()) == 1
    missing = {(row["stream"], row["reason"]) for row in landed.rows("coverage") if row["status"] == "missing"}
    assert missing == {("mail", "forbidden")}


async def test_a_sign_in_that_is_busy_is_asked_again(five, settings):
    answers = [
        (500, {"error": "server_error"}),
        (400, {"error": "temporarily_unavailable", "error_description": f"AADSTS90033: {CANARY}"}),
    ]

    async def busy(request):
        status, body = answers.pop()
        return web.json_response(body, status=status)

    handle = five.handle
    application = web.Application()

    async def handled(request):
        return await busy(request) if request.path.endswith("/token") and answers else await handle(request)

    application.router.add_route("*", "/{tail:.*}", handled)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    place = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        with pytest.raises(UserError, match="sign-in is refused"):
            # the code is told by Microsoft's own kit only; over plain HTTP a refusal is one
            await users(settings(authority=place))
        assert len(await users(settings(authority=place))) == 5
    finally:
        await runner.cleanup()


# -- nothing there ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["base_url", "authority"])
async def test_a_closed_port_fails_in_seconds_and_names_the_setting(five, settings, setting):
    place = "http://127.0.0.1:9" + ("/v1.0" if setting == "base_url" else "")
    began = asyncio.get_running_loop().time()
    with pytest.raises(UserError, match=rf"microsoft365\.{setting}: nothing answers at 127\.0\.0\.1:9;"):
        await users(settings(**{setting: place}))
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_host_that_was_there_before_is_waited_for(five, settings):
    """Once something was answered a lost connection is the moment's fault, not a setting's."""
    five.faults.append(every(2, dropped))
    assert len(await users(settings(attempts=20))) == 5


def test_a_tenant_that_is_none_says_so(settings):
    with pytest.raises(UserError, match="tenant_id"):
        Graph(settings(tenant_id="no tenant at all!", authority="https://login.example"))


# -- bodies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"@odata.context": "x"}, {"value": None}, {"value": {}}, {"value": "x"}, {"values": []}, []])
async def test_a_collection_without_value_is_a_failure(five, settings, body):
    async def answer(request):
        return web.json_response(body)

    five.faults.append(once(answer, answer))
    assert len(await users(settings())) == 5
    five.faults[:] = [answer]
    with pytest.raises(GraphError) as caught:
        await users(settings(attempts=3))
    assert (caught.value.code, caught.value.reason) == ("malformed_response", "unavailable")


@pytest.mark.parametrize("length", [1, 2, 3, 7])
async def test_next_links_in_a_circle_end(five, settings, length):
    async def circle(request):
        at = int(request.query.get("at", "0"))
        link = f"{five.base}/users?at={(at % length) + 1}"
        return web.json_response({"value": [{"id": f"u{at}"}], "@odata.nextLink": link})

    five.faults.append(circle)
    with pytest.raises(GraphError) as caught:
        await users(settings())
    assert caught.value.code == "bad_next_link"
    assert len(five.requests) == length + 1


# -- pacing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, name",
    [
        ("users/x/chats/getAllMessages()?$top=50", "messages"),
        ("teams/x/channels/getAllMessages()", "messages"),
        ("chats/19%3Ax?$expand=members", "teams"),
        ("teams?$select=id", "teams"),
        ("teams/x/channels", "teams"),
        ("users/x/onlineMeetings/y/attendanceReports", "teams"),
        ("communications/callRecords/x/sessions", "calls"),
        ("users/x/mailFolders/sentitems/messages?$top=1", "outlook"),
        ("users/x/messages", "outlook"),
        ("users/x/calendarView?startDateTime=1", "outlook"),
        ("users/x/mailboxSettings", "outlook"),
        ("users/delta()", "directory"),
        ("users?$top=999", "directory"),
        ("groups", "directory"),
        ("places/graph.room", "directory"),
    ],
)
def test_each_request_counts_to_one_family(path, name):
    assert family(path) == name


async def test_a_refusal_for_speed_closes_the_family_and_no_other(five, settings):
    clock = 0.0
    waits = []

    async def sleep(seconds):
        nonlocal clock
        waits.append(seconds)
        clock += seconds
        await asyncio.sleep(0)

    five.faults.append(once(json_error(429, **{"Retry-After": "60"})))
    async with Graph(settings(), sleep=sleep, clock=lambda: clock) as graph:
        five.collections["teams"] = []
        await graph.get(graph.client.teams, has="value")
        assert sum(waits) >= 60
        before = clock
        await graph.get(graph.client.users, has="value")
        assert clock - before < 1


async def test_a_request_that_is_always_refused_for_speed_costs_itself(five, settings):
    async def fault(request):
        return await json_error(429)(request) if "users/u1/" in request.path else None

    five.faults.append(fault)
    async with Graph(settings(attempts=2)) as graph:
        with pytest.raises(GraphError) as caught:
            await graph.get(graph.client.users.by_user_id("u1").calendar_view, unit="u1", has="value")
        assert caught.value.reason == "unavailable"
        assert len(five.requests) == 8
