"""What the connector remembers of accounts between runs, as keyed hashes in cursors.

The directory tells a night only what changed, and of a deleted user only the id. What was known of the account, all of
it keyed hashes and flags that landed in the warehouse anyway, is therefore kept in a few hundred cursors, so that a
change rewrites little.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from connectors.state import State

_SHARDS: Final = 256
_PREFIX: Final = "accounts:"
_FIELDS: Final = ("person_id", "alias_ids", "domain_key", "kind", "is_active", "is_guest", "is_licensed")
_PLACE: Final = ("team", "office", "manager_key", "joined_on", "left_on")


class Registry:
    """Accounts and their places as last stored. `changed` takes what was read now and returns what is new about it."""

    def __init__(self, state: State) -> None:
        self._shards: dict[int, dict[str, list[Any]]] = {}
        self._dirty: set[int] = set()
        for name, value in state.cursors(_PREFIX).items():
            try:
                shard = orjson.loads(value)
            except ValueError:
                # a cursor that cannot be read costs only that unchanged accounts are stored again
                continue
            if isinstance(shard, dict):
                self._shards[int(name.removeprefix(_PREFIX))] = shard

    def _shard(self, key: int) -> dict[str, list[Any]]:
        return self._shards.setdefault(key % _SHARDS, {})

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards.values())

    def keys(self) -> set[int]:
        """Return the keys of every account of the directory that was active when last seen."""
        return {int(key) for shard in self._shards.values() for key, entry in shard.items() if entry[7] and entry[4] is not False}

    def account(self, key: int) -> dict[str, Any] | None:
        """Return an account's record as last stored, or None."""
        entry = self._shard(key).get(str(key))
        return None if entry is None else {"account_key": key, **dict(zip(_FIELDS, entry, strict=False))}

    def place(self, key: int) -> dict[str, Any] | None:
        """Return an account's place as last stored (days as text), or None."""
        entry = self._shard(key).get(str(key))
        return dict(zip(_PLACE, entry[8], strict=True)) if entry is not None and entry[8] is not None else None

    def changed_accounts(self, rows: Iterable[Mapping[str, Any]], *, listed: bool) -> list[dict[str, Any]]:
        """Remember accounts and return those that are new or different.

        An account that comes without an address keeps the one it had: a deleted user still is who they were.

        Args:
            rows: Account records without their source.
            listed: Whether the directory lists them.
        """
        found = []
        for row in rows:
            key = row["account_key"]
            shard = self._shard(key)
            before = shard.get(str(key))
            entry = [row.get(name) for name in _FIELDS] + [listed, before[8] if before is not None else None]
            if before is not None and entry[0] is None and before[0] is not None:
                entry[0:3] = before[0:3]
            if before is not None and before[7] and not listed:
                continue
            if entry != before:
                shard[str(key)] = entry
                self._dirty.add(key % _SHARDS)
                found.append({"account_key": key, **dict(zip(_FIELDS, entry, strict=False))})
        return found

    def changed_place(self, key: int, place: Mapping[str, Any]) -> bool:
        """Remember an account's place and return whether it is new or different. The account must be known."""
        entry = self._shard(key)[str(key)]
        after = [str(place[name]) if name.endswith("_on") and place.get(name) is not None else place.get(name) for name in _PLACE]
        if entry[8] == after:
            return False
        entry[8] = after
        self._dirty.add(key % _SHARDS)
        return True

    def cursors(self) -> dict[str, str]:
        """Return the cursors that changed since the last call."""
        dirty = sorted(self._dirty)
        self._dirty.clear()
        return {f"{_PREFIX}{shard}": orjson.dumps(self._shards[shard], option=orjson.OPT_SORT_KEYS).decode() for shard in dirty}
