"""Slack's users, user groups and conversations, shaped like those of its documentation."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.background import BOTS
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.channels import Channel
from connectors.sandbox.evolution import Clock
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Person
from connectors.sandbox.slack_messages import SLACK_CODES, bot_id, bot_user_id, channel_id, user_id

GHOST: str = "U0NOADDR01"
"""A member without an address, who never writes."""
OWNER: int = 0
"""The person whose token it is."""
_DAYS_BEFORE_JOINING = 3


def channel_name(organisation: Organisation, channel: Channel) -> str:
    """Return a channel's name; it holds a canary, since names of channels are content."""
    names_of = {
        "team": organisation.roster.teams,
        "team_private": organisation.roster.teams,
        "affinity": organisation.roster.affinities,
        "connect": tuple(outside.domain.partition(".")[0] for outside in names.OUTSIDE),
    }
    which = names_of[channel.sort][channel.which] if channel.sort in names_of else str(channel.which)
    return f"{channel.sort}-{which}-{CANARIES['channel']}".lower().replace("_", "-")


class Directory:
    """Who and what is in the workspace at the clock's time.

    Args:
        organisation: The organisation.
        clock: The time.
    """

    def __init__(self, organisation: Organisation, clock: Clock) -> None:
        self._organisation = organisation
        self._clock = clock
        self.spaces = [space for space in organisation.log.spaces if space.code in SLACK_CODES]
        self.by_channel = {channel_id(space): space for space in self.spaces}
        self._people = {user_id(person.number): person for person in organisation.people}

    # -- users --------------------------------------------------------------------------------------------------------

    def users(self) -> list[dict[str, Any]]:
        """Return the workspace's members: people who have joined or did once, bots, Slack's own."""
        today = self._clock.now.date()
        found = [self._slackbot(), *(self._bot(number) for number in range(len(BOTS)))]
        for person in self._organisation.people:
            if person.is_internal and (person.joined_on is None or (person.joined_on - today).days <= _DAYS_BEFORE_JOINING):
                found.append(self._user(person))
        found.append({"id": GHOST, "team_id": names.SLACK_TEAM, "name": "ghost", "deleted": False, "profile": {}, "is_bot": False})
        # the order of users.list means nothing
        return sorted(found, key=lambda user: user["id"][::-1])

    def user(self, name: str) -> dict[str, Any] | None:
        """Return one user by id, people outside as well."""
        person = self._people.get(name)
        if person is not None:
            return self._user(person)
        return next((user for user in self.users() if user["id"] == name), None)

    def person(self, number: int) -> dict[str, Any]:
        """Return the user object of a person."""
        return self._user(self._organisation.people[number])

    def _user(self, person: Person) -> dict[str, Any]:
        now = self._clock.now
        number = person.number
        team = names.SLACK_TEAM if person.is_internal else names.EXTERNAL_TEAMS.get(person.domain, "T0UNKNOWN")
        offset = datetime(now.year, now.month, now.day, 12, tzinfo=ZoneInfo(person.time_zone)).utcoffset()
        has_left = person.left_on is not None and person.left_on < now.date()
        first, _, last = person.name.partition(" ")
        user: dict[str, Any] = {
            "id": user_id(number),
            "team_id": team,
            "name": person.address.partition("@")[0],
            "deleted": has_left,
            "color": "9f69e7",
            "real_name": person.name,
            "tz": person.time_zone,
            "tz_label": person.time_zone,
            "tz_offset": int(offset.total_seconds()) if offset else 0,
            "profile": {
                "title": CANARIES["title"],
                "phone": CANARIES["phone"],
                "real_name": person.name,
                "real_name_normalized": person.name,
                "display_name": first.lower(),
                "display_name_normalized": first.lower(),
                "first_name": first,
                "last_name": last,
                "status_text": CANARIES["status"],
                "status_emoji": f":{CANARIES['emoji']}:",
                "image_48": f"https://{CANARIES['link']}.example/48.png",
                "email": person.address,
                "team": team,
            },
            "is_bot": False,
            "is_app_user": False,
            "updated": 1_700_000_000 + number,
        }
        if not has_left:
            user |= {
                "is_admin": number == OWNER,
                "is_owner": number == OWNER,
                "is_primary_owner": number == OWNER,
                "is_restricted": False,
                "is_ultra_restricted": False,
                "is_email_confirmed": True,
                "who_can_share_contact_card": "EVERYONE",
            }
        if not person.is_internal:
            user["is_stranger"] = True
        return user

    def _bot(self, number: int) -> dict[str, Any]:
        return {
            "id": bot_user_id(number),
            "team_id": names.SLACK_TEAM,
            "name": BOTS[number],
            "deleted": False,
            "real_name": BOTS[number],
            "profile": {
                "real_name": BOTS[number],
                "bot_id": bot_id(number),
                "api_app_id": f"A0{number:05d}APP",
                "title": CANARIES["title"],
            },
            "is_bot": True,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }

    def _slackbot(self) -> dict[str, Any]:
        profile = {"real_name": "Slackbot", "display_name": "Slackbot", "title": CANARIES["title"]}
        return {
            "id": "USLACKBOT",
            "team_id": names.SLACK_TEAM,
            "name": "slackbot",
            "deleted": False,
            "profile": profile,
            "is_bot": False,
            "is_app_user": False,
            "updated": 0,
        }

    def usergroups(self) -> list[dict[str, Any]]:
        """Return a user group for each team, with its members of today."""
        today = self._clock.now.date()
        members: dict[str, list[str]] = {team: [] for team in self._organisation.roster.teams}
        for person in self._organisation.people:
            place = person.place_on(today)
            if place is not None and (place.valid_to is None or place.valid_to > today) and place.valid_from <= today:
                members[place.team].append(user_id(person.number))
        return [
            {
                "id": f"S0TEAM{number:03d}",
                "team_id": names.SLACK_TEAM,
                "is_usergroup": True,
                "name": f"{team} {CANARIES['group']}",
                "description": CANARIES["description"],
                "handle": f"{team.lower()}-{CANARIES['group']}",
                "is_external": False,
                "date_create": 1_600_000_000,
                "date_delete": 0,
                "user_count": len(users),
                "users": users,
                "prefs": {"channels": [], "groups": []},
            }
            for number, (team, users) in enumerate(members.items())
        ]

    def external_teams(self) -> list[dict[str, Any]]:
        """Return the organisations that Slack Connect joins."""
        return [
            {
                "team_id": names.EXTERNAL_TEAMS[outside.domain],
                "team_name": outside.name,
                "team_domain": outside.domain.partition(".")[0],
                "connection_status": "CONNECTED",
                "public_channel_count": 0,
                "private_channel_count": 1,
                "im_channel_count": 0,
                "mpim_channel_count": 0,
            }
            for outside in names.OUTSIDE
            if outside.has_slack
        ]

    # -- conversations ------------------------------------------------------------------------------------------------

    def members(self, space: l.Space) -> list[str]:
        """Return who is in a conversation today."""
        people = self._organisation.people
        today = self._clock.now.date()
        here = []
        for number in space.members:
            person = people[number]
            if space.code == l.SLACK_CHANNEL and (
                (person.left_on is not None and person.left_on < today) or (person.joined_on is not None and person.joined_on > today)
            ):
                continue
            here.append(user_id(number))
        return here

    def kind(self, space: l.Space) -> str:
        """Return the type of a conversation, as `types` of conversations.list names it."""
        if space.code == l.SLACK_DM:
            return "im"
        if space.code == l.SLACK_GROUP:
            return "mpim"
        return "private_channel" if self._organisation.channels.listed[space.payload].is_private else "public_channel"

    def conversation(self, space: l.Space, *, with_members: bool = False) -> dict[str, Any]:
        """Return a conversation's object."""
        kind = self.kind(space)
        found: dict[str, Any] = {"id": channel_id(space), "created": 1_600_000_000, "is_archived": False, "is_org_shared": False}
        if kind == "im":
            peer = next((member for member in space.members if member != OWNER), OWNER)
            found |= {"is_im": True, "user": user_id(peer), "is_user_deleted": False, "priority": 0}
        elif kind == "mpim":
            people = self._organisation.people
            handles = "--".join(people[number].address.partition("@")[0] for number in space.members)
            found |= {
                "name": f"mpdm-{handles}-1",
                "is_channel": False,
                "is_group": True,
                "is_im": False,
                "is_mpim": True,
                "is_private": True,
                "is_member": OWNER in space.members,
                "creator": user_id(space.members[0]),
                "topic": {"value": CANARIES["topic"], "creator": user_id(space.members[0]), "last_set": 1_600_000_000},
                "purpose": {"value": CANARIES["purpose"], "creator": user_id(space.members[0]), "last_set": 1_600_000_000},
            }
        else:
            found |= self._channel(space, kind)
        if with_members:
            found["members"] = self.members(space)
        return found

    def _channel(self, space: l.Space, kind: str) -> dict[str, Any]:
        channel = self._organisation.channels.listed[space.payload]
        is_shared = channel.sort == "connect"
        outside = names.OUTSIDE[channel.which] if is_shared else None
        name = channel_name(self._organisation, channel)
        team = names.EXTERNAL_TEAMS.get(outside.domain) if outside else None
        return {
            "name": name,
            "name_normalized": name,
            "is_channel": kind == "public_channel",
            "is_group": kind != "public_channel",
            "is_im": False,
            "is_mpim": False,
            "is_private": kind != "public_channel",
            "is_general": channel.sort == "general",
            "is_shared": is_shared,
            "is_ext_shared": is_shared,
            "is_pending_ext_shared": False,
            "shared_team_ids": [names.SLACK_TEAM, *([team] if team else [])],
            "internal_team_ids": [names.SLACK_TEAM],
            "connected_team_ids": [team] if team else [],
            "context_team_id": names.SLACK_TEAM,
            "creator": user_id(OWNER),
            "is_member": True,
            "topic": {"value": CANARIES["topic"], "creator": user_id(OWNER), "last_set": 1_600_000_000},
            "purpose": {"value": CANARIES["purpose"], "creator": user_id(OWNER), "last_set": 1_600_000_000},
            "previous_names": [],
            "num_members": len(self.members(space)),
            "updated": 1_700_000_000_000,
        }
