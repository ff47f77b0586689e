"""What was told before: exports over time are one release.

Who holds last month's export and this month's holds their difference, and after somebody was erased the difference is that person. So a
period that was told stays as it was told: its rows come from what the home keeps in `told/`, whatever folder an export goes to. A period
that is not over is not told at all, since the next export might withhold what this one shows. Figures of no period (the whole time) stay
as told until a new week is over.

A period is told anew only when more was collected of it than before (days observed, or a source), or when definitions, settings or
declarations changed: such a difference is everybody's, and its size is nobody's to know. Erasures, late messages and a shorter history
are none of these.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.errors import UserError
from metrics.disclosure import row_before
from metrics.roles import CALENDAR, DESIGN, LAG, Role

FOLDER: Final = "told"
_STATE: Final = "told.json"
_WHOLE: Final = "whole"
_OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides whether a period may be told anew.

    Attributes:
        as_of: The last day that the figures speak of.
        definition: A hash of definitions, settings and declarations.
        observed: Days on which collection was whole, in order.
        sources: Source -> its first and last day.
    """

    as_of: date
    definition: str
    observed: tuple[date, ...]
    sources: Mapping[str, tuple[date, date]]

    def of(self, block: str) -> str:
        """What was known of a block when it was told; another text means that it may be told anew."""
        if block == _WHOLE:
            # a week that is over; and whether history was added before its beginning
            week = (self.as_of + timedelta(days=1)).isocalendar()
            first = self.observed[0] if self.observed else None
            return f"{self.definition} {week.year}-{week.week} {first} {' '.join(sorted(self.sources))}"
        kind, _, start = block.partition(" ")
        first = date.fromisoformat(start)
        after = end_of(kind, first)
        days = sum(first <= day < after for day in self.observed)
        sources = sorted(name for name, (begin, end) in self.sources.items() if begin < after and end >= first)
        return f"{self.definition} {days} {' '.join(sources)}"


def end_of(kind: str, start: date) -> date:
    """The first day after a period."""
    if kind == "week":
        return start + timedelta(days=7)
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def circumstances(connection: duckdb.DuckDBPyConnection) -> Circumstances:
    """Read what decides over a period from the published file."""
    about = connection.execute("select as_of, perdure_version, cast(parameters as varchar) from metrics.about").fetchall()[0]
    digest = hashlib.sha256(json.dumps([str(each) for each in about[1:]]).encode())
    for table in ("metrics.catalog_column", "core.organisation", "core.policy", "core.declared_relationship"):
        if _has(connection, table):
            digest.update(str(connection.execute(f"select * from {table} order by all").fetchall()).encode())
    observed, sources = [], []
    if _has(connection, "metrics.observed_day"):
        observed = connection.execute("select date from metrics.observed_day where is_observed order by date").fetchall()
    if _has(connection, "core.coverage_day"):
        sources = connection.execute(
            "select source, min(date), max(date) from core.coverage_day where interaction_count > 0 group by source order by source"
        ).fetchall()
    return Circumstances(
        about[0] or date.min, digest.hexdigest()[:16], tuple(day for (day,) in observed), {name: (a, b) for name, a, b in sources}
    )


def _has(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, _, name = table.partition(".")
    found = connection.execute("select count(*) from duckdb_tables() where schema_name = $1 and table_name = $2", [schema, name]).fetchall()
    return bool(found[0][0])


def as_told(
    fresh: Mapping[str, pa.Table],
    roles: Mapping[str, Mapping[str, Role]],
    grains: Mapping[str, tuple[str, ...]],
    now: Circumstances,
    folder: Path,
    minimum_group_size: int,
) -> dict[str, pa.Table]:
    """Return what leaves: periods told before as they were told, the others as they are now; and keep it for the next time.

    Args:
        fresh: Full name -> table after disclosure control.
        roles: Full name -> roles of its columns.
        grains: Full name -> its dimensions.
        now: What decides whether a period is told anew.
        folder: Where the home keeps what was told.
        minimum_group_size: The smallest group of today; what was told under a smaller one is told anew.

    Raises:
        UserError: If the folder cannot be read or written.
    """
    try:
        state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8")) if (folder / _STATE).exists() else {}
        found, known = {}, {}
        for name, table in fresh.items():
            path = folder / f"{name}.parquet"
            earlier = pq.read_table(path) if path.exists() and state.get("minimum_group_size") == minimum_group_size else None
            blocks = state.get("blocks", {}).get(name, {})
            found[name], known[name] = _merged(table, earlier, roles[name], grains[name], now, blocks)
        kept = {"minimum_group_size": minimum_group_size, "blocks": known}
        _write(folder, found, kept)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"{folder}: what was told before cannot be read or written there ({type(error).__name__}); restore it from a backup, "
            "or remove it if no export was ever handed out"
        ) from None
    return found


def _merged(
    fresh: pa.Table,
    earlier: pa.Table | None,
    roles: Mapping[str, Role],
    grain: tuple[str, ...],
    now: Circumstances,
    known: Mapping[str, str],
) -> tuple[pa.Table, dict[str, str]]:
    if all(role.kind in (CALENDAR, DESIGN) for role in roles.values()):
        return fresh, {}
    labels = _blocks(fresh, grain, now.as_of)
    before = _blocks(earlier, grain, now.as_of) if earlier is not None else np.array([], object)
    first = now.observed[0] if now.observed else now.as_of
    wanted = {block: now.of(block) for block in sorted({*labels, *before} - {_OPEN})}
    held = {block for block, text in wanted.items() if known.get(block) == text and block in set(before)}
    # what retention took from the warehouse is told no longer
    held -= {block for block in held - {*labels} if block != _WHOLE and date.fromisoformat(block.partition(" ")[2]) < first.replace(day=1)}
    parts = [fresh.filter(pa.array([label != _OPEN and label not in held for label in labels], pa.bool_()))]
    if earlier is not None and held:
        parts.append(_aligned(earlier.filter(pa.array([label in held for label in before], pa.bool_())), fresh.schema))
    table = pa.concat_tables(parts).combine_chunks() if len(parts) > 1 else parts[0]
    if len(parts) > 1 and grain:
        table = table.sort_by([(name, "ascending") for name in grain if not pa.types.is_list(table.schema.field(name).type)])
    return _with_lags(table, roles, grain), {block: text for block, text in wanted.items() if block in held or block in set(labels)}


def _blocks(table: pa.Table, grain: tuple[str, ...], as_of: date) -> np.ndarray[Any, np.dtype[Any]]:
    """For each row the period it speaks of, as `month 2025-01-01`; `whole` for none, `open` for one that is not over."""
    if "panel_start" in grain:
        pairs = list(zip(table["panel_kind"].to_pylist(), table["panel_start"].to_pylist(), strict=True))
    elif "week_start" in grain:
        pairs = [("week", start) for start in table["week_start"].to_pylist()]
    else:
        return np.full(table.num_rows, _WHOLE, object)
    seen: dict[tuple[str, date], str] = {}
    found = np.empty(table.num_rows, object)
    for row, (kind, start) in enumerate(pairs):
        if (kind, start) not in seen:
            is_over = kind == "all" or end_of(kind, start) <= as_of + timedelta(days=1)
            seen[kind, start] = _OPEN if not is_over else _WHOLE if kind == "all" else f"{kind} {start.isoformat()}"
        found[row] = seen[kind, start]
    return found


def _aligned(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table as it was told, with the columns of today: what it did not tell is empty."""
    columns = [
        table[each.name].cast(each.type) if each.name in table.column_names else pa.nulls(table.num_rows, each.type) for each in schema
    ]
    return pa.table(columns, schema=schema)


def _with_lags(table: pa.Table, roles: Mapping[str, Role], grain: tuple[str, ...]) -> pa.Table:
    """What was told of the period before is what a lag repeats."""
    lags = {name: role.of for name, role in roles.items() if role.kind == LAG}
    if not lags:
        return table
    before = row_before(table, grain)
    for name, of in lags.items():
        values = table[of].combine_chunks().take(pa.array(np.maximum(before, 0)))
        told = pc.if_else(pa.array(before >= 0), values, pa.scalar(None, values.type))
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pc.if_else(pc.is_valid(table[name]), told, table[name]))
    return table


def _write(folder: Path, tables: Mapping[str, pa.Table], state: Mapping[str, Any]) -> None:
    mask = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            beside = folder / f".{name}.parquet"
            pq.write_table(table, beside, compression="zstd")
            beside.replace(folder / f"{name}.parquet")
        beside = folder / f".{_STATE}"
        beside.write_text(json.dumps(state, sort_keys=True), encoding="utf-8")
        beside.replace(folder / _STATE)
    finally:
        os.umask(mask)
