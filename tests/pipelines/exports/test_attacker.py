"""Somebody who holds everything that was exported, this time and the last, and works out by linear programming what is withheld."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from metrics.disclosure._cells import cells_of
from organisations import START, organisation
from worlds import built

from metrics.disclosure import WHOLE, WITHHELD, DisclosurePolicy, control, feasible_intervals, roles_of
from metrics.parameters import Parameters
from pipelines.exports.release import ReleasedTable
from pipelines.publish import publish

release_module = importlib.import_module("pipelines.exports.release")

Tables = dict[str, pa.Table]
POLICY = DisclosurePolicy()
TABLES = (
    "team_pair_panel",
    "team_pair_reliance",
    "organisation_panel_tie",
    "org_panel_churn",
    "org_panel_cross_team",
    "tie_survival",
    "newcomer_integration",
    "knowledge_reach",
)
"""Those in which a small organisation has most to hide; the whole export is the full form."""


def exact(published: Path) -> tuple[Tables, dict[str, ReleasedTable]]:
    """Every table that may leave, as it is before disclosure control."""
    with duckdb.connect(str(published), read_only=True) as connection:
        specs = {name: spec for name, spec in release_module._documentation(connection).items() if release_module._may_leave(spec)}
        return {name: release_module._read(connection, spec) for name, spec in specs.items()}, specs


def two_nights(folder: Path, only: tuple[str, ...] | None) -> list[tuple[Tables, dict[str, ReleasedTable]]]:
    """The same organisation, small and with small teams, published at the end of one month and of the next."""
    made, declarations = organisation(people=60, days=200, seed=3)
    nights = []
    for night in (170, 199):
        path = folder / f"{night}.duckdb"
        with built(made, declarations=declarations, as_of=START + timedelta(days=night), only=only) as warehouse:
            from worlds import tables

            publish(warehouse, path, Parameters(), catalog=tables(only))
        nights.append(exact(path))
    return nights


def is_hidden(table: pa.Table) -> np.ndarray:
    return np.array([each == WHOLE for each in table[WITHHELD].to_pylist()], np.bool_)


def row_names(table: pa.Table, grain: tuple[str, ...]) -> list[tuple[object, ...]]:
    return [tuple(str(row[column]) for column in grain) for row in table.select(list(grain)).to_pylist()]


def together(
    now: Tables, shown_now: Tables, before: Tables, shown_before: Tables, specs: Mapping[str, ReleasedTable]
) -> tuple[list[tuple[pa.Table, object]], list[np.ndarray]]:
    """All rows of both exports as one set of tables, and which of them nobody has shown.

    A row of the earlier export with the same figures is the same row, shown if either export shows it. With other figures it is a row
    of its own, told apart by one more dimension.
    """
    found, hidden = [], []
    for name, table in now.items():
        role = roles_of(specs[name])
        if not role.guards or name not in shown_now:
            continue
        columns = [*role.dimensions, *role.guards]
        gone = is_hidden(shown_now[name])
        rows = {
            key: (number, row)
            for number, (key, row) in enumerate(zip(row_names(table, role.dimensions), table.select(columns).to_pylist(), strict=True))
        }
        extra, extra_gone = [], []
        if name in before and name in shown_before:
            was_gone = is_hidden(shown_before[name])
            names = row_names(before[name], role.dimensions)
            for number, (key, row) in enumerate(zip(names, before[name].select(columns).to_pylist(), strict=True)):
                same = rows.get(key)
                if same is not None and same[1] == row:
                    gone[same[0]] &= was_gone[number]
                else:
                    extra.append(row)
                    extra_gone.append(was_gone[number])
        whole = pa.Table.from_pylist([*(row for _, row in rows.values()), *extra], schema=table.select(columns).schema)
        night = pa.array([None] * table.num_rows + ["before"] * len(extra), pa.string())
        whole = whole.append_column("night", night)
        wider = type(role)((*role.dimensions, "night"), role.guards, role.is_guarded_by_pairs, (), (), {})
        found.append((whole, wider))
        hidden.append(np.concatenate([gone, np.array(extra_gone, np.bool_)]))
    return found, hidden


def open_cells(tables: list[tuple[pa.Table, object]], hidden: list[np.ndarray]) -> tuple[object, np.ndarray]:
    """The web of cells of both exports, and which cells neither shows."""
    cells = cells_of(tables)  # type: ignore[arg-type]
    row_hidden = np.concatenate(hidden)
    shown = np.zeros(len(cells.keys), np.bool_)
    shown[cells.row_cell[:, 2][~row_hidden[cells.row]]] = True
    return cells, ~shown & (cells.values > 0)


def assert_nothing_follows(nights: list[tuple[Tables, dict[str, ReleasedTable]]]) -> int:
    (before, specs_before), (now, specs) = nights
    first = control(before, specs_before, POLICY)
    second = control(now, specs, POLICY, previous=first.tables)
    assert second.already_shown_count == 0
    counted = 0
    # each export by itself, as it was made, with exact figures and with rounded ones
    for outcome in (first, second):
        cells, done = outcome.audit
        for slack in (0.0, POLICY.rounding_base / 2):
            intervals = feasible_intervals(cells, done.hidden, slack=slack)
            counted += len(intervals)
            for cell, interval in intervals.items():
                assert interval.low - 1e-6 <= cells.values[cell] <= interval.high + 1e-6
                assert interval.width >= POLICY.protection - 1e-6
    # both exports, as an attacker lays them side by side
    cells, hidden = open_cells(*together(now, second.tables, before, first.tables, specs))
    intervals = feasible_intervals(cells, hidden)  # type: ignore[arg-type]
    for cell, interval in intervals.items():
        assert interval.width >= POLICY.protection - 1e-6, cells.values[cell]  # type: ignore[attr-defined]
    return counted + len(intervals)


@pytest.mark.timeout(900)
def test_nothing_withheld_follows_from_this_export_and_the_last(tmp_path: Path) -> None:
    assert assert_nothing_follows(two_nights(tmp_path, TABLES)) > 300


@pytest.mark.full
@pytest.mark.timeout(3_600)
def test_nothing_withheld_follows_from_all_tables_of_this_export_and_the_last(tmp_path: Path) -> None:
    assert assert_nothing_follows(two_nights(tmp_path, None)) > 1_000


def test_the_attacker_finds_what_is_left_open(tmp_path: Path) -> None:
    """The test above cannot pass by accident: with one shield taken away, the attacker has the secret."""
    del tmp_path
    table = pa.table(
        {"panel_kind": ["month"] * 4, "panel_start": ["2026-01"] * 4, "team": [None, "a", "b", "c"], "person_count": [55, 3, 12, 40]}
    )
    spec = ReleasedTable(
        "metrics",
        "team_x",
        "test",
        "",
        "",
        ("panel_kind", "panel_start", "team"),
        tuple(
            release_module.ReleasedColumn(name, unit, "")
            for name, unit in (("panel_kind", "text"), ("panel_start", "text"), ("team", "text"), ("person_count", "count"))
        ),
        False,
        (),
        (),
    )
    out = control({"metrics.team_x": table}, {"metrics.team_x": spec}, POLICY).tables
    careless = {"metrics.team_x": table.append_column(WITHHELD, pa.array([None, WHOLE, None, None], pa.string()))}
    cells, hidden = open_cells(*together({"metrics.team_x": table}, out, {"metrics.team_x": table}, careless, {"metrics.team_x": spec}))
    widths = [interval.width for interval in feasible_intervals(cells, hidden).values()]  # type: ignore[arg-type]
    assert widths == [pytest.approx(0)]
