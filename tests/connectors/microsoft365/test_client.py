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
