"""Chats and channels of Microsoft Teams as Graph shows them. There is no `$select`: content is always on the wire."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from connectors.sandbox import log as l
from connectors.sandbox import names
from connectors.sandbox.canaries import CANARIES
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.graph_directory import Directory, object_id
from connectors.sandbox.log import PROOF, Space
from connectors.sandbox.odata import time_text, time_text_long
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.people import Ints

_CHATS: Final = (l.TEAMS_CHAT, l.TEAMS_GROUP)


class Teams:
    """Teams messages at the clock's time.

    Args:
        organisation: The organisation.
        evolution: What changes later.
        clock: The time.
        directory: The tenant's directory.
    """

    def __init__(self, organisation: Organisation, evolution: Evolution, clock: Clock, directory: Directory) -> None:
        self._organisation = organisation
        self._evolution = evolution
        self._clock = clock
        self._directory = directory
        self._log = log = organisation.log
        self._names = [person.name for person in organisation.people]
        order = np.argsort(log.space, kind="stable")
        self._by_space = order, log.space[order]
        self.chats = {chat_id(space): space for space in log.spaces if space.code in _CHATS}
        self._chats_of: dict[int, list[Space]] = {}
        for space in self.chats.values():
            for person in space.members:
                self._chats_of.setdefault(person, []).append(space)
        self._channels = [space for space in log.spaces if space.code == l.TEAMS_CHANNEL]
        self._reactions = log.reaction_offsets()
        self._modified = log.at
        self._version = -1

    # -- when messages last changed -----------------------------------------------------------------------------------

    def modified(self) -> Ints:
        """Return when each event was last modified, as far as that has happened: an edit, a deletion or a reaction."""
        if self._version != self._clock.version:
            now = self._clock.microseconds
            latest = self._log.at.copy()
            for moments in (self._evolution.edited, self._evolution.deleted):
                latest = np.where((moments > 0) & (moments <= now), np.maximum(latest, moments), latest)
            done = self._log.reaction_at <= now
            np.maximum.at(latest, self._log.reaction_event[done], self._log.reaction_at[done])
            self._modified = latest
            self._version = self._clock.version
        return self._modified

    def _events(self, spaces: list[Space], span: tuple[int, int] | None) -> list[int]:
        order, ordered = self._by_space
        numbers = np.array([space.number for space in spaces], dtype=np.int64)
        low, high = np.searchsorted(ordered, numbers), np.searchsorted(ordered, numbers + 1)
        found = np.concatenate([order[a:b] for a, b in zip(low, high, strict=True)]) if len(numbers) else np.zeros(0, dtype=np.int64)
        found = found[self._log.at[found] <= self._clock.microseconds]
        modified = self.modified()[found]
        if span is not None:
            inside = (modified >= span[0]) & (modified < span[1])
            found, modified = found[inside], modified[inside]
        return [int(event) for event in found[np.lexsort((found, modified))]]

    def chat_messages(self, person: int, span: tuple[int, int] | None) -> list[int]:
        """Return the messages of all of a person's chats that were last modified in a span."""
        return self._events(self._chats_of.get(person, []), span)

    def channel_messages(self, team: int, span: tuple[int, int] | None) -> list[int]:
        """Return the messages and replies of a team's channels that were last modified in a span."""
        return self._events(self.channels(team), span)

    def channels(self, team: int) -> list[Space]:
        """Return a team's channels."""
        listed = self._organisation.channels.listed
        return [space for space in self._channels if self._directory.team_of(listed[space.payload]) == team]

    def chats_of(self, person: int) -> list[Space]:
        """Return a person's chats."""
        return self._chats_of.get(person, [])

    # -- objects ------------------------------------------------------------------------------------------------------

    def chat(self, space: Space, *, with_members: bool) -> dict[str, Any]:
        """Return a chat object."""
        found: dict[str, Any] = {
            "id": chat_id(space),
            "topic": CANARIES["topic"] if space.code == l.TEAMS_GROUP else None,
            "createdDateTime": "2024-01-01T00:00:00Z",
            "lastUpdatedDateTime": "2024-01-01T00:00:00Z",
            "chatType": "oneOnOne" if space.code == l.TEAMS_CHAT else "group",
            "webUrl": f"https://{CANARIES['link']}.example/chat",
            "tenantId": names.TENANT,
            "onlineMeetingInfo": None,
        }
        return found | {"members": self.members(space)} if with_members else found

    def members(self, space: Space) -> list[dict[str, Any]]:
        """Return who is in a chat or channel."""
        return [
            {
                "@odata.type": "#microsoft.graph.aadUserConversationMember",
                "id": f"M{space.number:x}-{number:x}",
                "roles": ["owner"],
                "displayName": self._names[number],
                "userId": object_id(number),
                "email": self._organisation.people[number].address,
                "tenantId": names.TENANT,
                "visibleHistoryStartDateTime": "0001-01-01T00:00:00Z",
            }
            for number in space.members
        ]

    def channel(self, space: Space) -> dict[str, Any]:
        """Return a channel object."""
        channel = self._organisation.channels.listed[space.payload]
        return {
            "id": channel_id(space),
            "createdDateTime": "2024-01-01T00:00:00Z",
            "displayName": f"{CANARIES['channel']} {channel.sort} {channel.which}",
            "description": CANARIES["description"],
            "email": f"channel-{space.payload}@{names.OWN_DOMAIN}",
            "membershipType": "shared" if channel.sort == "connect" else "private" if channel.is_private else "standard",
            "webUrl": f"https://{CANARIES['link']}.example/channel",
            "tenantId": names.TENANT,
        }

    def message(self, event: int) -> dict[str, Any]:
        """Return a chatMessage object of a chat or channel."""
        log = self._log
        now = self._clock.microseconds
        at, sender = int(log.at[event]), int(log.sender[event])
        edited, deleted = int(self._evolution.edited[event]), int(self._evolution.deleted[event])
        is_edited, is_deleted = 0 < edited <= now, 0 < deleted <= now
        space = log.spaces[int(log.space[event])]
        is_channel = space.code == l.TEAMS_CHANNEL
        thread = int(log.thread[event])
        message: dict[str, Any] = {
            "id": message_id(at),
            "replyToId": message_id(int(log.at[thread])) if is_channel and thread >= 0 and thread != event else None,
            "etag": message_id(at),
            "messageType": "message",
            "createdDateTime": f"{time_text_long(at)[:23]}Z",
            "lastModifiedDateTime": f"{time_text_long(int(self.modified()[event]))[:23]}Z",
            "lastEditedDateTime": time_text(edited) if is_edited else None,
            "deletedDateTime": time_text(deleted) if is_deleted else None,
            "subject": CANARIES["subject"] if is_channel and thread == event else None,
            "summary": CANARIES["preview"],
            "chatId": None if is_channel else chat_id(space),
            "importance": "normal",
            "locale": "en-us",
            "webUrl": f"https://{CANARIES['link']}.example/{event}" if is_channel else None,
            "from": {"application": None, "device": None, "user": self._identity(sender)},
            "body": {"contentType": "html", "content": "" if is_deleted else f"<p>{CANARIES['body']} {event}</p>"},
            "channelIdentity": None,
            "attachments": [],
            "mentions": [],
            "reactions": [],
            "policyViolation": None,
            "eventDetail": None,
        }
        if is_channel:
            channel = self._organisation.channels.listed[space.payload]
            team = self._directory.team_id(self._directory.team_of(channel))
            message["channelIdentity"] = {"teamId": team, "channelId": channel_id(space)}
        if is_deleted:
            return message
        if event % 37 == 2:
            message["attachments"] = [
                {"id": "1", "contentType": "reference", "name": f"{CANARIES['file']}.pptx", "content": CANARIES["attachment"]}
            ]
        if is_edited or not self._evolution.adds_mention[event]:
            mentioned = [who for who, proof in log.participants(event) if proof == PROOF["mentioned"]]
            message["mentions"] = [
                {
                    "id": place,
                    "mentionText": CANARIES["text"],
                    "mentioned": {"application": None, "device": None, "user": self._identity(who)},
                }
                for place, who in enumerate(mentioned)
            ]
        low, high = self._reactions[event], self._reactions[event + 1]
        for place in range(int(low), int(high)):
            if log.reaction_at[place] <= now:
                message["reactions"].append(
                    {
                        "reactionType": CANARIES["emoji"],
                        "displayName": CANARIES["emoji"],
                        "createdDateTime": time_text(int(log.reaction_at[place])),
                        "user": {"application": None, "device": None, "user": self._identity(int(log.reaction_who[place]))},
                    }
                )
        return message

    def _identity(self, person: int) -> dict[str, Any]:
        return {
            "@odata.type": "#microsoft.graph.teamworkUserIdentity",
            "id": object_id(person),
            "displayName": self._names[person],
            "userIdentityType": "aadUser",
            "tenantId": names.TENANT,
        }


def message_id(at: int) -> str:
    """Return a message's id: its time in milliseconds, unique in its chat or channel."""
    return str(at // 1000)


def chat_id(space: Space) -> str:
    """Return a chat's id, which for one-on-one chats holds both members' ids."""
    if space.code == l.TEAMS_CHAT:
        return f"19:{object_id(space.members[0])}_{object_id(space.members[1])}@unq.gbl.spaces"
    return f"19:{space.payload:032x}@thread.v2"


def channel_id(space: Space) -> str:
    """Return a channel's id."""
    return f"19:{space.payload:032x}@thread.tacv2"
