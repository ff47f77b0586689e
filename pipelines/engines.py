"""What computes the tables that can be partitioned: the warehouse itself, or an engine for many machines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from connectors.errors import UserError
from pipelines.catalog import TableSpec
from pipelines.home import Home
from pipelines.settings import BuildSettings, Settings
from pipelines.warehouse import Warehouse


class Engine(Protocol):
    """Computes partitioned tables in place of the warehouse (see `pipelines.spark`); the build lands what it returns."""

    def compute(self, warehouse: Warehouse, catalog: Mapping[str, TableSpec], wanted: Sequence[TableSpec]) -> Mapping[str, str]:
        """Return, for the full name of each wanted table, a statement that gives its rows."""


def compute(engine: Engine | None, warehouse: Warehouse, catalog: Mapping[str, TableSpec], wanted: Sequence[TableSpec]) -> dict[str, str]:
    """Have the engine compute tables.

    Returns:
        Full name -> the statement that stands for the table's own when it is inserted; nothing without an engine.
    """
    if engine is None:
        return {}
    found = engine.compute(warehouse, catalog, wanted)
    # days and panels are landed in chunks
    of_chunk = {
        "full": "",
        "day": " semi join touched_day using (date)",
        "panel": " semi join touched_panel using (panel_kind, panel_start)",
        "pair": "",  # only those asked for were computed
    }
    return {spec.full_name: f"select * from ({found[spec.full_name]}) as parts{of_chunk[spec.rebuild]}" for spec in wanted}


def in_waves(specs: Sequence[TableSpec]) -> list[TableSpec]:
    """Keep build order, but let tables that can be partitioned follow one another: an engine computes them together."""
    parts = {spec.full_name for spec in specs if spec.partition}
    after: set[str] = set()
    for spec in specs:
        if spec.full_name not in parts and spec.reads & (parts | after):
            after.add(spec.full_name)
    return sorted(specs, key=lambda spec: 2 if spec.full_name in after else 1 if spec.full_name in parts else 0)


def chosen(settings: Settings, engine: str | None, master: str | None, conf: Sequence[str] | None) -> Settings:
    """Return settings in which the engine is the one that the command line names."""
    given = {"engine": engine, "master": master, "conf": tuple(conf) if conf else None}
    build = settings.build.model_dump() | {name: value for name, value in given.items() if value is not None}
    try:
        return settings.model_copy(update={"build": BuildSettings.model_validate(build)})
    except ValidationError:
        raise UserError("--conf: each is written name=value, such as spark.executor.memory=8g") from None


def require_engine(wanted: BuildSettings) -> None:
    """Make sure that the chosen engine can run here.

    Raises:
        UserError: If it cannot; the message says what is missing.
    """
    if wanted.engine == "spark":
        from pipelines import spark

        spark.require()


def opened_engine(home: Home, wanted: BuildSettings) -> AbstractContextManager[Engine | None]:
    """Return the chosen engine, to be closed after the build; None where the warehouse computes everything itself.

    Raises:
        UserError: If it cannot run here.
    """
    require_engine(wanted)
    if wanted.engine == "duckdb":
        return nullcontext()
    from pipelines import spark

    # homes of the same name may share the folder
    own = f"perdure-{home.path.name}-{hashlib.sha256(str(home.path).encode()).hexdigest()[:8]}"
    exchange = Path(wanted.exchange) / own if wanted.exchange else home.exchange
    conf = {name.strip(): value for name, _, value in (line.partition("=") for line in wanted.conf)}
    return spark.SparkEngine(exchange, master=wanted.master, conf=conf)
