"""The web of cells: every guard of every table, and which cells total which others.

A cell is a measure with the values of its dimensions, totals left out. Its key is the sum, modulo 2^64, of one hash a
dimension value (Zobrist's scheme), so that the key of the cell which totals a dimension is a subtraction away, and cells
that several tables repeat meet by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._policy import Documented, Roles

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TOTALS: Final = frozenset({"any", "all"})
SUM, AT_MOST, AT_LEAST = 0, 1, 2
"""How a total relates to its parts: it is their sum; at most their sum and at least each; at least their sum."""
_SIDES: Final = (("", "_a"), ("", "_b"), ("from_", ""), ("to_", ""))
_REPEATED: Final = 1.5
_PLAINLY_REPEATED: Final = 3.0
"""How often, on average, rows must repeat a figure for it to be taken as one, and to be taken as nothing else."""


_MOSTLY_SUMS: Final = 0.9
"""From which share of lines that are sums on each of them is taken for one."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Guards of all tables as cells.

    Attributes:
        keys: Each cell's key.
        values: Each cell's exact value.
        row_cell: (table number, row, cell), one line a guard of a row.
        row: For each line of `row_cell`, the number of the row over all tables.
        parent: For each link, the cell that is the total.
        child: For each link, a cell that is a part.
        kind: For each link, how the total relates to its parts: SUM, AT_MOST or AT_LEAST.
        line: For each link, the number of its line; a line is a total with its parts over one dimension.
    """

    keys: Hashes
    values: Numbers
    row_cell: Indices
    row: Indices
    parent: Indices
    child: Indices
    kind: Indices
    line: Indices


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "little")


def dimension_name(column: str) -> str:
    """`team` for `team_a`, `team_b`, `from_team` and `to_team`; any other column stands for itself."""
    for before, after in _SIDES:
        if column.startswith(before) and column.endswith(after):
            return column[len(before) : len(column) - len(after)]
    return column


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One dimension of a table's rows: the hash of each row's value (0 for a total), and a pattern number (0 for a total)."""

    columns: tuple[str, ...]
    hashes: Hashes
    pattern: Indices
    patterns: tuple[str, ...]


def _values_of(column: pa.ChunkedArray | pa.Array) -> tuple[Indices, list[Any]]:
    encoded = pa.chunked_array([column]).combine_chunks() if isinstance(column, pa.Array) else column.combine_chunks()
    if pa.types.is_list(encoded.type):
        encoded = pa.array([None if value is None else "\x1e".join(value) for value in encoded.to_pylist()], pa.string())
    encoded = pc.dictionary_encode(encoded, null_encoding="encode")
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def _dimension(name: str, column: pa.ChunkedArray, source: str) -> _Dimension:
    codes, values = _values_of(column)
    is_total = [value is None or (isinstance(value, str) and value in TOTALS) for value in values]
    hashes = np.array([0 if total else _hash(name, str(value)) for value, total in zip(values, is_total, strict=True)], np.uint64)
    patterns = np.array([0 if total else 1 for total in is_total], np.int64)
    return _Dimension((source,), hashes[codes], patterns[codes], ("", name))


def _panel(kind: pa.ChunkedArray, start: pa.ChunkedArray) -> _Dimension:
    kind_codes, kinds = _values_of(kind)
    start_codes, starts = _values_of(start)
    patterns = ("", *(f"panel {each}" for each in kinds))
    pattern = np.array([0 if each is None or each in TOTALS else number for number, each in enumerate(kinds, 1)], np.int64)[kind_codes]
    kind_hash = np.array([_hash("panel_kind", str(each)) for each in kinds], np.uint64)[kind_codes]
    start_hash = np.array([_hash("panel_start", str(each)) for each in starts], np.uint64)[start_codes]
    mixed = (kind_hash ^ (start_hash * np.uint64(0x9E3779B97F4A7C15))).astype(np.uint64)
    return _Dimension(("panel_kind", "panel_start"), np.where(pattern > 0, mixed, np.uint64(0)), pattern, patterns)


def _grouped(grouping: pa.ChunkedArray, level: pa.ChunkedArray) -> _Dimension:
    """`grouping` and `level` as the dimension that `grouping` names: grouping medium, level email is the value email of medium."""
    grouping_codes, groupings = _values_of(grouping)
    level_codes, levels = _values_of(level)
    patterns = ("", *(str(each) for each in groupings))
    pattern = np.array([0 if each is None or each in TOTALS else number for number, each in enumerate(groupings, 1)], np.int64)[
        grouping_codes
    ]
    pairs = np.unique(np.column_stack([grouping_codes, level_codes]), axis=0)
    hashes = np.zeros((len(groupings), len(levels)), np.uint64)
    for one, other in pairs:
        hashes[one, other] = _hash(str(groupings[one]), str(levels[other]))
    return _Dimension(("grouping", "level"), np.where(pattern > 0, hashes[grouping_codes, level_codes], np.uint64(0)), pattern, patterns)


def dimensions_of(table: pa.Table, roles: Roles) -> list[_Dimension]:
    """The dimensions of a table's rows."""
    columns = list(roles.dimensions)
    found = []
    if {"panel_kind", "panel_start"} <= set(columns):
        found.append(_panel(table["panel_kind"], table["panel_start"]))
        columns = [column for column in columns if column not in ("panel_kind", "panel_start")]
    if {"grouping", "level"} <= set(columns):
        found.append(_grouped(table["grouping"], table["level"]))
        columns = [column for column in columns if column not in ("grouping", "level")]
    for column in columns:
        # both sides of a pair of teams are told apart inside the pair, and are the same team where one stands alone
        found.append(_dimension(column, table[column], column))
    return found


def dimension_keys(table: pa.Table, roles: Roles) -> Hashes:
    """One key a row from its dimensions alone, totals left out: rows of different tables that speak of the same have the same."""
    keys = np.zeros(table.num_rows, np.uint64)
    for dimension in dimensions_of(table, roles):
        keys += dimension.hashes
    return keys


def row_keys(table: pa.Table, spec: Documented, roles: Roles) -> Hashes:
    """One key a row of a table, from its dimensions: to find the same row in an earlier export."""
    return dimension_keys(table, roles) + np.uint64(_hash("row", spec.schema, spec.name))


def is_dated(table: pa.Table, roles: Roles) -> Flags:
    """Which rows speak of one week or month, so that their figures no longer change."""
    if "panel_kind" not in roles.dimensions:
        return np.zeros(table.num_rows, np.bool_)
    codes, values = _values_of(table["panel_kind"])
    return np.array([value is not None and value not in TOTALS for value in values], np.bool_)[codes]


@dataclass(slots=True)
class _Guard:
    """One guard column of one table, as cells before they meet those of other tables."""

    table: int
    rows: Indices
    values: Numbers
    dimensions: list[_Dimension]
    keys: Hashes


def _guards_of(number: int, table: pa.Table, roles: Roles) -> list[_Guard]:
    dimensions = dimensions_of(table, roles)
    found = []
    for column in roles.guards:
        values = pc.cast(table[column], pa.float64()).to_numpy()
        rows = np.flatnonzero(~np.isnan(values))
        shorter = _shorter(column, dimensions, table, rows, values[rows])
        is_plain = any(len(np.unique(_keys(m, about, rows))) * _PLAINLY_REPEATED <= len(rows) for m, about in shorter)
        for measure, about in shorter if is_plain else ((column, dimensions), *shorter):
            taken = [_Dimension(d.columns, d.hashes[rows], d.pattern[rows], d.patterns) for d in about]
            found.append(_Guard(number, rows, values[rows], taken, _keys(measure, about, rows)))
    return found


def _shorter(
    column: str, dimensions: Sequence[_Dimension], table: pa.Table, rows: Indices, values: Numbers
) -> list[tuple[str, list[_Dimension]]]:
    """The same guard as a figure about fewer dimensions, where the rows repeat it: the size of a team stands in every pair with it.

    An attacker who is refused it in one row would read it in another, so the figure that they share is a cell as well.
    """
    panel = [d for d in dimensions if d.columns == ("panel_kind", "panel_start")]
    singles = [d for d in dimensions if d not in panel]
    for kept in ([], panel, *([d] for d in singles), *([d, *panel] for d in singles if panel)):
        if len(kept) >= len(dimensions):
            continue
        keys = _keys(column, kept, rows)
        if len(np.unique(keys)) * _REPEATED > len(rows) or not _is_one_figure(keys, values):
            continue
        single = [d for d in kept if len(d.columns) == 1]
        if not single:
            return [(column, list(kept))]
        name = single[0].columns[0]
        measure = "person_count" if column.endswith("person_count") else column
        return [(measure, [_dimension(dimension_name(name), table[name], name), *(d for d in kept if d not in single)])]
    return []


def _keys(measure: str, dimensions: Sequence[_Dimension], rows: Indices) -> Hashes:
    keys = np.full(len(rows), _hash("measure", measure), np.uint64)
    for dimension in dimensions:
        keys += dimension.hashes[rows]
    return keys


def _is_one_figure(keys: Hashes, values: Numbers) -> bool:
    """Whether rows with the same key always have the same value."""
    _, inverse = np.unique(keys, return_inverse=True)
    count = inverse.max() + 1 if len(inverse) else 0
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, inverse, values)
    np.maximum.at(high, inverse, values)
    return bool(np.all(low == high))


class _Known:
    """The figures of all guards so far, by key; they are kept sorted, so that a further guard costs no more than itself."""

    def __init__(self) -> None:
        self.keys: Hashes = np.array([], np.uint64)
        self.values: Numbers = np.array([], np.float64)

    def take(self, guard: _Guard) -> bool:
        """Add a guard's figures, unless they contradict themselves or what is known."""
        keys, first = np.unique(guard.keys, return_index=True)
        values = guard.values[first]
        if len(keys) < len(guard.keys) and not _is_one_figure(guard.keys, guard.values):
            return False
        at = np.searchsorted(self.keys, keys)
        is_there = np.zeros(len(keys), np.bool_)
        inside = at < len(self.keys)
        is_there[inside] = self.keys[at[inside]] == keys[inside]
        if not np.all(self.values[at[is_there]] == values[is_there]):
            return False
        new = ~is_there
        self.keys = np.insert(self.keys, at[new], keys[new])
        self.values = np.insert(self.values, at[new], values[new])
        return True


def cells_of(tables: Sequence[tuple[pa.Table, Roles]]) -> Cells:
    """Put the guards of all tables together and find which cells total which."""
    guards: list[_Guard] = []
    known = _Known()
    for number, (table, roles) in enumerate(tables):
        for guard in _guards_of(number, table, roles):
            # cells that two tables share are the same cells only if they never contradict each other
            if not known.take(guard):
                guard.keys = guard.keys + np.uint64(_hash("table", str(number), str(len(guards))))
                known.take(guard)
            guards.append(guard)
    all_keys = np.concatenate([np.array([], np.uint64), *(guard.keys for guard in guards)])
    all_values = np.concatenate([np.array([], np.float64), *(guard.values for guard in guards)])
    keys, first, inverse = np.unique(all_keys, return_index=True, return_inverse=True)
    row_cell = (
        np.column_stack(
            [
                np.concatenate([np.full(len(guard.rows), guard.table, np.int64) for guard in guards]),
                np.concatenate([guard.rows for guard in guards]),
                inverse.astype(np.int64),
            ]
        )
        if guards
        else np.empty((0, 3), np.int64)
    )
    starts = np.cumsum([0, *(table.num_rows for table, _ in tables)])
    row = starts[row_cell[:, 0]] + row_cell[:, 1]
    return Cells(keys, all_values[first], row_cell, row, *_links(guards, keys, all_values[first], inverse))


def _links(guards: Sequence[_Guard], keys: Hashes, values: Numbers, inverse: npt.NDArray[np.intp]) -> tuple[Indices, ...]:
    """Parent, child, kind and line of every link, each link once."""
    parents, children, families = [], [], []
    names: dict[tuple[str, ...], int] = {}
    start = 0
    for guard in guards:
        cell = inverse[start : start + len(guard.rows)]
        start += len(guard.rows)
        code = np.zeros(len(guard.rows), np.int64)
        for dimension in guard.dimensions:
            code = code * len(dimension.patterns) + dimension.pattern
        for pattern in np.unique(code):
            at = np.flatnonzero(code == pattern)
            shape = tuple(dimension.patterns[dimension.pattern[at[0]]] for dimension in guard.dimensions)
            for position, dimension in enumerate(guard.dimensions):
                if not shape[position]:
                    continue
                above = guard.keys[at] - dimension.hashes[at]
                found = np.searchsorted(keys, above)
                found[found == len(keys)] = 0
                is_there = keys[found] == above
                family = names.setdefault((*sorted(each for each in shape if each), "over", shape[position]), len(names))
                parents.append(found[is_there])
                children.append(cell[at][is_there])
                families.append(np.full(int(is_there.sum()), family, np.int64))
    if not any(len(each) for each in parents):
        empty = np.array([], np.int64)
        return empty, empty, empty, empty
    triples = np.unique(np.column_stack([np.concatenate(families), np.concatenate(parents), np.concatenate(children)]), axis=0)
    family, parent, child = triples.T
    is_new = np.r_[True, (np.diff(family) != 0) | (np.diff(parent) != 0)]
    line = np.cumsum(is_new) - 1
    total = values[parent[is_new]]
    parts = np.bincount(line, values[child]).astype(np.float64)
    largest = np.zeros(len(total))
    np.maximum.at(largest, line, values[child])
    kind = _kinds(family[is_new], total, parts, largest)[line]
    keep = kind >= 0
    renumbered = np.unique(line[keep], return_inverse=True)[1].astype(np.int64)
    return parent[keep].astype(np.int64), child[keep].astype(np.int64), kind[keep], renumbered


def _kinds(family: Indices, total: Numbers, parts: Numbers, largest: Numbers) -> Indices:
    """What holds in every line of a family, -1 where nothing does; where nearly all lines are sums, what holds in each line.

    Else one week that is off would leave the other weeks of a family of sums as good as open: who sees sums nearly everywhere takes
    them for sums.
    """
    kinds = np.full(len(family), -1, np.int64)
    is_sum = np.abs(total - parts) < 1e-6
    for each in np.unique(family):
        at = family == each
        if np.all((largest[at] <= total[at]) & (total[at] <= parts[at])):
            kinds[at] = AT_MOST
        elif np.all(total[at] >= parts[at]):
            kinds[at] = AT_LEAST
        if np.mean(is_sum[at]) >= _MOSTLY_SUMS:
            kinds[at & is_sum] = SUM
    return kinds


def previous_rows(previous: Mapping[str, pa.Table], spec: Documented, roles: Roles) -> tuple[pa.Table, Hashes] | None:
    """The rows of an earlier export of the same table with their keys; None where it was not there or had other dimensions."""
    table = previous.get(f"{spec.schema}.{spec.name}")
    if table is None or not set(roles.dimensions) <= set(table.column_names):
        return None
    return table, row_keys(table, spec, roles)
