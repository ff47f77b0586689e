"""Every id that was met, with its pseudonym."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.pseudonyms import Pseudonymiser
from connectors.records import table

Keys = npt.NDArray[np.int64]


class Accounts:
    """The accounts of a file; each is hashed once."""

    def __init__(self, source: str, pseudonyms: Pseudonymiser) -> None:
        self.source = source
        self.pseudonyms = pseudonyms
        self._records: dict[int, dict[str, Any]] = {}
        self._keys: dict[str, int] = {}

    def key(self, identifier: str) -> int:
        """Return the account key of an address, in its normal form, or of another id."""
        found = self._keys.get(identifier)
        if found is None:
            found = self._keys[identifier] = self._add(identifier)
        return found

    def _add(self, identifier: str) -> int:
        person_id = self.pseudonyms.person_id(identifier)
        record: dict[str, Any] = {"source": self.source, "person_id": person_id}
        if person_id is None:
            key = self.pseudonyms.key(f"events:{self.source}:account", identifier, remember=False)
            record |= {"account_key": key, "kind": "human"}
        else:
            key = self.pseudonyms.key("address", identifier, remember=False)
            record |= {"account_key": key, "kind": "unknown", "domain_key": self.pseudonyms.domain_key(identifier)}
        self._records[key] = record
        return key

    def table(self) -> pa.Table:
        """Return the account records."""
        return table("account", self._records.values())
