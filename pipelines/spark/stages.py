"""What is computed together in each part, read off the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import pyarrow as pa

from pipelines.catalog import SUPPLIED, CatalogError, TableSpec
from pipelines.spark.partition import PartTable, Stage
from pipelines.warehouse import Warehouse

ROOTS: Final[Mapping[str, str]] = {"thread": "raw.interaction", "pair": "core.contact"}
"""Which table is cut up, by thread or by pair."""
TASK_MEMORY: Final = "2GB"
_ALWAYS: Final[Mapping[str, date | datetime]] = {
    "touched_first": date(1, 1, 1),
    "touched_last": date(9999, 12, 31),
    "touched_from": datetime(1, 1, 1),  # noqa: DTZ001  (instants are naive UTC inside DuckDB)
    "touched_to": datetime(9999, 12, 31),  # noqa: DTZ001
}


def plan(warehouse: Warehouse, catalog: Mapping[str, TableSpec], wanted: Sequence[TableSpec]) -> Stage:
    """Return the stage that computes the wanted tables, which are all partitioned alike.

    Tables on the way from the root that are partitioned alike are computed again inside each part rather than carried
    from one stage to the next; every other table that they read is small and goes to each part whole.

    Raises:
        CatalogError: If a table cannot be computed so, because it reads a table that is cut up otherwise.
    """
    kind = wanted[0].partition
    names = {spec.full_name for spec in wanted}
    inside = _on_the_way(catalog, names, kind)
    read = {name for spec in inside for name in spec.reads} - {spec.full_name for spec in inside} - {ROOTS[kind]}
    for name in read:
        if name in catalog and (catalog[name].partition or catalog[name].rebuild == "day"):
            raise CatalogError(f"{name} is too large to go to every part; {', '.join(sorted(names))} cannot be partitioned by {kind}")
    present = {name for (name,) in warehouse.run("select table_name from duckdb_tables() where temporary")}
    supplied = (SUPPLIED & present) - ({"touched_day"} if kind == "pair" else set())
    return Stage(
        root=_root(warehouse, catalog, ROOTS[kind]),
        tables=tuple(_table(spec, is_wanted=spec.full_name in names) for spec in inside),
        references={name: _stream(warehouse, name) for name in sorted(read | supplied)},
        variables={**_variables(warehouse), **(_ALWAYS if kind == "pair" else {})},
        days_of_part=kind == "pair",
        memory_limit=TASK_MEMORY,
    )


def _on_the_way(catalog: Mapping[str, TableSpec], names: set[str], kind: str) -> list[TableSpec]:
    needed: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in needed or name == ROOTS[kind]:
            continue
        needed.add(name)
        waiting += [read for read in catalog[name].reads if read in catalog and catalog[read].partition == kind]
    return [spec for name, spec in catalog.items() if name in needed]


def _table(spec: TableSpec, *, is_wanted: bool) -> PartTable:
    columns = {column.name: column.plain_type for column in spec.columns}
    return PartTable(spec.schema, spec.name, spec.path.name, spec.body, columns, is_wanted)


def _root(warehouse: Warehouse, catalog: Mapping[str, TableSpec], name: str) -> PartTable:
    if name in catalog:
        return _table(catalog[name], is_wanted=False)
    schema, _, table = name.partition(".")
    columns = {column: kind.lower() for column, kind, *_ in warehouse.run(f"describe select * from {name}")}
    return PartTable(schema, table, "", "", columns)


def _stream(warehouse: Warehouse, name: str) -> bytes:
    table = warehouse.arrow(f"select * from {name}")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _variables(warehouse: Warehouse) -> dict[str, Any]:
    names = [name for (name,) in warehouse.run("select name from duckdb_variables()")]
    return {name: warehouse.value(f"select getvariable('{name}')") for name in names}
