"""Computing partitioned tables on Spark and handing them to the build."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pipelines.build_errors import BuildError
from pipelines.catalog import TableSpec
from pipelines.spark.partition import WHICH, PartTable, Stage
from pipelines.spark.session import start
from pipelines.spark.stages import ROOTS, plan
from pipelines.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

ROWS_PER_PART: Final = 1_000_000
"""About how many rows go into one part: what a task holds at once, however large the whole."""
_SPARK_TYPES: Final[Mapping[str, str]] = {"varchar": "string", "timestamp": "timestamp_ntz"}


class SparkEngine:
    """Computes tables that can be partitioned on Spark; the build lands them and computes the rest.

    Args:
        exchange: A folder that this machine and every executor see under the same path: parts are read and written
            there. It is open to its owner alone and emptied at the end.
        master: Spark's master, such as `local[4]`, `yarn` or `k8s://...`; None for what spark-submit says.
        conf: Further settings of Spark.
    """

    def __init__(self, exchange: Path, *, master: str | None = None, conf: Mapping[str, str] | None = None) -> None:
        self.exchange = exchange
        self.master = master
        self.conf = dict(conf or {})
        self._session: SparkSession | None = None
        self._jobs = 0

    def __enter__(self) -> Self:
        self._clear()
        self.exchange.mkdir(mode=0o700, parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            self._session.stop()
            self._session = None
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.exchange, ignore_errors=True)

    @property
    def session(self) -> SparkSession:
        """The session, started on first use: a night that brought nothing starts none."""
        if self._session is None:
            self._session = start(self.master, self.conf, self.exchange / "scratch")
        return self._session

    def compute(self, warehouse: Warehouse, catalog: Mapping[str, TableSpec], wanted: Sequence[TableSpec]) -> dict[str, str]:
        """Compute tables on Spark.

        Args:
            warehouse: The private file, with all that the tables read but what is computed along with them.
            catalog: All tables.
            wanted: The tables to compute.

        Returns:
            Full name -> a select statement that gives its rows.

        Raises:
            BuildError: If a task failed for good; the message names the table.
        """
        found: dict[str, str] = {}
        for kind in ROOTS:
            chosen = [spec for spec in wanted if spec.partition == kind]
            if chosen:
                stage = plan(warehouse, catalog, chosen)
                found |= self._run(warehouse, stage, kind, found.get(stage.root.full_name) or self._cut_out(warehouse, kind))
        return found

    def _cut_out(self, warehouse: Warehouse, kind: str) -> str:
        """Return the rows of the table that is cut up: contacts of all time, or the interactions of the touched days with their threads."""
        if kind == "pair":
            return "select * from core.contact"
        inside = "occurred_at >= getvariable('touched_from') and occurred_at < getvariable('touched_to')"
        return (
            f"select * from raw.interaction where ({inside}) or (source, coalesce(thread_key, interaction_key)) in "
            f"(select (source, thread_key) from raw.interaction where thread_key is not null and {inside})"
        )

    def _run(self, warehouse: Warehouse, stage: Stage, kind: str, rows: str) -> dict[str, str]:
        self._jobs += 1
        source, target = self.exchange / f"{self._jobs}-{kind}.parquet", self.exchange / f"{self._jobs}-{kind}"
        warehouse.run(f"copy ({rows}) to '{_quoted(source)}' (format parquet, compression zstd)")
        count = warehouse.value(f"select count(*) from read_parquet('{_quoted(source)}')")
        if count:
            self._map(stage, kind, source, target, count)
        source.unlink()
        return {table.full_name: _landed(table, target / f"{WHICH}={table.full_name}") for table in stage.wanted}

    def _map(self, stage: Stage, kind: str, source: Path, target: Path, count: int) -> None:
        from pyspark.errors import PySparkException

        session = self.session
        parts = max(2 * session.sparkContext.defaultParallelism, -(-count // ROWS_PER_PART))
        rows = session.read.parquet(source.as_uri())
        computed = rows.repartition(parts, *_keys(kind)).mapInArrow(stage.run, _spark_schema(stage.wanted))
        try:
            # Spark moves a task's files in place once, when it is done: a task that died halfway leaves nothing
            computed.write.partitionBy(WHICH).parquet(target.as_uri())
        except PySparkException as error:
            raise BuildError(f"spark: {_reason(error)}") from error


def _keys(kind: str) -> list[Column]:
    from pyspark.sql import functions

    if kind == "thread":
        return [functions.col("source"), functions.coalesce("thread_key", "interaction_key")]
    return [functions.least("from_key", "to_key"), functions.greatest("from_key", "to_key")]


def _spark_schema(tables: Sequence[PartTable]) -> str:
    return ", ".join([f"{WHICH} string", *(f"{table.name} struct<{_spark_columns(table)}>" for table in tables)])


def _spark_columns(table: PartTable) -> str:
    return ", ".join(f"{name}: {_spark_type(kind)}" for name, kind in table.columns.items())


def _spark_type(kind: str) -> str:
    plain = kind.removesuffix("[]")
    found = _SPARK_TYPES.get(plain, plain)
    return f"array<{found}>" if kind.endswith("[]") else found


def _landed(table: PartTable, folder: Path) -> str:
    """Return the statement that gives a table's rows from what Spark wrote; no folder is there where no row is."""
    if not folder.is_dir():
        return f"select {', '.join(f'cast(null as {kind}) as {name}' for name, kind in table.columns.items())} where false"
    return f"select unnest({table.name}) from read_parquet('{_quoted(folder / '*.parquet')}', hive_partitioning = false)"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _reason(error: Exception) -> str:
    """Return what a task said, without the stacks of both languages around it."""
    found = re.findall(r"(?:PartitionError|Error|Exception): (.+(?:\n.*in the statement of .+)?)", str(error))
    return found[-1] if found else type(error).__name__
