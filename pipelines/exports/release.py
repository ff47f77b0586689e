"""What may leave of the published file: its organisation-level tables, after disclosure control.

The exports and the report are made from one and the same release, so a figure on the page is a figure in the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.errors import UserError
from metrics.disclosure import Controlled, DisclosurePolicy, control

CORE_TABLES: Final = ("coverage_day", "gap", "observation", "panel", "policy", "declared_relationship", "organisation")
"""Core tables that leave: what was collected, and what the organisation declared."""

PARQUET: Final = "parquet"
"""The folder of an export that holds its Parquet files; the next export reads it to know what was shown."""


@dataclass(frozen=True, slots=True)
class ReleasedColumn:
    """A column's name, unit and meaning."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class ReleasedTable:
    """A table's documentation, as the published file states it."""

    schema: str
    name: str
    family: str
    description: str
    question: str
    grain: tuple[str, ...]
    columns: tuple[ReleasedColumn, ...]
    is_restricted: bool
    caveats: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Release:
    """Everything that may leave.

    Attributes:
        as_of: The last day that the figures speak of; None where nothing was observed.
        built_at: When the file was published, UTC.
        version: The version of perdure that computed it.
        specs: Full name -> documentation, of every table of the published file, restricted ones too.
        controlled: The tables after disclosure control, and what it did.
        policy: How strict it was.
    """

    as_of: date | None
    built_at: datetime
    version: str
    specs: Mapping[str, ReleasedTable]
    controlled: Controlled
    policy: DisclosurePolicy

    @property
    def tables(self) -> dict[str, pa.Table]:
        """Full name -> table, those with rows and those without."""
        return self.controlled.tables


def release(published: Path, policy: DisclosurePolicy, previous: Path | None = None) -> Release:
    """Read the published file and pass it through disclosure control.

    Args:
        published: The published file; opened read-only.
        policy: How strict to be.
        previous: The folder of the last export; what it showed and withheld is taken into account.

    Raises:
        UserError: If the file is not there or is no published file.
    """
    if not published.exists():
        raise UserError(f"{published.name}: nothing is published yet; run `perdure build` and `perdure publish` first")
    with duckdb.connect(str(published), read_only=True, config={"enable_external_access": False}) as connection:
        try:
            specs = _documentation(connection)
            about = connection.execute("select as_of, built_at, perdure_version from metrics.about").fetchall()[0]
        except (duckdb.CatalogException, IndexError):
            raise UserError(f"{published.name}: is no published file (it has no catalogue); run `perdure publish`") from None
        leaving = [spec for spec in specs.values() if _may_leave(spec)]
        tables = {spec.full_name: _read(connection, spec) for spec in leaving}
    earlier = read_export(previous) if previous is not None else {}
    controlled = control(tables, {spec.full_name: spec for spec in leaving}, policy, earlier)
    return Release(about[0], about[1], about[2], specs, controlled, policy)


def read_export(folder: Path) -> dict[str, pa.Table]:
    """Full name -> table of an export, as it left; empty where it holds none."""
    return {path.stem: pq.read_table(path) for path in sorted((folder / PARQUET).glob("*.parquet"))}


def _may_leave(spec: ReleasedTable) -> bool:
    if spec.is_restricted:
        return False
    return spec.schema == "metrics" or spec.name in CORE_TABLES


def _documentation(connection: duckdb.DuckDBPyConnection) -> dict[str, ReleasedTable]:
    columns: dict[str, list[ReleasedColumn]] = {}
    for schema, table, *column in connection.execute(
        "select table_schema, table_name, column_name, unit, description from metrics.catalog_column "
        "order by table_schema, table_name, position"
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", []).append(ReleasedColumn(*column))
    found = {}
    for row in connection.execute(
        "select table_schema, table_name, family, description, coalesce(question, ''), grain, is_restricted, caveats, sources "
        "from metrics.catalog order by table_schema, table_name"
    ).fetchall():
        schema, name, family, description, question, grain, is_restricted, caveats, sources = row
        found[f"{schema}.{name}"] = ReleasedTable(
            schema,
            name,
            family,
            description,
            question,
            tuple(part.strip() for part in (grain or "").split(",") if part.strip()),
            tuple(columns[f"{schema}.{name}"]),
            is_restricted,
            tuple(caveats or ()),
            tuple(sources or ()),
        )
    return found


def _read(connection: duckdb.DuckDBPyConnection, spec: ReleasedTable) -> pa.Table:
    listed = ", ".join(f'"{column.name}"' for column in spec.columns)
    order = ", ".join(f'"{column}"' for column in spec.grain) or "all"
    table = connection.sql(f'select {listed} from {spec.schema}."{spec.name}" order by {order}').to_arrow_table()
    # neither JSON nor Excel knows infinity or not-a-number, and to a reader they say the same as an empty cell
    columns = [_finite(values) if pa.types.is_floating(values.type) else values for values in table.columns]
    return pa.table(columns, names=table.column_names)


def _finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
