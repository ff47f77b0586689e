"""Slack's Web API on loopback: the methods that a collector reads, with their paging, scopes, refusals and oddities."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.faults import Faults
from connectors.sandbox.http import Answer, Call, Service, dumps
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Ints
from connectors.sandbox.slack_directory import OWNER, Directory
from connectors.sandbox.slack_messages import Messages, channel_id, ts_text, user_id

SCOPES: Final = (
    "users:read", "users:read.email", "usergroups:read", "team:read", "channels:read", "channels:history", "groups:read",
    "groups:history", "mpim:read", "mpim:history", "im:read", "im:history", "discovery:read",
)  # fmt: skip
"""The scopes that the sandbox's token has by default."""
_FAMILY: Final = {"public_channel": "channels", "private_channel": "groups", "mpim": "mpim", "im": "im"}
_MOST: Final = 1000
_SMALL: Final = 15
Body = dict[str, Any]


class _RefusedError(Exception):
    def __init__(self, error: str, needed: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.needed = needed


class SlackService(Service):
    """Slack's Web API for one workspace.

    With `discovery:read` among its scopes the token may read every conversation through `discovery.*`; without, direct
    messages are those of its owner.

    Args:
        organisation: What it serves.
        evolution: What changes later.
        clock: The time.
        token: The token that is accepted.
        faults: What goes wrong.
        scopes: The token's scopes.
        is_bot: Whether it is a bot's token: then direct messages are not listed.
        is_limited: Whether it is of the class of apps that get 15 messages a request.
        per_minute: Budgets by method, enforced with 429.
    """

    def __init__(
        self,
        organisation: Organisation,
        evolution: Evolution,
        clock: Clock,
        *,
        token: str,
        faults: Faults,
        scopes: tuple[str, ...] = SCOPES,
        is_bot: bool = False,
        is_limited: bool = False,
        per_minute: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__("slack", faults, per_minute)
        self.scopes = scopes
        self._token = token
        self._is_bot = is_bot
        self._is_limited = is_limited
        self._log = organisation.log
        self._clock = clock
        self.messages = Messages(organisation, evolution, clock)
        self.directory = Directory(organisation, clock)
        order = np.argsort(self._log.space, kind="stable")
        self._by_space = order, self._log.space[order]
        self._parents: dict[str, Ints] = {}
        self._methods: dict[str, Callable[[Call], Body]] = {
            "auth.test": self._auth_test,
            "team.info": self._team_info,
            "team.externalTeams.list": self._external_teams,
            "users.list": self._users_list,
            "users.info": self._users_info,
            "usergroups.list": self._usergroups,
            "conversations.list": self._conversations_list,
            "users.conversations": self._conversations_list,
            "conversations.info": self._conversations_info,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.members": self._members,
            "discovery.users.list": self._discovery_users,
            "discovery.conversations.list": self._discovery_conversations,
            "discovery.conversations.history": self._discovery_history,
            "discovery.conversations.members": self._discovery_members,
        }

    def route(self, call: Call) -> str:
        """Return the method's name."""
        return call.path.rpartition("/")[2]

    def refusal(self, status: int, code: str) -> bytes:
        """Return an error as Slack writes it."""
        return dumps({"ok": False, "error": code})

    def answer(self, call: Call) -> Answer:
        """Answer a method."""
        name = self.route(call)
        method = self._methods.get(name)
        headers = {"X-OAuth-Scopes": ",".join(self.scopes), "X-Slack-Req-Id": "sandbox"}
        given = call.query.get("token") or call.headers.get("authorization", "").removeprefix("Bearer ")
        quirk = call.quirk
        try:
            if not call.path.startswith("/api/") or method is None:
                raise _RefusedError("unknown_method")
            if given != self._token:
                raise _RefusedError("invalid_auth" if given else "not_authed")
            body = {"ok": True, **method(call)}
        except _RefusedError as refusal:
            body = {"ok": False, "error": refusal.error}
            if refusal.needed:
                body |= {"needed": refusal.needed, "provided": ",".join(self.scopes)}
        return Answer(dumps(body), headers=headers, quirk_was_used=quirk is not None and call.quirk is None)

    # -- workspace ----------------------------------------------------------------------------------------------------

    def _auth_test(self, call: Call) -> Body:
        found = {
            "url": f"https://{names.OWN_DOMAIN}/",
            "team": names.OWN_NAME,
            "user": "perdure",
            "team_id": names.SLACK_TEAM,
            "user_id": user_id(OWNER),
            "is_enterprise_install": False,
        }
        return {**found, "bot_id": "B0SANDBOX1"} if self._is_bot else found

    def _team_info(self, call: Call) -> Body:
        self._need("team:read")
        team = {"id": names.SLACK_TEAM, "name": names.OWN_NAME, "domain": "kestrel-lowe", "email_domain": names.OWN_DOMAIN, "icon": {}}
        return {"team": team}

    def _external_teams(self, call: Call) -> Body:
        self._need("team:read")
        return self._listed(call, "organizations", self.directory.external_teams())

    def _users_list(self, call: Call) -> Body:
        self._need("users:read")
        return {**self._listed(call, "members", [self._shown(user) for user in self.directory.users()]), "cache_ts": 1_700_000_000}

    def _users_info(self, call: Call) -> Body:
        self._need("users:read")
        user = self.directory.user(call.query.get("user", ""))
        if user is None:
            raise _RefusedError("user_not_found")
        return {"user": self._shown(user)}

    def _shown(self, user: Body) -> Body:
        if "users:read.email" in self.scopes:
            return user
        return {**user, "profile": {name: value for name, value in user["profile"].items() if name != "email"}}

    def _usergroups(self, call: Call) -> Body:
        self._need("usergroups:read")
        groups = self.directory.usergroups()
        if call.query.get("include_users", "") not in ("1", "true", "True"):
            groups = [{name: value for name, value in group.items() if name != "users"} for group in groups]
        return {"usergroups": groups}

    # -- conversations ------------------------------------------------------------------------------------------------

    def _sees(self, space: l.Space) -> bool:
        kind = self.directory.kind(space)
        if kind in ("public_channel", "private_channel"):
            return True
        return not self._is_bot and OWNER in space.members

    def _conversations_list(self, call: Call) -> Body:
        types = [name.strip() for name in call.query.get("types", "public_channel").split(",")]
        for name in types:
            if name not in _FAMILY:
                raise _RefusedError("invalid_types")
            self._need(f"{_FAMILY[name]}:read")
        member = call.query.get("user") if self.route(call) == "users.conversations" else None
        found = []
        for space in self.directory.spaces:
            if self.directory.kind(space) in types and self._sees(space) and self._has_begun(space):
                if member is not None and member not in self.directory.members(space):
                    continue
                found.append(space)
        return self._listed(call, "channels", found, self.directory.conversation, default=100)

    def _has_begun(self, space: l.Space) -> bool:
        events = self._events(space)
        return bool(len(events)) and int(self._log.at[events[0]]) <= self._clock.microseconds

    def _space(self, call: Call, *, right: str, discovery: bool = False) -> l.Space:
        space = self.directory.by_channel.get(call.query.get("channel", ""))
        if space is None or not self._has_begun(space):
            raise _RefusedError("channel_not_found")
        if discovery:
            self._need("discovery:read")
            return space
        self._need(f"{_FAMILY[self.directory.kind(space)]}:{right}")
        if not self._sees(space):
            raise _RefusedError("channel_not_found")
        return space

    def _conversations_info(self, call: Call) -> Body:
        return {"channel": self.directory.conversation(self._space(call, right="read"))}

    def _members(self, call: Call) -> Body:
        return self._listed(call, "members", self.directory.members(self._space(call, right="read")), default=100)

    # -- messages -----------------------------------------------------------------------------------------------------

    def _events(self, space: l.Space) -> Ints:
        order, ordered = self._by_space
        low, high = np.searchsorted(ordered, [space.number, space.number + 1])
        return order[low:high]

    def _history(self, call: Call) -> Body:
        space = self._space(call, right="history")
        channel = channel_id(space)
        events = self._parents.get(channel)
        if events is None:
            events = self._events(space)
            events = events[~self.messages.is_reply[events] | self.messages.is_broadcast[events]]
            self._parents[channel] = events
        found, following = self._window(call, events)
        messages = [self.messages.build(event, channel=channel) for event in found.tolist()]
        if call.quirk == "duplicate" and messages:
            call.quirk = None
            messages.append(messages[-1])
        body: Body = {"messages": messages, "has_more": following is not None, "pin_count": 0, "channel_actions_ts": None}
        if following is not None:
            body["response_metadata"] = {"next_cursor": _cursor("next_ts", following, call)}
        return body

    def _window(self, call: Call, events: Ints) -> tuple[Ints, int | None]:
        """Return a page of events, newest first, and the moment at which the next one begins."""
        times = self._log.at[events]
        is_inclusive = call.query.get("inclusive", "") in ("1", "true", "True")
        oldest, latest = _moment(call.query.get("oldest")), _moment(call.query.get("latest"))
        low = 0 if oldest is None else int(np.searchsorted(times, oldest, "left" if is_inclusive else "right"))
        high = int(np.searchsorted(times, self._clock.microseconds, "right"))
        if latest is not None:
            high = min(high, int(np.searchsorted(times, latest, "right" if is_inclusive else "left")))
        cursor = _position(call.query.get("cursor"), "next_ts")
        if cursor is not None:
            high = min(high, int(np.searchsorted(times, cursor, "left")))
        limit = self._limit(call, default=100)
        # Discovery pages by time, so an empty page could only be its end
        if call.quirk == "empty_page" and high > low and not self.route(call).startswith("discovery"):
            call.quirk = None
            return events[:0], int(times[high - 1]) + 1
        visible = self.messages.visible(events[low:high])
        page = visible[::-1][:limit]
        return page, int(self._log.at[page[-1]]) if len(visible) > limit else None

    def _replies(self, call: Call) -> Body:
        space = self._space(call, right="history")
        wanted = _moment(call.query.get("ts"))
        events = self._events(space)
        place = int(np.searchsorted(self._log.at[events], wanted)) if wanted is not None else len(events)
        if place >= len(events) or int(self._log.at[events[place]]) != wanted or not len(self.messages.visible(events[place : place + 1])):
            raise _RefusedError("thread_not_found")
        root = int(events[place])
        replies = self.messages.replies(root)
        times = self._log.at[replies]
        is_inclusive = call.query.get("inclusive", "") in ("1", "true", "True")
        oldest, latest = _moment(call.query.get("oldest")), _moment(call.query.get("latest"))
        low = 0 if oldest is None else int(np.searchsorted(times, oldest, "left" if is_inclusive else "right"))
        high = len(replies) if latest is None else int(np.searchsorted(times, latest, "right" if is_inclusive else "left"))
        cursor = _position(call.query.get("cursor"), "after_ts")
        if cursor is not None:
            low = max(low, int(np.searchsorted(times, cursor, "right")))
        page = replies[low : min(high, low + self._limit(call, default=1000))]
        has_more = low + len(page) < high
        channel = channel_id(space)
        messages = [self.messages.build(event, channel=channel) for event in [root, *page.tolist()]]
        if call.quirk == "duplicate":
            call.quirk = None
            messages.append(messages[-1])
        body: Body = {"messages": messages, "has_more": has_more}
        if has_more:
            body["response_metadata"] = {"next_cursor": _cursor("after_ts", int(self._log.at[page[-1]]), call)}
        return body

    def _limit(self, call: Call, *, default: int) -> int:
        text = call.query.get("limit", "")
        limit = int(text) if text.isdigit() and int(text) > 0 else default
        is_of_messages = self.route(call) in ("conversations.history", "conversations.replies")
        return min(limit, _SMALL if self._is_limited and is_of_messages else _MOST)

    # -- discovery ----------------------------------------------------------------------------------------------------

    def _discovery_users(self, call: Call) -> Body:
        self._need("discovery:read")
        users = self.directory.users()
        return self._by_offset(call, "users", [self._shown(user) for user in users])

    def _discovery_conversations(self, call: Call) -> Body:
        self._need("discovery:read")
        wanted = {kind for kind in _FAMILY if call.query.get(f"only_{_ONLY[kind]}", "") in ("1", "true", "True")} or set(_FAMILY)
        spaces = [space for space in self.directory.spaces if self.directory.kind(space) in wanted and self._has_begun(space)]
        return self._by_offset(call, "channels", spaces, lambda space: {**self.directory.conversation(space), "team": names.SLACK_TEAM})

    def _discovery_members(self, call: Call) -> Body:
        space = self._space(call, right="read", discovery=True)
        return self._by_offset(call, "members", [{"id": user} for user in self.directory.members(space)])

    def _discovery_history(self, call: Call) -> Body:
        space = self._space(call, right="history", discovery=True)
        found, following = self._window(call, self._events(space))
        channel = channel_id(space)
        messages = [self.messages.build(event, channel=channel) for event in found.tolist()]
        body: Body = {"messages": messages, "has_more": following is not None}
        if following is not None:
            body["offset"] = ts_text(following)
        return body

    # -- pages --------------------------------------------------------------------------------------------------------

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise _RefusedError("missing_scope", scope)

    def _listed(
        self, call: Call, key: str, values: list[Any], shape: Callable[[Any], Any] = lambda value: value, *, default: int = 1000
    ) -> Body:
        start = _position(call.query.get("cursor"), "at") or 0
        limit = self._limit(call, default=default)
        if call.quirk == "empty_page" and start < len(values):
            call.quirk = None
            return {key: [], "response_metadata": {"next_cursor": _cursor("at", start, call)}}
        page = [shape(value) for value in values[start : start + limit]]
        if call.quirk == "duplicate" and page:
            call.quirk = None
            page.append(page[-1])
        following = start + limit if start + limit < len(values) else None
        return {key: page, "response_metadata": {"next_cursor": "" if following is None else _cursor("at", following, call)}}

    def _by_offset(self, call: Call, key: str, values: list[Any], shape: Callable[[Any], Any] = lambda value: value) -> Body:
        text = call.query.get("offset", "")
        start = int(text) if text.isdigit() else 0
        limit = self._limit(call, default=1000)
        body: Body = {key: [shape(value) for value in values[start : start + limit]]}
        if start + limit < len(values):
            body["offset"] = str(start + limit)
        return body


_ONLY: Final = {"public_channel": "public", "private_channel": "private", "mpim": "mpim", "im": "im"}


def _cursor(name: str, position: int, call: Call) -> str:
    """Return the cursor of the page after a call's: never the one that the call came with, even after an empty page."""
    count = 0
    while (text := base64.b64encode(f"{name}:{position};{count}".encode()).decode()) == call.query.get("cursor"):
        count += 1
    return text


def _position(cursor: str | None, name: str) -> int | None:
    if not cursor:
        return None
    try:
        kind, _, value = base64.b64decode(cursor, validate=True).decode().partition(";")[0].partition(":")
    except (binascii.Error, UnicodeDecodeError):
        kind, value = "", ""
    if kind != name or not value.isdigit():
        raise _RefusedError("invalid_cursor")
    return int(value)


def _moment(text: str | None) -> int | None:
    """Return a ts as microseconds, without going through a float."""
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    if not (seconds.isdigit() and (fraction.isdigit() or not fraction)):
        raise _RefusedError("invalid_arguments")
    return int(seconds) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
