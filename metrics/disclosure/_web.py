"""The web of cells: every count and volume of every table, and which cells total which others.

A cell is a measure with the values of its dimensions, totals left out. Its key is the sum, modulo 2^64, of one hash a
dimension value (Zobrist's scheme), so that the key of the cell which totals a dimension is a subtraction away, and cells
that several tables repeat meet by themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._policy import Documented, TableRoles
from metrics.roles import PEOPLE, VOLUME

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
    """Counts and volumes of all tables as cells.

    Attributes:
        keys: Each cell's key.
        values: Each cell's exact value.
        is_people: Which cells count people.
        is_volume: Which cells are volumes; the others count people or pairs.
        is_guard: Which cells say how many people some row is about.
        shown_by: (table number, row, column number, cell, whether the cell has all dimensions of the row), one line for each figure of
            each row, and one more where rows repeat a figure that is about fewer dimensions.
        parent: For each link, the cell that is the total.
        child: For each link, a cell that is a part.
        kind: For each link, how the total relates to its parts: SUM, AT_MOST or AT_LEAST.
        line: For each link, the number of its line; a line is a total with its parts over one dimension.
    """

    keys: Hashes
    values: Numbers
    is_people: Flags
    is_volume: Flags
    is_guard: Flags
    shown_by: Indices
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


def dimensions_of(table: pa.Table, roles: TableRoles) -> list[_Dimension]:
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


def dimension_keys(table: pa.Table, roles: TableRoles) -> Hashes:
    """One key a row from its dimensions alone, totals left out: rows of different tables that speak of the same have the same."""
    keys = np.zeros(table.num_rows, np.uint64)
    for dimension in dimensions_of(table, roles):
        keys += dimension.hashes
    return keys


def row_keys(table: pa.Table, spec: Documented, roles: TableRoles) -> Hashes:
    """One key a row of a table, from its dimensions: to find the same row in an earlier export."""
    return dimension_keys(table, roles) + np.uint64(_hash("row", spec.schema, spec.name))


def is_dated(table: pa.Table, roles: TableRoles) -> Flags:
    """Which rows speak of one week or month, so that their figures no longer change."""
    if "panel_kind" not in roles.dimensions:
        return np.zeros(table.num_rows, np.bool_)
    codes, values = _values_of(table["panel_kind"])
    return np.array([value is not None and value not in TOTALS for value in values], np.bool_)[codes]


@dataclass(slots=True)
class _Figures:
    """One column of one table, as cells before they meet those of other tables."""

    table: int
    column: int
    rows: Indices
    values: Numbers
    dimensions: list[_Dimension]
    keys: Hashes
    is_people: bool
    is_volume: bool
    is_guard: bool
    is_whole: bool


def _figures_of(number: int, table: pa.Table, roles: TableRoles) -> Iterator[_Figures]:
    dimensions = dimensions_of(table, roles)
    for column in roles.counted:
        role = roles.columns[column]
        values = pc.cast(table[column], pa.float64()).to_numpy()
        rows = np.flatnonzero(~np.isnan(values))
        if not len(rows):
            continue
        shorter = _shorter(column, dimensions, table, rows, values[rows]) if role.is_guard else []
        is_plain = any(len(np.unique(_keys(m, about, rows))) * _PLAINLY_REPEATED <= len(rows) for m, about in shorter)
        for measure, about in shorter if is_plain else ((column, dimensions), *shorter):
            taken = [_Dimension(d.columns, d.hashes[rows], d.pattern[rows], d.patterns) for d in about]
            keys = _keys(measure, about, rows)
            place, is_whole = table.column_names.index(column), about is dimensions
            kinds = role.kind == PEOPLE, role.kind == VOLUME, role.is_guard
            yield _Figures(number, place, rows, values[rows], taken, keys, *kinds, is_whole)


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
    """The figures of all columns so far, by key; they are kept sorted, so that a further column costs no more than itself."""

    def __init__(self) -> None:
        self.keys: Hashes = np.array([], np.uint64)
        self.values: Numbers = np.array([], np.float64)

    def take(self, figures: _Figures) -> bool:
        """Add a column's figures, unless they contradict themselves or what is known."""
        keys, first = np.unique(figures.keys, return_index=True)
        values = figures.values[first]
        if len(keys) < len(figures.keys) and not _is_one_figure(figures.keys, figures.values):
            return False
        at = np.searchsorted(self.keys, keys)
        is_there = np.zeros(len(keys), np.bool_)
        inside = at < len(self.keys)
        is_there[inside] = self.keys[at[inside]] == keys[inside]
        if not np.all(np.isclose(self.values[at[is_there]], values[is_there])):
            return False
        new = ~is_there
        self.keys = np.insert(self.keys, at[new], keys[new])
        self.values = np.insert(self.values, at[new], values[new])
        return True


def cells_of(tables: Sequence[tuple[pa.Table, TableRoles]]) -> Cells:
    """Put the counts and volumes of all tables together and find which cells total which."""
    found: list[_Figures] = []
    known = _Known()
    for number, (table, roles) in enumerate(tables):
        for figures in _figures_of(number, table, roles):
            # cells that two tables share are the same cells only if they never contradict each other
            if not known.take(figures):
                figures.keys = figures.keys + np.uint64(_hash("table", str(number), str(len(found))))
                known.take(figures)
            found.append(figures)
    all_keys = np.concatenate([np.array([], np.uint64), *(each.keys for each in found)])
    all_values = np.concatenate([np.array([], np.float64), *(each.values for each in found)])
    keys, first, inverse = np.unique(all_keys, return_index=True, return_inverse=True)
    shown_by = [np.column_stack([np.full(len(f.rows), f.table), f.rows, np.full(len(f.rows), f.column)]) for f in found]
    places = np.concatenate([np.empty((0, 3), np.int64), *shown_by]).astype(np.int64)

    whole = np.concatenate([np.zeros(0, np.bool_), *(np.full(len(each.rows), each.is_whole) for each in found)])

    def marked(which: Sequence[bool]) -> Flags:
        flags = np.concatenate([np.zeros(0, np.bool_), *(np.full(len(f.rows), mark) for f, mark in zip(found, which, strict=True))])
        return np.bincount(inverse, flags, minlength=len(keys)) > 0

    return Cells(
        keys,
        all_values[first],
        marked([each.is_people for each in found]),
        marked([each.is_volume for each in found]),
        marked([each.is_guard for each in found]),
        np.column_stack([places, inverse.astype(np.int64), whole.astype(np.int64)]),
        *_links(found, tables, keys, all_values[first], inverse),
    )


def _links(
    found: Sequence[_Figures],
    tables: Sequence[tuple[pa.Table, TableRoles]],
    keys: Hashes,
    values: Numbers,
    inverse: npt.NDArray[np.intp],
) -> tuple[Indices, ...]:
    """Parent, child, kind and line of every link, each link once."""
    parents, children, families = [], [], []
    names: dict[tuple[str, ...], int] = {}
    start = 0
    cell_of: dict[tuple[int, int], tuple[Indices, Indices]] = {}
    for figures in found:
        cell = inverse[start : start + len(figures.rows)].astype(np.int64)
        start += len(figures.rows)
        cell_of.setdefault((figures.table, figures.column), (figures.rows, cell))
        code = np.zeros(len(figures.rows), np.int64)
        for dimension in figures.dimensions:
            code = code * len(dimension.patterns) + dimension.pattern
        for pattern in np.unique(code):
            at = np.flatnonzero(code == pattern)
            shape = [dimension.patterns[dimension.pattern[at[0]]] for dimension in figures.dimensions]
            for positions in _droppable(shape):
                above = figures.keys[at] - sum((figures.dimensions[position].hashes[at] for position in positions), np.uint64(0))
                found_at = np.searchsorted(keys, above)
                found_at[found_at == len(keys)] = 0
                is_there = keys[found_at] == above
                name = (*sorted(each for each in shape if each), "over", *(shape[position] for position in positions))
                family = names.setdefault(name, len(names))
                parents.append(found_at[is_there].astype(np.int64))
                children.append(cell[at][is_there])
                families.append(np.full(int(is_there.sum()), family, np.int64))
    empty = np.array([], np.int64)
    parent, child, kind, line = empty, empty, empty, empty
    if any(len(each) for each in parents):
        of_family, parent, child = _distinct(np.concatenate(families), np.concatenate(parents), np.concatenate(children))
        is_new = np.r_[True, (np.diff(of_family) != 0) | (np.diff(parent) != 0)]
        line = np.cumsum(is_new) - 1
        total = values[parent[is_new]]
        parts = np.bincount(line, values[child]).astype(np.float64)
        largest = np.zeros(len(total))
        np.maximum.at(largest, line, values[child])
        kind = _kinds(of_family[is_new], total, parts, largest)[line]
        keep = kind >= 0
        line = np.unique(line[keep], return_inverse=True)[1].astype(np.int64)
        parent, child, kind = parent[keep], child[keep], kind[keep]
    wholes, parts_of = _among(tables, cell_of, values)
    after = int(line.max(initial=-1)) + 1
    return (
        np.concatenate([parent, wholes]),
        np.concatenate([child, parts_of]),
        np.concatenate([kind, np.full(len(wholes), AT_LEAST, np.int64)]),
        np.concatenate([line, after + np.arange(len(wholes))]),
    )


def _droppable(shape: Sequence[str]) -> Iterator[tuple[int, ...]]:
    """Which dimensions to add up over: each alone, and both sides of a pair at once."""
    present = [position for position, each in enumerate(shape) if each]
    yield from ((position,) for position in present)
    sides: dict[str, list[int]] = {}
    for position in present:
        sides.setdefault(dimension_name(shape[position]), []).append(position)
    yield from (tuple(both) for name, both in sides.items() if len(both) > 1 and name not in shape)


def _among(
    tables: Sequence[tuple[pa.Table, TableRoles]], cell_of: dict[tuple[int, int], tuple[Indices, Indices]], values: Numbers
) -> tuple[Indices, Indices]:
    """In each row, the cell of which another cell counts some."""
    wholes, parts = [np.array([], np.int64)], [np.array([], np.int64)]
    for number, (table, roles) in enumerate(tables):
        for column in roles.counted:
            whole = roles.columns[column].of
            places = [(number, table.column_names.index(each)) for each in (whole, column) if each]
            if len(places) < 2 or any(place not in cell_of for place in places):
                continue
            (rows, cells), (part_rows, part_cells) = (cell_of[place] for place in places)
            _, at, part_at = np.intersect1d(rows, part_rows, assume_unique=True, return_indices=True)
            holds = values[part_cells[part_at]] <= values[cells[at]] + 1e-9
            wholes.append(cells[at][holds])
            parts.append(part_cells[part_at][holds])
    whole_cells, part_of = _distinct(np.concatenate(wholes), np.concatenate(parts))
    return whole_cells[whole_cells != part_of], part_of[whole_cells != part_of]


def _distinct(*columns: Indices) -> tuple[Indices, ...]:
    """The different rows of some columns, in order; `np.unique` over rows takes several times as long."""
    order = np.lexsort(columns[::-1])
    columns = tuple(column[order] for column in columns)
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return tuple(column[is_new] for column in columns)


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
