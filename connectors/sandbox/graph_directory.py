"""The directory of the tenant: members, guests, rooms, shared mailboxes, groups, teams; and what changed in it when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from connectors.records import MEDIA
from connectors.sandbox import names
from connectors.sandbox.calendar import DAY
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.channels import Channel
from connectors.sandbox.evolution import Clock
from connectors.sandbox.graph_mail import directory_path
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Person

ALL_STAFF: Final = f"all@{names.OWN_DOMAIN}"
ROOMS_A_OFFICE: Final = 2
SHARED: Final = ("support", "info")
_LICENCE: Final = {"skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900", "disabledPlans": []}
_DAYS_BEFORE_JOINING: Final = 3
_REMOVED_AFTER: Final = 0.4
"""After this share of the observed time a contractor's account is deleted from the directory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A user object of the directory: a person (`number` from 0), or a room, shared mailbox or contractor."""

    id: str
    number: int
    kind: str


def object_id(number: int, sort: int = 0) -> str:
    """Return the object id of a person, room, group or the like, by sort."""
    return f"{number:08x}-5a17-4b0c-8d0{sort:x}-{number + 1:012x}"


def room_address(office: int, room: int) -> str:
    """Return a room's address."""
    return f"room-{names.OFFICES[office].name.lower()}-{room + 1}@{names.OWN_DOMAIN}"


class Directory:
    """The tenant's directory at the clock's time.

    Args:
        organisation: The organisation.
        clock: The time.
    """

    def __init__(self, organisation: Organisation, clock: Clock) -> None:
        self._organisation = organisation
        self._clock = clock
        log = organisation.log
        teams_codes = [number for number, name in enumerate(MEDIA) if name.startswith("teams")]
        seen = {int(number) for number in log.sender[[code in teams_codes for code in log.medium.tolist()]] if number >= 0}
        members = {number for space in log.spaces if space.code in (2, 4, 7) for number in space.members}
        self.guests = sorted(number for number in seen | members if not organisation.people[number].is_internal)
        listed = [person.number for person in organisation.people if person.is_internal] + self.guests
        self.entries = [Entry(object_id(number), number, "person") for number in listed]
        rooms = [room_address(office, room) for office in range(len(names.OFFICES)) for room in range(ROOMS_A_OFFICE)]
        self.rooms = {address: Entry(object_id(place, 1), place, "room") for place, address in enumerate(rooms)}
        self.shared = {f"{name}@{names.OWN_DOMAIN}": Entry(object_id(place, 2), place, "shared") for place, name in enumerate(SHARED)}
        self.contractor = Entry(object_id(0, 3), 0, "contractor")
        self.entries += [*self.rooms.values(), *self.shared.values(), self.contractor]
        self.by_id = {entry.id: entry for entry in self.entries}
        for person in organisation.people:
            if person.number in set(listed):
                self.by_id[person.address] = self.by_id[object_id(person.number)]
        self._addresses = {entry.id: address for address, entry in [*self.rooms.items(), *self.shared.items()]}
        self._removed_at = self._moment(organisation.date_of(organisation.world.days * _REMOVED_AFTER))

    @staticmethod
    def _moment(day: date) -> int:
        return (datetime(day.year, day.month, day.day, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days * DAY

    # -- users --------------------------------------------------------------------------------------------------------

    def changes(self, entry: Entry) -> list[int]:
        """Return the moments at which what the directory says of an entry changes."""
        if entry.kind == "contractor":
            return [self._removed_at]
        if entry.kind != "person":
            return []
        person = self._organisation.people[entry.number]
        days = [known for _, known in person.aliases if known is not None]
        if person.joined_on is not None:
            days.append(person.joined_on - timedelta(days=_DAYS_BEFORE_JOINING))
        if person.left_on is not None:
            days.append(person.left_on + timedelta(days=1))
        days += [place.valid_from for place in person.places[1:]]
        return [self._moment(day) for day in days]

    def users(self, since: int | None = None) -> list[Entry]:
        """Return the entries that are there now, or with `since` those that changed after that moment, removed ones too."""
        now = self._clock.microseconds
        found = []
        for entry in self.entries:
            if not self.is_there(entry):
                if entry.kind == "contractor" and since is not None and since < self._removed_at <= now:
                    found.append(entry)
                continue
            if since is None or any(since < moment <= now for moment in self.changes(entry)):
                found.append(entry)
        return found

    def is_there(self, entry: Entry) -> bool:
        """Return whether the directory holds an entry now."""
        now = self._clock.microseconds
        if entry.kind == "contractor":
            return now < self._removed_at
        if entry.kind != "person":
            return True
        joined = self._organisation.people[entry.number].joined_on
        return joined is None or self._moment(joined - timedelta(days=_DAYS_BEFORE_JOINING)) <= now

    def user(self, entry: Entry, *, delta: bool = False, manager: bool = False) -> dict[str, Any]:
        """Return a user object, of delta with the manager as a change."""
        if entry.kind == "contractor" and not self.is_there(entry):
            return {"id": entry.id, "@removed": {"reason": "deleted"}}
        if entry.kind == "person":
            found = self._person(self._organisation.people[entry.number])
            boss = self.manager_of(entry)
            if boss is not None and delta:
                found["manager@delta"] = [{"@odata.type": "#microsoft.graph.user", "id": boss}]
            elif boss is not None and manager:
                found["manager"] = {"@odata.type": "#microsoft.graph.user", "id": boss}
            return found
        address = self._addresses.get(entry.id)
        found = self._common(entry.id, CANARIES["room"] if entry.kind == "room" else CANARIES["title"], address)
        found |= {"userType": "Member", "accountEnabled": False, "assignedLicenses": [], "department": None, "officeLocation": None}
        if entry.kind == "contractor":
            found |= {"userPrincipalName": f"contractor@{names.OWN_DOMAIN}", "accountEnabled": True}
        return found

    def manager_of(self, entry: Entry) -> str | None:
        """Return the object id of a person's manager today."""
        if entry.kind != "person":
            return None
        place = self._organisation.people[entry.number].place_on(self._clock.now.date())
        return object_id(place.manager) if place is not None and place.manager is not None else None

    @staticmethod
    def _common(name: str, shown: str, address: str | None) -> dict[str, Any]:
        return {
            "id": name,
            "displayName": shown,
            "givenName": None,
            "surname": None,
            "jobTitle": CANARIES["title"],
            "mobilePhone": CANARIES["phone"],
            "businessPhones": [CANARIES["phone"]],
            "aboutMe": CANARIES["description"],
            "mail": address,
            "userPrincipalName": address,
            "proxyAddresses": [f"SMTP:{address}"] if address else [],
            "otherMails": [],
            "employeeId": None,
            "employeeHireDate": None,
            "employeeLeaveDateTime": None,
            "usageLocation": "DE",
        }

    def _person(self, person: Person) -> dict[str, Any]:
        today = self._clock.now.date()
        place = person.place_on(today)
        found = self._common(object_id(person.number), person.name, person.address)
        found["givenName"], _, found["surname"] = person.name.partition(" ")
        aliases = [address for address, known in person.aliases if known is None or known <= today]
        found["proxyAddresses"] += [f"smtp:{address}" for address in aliases]
        if person.is_internal:
            found["proxyAddresses"] += [f"x500:{directory_path(person.number)}", f"SIP:{person.address}"]
        has_left = person.left_on is not None and person.left_on < today
        found |= {
            "userType": "Member" if person.is_internal else "Guest",
            "accountEnabled": not has_left,
            "assignedLicenses": [_LICENCE] if person.is_internal else [],
            "department": place.team if place else None,
            "officeLocation": person.office,
            "companyName": person.organisation,
            "employeeId": f"E{person.number:05d}" if person.is_internal else None,
        }
        if not person.is_internal:
            local, _, domain = person.address.partition("@")
            found["userPrincipalName"] = f"{local}_{domain}#EXT#@kestrel-lowe.onmicrosoft.example"
        if person.joined_on is not None:
            found["employeeHireDate"] = f"{person.joined_on.isoformat()}T00:00:00Z"
        if person.left_on is not None and person.left_on <= today + timedelta(days=14):
            found["employeeLeaveDateTime"] = f"{person.left_on.isoformat()}T17:00:00Z"
        return found

    def purpose(self, entry: Entry) -> str:
        """Return what a mailbox is for."""
        return {"room": "room", "shared": "shared"}.get(entry.kind, "user")

    # -- groups and teams ---------------------------------------------------------------------------------------------

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups: everybody's mail group, and one behind each team of Microsoft Teams."""
        found = [self._group(object_id(0, 4), "all", ALL_STAFF, is_team=False)]
        for number in sorted({self.team_of(channel) for channel in self._organisation.channels.listed}):
            found.append(self._group(self.team_id(number), f"team-{number}", f"team-{number}@{names.OWN_DOMAIN}", is_team=True))
        return found

    @staticmethod
    def _group(name: str, nickname: str, address: str, *, is_team: bool) -> dict[str, Any]:
        return {
            "id": name,
            "displayName": f"{CANARIES['group']} {nickname}",
            "description": CANARIES["description"],
            "mail": address,
            "mailEnabled": True,
            "mailNickname": nickname,
            "proxyAddresses": [f"SMTP:{address}"],
            "groupTypes": ["Unified"] if is_team else [],
            "securityEnabled": False,
            "resourceProvisioningOptions": ["Team"] if is_team else [],
            "visibility": "Private",
        }

    def group_members(self, name: str) -> list[Entry] | None:
        """Return who is in a group now; None if there is no such group."""
        if name == object_id(0, 4):
            return [entry for entry in self.users() if entry.kind == "person" and self._organisation.people[entry.number].is_internal]
        for channel in self._organisation.channels.listed:
            if self.team_id(self.team_of(channel)) == name:
                return self._team_members(self.team_of(channel))
        return None

    def _team_members(self, team: int) -> list[Entry]:
        numbers = {
            number
            for space in self._organisation.log.spaces
            if space.code == 4 and self.team_of(self._organisation.channels.listed[space.payload]) == team
            for number in space.members
        }
        there = {entry.number: entry for entry in self.users() if entry.kind == "person"}
        return [there[number] for number in sorted(numbers) if number in there]

    def team_of(self, channel: Channel) -> int:
        """Return the number of the team that a channel belongs to: departments have one each, all else shares three."""
        shared = {"general": 0, "project": 0, "affinity": 1, "connect": 2}
        return shared[channel.sort] if channel.sort in shared else 3 + channel.which

    @staticmethod
    def team_id(number: int) -> str:
        """Return a team's object id."""
        return object_id(number, 5)

    def teams(self) -> list[int]:
        """Return the numbers of the teams that have channels in use."""
        channels = self._organisation.channels.listed
        return sorted({self.team_of(channels[space.payload]) for space in self._organisation.log.spaces if space.code == 4})
