"""From raw records to core tables and metrics: only what changed is computed again.

Core tables by day are rebuilt for the touched days, a bounded number of interactions at a time; when a chunk's tables are
written, the note that its days are to be rebuilt goes. Metrics by panel are rebuilt for the panels that hold such a day;
the rest are small and are computed anew. Every table's own checks run in the transaction that writes it: a table that
fails them is not written and the build stops. A build that is killed anywhere goes on where it was when run again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import duckdb
import pandas as pd
import pyarrow as pa

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines.build_errors import BuildError
from pipelines.catalog import TableSpec, fingerprint, load_catalog
from pipelines.checks import check
from pipelines.declarations import Declarations
from pipelines.engines import Engine, compute, in_waves
from pipelines.inside import refuse_unknown_inside
from pipelines.local_time import instants_around, local_date
from pipelines.threads import TOUCHED_THREADS_FROM, note_answered_threads, touch_by_threads
from pipelines.touched import (
    CHANGED_PAIR,
    TOUCHED_PANEL_DAY,
    TOUCHED_QUARTER,
    TOUCHED_TOTAL,
    choose_pairs,
    in_chunks,
    keep_people_as_they_are,
    keep_totals,
    note_pairs,
    note_unpublished,
    remember_added,
    remember_pairs,
    touch_by_people,
    touch_every_day,
    touched_volumes,
)
from pipelines.warehouse import PAIRS, RETAINED, Warehouse

CHUNK_INTERACTIONS: Final = 1_500_000
"""About how many interactions are rebuilt in one transaction: bounds memory, and hash tables of more are slower a row."""

PANEL_ROWS: Final = 4_000_000
"""About how many rows of `core.pair_day` the panels hold that are rebuilt in one transaction, unless a single one holds more."""

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        as_of: The last day that figures speak of; None where nothing is stored.
        touched_day_count: How many days were rebuilt.
        touched_panel_count: How many panels were rebuilt.
        tables: Full name -> rows after the build, of the tables that were written.
        is_unchanged: Whether nothing had changed, so that nothing was done.
        breaks: Sentences about days of the last week on which far less was seen than usual.
    """

    as_of: date | None = None
    touched_day_count: int = 0
    touched_panel_count: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    is_unchanged: bool = False
    breaks: list[str] = field(default_factory=list)


def build(
    warehouse: Warehouse,
    parameters: Parameters,
    declarations: Declarations | None = None,
    *,
    as_of: date | None = None,
    progress: Progress | None = None,
    catalog: Mapping[str, TableSpec] | None = None,
    engine: Engine | None = None,
) -> BuildReport:
    """Bring core tables and metrics up to date with what is stored.

    Args:
        warehouse: The private file.
        parameters: The measurement's settings; when they change, everything is computed again.
        declarations: Organisations, policies and declared relationships; None for none.
        as_of: The last day to speak of; by default the last day on which anything was stored, not later than today.
        progress: Called with what is being done, how much of it is done and how much there is.
        catalog: The tables to build; by default all that the package holds.
        engine: What computes the tables that can be partitioned; by default the warehouse itself.

    Raises:
        CheckFailedError: If a table breaks its own checks.
        BuildError: If a table cannot be computed.
    """
    return _Build(warehouse, parameters, declarations or Declarations(), progress or _silent, catalog or load_catalog(), engine).run(as_of)


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


class _Build:
    def __init__(
        self,
        warehouse: Warehouse,
        parameters: Parameters,
        declarations: Declarations,
        progress: Progress,
        catalog: Mapping[str, TableSpec],
        engine: Engine | None,
    ) -> None:
        self.warehouse = warehouse
        self.parameters = parameters
        self.declarations = declarations
        self.progress = progress
        self.catalog = catalog
        self.engine = engine
        self.computed: dict[str, str] = {}
        self.report = BuildReport()
        by_day = {name for name, spec in catalog.items() if spec.rebuild == "day"}
        after_days: set[str] = set()
        for name, spec in catalog.items():
            if name in by_day or spec.reads & (by_day | after_days):
                after_days.add(name)
        self.day_tables = [spec for name, spec in catalog.items() if name in by_day]
        self.reference_tables = [spec for name, spec in catalog.items() if spec.schema == "core" and name not in after_days]
        self.calendar_tables = [spec for name, spec in catalog.items() if spec.schema == "core" and name in after_days - by_day]
        self.metric_tables = in_waves([spec for spec in catalog.values() if spec.schema == "metrics"])

    def run(self, as_of: date | None) -> BuildReport:
        warehouse = self.warehouse
        last = warehouse.value(
            f"select case when count(*) > 0 then least({local_date('max(occurred_at)')}, current_date) end from raw.interaction",
            {"time_zone": self.parameters.time_zone},
        )
        if as_of is not None and last is not None:
            first = warehouse.value(
                f"select {local_date('min(occurred_at)')} from raw.interaction",
                {"time_zone": self.parameters.time_zone},
            )
            if as_of < first:
                raise UserError(f"--as-of {as_of}: nothing is stored before {first}; choose a day between {first} and {last}")
        self.report.as_of = min(as_of, last) if as_of and last else last
        self._set_variables()
        days = fingerprint(list(self.day_tables + self.reference_tables), self.parameters)
        everything = fingerprint(list(self.catalog.values()), self.parameters, self.report.as_of, self.declarations)
        if warehouse.memo("core definitions") != days:
            self._touch_every_day()
        if self._is_current(everything):
            self.report.is_unchanged = True
            return self.report
        with warehouse.transaction():
            self.declarations.store(warehouse)
            warehouse.remember("build", "unfinished")
            self._build_reference_tables()
            refuse_unknown_inside(warehouse)
        self._build_days()
        with warehouse.transaction():
            warehouse.remember("core definitions", days)
            self._build_calendar_tables()
        # the last day moves on every night: panels that it does not change stay
        definitions = fingerprint(list(self.catalog.values()), self.parameters, self.declarations)
        self._build_metrics(is_redefined=warehouse.memo("panel definitions") != definitions)
        with warehouse.transaction():
            note_unpublished(warehouse, "select panel_kind, panel_start from every_touched_panel")
            warehouse.run("delete from raw.touched_panel")
            remember_pairs(warehouse)
            warehouse.remember("all definitions", everything)
            warehouse.remember("panel definitions", definitions)
            warehouse.remember("build", "finished")
        warehouse.run("checkpoint")
        return self.report

    def _is_current(self, everything: str) -> bool:
        warehouse = self.warehouse
        return (
            warehouse.memo("build") == "finished"
            and warehouse.memo("all definitions") == everything
            and warehouse.memo("reference records") == self._reference_fingerprint()
            and warehouse.value("select count(*) from raw.touched_day") == 0
        )

    def _reference_fingerprint(self) -> str:
        """A hash of the small raw tables that are read whole, so that a changed directory is seen."""
        parts = [
            self.warehouse.value(f"select concat(count(*), ':', bit_xor(hash(t))) from raw.{name} as t")
            for name in ("account", "membership", "space", "coverage")
        ]
        return "/".join(str(part) for part in parts)

    def _set_variables(self) -> None:
        for name, value in self.parameters.model_dump().items():
            self._set(name, list(value) if isinstance(value, tuple) else value)
        self.warehouse.run("set variable as_of = cast($1 as date)", [self.report.as_of])

    def _set(self, name: str, value: Any) -> None:
        kind = {date: "date", datetime: "timestamp"}.get(type(value))
        self.warehouse.run(f"set variable {name} = " + (f"cast($1 as {kind})" if kind else "$1"), [value])

    # -- days ---------------------------------------------------------------------------------------------------------

    def _touch_every_day(self) -> None:
        self.warehouse.forget_memo(PAIRS)
        touch_every_day(self.warehouse, self.parameters.time_zone)
        for spec in self.day_tables:
            if self._exists(spec):
                # a day under another time zone, or a table with other columns, would otherwise stay
                self.warehouse.run(f"drop table {spec.full_name}")

    def _build_reference_tables(self) -> None:
        warehouse = self.warehouse
        is_first = not self._exists(self.catalog["core.pair_day"])
        if not is_first:
            keep_people_as_they_are(warehouse)
        for spec in self.reference_tables:
            self._build_table(spec)
        warehouse.remember("reference records", self._reference_fingerprint())
        if not is_first:
            touch_by_people(warehouse, self.parameters.time_zone)
        touch_by_threads(warehouse, self.parameters.time_zone)

    def _build_days(self) -> None:
        warehouse = self.warehouse
        for spec in self.day_tables:
            self._ensure(spec)
        volumes = touched_volumes(warehouse, self.parameters.time_zone)
        chunks = in_chunks(volumes, CHUNK_INTERACTIONS)
        self.report.touched_day_count = len(volumes)
        if volumes:
            low, high = instants_around(volumes[0][0], volumes[-1][0])
            note_answered_threads(warehouse, low, high)
        if self.engine is not None and volumes:
            self._choose_days([day for day, _ in volumes])
            self.computed |= compute(self.engine, warehouse, self.catalog, [spec for spec in self.day_tables if spec.partition])
        for number, chunk in enumerate(chunks):
            self.progress("days", number, len(chunks))
            self._choose_days(chunk)
            # bounds first: they let whole blocks be skipped
            where = "date between getvariable('touched_first') and getvariable('touched_last') and date in (select date from touched_day)"
            for spec in self.day_tables:
                # one transaction a table: of rows that are not committed DuckDB has no statistics, and plans the next table's joins badly
                with warehouse.transaction():
                    note_pairs(warehouse, spec, where)
                    warehouse.run(f"delete from {spec.full_name} where {where}")
                    self._insert(spec)
                    check(warehouse, spec, where)
                    note_pairs(warehouse, spec, where)
            with warehouse.transaction():
                warehouse.run(
                    "insert into raw.touched_panel select distinct kind, date_trunc(kind, date)::date from touched_day, "
                    "unnest(['week', 'month']) as k(kind) except select panel_kind, panel_start from raw.touched_panel"
                )
                note_unpublished(warehouse, "select 'day', date from touched_day")
                warehouse.run("delete from raw.touched_day where date in (select date from touched_day)")
        self.progress("days", len(chunks), len(chunks))
        for spec in self.day_tables:
            self._count(spec)

    def _choose_days(self, days: Sequence[date]) -> None:
        """Tell the SQL for which days rows are to be computed."""
        self._set("touched_first", days[0])
        self._set("touched_last", days[-1])
        low, high = instants_around(days[0], days[-1])
        self._set("touched_from", low)
        self._set("touched_to", high)
        self.warehouse.run("create or replace temp table touched_day as select unnest($1::date[]) as date", [days])
        self.warehouse.run(TOUCHED_QUARTER, {"time_zone": self.parameters.time_zone})
        self.warehouse.run(TOUCHED_THREADS_FROM)

    def _build_calendar_tables(self) -> None:
        """Gaps, coverage, panels; panels that are new, longer or observed otherwise than before are to be rebuilt."""
        warehouse = self.warehouse
        has_panels = self._exists(self.catalog["core.panel"])
        if has_panels:
            warehouse.run("create or replace temp table panel_before as select * from core.panel")
        for spec in self.calendar_tables:
            self._build_table(spec)
        if has_panels:
            warehouse.run(
                "insert into raw.touched_panel select panel_kind, panel_start "
                "from (select * from core.panel except select * from panel_before) "
                "except select panel_kind, panel_start from raw.touched_panel"
            )

    # -- metrics ------------------------------------------------------------------------------------------------------

    def _build_metrics(self, *, is_redefined: bool) -> None:
        warehouse = self.warehouse
        warehouse.run(
            "create or replace temp table every_touched_panel as select p.panel_kind, p.panel_start, p.panel_end from core.panel as p "
            # panels that began before the oldest kept contact can no longer be computed and stay as they are
            "where p.panel_kind = 'all' or p.panel_start >= cast($2 as date) and ($1 or exists "
            "(select 1 from raw.touched_panel as t where t.panel_kind = p.panel_kind and t.panel_start = p.panel_start))",
            [is_redefined, warehouse.memo(RETAINED) or "0001-01-01"],
        )
        self._choose_panels()
        # an engine is handed the contacts of all time, and sums every pair
        choose_pairs(warehouse, every=is_redefined or self.engine is not None)
        for spec in self.metric_tables:
            if spec.rebuild == "pair":
                self._ensure(spec)
                keep_totals(warehouse, spec)
        self.report.touched_panel_count = warehouse.value("select count(*) from touched_panel")
        batches = self._panel_batches()
        for number, spec in enumerate(self.metric_tables):
            self.progress(spec.full_name, number, len(self.metric_tables))
            if spec.partition and spec.full_name not in self.computed:
                self.computed |= compute(self.engine, warehouse, self.catalog, [each for each in self.metric_tables if each.partition])
            if spec.rebuild == "panel" and len(batches) > 1:
                for batch in batches:
                    self._choose_panels(batch)
                    with warehouse.transaction():
                        self._build_table(spec)
                self._choose_panels()
            else:
                with warehouse.transaction():
                    self._build_table(spec)
                    if spec.rebuild == "pair":
                        remember_added(warehouse)
        self.progress("metrics", len(self.metric_tables), len(self.metric_tables))

    def _choose_panels(self, panels: Sequence[tuple[str, date]] | None = None) -> None:
        """Tell the SQL for which panels rows are to be computed; None for all that are touched."""
        chosen = "true"
        if panels is not None:
            self.warehouse.run("create or replace temp table chosen_panel (panel_kind varchar, panel_start date)")
            self.warehouse.connection.executemany("insert into chosen_panel values ($1, $2)", panels)
            chosen = "(panel_kind, panel_start) in (from chosen_panel select (panel_kind, panel_start))"
        self.warehouse.run(f"create or replace temp table touched_panel as select * from every_touched_panel where {chosen}")
        self.warehouse.run(TOUCHED_PANEL_DAY)

    def _panel_batches(self) -> list[list[tuple[str, date]]]:
        """Touched panels in order, in batches of at most `PANEL_ROWS` rows by pair and day, or one panel that holds more."""
        rows = self.warehouse.run(
            "select p.panel_kind, p.panel_start, coalesce(sum(d.n), 0)::bigint from touched_panel_day as p "
            "left join (select date, count(*) as n from core.pair_day group by date) as d on d.date = p.date "
            "group by p.panel_kind, p.panel_start order by p.panel_kind desc, p.panel_start"
        )
        return in_chunks([((kind, start), count) for kind, start, count in rows], PANEL_ROWS)

    # -- one table ----------------------------------------------------------------------------------------------------

    def _build_table(self, spec: TableSpec) -> None:
        warehouse = self.warehouse
        where = "true"
        if spec.rebuild == "panel":
            where = self._of_touched_panels()
            self._ensure(spec)
            # `all` may have begun on another day before, and the build before may have spoken of later days
            gone = "panel_kind = 'all' and exists (from touched_panel where panel_kind = 'all')"
            if spec.is_whole_time_by_pair and not self._is_every_pair():
                where, gone = f"{where} and (panel_kind <> 'all' or {CHANGED_PAIR})", "false"
            warehouse.run(f"delete from {spec.full_name} where {where} or panel_start > getvariable('as_of') or {gone}")
        elif spec.rebuild == "pair":
            where = "true" if self._is_every_pair() else TOUCHED_TOTAL
            warehouse.run(f"delete from {spec.full_name} where {where}")
        else:
            warehouse.run(f"create or replace table {spec.full_name} ({_column_types(spec)})")
        self._insert(spec)
        check(warehouse, spec, where)
        self._count(spec)

    def _of_touched_panels(self) -> str:
        """The SQL condition of rows of the touched panels. Bounds first: they let whole blocks be skipped."""
        first, last = self.warehouse.run("select min(panel_start), max(panel_start) from touched_panel")[0]
        bounds = f"panel_start between date '{first}' and date '{last}' and " if first else ""
        return f"({bounds}(panel_kind, panel_start) in (select (panel_kind, panel_start) from touched_panel))"

    def _is_every_pair(self) -> bool:
        return bool(self.warehouse.value("select getvariable('is_every_pair')"))

    def _exists(self, spec: TableSpec) -> bool:
        return bool(self._columns(spec))

    def _columns(self, spec: TableSpec) -> list[str]:
        rows = self.warehouse.run(
            "select column_name, data_type from duckdb_columns() "
            "where schema_name = $1 and table_name = $2 and database_name = current_database() "
            "order by column_index",
            [spec.schema, spec.name],
        )
        return [f"{name} {kind.lower()}" for name, kind in rows]

    def _ensure(self, spec: TableSpec) -> None:
        """Make a table that is kept between builds; when its columns changed, keep what the old rows have of the new ones."""
        columns = self._columns(spec)
        if columns == [f"{column.name} {column.type}" for column in spec.columns]:
            return
        if not columns:
            self.warehouse.run(f"create table {spec.full_name} ({_column_types(spec)})")
            return
        self.warehouse.run(f"create or replace temp table kept as select * from {spec.full_name}")
        self.warehouse.run(f"create or replace table {spec.full_name} ({_column_types(spec)})")
        before = {each.partition(" ")[0] for each in columns}
        common = [column for column in spec.columns if column.name in before]
        if common:
            names = ", ".join(column.name for column in common)
            values = ", ".join(f"try_cast({column.name} as {column.type})" for column in common)
            self.warehouse.run(f"insert into {spec.full_name} ({names}) select {values} from kept")
        self.warehouse.run("drop table kept")

    def _insert(self, spec: TableSpec) -> None:
        try:
            if spec.is_python:
                self._insert_computed(spec)
            else:
                body = self.computed.get(spec.full_name, spec.body)
                self._verify_columns(spec, [row[0] for row in self.warehouse.run(f"describe {body}")])
                with self.warehouse.joining(as_written=spec.is_as_written):
                    self.warehouse.run(f"insert into {spec.full_name} select {_casts(spec)} from ({body}\n) as built")
        except duckdb.Error as error:
            raise BuildError(f"{spec.path}: {error}\nin the statement of {spec.full_name}") from error

    def _insert_computed(self, spec: TableSpec) -> None:
        function = spec.function
        arguments = {
            name: self._argument(spec, name, parameter.annotation) for name, parameter in inspect.signature(function).parameters.items()
        }
        result = function(**arguments)
        table = pa.Table.from_pandas(result, preserve_index=False) if isinstance(result, pd.DataFrame) else result
        self._verify_columns(spec, table.column_names)
        self.warehouse.connection.register("computed", table)
        try:
            self.warehouse.run(f"insert into {spec.full_name} select {_casts(spec)} from computed")
        finally:
            self.warehouse.connection.unregister("computed")

    def _argument(self, spec: TableSpec, name: str, annotation: Any) -> Any:
        if name == "parameters":
            return self.parameters
        if name == "touched_panel":
            table = self.warehouse.arrow("select * from touched_panel order by all")
        else:
            read = next(full for full in spec.reads if full.partition(".")[2] == name)
            source = self.catalog[read]
            where = ""
            if spec.rebuild == "panel" and {"panel_kind", "panel_start"} <= {column.name for column in source.columns} and name != "panel":
                where = f"where {self._of_touched_panels()}"
            types = {column.name: column.plain_type for column in source.columns}
            columns = ", ".join(f"{each}::{types[each]} as {each}" for each in spec.uses.get(name) or types)
            query = f"select {columns} from {read} {where}"
            if annotation == "duckdb.DuckDBPyRelation":  # read a part at a time
                return self.warehouse.connection.sql(query)
            table = self.warehouse.arrow(query)
        return table if annotation in (pa.Table, "pa.Table") else table.to_pandas()

    def _verify_columns(self, spec: TableSpec, built: Sequence[str]) -> None:
        documented = [column.name for column in spec.columns]
        if list(built) != documented:
            missing, extra = set(documented) - set(built), set(built) - set(documented)
            detail = (
                f"documented but not built: {sorted(missing)}; built but not documented: {sorted(extra)}"
                if missing or extra
                else "another order"
            )
            raise BuildError(f"{spec.path}: documented columns differ from the built ones ({detail})")

    def _count(self, spec: TableSpec) -> None:
        self.report.tables[spec.full_name] = self.warehouse.value(f"select count(*) from {spec.full_name}")


def _column_types(spec: TableSpec) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in spec.columns)


def _casts(spec: TableSpec) -> str:
    return ", ".join(f"cast({column.name} as {column.type}) as {column.name}" for column in spec.columns)
