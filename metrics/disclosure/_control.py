"""The one door: tables in, tables that may leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._policy import DisclosureError, DisclosurePolicy, Documented, TableRoles, roles_of
from metrics.disclosure._precision import estimate, few, outward, preferred, rounded, share, significant, step_of
from metrics.disclosure._protect import Protection, protect
from metrics.disclosure._relations import undeclared
from metrics.disclosure._repeated import repeated
from metrics.disclosure._told import row_before
from metrics.disclosure._web import Cells, Flags, Numbers, cells_of
from metrics.roles import ESTIMATE, INSIDE, INTERVAL, LAG, PEOPLE, SHARE, VOLUME, WORDS, Role

WITHHELD: Final = "withheld"
"""The column that `control` adds: empty, or why the row's figures are withheld."""

WHOLE: Final = "small_group"
"""In that column: all figures of the row are withheld."""

PART: Final = "part"
"""In that column: some figures of the row are not told, as they are about few or would give few away; the others stand."""

_PROPORTIONAL: Final = frozenset({"ratio", "index", "percent"})
"""Units of estimates that are told in steps; the others keep significant digits."""


@dataclass(frozen=True, slots=True)
class Controlled:
    """Tables that may leave.

    Attributes:
        tables: Full name -> table, with the column `withheld` after the documented ones.
        refused: Full name -> why it was left out.
        row_counts: Full name -> (rows, rows withheld, figures of other rows that are not told).
        audit: The web of cells and what is told of it, for an attacker to try.
    """

    tables: dict[str, pa.Table]
    refused: dict[str, str]
    row_counts: dict[str, tuple[int, int, int]]
    audit: tuple[Cells, Protection] = field(repr=False)


def control(tables: Mapping[str, pa.Table], specs: Mapping[str, Documented], policy: DisclosurePolicy | None = None) -> Controlled:
    """Withhold, coarsen and refuse, over all tables that leave together.

    Args:
        tables: Full name -> table, documented columns in order.
        specs: Full name -> documentation, as the catalogue has it.
        policy: How strict; the defaults are the least strict.

    Returns:
        The tables that may leave, in the order given.

    Raises:
        DisclosureError: If a table is restricted, identifies persons or states no roles, or if volumes add up that are not said to.
            Nothing leaves then.
    """
    policy = policy or DisclosurePolicy()
    roles = {name: roles_of(specs[name]) for name in tables}
    refused = {name: "no_people_count" for name, role in roles.items() if _needs_guard(role) and not role.guards}
    names = [name for name in tables if name not in refused]
    if found := undeclared({name: tables[name] for name in names}, roles):
        raise DisclosureError(
            f"{'; '.join(found)}: the total is exactly the sum of its parts in the data, and the table's header does not say so. "
            "Add `over` to the role in its header, so that the parts are protected"
        )
    small = {name: _small_rows(tables[name], roles[name], policy) for name in names}
    tables = {**tables, **{name: _beside(tables[name], roles[name], tables, roles, small) for name in names}}
    small |= {
        name: np.zeros(tables[name].num_rows, np.bool_) for name in names if any(role.beside for role in roles[name].columns.values())
    }
    cells = cells_of([(tables[name], roles[name]) for name in names])
    done = protect(cells, _withheld(cells, [small[name] for name in names], policy), policy)
    blank = repeated({name: tables[name] for name in names}, roles, small)
    out, counts = {}, {}
    for number, name in enumerate(names):
        shaped = _Shaped(tables[name], roles[name], policy)
        shaped.count(cells, done, number)
        out[name], counts[name] = shaped.released(small[name], blank.get(name, {}))
    return Controlled(out, refused, counts, (cells, done))


def _needs_guard(roles: TableRoles) -> bool:
    """Whether a table says anything of people that no other table guards: all do but those of dates and of what was set."""
    if any(role.beside for role in roles.columns.values()):
        return False
    return any(role.is_counted or role.kind in (SHARE, ESTIMATE, WORDS) for role in roles.columns.values())


def _small_rows(table: pa.Table, roles: TableRoles, policy: DisclosurePolicy) -> Flags:
    """Rows that are about too few people on any side, nobody included, and rows of which nobody can say about how many they are."""
    small = np.zeros(table.num_rows, np.bool_)
    for column in roles.guards:
        least = policy.minimum_group_size if roles.columns[column].kind == PEOPLE else policy.minimum_pair_count
        values = _numbers(table[column])
        small |= ~(values >= least)
    return small


def _beside(
    table: pa.Table, roles: TableRoles, tables: Mapping[str, pa.Table], others: Mapping[str, TableRoles], small: Mapping[str, Flags]
) -> pa.Table:
    """Only the rows of a table that another table lets leave: those whose dimensions it tells of, over the whole time."""
    for name in {role.beside for role in roles.columns.values() if role.beside}:
        if name not in small:
            return table.slice(0, 0)
        common = [column for column in roles.dimensions if column in others[name].dimensions]
        told = tables[name].filter(pa.array(~small[name]))
        if "panel_kind" in told.column_names:
            told = told.filter(pc.equal(told["panel_kind"], "all"))
        known = set(zip(*(told[column].to_pylist() for column in common), strict=True))
        rows = zip(*(table[column].to_pylist() for column in common), strict=True)
        table = table.filter(pa.array([row in known for row in rows], pa.bool_()))
    return table


def _withheld(cells: Cells, small: Sequence[Flags], policy: DisclosurePolicy) -> Flags:
    """Cells that no row may tell: what a withheld row tells, none included, and of what many rows repeat (a team's size) what is small."""
    table, row, _, cell, is_whole = cells.shown_by.T
    starts = np.cumsum([0, *(len(flags) for flags in small)])
    gone = np.concatenate([np.zeros(0, np.bool_), *small])[starts[table] + row]
    found = np.zeros(len(cells.keys), np.bool_)
    found[cell[gone & (is_whole == 1)]] = True
    shown_count = np.bincount(cell, ~gone, minlength=len(found))
    found |= (shown_count == 0) | (cells.is_guard & cells.is_people & (cells.values < policy.minimum_group_size))
    return found


def _numbers(values: pa.ChunkedArray) -> Numbers:
    return np.array(pc.cast(values, pa.float64()).to_numpy(), np.float64)


class _Shaped:
    """One table's columns as they may be told."""

    def __init__(self, table: pa.Table, roles: TableRoles, policy: DisclosurePolicy) -> None:
        self._table = table
        self._roles = roles
        self._policy = policy
        self._exact = {name: _numbers(table[name]) for name, role in roles.columns.items() if _is_number(table[name].type)}
        self._base = {name: np.full(table.num_rows, float(policy.rounding_base)) for name in roles.counted}
        self._told: dict[str, Numbers] = {}

    def count(self, cells: Cells, done: Protection, number: int) -> None:
        """Round the counts and volumes as the web of cells says."""
        mine = cells.shown_by[cells.shown_by[:, 0] == number]
        untold = done.untold
        for name in self._roles.counted:
            role, values = self._roles.columns[name], self._exact[name]
            at = mine[mine[:, 2] == self._table.column_names.index(name)]
            blank = np.zeros(len(values), np.bool_)
            # a row's figure may stand in two cells, one of fewer dimensions: the coarser counts
            np.maximum.at(self._base[name], at[:, 1], done.base[at[:, 3]])
            np.logical_or.at(blank, at[:, 1], untold[at[:, 3]])
            for by in role.by:
                blank |= ~(self._exact[by] >= self._policy.minimum_group_size)
            keeps_first = np.full(len(values), role.is_guard)
            told = preferred(values) if role.kind == VOLUME else rounded(values, self._base[name], keeps_first)
            told[blank] = np.nan
            self._told[name] = told
        before = row_before(self._table, self._roles.dimensions)
        for name, role in self._roles.columns.items():
            if role.kind == LAG:
                # the row found may be of an earlier period still, where one has no row
                is_there = (before >= 0) & (self._exact[role.of][before] == self._exact[name])
                self._told[name] = np.where(is_there, self._told[role.of][before], np.nan)
                self._base[name] = self._base[role.of][before]

    def released(self, small: Flags, blank: Mapping[str, Flags]) -> tuple[pa.Table, tuple[int, int, int]]:
        """The table as it leaves, and how much of it does not."""
        columns, untold = [], np.zeros(self._table.num_rows, np.bool_)
        figure_count = 0
        for name in self._table.column_names:
            values = self._table[name]
            role = self._roles.columns.get(name)
            if role is not None:
                hidden = small | blank.get(name, False)
                told = self._column(name, role)
                if told is not None:
                    hidden |= np.isnan(told)
                    values = _like(told, values.type)
                elif role.kind == INSIDE:
                    hidden |= True
                lost = hidden & ~small & pc.is_valid(self._table[name]).to_numpy()
                untold |= lost
                figure_count += int(lost.sum())
                values = pc.if_else(pa.array(hidden), pa.scalar(None, values.type), values)
            columns.append(values)
        said = pc.if_else(pa.array(untold), pa.scalar(PART), pa.scalar(None, pa.string()))
        columns.append(pc.if_else(pa.array(small), pa.scalar(WHOLE), said))
        return pa.table(columns, names=[*self._table.column_names, WITHHELD]), (self._table.num_rows, int(small.sum()), figure_count)

    def _column(self, name: str, role: Role) -> Numbers | None:
        """A column's figures as they may be told; None for what is told as it is."""
        if name in self._told:
            return self._told[name]
        if role.kind in (SHARE, ESTIMATE):
            return self._resting(name, role)
        if role.kind == INTERVAL:
            return self._interval(name, role)
        return None

    def _resting(self, name: str, role: Role) -> Numbers:
        on, step = self._support(name, role)
        values = self._exact[name]
        small = np.asarray(few(self._base[role.of])) if self._roles.columns[role.of].kind != PEOPLE else self._policy.minimum_group_size
        if role.kind == SHARE:
            found = share(values, on, step, np.broadcast_to(np.asarray(small, np.float64), values.shape))
            found[self._is_untold_part(values * on, role)] = np.nan
        else:
            found = estimate(values, step) if self._is_stepped(name) else significant(values, self._policy.ratio_digits)
        return np.where(np.isnan(self._told[role.of]) | np.isnan(step), np.nan, found)

    def _is_untold_part(self, part: Numbers, role: Role) -> Flags:
        """Where a share's part, or its rest, is a count that is left out to shield another: the share would tell it."""
        found = np.zeros(len(part), np.bool_)
        for name in self._roles.counted:
            if self._roles.columns[name].of == role.of:
                count = self._exact[name]
                is_it = (np.abs(count - part) < 0.5) | (np.abs(self._exact[role.of] - count - part) < 0.5)
                found |= is_it & np.isnan(self._told[name]) & (count > few(self._base[name]))
        return found

    def _interval(self, name: str, role: Role) -> Numbers:
        main = self._roles.columns[role.of]
        values, told = self._exact[name], self._resting(role.of, main)
        _, step = self._support(role.of, main)
        # an end that stands alone tells as much as an estimate: it needs the same number behind it
        unknown = np.isnan(self._told[main.of]) | np.isnan(step) | (np.isnan(told) & ~np.isnan(self._exact[role.of]))
        is_low = bool(np.nansum(values - self._exact[role.of]) <= 0)
        if main.kind == SHARE or self._is_stepped(role.of):
            found = outward(values, step, is_low=is_low)
            found = np.clip(found, 0.0, 1.0) if main.kind == SHARE else found
        else:
            found = significant(values, self._policy.ratio_digits)
        # whatever rounding does, an estimate lies within its interval
        found = np.where(np.isnan(told) | np.isnan(found), found, np.minimum(found, told) if is_low else np.maximum(found, told))
        return np.where(unknown, np.nan, found)

    def _support(self, name: str, role: Role) -> tuple[Numbers, Numbers]:
        """How many a figure rests on, and the step in which it may be told."""
        on = self._exact[role.of]
        if self._roles.columns[role.of].kind == VOLUME:
            on = preferred(on)
        size = np.nan_to_num(np.abs(self._exact[name])) if role.kind == ESTIMATE else 1.0
        step = step_of(np.where(on > 0, on, np.nan), self._base[role.of], size)
        return on, np.maximum(step, 10.0**-self._policy.ratio_digits)

    def _is_stepped(self, name: str) -> bool:
        return self._roles.units[name] in _PROPORTIONAL


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _like(values: Numbers, kind: pa.DataType) -> pa.Array:
    """Numbers as a column of the type they came in; not-a-number as nothing."""
    mask = np.isnan(values)
    if pa.types.is_integer(kind):
        return pa.array(np.where(mask, 0, values).astype(np.int64), kind, mask=mask)
    return pa.array(values, kind, mask=mask)


def figures_withheld(counts: Mapping[str, tuple[int, int, int]], names: Sequence[str]) -> tuple[int, int]:
    """Rows that are withheld, and figures of other rows that are not told, over some tables."""
    return sum(counts[name][1] for name in names), sum(counts[name][2] for name in names)
