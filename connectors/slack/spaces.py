"""A conversation as the parser needs it, from the object that the API and the export share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.pseudonyms import Pseudonymiser
from connectors.slack.people import is_id

_KIND_OF_MEDIUM = {"slack_dm": "dm", "slack_group_dm": "group_dm", "slack_channel": "channel"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A channel, direct message or group direct message. The raw ids in it never leave the connector.

    Attributes:
        channel: Slack's id of it (or, in an export without a list of channels, its folder's name).
        space_key: Its pseudonym: `Pseudonymiser.key("slack:space", f"{team}:{channel}")`.
        medium: `slack_dm`, `slack_group_dm` or `slack_channel`.
        members: Everybody in it, for direct messages of both sizes; empty for channels.
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
    peer: str | None = None
    is_member: bool | None = None
    team: str | None = None
    is_discovered: bool = False

    def with_members(self, members: tuple[str, ...]) -> Conversation:
        """Return the same conversation with its members known."""
        return replace(self, members=members, member_count=len(members))

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


def parse(raw: Mapping[str, Any], pseudonyms: Pseudonymiser, team: str, *, medium: str | None = None) -> Conversation | None:
    """Return the conversation of an API or export object, or None where it has no usable id.

    Args:
        raw: The object as Slack gives it.
        pseudonyms: The organisation's pseudonyms.
        team: The workspace's id.
        medium: What the file it stands in says it is; None to read it from the object's own flags.
    """
    channel = raw.get("id")
    if not is_id(channel):
        return None
    if medium is None:
        medium = "slack_dm" if raw.get("is_im") else "slack_group_dm" if raw.get("is_mpim") else "slack_channel"
    listed = raw.get("members")
    members = tuple(dict.fromkeys(m for m in listed if is_id(m))) if isinstance(listed, list) else ()
    is_direct = medium != "slack_channel"
    count = raw.get("num_members")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31:
        name = raw.get("name")
        # the API does not count the members of a group direct message, but its name lists them: mpdm-a--b--c-1
        count = len(members) or (name.count("--") + 1 if medium == "slack_group_dm" and isinstance(name, str) and "--" in name else None)
    return Conversation(
        channel=channel,
        space_key=pseudonyms.key("slack:space", f"{team}:{channel}"),
        medium=medium,
        is_private=True if is_direct else _flag(raw.get("is_private")),
        is_shared=_flag(raw.get("is_ext_shared")),
        is_archived=_flag(raw.get("is_archived")),
        member_count=2 if medium == "slack_dm" else count,
        members=members if is_direct else (),
        peer=raw["user"] if is_id(raw.get("user")) else None,
        is_member=_flag(raw.get("is_member")),
        team=_team(raw),
    )


def _team(raw: Mapping[str, Any]) -> str | None:
    for value in (raw.get("context_team_id"), raw.get("team"), raw.get("team_id"), *_list(raw.get("teams")), *_list(raw.get("team_ids"))):
        if is_id(value):
            return value
    return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
