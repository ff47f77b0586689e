"""Pacing: how fast a service is asked, one bucket for each of its limits, shared by everything that asks.

A limit is so many requests in so many seconds, of a whole family of requests. At most a share of it is used, whichever stretch of
that length one looks at, and one refusal closes the family for all: whoever asked on would be refused too, and kept out longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

SHARE: Final = 0.95
"""No more than this share of a limit is used by default: clocks and networks are not exact."""
_SLOWEST: Final = 1 / 32
_SOON_SECONDS: Final = 10.0
_RECOVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A published limit.

    Attributes:
        requests: So many requests.
        seconds: In so many seconds.
        at_once: Which part of them may go at once; the rest is spread over the time.
    """

    requests: float
    seconds: float
    at_once: float = 0.02


class Time:
    """The time that passes while it is slept: with a `sleep` that returns at once, as tests and fast clocks have it, it passes too.

    Args:
        sleep: How to wait.
        clock: Seconds, monotonic.
    """

    def __init__(self, sleep: Sleep = asyncio.sleep, clock: Clock = monotonic) -> None:
        self._sleep = sleep
        self._clock = clock
        self._skipped = 0.0

    def now(self) -> float:
        """Return the time in seconds."""
        return self._clock() + self._skipped

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        until = self.now() + seconds
        await self._sleep(seconds)
        self._skipped += max(0.0, until - self.now())


class Bucket:
    """What keeps one family of requests under its limit: first come, first served.

    A refusal closes it. Refused again soon after it opened, it goes at half the rate, for the limit is lower than published or
    others use of it too; within a minute it is back at the full rate.

    Args:
        limit: The limit.
        share: Which share of it is used at most.
        time: The time.

    Attributes:
        count: How many requests it let pass.
    """

    __slots__ = ("_burst", "_closed_until", "_full", "_left", "_rate", "_refusals", "_time", "_turn", "_updated", "count")

    def __init__(self, limit: Limit, *, share: float = SHARE, time: Time | None = None) -> None:
        most = limit.requests * share
        self._burst = max(1.0, most * limit.at_once)
        # so that what goes at once and what follows are together no more than the share
        self._full = max(most - self._burst, most / 2) / limit.seconds
        self._rate = self._full
        self._left = self._burst
        self._time = time or Time()
        self._updated = self._time.now()
        self._closed_until = self._updated - _SOON_SECONDS
        self._refusals = 0
        self._turn = asyncio.Lock()
        self.count = 0

    @property
    def refusals_in_a_row(self) -> int:
        """How often it was closed since a request was last answered."""
        return self._refusals

    async def take(self) -> None:
        """Wait until a request may be sent."""
        async with self._turn:
            while (wait := self._wait()) > 0:
                await self._time.sleep(wait)
            self._left -= 1.0
            self.count += 1

    def _wait(self) -> float:
        now = self._time.now()
        passed, self._updated = now - self._updated, now
        self._rate = min(self._full, self._rate + self._full * passed / _RECOVERY_SECONDS)
        self._left = min(self._burst, self._left + passed * self._rate)
        if now < self._closed_until:
            return self._closed_until - now
        return 0.0 if self._left >= 1.0 - 1e-9 else (1.0 - self._left) / self._rate

    def refused(self, seconds: float) -> None:
        """Close for so many seconds. What was under way when it closed tells nothing new."""
        now = self._time.now()
        if now >= self._closed_until:
            self._refusals += 1
            if seconds >= 1.0 and now < self._closed_until + _SOON_SECONDS:
                self._rate = max(self._full * _SLOWEST, self._rate / 2)
                self._left = min(self._left, 0.0)
        self._closed_until = max(self._closed_until, now + seconds)

    def answered(self) -> None:
        """Note that a request was answered."""
        self._refusals = 0
