"""From a Slack message to allow-listed records: the same parser for the API and for exports.

What a message says is read once, for whom it mentions, and then dropped with everything else that is not on the
allow-list: text, blocks, files, attachments, emoji names, the quoted root, profiles.

A record that cannot be read is quarantined under a reason code; none raises. Strict are only the fields without which an
interaction makes no sense (when, who, in which thread, what kind); a malformed ornament, such as a reaction without a
list of people, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from connectors.columns import MICROSECOND, PARTICIPANT_LIMIT, Interactions, utc_day
from connectors.pseudonyms import Pseudonymiser
from connectors.slack import mentions
from connectors.slack.faults import fingerprint, quarantined
from connectors.slack.people import SLACKBOT, People, is_id
from connectors.slack.spaces import Conversation

TEXT_LIMIT: Final = 1_000_000
"""Slack ends a message at 40,000 characters; a text longer than this is no message."""

_HUMAN: Final = "human"
_HUDDLE: Final = "huddle"
_SUBTYPES: Final[Mapping[str | None, str]] = {
    **dict.fromkeys((None, "", "me_message", "file_share", "file_comment", "file_mention", "thread_broadcast"), _HUMAN),
    **dict.fromkeys(("huddle_thread", "sh_room_created"), _HUDDLE),
    **dict.fromkeys(("bot_message", "slackbot_response", "assistant_app_thread"), "bot"),
    **dict.fromkeys(
        ("channel_join", "channel_leave", "group_join", "group_leave", "joiner_notification", "joiner_notification_for_inviter"),
        "join_or_leave",
    ),
    **dict.fromkeys(("tombstone", "message_deleted"), "deleted"),
    **dict.fromkeys(
        (
            "app_conversation_join",
            "app_conversation_leave",
            "bot_add",
            "bot_disable",
            "bot_enable",
            "bot_remove",
            "channel_archive",
            "channel_canvas_updated",
            "channel_convert_to_private",
            "channel_convert_to_public",
            "channel_name",
            "channel_posting_permissions",
            "channel_purpose",
            "channel_topic",
            "channel_unarchive",
            # what Slack notes on canvases: the head of their comments, and links put into them
            "document_comment_root",
            "document_mention",
            "document_unfurl",
            "ekm_access_denied",
            "emoji_changed",
            "file_changed",
            "file_created",
            "file_deleted",
            "file_public",
            "file_shared",
            "file_unshared",
            "group_archive",
            "group_name",
            "group_purpose",
            "group_topic",
            "group_unarchive",
            "list_record_comment",
            "message_changed",
            "message_replied",
            "pinned_item",
            "reminder_add",
            "reminder_delete",
            # the older form of a broadcast reply: a second message beside the reply itself
            "reply_broadcast",
            "retention_policy_changed",
            "sh_room_shared",
            "share_shortcut",
            "shared_canvas",
            "tabbed_canvas_updated",
            "unpinned_item",
            "workspace_primary_owner_changed",
        ),
        "system",
    ),
}
"""What each subtype is: written by a human, a huddle, or an exclusion. Any other is quarantined as unknown_subtype."""
_EARLIEST: Final = 86_400 * 365 * MICROSECOND  # 1971: older is a wrong clock or a wrong unit
_LATEST: Final = 4_102_444_800 * MICROSECOND  # 2100
_LONGEST_HUDDLE: Final = 7 * 24 * 60.0


def parse_ts(value: object) -> int | None:
    """Return Slack's `ts` as integer microseconds since 1970, or None if it is none.

    Only text is accepted ("1433558319.000002", also without a fraction): a number has been through a float, which may
    have moved it to another message's microsecond.
    """
    if type(value) is not str:
        return None
    if len(value) == 17 and value[10] == ".":
        seconds, fraction = value[:10], value[11:]
    else:
        seconds, dot, fraction = value.partition(".")
        if len(seconds) > 11 or len(fraction) > 6 or (dot and not fraction):
            return None
        fraction = fraction.ljust(6, "0")
    if not (seconds.isascii() and seconds.isdigit() and fraction.isascii() and fraction.isdigit()):
        return None
    return int(seconds) * MICROSECOND + int(fraction)


def format_ts(microseconds: int) -> str:
    """Return integer microseconds as Slack writes them."""
    return f"{microseconds // MICROSECOND}.{microseconds % MICROSECOND:06d}"


class _Details(NamedTuple):
    """What a message and a huddle hold in different places; field by field as in `Interactions.add`."""

    medium: str
    sender: int | None
    recipients: int | None = None
    participants: Sequence[tuple[int, str]] = ()
    minutes: float | None = None
    exclusion: str | None = None


class MessageParser:
    """Turns messages into growing columns of interactions and rows of quarantine.

    Keys: `interaction_key` = `Pseudonymiser.key("slack:message", f"{namespace}:{channel}:{ts}")`, since a ts is unique only in its
    channel; `thread_key` is the same of the thread's root; so a reply broadcast to the channel, which Slack returns both
    in the channel and in its thread, is one interaction.

    Args:
        pseudonyms: The organisation's pseudonyms.
        people: The accounts of the workspace; ids met are remembered there.
        usergroups: User group id -> ids of its members, as far as known.
    """

    def __init__(self, pseudonyms: Pseudonymiser, people: People, usergroups: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.people = people
        self.usergroups: Mapping[str, tuple[str, ...]] = usergroups or {}
        self.columns = Interactions()
        self.quarantine: list[dict[str, Any]] = []
        self._pseudonyms = pseudonyms

    def key(self, channel: str, ts: str) -> int:
        """Return the interaction_key of a message from its ts as Slack writes it."""
        return self._pseudonyms.key("slack:message", f"{self.people.namespace}:{channel}:{ts}", remember=False)

    def take(self) -> tuple[Interactions, list[dict[str, Any]]]:
        """Return what was parsed since the last call, and begin anew."""
        taken = self.columns, self.quarantine
        self.columns, self.quarantine = Interactions(), []
        return taken

    def parse(self, messages: Iterable[object], conversation: Conversation, place: str | None = None) -> None:
        """Parse messages of one conversation.

        Args:
            messages: Decoded JSON values, of whatever shape.
            conversation: Where they were said.
            place: Where they stand (a file of an export), which tells equal malformed records apart.
        """
        for index, message in enumerate(messages):
            reason = self.add(message, conversation)
            if reason is not None:
                self.refuse(reason, message, conversation, None if place is None else f"{place}:{index}")

    def refuse(self, reason: str, record: object, conversation: Conversation, place: str | None = None) -> None:
        """Quarantine a record under a reason code, known by its place or else by its content's keyed hash."""
        ts = record.get("ts") if isinstance(record, dict) else None
        moment = parse_ts(ts)
        if place is None:
            place = f"ts:{ts}" if moment is not None else fingerprint(record)
        day = utc_day(moment) if moment is not None and _EARLIEST <= moment < _LATEST else None
        self.quarantine.append(quarantined(self._pseudonyms, "messages", f"{conversation.space_key}:{place}", reason, day))

    def refuse_unit(self, reason: str, name: str, day: date | None) -> None:
        """Quarantine a whole unit (a file of an export) under a reason code."""
        self.quarantine.append(quarantined(self._pseudonyms, "messages", f"unit:{name}", reason, day))

    def add(self, message: object, conversation: Conversation) -> str | None:
        """Add one message; return None, or the reason code for which it has to be quarantined."""
        if type(message) is not dict:
            return "not_an_object"
        get = message.get
        ts = get("ts")
        moment = parse_ts(ts)
        if moment is None or not isinstance(ts, str):
            return "bad_time"
        if not _EARLIEST <= moment < _LATEST:
            return "impossible_time"
        kind_of_record = get("type")
        if kind_of_record is not None and kind_of_record != "message":
            return "unknown_type"
        subtype = get("subtype")
        if subtype is not None and not isinstance(subtype, str):
            return "wrong_type"
        kind = _SUBTYPES.get(subtype)
        if kind is None:
            return "unknown_subtype"
        text = get("text")
        if text is not None:
            if type(text) is not str:
                return "wrong_type"
            if len(text) > TEXT_LIMIT:
                return "oversized"
        blocks = get("blocks")
        if blocks is not None and type(blocks) is not list:
            return "wrong_type"
        sender = get("user") or get("bot_id")
        if sender is None and subtype == "file_comment":
            comment = get("comment")
            sender = comment.get("user") if type(comment) is dict else None
        if sender is not None and not is_id(sender):
            return "wrong_type" if type(sender) is not str else "bad_sender"
        if sender is None and kind == _HUMAN:
            return "missing_sender"
        channel = conversation.channel
        own_key = self.key(channel, ts if len(ts) == 17 else format_ts(moment))
        reply_count = _count(get("reply_count"))
        thread_ts = get("thread_ts")
        thread_key: int | None
        if thread_ts:
            root = parse_ts(thread_ts)
            if root is None or not isinstance(thread_ts, str):
                return "bad_thread_time"
            thread_key = own_key if root == moment else self.key(channel, thread_ts if len(thread_ts) == 17 else format_ts(root))
        else:
            thread_key = own_key if reply_count else None

        if kind == _HUDDLE:
            details = self._huddle(message, moment, subtype)
        else:
            exclusion = kind if kind != _HUMAN else self._exclusion(message, sender)
            details = self._message(message, conversation, sender, exclusion)
        self.columns.add(
            own_key,
            moment,
            details.medium,
            details.sender,
            details.participants,
            space=conversation.space_key,
            thread=thread_key,
            recipients=details.recipients,
            minutes=details.minutes,
            replies=reply_count,
            exclusion=details.exclusion,
        )
        return None

    @staticmethod
    def _exclusion(message: dict[str, Any], sender: str | None) -> str | None:
        """Return why a message of a human kind makes no contact; None where it may.

        It rests on the message alone, so that it does not matter when its author is learnt: whose accounts are bots is for the
        warehouse to know. An app may post in a person's name, `user` and `bot_profile` side by side: that is the person's message
        if the directory says that this is a person, and nobody becomes a bot by it. What a workflow posts is nobody's.
        """
        if message.get("is_ephemeral") is True:
            return "system"
        profile = message.get("bot_profile")
        is_workflow = isinstance(profile, dict) and profile.get("is_workflow_bot") is True
        is_by_app = bool(message.get("bot_id") or profile)
        if sender == SLACKBOT or is_workflow or (is_by_app and not message.get("user")):
            return "bot"
        return "app" if is_by_app else None

    def _message(self, message: dict[str, Any], conversation: Conversation, sender: str | None, exclusion: str | None) -> _Details:
        people = self.people
        medium = conversation.medium
        if exclusion is not None and exclusion != "app":
            if exclusion == "deleted":
                sender = None  # Slack puts its own bot in the place of the author
            return _Details(medium, None if sender is None else people.key(sender), exclusion=exclusion)
        assert sender is not None  # noqa: S101  (add() quarantines a human message without one)
        self._note_team(message, sender)
        sender_key = people.key(sender)

        users = {} if conversation.is_direct else self._mentioned(message)
        users.pop(sender, None)
        members = conversation.member_keys or [people.key(member) for member in conversation.members]
        others = [member for member in members if member != sender_key]
        recipients = len(users) if not conversation.is_direct else len(others) if members and conversation.is_whole else None
        if sender_key in people.opted_out:
            return _Details(medium, None, recipients, exclusion="opted_out")
        participants: list[tuple[int, str]] = []
        if len(others) <= PARTICIPANT_LIMIT:
            participants += [(member, "addressed") for member in others if member not in people.opted_out]
        if len(users) <= PARTICIPANT_LIMIT:
            participants += self._participants(users, "mentioned")
        reactions = message.get("reactions")
        if reactions and type(reactions) is list:
            reactors: dict[str, None] = {}
            for reaction in reactions:
                listed = reaction.get("users") if type(reaction) is dict else None
                if type(listed) is list:
                    reactors.update((user, None) for user in listed if user != sender and is_id(user))
            participants += self._participants(reactors, "reacted")
        parent = message.get("parent_user_id")
        if not conversation.is_direct and is_id(parent) and parent != sender:
            # whom it answers, for a thread whose first message is not to be had
            participants += self._participants((parent,), "replied")
        return _Details(medium, sender_key, recipients, participants, exclusion=exclusion)

    def _note_team(self, message: dict[str, Any], sender: str) -> None:
        profile = message.get("user_profile")
        profile = profile if isinstance(profile, dict) else {}
        team = message.get("user_team") or message.get("source_team") or message.get("team") or profile.get("team")
        if is_id(team):
            is_guest = profile.get("is_restricted") is True or profile.get("is_ultra_restricted") is True
            self.people.saw_team(sender, team, is_guest=is_guest)

    def _mentioned(self, message: dict[str, Any]) -> dict[str, None]:
        """Return whom a channel's message mentions. In a direct message a mention reaches nobody who is not in it."""
        users: dict[str, None] = {}
        groups: dict[str, None] = {}
        text = message.get("text")
        if text:
            mentions.in_text(text, users, groups)
        blocks = message.get("blocks")
        if blocks:
            mentions.in_blocks(blocks, users, groups)
        for group in groups:
            users.update(dict.fromkeys(self.usergroups.get(group, ())))
        return users

    def _participants(self, users: Iterable[str], evidence: str) -> list[tuple[int, str]]:
        people = self.people
        return [(key, evidence) for user in users if (key := people.key(user)) not in people.opted_out]

    def _huddle(self, message: dict[str, Any], moment: int, subtype: str | None) -> _Details:
        """Return what a huddle holds.

        Slack posts a huddle as a message of its own bot whose `room` holds who started it and who took part. `date_end` is
        0 until it ends; the message is then edited, so that reading the window again brings the minutes. A huddle that ended
        with fewer than two people is `missed`; a room without its founder is kept as `no_sender`.
        """
        people = self.people
        room = message.get("room")
        room = room if type(room) is dict else {}
        founder: object = room.get("created_by")
        attended: dict[str, None] = {}
        for listed in (room.get("participant_history"), room.get("participants_events"), room.get("participants")):
            if type(listed) is list or type(listed) is dict:
                attended.update((user, None) for user in listed if is_id(user))
        started, ended = _seconds(room.get("date_start")), _seconds(room.get("date_end"))
        minutes = None
        if ended and ended >= (started or moment // MICROSECOND):
            minutes = (ended - (started or moment // MICROSECOND)) / 60.0
            minutes = None if minutes > _LONGEST_HUDDLE else minutes
        medium = "call" if subtype == "sh_room_created" else "slack_huddle"
        if not isinstance(founder, str) or not is_id(founder):
            return _Details(medium, None, minutes=minutes, exclusion="no_sender")
        attended[founder] = None
        recipients = len(attended) - 1
        sender_key = people.key(founder)
        if sender_key in people.opted_out:
            return _Details(medium, None, recipients, minutes=minutes, exclusion="opted_out")
        if ended and len(attended) < 2:
            return _Details(medium, sender_key, recipients, minutes=minutes, exclusion="missed")
        participants = self._participants(attended, "co_present") if len(attended) <= PARTICIPANT_LIMIT else []
        return _Details(medium, sender_key, recipients, participants, minutes)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _seconds(value: object) -> int:
    return value if type(value) is int and 0 < value < 2**33 else 0
