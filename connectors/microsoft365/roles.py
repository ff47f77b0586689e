"""What the directory's entries are: people or rooms, shared mailboxes, groups and robots; colleagues or people from elsewhere.

A part that cannot be read costs that part: the night goes on with what was known before, and coverage says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from connectors.addresses import normalise_address, normalise_domain
from connectors.errors import UserError
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.people import Member, People
from connectors.microsoft365.registry import Registry
from connectors.state import State

GROUPS_CURSOR: Final = "directory:groups"
_PURPOSES: Final = {"shared": "shared_mailbox", "room": "room", "equipment": "room", "user": "human", "linked": "human", "others": "human"}
# whoever is at one of these is nobody's colleague by it
_PUBLIC_DOMAINS: Final = frozenset(
    {
        *(
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "yahoo.com",
            "icloud.com",
            "me.com",
            "aol.com",
        ),
        *(
            "gmx.de",
            "gmx.net",
            "gmx.ch",
            "gmx.at",
            "web.de",
            "t-online.de",
            "proton.me",
            "protonmail.com",
            "bluewin.ch",
            "mail.ru",
            "qq.com",
        ),
        *("orange.fr", "free.fr", "laposte.net", "wanadoo.fr", "yahoo.fr", "yahoo.co.uk", "hotmail.co.uk", "hotmail.fr", "btinternet.com"),
    }
)


@dataclass(slots=True)
class Unread:
    """Parts of the directory that could not be read, with the reason.

    Attributes:
        parts: Part -> reason, as a coverage code.
    """

    parts: dict[str, str] = field(default_factory=dict)

    def note(self, part: str, error: GraphError) -> None:
        """Note a part. One that is not allowed, or is not there, is a matter of permissions, which `check` tells of."""
        if error.status not in {400, 403, 404}:
            self.parts[part] = f"{part}_{error.reason}"


# -- groups and rooms ---------------------------------------------------------------------------------------------------


async def read_groups(graph: Graph, people: People, state: State, unread: Unread) -> dict[str, str]:
    """Learn the addresses of groups, which are no persons, and return the cursor that remembers them, as keyed hashes.

    Without the permission they count as unknown addresses; where they cannot be read for once, those of the last time hold.
    """
    found: list[object] = []
    try:
        async for page in graph.pages(graph.client.groups, select=["id", "mail", "proxyAddresses"], filter="mailEnabled eq true", top=999):
            for group in page.values:
                if isinstance(group, dict):
                    proxies = group.get("proxyAddresses")
                    found += [group.get("mail"), *(proxies if isinstance(proxies, list) else [])]
    except GraphError as error:
        unread.note("groups", error)
        people.add_group(found)
        people.group_keys |= _remembered(state)
        return {}
    people.add_group(found)
    value = orjson.dumps(sorted(people.group_keys)).decode()
    return {GROUPS_CURSOR: value} if value != (state.cursor(GROUPS_CURSOR) or "[]") else {}


def _remembered(state: State) -> set[int]:
    try:
        held = orjson.loads(state.cursor(GROUPS_CURSOR) or "[]")
    except ValueError:
        return set()
    return {key for key in held if isinstance(key, int)} if isinstance(held, list) else set()


async def read_rooms(graph: Graph, unread: Unread) -> set[str]:
    """Return rooms' addresses; none without Place.Read.All."""
    rooms: set[str] = set()
    try:
        async for page in graph.pages(graph.client.places.graph_room, top=100):
            for room in page.values:
                address = room.get("emailAddress") if isinstance(room, dict) else None
                if isinstance(address, str) and (normal := normalise_address(address)) is not None:
                    rooms.add(normal)
    except GraphError as error:
        unread.note("rooms", error)
    return rooms


# -- own domains --------------------------------------------------------------------------------------------------------


async def read_own_domains(graph: Graph, people: People, members: Collection[tuple[Member, Mapping[str, Any]]]) -> None:
    """Learn the tenant's own domains: those it has verified and those that settings name, else those of its licensed members.

    The home address of someone from another tenant makes no domain own, guest or member.

    Raises:
        UserError: If nobody would be a colleague, or everybody at a public mail service.
    """
    named = {normalise_domain(domain) for domain in graph.settings.own_domains}
    if public := sorted(named & _PUBLIC_DOMAINS):
        raise UserError(
            f"microsoft365.own_domains: {public[0]} is a public mail service, everybody there would be a colleague; leave it out"
        )
    verified: set[str] = set()
    try:
        async for page in graph.pages(graph.client.organization, select=["id", "verifiedDomains"]):
            for tenant in page.values:
                if isinstance(tenant, dict):
                    verified |= _verified(tenant)
                    if isinstance(tenant.get("id"), str):
                        people.tenants.add(tenant["id"].casefold())
    except GraphError:
        # without Organization.Read.All: what members' own names say
        verified = set()
    people.own_domains = (named | (verified or _members_domains(members))) - {""}
    if members and not people.own_domains:
        raise UserError(
            "microsoft365: nobody in the directory is of your own organisation, so that everybody would be an outsider; "
            "grant Organization.Read.All, or name your domains in microsoft365.own_domains"
        )


def _verified(tenant: Mapping[str, Any]) -> set[str]:
    domains = tenant.get("verifiedDomains")
    names = [domain.get("name") for domain in domains if isinstance(domain, dict)] if isinstance(domains, list) else []
    return {normalise_domain(name) for name in names if isinstance(name, str)}


def _members_domains(members: Iterable[tuple[Member, Mapping[str, Any]]]) -> set[str]:
    principals: Counter[str] = Counter()
    addresses: Counter[str] = Counter()
    for member, user in members:
        if member.is_guest or member.is_licensed is False:
            continue
        principals[_domain(user.get("userPrincipalName"))] += 1
        addresses[_domain(user.get("mail"))] += 1
    # one person's address may be private; that of several people with mailboxes is the tenant's
    return (set(principals) | {domain for domain, count in addresses.items() if count > 1}) - _PUBLIC_DOMAINS - {""}


def _domain(value: object) -> str:
    normal = normalise_address(value) if isinstance(value, str) else None
    return normal.rpartition("@")[2] if normal else ""


# -- kinds --------------------------------------------------------------------------------------------------------------


async def read_kinds(
    graph: Graph, people: People, members: Iterable[tuple[Member, Mapping[str, Any]]], rooms: Collection[str], registry: Registry
) -> dict[int, str]:
    """Return each account's kind, asking `mailboxSettings/userPurpose` only for new accounts without a licence.

    Rooms and shared mailboxes need no licence, so only unlicensed or blocked accounts with an address are asked about. Who was a person
    stays one: the mailbox of someone who left is commonly made a shared one. Without MailboxSettings.Read they stay human: a shared
    mailbox then counts as a deactivated person.
    """
    kinds: dict[int, str] = {}
    asked: list[tuple[Member, Mapping[str, Any]]] = []
    for member, user in members:
        before = registry.account(member.key)
        known: str | None = None if before is None else before["kind"]
        if member.address in rooms:
            kinds[member.key] = "room"
        elif member.address is not None and people.automatic.covers(member.address):
            kinds[member.key] = "bot"
        elif known == "human" or member.is_guest or member.address is None:
            kinds[member.key] = "human"
        elif before is not None and (before["is_licensed"], before["is_active"]) == (member.is_licensed, member.is_active):
            kinds[member.key] = before["kind"]
        elif known is None and member.is_licensed is not False and member.is_active is not False:
            kinds[member.key] = "human"
        else:
            kinds[member.key] = "human" if known is None else known
            asked.append((member, user))
    allowed = True

    async def purpose(member: Member, user: Mapping[str, Any]) -> None:
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
        kind = _PURPOSES.get(str(answer.get("userPurpose")), "human")
        kinds[member.key] = "human" if kind == "shared_mailbox" and _was_employed(user) else kind

    for start in range(0, len(asked), 256):
        await asyncio.gather(*(purpose(*each) for each in asked[start : start + 256]))
    return kinds


def _was_employed(user: Mapping[str, Any]) -> bool:
    """Return whether an account has what only people have: a manager, or a day of hiring or leaving."""
    return any(user.get(name) for name in ("manager", "manager@delta", "employeeHireDate", "employeeLeaveDateTime"))


# -- scope --------------------------------------------------------------------------------------------------------------


async def read_scope(graph: Graph) -> set[str] | None:
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


def is_in_scope(member: Member, scope: set[str] | None) -> bool:
    """Return whether a member's mailbox may be read."""
    return scope is None or not scope.isdisjoint((member.user_id, member.address or "", *member.aliases))
