"""Quarantine: what could not be read, known by a keyed hash and a reason code, never by a value."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson

from connectors.pseudonyms import Pseudonymiser


def quarantined(pseudonyms: Pseudonymiser, stream: str, identity: str, reason: str, day: date | None = None) -> dict[str, Any]:
    """Return a `quarantine` row, without its source.

    Args:
        pseudonyms: The organisation's pseudonyms.
        stream: The stream in which the record came.
        identity: What makes it the same fault when it is met again; only its keyed hash is kept.
        reason: Why, as a code.
        day: The day to which it belongs, where that could be read.
    """
    key = pseudonyms.key("slack:quarantine", identity, remember=False)
    return {"stream": stream, "record_key": key, "reason": reason, "observed_on": day}


def fingerprint(record: object) -> str:
    """Return a text that only equal records share; hash it under the key at once."""
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, RecursionError):
        return f"unreadable:{type(record).__name__}"
