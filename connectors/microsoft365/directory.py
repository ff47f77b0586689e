"""The directory: who is who, in which team and office, under whom, and which accounts are no persons.

`users/delta` tells what changed since the last run. Since no raw id is stored, a run that gets only changes also lists
the users once (a request for each 999 of them) to know whose mailboxes to ask for. A delta token lives seven days; when
it has expired (400 `syncStateNotFound`, or 410) this stream alone is read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from secrets import SystemRandom
from typing import Any, Final

from connectors.columns import records, utc_day
from connectors.errors import UserError
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.people import Member, People, guest_address
from connectors.microsoft365.registry import Registry
from connectors.microsoft365.settings import SOURCE
from connectors.microsoft365.times import parse_time
from connectors.pseudonyms import normalise_address
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
_PURPOSES: Final = {"shared": "shared_mailbox", "room": "room", "equipment": "room", "user": "human", "linked": "human", "others": "human"}
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
    is_guest = user.get("userType") == "Guest"
    mail = _address(user.get("mail"))
    address = mail or (guest_address(principal) if is_guest and principal else principal)
    proxies = user.get("proxyAddresses")
    names = [text[5:] for text in proxies if isinstance(text, str) and text[:5].lower() == "smtp:"] if isinstance(proxies, list) else []
    main = normalise_address(address) if address else None
    aliases = {normal for name in [*names, principal or ""] if (normal := _normal(name)) is not None and normal != main}
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
    )


def _address(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 400 and "@" in value else None


def _normal(value: str) -> str | None:
    return normalise_address(value) if len(value) <= 400 else None


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
    await _groups(graph, people)
    rooms = await _rooms(graph)
    changes, removed, token, is_full = await _changes(graph, state.cursor(DELTA_CURSOR))
    users = changes if is_full else _merged(await _listed(graph), changes)
    parsed = [(member, user) for user in users.values() if (member := parse_user(user, people)) and member.user_id not in removed]
    parsed.sort(key=lambda pair: pair[0].key)
    kinds = await _kinds(graph, [member for member, _ in parsed], rooms, registry)
    for member, _ in parsed:
        people.add(member, kinds[member.key])
    for member, _ in parsed:
        people.add_aliases(member)
    for room in rooms:
        people.add_room(room)
    scope = await _scope(graph)
    if scope is not None:
        people.scope = {member.user_id for member, _ in parsed if _in_scope(member, scope)}
    directory = Directory(people, registry, is_full=is_full)
    directory.chatters = [
        member
        for member, _ in parsed
        if (member.has_mailbox or (member.is_licensed and not member.is_guest))
        and kinds[member.key] == "human"
        and member.key not in people.opted_out
        and _in_scope(member, scope)
    ]
    directory.mailboxes = [member for member in directory.chatters if member.has_mailbox]
    people.unread.update(
        member.key for member, _ in parsed if not member.is_guest and not member.has_mailbox and kinds[member.key] == "human"
    )
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
    cursors = {**registry.cursors(), DELTA_CURSOR: token or ""}
    yield Batch(SOURCE, stream, records(SOURCE, quarantine=faults), cursors, len(parsed), len(parsed)), directory


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


async def _groups(graph: Graph, people: People) -> None:
    """Learn the addresses of groups, which are no persons. Without the permission they count as unknown addresses."""
    try:
        async for page in graph.pages(graph.client.groups, select=["id", "mail", "proxyAddresses"], filter="mailEnabled eq true", top=999):
            for group in page.values:
                if isinstance(group, dict):
                    proxies = group.get("proxyAddresses")
                    people.add_group([group.get("mail"), *(proxies if isinstance(proxies, list) else [])])
    except GraphError as error:
        if error.status not in {400, 403, 404}:
            raise


async def _rooms(graph: Graph) -> set[str]:
    """Return rooms' addresses; none without Place.Read.All."""
    rooms: set[str] = set()
    try:
        async for page in graph.pages(graph.client.places.graph_room, top=100):
            for room in page.values:
                address = room.get("emailAddress") if isinstance(room, dict) else None
                if isinstance(address, str) and len(address) <= 400 and (normal := normalise_address(address)) is not None:
                    rooms.add(normal)
    except GraphError as error:
        if error.status not in {400, 403, 404}:
            raise
    return rooms


async def _kinds(graph: Graph, members: Iterable[Member], rooms: set[str], registry: Registry) -> dict[int, str]:
    """Return each account's kind, asking `mailboxSettings/userPurpose` only for new accounts without a licence.

    Rooms and shared mailboxes need no licence, so only unlicensed or blocked accounts with an address are asked about.
    Without MailboxSettings.Read they stay human: a shared mailbox then counts as a deactivated person.
    """
    kinds: dict[int, str] = {}
    asked: list[Member] = []
    for member in members:
        before = registry.account(member.key)
        if member.address in rooms:
            kinds[member.key] = "room"
        elif member.is_guest or member.address is None or (member.is_licensed is not False and member.is_active is not False):
            kinds[member.key] = "human"
        elif before is not None and (before["is_licensed"], before["is_active"]) == (member.is_licensed, member.is_active):
            kinds[member.key] = before["kind"]
        else:
            kinds[member.key] = before["kind"] if before is not None else "human"
            asked.append(member)
    allowed = True

    async def purpose(member: Member) -> None:
        nonlocal allowed
        if not allowed:
            return
        try:
            mailbox = graph.client.users.by_user_id(member.user_id).mailbox_settings
            answer = await graph.get(mailbox, unit=member.user_id, select=["userPurpose"])
        except GraphError as error:
            # a mailbox that is not there is 404; a permission that is not there is 403 for every mailbox
            if error.status == 403:
                allowed = False
            return
        kinds[member.key] = _PURPOSES.get(str(answer.get("userPurpose")), "human")

    for start in range(0, len(asked), 256):
        await asyncio.gather(*(purpose(member) for member in asked[start : start + 256]))
    return kinds


async def _scope(graph: Graph) -> set[str] | None:
    """Return ids and normalised addresses of those whose mailboxes may be read; None for everyone.

    Raises:
        UserError: If a group that settings name cannot be read.
    """
    settings = graph.settings
    if not settings.mailboxes and not settings.groups:
        return None
    scope = {normalise_address(text) or text.strip() for text in settings.mailboxes}
    for position, group in enumerate(settings.groups):
        refused = False
        try:
            async for page in graph.pages(graph.client.groups.by_group_id(group).transitive_members, select=["id"], top=999):
                scope.update(entry["id"] for entry in page.values if isinstance(entry, dict) and isinstance(entry.get("id"), str))
        except GraphError as error:
            if error.status not in {400, 403, 404}:
                raise
            refused = True
        if refused:
            raise UserError(
                f"microsoft365.groups[{position}]: its members cannot be read; check the object id, and grant GroupMember.Read.All"
            )
    return scope


def _in_scope(member: Member, scope: set[str] | None) -> bool:
    return scope is None or not scope.isdisjoint((member.user_id, member.address or "", *member.aliases))
