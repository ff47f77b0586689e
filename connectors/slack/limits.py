"""Request budgets: how often a method may be called, and how long to wait after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Final

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_TIER_2: Final = 20.0
_TIER_3: Final = 50.0
_TIER_4: Final = 100.0
_SHARE: Final = 0.95
TIERS: Final[Mapping[str, float]] = {
    "auth.test": 600.0,
    "auth.teams.list": _TIER_2,
    "team.info": _TIER_3,
    "team.externalTeams.list": _TIER_2,
    "users.list": _TIER_2,
    "users.info": _TIER_4,
    "usergroups.list": _TIER_2,
    "conversations.list": _TIER_2,
    "conversations.members": _TIER_4,
    "conversations.history": _TIER_3,
    "conversations.replies": _TIER_3,
}
"""Requests a minute, per method, workspace and app, as Slack's tiers state them."""


class Bucket:
    """A token bucket: a steady rate with a short burst; a refusal closes it for a while and leaves the rate as it was.

    Args:
        per_minute: How many requests may pass in any minute, the burst among them.
        clock: Seconds, monotonic.
        sleep: How to wait.
    """

    def __init__(self, per_minute: float, clock: Clock = monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._size = max(1.0, min(3.0, per_minute / 6.0), per_minute / 20.0)
        self._rate = (per_minute - self._size if self._size > 1.0 else per_minute) / 60.0
        self._left = self._size
        self._clock = clock
        self._sleep = sleep
        self._updated = clock()
        self._closed_until = self._updated

    async def take(self) -> None:
        """Wait until a request may be sent."""
        while True:
            now = self._clock()
            self._left = min(self._size, self._left + (now - self._updated) * self._rate)
            self._updated = now
            wait = self._closed_until - now
            if wait <= 0:
                # what is left over of a division may be too short for a clock to pass
                if self._left >= 1.0 - 1e-9:
                    self._left -= 1.0
                    return
                wait = (1.0 - self._left) / self._rate
            await self._sleep(wait)

    def close(self, seconds: float) -> None:
        """Let no request pass for so many seconds; the rate afterwards is the same as before."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)


class Budgets:
    """One bucket a method, which is how Slack counts: whoever is refused closes it for all who call the method.

    Of Slack's own limits at most 95% are used; a budget that settings give is taken as it is.
    """

    def __init__(self, own: Mapping[str, float], pace: float = 1.0, clock: Clock = monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._own = own
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, method: str) -> Bucket:
        """Return a method's bucket; a method of no known tier gets tier 2."""
        if method not in self._buckets:
            rate = self._own.get(method, _SHARE * TIERS.get(method, _TIER_2))
            self._buckets[method] = Bucket(rate * self._pace, self._clock, self._sleep)
        return self._buckets[method]
