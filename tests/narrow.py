"""Small worlds in which only the tables under test, and what they read, are built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from worlds import batch

from connectors.records import Batch
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import TableSpec, load_catalog
from pipelines.declarations import Declarations
from pipelines.warehouse import Warehouse


def closure(*names: str) -> dict[str, TableSpec]:
    """The named tables, all that they read, and every core table, in build order."""
    catalog = load_catalog()
    wanted = {name for name, spec in catalog.items() if spec.schema == "core"}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += [read for read in catalog[name].reads if read in catalog]
    return {name: spec for name, spec in catalog.items() if name in wanted}


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
    warehouse = Warehouse(None)
    warehouse.store(events if isinstance(events, Batch) else batch(events, people, teams))
    catalog = closure(*([names] if isinstance(names, str) else names))
    build(warehouse, Parameters(**parameters), declarations, as_of=as_of, catalog=catalog)
    return warehouse
