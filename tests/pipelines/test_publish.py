"""Publishing: analysts are never refused, never see half a night, and find every table and column explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from worlds import batch, event, tables

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.publish import publish
from pipelines.warehouse import Warehouse

CATALOG = tables(["pair_panel"])


def night(warehouse: Warehouse, path: Path, days: int, **options: bool) -> None:
    warehouse.store(batch([event(f"2024-01-{day:02}", 1, 2) for day in range(1, days + 1)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    publish(warehouse, path, Parameters(), catalog=CATALOG, **options)


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_table_and_column_is_explained_and_raw_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    night(Warehouse(None), path, 3)
    assert ask(path, "select distinct schema_name from duckdb_tables() order by 1") == [("core",), ("metrics",)]
    assert ask(path, "select table_name from duckdb_tables() where comment is null") == []
    assert ask(path, "select table_name, column_name from duckdb_columns() where comment is null and not internal") == []
    assert ask(path, "select count(*) from metrics.catalog") == [(len(CATALOG),)]
    assert ask(path, "select unit from metrics.catalog_column where table_name = 'pair_day' and column_name = 'minutes'") == [("minutes",)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["analytics.duckdb"]


def test_message_tables_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "analytics.duckdb"
    night(Warehouse(None), path, 3, messages=False)
    assert ask(path, "select count(*) from duckdb_tables() where table_name in ('contact', 'interaction')") == [(0,)]


def test_nothing_is_published_before_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="perdure build"):
        publish(Warehouse(None), tmp_path / "analytics.duckdb")


def test_a_failed_publication_leaves_the_last_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, warehouse = tmp_path / "analytics.duckdb", Warehouse(None)
    night(warehouse, path, 3)
    before = path.read_bytes()
    monkeypatch.setattr("pipelines.publish._comment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        night(warehouse, path, 4)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["analytics.duckdb"]


READER = """
import sys, duckdb
path, counts = sys.argv[1], []
while not counts or counts[-1] < 12:
    with duckdb.connect(path, read_only=True) as con:
        days = con.execute("select count(*) from core.pair_day").fetchall()[0][0]
        panel = con.execute("select active_days from metrics.pair_panel where panel_kind = 'all' and medium = 'any'").fetchall()[0][0]
    assert days == panel, "half a night"
    assert not counts or days >= counts[-1]
    counts.append(days)
print(len(counts))
"""


def test_a_reader_in_another_process_is_never_refused_and_never_sees_half_a_night(tmp_path: Path) -> None:
    path, warehouse = tmp_path / "analytics.duckdb", Warehouse(tmp_path / "warehouse.duckdb")
    night(warehouse, path, 1)
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        for days in range(2, 13):
            night(warehouse, path, days)
        out, error = reader.communicate(timeout=60)
    warehouse.close()
    assert reader.returncode == 0, error
    assert int(out) > 1
