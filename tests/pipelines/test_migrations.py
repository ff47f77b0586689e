"""Migrations: what was applied is what is installed, or it is an error that names the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.errors import UserError
from pipelines import doctor, migrating
from pipelines.home import Home
from pipelines.migrating import MIGRATIONS
from pipelines.warehouse import Warehouse


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    monkeypatch.setattr(migrating, "MIGRATIONS", folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, installed: Path) -> Home:
    home = Home(tmp_path / "home").create()
    Warehouse(home.warehouse).close()
    return home


def edit(installed: Path) -> None:
    path = installed / "0002_tombstone.sql"
    path.write_text(path.read_text(encoding="utf-8") + "-- one word more\n", encoding="utf-8")


def remove(installed: Path) -> None:
    (installed / "0001_raw.sql").unlink()


def rename(installed: Path) -> None:
    (installed / "0001_raw.sql").rename(installed / "0001_other.sql")


@pytest.mark.parametrize("harm, name", [(edit, "0002_tombstone.sql"), (remove, "0001_raw.sql"), (rename, "0001_raw.sql")])
def test_a_migration_that_was_changed_after_the_fact_is_named(home: Home, installed: Path, harm: object, name: str) -> None:
    Warehouse(home.warehouse).close()
    harm(installed)  # type: ignore[operator]
    with pytest.raises(UserError, match=name):
        Warehouse(home.warehouse)
    (found,) = [found for found in doctor.examine(home) if found.name == "migrations"]
    assert (found.verdict, name in found.detail) == ("mend", True)


def test_how_lines_end_does_not_count(home: Home, installed: Path) -> None:
    path = installed / "0001_raw.sql"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    Warehouse(home.warehouse).close()


def test_a_home_from_before_checksums_takes_what_is_installed(home: Home, installed: Path) -> None:
    with Warehouse(home.warehouse) as opened:
        opened.run("alter table main.schema_version drop column checksum")
    assert [found.name for found in doctor.examine(home) if found.name == "migrations"] == []
    with Warehouse(home.warehouse) as opened:
        assert opened.value("select count(*) from main.schema_version where checksum is null") == 0
    edit(installed)
    with pytest.raises(UserError, match=r"0002_tombstone\.sql was edited"):
        Warehouse(home.warehouse)
