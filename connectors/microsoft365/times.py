"""Times as Graph writes them and wants them written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from connectors.columns import to_microseconds

_EARLIEST: Final = 631_152_000_000_000  # 1990
_LATEST: Final = 4_102_444_800_000_000  # 2100


def graph_time(instant: datetime) -> str:
    """Return an instant as Graph's filters want it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(value: object) -> int | None:
    """Return a Graph timestamp (`2026-03-01T09:30:00.1234567Z`) as microseconds since 1970, or None if it is none.

    Without a zone it is UTC. Digits past the microsecond are cut off. Years outside 1990 to 2099 are no timestamps of
    this service: Graph writes year 1 for "never".
    """
    if type(value) is not str or not 16 <= len(value) <= 40 or value[10] != "T":
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found = to_microseconds(moment)
    except (ValueError, OverflowError):
        return None
    return found if _EARLIEST <= found < _LATEST else None
