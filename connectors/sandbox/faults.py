"""Faults on demand: what goes wrong between a client and the two services, drawn from a seed, counted, and never for ever.

Whether a request fails is drawn from the seed, the request itself and how often it was made before; so the order in which
concurrent requests arrive changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

KINDS: Final = (
    "429",
    "ratelimited",
    "500",
    "502_html",
    "503",
    "504",
    "truncated",
    "slow",
    "dropped",
    "duplicate",
    "empty_page",
    "expired_delta",
    "expired_token",
    "without_value",
)
"""429 with Retry-After; `ratelimited` in a 200 body (Slack); server errors, 502 as HTML; a body cut short; a slow body; a
dropped connection; a page that repeats an element; an empty page before the real one; a delta token that is refused (Graph:
400 syncStateNotFound and 410 in turn); an access token that is refused though it should last (Graph: 401); a collection
without its `value` (Graph)."""

SLACK_KINDS: Final = tuple(kind for kind in KINDS if not kind.startswith("expired") and kind != "without_value")
GRAPH_KINDS: Final = tuple(kind for kind in KINDS if kind != "ratelimited")
"""What is drawn from by default."""
PAGE_KINDS: Final = ("duplicate", "empty_page", "expired_delta", "without_value")
"""Faults that only some responses can have; where one cannot, nothing goes wrong."""


@dataclass
class Faults:
    """How often what goes wrong.

    Attributes:
        rate: Share of requests that go wrong.
        seed: From which it is drawn.
        slack: Kinds for Slack.
        graph: Kinds for Graph.
        retry_after: Seconds that a 429 or 503 asks to wait, rounded up to whole ones in Graph.
        slow_seconds: How long a slow body takes.
        most_in_a_row: One request goes wrong so many times in a row at most.
        counts: How many faults were made, by kind.
        by_service: The same by (service, kind).
    """

    rate: float = 0.0
    seed: int = 0
    slack: Sequence[str] = SLACK_KINDS
    graph: Sequence[str] = GRAPH_KINDS
    retry_after: float = 0.0
    slow_seconds: float = 0.02
    most_in_a_row: int = 3
    counts: Counter[str] = field(default_factory=Counter)
    by_service: Counter[tuple[str, str]] = field(default_factory=Counter)
    _tries: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := {*self.slack, *self.graph} - set(KINDS):
            raise ValueError(f"unknown kinds of faults: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        if not 0 <= self.rate < 1:
            raise ValueError("rate must be at least 0 and below 1")

    def draw(self, service: str, request: str) -> str | None:
        """Return what is to go wrong with a request, or None.

        Args:
            service: slack or graph.
            request: All that tells the request from others: path and query.
        """
        kinds = self.slack if service == "slack" else self.graph
        if self.rate <= 0 or not kinds:
            return None
        name = blake2b(f"{self.seed}:{service}:{request}".encode(), digest_size=16).digest()
        count, row = self._tries.get(name, (0, 0))
        drawn = blake2b(name + count.to_bytes(4, "big"), digest_size=16).digest()
        fails = int.from_bytes(drawn[:8], "big") / 2**64 < self.rate and row < self.most_in_a_row
        self._tries[name] = (count + 1, row + 1 if fails else 0)
        return kinds[int.from_bytes(drawn[8:], "big") % len(kinds)] if fails else None

    def made(self, service: str, kind: str) -> None:
        """Count a fault that was made."""
        self.counts[kind] += 1
        self.by_service[service, kind] += 1
