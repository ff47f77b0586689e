"""A conversation as the parser needs it, from the object that the API and the export share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from connectors.pseudonyms import Pseudonymiser
from connectors.slack.people import is_id

_KIND_OF_MEDIUM = {"slack_dm": "dm", "slack_group_dm": "group_dm", "slack_channel": "channel"}
_GROUP_NAME: Final = re.compile(r"mpdm-(.+?)(?:-\d+)?")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A channel, direct message or group direct message. The raw ids in it never leave the connector.

    Attributes:
        channel: Slack's id of it (or, in an export without a list of channels, its folder's name).
        space_key: Its pseudonym: `Pseudonymiser.key("slack:space", f"{namespace}:{channel}")`.
        medium: `slack_dm`, `slack_group_dm` or `slack_channel`.
        members: Everybody in it, for direct messages of both sizes; empty for channels.
        member_keys: The same as account keys, from an earlier night: who is in a direct message never changes.
        is_whole: Whether the members of a direct message are all of them.
        handles: The names that a group direct message's own name lists, for whom no list names the members. They are looked up
            and dropped.
        peer: The other person of a direct message, where the API names them.
        is_member: Whether the token's owner is in it, where the API tells.
        team: The workspace that holds it, where a Discovery token has to say so.
        is_discovered: Whether only the Discovery API reads it.
    """

    channel: str
    space_key: int
    medium: str
    is_private: bool | None = None
    is_shared: bool | None = None
    is_archived: bool | None = None
    member_count: int | None = None
    members: tuple[str, ...] = ()
    member_keys: tuple[int, ...] = ()
    is_whole: bool = True
    handles: tuple[str, ...] = ()
    peer: str | None = None
    is_member: bool | None = None
    team: str | None = None
    is_discovered: bool = False

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct message of either size: nobody but its members sees what is said in it."""
        return self.medium != "slack_channel"

    @property
    def has_members(self) -> bool:
        """Whether it is known who is in a direct message; of a channel it is not asked."""
        return not self.is_direct or bool(self.members or self.member_keys)

    def with_members(self, members: Iterable[str]) -> Conversation:
        """Return the same conversation with its members known."""
        known = tuple(dict.fromkeys(members))
        return replace(self, members=known, member_count=2 if self.medium == "slack_dm" else len(known))

    def record(self) -> dict[str, Any]:
        """Return the `space` record, without its source."""
        return {
            "space_key": self.space_key,
            "kind": _KIND_OF_MEDIUM[self.medium],
            "medium": self.medium,
            "is_private": self.is_private,
            "is_shared": self.is_shared,
            "is_archived": self.is_archived,
            "is_standing": False,
            "member_count": self.member_count,
        }


def space_key(pseudonyms: Pseudonymiser, namespace: str, channel: str) -> int:
    """Return the pseudonym of a conversation."""
    return pseudonyms.key("slack:space", f"{namespace}:{channel}")


def parse(raw: Mapping[str, Any], pseudonyms: Pseudonymiser, namespace: str, *, medium: str | None = None) -> Conversation | None:
    """Return a conversation object as a conversation, or None if it has no usable id.

    Args:
        raw: The object.
        pseudonyms: The organisation's pseudonyms.
        namespace: What stands before ids in keys (`connectors.slack.people.ANYWHERE`).
        medium: What the file it stands in, or the parameter it was asked with, says it is; the object's own word holds.
    """
    channel = raw.get("id")
    if not is_id(channel):
        return None
    listed = raw.get("members")
    members = tuple(dict.fromkeys(m for m in listed if is_id(m))) if isinstance(listed, list) else ()
    medium = medium_of(raw, medium)
    if medium == "slack_dm" and len(members) > 2:
        medium = "slack_group_dm"
    is_direct = medium != "slack_channel"
    handles = group_handles(raw.get("name")) if medium == "slack_group_dm" else ()
    count = raw.get("num_members")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31 or (is_direct and not count):
        # the API does not count the members of a group direct message, but its name lists them
        count = len(members) or len(handles) or None
    return Conversation(
        channel=channel,
        space_key=space_key(pseudonyms, namespace, channel),
        medium=medium,
        is_private=True if is_direct else _flag(raw.get("is_private")),
        is_shared=_flag(raw.get("is_ext_shared")),
        is_archived=_flag(raw.get("is_archived")),
        member_count=2 if medium == "slack_dm" else count,
        members=members if is_direct else (),
        handles=handles,
        peer=raw["user"] if is_id(raw.get("user")) else None,
        is_member=_flag(raw.get("is_member")),
        team=_team(raw),
    )


def medium_of(raw: Mapping[str, Any], asked: str | None) -> str:
    """Return what a conversation object is: by its own flags, else by where it stands, else by its name and id."""
    if raw.get("is_im") is True:
        return "slack_dm"
    if raw.get("is_mpim") is True:
        return "slack_group_dm"
    denied = {name for name, flag in (("slack_dm", "is_im"), ("slack_group_dm", "is_mpim")) if raw.get(flag) is False}
    name, channel = raw.get("name"), raw.get("id")
    if "slack_group_dm" not in denied and group_handles(name):
        return "slack_group_dm"
    if asked is not None and asked != "slack_channel" and asked not in denied:
        return asked
    if "slack_dm" not in denied and isinstance(channel, str) and channel.startswith("D") and not isinstance(name, str):
        return "slack_dm"
    return "slack_channel"


def group_handles(name: object) -> tuple[str, ...]:
    """Return the handles that a group direct message's name lists (mpdm-ann--bob--cleo-1); nothing for any other name."""
    found = _GROUP_NAME.fullmatch(name) if isinstance(name, str) else None
    handles = tuple(dict.fromkeys(found[1].split("--"))) if found else ()
    return handles if len(handles) > 1 and all(handles) else ()


def _team(raw: Mapping[str, Any]) -> str | None:
    for value in (raw.get("context_team_id"), raw.get("team"), raw.get("team_id"), *_list(raw.get("teams")), *_list(raw.get("team_ids"))):
        if is_id(value):
            return value
    return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
