"""The directory: who is who, in which team and office, under whom, and which accounts are no persons.

`users/delta` tells what changed since the last run. Since no raw id is stored, a run that gets only changes also lists
the users once (a request for each 999 of them) to know whose mailboxes to ask for. A delta token lives seven days; when
it has expired (400 `syncStateNotFound`, or 410) this stream alone is read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from secrets import SystemRandom
from typing import Any, Final

from connectors.addresses import directory_path, normalise_address
from connectors.columns import records, utc_day
from connectors.errors import UserError
from connectors.microsoft365 import roles
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.people import Member, People
from connectors.microsoft365.registry import Registry
from connectors.microsoft365.settings import SOURCE
from connectors.microsoft365.times import parse_time
from connectors.records import Batch
from connectors.state import State

STREAM: Final = "directory"
DELTA_CURSOR: Final = "directory:delta"
LISTED: Final = (
    "id",
    "mail",
    "userPrincipalName",
    "proxyAddresses",
    "department",
    "officeLocation",
    "userType",
    "accountEnabled",
    "assignedLicenses",
)
_LONGEST_NAME: Final = 256
_ROWS_A_BATCH: Final = 20_000


@dataclass(slots=True)
class Directory:
    """What a run knows of the directory.

    Attributes:
        people: The accounts, for the other streams.
        mailboxes: Members whose mailboxes are to be read, in the order of their keys.
        chatters: Members whose chats are: those, and whoever has a licence without a mailbox.
        registry: What is remembered between runs.
        is_full: Whether everybody was read anew.
    """

    people: People
    registry: Registry
    mailboxes: list[Member] = field(default_factory=list)
    chatters: list[Member] = field(default_factory=list)
    is_full: bool = False


# -- parsing ------------------------------------------------------------------------------------------------------------


def parse_user(user: object, people: People) -> Member | None:
    """Return a user object as a member, or None if it has no usable id."""
    if not isinstance(user, dict):
        return None
    user_id = user.get("id")
    if not isinstance(user_id, str) or not 0 < len(user_id) <= 512:
        return None
    principal = _address(user.get("userPrincipalName"))
    is_foreign = principal is not None and "#ext#" in principal.casefold()
    is_guest = user.get("userType") == "Guest" or is_foreign
    mail = _address(user.get("mail"))
    address = mail or principal
    proxies = user.get("proxyAddresses")
    names = [text for text in proxies if isinstance(text, str)] if isinstance(proxies, list) else []
    main = normalise_address(address) if address else None
    # whatever their prefixes: smtp, sip, x500, eum
    aliases = {normal for name in [*names, principal or ""] if (normal := normalise_address(name)) is not None and normal != main}
    paths = {path for name in names if (path := directory_path(name)) is not None}
    licences = user.get("assignedLicenses")
    licensed = bool(licences) if isinstance(licences, list) else None
    enabled = user.get("accountEnabled")
    return Member(
        user_id=user_id,
        key=people.key_of(user_id),
        address=main,
        aliases=tuple(sorted(aliases)),
        is_guest=is_guest,
        is_active=enabled if isinstance(enabled, bool) else None,
        is_licensed=licensed,
        has_mailbox=mail is not None and not is_guest and licensed is not False,
        paths=tuple(sorted(paths)),
    )


def _address(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 400 and "@" in value else None


def account_row(member: Member, kind: str, people: People) -> dict[str, Any]:
    """Return a member's account record without its source."""
    pseudonyms = people.pseudonyms
    person_id = pseudonyms.person_id(member.address) if member.address else None
    aliases = {pseudonyms.person_id(alias) for alias in member.aliases} - {None, person_id}
    return {
        "account_key": member.key,
        "person_id": person_id,
        "alias_ids": sorted(alias for alias in aliases if alias is not None),
        "domain_key": pseudonyms.domain_key(member.address) if member.address else None,
        "kind": kind,
        "is_active": member.is_active,
        "is_guest": member.is_guest,
        "is_licensed": member.is_licensed,
    }


def place_row(user: Mapping[str, Any], key: int, people: People, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a member's place: team, office, manager, first and last day.

    Delta tells a manager and dates only where they changed; otherwise those known `before` hold.
    """
    known = before if before is not None else {}
    manager = known.get("manager_key")
    if "manager" in user or "manager@delta" in user:
        manager = _manager(user, people)
    days: dict[str, date | None] = {}
    for name, field_name in (("joined_on", "employeeHireDate"), ("left_on", "employeeLeaveDateTime")):
        stored = known.get(name)
        days[name] = _day(user[field_name]) if field_name in user else date.fromisoformat(stored) if stored else None
    return {
        "account_key": key,
        "team": _name(user.get("department")),
        "office": _name(user.get("officeLocation")),
        "manager_key": None if manager in people.opted_out else manager,
        **days,
    }


def _manager(user: Mapping[str, Any], people: People) -> int | None:
    value = user.get("manager")
    changes = user.get("manager@delta")
    candidates = [value] if isinstance(value, dict) else []
    if isinstance(changes, list):
        candidates += [change for change in changes if isinstance(change, dict) and "@removed" not in change]
    ids = [candidate["id"] for candidate in candidates if isinstance(candidate.get("id"), str) and candidate["id"]]
    return people.key_of(ids[-1]) if ids else None


def _name(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) and len(value) <= _LONGEST_NAME else None


def _day(value: object) -> date | None:
    found = parse_time(value)
    return utc_day(found) if found is not None else None


# -- reading ------------------------------------------------------------------------------------------------------------


async def read(
    graph: Graph, people: People, state: State, today: date, *, stream: str = STREAM
) -> AsyncGenerator[tuple[Batch, Directory | None], None]:
    """Read the directory and yield batches; the last comes with the directory itself.

    Raises:
        UserError: If the directory may not be read: nothing else could be.
    """
    registry = Registry(state)
    unread = roles.Unread()
    groups = await roles.read_groups(graph, people, state, unread)
    rooms = await roles.read_rooms(graph, unread)
    changes, removed, token, is_full = await _changes(graph, state.cursor(DELTA_CURSOR))
    users = changes if is_full else _merged(await _listed(graph), changes)
    parsed = [
        (_as_before(member, user, registry), user)
        for user in users.values()
        if (member := parse_user(user, people)) and member.user_id not in removed
    ]
    parsed.sort(key=lambda pair: pair[0].key)
    await roles.read_own_domains(graph, people, parsed)
    kinds = await roles.read_kinds(graph, people, parsed, rooms, registry)
    for member, _ in parsed:
        people.add(member, kinds[member.key])
    for member, _ in parsed:
        people.add_aliases(member)
    for room in rooms:
        people.add_room(room)
    scope = await roles.read_scope(graph)
    if scope is not None:
        people.scope = {member.user_id for member, _ in parsed if roles.is_in_scope(member, scope)}
    directory = Directory(people, registry, is_full=is_full)
    directory.chatters = [
        member
        for member, _ in parsed
        if (member.has_mailbox or (member.is_licensed and not member.is_guest))
        and kinds[member.key] == "human"
        and member.key not in people.opted_out
        and roles.is_in_scope(member, scope)
    ]
    directory.mailboxes = [member for member in directory.chatters if member.has_mailbox]
    accounts = registry.changed_accounts(
        (account_row(member, kinds[member.key], people) for member, _ in parsed if member.key not in people.opted_out), listed=True
    )
    gone = registry.keys() - {member.key for member, _ in parsed} - people.opted_out
    accounts += registry.changed_accounts(
        ({**row, "is_active": False} for key in sorted(gone) if (row := registry.account(key)) is not None), listed=True
    )
    places = []
    for member, user in parsed:
        if member.key not in people.opted_out and kinds[member.key] == "human":
            row = place_row(user, member.key, people, registry.place(member.key))
            if registry.changed_place(member.key, row):
                places.append({**row, "observed_on": today})
    faults = _faults(people, today) if len({member.user_id for member, _ in parsed} | removed) < len(users.keys() | removed) else []
    for start in range(0, max(len(accounts), len(places)), _ROWS_A_BATCH):
        part = slice(start, start + _ROWS_A_BATCH)
        yield Batch(SOURCE, stream, records(SOURCE, account=accounts[part], membership=places[part])), None
    cursors = {**registry.cursors(), **groups, DELTA_CURSOR: token or ""}
    told = [_coverage(reason, today) for _, reason in sorted(unread.parts.items())]
    yield Batch(SOURCE, stream, records(SOURCE, quarantine=faults, coverage=told), cursors, len(parsed), len(parsed)), directory


def _as_before(member: Member, user: Mapping[str, Any], registry: Registry) -> Member:
    """Return a member as one still, who has been one and whom the directory calls a guest now: leaving changes nobody's past."""
    before = registry.account(member.key)
    is_foreign = "#ext#" in str(user.get("userPrincipalName")).casefold()
    return replace(member, is_guest=False) if member.is_guest and not is_foreign and before and before["is_guest"] is False else member


def _coverage(reason: str, today: date) -> dict[str, Any]:
    return {"stream": STREAM, "unit_key": 0, "date_from": today, "date_to": today, "status": "partial", "reason": reason}


def _faults(people: People, today: date) -> list[dict[str, Any]]:
    """One fault for all objects without an id: there is nothing to tell them apart by."""
    key = people.pseudonyms.key("microsoft365:fault", "directory:missing_id")
    return [{"stream": STREAM, "record_key": key, "reason": "missing_id", "observed_on": today}]


async def _changes(graph: Graph, token: str | None) -> tuple[dict[str, dict[str, Any]], set[str], str | None, bool]:
    """Return changed users by id, ids of removed ones, the next delta token, and whether these are all users."""
    builder = graph.client.users.delta
    if token is not None:
        try:
            return *await _round(graph, builder, token), False
        except GraphError as error:
            if error.status not in {400, 404, 410}:
                raise
        # the whole tenant's tools may notice at once: spread out
        await asyncio.sleep(SystemRandom().uniform(0, graph.settings.resync_jitter_seconds))
    return *await _round(graph, builder, None), True


async def _round(
    graph: Graph, builder: Any, token: str | None, *, dates: bool = True
) -> tuple[dict[str, dict[str, Any]], set[str], str | None]:
    """Read one round of delta, from a token or from the beginning."""
    users: dict[str, dict[str, Any]] = {}
    removed: set[str] = set()
    following: str | None = None
    query: dict[str, Any] = {"select": [*LISTED, "manager"]}
    if dates:
        query["select"] += _dates(graph)
    try:
        async for page in graph.pages(builder, delta_token=token, **query):
            for user in page.values:
                if not isinstance(user, dict):
                    users.setdefault("", {})
                    continue
                user_id = user.get("id")
                name = user_id if isinstance(user_id, str) else ""
                if "@removed" in user:
                    removed.add(name)
                    users.pop(name, None)
                else:
                    # the same user may repeat, later pages with fewer fields; one that was restored is back
                    removed.discard(name)
                    users.setdefault(name, {}).update(user)
            following = page.delta_token or following
    except GraphError as error:
        if error.status == 400 and token is None and dates:
            # some clouds do not know the dates
            return await _round(graph, builder, None, dates=False)
        if error.status == 403:
            raise UserError(
                "microsoft365: the directory may not be read (403); grant the application permission User.Read.All with admin consent"
            ) from None
        raise
    return users, removed, following


def _dates(graph: Graph) -> list[str]:
    return ["employeeHireDate", "employeeLeaveDateTime"] if graph.settings.leave_dates else ["employeeHireDate"]


async def _listed(graph: Graph) -> dict[str, dict[str, Any]]:
    """Return every user by id, without managers and dates."""
    users: dict[str, dict[str, Any]] = {}
    async for page in graph.pages(graph.client.users, select=list(LISTED), top=999):
        for user in page.values:
            if isinstance(user, dict):
                users[user["id"] if isinstance(user.get("id"), str) else ""] = user
    return users


def _merged(listed: dict[str, dict[str, Any]], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the listed users with what only delta tells: a change of manager, a day of leaving."""
    for user_id, change in changes.items():
        user = listed.setdefault(user_id, dict(change))
        user.update({name: value for name, value in change.items() if name not in LISTED})
    return listed
