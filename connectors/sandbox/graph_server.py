"""Microsoft Graph and its token endpoint on loopback: the routes that a collector reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from time import time
from typing import Any, Final
from urllib.parse import unquote

import orjson

from connectors.sandbox import names
from connectors.sandbox.calendar import DAY
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.faults import Faults
from connectors.sandbox.graph_calendar import Calendars
from connectors.sandbox.graph_calls import Calls
from connectors.sandbox.graph_communications import Communications
from connectors.sandbox.graph_directory import Directory, Entry
from connectors.sandbox.graph_mail import FOLDERS, Mail
from connectors.sandbox.graph_teams import Teams
from connectors.sandbox.http import Answer, Call, Service, dumps
from connectors.sandbox.odata import GraphRefusal, clauses, holds, microseconds, page, parameter, selected, shown, span
from connectors.sandbox.organisation import Organisation

DELTA_DAYS: Final = 7
"""A delta token is good for so many days of the sandbox's clock."""
_TOKEN_PATH: Final = re.compile(r"^/[^/]+/oauth2/v2\.0/token$")
Body = dict[str, Any]
Handler = Callable[..., Body]


class GraphService(Service):
    """Microsoft Graph for one tenant, and the endpoint that gives tokens for it.

    Args:
        organisation: What it serves.
        evolution: What changes later.
        clock: The time.
        client_id: The application that may sign in; any if empty.
        client_secret: Its secret.
        faults: What goes wrong.
        permissions: Application permissions that are not granted are 403; None for all granted.
        token_seconds: How long an access token lasts.
        call_record_days: For how many days call records are kept; None for ever.
        closed_mailboxes: Numbers of people whose mailboxes cannot be read.
        per_minute: Budgets by route, enforced with 429.
    """

    def __init__(
        self,
        organisation: Organisation,
        evolution: Evolution,
        clock: Clock,
        *,
        client_id: str,
        client_secret: str,
        faults: Faults,
        permissions: frozenset[str] | None = None,
        token_seconds: int = 3600,
        call_record_days: int | None = 30,
        closed_mailboxes: frozenset[int] = frozenset(),
        per_minute: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__("graph", faults, per_minute)
        self.permissions = permissions
        self.closed_mailboxes = closed_mailboxes
        self._client = client_id, client_secret
        self._clock = clock
        self._token_seconds = token_seconds
        self._tokens: dict[str, float] = {}
        self._expirations = 0
        self.directory = Directory(organisation, clock)
        self.mail = Mail(organisation, clock)
        self.calendars = Calendars(organisation, evolution, clock)
        self.teams = Teams(organisation, evolution, clock, self.directory)
        self.calls = Calls(organisation, clock, self.calendars, call_record_days)
        self.communications = Communications(self.directory, self.teams, self.calls, self._entry)
        self._routes = [(re.compile("^" + re.sub(r"\{\w+\}", "([^/]+)", path) + "$"), path, *rest) for path, *rest in self._table()]
        self._lookups: dict[str, tuple[str, str | None, Handler, tuple[str, ...]] | None] = {}

    def _table(self) -> list[tuple[Any, ...]]:
        """Return path below the version, the permission it needs, and what answers it."""
        return [
            ("organization", "Organization.Read.All", self._organization),
            ("users", "User.Read.All", self._users),
            ("users/delta", "User.Read.All", self._users_delta),
            ("users/{user}", "User.Read.All", self._user),
            ("users/{user}/manager", "User.Read.All", self._manager),
            ("users/{user}/mailboxSettings", "MailboxSettings.Read", self._mailbox_settings),
            ("users/{user}/mailFolders", "Mail.ReadBasic.All", self._folders),
            ("users/{user}/mailFolders/{folder}/messages", "Mail.ReadBasic.All", self._messages),
            ("users/{user}/messages", "Mail.ReadBasic.All", lambda call, user: self._messages(call, user, None)),
            ("users/{user}/calendarView", "Calendars.ReadBasic.All", self._calendar_view),
            ("groups", "GroupMember.Read.All", self._groups),
            ("groups/{group}/members", "GroupMember.Read.All", self._group_members),
            ("groups/{group}/transitiveMembers", "GroupMember.Read.All", self._group_members),
            ("places/graph.room", "Place.Read.All", self._rooms),
            ("places/microsoft.graph.room", "Place.Read.All", self._rooms),
            ("admin/reportSettings", "ReportSettings.Read.All", lambda call: {"displayConcealedNames": True}),
            *self.communications.routes(),
        ]

    # -- requests -----------------------------------------------------------------------------------------------------

    def _lookup(self, path: str) -> tuple[str, str | None, Handler, tuple[str, ...]] | None:
        if path not in self._lookups:
            below = path.strip("/").partition("/")[2].replace("()", "")
            found = None
            for pattern, name, permission, handler in self._routes:
                if (match := pattern.match(below)) is not None:
                    found = name, permission, handler, tuple(unquote(part) for part in match.groups())
                    break
            if len(self._lookups) > 50_000:
                self._lookups.clear()
            self._lookups[path] = found
        return self._lookups[path]

    def route(self, call: Call) -> str:
        """Return the route with its parameters' names."""
        if _TOKEN_PATH.match(call.path):
            return "token"
        if call.path == "/v1.0/$batch":
            return "$batch"
        found = self._lookup(call.path)
        return found[0] if found else "unknown"

    def may_fail(self, call: Call) -> bool:
        """Return whether faults may be made: not of signing in, whose client has its own ways."""
        return not _TOKEN_PATH.match(call.path)

    def refusal(self, status: int, code: str) -> bytes:
        """Return an error as Graph writes it; its message holds a canary, as real ones may hold an address."""
        about = {"date": "2026-01-01T00:00:00", "request-id": "sandbox", "client-request-id": "sandbox"}
        name = {429: "TooManyRequests", 503: "serviceNotAvailable", 504: "timeout", 500: "generalException"}.get(status, code)
        return dumps({"error": {"code": name, "message": f"{name} {CANARIES['note']}", "innerError": about}})

    def answer(self, call: Call) -> Answer:
        """Answer a request."""
        if _TOKEN_PATH.match(call.path):
            return self._token(call)
        if self._tokens.get(call.headers.get("authorization", "").removeprefix("Bearer "), 0) < time():
            return Answer(self.refusal(401, "InvalidAuthenticationToken"), 401, {"WWW-Authenticate": "Bearer"})
        if call.path == "/v1.0/$batch":
            return self._batch(call)
        return self._single(call)

    def _single(self, call: Call) -> Answer:
        quirk = call.quirk
        found = self._lookup(call.path)
        try:
            if found is None or not call.path.startswith(("/v1.0/", "/beta/")):
                raise GraphRefusal(404, "ResourceNotFound")
            _, permission, handler, arguments = found
            if self.permissions is not None and permission not in self.permissions:
                raise GraphRefusal(403, "Authorization_RequestDenied")
            body = dumps(handler(call, *arguments))
        except GraphRefusal as refused:
            was_used = quirk is not None and call.quirk is None
            return Answer(self.refusal(refused.status, refused.code), refused.status, refused.headers, quirk_was_used=was_used)
        headers = {"request-id": "sandbox"}
        if prefer := call.headers.get("prefer"):
            headers["Preference-Applied"] = prefer
        return Answer(body, headers=headers, quirk_was_used=quirk is not None and call.quirk is None)

    def _token(self, call: Call) -> Answer:
        form = call.query
        client_id, secret = self._client
        is_right = form.get("client_secret") == secret and client_id in ("", form.get("client_id"))
        if form.get("grant_type") != "client_credentials" or not is_right:
            body = {"error": "invalid_client", "error_description": f"AADSTS7000215: Invalid client secret. {CANARIES['note']}"}
            return Answer(dumps(body), 401)
        token = f"sandbox-{len(self._tokens)}"
        self._tokens[token] = time() + self._token_seconds
        return Answer(
            dumps({"token_type": "Bearer", "expires_in": self._token_seconds, "ext_expires_in": self._token_seconds, "access_token": token})
        )

    def _batch(self, call: Call) -> Answer:
        try:
            asked = orjson.loads(call.body)["requests"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return Answer(self.refusal(400, "BadRequest"), 400)
        if not isinstance(asked, list) or len(asked) > 20:
            return Answer(self.refusal(400, "BadRequest"), 400)
        responses = []
        for one in asked:
            path, _, query = str(one.get("url", "")).partition("?")
            pairs = dict(part.partition("=")[::2] for part in query.split("&") if part)
            inner = Call(
                f"/v1.0/{path.strip('/')}",
                {unquote(name): unquote(value.replace("+", " ")) for name, value in pairs.items()},
                {**call.headers, **{str(name).lower(): str(value) for name, value in (one.get("headers") or {}).items()}},
            )
            self.requests[f"$batch {self.route(inner)}"] += 1
            answer = self._single(inner)
            responses.append({"id": one.get("id"), "status": answer.status, "headers": answer.headers, "body": orjson.loads(answer.body)})
        return Answer(dumps({"responses": responses}))

    # -- directory ----------------------------------------------------------------------------------------------------

    def _organization(self, call: Call) -> Body:
        domains = [{"name": domain, "isDefault": domain == names.OWN_DOMAIN} for domain in (names.OWN_DOMAIN, names.ALIAS_DOMAIN)]
        return {"value": [{"id": names.TENANT, "displayName": names.OWN_NAME, "verifiedDomains": domains}]}

    def _users(self, call: Call) -> Body:
        fields, wanted = selected(call), clauses(call)
        expands = "manager" in (parameter(call, "expand") or "")
        users = [self.directory.user(entry, manager=expands) for entry in self.directory.users()]
        users = [user for user in users if holds(user, wanted)]
        keep = fields | {"manager"} if fields is not None and expands else fields
        return page(call, users, lambda user: shown(user, keep), context="users", default=100, most=999)

    def _users_delta(self, call: Call) -> Body:
        token, skipped = parameter(call, "deltatoken"), parameter(call, "skiptoken")
        since = None
        fields = selected(call)
        if token is not None:
            if call.quirk == "expired_delta" and skipped is None:
                call.quirk = None
                self._expirations += 1
                raise self._expired(call, self._expirations)
            moment, _, names_of = token.partition("|")
            if not moment.isdigit() or int(moment) < self._clock.microseconds - DELTA_DAYS * DAY:
                raise self._expired(call, 1)
            since = int(moment)
            fields = frozenset(names_of.split(",")) if names_of else None
        keep = None if fields is None else fields | ({"manager@delta"} if "manager" in fields else set())
        following = f"{self._clock.microseconds}|{','.join(sorted(fields)) if fields else ''}"

        def shape(entry: Entry) -> Body:
            user = shown(self.directory.user(entry, delta=True), keep)
            if keep is not None and "manager@delta" not in keep:
                user.pop("manager@delta", None)
            return user

        return page(call, self.directory.users(since), shape, context="users", default=100, most=100, last=following)

    @staticmethod
    def _expired(call: Call, turn: int) -> GraphRefusal:
        if turn % 2:
            return GraphRefusal(400, "syncStateNotFound")
        host = call.headers.get("host", "127.0.0.1")
        return GraphRefusal(410, "resyncRequired", {"Location": f"http://{host}{call.path}?$deltatoken="})

    def _entry(self, user: str) -> Entry:
        entry = self.directory.by_id.get(user.lower()) or self.directory.by_id.get(user)
        if entry is None or not self.directory.is_there(entry):
            raise GraphRefusal(404, "Request_ResourceNotFound")
        return entry

    def _user(self, call: Call, user: str) -> Body:
        return shown(self.directory.user(self._entry(user), manager="manager" in (parameter(call, "expand") or "")), selected(call))

    def _manager(self, call: Call, user: str) -> Body:
        boss = self.directory.manager_of(self._entry(user))
        if boss is None:
            raise GraphRefusal(404, "Request_ResourceNotFound")
        return self._user(call, boss)

    def _groups(self, call: Call) -> Body:
        wanted, fields = clauses(call), selected(call)
        groups = [group for group in self.directory.groups() if holds(group, wanted)]
        return page(call, groups, lambda group: shown(group, fields), context="groups", default=100, most=999)

    def _group_members(self, call: Call, group: str) -> Body:
        members = self.directory.group_members(group)
        if members is None:
            raise GraphRefusal(404, "Request_ResourceNotFound")
        fields = selected(call)
        return page(call, members, lambda entry: shown(self.directory.user(entry), fields), context="users", default=100, most=999)

    def _rooms(self, call: Call) -> Body:
        rooms = [
            {"id": entry.id, "emailAddress": address, "displayName": CANARIES["room"], "building": CANARIES["location"], "capacity": 8}
            for address, entry in self.directory.rooms.items()
        ]
        return page(call, rooms, lambda room: room, context="places/microsoft.graph.room", default=100, most=100)

    # -- mailboxes ----------------------------------------------------------------------------------------------------

    def _mailbox(self, user: str) -> int:
        """Return whose mailbox it is; a number that nobody has for rooms and the like, whose mailboxes are empty."""
        entry = self._entry(user)
        if entry.kind == "contractor":
            raise GraphRefusal(404, "MailboxNotEnabledForRESTAPI")
        if entry.kind != "person":
            return 1 << 40
        if entry.number in self.closed_mailboxes:
            raise GraphRefusal(403, "ErrorAccessDenied")
        if entry.number in self.directory.guests:
            raise GraphRefusal(404, "MailboxNotEnabledForRESTAPI")
        return entry.number

    def _mailbox_settings(self, call: Call, user: str) -> Body:
        entry = self._entry(user)
        if entry.kind == "contractor":
            raise GraphRefusal(404, "MailboxNotEnabledForRESTAPI")
        settings = {"userPurpose": self.directory.purpose(entry), "timeZone": "W. Europe Standard Time"}
        settings["automaticRepliesSetting"] = {"internalReplyMessage": CANARIES["note"], "status": "disabled"}  # type: ignore[assignment]
        fields = selected(call)
        return settings if fields is None else {name: value for name, value in settings.items() if name in fields}

    def _folders(self, call: Call, user: str) -> Body:
        person = self._mailbox(user)
        folders = [
            {"id": name, "displayName": CANARIES["group"], "wellKnownName": name, "totalItemCount": self.mail.count(person, name)}
            for name in FOLDERS
        ]
        return page(call, folders, lambda folder: folder, context="mailFolders", default=10, most=1000)

    def _messages(self, call: Call, user: str, folder: str | None) -> Body:
        person = self._mailbox(user)
        times = span(call, "sentDateTime", "receivedDateTime")
        field = "receivedDateTime" if "receivedDateTime" in (parameter(call, "filter") or "") else "sentDateTime"
        fields = selected(call)
        found = self.mail.messages(person, folder, times, field)
        order = (parameter(call, "orderby") or "").split()
        if order and order[0] != field:
            # Exchange wants what is ordered by to be filtered by first
            raise GraphRefusal(400, "InefficientFilter")
        return page(
            call,
            found[::-1] if order and order[-1] != "desc" else found,
            lambda pair: self.mail.build(person, pair[0], pair[1], fields),
            context="messages",
            default=10,
            most=1000,
            is_counted=True,
        )

    def _calendar_view(self, call: Call, user: str) -> Body:
        person = self._mailbox(user)
        low, high = call.query.get("startDateTime"), call.query.get("endDateTime")
        if low is None or high is None:
            raise GraphRefusal(400, "ErrorInvalidParameter")
        fields = selected(call)
        events = self.calendars.view(person, microseconds(low), microseconds(high))
        return page(call, events, lambda event: self.calendars.build(person, event, fields), context="calendarView", default=10, most=1000)
