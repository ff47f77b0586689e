"""What may leave of the published file: its organisation-level tables, after disclosure control.

The exports and the report are made from one and the same release, so a figure on the page is a figure in the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import UserError
from metrics.disclosure import Controlled, DisclosureError, DisclosurePolicy, control
from metrics.roles import Role, parse_role
from pipelines.exports.told import FOLDER, as_told, circumstances

PARQUET: Final = "parquet"
"""The folder of an export that holds its Parquet files."""


@dataclass(frozen=True, slots=True)
class ReleasedColumn:
    """A column's name, unit and meaning, and what it is to disclosure control; no role for a dimension."""

    name: str
    unit: str
    role: str
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
    def roles(self) -> dict[str, Role]:
        """What each column but the dimensions is to disclosure control; empty where nothing may leave."""
        return {column.name: parse_role(column.role) for column in self.columns if column.role}

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


def release(published: Path, policy: DisclosurePolicy, told: Path | None = None) -> Release:
    """Read the published file, pass it through disclosure control, and keep what was told before as it was told.

    Args:
        published: The published file; opened read-only.
        policy: How strict to be.
        told: Where the home keeps what was told; by default `told/` beside the published file.

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
        now = circumstances(connection)
    try:
        controlled = control(tables, {spec.full_name: spec for spec in leaving}, policy)
    except DisclosureError as error:
        # it names tables and columns, and whoever added one can mend its header
        raise UserError(f"nothing leaves: {error}") from None
    roles = {name: specs[name].roles for name in controlled.tables}
    grains = {name: specs[name].grain for name in controlled.tables}
    kept = as_told(controlled.tables, roles, grains, now, told or published.parent / FOLDER, policy.minimum_group_size)
    controlled = replace(controlled, tables=kept)
    return Release(about[0], about[1], about[2], specs, controlled, policy)


def _may_leave(spec: ReleasedTable) -> bool:
    return not spec.is_restricted and (spec.schema == "metrics" or bool(spec.roles))


def _documentation(connection: duckdb.DuckDBPyConnection) -> dict[str, ReleasedTable]:
    columns: dict[str, list[ReleasedColumn]] = {}
    for schema, table, *column in connection.execute(
        "select table_schema, table_name, column_name, unit, coalesce(role, ''), description from metrics.catalog_column "
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
