"""What a page of history says beyond its records: how far it reaches, and which messages are the first of threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connectors.slack.messages import parse_ts


@dataclass(frozen=True, slots=True)
class Root:
    """A thread's first message, as far as it says whether its replies have to be read."""

    ts: str
    moment: int
    key: int
    latest: int
    count: int


@dataclass(slots=True)
class Page:
    """What reading on depends on: keys, times and roots of one page; `lowest` is the oldest time, or the window's end."""

    lowest: int
    keys: set[int] = field(default_factory=set)
    moments: list[tuple[int, int]] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)


def as_root(message: dict[str, Any], moment: int, key: int) -> Root | None:
    """Return what a message says as the first of a thread, or None if it is none."""
    count = message.get("reply_count")
    count = count if type(count) is int and count > 0 else 0
    latest = parse_ts(message.get("latest_reply")) or 0
    thread = message.get("thread_ts")
    if thread is not None and parse_ts(thread) != moment:
        return None
    if thread is None and not count and not latest:
        # whether replies were read of it before is for the caller to know
        return Root(str(message["ts"]), moment, key, 0, 0)
    return Root(str(message["ts"]), moment, key, latest, count)
