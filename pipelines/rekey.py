"""Every pseudonym of the private file, replaced in one transaction.

What is a pseudonym is told by type and name: 64-bit integers named `..._key`, and person ids. A table in which the pair's
lesser key comes first is put in order again, and its columns of one side or the other change places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import pyarrow as pa

from connectors.rotation import Rotation
from pipelines.catalog import load_catalog
from pipelines.warehouse import Warehouse

_AT_ONCE: Final = 1_000_000
_SURELY_A_KEY: Final = 1 << 53
"""No time, count or offset that a cursor holds is this large; one key of a thousand is smaller."""
_SIDES: Final = {"a": "b", "b": "a", "ab": "ba", "ba": "ab"}
_PERSON_ID: Final = re.compile(r"[0-9a-f]{32}")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")


def rekey(warehouse: Warehouse, rotation: Rotation) -> dict[str, int]:
    """Replace every key and id of the private file. Belongs into a transaction of the caller.

    Returns:
        Table -> rows rewritten.
    """
    columns = _key_columns(warehouse)
    _map_keys(warehouse, columns, rotation.key)
    small = {key for (key,) in warehouse.run("select old_key from rekeyed where abs(old_key) < $1", [_SURELY_A_KEY])}
    counts = {"raw.cursor": _rekey_cursors(warehouse, _Tokens(rotation, small))}
    _map_ids(warehouse, rotation.person_id)
    is_built = warehouse.has_table("core", "account")
    if is_built:
        warehouse.run("create or replace temp table account_of_old as select source, account_key, person_key from core.account")
    in_order = sorted(columns, key=lambda name: (not name.startswith("raw."), name))
    for table in (name for name in in_order if name.startswith("raw.")):
        counts[table] = _rewrite(warehouse, table, columns[table])
    if is_built:
        _map_people(warehouse)
        for table in (name for name in in_order if not name.startswith("raw.")):
            counts[table] = _rewrite(warehouse, table, columns[table])
    for name in ("rekeyed", "reidentified", "account_of_old", "person_rekeyed"):
        warehouse.run(f"drop table if exists temp.{name}")
    return {name: count for name, count in counts.items() if count}


def _key_columns(warehouse: Warehouse) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, column in warehouse.run(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() where database_name = current_database() "
        "and schema_name in ('raw', 'core', 'metrics') and data_type = 'BIGINT' and ends_with(column_name, '_key') order by all"
    ):
        found.setdefault(table, []).append(column)
    return found


# -- which stands for which -------------------------------------------------------------------------------------------


def _map_keys(warehouse: Warehouse, columns: dict[str, list[str]], key: Callable[[int], int]) -> None:
    """Make `rekeyed`: every 64-bit key that is stored, and what stands for it."""
    parts = [f"select {column} as k from {table}" for table, names in columns.items() for column in names]
    parts.append("select unnest(participants).account_key from raw.interaction")
    held = warehouse.arrow(f"select distinct k from ({' union all '.join(parts)}) as every where k is not null")
    warehouse.run("create or replace temp table rekeyed (old_key bigint not null, new_key bigint not null)")
    for start in range(0, held.num_rows, _AT_ONCE):
        old = held.slice(start, _AT_ONCE).column(0).to_pylist()
        _insert(warehouse, "rekeyed", {"old_key": old, "new_key": [key(value) for value in old]}, pa.int64())


def _map_ids(warehouse: Warehouse, person_id: Callable[[str], str]) -> None:
    """Make `reidentified`: every person id of an address, and what stands for it."""
    old = [
        name
        for (name,) in warehouse.run(
            "select distinct unnest(list_append(coalesce(alias_ids, []), person_id)) as n from raw.account "
            "where person_id is not null or alias_ids is not null"
        )
        if name is not None
    ]
    warehouse.run("create or replace temp table reidentified (old_id varchar not null, new_id varchar not null)")
    _insert(warehouse, "reidentified", {"old_id": old, "new_id": [person_id(name) for name in old]}, pa.string())


def _map_people(warehouse: Warehouse) -> None:
    """Make `person_rekeyed`, and let `rekeyed` follow it: a person is who their accounts, under the new keys, are found to be.

    Of several addresses the one with the least id stands for the person, and least it is under the new key; whoever shows no
    address is known by a hash of the account. So `core.account` is asked again.
    """
    warehouse.run(
        "create or replace temp table person_rekeyed as "
        "select b.person_key as old_key, min(n.person_key) as new_key, arg_min(n.person_id, n.person_key) as new_id "
        "from account_of_old as b join rekeyed as r on r.old_key = b.account_key "
        f"join ({load_catalog()['core.account'].body}) as n on n.source = b.source and n.account_key = r.new_key "
        "where b.person_key is not null and n.person_key is not null group by b.person_key"
    )
    warehouse.run("delete from rekeyed where old_key in (select old_key from person_rekeyed)")
    warehouse.run("insert into rekeyed select old_key, new_key from person_rekeyed")


def _insert(warehouse: Warehouse, table: str, columns: dict[str, list[Any]], kind: pa.DataType) -> None:
    warehouse.connection.register("arriving", pa.table({name: pa.array(values, kind) for name, values in columns.items()}))
    try:
        warehouse.run(f"insert into {table} select * from arriving")
    finally:
        warehouse.connection.unregister("arriving")


# -- tables -----------------------------------------------------------------------------------------------------------


def _rewrite(warehouse: Warehouse, table: str, keys: list[str]) -> int:
    """Write a table anew with its keys and ids replaced, in the order in which its rows stand; return how many there are."""
    names = [column[0] for column in warehouse.connection.execute(f"select * from {table} limit 0").description or ()]
    kinds = dict(warehouse.run("select column_name, data_type from duckdb_columns() where schema_name || '.' || table_name = $1", [table]))
    joins = [f"left join rekeyed as r{place} on r{place}.old_key = t.{key}" for place, key in enumerate(keys)]
    values = {name: f"t.{name}" for name in names} | {key: f"r{place}.new_key" for place, key in enumerate(keys)}
    if kinds.get("person_id") == "UUID":
        joins.append("left join person_rekeyed as p on p.old_key = t.person_key")
        values["person_id"] = "coalesce(p.new_id, t.person_id)"
    elif "person_id" in kinds:
        joins.append("left join reidentified as i on i.old_id = t.person_id")
        values["person_id"] = "i.new_id"
        joins.append(
            "left join (select place, list_sort(list(r.new_id)) as alias_ids "
            f"from (select rowid as place, unnest(alias_ids) as n from {table}) as u join reidentified as r on r.old_id = n "
            "group by place) as a on a.place = t.rowid"
        )
        values["alias_ids"] = "coalesce(a.alias_ids, t.alias_ids)"
    if "participants" in kinds:
        joins.append(
            "left join (select place, list_sort(list(struct_pack(account_key := r.new_key, evidence := p.evidence))) as participants "
            f"from (select rowid as place, unnest(participants) as p from {table}) as u join rekeyed as r on r.old_key = p.account_key "
            "group by place) as q on q.place = t.rowid"
        )
        values["participants"] = "coalesce(q.participants, [])"
    warehouse.run(
        f"create or replace temp table rewritten as select t.rowid as place, {', '.join(f'{values[name]} as {name}' for name in names)} "
        f"from {table} as t {' '.join(joins)}"
    )
    count: int = warehouse.value(f"select count(*) from {table}")
    if warehouse.value("select count(*) from rewritten") != count:
        raise RuntimeError(f"{table}: a key stands for more than one")
    warehouse.run(f"delete from {table}")
    warehouse.run(f"insert into {table} select {', '.join(_in_order(table, names))} from rewritten order by place")
    warehouse.run("drop table rewritten")
    return count


def _in_order(table: str, names: list[str]) -> Iterator[str]:
    """Yield each column's SQL: where two sides stand in the order of their keys, they change places if the keys do."""
    if table == "core.contact":
        swapped, twins = "evidence = 'co_present' and from_key > to_key", {"from_key": "to_key", "to_key": "from_key"}
    elif {"person_a_key", "person_b_key"} <= set(names):
        swapped = "person_a_key > person_b_key"
        twins = {name: "_".join(_SIDES.get(part, part) for part in name.split("_")) for name in names}
    else:
        swapped, twins = "false", {}
    for name in names:
        twin = twins.get(name, name)
        yield f"case when {swapped} then {twin} else {name} end as {name}" if twin != name and twin in names else name


# -- cursors ----------------------------------------------------------------------------------------------------------


class _Tokens:
    """Replaces what is a key or an id among the parts of a cursor."""

    def __init__(self, rotation: Rotation, small: set[int]) -> None:
        self._rotation = rotation
        self._small = small

    def text(self, text: str) -> str:
        if _PERSON_ID.fullmatch(text):
            return self._rotation.person_id(text)
        return str(self.number(int(text))) if _INTEGER.fullmatch(text) else text

    def number(self, value: int) -> int:
        is_key = value in self._small or _SURELY_A_KEY <= abs(value) <= 1 << 63
        return self._rotation.key(value) if is_key else value

    def deep(self, held: Any) -> Any:
        if isinstance(held, dict):
            return {self.text(name): self.deep(value) for name, value in held.items()}
        if isinstance(held, list):
            return [self.deep(value) for value in held]
        if isinstance(held, str):
            return self.text(held)
        return self.number(held) if isinstance(held, int) and not isinstance(held, bool) else held

    def value(self, value: str) -> str:
        if value.startswith(("{", "[")):
            try:
                return orjson.dumps(self.deep(orjson.loads(value)), option=orjson.OPT_SORT_KEYS).decode()
            except ValueError:
                return value
        return "|".join(self.text(part) for part in value.split("|"))


def _rekey_cursors(warehouse: Warehouse, tokens: _Tokens) -> int:
    changed = []
    for source, name, value in warehouse.run("select source, name, value from raw.cursor"):
        after = ":".join(tokens.text(part) for part in name.split(":")), tokens.value(value)
        if after != (name, value):
            changed.append((source, name, *after))
    for source, name, _, _ in changed:
        warehouse.run("delete from raw.cursor where source = $1 and name = $2", [source, name])
    for source, _, name, value in changed:
        warehouse.run("insert into raw.cursor values ($1, $2, $3)", [source, name, value])
    return len(changed)
