"""The published file is not replaced by one that has lost most of its history, whichever way it is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from worlds import batch, event, tables

from connectors.errors import UserError
from pipelines import cli, flows, history, night
from pipelines.cli import app, run
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import Settings
from pipelines.sync import open_warehouse

Perdure = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with two hundred days published, whose private file was moved away and begun anew with the last ten."""
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(()))
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home").create()
    initialise(home)
    fill(home, 200)
    night.publish_stage(home, Settings())
    home.warehouse.rename(tmp_path / "elsewhere.duckdb")
    return home


def fill(home: Home, days: int, a_day: int = 2) -> None:
    rows = [
        event(TODAY - timedelta(days=age), 1 + age % 7, 8 + n % 5, interaction_key=1 + 100 * age + n)
        for age in range(days)
        for n in range(a_day)
    ]
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.store(batch(rows))
    night.build_stage(home, Settings())


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str]) -> Perdure:
    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=True)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


def published(home: Home) -> int:
    with duckdb.connect(str(home.published), read_only=True) as connection:
        return int(connection.execute("select count(*) from core.interaction").fetchall()[0][0])


def test_a_file_that_lost_most_of_its_history_is_not_published(home: Home, perdure: Perdure) -> None:
    fill(home, 10)
    code, _, error = perdure("publish")
    assert (code, "Traceback" in error) == (2, False)
    for word in ("400", "20", "--force", "warehouse.duckdb"):
        assert word in error, error
    assert published(home) == 400
    assert perdure("publish", "--force")[0] == 0
    assert published(home) == 20


def test_as_many_interactions_of_other_days_are_a_loss_too(home: Home) -> None:
    fill(home, 10, a_day=60)
    with pytest.raises(UserError, match="force"):
        night.publish_stage(home, Settings())


def test_the_same_history_with_a_little_less_is_published(home: Home) -> None:
    fill(home, 150)
    night.publish_stage(home, Settings())
    assert published(home) == 300


def test_what_retention_deleted_is_no_loss(home: Home) -> None:
    fill(home, 50)
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.delete_before((TODAY - timedelta(days=49)).date())
    night.build_stage(home, Settings())
    night.publish_stage(home, Settings())
    assert published(home) == 100


def test_an_unreadable_published_file_is_replaced_as_ever(home: Home) -> None:
    fill(home, 10)
    home.published.write_bytes(b"no database at all" * 1000)
    night.publish_stage(home, Settings())
    assert published(home) == 20


def test_a_file_without_message_tables_is_held_to_the_same(home: Home, perdure: Perdure) -> None:
    settings = home.settings_file
    settings.write_text("[publish]\nmessages = false\n", encoding="utf-8")
    fill(home, 10)
    assert perdure("publish")[0] == 2


def test_the_flows_stop_and_can_be_forced(home: Home) -> None:
    fill(home, 10)
    with pytest.raises(UserError, match="force"):
        flows.publish_task.fn(str(home.path))
    assert published(home) == 400
    assert flows.publish_task.fn(str(home.path), force=True)["tables"] > 10
    assert published(home) == 20
    assert {"force"} <= set(flows.nightly.parameters.properties)
    assert "force" in flows.monthly_retention.parameters.properties


@pytest.mark.parametrize(
    "before, after, first, kept",
    [
        ({1: 10, 2: 10}, {1: 10, 2: 10}, None, 1.0),
        ({1: 10, 2: 10}, {1: 0, 2: 10}, None, 0.5),
        ({1: 10, 2: 10}, {2: 1_000}, None, 0.5),
        ({1: 10, 2: 10}, {2: 1_000}, 2, 1.0),
        ({}, {}, None, 1.0),
        ({1: 10}, {}, 2, 1.0),
    ],
)
def test_what_is_kept_is_counted_by_day(before: dict[int, int], after: dict[int, int], first: int | None, kept: float) -> None:
    def dated(counts: dict[int, int]) -> dict[date, int]:
        return {date(2024, 1, day): count for day, count in counts.items()}

    assert history.kept_ratio(dated(before), dated(after), date(2024, 1, first) if first else date.min) == kept
