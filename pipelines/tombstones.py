"""Who was forgotten: recognised in what lands, and taken out of what is stored.

A tombstone is the SHA-256 of a pseudonym (`connectors.opted_out`). What a batch says of such a person is dropped before
it is stored; an account that turns out to belong to one (an alias learnt later) is taken out with all that it left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.opted_out import tombstone
from connectors.records import Batch
from pipelines.changes import note_changes

if TYPE_CHECKING:
    from pipelines.warehouse import Warehouse

_TOGETHER: Final = "medium in ('slack_huddle', 'call', 'meeting_online', 'meeting_in_person', 'meeting_hybrid', 'meeting_unknown')"
_IS_SENDER: Final = "coalesce(list_contains(getvariable('forgotten'), sender_key), false)"
_ORDINAL: Final = "ordinal"
WITHOUT: Final[Mapping[str, str]] = {
    "sender_key": f"case when not {_IS_SENDER} then sender_key end",
    # a meeting stays what it was for the others; a message of someone forgotten connects nobody
    "participants": f"case when {_IS_SENDER} and not {_TOGETHER} then [] "
    "else list_filter(participants, lambda p: not list_contains(getvariable('forgotten'), p.account_key)) end",
    "exclusion": f"case when {_IS_SENDER} and not {_TOGETHER} then coalesce(exclusion, 'opted_out') else exclusion end",
}
"""Column of an interaction -> SQL of its value without the accounts of the variable `forgotten`."""


def person_key(person_id: str) -> int:
    """Return the leading 64 bits of a `person_id`, signed: the person's key in core tables."""
    value = int(person_id[:16], 16)
    return value - (1 << 64) if value >= 1 << 63 else value


class Tombstones:
    """The forgotten people of one warehouse.

    Args:
        warehouse: The warehouse. Every method that changes it belongs into a transaction of the caller.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._marks = frozenset(mark for (mark,) in warehouse.run("select tombstone from raw.tombstone"))
        self._known: dict[str, bool] = {}
        self.earlier: Callable[[str], Iterable[str]] = lambda _: ()
        """What a pseudonym was before rotations of the key (`Pseudonymiser.earlier`): tombstones of old still hold."""

    def __bool__(self) -> bool:
        return bool(self._marks)

    @property
    def marks(self) -> frozenset[str]:
        """Every tombstone, for the connectors' `opted_out`."""
        return self._marks

    def covers(self, pseudonym: object) -> bool:
        """Return whether a `person_id` or an `account_key` is of someone forgotten."""
        text = str(pseudonym)
        found = self._known.get(text)
        if found is None:
            found = self._known[text] = any(tombstone(name) in self._marks for name in (text, *self.earlier(text)))
        return found

    def add(self, pseudonyms: Iterable[str]) -> None:
        """Remember that these are to be kept out."""
        new = sorted({tombstone(text) for text in pseudonyms} - self._marks)
        if new:
            self._warehouse.run("insert into raw.tombstone select unnest($1::varchar[]), cast($2 as date)", [new, datetime.now(UTC).date()])
            self._marks |= set(new)
            self._known.clear()

    # -- what lands -----------------------------------------------------------------------------------------------------

    def kept_out(self, batch: Batch) -> tuple[dict[str, pa.Table], dict[str, str]]:
        """Return a batch's records and cursors without what they say of people who were forgotten."""
        records = dict(batch.records)
        if "account" in records:
            records["account"] = self._accounts(records["account"])
        for kind, column in (("membership", "account_key"), ("coverage", "unit_key"), ("sweep", "sender_key")):
            if kind in records:
                hits = self._hits(records[kind].column(column))
                if hits:
                    records[kind] = records[kind].filter(pc.invert(pc.fill_null(_is_in(records[kind].column(column), hits), False)))
        if "membership" in records:
            records["membership"] = self._without_managers(records["membership"])
        if "interaction" in records:
            records["interaction"] = self._interactions(records["interaction"])
        cursors = {name: self.scrubbed(name, value) for name, value in batch.cursors.items()}
        return records, cursors

    def _hits(self, column: pa.ChunkedArray) -> list[int]:
        return [key for key in pc.unique(column).to_pylist() if key is not None and self.covers(key)]

    def _accounts(self, accounts: pa.Table) -> pa.Table:
        keep: list[bool] = []
        learnt: list[dict[str, Any]] = []
        for row in accounts.select(["account_key", "person_id", "alias_ids"]).to_pylist():
            names = [row["account_key"], *([row["person_id"]] if row["person_id"] else []), *(row["alias_ids"] or [])]
            forgotten = [self.covers(name) for name in names]
            keep.append(not any(forgotten))
            if any(forgotten) and not all(forgotten):
                learnt.append(row)
        for row in learnt:
            ids = {*([row["person_id"]] if row["person_id"] else []), *(row["alias_ids"] or [])}
            self.add([str(row["account_key"]), *ids])
            self.erase({row["account_key"]}, ids)
        return accounts.filter(pa.array(keep, pa.bool_()))

    def _without_managers(self, memberships: pa.Table) -> pa.Table:
        managers = memberships.column("manager_key")
        hits = self._hits(managers)
        if not hits:
            return memberships
        hidden = pc.if_else(pc.fill_null(_is_in(managers, hits), False), pa.scalar(None, pa.int64()), managers)
        place = memberships.schema.get_field_index("manager_key")
        return memberships.set_column(place, memberships.schema.field(place), hidden)

    def _interactions(self, interactions: pa.Table) -> pa.Table:
        participants = pc.list_flatten(interactions.column("participants"))
        accounts = pc.struct_field(participants, "account_key")
        hits = sorted({*self._hits(interactions.column("sender_key")), *self._hits(accounts)})
        if not hits:
            return interactions
        warehouse = self._warehouse
        self._set(hits)
        ordered = interactions.append_column(_ORDINAL, pa.array(range(interactions.num_rows)))
        warehouse.connection.register("arriving", ordered)
        try:
            replaced = ", ".join(f"{sql} as {name}" for name, sql in WITHOUT.items())
            return warehouse.arrow(f"select * exclude ({_ORDINAL}) replace ({replaced}) from arriving order by {_ORDINAL}")
        finally:
            warehouse.connection.unregister("arriving")

    def _set(self, keys: Iterable[int]) -> None:
        self._warehouse.run("set variable forgotten = $1::bigint[]", [sorted(keys)])

    # -- cursors --------------------------------------------------------------------------------------------------------

    def scrubbed(self, name: str, value: str) -> str:
        """Return a cursor's value without forgotten people; empty, which removes it, where the cursor is theirs alone."""
        if any(self.covers(part) for part in name.split(":")):
            return ""
        if not value.startswith(("{", "[")):
            return "" if any(self.covers(part) for part in value.split("|")) else value
        try:
            held = orjson.loads(value)
        except ValueError:
            return value
        without = self._scrub(held)
        return value if without == held else orjson.dumps(without, option=orjson.OPT_SORT_KEYS).decode()

    def _scrub(self, held: Any) -> Any:
        if isinstance(held, dict):
            return {
                name: self._scrub(value)
                for name, value in held.items()
                if not self.covers(name) and not (isinstance(value, list) and value and isinstance(value[0], str) and self.covers(value[0]))
            }
        if isinstance(held, list):
            # a list of numbers, or of texts, is a set of people; in a mixed one each place has a meaning and must stay
            if {type(part) for part in held} in ({int}, {str}):
                return [part for part in held if not self.covers(part)]
            return [None if isinstance(part, int | str) and self.covers(part) else self._scrub(part) for part in held]
        return held

    # -- what is stored -------------------------------------------------------------------------------------------------

    def erase(self, account_keys: set[int], person_ids: set[str]) -> dict[str, int]:
        """Take accounts and persons out of every table and cursor, and note the days to rebuild.

        Returns:
            Table -> rows removed or changed.
        """
        warehouse = self._warehouse
        self._set(account_keys)
        counts = self._erase_interactions()
        listed = sorted(account_keys)
        for name, column in (("account", "account_key"), ("membership", "account_key"), ("coverage", "unit_key")):
            counts[f"raw.{name}"] = _deleted(warehouse, f"raw.{name}", f"list_contains($1::bigint[], {column})", listed)
        warehouse.run("update raw.membership set manager_key = null where list_contains($1::bigint[], manager_key)", [listed])
        changed = [
            (source, name, after)
            for source, name, value in warehouse.run("select source, name, value from raw.cursor")
            if (after := self.scrubbed(name, value)) != value
        ]
        for source, name, after in changed:
            warehouse.run("delete from raw.cursor where source = $1 and name = $2", [source, name])
            if after:
                warehouse.run("insert into raw.cursor values ($1, $2, $3)", [source, name, after])
        counts["raw.cursor"] = len(changed)
        counts |= self._erase_figures(person_keys(warehouse, account_keys, person_ids), person_ids)
        warehouse.remember("build", "unfinished")
        return {name: count for name, count in counts.items() if count}

    def _erase_interactions(self) -> dict[str, int]:
        warehouse = self._warehouse
        named = (
            "list_contains(getvariable('forgotten'), sender_key) or "
            "len(list_filter(participants, lambda p: list_contains(getvariable('forgotten'), p.account_key))) > 0"
        )
        warehouse.run(
            "create or replace temp table delta as select source, interaction_key, occurred_at, medium, thread_key "
            f"from raw.interaction where {named}"
        )
        count = warehouse.value("select count(*) from delta")
        if count:
            note_changes(warehouse)
            changes = ", ".join(f"{name} = {sql}" for name, sql in WITHOUT.items())
            warehouse.run(f"update raw.interaction set {changes} where {named}")
        warehouse.run("drop table delta")
        return {"raw.interaction": count}

    def _erase_figures(self, keys: set[int], person_ids: set[str]) -> dict[str, int]:
        """Delete every row of core and metrics that names a person: panels that are kept are not computed again."""
        warehouse = self._warehouse
        counts: dict[str, int] = {}
        for table, condition in naming_conditions(warehouse, sorted(keys), sorted(person_ids)).items():
            count = warehouse.value(f"select count(*) from {table} where {condition}")
            if count:
                warehouse.run(f"delete from {table} where {condition}")
            counts[table] = count
        return counts


def person_keys(warehouse: Warehouse, account_keys: set[int], person_ids: set[str]) -> set[int]:
    """Return the keys under which core tables may know the person behind accounts and addresses."""
    keys = {person_key(name) for name in person_ids}
    if warehouse.has_table("core", "account"):
        found = warehouse.run(
            "select distinct person_key from core.account where list_contains($1::bigint[], account_key) and person_key is not null",
            [sorted(account_keys)],
        )
        keys |= {key for (key,) in found}
    return keys


def naming_conditions(
    warehouse: Warehouse, keys: list[int], person_ids: list[str], schemas: Sequence[str] = ("core", "metrics")
) -> dict[str, str]:
    """Return, for each table of the schemas that could name a person, the SQL that is true of a row that does."""
    columns = warehouse.run(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and list_contains($1::varchar[], schema_name) and not internal "
        "and (data_type in ('BIGINT', 'BIGINT[]', 'UUID', 'VARCHAR', 'VARCHAR[]') or starts_with(data_type, 'STRUCT(account_key BIGINT'))",
        [list(schemas)],
    )
    whole = f"[{', '.join(str(key) for key in keys)}]::bigint[]"
    names = [f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}" for name in person_ids]
    texts = "[" + ", ".join(f"'{name}'" for name in [*names, *person_ids]) + "]::varchar[]"
    found: dict[str, list[str]] = {}
    for table, column, kind in columns:
        if kind == "BIGINT[]":
            test = f"list_has_any({column}, {whole})"
        elif kind == "BIGINT":
            test = f"list_contains({whole}, {column})"
        elif kind.startswith("STRUCT"):
            test = f"list_has_any(list_transform({column}, lambda p: p.account_key), {whole})"
        elif kind == "VARCHAR[]":
            test = f"list_has_any({column}, {texts})"
        else:
            test = f"list_contains({texts}, cast({column} as varchar))"
        found.setdefault(table, []).append(f"coalesce({test}, false)")
    return {table: " or ".join(tests) for table, tests in found.items()}


def _is_in(column: pa.ChunkedArray, keys: list[int]) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(keys, pa.int64()))


def _deleted(warehouse: Warehouse, table: str, condition: str, keys: list[int]) -> int:
    count: int = warehouse.value(f"select count(*) from {table} where {condition}", [keys])
    if count:
        warehouse.run(f"delete from {table} where {condition}", [keys])
    return count
