"""The one door: tables in, tables that may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrics.disclosure._cells import Cells, Flags, cells_of, is_dated, previous_rows, row_keys
from metrics.disclosure._policy import DisclosurePolicy, Documented, Roles, is_about_people, roles_of
from metrics.disclosure._repeated import repeated
from metrics.disclosure._suppress import Suppression, suppress

WITHHELD: Final = "withheld"
"""The column that `control` adds: empty, or why the row's figures are withheld."""

WHOLE: Final = "small_group"
"""In that column: all figures of the row are withheld."""

PART: Final = "part"
"""In that column: some figures of the row are withheld, because another table withholds them; the others stand."""


@dataclass(frozen=True, slots=True)
class Controlled:
    """Tables that may leave.

    Attributes:
        tables: Full name -> table, with the column `withheld` after the documented ones.
        refused: Full name -> why it was left out.
        row_counts: Full name -> (rows, rows withheld because small, rows withheld to shield others).
        already_shown_count: Cells that should be withheld but cannot be protected, since an earlier export showed them or their neighbours.
        audit: The web of cells and what is withheld of it, for an attacker to try.
    """

    tables: dict[str, pa.Table]
    refused: dict[str, str]
    row_counts: dict[str, tuple[int, int, int]]
    already_shown_count: int
    audit: tuple[Cells, Suppression] = field(repr=False)


def control(
    tables: Mapping[str, pa.Table],
    specs: Mapping[str, Documented],
    policy: DisclosurePolicy | None = None,
    previous: Mapping[str, pa.Table] | None = None,
) -> Controlled:
    """Withhold, round and refuse, over all tables that leave together.

    Args:
        tables: Full name -> table, documented columns in order.
        specs: Full name -> documentation, as the catalogue has it.
        policy: How strict; the defaults are the least strict.
        previous: The last export's tables, as they left: an attacker has them too.

    Returns:
        The tables that may leave, in the order given.

    Raises:
        DisclosureError: If a table is restricted or identifies persons. Nothing leaves then.
    """
    policy = policy or DisclosurePolicy()
    earlier = previous or {}
    roles = {name: roles_of(specs[name]) for name in tables}
    refused = {name: "no_people_count" for name, role in roles.items() if is_about_people(specs[name]) and not role.guards}
    guarded = [name for name in tables if roles[name].guards]
    cells = cells_of([(tables[name], roles[name]) for name in guarded])
    is_small = _small_rows(guarded, tables, roles, policy)
    sticky, shown = _earlier_rows(guarded, tables, specs, roles, earlier, policy)
    primary = np.zeros(len(cells.keys), np.bool_)
    fixed = np.zeros(len(cells.keys), np.bool_)
    rows_of = {}
    for number, name in enumerate(guarded):
        row, cell = cells.row_cell[cells.row_cell[:, 0] == number][:, 1:].T
        primary[cell] |= (cells.values[cell] > 0) & (cells.values[cell] < _least(roles[name], policy))
        fixed[cell[shown[name][row]]] = True
        rows_of[name] = (row, cell)
    gone_rows = np.concatenate([np.zeros(0, np.bool_), *(is_small[name] | sticky[name] for name in guarded)])
    done = suppress(cells, primary, gone_rows, fixed & ~primary, policy.protection)

    gone_of, row_counts = {}, {}
    for name in (name for name in tables if name not in refused):
        table = tables[name]
        gone = np.zeros(table.num_rows, np.bool_)
        if name in guarded:
            row, cell = rows_of[name]
            gone[row[done.hidden[cell]]] = True
            gone |= is_small[name] | sticky[name]
            row_counts[name] = (table.num_rows, int(is_small[name].sum()), int((gone & ~is_small[name]).sum()))
        else:
            row_counts[name] = (table.num_rows, 0, 0)
        gone_of[name] = gone
    blank = repeated({name: tables[name] for name in gone_of}, roles, gone_of)
    out = {name: _released(tables[name], roles[name], gone, blank.get(name, {}), policy) for name, gone in gone_of.items()}
    already = int((fixed & primary).sum()) + len(done.exposed)
    return Controlled(out, refused, row_counts, already, (cells, done))


def _least(role: Roles, policy: DisclosurePolicy) -> int:
    return policy.minimum_pair_count if role.is_guarded_by_pairs else policy.minimum_group_size


def _small_rows(
    guarded: list[str], tables: Mapping[str, pa.Table], roles: Mapping[str, Roles], policy: DisclosurePolicy
) -> dict[str, Flags]:
    found = {}
    for name in guarded:
        table, role = tables[name], roles[name]
        least = _least(role, policy)
        small = np.zeros(table.num_rows, np.bool_)
        is_known = np.zeros(table.num_rows, np.bool_)
        for column in role.guards:
            values = pc.cast(table[column], pa.float64()).to_numpy()
            is_known |= ~np.isnan(values)
            small |= (values > 0) & (values < least)
        has_figures = np.zeros(table.num_rows, np.bool_)
        for column in (*role.digits, *role.rounded):
            has_figures |= pc.is_valid(table[column]).to_numpy()
        found[name] = small | (has_figures & ~is_known)
    return found


def _earlier_rows(
    guarded: list[str],
    tables: Mapping[str, pa.Table],
    specs: Mapping[str, Documented],
    roles: Mapping[str, Roles],
    earlier: Mapping[str, pa.Table],
    policy: DisclosurePolicy,
) -> tuple[dict[str, Flags], dict[str, Flags]]:
    """Rows to withhold because the last export did, and rows that it showed with the same figures."""
    sticky = {name: np.zeros(tables[name].num_rows, np.bool_) for name in guarded}
    shown = {name: np.zeros(tables[name].num_rows, np.bool_) for name in guarded}
    for name in guarded:
        role = roles[name]
        before = previous_rows(earlier, specs[name], role)
        if before is None or WITHHELD not in before[0].column_names or not before[0].num_rows:
            continue
        table, keys = before
        order = np.argsort(keys, kind="stable")
        now = row_keys(tables[name], specs[name], role)
        at = np.searchsorted(keys[order], now)
        at[at == len(keys)] = 0
        match = order[at]
        is_there = keys[match] == now
        was_withheld = pc.fill_null(pc.equal(table[WITHHELD], WHOLE), fill_value=False).to_numpy()[match] & is_there
        # the figures of a closed panel do not change, so what was withheld of it must stay so; others are blurred by rounding
        sticky[name] = was_withheld & is_dated(tables[name], role)
        is_same = is_there & ~was_withheld
        for column in role.guards:
            if column not in table.column_names:
                continue
            old = pc.cast(table[column], pa.float64()).to_numpy()[match]
            new = pc.cast(tables[name][column], pa.float64()).to_numpy()
            # nobody is shown as 0 and 1 to 4 are withheld, so a 0 is exact whatever the rounding
            is_near = (np.abs(old - new) <= policy.rounding_base / 2) & ((old == 0) == (new == 0))
            is_same &= is_near | (np.isnan(old) & np.isnan(new))
        shown[name] = is_same
    return sticky, shown


def _released(table: pa.Table, role: Roles, gone: Flags, blank: Mapping[str, Flags], policy: DisclosurePolicy) -> pa.Table:
    mask = pa.array(gone)
    columns = []
    is_part = np.zeros(table.num_rows, np.bool_)
    for column in table.column_names:
        values = table[column]
        if column in role.rounded:
            values = _rounded(values, policy.rounding_base)
        elif column in role.digits:
            values = pc.round(values, ndigits=1 if role.digits[column] else policy.ratio_digits, round_mode="half_to_even")
        if column not in role.dimensions:
            hidden = pa.array(gone | blank[column]) if column in blank else mask
            values = pc.if_else(hidden, pa.scalar(None, values.type), values)
        if column in blank:
            is_part |= blank[column]
        columns.append(values)
    said = pc.if_else(pa.array(is_part), pa.scalar(PART), pa.scalar(None, pa.string()))
    columns.append(pc.if_else(mask, pa.scalar(WHOLE), said))
    return pa.table(columns, names=[*table.column_names, WITHHELD])


def _rounded(values: pa.ChunkedArray, base: int) -> pa.ChunkedArray:
    """To the nearest multiple, halves up, exact for any bigint; sign and emptiness kept."""
    half = pc.add(pc.abs(values), base // 2)
    nearest = pc.multiply(pc.divide(half, base), base)
    return pc.cast(pc.multiply(pc.sign(values), nearest), values.type)
