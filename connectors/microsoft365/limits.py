"""Graph's limits: which family a request counts to, and how many of a family are under way at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final
from weakref import WeakValueDictionary

from connectors.microsoft365.settings import Microsoft365Settings
from connectors.pacing import SHARE, Bucket, Limit, Time

OUTLOOK: Final = "outlook"
LIMITS: Final[Mapping[str, Limit]] = {
    "messages": Limit(200, 1),
    "teams": Limit(30, 1),
    "calls": Limit(1_500, 20),
    # of each mailbox; its few pages need not wait for each other
    OUTLOOK: Limit(10_000, 600, at_once=0.2),
    # 3,500 resource units in 10 s in the smallest tenants, of which a request takes up to 5
    "directory": Limit(700, 10, at_once=0.1),
}
"""Published limits by family: reading messages in bulk (`getAllMessages`), any other reading of Teams, call records, a mailbox."""

_FAMILIES: Final = (
    ("messages", re.compile(r"^(users/[^/]+/chats|teams/[^/]+/channels)/(microsoft\.graph\.)?getAllMessages\b")),
    ("teams", re.compile(r"^(chats|teams|users/[^/]+/(chats|joinedTeams|onlineMeetings))\b")),
    ("calls", re.compile(r"^communications/")),
    (OUTLOOK, re.compile(r"^users/[^/]+/(mailFolders|messages|calendarView|events|calendar|mailboxSettings)\b")),
)


def family(path: str) -> str:
    """Return the limit family of a request by its path below the version."""
    return next((name for name, pattern in _FAMILIES if pattern.match(path)), "directory")


class Gate:
    """What a request has to pass: its family's bucket, and the places for requests under way.

    Args:
        bucket: The bucket.
        places: Of the family.
        own: Of the mailbox, if its limits are its own.
    """

    __slots__ = ("__weakref__", "_own", "_places", "bucket")

    def __init__(self, bucket: Bucket, places: asyncio.Semaphore, own: asyncio.Semaphore | None) -> None:
        self.bucket = bucket
        self._places = places
        self._own = own

    async def enter(self, stack: AsyncExitStack) -> None:
        """Wait until a request may be sent; its places are free again once the stack is closed."""
        if self._own is not None:
            # a closed mailbox must not take up the places of others
            await stack.enter_async_context(self._own)
            await self.bucket.take()
            await stack.enter_async_context(self._places)
            return
        await stack.enter_async_context(self._places)
        await self.bucket.take()


class Gates:
    """The gates of one client.

    Args:
        settings: How much of the limits to use, and how many requests may be under way at once.
        time: The time.
    """

    def __init__(self, settings: Microsoft365Settings, time: Time) -> None:
        self._settings = settings
        self._time = time
        self._shared: dict[str, Gate] = {}
        self._mailboxes: WeakValueDictionary[str, Gate] = WeakValueDictionary()
        self._places: dict[str, asyncio.Semaphore] = {}

    def gate(self, path: str, unit: str) -> Gate:
        """Return a request's gate. That of a mailbox lasts as long as somebody holds it.

        Args:
            path: The request's path below the version.
            unit: The mailbox.
        """
        name = family(path)
        found = self._mailboxes.get(unit) if name == OUTLOOK else self._shared.get(name)
        if found is None:
            found = self._new(name)
            if name == OUTLOOK:
                self._mailboxes[unit] = found
            else:
                self._shared[name] = found
        return found

    def _new(self, name: str) -> Gate:
        settings = self._settings
        bucket = Bucket(LIMITS[name], share=SHARE * settings.pace, time=self._time)
        places = self._places.setdefault(name, asyncio.Semaphore(settings.concurrency))
        return Gate(bucket, places, asyncio.Semaphore(settings.mailbox_concurrency) if name == OUTLOOK else None)

    def counts(self) -> dict[str, int]:
        """Return how many requests each shared family has let pass."""
        return {name: gate.bucket.count for name, gate in self._shared.items()}
