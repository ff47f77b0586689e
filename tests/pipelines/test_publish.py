"""Publishing: analysts are never refused, never see half a night, and find every table and column explained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from worlds import batch, event, tables

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.publish import publish
from pipelines.warehouse import PUBLISHED, Warehouse

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


# -- bringing the published file up to date -----------------------------------------------------------------------------


def whole(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table, but for what tells one publication from another."""
    names = [name for (name,) in ask(path, "select schema_name || '.' || table_name from duckdb_tables() order by 1")]
    found = {name: ask(path, f"select * from {name} order by all") for name in names}
    found["metrics.about"] = ask(path, "select as_of, parameters from metrics.about")
    found["comments"] = ask(path, "select table_name, column_name, comment from duckdb_columns() where not internal order by all")
    return found


def changing_nights(warehouse: Warehouse) -> Iterator[None]:
    """Nights that add a day, change an old one, take a message away, move the first day, and bring nothing."""
    messages = {day: event(f"2024-{1 + day // 20:02}-{1 + day % 20:02}", 1 + day % 3, 4, interaction_key=day) for day in range(60)}
    for key, changed in (
        (None, None),
        (100, event("2024-04-01", 1, 2, interaction_key=100)),
        (7, event("2024-01-08", 2, 3, interaction_key=7)),
        (9, {**messages[9], "exclusion": "deleted", "participants": []}),
        (101, event("2023-11-05", 1, 4, interaction_key=101)),
        (102, event("2024-02-03", 1, 2, interaction_key=102)),
        (None, None),
    ):
        if key is not None:
            messages[key] = changed
        warehouse.store(batch(list(messages.values())))
        build(warehouse, Parameters(panels=("week", "month")), catalog=CATALOG)
        yield
    # a build that speaks of fewer days
    build(warehouse, Parameters(panels=("week", "month")), catalog=CATALOG, as_of=date(2024, 2, 7))
    yield


def test_a_file_brought_up_to_date_is_the_one_that_would_be_written_from_nothing(tmp_path: Path) -> None:
    kept, anew, warehouse = tmp_path / "kept.duckdb", tmp_path / "anew.duckdb", Warehouse(None)
    found = []
    for _ in changing_nights(warehouse):
        found.append(publish(warehouse, kept, catalog=CATALOG).is_whole)
        memo, unpublished = warehouse.memo(PUBLISHED), warehouse.run("select * from raw.unpublished")
        assert unpublished == []
        assert publish(warehouse, anew, catalog=CATALOG).is_whole  # another path holds no publication that is known
        warehouse.remember(PUBLISHED, str(memo))
        assert whole(kept) == whole(anew)
        anew.unlink()
    assert found == [True, *[False] * 7]


def test_the_file_is_written_from_nothing_where_it_must_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, warehouse = tmp_path / "analytics.duckdb", Warehouse(tmp_path / "warehouse.duckdb")

    def is_whole(**options: bool) -> bool:
        return publish(warehouse, path, catalog=CATALOG, **options).is_whole

    warehouse.store(batch([event("2024-01-01", 1, 2)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    assert is_whole()
    assert not is_whole()
    assert is_whole(messages=False)
    assert not is_whole(messages=False)
    # rows that were erased for good must not stay in free blocks
    warehouse.compact()
    assert is_whole(messages=False)
    # another file in its place, or none
    path.write_bytes(b"nothing of ours")
    assert is_whole(messages=False)
    path.unlink()
    assert is_whole(messages=False)
    # other definitions
    build(warehouse, Parameters(tie_active_days=5), catalog=CATALOG)
    assert is_whole(messages=False)
    monkeypatch.setattr("pipelines.publish.MOST_RENEWALS", 2)
    assert [is_whole(messages=False) for _ in range(5)] == [False, False, True, False, False]
    warehouse.close()


def test_a_publication_killed_before_it_was_remembered_is_written_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, warehouse = tmp_path / "analytics.duckdb", Warehouse(None)
    warehouse.store(batch([event("2024-01-01", 1, 2)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    publish(warehouse, path, catalog=CATALOG)
    warehouse.store(batch([event("2024-01-01", 1, 2), event("2024-01-02", 1, 2, interaction_key=5)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, "remember", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(warehouse, path, catalog=CATALOG)
    assert ask(path, "select count(*) from core.pair_day") == [(2,)]
    assert warehouse.value("select count(*) from raw.unpublished") > 0
    assert publish(warehouse, path, catalog=CATALOG).is_whole
