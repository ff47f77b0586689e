"""The accounts of one run: raw ids and addresses on this side, keyed hashes on the other.

Everything here lives in memory for one run only. Raw ids are needed to ask Graph about a mailbox, so each run learns
them from the directory anew; nothing stored could give them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.addresses import LONGEST_ADDRESS, directory_path, normalise_address
from connectors.automatic import Automatic
from connectors.opted_out import OptedOut
from connectors.pseudonyms import Pseudonymiser

NOT_PERSONS: Final = frozenset({"room", "shared_mailbox", "bot", "app", "group"})
_LONGEST_ID: Final = 512


@dataclass(frozen=True, slots=True)
class Member:
    """A user object of the directory.

    Attributes:
        user_id: The raw object id.
        key: The account's key.
        address: The main address, or None.
        aliases: All other addresses.
        is_guest: Whether the directory says Guest, or lists someone whose home is another tenant (`#EXT#`), member or not.
        is_active: accountEnabled; None where it is not told.
        is_licensed: Whether there are licences; None where it is not told.
        has_mailbox: Whether it is worth asking for a mailbox: an address, and no sign that there is no licence.
    """

    user_id: str
    key: int
    address: str | None
    aliases: tuple[str, ...]
    is_guest: bool
    is_active: bool | None
    is_licensed: bool | None
    has_mailbox: bool
    paths: tuple[str, ...] = ()
    """Directory paths by which old mail names them."""


class People:
    """Keys of accounts by user id and by address, and records of those whom the directory does not list.

    An account of the directory is `Pseudonymiser.key("microsoft365:account", user id)`; an address without one is
    `key("address", normalised address)`, with an account record of kind `unknown`, or `bot` where it is a robot's. A group's address is no
    account.

    Args:
        pseudonyms: The organisation's pseudonyms.
        opted_out: `person_id` (32 hexadecimal digits) or `account_key` (decimal) of those who asked to be left out.
        automatic: Tells robots' addresses from people's.
        tenants: Ids of the own tenant.

    Attributes:
        opted_out: Keys of their accounts.
        kinds: Account key -> kind, where it is not a person.
        own_domains: The tenant's own domains: an address there is a colleague's, now or before.
        tenants: Ids of the own tenant.
        group_keys: `key("address", address)` of groups' addresses.
        scope: Object ids of those whom settings let be read; None for everyone.
    """

    def __init__(
        self,
        pseudonyms: Pseudonymiser,
        opted_out: Iterable[str] = (),
        *,
        automatic: Automatic | None = None,
        tenants: Iterable[str] = (),
    ) -> None:
        self.pseudonyms = pseudonyms
        self.opted_out: set[int] = set()
        self.kinds: dict[int, str] = {}
        self.own_domains: set[str] = set()
        self.tenants = {tenant.casefold() for tenant in tenants}
        self.automatic = automatic or Automatic()
        self.scope: set[str] | None = None
        self._asked_out = OptedOut(opted_out, pseudonyms.earlier)
        self._ids: dict[str, int] = {}
        self._addresses: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self.group_keys: set[int] = set()
        self._raw: dict[str, int | None] = {}
        self._internal: set[int] = set()
        self._listed: set[int] = set()
        self._unlisted: dict[int, dict[str, Any]] = {}
        self._foreign: dict[int, dict[str, Any]] = {}
        self._without_address: set[str] = set()

    # -- the directory ------------------------------------------------------------------------------------------------

    def key_of(self, user_id: str) -> int:
        """Return the account key of a user id, without recording anything."""
        return self.pseudonyms.key("microsoft365:account", user_id)

    def add(self, member: Member, kind: str) -> None:
        """Take a member of the directory."""
        self._ids[member.user_id] = member.key
        self._listed.add(member.key)
        if kind in NOT_PERSONS:
            self.kinds[member.key] = kind
        if not member.is_guest:
            self._internal.add(member.key)
        self._take(member, [] if member.address is None else [member.address])
        if self._is_asked_out(member.key, [name for name in (member.address, *member.aliases) if name is not None]):
            self.opted_out.add(member.key)

    def add_aliases(self, member: Member) -> None:
        """Take a member's other addresses and paths; an address that is another member's main one stays theirs."""
        self._take(member, member.aliases)
        for path in member.paths:
            self._paths.setdefault(path, member.key)

    def _take(self, member: Member, addresses: Iterable[str]) -> None:
        for address in addresses:
            normal = normalise_address(address)
            if normal is not None:
                self._addresses.setdefault(normal, member.key)
        self._raw.clear()

    def add_room(self, address: str) -> None:
        """Take a room's address, also where the directory does not list it as a user."""
        normal = normalise_address(address)
        if normal is not None:
            self.kinds[self._addresses.get(normal, self.pseudonyms.key("address", normal))] = "room"

    def add_group(self, addresses: Iterable[object]) -> None:
        """Take a group's addresses: whoever is behind them, they are not one person."""
        for address in addresses:
            if isinstance(address, str) and (normal := normalise_address(address) or directory_path(address)) is not None:
                self.group_keys.add(self.pseudonyms.key("address", normal, remember=False))

    def _is_asked_out(self, key: int, addresses: Iterable[str]) -> bool:
        if not self._asked_out:
            return False
        return str(key) in self._asked_out or any(self.pseudonyms.person_id(address) in self._asked_out for address in addresses)

    def by_room(self, address: str) -> int | None:
        """Return the account key of an address that the directory knows, recording nothing."""
        normal = normalise_address(address)
        return None if normal is None else self._addresses.get(normal)

    # -- messages -----------------------------------------------------------------------------------------------------

    def by_address(self, address: object) -> int | None:
        """Return the account key of an address or directory path; None if it is none or a group's. An address met first is recorded."""
        if type(address) is not str or len(address) > LONGEST_ADDRESS:
            return None
        try:
            return self._raw[address]
        except KeyError:
            found = self._raw[address] = self._by_new_address(address)
            return found

    def _by_new_address(self, address: str) -> int | None:
        normal = normalise_address(address)
        if normal is None:
            # a path that the directory does not list may be anything: a list, someone who left
            path = directory_path(address)
            return None if path is None else self._paths.get(path)
        key = self.pseudonyms.key("address", normal, remember=False)
        if key in self.group_keys:
            return None
        if (known := self._addresses.get(normal)) is not None:
            return known
        if self._is_asked_out(key, [normal]):
            self.opted_out.add(key)
        elif key not in self._listed:
            domain = normal.rpartition("@")[2]
            is_own = domain in self.own_domains
            if is_own:
                self._internal.add(key)
            if key not in self.kinds and self.automatic.covers(normal):
                self.kinds[key] = "bot"
            self._unlisted[key] = {
                "account_key": key,
                "person_id": self.pseudonyms.person_id(normal),
                "alias_ids": [],
                "domain_key": self.pseudonyms.domain_key(domain),
                "kind": self.kinds.get(key, "unknown"),
                "is_guest": not is_own,
            }
        self._listed.add(key)
        self._addresses[normal] = key
        return key

    def by_id(self, user_id: object, *, address: object = None, kind: str = "unknown", tenant: object = None) -> int | None:
        """Return the account key of a user id; None if it is none. An id outside the directory is recorded, with its address if told.

        Args:
            user_id: The object id.
            address: The address that comes with it.
            kind: What it is, where that is told.
            tenant: The tenant that it is said to be of: an id of the own one was a colleague's whose account is deleted.
        """
        if type(user_id) is not str or not 0 < len(user_id) <= _LONGEST_ID:
            return None
        known = self._ids.get(user_id)
        if known is not None and (address is None or user_id not in self._without_address):
            return known
        key = self.key_of(user_id)
        self._ids[user_id] = key
        normal = normalise_address(address) if type(address) is str else None
        if (type(tenant) is str and tenant.casefold() in self.tenants) or (normal and normal.rpartition("@")[2] in self.own_domains):
            self._internal.add(key)
        if kind in NOT_PERSONS:
            self.kinds[key] = kind
        elif normal is None:
            self._without_address.add(user_id)
        else:
            self._without_address.discard(user_id)
        if self._is_asked_out(key, [normal] if normal else []):
            self.opted_out.add(key)
            self._foreign.pop(key, None)
        else:
            self._foreign[key] = {
                "account_key": key,
                "person_id": self.pseudonyms.person_id(normal) if normal else None,
                "alias_ids": [],
                "domain_key": self.pseudonyms.domain_key(normal) if normal else None,
                "kind": kind,
                "is_guest": None if kind in NOT_PERSONS else key not in self._internal,
            }
        return key

    def is_any_in_scope(self, users: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether one of `{"id": ...}` is in scope, recording nobody."""
        return self.scope is None or any(type(name := user.get("id")) is str and name in self.scope for user in users)

    def is_listed(self, user_id: str) -> bool:
        """Return whether the directory lists a user id."""
        return self._ids.get(user_id) in self._listed

    def is_internal(self, key: int) -> bool:
        """Return whether an account is a member of the tenant, or an address of one of its domains."""
        return key in self._internal

    def is_person(self, key: int) -> bool:
        """Return whether an account may be a person, and one who did not ask to be left out."""
        return key not in self.kinds and key not in self.opted_out

    def new_addresses(self) -> list[dict[str, Any]]:
        """Return the account records of addresses met since the last call that the directory does not list."""
        found = list(self._unlisted.values())
        self._unlisted.clear()
        return found

    def new_ids(self) -> list[dict[str, Any]]:
        """Return the account records of ids met since the last call that the directory does not list: federated users, bots."""
        found = list(self._foreign.values())
        self._foreign.clear()
        return found
