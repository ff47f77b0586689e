"""Write the analysts' file beside the old one and put it in its place at once.

Usually that is a copy of the old file in which the days and panels that were built anew are replaced, so that a night costs what it
changed. The file is written from nothing where definitions changed, where rows were erased for good (`Warehouse.compact`), and at
the latest after `MOST_RENEWALS` copies: what DuckDB deletes stays in a file's free blocks until they are used again.

Readers who hold the old file keep a consistent answer; whoever opens the path afterwards sees the new one; nobody ever
waits or sees half a night. The published file has the schemas `core` and `metrics`, never `raw`, and every table and
column carries its description.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import duckdb

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines.catalog import TableSpec, load_catalog
from pipelines.home import sync_to_disk
from pipelines.warehouse import PUBLISHED, Warehouse

MOST_RENEWALS: Final = 30
"""After so many copies that were brought up to date, the file is written from nothing."""

MESSAGE_TABLES: Final = frozenset({"core.interaction", "core.contact"})
"""Tables with one row a message: left out where settings say `publish.messages = false`."""

_CATALOG: Final = (
    ("table_schema", "varchar", "The table's schema."),
    ("table_name", "varchar", "The table's name."),
    ("family", "varchar", "The family of measures that it belongs to."),
    ("description", "varchar", "What the table holds."),
    ("question", "varchar", "The question that it answers, in leadership's words; empty for tables that others build on."),
    ("grain", "varchar", "The columns that tell its rows apart."),
    ("is_restricted", "boolean", "Whether it speaks of persons or pairs and can therefore never be exported."),
    ("row_count", "bigint", "How many rows it has."),
    ("caveats", "varchar[]", "How it misleads."),
    ("sources", "varchar[]", "Where its definition comes from."),
)
_CATALOG_COLUMN: Final = (
    ("table_schema", "varchar", "The table's schema."),
    ("table_name", "varchar", "The table's name."),
    ("column_name", "varchar", "The column's name."),
    ("position", "bigint", "Its place in the table, from 1."),
    ("unit", "varchar", "Its unit, which decides its type."),
    ("role", "varchar", "What it is to disclosure control; empty for a dimension and in tables that never leave."),
    ("description", "varchar", "What it says."),
)
_ABOUT: Final = (
    ("as_of", "date", "The last day that the figures speak of."),
    ("built_at", "timestamp", "When the figures were published, UTC."),
    ("perdure_version", "varchar", "The version of perdure that computed them."),
    ("parameters", "json", "The settings of the measurement."),
    ("publication", "varchar", "Which publication this is; the next one looks here for what it has to change."),
)


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: how many tables, the file's size in bytes, and whether it was written from nothing."""

    path: Path
    table_count: int
    byte_count: int
    is_whole: bool


def publish(
    warehouse: Warehouse,
    path: Path,
    parameters: Parameters | None = None,
    *,
    messages: bool = True,
    catalog: Mapping[str, TableSpec] | None = None,
) -> Published:
    """Publish core tables and metrics to `path`.

    Args:
        warehouse: The private file, built.
        path: The published file; replaced at once when the new one is whole and on disk.
        parameters: The settings that the figures were computed with, to be stated in the file.
        messages: Whether tables with one row a message are published too.
        catalog: The tables; by default all that the package holds.

    Raises:
        UserError: If nothing was built yet.
    """
    specs = {name: spec for name, spec in (catalog or load_catalog()).items() if messages or name not in MESSAGE_TABLES}
    if warehouse.memo("build") != "finished":
        raise UserError("publish: nothing is built, or the last build did not end; run `perdure build` first")
    definition = hashlib.sha256(json.dumps([sorted(specs), warehouse.memo("panel definitions")]).encode()).hexdigest()
    renewals = _renewals(warehouse, path, definition)
    publication = uuid.uuid4().hex
    beside = path.with_name(path.name + ".next")
    _remove(beside)
    mask = os.umask(0o077)
    try:
        if renewals is not None:
            shutil.copyfile(path, beside)
        _write(warehouse, beside, specs, parameters, publication, is_whole=renewals is None)
    except BaseException:
        _remove(beside)
        raise
    finally:
        os.umask(mask)
    size = beside.stat().st_size
    sync_to_disk(beside)
    beside.replace(path)
    sync_to_disk(path.parent)
    with warehouse.transaction():
        warehouse.run("delete from raw.unpublished")
        warehouse.run("delete from raw.unpublished_pair")
        done = {"publication": publication, "definition": definition, "renewals": 0 if renewals is None else renewals + 1}
        warehouse.remember(PUBLISHED, json.dumps(done))
    return Published(path, len(specs), size, renewals is None)


def _renewals(warehouse: Warehouse, path: Path, definition: str) -> int | None:
    """How often the published file was brought up to date since it was written from nothing; None where it has to be again."""
    last = json.loads(warehouse.memo(PUBLISHED) or "{}")
    if last.get("definition") != definition or last["renewals"] >= MOST_RENEWALS or not path.exists():
        return None
    try:
        with duckdb.connect(str(path), read_only=True) as published:
            found = published.execute("select publication from metrics.about").fetchall()
    except duckdb.Error:
        return None
    return int(last["renewals"]) if found == [(last["publication"],)] else None


def _write(
    warehouse: Warehouse, beside: Path, specs: Mapping[str, TableSpec], parameters: Parameters | None, publication: str, *, is_whole: bool
) -> None:
    # a file that is cut short is thrown away: no log is needed to mend it; and 2.0 would write a format that 1.5 cannot read
    options = "recovery_mode no_wal_writes" + (", storage_version 'v1.5.0'" if duckdb.__version__ >= "2" else "")
    target = str(beside).replace("'", "''")
    warehouse.run(f"attach '{target}' as published ({options})")
    try:
        if is_whole:
            warehouse.run("create schema published.core")
            warehouse.run("create schema published.metrics")
            _write_tables(warehouse, specs, parameters, publication, is_whole=True)
        else:
            # each commit would wait until the disk has all of what was copied
            with warehouse.transaction():
                _write_tables(warehouse, specs, parameters, publication, is_whole=False)
    finally:
        warehouse.run("detach published")
    if beside.with_name(beside.name + ".wal").exists():
        raise RuntimeError("the published file was closed with a write-ahead log left: copying it would miss rows")


def _write_tables(
    warehouse: Warehouse, specs: Mapping[str, TableSpec], parameters: Parameters | None, publication: str, *, is_whole: bool
) -> None:
    listed: list[list[object]] = []
    for name, spec in specs.items():
        if is_whole or not _renew(warehouse, spec):
            # tables that are kept from night to night lie in order of time already; sorting them again costs more than all the rest
            order = f" order by {', '.join(spec.grain) or 'all'}" if spec.rebuild == "full" else ""
            warehouse.run(f"create or replace table published.{name} as select * from {name}{order}")
            _comment(warehouse, name, spec.description, {column.name: f"[{column.unit}] {column.description}" for column in spec.columns})
        rows = warehouse.value(f"select count(*) from published.{name}")
        listed.append(
            [
                spec.schema,
                spec.name,
                spec.family,
                spec.description,
                spec.question or None,
                ", ".join(spec.grain),
                spec.is_restricted,
                rows,
                list(spec.caveats),
                list(spec.references),
            ]
        )
    columns: list[list[object]] = [
        [spec.schema, spec.name, column.name, position, column.unit, str(spec.roles.get(column.name, "")) or None, column.description]
        for spec in specs.values()
        for position, column in enumerate(spec.columns, start=1)
    ]
    stated = json.dumps(parameters.model_dump(mode="json") if parameters else {})
    as_of = warehouse.value("select max(date_to) from core.observation")
    now = warehouse.value("select now() at time zone 'UTC'")
    _fill(warehouse, "catalog", "Every table of this file, with its meaning.", _CATALOG, listed)
    _fill(warehouse, "catalog_column", "Every column of this file, with its unit and meaning.", _CATALOG_COLUMN, columns)
    _fill(
        warehouse,
        "about",
        "What this file is: as of when, by which version, with which settings.",
        _ABOUT,
        [[as_of, now, version("perdure"), stated, publication]],
    )


def _renew(warehouse: Warehouse, spec: TableSpec) -> bool:
    """Replace the days, panels or pairs of a published table that were built anew; return False where all of it was."""
    by_pair = "(person_a_key, person_b_key) in (select (person_a_key, person_b_key) from raw.unpublished_pair)"
    is_every_pair = bool(warehouse.value("select count(*) from raw.unpublished where kind = 'pair'"))
    if spec.rebuild == "day":
        days = _between(warehouse, "date", "kind = 'day'")
        changed = [f"{days} and date in (select start from raw.unpublished where kind = 'day')"]
    elif spec.rebuild == "panel":
        periods = _between(warehouse, "panel_start", "kind not in ('all', 'day', 'pair')")
        # the whole time apart: each condition then passes over blocks by their least and greatest values
        changed = [f"panel_kind <> 'all' and {periods} and (panel_kind, panel_start) in (select (kind, start) from raw.unpublished)"]
        if spec.is_whole_time_by_pair and not is_every_pair:
            changed.append(f"panel_kind = 'all' and {by_pair}")
        elif warehouse.value("select count(*) from raw.unpublished where kind = 'all'"):
            changed.append("panel_kind = 'all'")
        # the build before may have spoken of later days
        warehouse.run(f"delete from published.{spec.full_name} where panel_start > (select max(date_to) from core.observation)")
    elif spec.rebuild == "pair" and not is_every_pair:
        changed = [by_pair]
    else:
        return False
    for rows in changed:
        warehouse.run(f"delete from published.{spec.full_name} where {rows}")
        warehouse.run(f"insert into published.{spec.full_name} select * from {spec.full_name} where {rows}")
    return True


def _between(warehouse: Warehouse, column: str, which: str) -> str:
    """The condition that a date lies between the least and the greatest of some that are unpublished."""
    first, last = warehouse.run(f"select min(start), max(start) from raw.unpublished where {which}")[0]
    return "false" if first is None else f"{column} between date '{first}' and date '{last}'"


def _fill(warehouse: Warehouse, name: str, description: str, columns: tuple[tuple[str, str, str], ...], rows: list[list[object]]) -> None:
    warehouse.run(f"create or replace table published.metrics.{name} ({', '.join(f'{column} {kind}' for column, kind, _ in columns)})")
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    for row in rows:
        warehouse.run(f"insert into published.metrics.{name} values ({places})", row)
    _comment(warehouse, f"metrics.{name}", description, {column: text for column, _, text in columns})


def _comment(warehouse: Warehouse, name: str, description: str, columns: Mapping[str, str]) -> None:
    warehouse.run(f"comment on table published.{name} is {_quoted(description)}")
    for column, text in columns.items():
        warehouse.run(f"comment on column published.{name}.{column} is {_quoted(text)}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _remove(beside: Path) -> None:
    for leftover in (beside, beside.with_name(beside.name + ".wal")):
        leftover.unlink(missing_ok=True)
