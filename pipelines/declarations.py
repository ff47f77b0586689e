"""What the organisation declares: who its partners are, which policies changed when, which relationships matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipelines.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Declarations:
    """Rows for the raw settings tables; domains are already keyed hashes.

    Attributes:
        organisations: (organisation_key, name, kind).
        domains: (domain_key, organisation_key).
        policies: (policy_key, name, starts_on, teams, description).
        relationships: (relationship_key, name, party_a, party_a_kind, party_b, party_b_kind, minimum_tie_count, contact_within_days).
    """

    organisations: Sequence[tuple[str, str, str]] = ()
    domains: Sequence[tuple[int, str]] = ()
    policies: Sequence[tuple[str, str, date, list[str], str]] = ()
    relationships: Sequence[tuple[str, str, str, str, str, str, int, int]] = ()

    def store(self, warehouse: Warehouse) -> None:
        """Replace the stored declarations with these."""
        tables: tuple[tuple[str, Sequence[tuple[Any, ...]]], ...] = (
            ("organisation_setting", self.organisations),
            ("organisation_domain", self.domains),
            ("policy_setting", self.policies),
            ("relationship_setting", self.relationships),
        )
        for name, rows in tables:
            warehouse.run(f"delete from raw.{name}")
            for row in rows:
                warehouse.run(f"insert into raw.{name} values ({', '.join(f'${n}' for n in range(1, len(row) + 1))})", list(row))

    def __str__(self) -> str:
        return json.dumps([list(self.organisations), list(self.domains), list(self.policies), list(self.relationships)], default=str)
