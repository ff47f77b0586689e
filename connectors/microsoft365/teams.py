"""Teams chats and channels: who wrote to whom, answered, mentioned or reacted.

Graph offers no `$select` here, so text arrives on the wire; it is never looked at, and nothing of a message outlives the
parser but keyed hashes and times. Reactions count, their names do not. System events are counted and make no contact.

A chat's message lies under every participant: known by `key("microsoft365:chat_message", f"{chatId}:{id}")` it is one.
A channel's message is `key("microsoft365:channel_message", f"{channelId}:{id}")`; a reply carries the first message's key
as `thread_key`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.columns import PARTICIPANT_LIMIT, Interactions, utc_day
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import People
from connectors.microsoft365.times import parse_time

CHATS: Final = "chats"
CHANNELS: Final = "channels"
_ONE_ON_ONE: Final = re.compile(r"19:([0-9a-fA-F-]{36})_([0-9a-fA-F-]{36})@unq\.gbl\.spaces")
_LONGEST_ID: Final = 1000
_LONGEST_LIST: Final = 20_000
_SEEN_LIMIT: Final = 2_000_000
_MESSAGE_TYPES: Final = {None: None, "message": None, "chatEvent": "system", "typing": "system", "systemEventMessage": "system"}


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat as far as it is needed.

    Attributes:
        space_key: Its key.
        medium: teams_chat or teams_group_chat.
        members: Its members' accounts.
        member_count: How many they are, also where the list was too long to keep.
    """

    space_key: int
    medium: str
    members: tuple[int, ...]
    member_count: int

    def record(self, people: People) -> dict[str, Any]:
        """Return its space record without the source."""
        return {
            "space_key": self.space_key,
            "kind": "chat" if self.medium == "teams_chat" else "group_chat",
            "medium": self.medium,
            "is_private": True,
            "is_shared": any(not people.is_internal(member) and people.is_person(member) for member in self.members),
            "member_count": self.member_count,
        }


def chat_key(chat_id: str, people: People) -> int:
    """Return the space key of a chat."""
    return people.pseudonyms.key("microsoft365:chat", chat_id)


def one_on_one(chat_id: str, people: People, *, known_only: bool = False) -> Chat | None:
    """Return a one-on-one chat from its id alone, which names both members; None for any other id.

    With `known_only` also None where one of them is not in the directory: the chat itself then tells their address.
    """
    found = _ONE_ON_ONE.fullmatch(chat_id)
    if found is None or (known_only and not all(people.is_listed(user.lower()) for user in found.groups())):
        return None
    members = {account for user in found.groups() if (account := people.by_id(user.lower())) is not None}
    return Chat(chat_key(chat_id, people), "teams_chat", tuple(sorted(members)), len(members))


def parse_chat(chat_id: str, chat: Mapping[str, Any], people: People) -> Chat:
    """Return a chat object with expanded members (`chatType`, `members[].userId`, `email`)."""
    members: set[int] = set()
    count = 0
    listed = chat.get("members")
    for member in listed[:_LONGEST_LIST] if isinstance(listed, list) else []:
        if isinstance(member, dict):
            count += 1
            account = people.by_id(member.get("userId"), address=member.get("email"), tenant=member.get("tenantId"))
            if account is None:
                account = people.by_address(member.get("email"))
            if account is not None and count <= PARTICIPANT_LIMIT + 1:
                members.add(account)
    medium = "teams_chat" if chat.get("chatType") == "oneOnOne" else "teams_group_chat"
    return Chat(chat_key(chat_id, people), medium, tuple(sorted(members)) if count <= PARTICIPANT_LIMIT + 1 else (), count)


def chat_ids(messages: Iterable[object]) -> dict[str, int | None]:
    """Return the chats that messages belong to, and when one of the messages last told that somebody came or went."""
    found: dict[str, int | None] = {}
    for message in messages:
        if type(message) is dict:
            chat_id = message.get("chatId")
            if type(chat_id) is str and 0 < len(chat_id) <= _LONGEST_ID:
                before = found.setdefault(chat_id, None)
                if message.get("eventDetail") is not None and (at := _membership_changed(message)) is not None:
                    found[chat_id] = at if before is None else max(before, at)
    return found


def _membership_changed(message: Mapping[str, Any]) -> int | None:
    """Return when somebody came or went, if that is what a message tells."""
    detail = message.get("eventDetail")
    kind = detail.get("@odata.type") if type(detail) is dict else None
    return parse_time(message.get("createdDateTime")) if type(kind) is str and ".members" in kind else None


class TeamsParser:
    """Turns Teams messages into interactions.

    Args:
        people: The run's accounts.
        faults: Where records that make no sense are counted.
    """

    def __init__(self, people: People, faults: Faults) -> None:
        self._people = people
        self._faults = faults
        self._key = people.pseudonyms.key
        self._seen: set[int] = set()

    def chat_messages(self, messages: Iterable[object], chats: Mapping[str, Chat], rows: Interactions) -> None:
        """Take messages of chats; a message seen under another participant is passed over."""
        for message in messages:
            if type(message) is not dict:
                self._faults.add("not_an_object", message)
                continue
            chat_id, name = message.get("chatId"), message.get("id")
            if type(chat_id) is not str or type(name) is not str or not 0 < len(name) <= _LONGEST_ID or chat_id not in chats:
                self._faults.add("missing_id", message)
                continue
            key = self._key("microsoft365:chat_message", f"{chat_id}:{name}", remember=False)
            if key in self._seen:
                continue
            if len(self._seen) >= _SEEN_LIMIT:
                # only a saving: what is stored twice is stored once
                self._seen.clear()
            if self._chat_message(message, key, chats[chat_id], rows):
                self._seen.add(key)

    def _chat_message(self, message: dict[str, Any], key: int, chat: Chat, rows: Interactions) -> bool:
        opened = self._opened(message)
        if opened is None:
            # a broken copy must not hide a good one under another participant
            return False
        at, sender, exclusion = opened
        others = [member for member in chat.members if member != sender]
        found: list[tuple[int, str]] = []
        if exclusion is None and chat.member_count <= PARTICIPANT_LIMIT + 1:
            found = [(member, "addressed") for member in others if self._people.is_person(member)]
            found += self._reactions(message)
        # whoever left since may have been a member when it was written
        count = len(others) if chat.members else max(0, chat.member_count - 1)
        rows.add(
            key,
            at,
            chat.medium,
            None if exclusion == "opted_out" else sender,
            found,
            space=chat.space_key,
            recipients=count,
            exclusion=exclusion,
        )
        return True

    def channel_messages(self, messages: Iterable[object], rows: Interactions) -> set[int]:
        """Take messages and replies of channels, and return the channels' keys."""
        spaces: set[int] = set()
        for message in messages:
            if type(message) is not dict:
                self._faults.add("not_an_object", message)
                continue
            identity, name = message.get("channelIdentity"), message.get("id")
            channel = identity.get("channelId") if type(identity) is dict else None
            if type(channel) is not str or not 0 < len(channel) <= _LONGEST_ID or type(name) is not str or not 0 < len(name) <= _LONGEST_ID:
                self._faults.add("missing_id", message)
                continue
            if not self._people.is_any_in_scope(_everyone(message)):
                continue
            opened = self._opened(message)
            if opened is None:
                continue
            at, sender, exclusion = opened
            key = self._key("microsoft365:channel_message", f"{channel}:{name}", remember=False)
            root = message.get("replyToId")
            is_reply = type(root) is str and 0 < len(root) <= _LONGEST_ID and root != name
            thread = self._key("microsoft365:channel_message", f"{channel}:{root}", remember=False) if is_reply else None
            space = channel_key(channel, self._people)
            spaces.add(space)
            found = [*self._mentions(message, sender), *self._reactions(message)] if exclusion is None else []
            rows.add(
                key,
                at,
                "teams_channel",
                None if exclusion == "opted_out" else sender,
                found if len(found) <= PARTICIPANT_LIMIT else (),
                space=space,
                thread=thread,
                recipients=sum(evidence == "mentioned" for _, evidence in found),
                exclusion=exclusion,
            )
        return spaces

    # -- parts of a message -------------------------------------------------------------------------------------------

    def _opened(self, message: dict[str, Any]) -> tuple[int, int | None, str | None] | None:
        """Return when, by whom, and why it makes no contact; None if it is quarantined."""
        at = parse_time(message.get("createdDateTime"))
        if at is None:
            self._faults.add("bad_time", message)
            return None
        kind = message.get("messageType")
        if not (kind is None or type(kind) is str):
            self._faults.add("bad_type", message, utc_day(at))
            return None
        # an unknown member of an evolving list is some event: people's messages are `message`
        exclusion = _MESSAGE_TYPES.get(kind, "system")
        origin = message.get("from")
        sender = None
        if type(origin) is dict:
            sender, is_bot = self._author(origin)
            if is_bot and exclusion is None:
                exclusion = "bot"
        if message.get("deletedDateTime") is not None:
            exclusion = "deleted"
        if sender is None and exclusion is None:
            self._faults.add("missing_sender", message, utc_day(at))
            return None
        if exclusion is None and sender in self._people.opted_out:
            exclusion = "opted_out"
        elif sender in self._people.opted_out:
            sender = None
        return at, sender, exclusion

    def _author(self, origin: dict[str, Any]) -> tuple[int | None, bool]:
        """Return the account of an identity set, and whether it is a bot's."""
        user, application = origin.get("user"), origin.get("application")
        if type(user) is dict and (account := self._people.by_id(user.get("id"))) is not None:
            return account, self._people.kinds.get(account) in {"bot", "app"}
        if type(application) is dict:
            return self._people.by_id(application.get("id"), kind="bot"), True
        if type(origin.get("device")) is dict:
            return self._people.by_id(origin["device"].get("id"), kind="app"), True
        return None, False

    def _mentions(self, message: dict[str, Any], sender: int | None) -> list[tuple[int, str]]:
        found: dict[int, None] = {}
        for user in _users(message, "mentions", "mentioned"):
            account = self._people.by_id(user.get("id"))
            if account is not None and account != sender and self._people.is_person(account):
                found[account] = None
        return [(account, "mentioned") for account in found]

    def _reactions(self, message: dict[str, Any]) -> list[tuple[int, str]]:
        found: dict[int, None] = {}
        for user in _users(message, "reactions", "user"):
            account = self._people.by_id(user.get("id"))
            if account is not None and self._people.is_person(account):
                found[account] = None
        return [(account, "reacted") for account in found]


def channel_key(channel: str, people: People) -> int:
    """Return the space key of a channel."""
    return people.pseudonyms.key("microsoft365:channel", channel)


def channel_record(space_key: int, membership: str | None) -> dict[str, Any]:
    """Return a channel's space record without the source; `membership` is standard, private, shared or unknown (None)."""
    return {
        "space_key": space_key,
        "kind": "channel",
        "medium": "teams_channel",
        "is_private": None if membership is None else membership == "private",
        "is_shared": None if membership is None else membership == "shared",
    }


def _everyone(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give a message's author, those mentioned and those who reacted."""
    author = message.get("from")
    if type(author) is dict and type(user := author.get("user")) is dict:
        yield user
    yield from _users(message, "mentions", "mentioned")
    yield from _users(message, "reactions", "user")


def _users(message: Mapping[str, Any], field: str, of: str) -> Iterator[dict[str, Any]]:
    """Give the users (`{"id": ...}`) in the identity sets `of` the entries of a list."""
    entries = message.get(field)
    for entry in entries[:_LONGEST_LIST] if type(entries) is list else []:
        holder = entry.get(of) if type(entry) is dict else None
        if type(holder) is dict and type(user := holder.get("user")) is dict:
            yield user
