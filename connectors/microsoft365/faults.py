"""Records that make no sense: counted under a reason code, never shown."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson

from connectors.pseudonyms import Pseudonymiser


class Faults:
    """The quarantine records of one stream."""

    def __init__(self, pseudonyms: Pseudonymiser, stream: str) -> None:
        self.rows: list[dict[str, Any]] = []
        self._pseudonyms = pseudonyms
        self._stream = stream

    def add(self, reason: str, record: object, observed_on: date | None = None) -> None:
        """Quarantine a record. It is known by its id, or else by a keyed hash of all of it, so that it counts once.

        Args:
            reason: A code.
            record: The record as parsed.
            observed_on: The day to which it belongs, if that could be read.
        """
        identity = record.get("id") if isinstance(record, dict) else None
        if not isinstance(identity, str) or not identity:
            identity = orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
        key = self._pseudonyms.key("microsoft365:fault", f"{self._stream}:{reason}:{identity}", remember=False)
        self.rows.append({"stream": self._stream, "record_key": key, "reason": reason, "observed_on": observed_on})
