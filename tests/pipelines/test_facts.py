"""Facts for any engine: they equal the published tables, say what they are, keep to their owner, and forget."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from organisations import published_organisation
from worlds import batch, built, event

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines import facts, spark
from pipelines.catalog import load_catalog
from pipelines.home import Home
from pipelines.publish import publish
from pipelines.warehouse import Warehouse


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("facts") / "home").create()
    shutil.copyfile(published_organisation(), home.published)
    facts.export_facts(home)
    return home


def small(path: Path, **options: bool) -> Home:
    home = Home(path).create()
    with built([event("2026-01-05", 1, 2), event("2026-02-05", 2, 1)], only=()) as warehouse:
        republish(warehouse, home, **options)
    return home


def republish(warehouse: Warehouse, home: Home, **options: bool) -> None:
    names = {row[0] for row in warehouse.run("select schema_name || '.' || table_name from duckdb_tables()")}
    catalog = {name: spec for name, spec in load_catalog().items() if name in names}
    publish(warehouse, home.published, Parameters(), catalog=catalog, **options)


@pytest.mark.parametrize("name", [*facts.BY_MONTH, *facts.WHOLE])
def test_facts_hold_every_row_of_the_published_table(written: Home, name: str) -> None:
    with duckdb.connect(str(written.published), read_only=True) as published:
        columns = [row[0] for row in published.execute(f"describe core.{name}").fetchall()]
        expected = published.execute(f"select * from core.{name} order by all").fetchall()
    pattern = written.facts / name / ("*/*.parquet" if name in facts.BY_MONTH else "*.parquet")
    found = duckdb.sql(f"select {', '.join(columns)} from read_parquet('{pattern}', hive_partitioning = true) order by all").fetchall()
    assert found == expected
    assert expected or name in ("space", "gap")


def test_dated_facts_lie_in_a_folder_a_month(written: Home) -> None:
    for name in facts.BY_MONTH:
        months = {path.name for path in (written.facts / name).iterdir()}
        assert len(months) > 5
        assert all(re.fullmatch(r"month=\d{4}-\d{2}", month) for month in months)
        pattern = f"{written.facts}/{name}/*/*.parquet"
        wrong = duckdb.sql(
            f"select count(*) from read_parquet('{pattern}', hive_partitioning = true, hive_types = {{'month': varchar}}) "
            "where strftime(date, '%Y-%m') <> month"
        )
        assert wrong.fetchall() == [(0,)]


def test_facts_are_closed_to_others_and_hold_no_account_or_address(written: Home) -> None:
    for path in (written.facts, *written.facts.rglob("*"), written.facts_list):
        assert path.stat().st_mode & 0o077 == 0, path
    assert not (written.facts / "account").exists()


def test_the_folder_documents_itself(written: Home) -> None:
    package = json.loads((written.facts / "datapackage.json").read_text(encoding="utf-8"))
    text = (written.facts / "README.md").read_text(encoding="utf-8")
    assert "Person-level" in text
    assert "may\nnot go to leadership" in text
    for resource in package["resources"]:
        assert all((written.facts / path).is_file() for path in resource["path"])
        assert resource["schema"]["fields"]
        for column in resource["schema"]["fields"]:
            assert len(column["description"]) > 5, column
            assert f"| {column['name']} |" in text


@pytest.mark.parametrize("engine", facts.READERS)
def test_the_readers_shown_work_and_agree(written: Home, engine: str, tmp_path: Path) -> None:
    if engine == "Spark":
        try:
            spark.require()
        except UserError as missing:
            pytest.skip(str(missing))
    shown = facts.READERS[engine]
    assert shown in (written.facts / "README.md").read_text(encoding="utf-8")
    code = shown.replace("FACTS", str(written.facts)).replace("2026-01", "2025-06")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(written.published), read_only=True) as published:
        expected = published.execute(
            "select strftime(date, '%Y-%m') as month, medium, count(*) from core.pair_day where date >= '2025-06-01' "
            "group by all order by all limit 4"
        ).fetchall()
    for month, medium, count in expected:
        assert re.search(rf"{month}\W+{medium}\W+{count}\b", done.stdout), done.stdout


def test_a_folder_that_holds_something_else_is_not_replaced(written: Home, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="holds something else"):
        facts.export_facts(written, tmp_path)
    assert (tmp_path / "kept.txt").exists()


def test_writing_again_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    home = small(tmp_path / "home")
    elsewhere = tmp_path / "lake" / "facts"
    for _ in range(2):
        done = facts.export_facts(home, elsewhere)
    assert done.rows["contact"] == 2
    assert [path.name for path in elsewhere.parent.iterdir()] == ["facts"]
    assert facts.known_folders(home) == [elsewhere]


def test_without_message_tables_there_are_none_and_the_folder_says_so(tmp_path: Path) -> None:
    home = small(tmp_path / "home", messages=False)
    done = facts.export_facts(home)
    assert not done.has_messages
    assert not (home.facts / "contact").exists()
    assert "publish.messages = false" in (home.facts / "README.md").read_text(encoding="utf-8")


def test_nothing_is_written_before_anything_is_published(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is published yet"):
        facts.export_facts(Home(tmp_path / "home").create())


def test_what_is_past_retention_leaves_facts_everywhere(tmp_path: Path) -> None:
    home = small(tmp_path / "home")
    elsewhere = tmp_path / "lake"
    facts.export_facts(home)
    facts.export_facts(home, elsewhere)
    assert facts.renew_if_older(home) == []
    with Warehouse(None) as warehouse:
        warehouse.store(batch([event("2026-02-05", 2, 1)]))
        from worlds import tables

        from pipelines.build import build

        build(warehouse, Parameters(), catalog=tables(()))
        republish(warehouse, home)
    assert len(facts.renew_if_older(home)) == 2
    for folder in (home.facts, elsewhere):
        assert [path.name for path in (folder / "contact").iterdir()] == ["month=2026-02"]


def test_a_folder_of_facts_that_was_deleted_is_no_longer_looked_for(tmp_path: Path) -> None:
    home = small(tmp_path / "home")
    facts.export_facts(home)
    shutil.rmtree(home.facts)
    assert facts.renew(home) == []
    assert facts.known_folders(home) == []


def test_a_folder_of_facts_that_cannot_be_written_anew_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = small(tmp_path / "home")
    facts.export_facts(home)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(facts, "_write", refuse)
    with pytest.raises(UserError, match=r"cannot be written anew, and still holds.*delete it"):
        facts.renew(home)
