"""Reading the past in windows: ends in what one reading of everything gives, and the nights notice nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.sandbox import World
from connectors.sandbox.sandbox import Sandbox
from pipelines import sync
from pipelines.backfill import backfill, windows
from pipelines.home import Home
from pipelines.settings import Settings
from pipelines.sync import open_warehouse

DAYS = 45


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(World(people=25, days=DAYS, seed=3)) as served:
        yield served


def settings(sandbox: Sandbox, history_days: int) -> Settings:
    return Settings(
        slack={**sandbox.slack_settings(), "history_days": history_days, "sweep_nights": 0},  # type: ignore[arg-type]
        microsoft365={**sandbox.graph_settings(), "history_days": history_days, "calls": False, "retry_seconds": 0.01},  # type: ignore[arg-type]
    )


def a_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    return Home(folder).create()


def stored(home: Home, chosen: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with open_warehouse(home, chosen) as warehouse:
        return {
            name: warehouse.run(f"select {columns} from raw.{name} order by all")
            for name, columns in (
                ("interaction", "source, interaction_key, occurred_at, medium, sender_key, participants, exclusion"),
                ("account", "source, account_key, person_id, kind"),
                ("membership", "source, account_key, observed_on, team"),
            )
        }


def cursors(home: Home, chosen: Settings, source: str) -> dict[str, str]:
    with open_warehouse(home, chosen) as warehouse:
        return dict(warehouse.run("select name, value from raw.cursor where source = $1", [source]))


def test_windows_are_newest_first_and_cover_everything_once() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    found = windows(start, start + timedelta(days=65), 30)
    assert [(low - start).days for low, _ in found] == [35, 5, 0]
    assert [high for _, high in found[1:]] == [low for low, _ in found[:-1]]
    assert windows(start, start, 30) == []


@pytest.mark.parametrize("source", ["slack", "microsoft365"])
def test_a_backfill_ends_in_what_one_reading_gives_and_moves_no_cursor_of_the_nights(
    source: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = sandbox.organisation.ends
    begins = ends - timedelta(days=DAYS + 1)
    clean, home = a_home(tmp_path / "clean", monkeypatch), a_home(tmp_path / "home", monkeypatch)
    sync.sync_source(clean, settings(sandbox, DAYS + 2), source, until=ends)
    chosen = settings(sandbox, 10)
    sync.sync_source(home, chosen, source, until=ends)
    before = cursors(home, chosen, source)

    read = sync.sync_source
    calls = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(options["since"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(*arguments, **options)

    monkeypatch.setattr("pipelines.sync.sync_source", interrupted)
    until = ends - timedelta(days=9)
    with pytest.raises(KeyboardInterrupt):
        backfill(home, chosen, source, begins, until, days=10, pause=lambda _: None)
    done = backfill(home, chosen, source, begins, until, days=10, pause=lambda _: None)
    assert (done.windows, done.done_before, len(done.reports), done.with_gaps) == (4, 2, 2, 0)
    assert calls == sorted(calls[:3], reverse=True) + calls[3:], "newest first"
    assert len(set(calls)) == 4

    after = cursors(home, chosen, source)
    moments = {name: value for name, value in before.items() if source == "microsoft365" or name == "run"}
    assert {name: after[name] for name in moments} == moments
    # the places are those of the night, not of the windows
    assert {day for _, _, day, _ in stored(home, chosen)["membership"]} <= {ends.date()}
    assert stored(home, chosen) == stored(clean, chosen)
    # and the next night reads on as if nothing had been
    again = read(home, chosen, source, until=ends)
    assert again.changed_count == 0
    assert stored(home, chosen) == stored(clean, chosen)


def test_the_ends_must_be_the_right_way_round(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    with pytest.raises(UserError, match="--since must be before --until"):
        backfill(a_home(tmp_path, monkeypatch), settings(sandbox, 10), "slack", moment, moment)
