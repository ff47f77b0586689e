"""Microsoft Graph over the SDK's own request builders and adapter, as bytes parsed with orjson.

The SDK's typed models cost some 200 times more than orjson, its PageIterator loses the delta link and stops at an empty
page, and its retry handler knows three statuses only. So the builders, the authentication, the URL templates and the
error mapping are the SDK's; paging, pacing and retries are ours, in one place with one jitter.

A token that is refused is given up and asked for anew: Graph refuses single requests of thousands while keys roll. A collection
without `value` is no empty collection but a failure. A refusal for speed (429) closes the whole family of requests (`limits`).

Nothing that a response says reaches a log or an exception: `GraphError` carries a status and an error code.
"""

from __future__ import annotations

import asyncio
import logging
import re
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from secrets import SystemRandom
from time import monotonic
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import orjson

from connectors.errors import UserError
from connectors.microsoft365.credentials import SignIn, SignInError, credential, no_tls
from connectors.microsoft365.limits import LIMITS, Gates
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.pacing import Clock, Sleep, Time

IMMUTABLE_IDS: Final = 'IdType="ImmutableId"'
UNKNOWN_MEMBERS: Final = "include-unknown-enum-members"
_RETRIED: Final = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504, 509})
_LONGEST_BACKOFF_SECONDS: Final = 60.0
_CONNECT_SECONDS: Final = 10.0
_FIRST_TRIES: Final = {"token": 5, "sign_in": 3, "unreachable": 3}
"""Tries while nothing was answered in this run: then it is not the moment that is to blame, but a setting."""
_THROTTLED_TRIES: Final = 4
"""A request that is refused for speed is tried so many times as often: others of its family may have been served."""
_EMPTY_PAGES: Final = 2_000
"""So many empty pages in a row are a circle, whatever their links are called."""
# httpx logs every URL, with mailbox ids, at INFO; httpcore headers, with the token, at DEBUG
_TALKATIVE: Final = ("httpx", "httpcore", "azure", "msal", "urllib3", "hpack", "h2")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_RANDOM: Final = SystemRandom()


class GraphError(Exception):
    """A request that failed for good: its status and Graph's error code, and nothing else of the response.

    Attributes:
        status: HTTP status; 0 if no response came.
        code: Graph's error code, such as `ErrorAccessDenied`, or a code of ours in lower case.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"Microsoft Graph: {status} {code}")
        self.status = status
        self.code = code

    @property
    def reason(self) -> str:
        """The failure as a coverage reason."""
        if self.status == 404:
            return "mailbox_not_found" if "mailbox" in self.code.casefold() else "not_found"
        if self.status in {401, 403}:
            return "forbidden"
        return "unavailable" if self.status in _RETRIED or self.status == 0 else "refused"


class Page(NamedTuple):
    """A page of a collection.

    Attributes:
        values: Its elements, as parsed; may be empty in the middle of a collection.
        delta_token: On the last page of a delta round, the token with which the next round begins.
        link: Where the next page is; None on the last.
    """

    values: list[Any]
    delta_token: str | None
    link: object = None


class Graph:
    """A signed-in client of Microsoft Graph; one an event loop, used as an async context manager.

    Args:
        settings: Where Graph is, how to sign in, how fast to ask.
        sleep: For tests and fast clocks: what waits.
        clock: The same: seconds, monotonic.

    Attributes:
        client: The SDK's client: the root of its request builders.
        request_count: How many requests were sent, retries too.
    """

    def __init__(self, settings: Microsoft365Settings, *, sleep: Sleep = asyncio.sleep, clock: Clock = monotonic) -> None:
        self.settings = settings
        self.request_count = 0
        self._time = Time(sleep, clock)
        self._gates = Gates(settings, self._time)
        self._is_answered = False
        self._refused_in_a_row = 0
        quiet_loggers()
        # every builder of the SDK, imported when it is first used, defines classes that warn of their own deprecation
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(msgraph|kiota_abstractions)\.")
        self._sign_in = SignIn(lambda: credential(settings))
        self._http, self._transports = _http_client(settings)
        self._adapter = _adapter(settings, self._sign_in, self._http)
        self._errors = _error_map()
        self._root = settings.base_url.rstrip("/") + "/"
        self.client = _service_client(self._adapter)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()
        for transport in self._transports:
            await transport.aclose()
        await self._sign_in.close()

    async def get(
        self, builder: Any, *, unit: str = "", prefer: Sequence[str] = (), has: str | None = None, **query: Any
    ) -> dict[str, Any]:
        """Return the JSON object that a GET of a request builder answers with.

        Args:
            builder: A request builder of the SDK.
            unit: The mailbox whose own limits apply, of requests to a mailbox.
            prefer: More `Prefer` values; immutable ids are always asked for.
            has: A list that must be in the object: without it the answer is a failure, not an empty list.
            query: Query parameters, by the SDK's names (`select`, `filter`, `top`, ...).

        Raises:
            GraphError: If Graph refuses, or fails on every try.
            UserError: If the sign-in is refused, or nothing answers at all.
        """
        kind: Any = type(builder)
        parameters = _query_class(kind)(**query) if query else None

        def request() -> Any:
            information = builder.to_get_request_information(_configuration(prefer, parameters))
            information.path_parameters["baseurl"] = self.settings.base_url.rstrip("/")
            # expanding the URL's template is the dearest part of a request, and the adapter would do it twice; its setter
            # would empty the builder's own parameters
            information.path_parameters = {information.RAW_URL_KEY: information.url}
            return information

        return await self._tried(request, unit, has)

    async def pages(
        self, builder: Any, *, unit: str = "", prefer: Sequence[str] = (), delta_token: str | None = None, **query: Any
    ) -> AsyncGenerator[Page, None]:
        """Yield a collection page by page, sending the same headers for each.

        Args:
            builder: A request builder of the SDK.
            unit: As for `get`.
            prefer: As for `get`.
            delta_token: Go on from this token of an earlier round; the query is in it.
            query: As for `get`.

        Raises:
            GraphError: As `get` does, or if a next link leads elsewhere or in circles.
            UserError: If the sign-in is refused.
        """
        if delta_token is not None:
            first = builder.to_get_request_information()
            first.path_parameters["baseurl"] = self.settings.base_url.rstrip("/")
            builder = builder.with_url(f"{first.url.partition('?')[0]}?$deltatoken={quote(delta_token, safe='')}")
            query = {}
        visited: set[int] = set()
        empty_count = 0
        answer = await self.get(builder, unit=unit, prefer=prefer, has="value", **query)
        while True:
            values: list[Any] = answer["value"]
            link = answer.get("@odata.nextLink")
            yield Page(values, _token(answer.get("@odata.deltaLink")), link)
            if link is None:
                return
            empty_count = 0 if values else empty_count + 1
            if not isinstance(link, str) or not self._is_ours(link) or hash(link) in visited or empty_count > _EMPTY_PAGES:
                raise GraphError(0, "bad_next_link")
            visited.add(hash(link))
            answer = await self.get(builder.with_url(link), unit=unit, prefer=prefer, has="value")

    def _is_ours(self, link: str) -> bool:
        """Whether a link stays on Graph's own host: the token goes along with every request."""
        ours, theirs = urlsplit(self.settings.base_url), urlsplit(link)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    async def _tried(self, request: Callable[[], Any], unit: str, has: str | None) -> dict[str, Any]:
        information = request()
        gate = self._gates.gate(information.url.removeprefix(self._root), unit)
        tries: Counter[str] = Counter()
        while True:
            async with AsyncExitStack() as stack:
                await gate.enter(stack)
                generation = self._sign_in.generation
                found = await self._once(information, has)
            if isinstance(found, dict):
                self._is_answered, self._refused_in_a_row = True, 0
                gate.bucket.answered()
                return found
            tries[found.kind] += 1
            self._give_up(found, tries)
            pause = self._pause(found.pause, tries.total())
            if found.kind == "throttled":
                gate.bucket.refused(pause)
            elif found.kind == "token":
                await self._sign_in.renew(generation)
                # the first time a fresh token is all it takes
                await self._time.sleep(pause if tries["token"] > 1 else 0)
            else:
                await self._time.sleep(pause)
            information = request()

    def _pause(self, asked: float, tries: int) -> float:
        """Return how long to wait: as long as Graph asks, else longer each time."""
        backoff = min(_LONGEST_BACKOFF_SECONDS, self.settings.retry_seconds * 2 ** min(tries - 1, 32))
        return asked * _RANDOM.uniform(1.0, 1.1) if asked else backoff * _RANDOM.uniform(0.5, 1.0)

    def _give_up(self, failure: Failure, tries: Counter[str]) -> None:
        """Raise the failure if another try is of no use: what is to be mended if nothing was ever answered, else the part's failure."""
        attempts, kind, error = self.settings.attempts, failure.kind, failure.error
        if kind == "token":
            self._refused_in_a_row += 1
            # a mailbox that is refused is its own affair; where nothing else passes either, it is the application
            if self._refused_in_a_row >= 5 * attempts or (not self._is_answered and tries[kind] >= _FIRST_TRIES[kind]):
                raise _refused_sign_in("401")
        elif kind == "sign_in" and tries[kind] >= (_FIRST_TRIES[kind] if self._is_answered else 1):
            raise _refused_sign_in(error.code)
        elif kind in {"no_host", "no_authority"} and not self._is_answered and tries[kind] >= _FIRST_TRIES["unreachable"]:
            raise self._nothing_answers("base_url" if kind == "no_host" else "authority")
        most = attempts * _THROTTLED_TRIES if kind == "throttled" else attempts
        if kind == "refused" or tries[kind] >= most:
            raise error
        if failure.pause > self.settings.longest_pause_seconds:
            raise GraphError(error.status, "retry_after_too_long")

    def _nothing_answers(self, setting: str) -> UserError:
        parts = urlsplit(getattr(self.settings, setting))
        place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        return UserError(
            f"microsoft365.{setting}: nothing answers at {place}; check the address, and that this machine may reach it "
            "(network, firewall, proxy)"
        )

    async def _once(self, request: Any, has: str | None) -> dict[str, Any] | Failure:
        """Send once, and return the answer or what went wrong. No exception that quotes the response leaves."""
        from kiota_abstractions.api_error import APIError

        self.request_count += 1
        try:
            body = await self._adapter.send_primitive_async(request, "bytes", self._errors)
            answer = orjson.loads(body) if body else None
            if isinstance(answer, dict) and "error" not in answer and (has is None or isinstance(answer.get(has), list)):
                return answer
        except APIError as error:
            status = error.response_status_code or 0
            kind = "token" if status == 401 else "throttled" if status == 429 else "passing" if status in _RETRIED else "refused"
            return Failure(GraphError(status, _error_code(error)), kind, _retry_after(error.response_headers))
        except SignInError as error:
            kind = "sign_in" if error.is_refused else "no_authority" if error.is_unreachable else "passing"
            return Failure(GraphError(0, error.code if error.is_refused else "sign_in_unavailable"), kind)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Failure(GraphError(0, "unreachable"), "no_host")
        except httpx.HTTPError as error:
            return Failure(GraphError(0, type(error).__name__), "passing")
        except ValueError:
            # not JSON, or cut short: the message would quote it
            pass
        return Failure(GraphError(0, "malformed_response"), "passing")


class Failure(NamedTuple):
    """A try that failed.

    Attributes:
        error: With what.
        kind: refused (for good), passing, throttled, token (it was refused), sign_in (the credentials were), no_host or no_authority.
        pause: For how long Graph asked to wait; 0: it did not say.
    """

    error: GraphError
    kind: str
    pause: float = 0.0


def _refused_sign_in(code: str) -> UserError:
    return UserError(
        f"microsoft365: the sign-in is refused ({code}); check tenant_id, client_id and the secret, certificate or managed "
        "identity, and that it has not expired"
    )


def quiet_loggers() -> None:
    """Keep the libraries underneath from logging URLs, headers and bodies, whatever the root logger's level is."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _http_client(settings: Microsoft365Settings) -> tuple[httpx.AsyncClient, list[httpx.AsyncBaseTransport]]:
    """Return the SDK's HTTP client, and the transports under its wrapper, which passes no close on to them."""
    from kiota_http.middleware.options import RetryHandlerOption
    from msgraph.graph_request_adapter import options
    from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]

    # as many as all families together may have under way
    most = settings.concurrency * len(LIMITS)
    limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
    # over HTTP/2 a connection ends after a number of streams, and with it every request on it
    plain = httpx.AsyncClient(
        http2=False,
        timeout=httpx.Timeout(settings.timeout_seconds, connect=_CONNECT_SECONDS),
        limits=limits,
        trust_env=not settings.is_loopback,
        verify=no_tls() if settings.is_loopback else True,
    )
    transports = [transport for transport in (plain._transport, *plain._mounts.values()) if transport is not None]
    retries = {RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False)}
    client: httpx.AsyncClient = GraphClientFactory.create_with_default_middleware(client=plain, options={**options, **retries})
    return client, transports


def _adapter(settings: Microsoft365Settings, signed_in: SignIn, http: httpx.AsyncClient) -> Any:
    from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
    from msgraph.graph_request_adapter import GraphRequestAdapter

    host = urlsplit(settings.base_url).hostname or ""
    provider = AzureIdentityAuthenticationProvider(signed_in, scopes=[f"{settings.resource}/.default"], allowed_hosts=[host])
    adapter = GraphRequestAdapter(provider, client=http)
    adapter.base_url = settings.base_url.rstrip("/")
    adapter.observability_options.include_euii_attributes = False
    return adapter


def _service_client(adapter: Any) -> Any:
    from msgraph.graph_service_client import GraphServiceClient

    return GraphServiceClient(request_adapter=adapter)


def _error_map() -> dict[str, Any]:
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    return {"XXX": ODataError}


@lru_cache(maxsize=256)
def _query_class(builder: type) -> Any:
    """Return the class of a builder's GET query parameters, which the SDK nests in it under a long name."""
    return next(value for name, value in vars(builder).items() if name.endswith("GetQueryParameters"))


def _configuration(prefer: Sequence[str], parameters: Any) -> Any:
    from kiota_abstractions.base_request_configuration import RequestConfiguration

    configuration: Any = RequestConfiguration(query_parameters=parameters)
    configuration.headers.add("Prefer", ", ".join((IMMUTABLE_IDS, *prefer)))
    return configuration


def _token(link: object) -> str | None:
    """Return the token of a delta link. The rest of the link is rebuilt, so that no stored value holds an id."""
    if not isinstance(link, str):
        return None
    return next((values[0] for name, values in parse_qs(urlsplit(link).query).items() if name.lower().lstrip("$") == "deltatoken"), None)


def _error_code(error: Any) -> str:
    """Return Graph's error code if it looks like one: the message beside it may name a mailbox."""
    code = getattr(getattr(error, "error", None), "code", None)
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "unknown"


def _retry_after(headers: Mapping[str, str] | None) -> float:
    """Return Retry-After in seconds, given as seconds or as an HTTP date; 0 if there is none."""
    value = headers.get("retry-after") if headers else None
    if not value:
        return 0.0
    if value.isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
