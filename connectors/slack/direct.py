"""Who is in a direct message of an export whose list does not say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.slack.archive import BrokenFileError, Entry, elements
from connectors.slack.people import is_id
from connectors.slack.spaces import Conversation

_WRITTEN: Final = (None, "", "file_share", "me_message", "thread_broadcast")


class DirectMembers:
    """Finds the members of direct messages by what else shows them: the peer, the handles in a name, who wrote.

    Args:
        handles: Handle, in one case -> ids of those who bear it.
    """

    def __init__(self, handles: Mapping[str, set[str]]) -> None:
        self._handles = handles
        self._owner: str | None = None

    def learn_owner(self, conversations: Iterable[tuple[Conversation, list[Entry]]]) -> None:
        """Learn whose export it is where direct messages name the other only: the one who writes in all that somebody answered."""
        writers = {
            sender
            for about, files in conversations
            if about.peer and not about.members
            for sender in _senders(files)
            if sender != about.peer
        }
        self._owner = next(iter(writers)) if len(writers) == 1 else None

    def known(self, conversation: Conversation, files: Iterable[Entry]) -> tuple[Conversation, bool]:
        """Return a direct message with its members as far as they are known, and whether that is all of them."""
        if conversation.medium == "slack_dm":
            return self._pair(conversation, files)
        if conversation.members:
            return conversation, True
        named = [self._handles.get(handle.casefold(), set()) for handle in conversation.handles]
        if named and all(len(bearers) == 1 for bearers in named):
            return conversation.with_members(next(iter(bearers)) for bearers in named), True
        sure = [next(iter(bearers)) for bearers in named if len(bearers) == 1]
        return conversation.with_members([*sure, *_senders(files)]), False

    def _pair(self, conversation: Conversation, files: Iterable[Entry]) -> tuple[Conversation, bool]:
        """Return a direct message of two: a list that names one of them names the other by what they wrote, or a note to oneself."""
        if len(conversation.members) >= 2:
            return conversation, True
        listed = conversation.members or ((conversation.peer,) if conversation.peer else ())
        owner = [self._owner] if self._owner and not conversation.members and conversation.peer else []
        found = conversation.with_members([*listed, *_senders(files), *owner])
        # a list that names one member alone means a note to oneself, and so does a peer who owns the export
        return found, len(found.members) >= 2 or bool(conversation.members) or bool(owner)


def _senders(files: Iterable[Entry]) -> list[str]:
    """Return who wrote, in the order in which they did."""
    senders: dict[str, None] = {}
    for entry in files:
        try:
            for message in elements(entry):
                if isinstance(message, dict) and is_id(message.get("user")) and message.get("subtype") in _WRITTEN:
                    senders[message["user"]] = None
        except BrokenFileError:
            continue
    return list(senders)
