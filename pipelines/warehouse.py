"""The private DuckDB file: the only place that opens DuckDB for writing.

It stores what connectors hand over, in schema `raw`: a batch, its cursors and the days it touched are one transaction,
so that killing the process anywhere loses nothing and repeats nothing. Storing equal records again changes nothing and
touches no day; that is what makes a night cost what it brought.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import duckdb
import numpy as np
import pyarrow as pa

from connectors.errors import UserError
from connectors.records import NATURAL_KEYS, SCHEMAS, Authority, Batch
from pipelines.catalog import load_catalog
from pipelines.changes import note_changes
from pipelines.coverage import store_coverage
from pipelines.known import keep_known, merged
from pipelines.local_time import local_date
from pipelines.migrating import checksum, edited_migration, migration_files
from pipelines.tombstones import Tombstones
from pipelines.writer_lock import WriterLockedError, lock

PUBLISHED: Final = "published"
"""The memo of what the analysts' file was last written with; without it that file is written anew, not brought up to date."""
PAIRS: Final = "pairs"
"""The memo of up to which day, and by which clock, pairs were summed up; without it every pair is summed anew."""
RETAINED: Final = "retained from"
"""The memo of the first day whose interactions are kept; what is older was deleted, and panels of it are no longer computed."""
COMPACTED: Final = "compacted"
"""The memo of the month in which the file was last written anew; `due` where rows were deleted since."""
_TIME_MARGIN: Final = timedelta(days=2)
_ORDINAL: Final = "ordinal"


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing a batch changed: how many records were read, and how many interactions were new or different."""

    record_count: int
    interaction_count: int
    changed_interaction_count: int


class Warehouse:
    """The private file, opened for writing under a lock.

    Args:
        path: The file; None for one in memory (tests).
        time_zone: The organisation's time zone, which decides the day an interaction touches.
        memory_limit: DuckDB's memory limit, such as `4GB`; None for its default.
        wait_seconds: How long to wait while another process writes to it.

    Raises:
        WriterLockedError: If another process writes to it; the message names that run.
        UserError: If the file is not a warehouse of this or an older version.
    """

    def __init__(self, path: Path | None, *, time_zone: str = "UTC", memory_limit: str | None = None, wait_seconds: float = 0) -> None:
        self.path = path
        self.time_zone = time_zone
        self._memory_limit = memory_limit
        self._lock: IO[str] | None = None if path is None else lock(path, wait_seconds)
        try:
            self.connection = _connect(path, memory_limit)
            self._migrate()
            self.tombstones = Tombstones(self)
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release the lock."""
        self.connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- plain access -------------------------------------------------------------------------------------------------

    def run(self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Execute one statement and return all its rows (an open result would block the next statement)."""
        return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> Any:
        """Return the first column of the first row, or None where there is no row."""
        rows = self.run(sql, parameters)
        return rows[0][0] if rows else None

    def has_table(self, schema: str, name: str) -> bool:
        """Return whether a table exists."""
        found = self.value(
            "select count(*) from duckdb_tables() where schema_name = $1 and table_name = $2 and not temporary", [schema, name]
        )
        return bool(found)

    def arrow(self, sql: str) -> pa.Table:
        """Return a query's result as an Arrow table."""
        return self.connection.sql(sql).to_arrow_table()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is stored together or not at all."""
        self.connection.execute("begin")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    @contextmanager
    def joining(self, *, as_written: bool) -> Iterator[None]:
        """Inside, joins are made in the order in which a statement states them, each with a hash table of its right side.

        DuckDB's guesses of how many rows come of a filter are far off for large days, and a hash table of the large side costs
        several times as much. It misleads where a statement puts the large side on the right.
        """
        if as_written:
            self.run("set disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            yield
        finally:
            if as_written:
                self.run("reset disabled_optimizers")

    @contextmanager
    def _incoming(self, records: pa.Table) -> Iterator[None]:
        ordered = records.append_column(_ORDINAL, pa.array(np.arange(records.num_rows)))
        self.connection.register("incoming", ordered)
        try:
            yield
        finally:
            self.connection.unregister("incoming")

    # -- schema -------------------------------------------------------------------------------------------------------

    def _migrate(self) -> None:
        self.run(
            "create table if not exists main.schema_version "
            "(version integer not null, name varchar not null, applied_at timestamp not null)"
        )
        if not self.value(
            "select count(*) from duckdb_columns() where database_name = current_database() and schema_name = 'main' "
            "and table_name = 'schema_version' and column_name = 'checksum'"
        ):
            self.run("alter table main.schema_version add column checksum varchar")
        current = self.value("select coalesce(max(version), 0) from main.schema_version")
        steps = migration_files()
        newest = int(steps[-1].name.partition("_")[0])
        if current > newest:
            raise UserError(
                f"warehouse: the file has schema version {current}, this perdure knows up to {newest}; "
                "it was written by a newer perdure: install that version or newer"
            )
        if edited := edited_migration(self.run("select version, name, checksum from main.schema_version")):
            raise UserError(f"warehouse: {edited}")
        for step in steps:
            version = int(step.name.partition("_")[0])
            if version > current:
                with self.transaction():
                    self.connection.execute(step.read_text(encoding="utf-8"))
                    self.run("insert into main.schema_version values ($1, $2, $3, $4)", [version, step.stem, _now(), checksum(step)])
            elif self.value("select count(*) from main.schema_version where version = $1 and checksum is null", [version]):
                # applied before checksums were kept: what is installed now is taken for what was applied
                self.run("update main.schema_version set checksum = $2 where version = $1", [version, checksum(step)])

    # -- remembered values --------------------------------------------------------------------------------------------

    def memo(self, name: str) -> str | None:
        """Return a remembered value, or None."""
        found: str | None = self.value("select value from raw.memo where name = $1", [name])
        return found

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name, in place of the one before."""
        self.forget_memo(name)
        self.run("insert into raw.memo values ($1, $2)", [name, value])

    def forget_memo(self, name: str) -> None:
        """Remember nothing under a name any more."""
        self.run("delete from raw.memo where name = $1", [name])

    @contextmanager
    def recorded(self, command: str) -> Iterator[dict[str, Any]]:
        """Record a command that writes: the yielded mapping of counts is stored when it ends, with its outcome."""
        run_id = uuid.uuid4().hex
        counts: dict[str, Any] = {}
        self.run("insert into raw.run values ($1, $2, $3, null, null, null)", [run_id, command, _now()])
        outcome = "failed"
        try:
            yield counts
            outcome = "done"
        finally:
            self.run(
                "update raw.run set ended_at = $2, outcome = $3, counts = $4 where run_id = $1",
                [run_id, _now(), outcome, json.dumps(counts, default=str)],
            )

    # -- storing ------------------------------------------------------------------------------------------------------

    def state(self, source: str) -> WarehouseState:
        """Return what the connector of a source may ask of what is stored."""
        return WarehouseState(self, source)

    def store(self, batch: Batch, *, any_time: bool = False) -> Stored:
        """Store a batch with its cursors in one transaction.

        Args:
            batch: What a connector handed over.
            any_time: Whether an interaction may have been stored before at quite another time. False bounds the look-up
                to two days around the batch, so that its cost does not grow with history; files that people edit need True.
        """
        changed = 0
        interactions = batch.records.get("interaction")
        with self.transaction():
            kept, cursors = self.tombstones.kept_out(batch) if self.tombstones else (batch.records, batch.cursors)
            for kind, records in kept.items():
                if records.num_rows == 0:
                    continue
                with self._incoming(records):
                    if kind == "interaction":
                        changed = self._store_interactions(records, any_time=any_time, authority=batch.authority)
                    elif kind == "sweep":
                        changed += self._sweep()
                    elif kind == "coverage":
                        store_coverage(self)
                    else:
                        self._upsert(kind, batch.authority)
            if cursors:
                with self._incoming(pa.table({"name": list(cursors), "value": list(cursors.values())})):
                    self.run("delete from raw.cursor where source = $1 and name in (select name from incoming)", [batch.source])
                    self.run("insert into raw.cursor select $1, name, value from incoming where value <> ''", [batch.source])
        return Stored(batch.record_count, interactions.num_rows if interactions is not None else 0, changed)

    def _upsert(self, kind: str, authority: Authority) -> None:
        """Replace records that differ by natural key; of two equal keys in one batch the later wins."""
        keys = NATURAL_KEYS[kind]
        names = SCHEMAS[kind].names
        same = " and ".join(f"t.{key} is not distinct from s.{key}" for key in keys)
        last = f"select * from incoming qualify row_number() over (partition by {', '.join(keys)} order by {_ORDINAL} desc) = 1"
        if authority != "replaces" and kind in ("account", "space"):
            said = ", ".join(f"{merged(kind, name, authority)} as {name}" for name in names)
            last = f"select {said} from ({last}) as s left join raw.{kind} as t on {same}"
        self.run(
            f"create or replace temp table delta as select {', '.join(names)} from ({last}) as s "
            f"where not exists (select 1 from raw.{kind} as t where {same} and {_same_row(kind, 't', 's')})"
        )
        self.run(f"delete from raw.{kind} as t where exists (select 1 from delta as s where {same})")
        self.run(f"insert into raw.{kind} select * from delta")

    def _store_interactions(self, records: pa.Table, *, any_time: bool, authority: Authority) -> int:
        times = records.column("occurred_at")
        low, high = (datetime.fromisoformat(str(pa.compute.min_max(times)[end].as_py())) for end in ("min", "max"))
        bound = "true" if any_time else "t.occurred_at between $low and $high"
        window = {} if any_time else {"low": _naive(low - _TIME_MARGIN), "high": _naive(high + _TIME_MARGIN)}
        columns = ", ".join(_LANDED.get(name, name) + f" as {name}" for name in SCHEMAS["interaction"].names)
        self.connection.execute(
            f"create or replace temp table landed as select {columns} from incoming "
            f"qualify row_number() over (partition by source, interaction_key order by coalesce(is_received, false), {_ORDINAL} desc) = 1"
        )
        if authority != "replaces":
            keep_known(self, bound, window, authority)
        self.connection.execute(
            # whichever of two copies of an e-mail is read first: the sender's own holds
            "create or replace temp table delta as "
            "select s.*, t.occurred_at as stored_at, t.thread_key as stored_thread_key, t.interaction_key is not null as is_stored "
            f"from landed as s left join (select * from raw.interaction as t where {bound}) as t "
            "on t.source = s.source and t.interaction_key = s.interaction_key "
            "where t.interaction_key is null or not "
            f"({_same_row('interaction', 't', 's')} or coalesce(s.is_received and not t.is_received, false))",
            window or None,
        )
        changed: int = self.value("select count(*) from delta")
        if changed:
            if self.value("select bool_or(is_stored) from delta"):
                self.connection.execute(
                    f"delete from raw.interaction as t where {bound} and exists "
                    "(select 1 from delta as s where s.is_stored and s.source = t.source and s.interaction_key = t.interaction_key)",
                    window or None,
                )
            self.run(
                "insert into raw.interaction select * exclude (stored_at, stored_thread_key, is_stored) from delta order by occurred_at"
            )
            note_changes(self, "select stored_at, medium, stored_thread_key from delta")
        self.run("drop table landed")
        return changed

    def _sweep(self) -> int:
        """Mark as deleted what is stored in a window that was read whole and was not seen there."""
        self.run(
            "create or replace temp table delta as select distinct t.source, t.interaction_key, t.occurred_at, t.medium, t.thread_key "
            "from raw.interaction as t join incoming as s on t.source = s.source "
            "and t.occurred_at >= s.since at time zone 'UTC' and t.occurred_at < s.until at time zone 'UTC' "
            "and (s.space_key is null or t.space_key = s.space_key) "
            "and (s.sender_key is null or t.sender_key = s.sender_key) "
            "and (s.media is null or list_contains(s.media, t.medium)) "
            "and case when s.thread_key is not null then t.thread_key = s.thread_key and t.interaction_key <> s.thread_key "
            "when s.sender_key is not null then true else t.thread_key is null or t.thread_key = t.interaction_key end "
            "where t.exclusion is distinct from 'deleted' and not list_contains(s.seen, t.interaction_key)"
        )
        deleted: int = self.value("select count(*) from delta")
        if deleted:
            self.run(
                "update raw.interaction as t set exclusion = 'deleted', participants = [] "
                "where exists (select 1 from delta as s where s.source = t.source and s.interaction_key = t.interaction_key)"
            )
            note_changes(self)
        return deleted

    def count_before(self, first: date) -> tuple[int, int]:
        """Return how many interactions are of days before `first`, and how many there are."""
        old, values = self._before(first)
        return (
            self.value(f"select count(*) from raw.interaction where {old}", values),
            self.value("select count(*) from raw.interaction"),
        )

    def _before(self, first: date) -> tuple[str, dict[str, object]]:
        # a local day begins within a day of the UTC day: the bound lets whole blocks be passed over
        return f"occurred_at < $boundary + interval 2 day and {local_date('occurred_at')} < $boundary", {
            "time_zone": self.time_zone,
            "boundary": first,
        }

    def delete_before(self, first: date) -> dict[str, int]:
        """Delete interactions of days before `first`, and what was made of them; panels (`metrics`) stay.

        DuckDB only marks the blocks free: `compact`, which is noted as due, takes the bytes out of the file.

        Returns:
            Table -> rows deleted.
        """
        deleted: dict[str, int] = {}
        with self.transaction():
            for name in (name for name, spec in load_catalog().items() if spec.rebuild == "day"):
                if self.has_table(*name.split(".")):
                    deleted[name] = self.value(f"select count(*) from {name} where date < $1", [first])
                    if deleted[name]:
                        self.run(f"delete from {name} where date < $1", [first])
            old, values = self._before(first)
            deleted["raw.interaction"] = self.count_before(first)[0]
            self.connection.execute(f"delete from raw.interaction where {old}", values)
            self.run("delete from raw.touched_day where date < $1", [first])
            self.remember(RETAINED, str(first))
            if any(deleted.values()):
                self.forget_memo(PAIRS)  # what was summed up holds days that are gone
                self.remember("build", "unfinished")
                self.remember(COMPACTED, "due")
        return deleted

    def compact(self) -> None:
        """Rewrite the file without the rows that were deleted: DuckDB only marks their blocks free. So will the next publication."""
        self.forget_memo(PUBLISHED)
        self.run("checkpoint")
        if self.path is None:
            return
        beside = self.path.with_name(self.path.name + ".compact")
        beside.unlink(missing_ok=True)
        mask = os.umask(0o077)
        try:
            self._copy(beside)
        except BaseException:
            # what was begun takes room, and holds what is to be gone
            for leftover in (beside, beside.with_name(beside.name + ".wal")):
                leftover.unlink(missing_ok=True)
            raise
        finally:
            os.umask(mask)
        self.connection.close()
        beside.replace(self.path)
        self.connection = _connect(self.path, self._memory_limit)

    def _copy(self, beside: Path) -> None:
        name = self.value("select current_database()")
        target = str(beside).replace("'", "''")
        self.run(f"attach '{target}' as compacted (recovery_mode no_wal_writes)")
        try:
            self.run(f'copy from database "{name}" to compacted')
        finally:
            self.run("detach compacted")


class WarehouseState:
    """A connector's view of what is stored (see `connectors.state.State`)."""

    def __init__(self, warehouse: Warehouse, source: str) -> None:
        self._warehouse = warehouse
        self._source = source

    def cursor(self, name: str) -> str | None:
        """Return the value stored under a cursor's name, or None."""
        found: str | None = self._warehouse.value("select value from raw.cursor where source = $1 and name = $2", [self._source, name])
        return found

    def cursors(self, prefix: str) -> dict[str, str]:
        """Return every cursor whose name starts with `prefix`."""
        rows = self._warehouse.run("select name, value from raw.cursor where source = $1 and starts_with(name, $2)", [self._source, prefix])
        return dict(rows)

    def stored_keys(self, space_key: int, since: datetime, until: datetime) -> set[int]:
        """Return the keys of the space's stored interactions in [since, until) that are not marked deleted."""
        rows = self._warehouse.run(
            "select interaction_key from raw.interaction where source = $1 and space_key = $2 and occurred_at >= $3 and occurred_at < $4 "
            "and exclusion is distinct from 'deleted'",
            [self._source, space_key, _naive(since), _naive(until)],
        )
        return {key for (key,) in rows}


_LANDED: Final[Mapping[str, str]] = {
    "occurred_at": "occurred_at at time zone 'UTC'",
    # sorted, so that the order in which a service lists people is no change
    "participants": "list_sort(coalesce(participants, []))",
}


def _same_row(kind: str, left: str, right: str) -> str:
    return " and ".join(f"{left}.{name} is not distinct from {right}.{name}" for name in SCHEMAS[kind].names)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _connect(path: Path | None, memory_limit: str | None) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {"preserve_insertion_order": False}
    if memory_limit:
        config["memory_limit"] = memory_limit
    if path is None:
        connection = duckdb.connect(config=config)
    else:
        # 0600 from the first byte on: DuckDB creates files by the process's mask
        mask = os.umask(0o077)
        try:
            connection = duckdb.connect(str(path), config=config)
        except duckdb.IOException as error:
            if "could not set lock" in str(error).lower():
                raise WriterLockedError("warehouse: another program has the file open; close it and run again") from None
            raise UserError(
                f"warehouse: {path.name} cannot be opened ({type(error).__name__}); "
                "restore it from a backup, or move it away and import again"
            ) from None
        finally:
            os.umask(mask)
    connection.execute("set TimeZone = 'UTC'")
    # the build tells its own progress; DuckDB's bar would stand between the lines of a log
    connection.execute("set enable_progress_bar = false")
    return connection
