"""What a Spark task does with its part: the tables' own SQL, in a DuckDB in memory. This module runs on executors.

It needs nothing but DuckDB and pyarrow, knows no key and no address, and leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import duckdb
import pyarrow as pa

ROWS_PER_BATCH: Final = 65_536
WHICH: Final = "built"
"""The column that says of which table a row of a stage's output is."""


class PartitionError(Exception):
    """A table could not be computed from a part; the message names its file."""


@dataclass(frozen=True, slots=True)
class PartTable:
    """A table to be computed in each part.

    Attributes:
        schema: `core` or `metrics`.
        name: Its name.
        file: The file of its definition, for messages.
        body: Its select statement, as the file has it.
        columns: Column -> DuckDB type.
        is_wanted: Whether its rows are handed back; otherwise others read it only.
    """

    schema: str
    name: str
    file: str
    body: str
    columns: Mapping[str, str]
    is_wanted: bool = True

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def casts(self) -> str:
        """The select list that gives each column its documented type."""
        return ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in self.columns.items())


@dataclass(frozen=True, slots=True)
class Stage:
    """Tables that are computed together, part by part, from one table that is cut up.

    Attributes:
        root: The table that is cut up, with its columns; its body is empty.
        tables: What is computed, in build order.
        references: Full name -> the whole small table, as an Arrow stream.
        variables: What the SQL reads by `getvariable`.
        days_of_part: Whether `touched_day` is every day of the part; otherwise it is a reference.
        memory_limit: DuckDB's memory limit in one task; beyond it, it goes on on disk.
    """

    root: PartTable
    tables: tuple[PartTable, ...]
    references: Mapping[str, bytes]
    variables: Mapping[str, Any]
    days_of_part: bool
    memory_limit: str

    def run(self, part: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Compute every table from one part of the root.

        Yields:
            Batches of one text column that names the table, and for each wanted table a struct of its columns, which is
            empty but in that table's rows.

        Raises:
            PartitionError: If DuckDB refuses a statement.
        """
        part = iter(part)
        first = next((batch for batch in part if batch.num_rows), None)
        if first is None:  # a part without rows has no pair, and so no row of any table
            return
        with _duckdb(self.memory_limit) as connection:
            self._load(connection, first, part)
            for table in self.tables:
                try:
                    connection.execute(f"create table {table.full_name} as select {table.casts} from ({table.body}\n) as built_here")
                except duckdb.Error as error:
                    raise PartitionError(f"{table.file}: {error}\nin the statement of {table.full_name}, in one part") from None
            for place, table in enumerate(self.wanted):
                for batch in connection.execute(f"select * from {table.full_name}").to_arrow_reader(ROWS_PER_BATCH):
                    yield self._labelled(place, batch)

    @property
    def wanted(self) -> tuple[PartTable, ...]:
        """The tables whose rows are handed back."""
        return tuple(table for table in self.tables if table.is_wanted)

    def _load(self, connection: duckdb.DuckDBPyConnection, first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> None:
        for name, value in self.variables.items():
            kind = {date: "date", datetime: "timestamp"}.get(type(value))
            connection.execute(f"set variable {name} = " + (f"cast($1 as {kind})" if kind else "$1"), [value])
        for schema in ("raw", "core", "metrics"):
            connection.execute(f"create schema {schema}")
        for name, stream in self.references.items():
            connection.register("reference", pa.ipc.open_stream(stream).read_all())
            connection.execute(f"create table {name} as select * from reference")
            connection.unregister("reference")
        connection.register("part", pa.RecordBatchReader.from_batches(first.schema, _chained(first, rest)))
        connection.execute(f"create table {self.root.full_name} as select {self.root.casts} from part")
        connection.unregister("part")
        if self.days_of_part:
            connection.execute(f"create table touched_day as select distinct date from {self.root.full_name}")

    def _labelled(self, place: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Put a batch of one table's rows into the common form of all."""
        rows = batch.num_rows
        columns: list[pa.Array] = [pa.array([self.wanted[place].full_name] * rows, pa.string())]
        for other, table in enumerate(self.wanted):
            kinds = pa.struct([pa.field(name, arrow_type(kind)) for name, kind in table.columns.items()])
            if other == place:
                cast = [column.cast(kinds.field(number).type) for number, column in enumerate(batch.columns)]
                columns.append(pa.StructArray.from_arrays(cast, fields=list(kinds)))
            else:
                columns.append(pa.nulls(rows, kinds))
        return pa.RecordBatch.from_arrays(columns, names=[WHICH, *(table.name for table in self.wanted)])


_ARROW: Final[Mapping[str, pa.DataType]] = {
    "bigint": pa.int64(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def arrow_type(kind: str) -> pa.DataType:
    """Return the Arrow type in which a column of a DuckDB type leaves a part."""
    return pa.list_(_ARROW[kind.removesuffix("[]")]) if kind.endswith("[]") else _ARROW[kind]


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


@contextmanager
def _duckdb(memory_limit: str) -> Iterator[duckdb.DuckDBPyConnection]:
    # Spark gives a task one core; what does not fit into memory goes to a folder that is gone with the task
    with tempfile.TemporaryDirectory(prefix="perdure-part-") as folder, duckdb.connect() as connection:
        for setting, value in {
            "threads": "1",
            "memory_limit": memory_limit,
            "temp_directory": folder,
            "preserve_insertion_order": "false",
            "TimeZone": "UTC",
        }.items():
            connection.execute(f"set {setting} = '{value}'")
        yield connection
