"""What a connector may ask of what is already stored."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from connectors.records import Batch


class State(Protocol):
    """Read-only view of the cursors and keys that earlier batches stored."""

    def cursor(self, name: str) -> str | None:
        """Return the value stored under a cursor's name, or None."""

    def cursors(self, prefix: str) -> dict[str, str]:
        """Return every cursor whose name starts with `prefix`."""

    def stored_keys(self, space_key: int, since: datetime, until: datetime) -> set[int]:
        """Return the keys of the space's stored interactions in [since, until) that are not marked deleted."""


class MemoryState:
    """A `State` held in memory: for one-off reads and for tests. `apply` stores a batch as the warehouse would."""

    def __init__(self) -> None:
        self._cursors: dict[str, str] = {}
        self._stored: dict[int, tuple[int | None, datetime]] = {}

    def cursor(self, name: str) -> str | None:
        """Return the value stored under a cursor's name, or None."""
        return self._cursors.get(name)

    def cursors(self, prefix: str) -> dict[str, str]:
        """Return every cursor whose name starts with `prefix`."""
        return {name: value for name, value in self._cursors.items() if name.startswith(prefix)}

    def stored_keys(self, space_key: int, since: datetime, until: datetime) -> set[int]:
        """Return the keys of the space's stored interactions in [since, until)."""
        return {key for key, (space, occurred_at) in self._stored.items() if space == space_key and since <= occurred_at < until}

    def apply(self, batch: Batch) -> None:
        """Store the batch's cursors and the keys of its interactions."""
        for name, value in batch.cursors.items():
            if value:
                self._cursors[name] = value
            else:
                self._cursors.pop(name, None)
        if "interaction" in batch.records:
            for row in batch.records["interaction"].select(["interaction_key", "space_key", "occurred_at", "exclusion"]).to_pylist():
                if row["exclusion"] == "deleted":
                    self._stored.pop(row["interaction_key"], None)
                else:
                    self._stored[row["interaction_key"]] = (row["space_key"], row["occurred_at"])
