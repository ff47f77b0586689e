"""Small worlds in which only the tables under test, and what they read, are built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from worlds import built, tables

from connectors.records import Batch
from pipelines.catalog import TableSpec
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse


def closure(*names: str) -> dict[str, TableSpec]:
    """The named tables, all that they read, and every core table, in build order."""
    return tables(name.removeprefix("metrics.") for name in names if not name.startswith("core."))


def built_only(
    names: str | Iterable[str],
    events: Iterable[Mapping[str, Any]] | Batch,
    people: Iterable[Mapping[str, Any]] = (),
    teams: Mapping[int, str] | None = None,
    declarations: Declarations | None = None,
    as_of: date | None = None,
    **parameters: Any,
) -> Warehouse:
    """Like `worlds.built`, with the tables in `names` and nothing that they do not read."""
    wanted = [names] if isinstance(names, str) else names
    only = [name.removeprefix("metrics.") for name in wanted if not name.startswith("core.")]
    return built(events, people, teams, declarations, as_of, only=only, **parameters)
