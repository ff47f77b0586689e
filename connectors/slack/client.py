"""The Web API through Slack's own SDK, with what a nightly run needs: budgets, patience and silence.

`slack_sdk` writes every response body to its logger where that is at DEBUG, parses with the standard library, retries only
some failures, and ends a page iterator on a refusal. So the client here has a logger of its own at WARNING, its own
session that keeps connections, orjson, its own retries, and leaves cursors to its callers. No exception that leaves it
holds a response, an id or a word of content.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from connectors.errors import UserError
from connectors.slack.limits import Budgets, Clock, Sleep
from connectors.slack.settings import SlackSettings, is_loopback

_LOGGER: Final = logging.getLogger("connectors.slack.sdk")
_LOGGER.setLevel(logging.WARNING)  # below it the SDK formats every response body

_SIGN_IN_FAULTS: Final = frozenset(
    {"account_inactive", "invalid_auth", "not_authed", "org_login_required", "token_expired", "token_revoked", "two_factor_setup_required"}
)
_RATE_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})
_PASSING_FAULTS: Final = _RATE_LIMITED | {
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "timeout",
}
_MESSAGE_METHODS: Final = frozenset({"conversations.history", "conversations.replies"})
_CAP: Final = 15
_SLOW_RETRY_AFTER: Final = 30.0
_MOST_REFUSALS: Final = 60
_UNREACHABLE: Final = frozenset({"ClientConnectorError", "ClientConnectorDNSError", "ConnectionRefusedError", "ConnectionTimeoutError"})
_TRIES_TO_REACH: Final = 2
"""A service that never answered in this run and cannot be connected to is a setting to mend, not an outage to wait for."""


class SlackError(Exception):
    """Slack answered with an error code; the message is the code and nothing else.

    Attributes:
        code: Slack's error code, such as `missing_scope` or `channel_not_found`.
        needed: The scope that it says is missing, if it does.
    """

    def __init__(self, code: str, needed: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.needed = needed


class SlackUnavailableError(Exception):
    """A request failed as often as settings allow; trying again later may help. The message is a code."""


class _PassingError(Exception):
    """One attempt failed in a way that may pass."""

    def __init__(self, code: str, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after


class _WebClient(AsyncWebClient):
    """The SDK's client, with a transport that parses with orjson and logs nothing."""

    has_answered = False

    async def _request(self, *, http_verb: str, api_url: str, req_args: dict[str, Any]) -> dict[str, Any]:
        assert self.session is not None  # noqa: S101  (SlackClient always gives one)
        arguments = {name: value for name, value in req_args.items() if value is not None}
        async with self.session.request(http_verb, api_url, allow_redirects=False, **arguments) as response:
            body = await response.read()
            status = response.status
            self.has_answered = True
            if status == 429:
                raise _PassingError("ratelimited", _retry_after(response.headers))
            try:
                data = orjson.loads(body)
            except orjson.JSONDecodeError:
                data = None
            if not isinstance(data, dict):
                raise _PassingError(f"http_{status}" if status != 200 else "not_json")
            if status >= 500:
                raise _PassingError(f"http_{status}")
            if data.get("error") in _PASSING_FAULTS:
                raise _PassingError(str(data["error"]), _retry_after(response.headers))
            return {"data": data, "headers": response.headers, "status_code": status}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    stated = headers.get("Retry-After", "")
    try:
        seconds = float(stated)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return seconds if 0 <= seconds < 1e9 else None


class SlackClient:
    """Slack's Web API for one token. Use as an async context manager.

    Args:
        settings: The connector's settings.
        clock: Seconds, monotonic (for tests).
        sleep: How to wait (for tests).
        chance: Source of jitter (for tests).

    Attributes:
        requests: How many requests were sent, by method.
        faults: How many attempts failed, by code.
    """

    def __init__(
        self,
        settings: SlackSettings,
        *,
        clock: Clock = monotonic,
        sleep: Sleep = asyncio.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._settings = settings
        self._sleep = sleep
        self._chance = chance or random.Random()  # noqa: S311  (jitter)
        self._budgets = Budgets(settings.requests_per_minute, settings.pace, clock, sleep)
        self._session: aiohttp.ClientSession | None = None
        self._sdk: _WebClient | None = None
        self._capped_pages = 0
        self._slow_refusals = 0

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=settings.concurrency + 2, ttl_dns_cache=300, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._sdk = _WebClient(
            token=settings.token.get_secret_value(),
            base_url=settings.base_url,
            session=self._session,
            logger=_LOGGER,
            retry_handlers=[],
            ssl=None if is_loopback(settings.base_url) else ssl.create_default_context(),
        )
        if is_loopback(settings.base_url):
            self._sdk.proxy = None  # the SDK takes a proxy from the environment, also for this machine
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method and return its response, trying again where a failure may pass.

        Raises:
            UserError: If the token is refused, the server's certificate is not trusted, or the app is of the class that Slack
                limits to 15 messages a request.
            SlackError: If Slack answers with an error code that trying again does not mend.
            SlackUnavailableError: If it failed as often as settings allow.
        """
        data, _ = await self.call_with_headers(method, **parameters)
        return data

    async def call_with_headers(self, method: str, **parameters: object) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Call a method as `call` does; return the response's headers too."""
        sent = {name: value for name, value in parameters.items() if value is not None}
        bucket = self._budgets.bucket(method)
        failures = refusals = 0
        retries = self._settings.retries
        while True:
            await bucket.take()
            self.requests[method] += 1
            outcome = await self._attempt(method, sent)
            if isinstance(outcome, tuple):
                self._watch_for_cap(method, sent, outcome[0])
                return outcome
            if not isinstance(outcome, _PassingError):
                raise outcome
            self.faults[outcome.code] += 1
            if outcome.code in _RATE_LIMITED:
                refusals += 1
                pause = outcome.retry_after
                if method in _MESSAGE_METHODS and pause is not None and pause >= _SLOW_RETRY_AFTER:
                    self._slow_refusals += 1
                    self._stop_if_limited()
                # a proxy on the way may leave the pause out, or state one of nothing again and again
                if not pause:
                    pause = 2 * self._backoff(refusals)
                # everyone who calls this method waits; a little more than asked, so that not all come back at once
                bucket.close(min(pause + self._chance.uniform(0.0, 0.1 + 0.1 * pause), self._settings.longest_wait_seconds))
                if refusals > _MOST_REFUSALS:
                    raise SlackUnavailableError("ratelimited")
            else:
                failures += 1
                if not (self._sdk and self._sdk.has_answered) and outcome.code in _UNREACHABLE and failures > min(_TRIES_TO_REACH, retries):
                    raise UserError(
                        f"slack.base_url: nothing answers at {urlsplit(self._settings.base_url).netloc}; is the address right, "
                        "and does this machine reach it (proxy, firewall)?"
                    )
                if failures > retries:
                    raise SlackUnavailableError(outcome.code)
                await self._sleep(self._backoff(failures))

    def _backoff(self, failures: int) -> float:
        longest = min(self._settings.backoff_seconds * 2.0 ** min(failures - 1, 20), self._settings.longest_wait_seconds)
        return longest * self._chance.uniform(0.5, 1.0)

    async def _attempt(self, method: str, parameters: dict[str, object]) -> tuple[dict[str, Any], Mapping[str, str]] | Exception:
        """Try once. Errors are returned, not raised, so that none carries the SDK's error, which holds the response."""
        assert self._sdk is not None  # noqa: S101  (async with opens it)
        try:
            response = await self._sdk.api_call(method, http_verb="POST" if method == "auth.test" else "GET", params=parameters)
        except _PassingError as error:
            return error
        except SlackApiError as error:
            data = error.response.data if error.response is not None else None
            return self._refusal(data if isinstance(data, dict) else {})
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            return UserError(
                f"slack.base_url: no trusted TLS connection ({type(error).__name__}); if a proxy breaks TLS open, make its certificate "
                "known to this machine (SSL_CERT_FILE)"
            )
        except aiohttp.InvalidURL:
            return UserError("slack.base_url: not a valid URL")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _PassingError(type(error).__name__)
        data = response.data
        if not isinstance(data, dict):
            return _PassingError("not_json")
        return data, response.headers

    def _refusal(self, data: Mapping[str, Any]) -> Exception:
        code = data.get("error")
        code = code if isinstance(code, str) and len(code) < 64 and code.replace("_", "").isalnum() else "unknown_error"
        if code in _SIGN_IN_FAULTS:
            return UserError(
                f"slack.token: Slack refuses it ({code}); install your app in the workspace again and put its new token in the setting"
            )
        needed = data.get("needed")
        return SlackError(code, needed if isinstance(needed, str) else None)

    def _watch_for_cap(self, method: str, parameters: Mapping[str, object], data: Mapping[str, Any]) -> None:
        asked = parameters.get("limit")
        messages = data.get("messages")
        if method not in _MESSAGE_METHODS or not isinstance(messages, list) or not isinstance(asked, int) or asked <= _CAP + 1:
            return
        # a page of replies may count the thread's root beside the fifteen
        if len(messages) in (_CAP, _CAP + 1) and data.get("has_more") is True:
            self._capped_pages += 1
            self._stop_if_limited()
        elif len(messages) > _CAP + 1:
            self._capped_pages = -1_000_000  # proven otherwise

    def _stop_if_limited(self) -> None:
        if self._capped_pages >= 3 or (self._capped_pages >= 1 and self._slow_refusals >= 1):
            raise UserError(
                "slack.token: Slack gives this app 15 messages a request and one request a minute, its limit for commercially distributed "
                "apps outside the Marketplace; at that rate a history cannot be read. Create an internal app of your own "
                "(api.slack.com/apps, not distributed) in the workspace, install it there, and set slack.token to its token"
            )

    async def pages(self, method: str, key: str, **parameters: object) -> AsyncGenerator[list[Any], None]:
        """Give the lists under `key` page by page, following Slack's cursor; a short or empty page is not the end.

        A cursor that Slack does not know any more begins the listing anew, once; one that comes round ends it.

        Raises:
            SlackError: As `call`, and `cursor_cycle` for a cursor that was followed before.
        """
        cursor: str | None = None
        followed: set[str] = set()
        is_again = False
        while True:
            try:
                data = await self.call(method, cursor=cursor, **parameters)
            except SlackError as error:
                if cursor is None or is_again or error.code != "invalid_cursor":
                    raise
                cursor, followed, is_again = None, set(), True
                continue
            found = data.get(key)
            yield found if isinstance(found, list) else []
            cursor = next_cursor(data)
            if cursor is None:
                return
            if cursor in followed:
                raise SlackError("cursor_cycle")
            followed.add(cursor)

    async def offset_pages(self, method: str, key: str, **parameters: object) -> AsyncGenerator[list[Any], None]:
        """Give the lists under `key` of a Discovery method, which pages by an `offset` that each response states.

        Raises:
            SlackError: As `call`, and `cursor_cycle` for an offset that was followed before.
        """
        offset: object = None
        followed: set[str] = set()
        while True:
            data = await self.call(method, offset=offset, **parameters)
            found = data.get(key)
            yield found if isinstance(found, list) else []
            offset = data.get("offset")
            if not offset:
                return
            if str(offset) in followed:
                raise SlackError("cursor_cycle")
            followed.add(str(offset))


def next_cursor(data: Mapping[str, Any]) -> str | None:
    """Return the cursor of the page after a response, or None at the end."""
    about = data.get("response_metadata")
    cursor = about.get("next_cursor") if isinstance(about, dict) else None
    return cursor if isinstance(cursor, str) and cursor else None
