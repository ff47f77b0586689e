"""Who is in which chat, remembered between nights: asking costs a request a chat, and membership hardly ever changes.

Of a one-on-one chat it never does. A group chat is asked about again once a message tells that somebody came or went, and after a month.
Kept as keyed hashes in many small cursors, so that a new chat rewrites little.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

from connectors.columns import to_microseconds
from connectors.microsoft365.people import NOT_PERSONS, People
from connectors.microsoft365.registry import Registry
from connectors.microsoft365.teams import Chat
from connectors.state import State

_PREFIX: Final = "chats_known:"
_FOR: Final = "chats_known_for"
_SHARDS: Final = 4096
_MEDIA: Final = ("teams_chat", "teams_group_chat")
_GOOD_FOR: Final = timedelta(days=30)


class KnownChats:
    """Chats as they were when last asked about.

    Args:
        state: Cursors of earlier runs.
        people: The run's accounts.
        registry: What is remembered of accounts.
        opted_out: Who is left out by settings: once others are, everything is asked anew.
        now: The run's moment.
    """

    def __init__(self, state: State, people: People, registry: Registry, opted_out: Iterable[str], now: datetime) -> None:
        self._shards: dict[int, dict[str, list[Any]]] = {}
        self._dirty: set[int] = set()
        self._people = people
        self._registry = registry
        self._now = to_microseconds(now)
        self._oldest = to_microseconds(now - _GOOD_FOR)
        self._for = sha256("\n".join(sorted(opted_out)).encode()).hexdigest()[:16]
        self._is_new = state.cursor(_FOR) != self._for
        for name, value in state.cursors(_PREFIX).items():
            try:
                shard = orjson.loads(value)
            except ValueError:
                continue
            if isinstance(shard, dict) and not self._is_new:
                self._shards[int(name.removeprefix(_PREFIX))] = shard
            else:
                self._shards[int(name.removeprefix(_PREFIX))] = {}
                self._dirty.add(int(name.removeprefix(_PREFIX)))

    def get(self, key: int, changed_at: int | None) -> Chat | None:
        """Return a chat, or None if it is to be asked about.

        Args:
            key: Its space key.
            changed_at: When somebody last came or went, as far as messages tell.
        """
        entry = self._shards.get(key % _SHARDS, {}).get(str(key))
        if entry is None:
            return None
        medium, asked_at, count, members = entry
        if medium and (asked_at < self._oldest or (changed_at is not None and changed_at > asked_at)):
            return None
        for member in members:
            self._recall(member)
        return Chat(key, _MEDIA[medium], tuple(members), count)

    def put(self, chat: Chat) -> None:
        """Remember a chat that was asked about."""
        shard = chat.space_key % _SHARDS
        entry = [_MEDIA.index(chat.medium), self._now, chat.member_count, list(chat.members)]
        self._shards.setdefault(shard, {})[str(chat.space_key)] = entry
        self._dirty.add(shard)

    def _recall(self, member: int) -> None:
        """Let people know again what kind of account one is that the directory does not list."""
        known = self._registry.account(member)
        if known is not None and known["kind"] in NOT_PERSONS:
            self._people.kinds.setdefault(member, known["kind"])

    def cursors(self) -> dict[str, str]:
        """Return the cursors that changed since the last call."""
        found = {}
        for shard in sorted(self._dirty):
            chats = self._shards[shard]
            found[f"{_PREFIX}{shard}"] = orjson.dumps(chats, option=orjson.OPT_SORT_KEYS).decode() if chats else ""
        self._dirty.clear()
        if self._is_new:
            self._is_new = False
            found[_FOR] = self._for
        return found
