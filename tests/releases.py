"""Published files for tests: tables written by hand, documented and published as real ones are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from metrics.parameters import Parameters
from metrics.roles import roles_in
from pipelines.catalog import Column, TableSpec, load_catalog
from pipelines.publish import publish
from pipelines.warehouse import Warehouse

USUAL: Sequence[str] = ()

HOSTILE = ("<script>alert(1)</script>", '=HYPERLINK("http://example.invalid","x")')
"""Team names that a browser or a spreadsheet would like to run."""


def spec(
    name: str,
    grain: str,
    columns: str,
    *,
    schema: str = "metrics",
    is_restricted: bool = False,
    roles: Sequence[str] | None = USUAL,
    **texts: Any,
) -> TableSpec:
    """A documented table; `columns` as `name:unit ...`, `roles` as the lines of a header (the usual ones where none are given)."""
    named = dict(each.split(":") for each in columns.split())
    if roles is USUAL:
        roles = None if is_restricted else usual_roles(f"{schema}.{name}", named, grain.split())
    return TableSpec(
        schema=schema,
        name=name,
        family="test",
        path=Path(f"{name}.sql"),
        body="",
        description=texts.pop("description", f"What {name} holds."),
        columns=tuple(Column(*each.split(":"), f"What {each} says.") for each in columns.split()),
        grain=tuple(grain.split()),
        roles=roles_in(roles, list(named), grain.split()) if roles is not None else {},
        is_restricted=is_restricted,
        **texts,
    )


def usual_roles(name: str, columns: Mapping[str, str], grain: Sequence[str]) -> list[str]:
    """Lines of a header for a table that a test writes by hand: those of the real one as far as it has their columns, else by unit."""
    real = load_catalog().get(name)
    lines, counted = [], next((each for each in columns if each not in grain and each.endswith("_count")), "")
    for column, unit in columns.items():
        role = real.roles.get(column) if real else None
        if column in grain:
            continue
        if role is not None and set(role.mentions) <= set(columns) and set(role.over) <= set(grain):
            lines.append(f"{role} | {column}")
        elif column.endswith("person_count"):
            lines.append(f"people | {column}")
        elif unit in ("hours", "minutes", "days"):
            lines.append(f"volume | {column}")
        elif unit == "count":
            lines.append(f"{'calendar' if 'day' in column else 'pairs'} | {column}")
        else:
            lines.append(
                f"words | {column}"
                if unit in ("text", "flag", "date", "timestamp", "texts") or not counted
                else f"estimate over {counted} | {column}"
            )
    return lines


def published_file(path: Path, tables: Sequence[tuple[TableSpec, Sequence[Sequence[Any]]]], warehouse: Warehouse | None = None) -> Path:
    """Publish tables given as rows, beside those that a built warehouse holds."""
    own = warehouse is None
    house = warehouse or Warehouse(None)
    house.run("create schema if not exists core")
    house.run("create schema if not exists metrics")
    catalog: dict[str, TableSpec] = {}
    if warehouse is None:
        house.run("create table core.observation (medium varchar, date_from date, date_to date, day_count bigint)")
        house.run("insert into core.observation values ('any', '2026-01-01', '2026-06-30', 181)")
        catalog["core.observation"] = load_catalog()["core.observation"]
        house.remember("build", "finished")
    else:
        catalog |= load_catalog()
    for table, rows in tables:
        house.run(f"create or replace table {table.full_name} ({', '.join(f'{c.name} {c.type}' for c in table.columns)})")
        for row in rows:
            house.run(f"insert into {table.full_name} values ({', '.join(f'${n}' for n in range(1, len(row) + 1))})", list(row))
        catalog[table.full_name] = table
    publish(house, path, Parameters(), catalog=catalog)
    if own:
        house.close()
    return path


def rows_of(table: pa.Table) -> list[Mapping[str, Any]]:
    """A table's rows as dictionaries."""
    return table.to_pylist()
