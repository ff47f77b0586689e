"""What computes the tables that can be partitioned: the warehouse itself, or an engine for many machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pipelines.catalog import TableSpec
from pipelines.warehouse import Warehouse


class Engine(Protocol):
    """Computes partitioned tables in place of the warehouse (see `pipelines.spark`); the build lands what it returns."""

    def compute(self, warehouse: Warehouse, catalog: Mapping[str, TableSpec], wanted: Sequence[TableSpec]) -> Mapping[str, str]:
        """Return, for the full name of each wanted table, a statement that gives its rows."""


def in_waves(specs: Sequence[TableSpec]) -> list[TableSpec]:
    """Keep build order, but let tables that can be partitioned follow one another: an engine computes them together."""
    parts = {spec.full_name for spec in specs if spec.partition}
    after: set[str] = set()
    for spec in specs:
        if spec.full_name not in parts and spec.reads & (parts | after):
            after.add(spec.full_name)
    return sorted(specs, key=lambda spec: 2 if spec.full_name in after else 1 if spec.full_name in parts else 0)
