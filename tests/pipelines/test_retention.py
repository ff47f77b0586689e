"""Retention: what is past its time goes, however nights are run; nothing goes under a doubtful clock, nor by surprise."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from worlds import batch, event, tables

from connectors.errors import UserError
from pipelines import cli, clock, night, sync
from pipelines.cli import app, run
from pipelines.doctor import Finding, examine
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import Privacy, Settings
from pipelines.sync import open_warehouse
from pipelines.warehouse import Warehouse

KEY = "5a" * 32
Perdure = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(["pair_panel"]))
    monkeypatch.setenv("PERDURE_KEY", KEY)
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str]) -> Perdure:
    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=True)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


_MADE: dict[tuple[int, ...], Path] = {}


def a_home(folder: Path, ages: Iterable[int]) -> Home:
    """A published home with one message for each age in days; each is made once, and copied."""
    wanted = tuple(ages)
    if wanted not in _MADE:
        home = Home(Path(tempfile.mkdtemp()) / "home").create()
        initialise(home)
        rows = [event(TODAY - timedelta(days=age), 1 + abs(age) % 7, 8 + abs(age) % 5, interaction_key=age + 100_000) for age in wanted]
        with open_warehouse(home, Settings()) as warehouse:
            warehouse.store(batch(rows))
        night.build_stage(home, Settings())
        night.publish_stage(home, Settings())
        _MADE[wanted] = home.path
    shutil.copytree(_MADE[wanted], folder / "home")
    return Home(folder / "home")


@pytest.fixture(scope="module", autouse=True)
def _swept() -> Iterator[None]:
    yield
    for path in _MADE.values():
        shutil.rmtree(path.parent)
    _MADE.clear()


def held(home: Home) -> int:
    with open_warehouse(home, Settings()) as warehouse:
        return int(warehouse.value("select count(*) from raw.interaction"))


def oldest_published(home: Home) -> Any:
    with duckdb.connect(str(home.published), read_only=True) as connection:
        return connection.execute("select min(date) from core.interaction").fetchall()[0][0]


def finding(home: Home) -> Finding:
    (found,) = [found for found in examine(home) if found.name == "retention"]
    return found


ORDINARY = range(440)
"""A home that has run for a while: the last whole months past 400 days are due."""
SURPRISING = range(900)
"""Most of it is past its time: retention did not run, or somebody read years of the past."""
STALE = range(730, 1000)
"""As under a clock two years ahead: to this machine, nothing was seen for two years."""


# -- the clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--yes",)])
def test_under_a_clock_two_years_ahead_nothing_is_deleted(tmp_path: Path, perdure: Perdure, options: tuple[str, ...]) -> None:
    home = a_home(tmp_path, STALE)
    with pytest.raises(UserError, match="clock"):
        night.retention_stage(home, Settings())
    assert held(home) == len(STALE)
    code, _, error = perdure("retention", *options)
    assert (code, "NTP" in error, "--trust-clock" in error, "Traceback" in error) == (2, True, True, False)
    assert held(home) == len(STALE)


def test_one_message_from_the_future_vouches_for_no_clock(tmp_path: Path) -> None:
    home = a_home(tmp_path, [*STALE, 0, -300, -40_000])
    with pytest.raises(UserError, match="clock"):
        night.retention_stage(home, Settings())
    assert held(home) == len(STALE) + 3


def test_somebody_who_knows_that_the_clock_is_right_may_say_so(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, STALE)
    assert perdure("retention", "--trust-clock")[0] == 2, "still more than a night would delete"
    assert perdure("retention", "--trust-clock", "--yes")[0] == 0
    assert held(home) == 0


def test_a_service_that_agrees_with_the_clock_vouches_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = a_home(tmp_path, range(390, 440))

    class Connector:
        @staticmethod
        async def fetch(*_: object) -> Any:
            for nothing in ():
                yield nothing

    settings = Settings(slack={"token": "xoxb-1"}, privacy=Privacy(retention_margin=1))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="clock"):
        night.retention_stage(home, settings)
    monkeypatch.setattr("pipelines.sync._connector", lambda _: Connector)
    monkeypatch.setattr(sync, "refuse_wrong_clock", lambda *_: None)
    sync.sync_source(home, settings, "slack")
    with pytest.raises(UserError, match="clock"):
        night.retention_stage(home, settings)
    monkeypatch.setattr(sync, "refuse_wrong_clock", lambda *_: datetime.now(UTC))
    sync.sync_source(home, settings, "slack")
    assert night.retention_stage(home, settings)["raw.interaction"] > 0


def test_the_time_that_a_service_tells_is_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        headers = {"Date": f"{datetime.now(UTC) - timedelta(minutes=3):%a, %d %b %Y %H:%M:%S GMT}"}  # noqa: RUF012

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(clock, "urlopen", lambda *_, **__: Answer())
    told = clock.refuse_wrong_clock("slack", "https://slack.example")
    assert told is not None
    assert timedelta(minutes=2) < datetime.now(UTC) - told < timedelta(minutes=5)
    Answer.headers = {}
    assert clock.refuse_wrong_clock("slack", "https://slack.example") is None


# -- the share ------------------------------------------------------------------------------------------------------------


def test_what_an_ordinary_night_deletes_is_deleted_everywhere(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, ORDINARY)
    code, out, error = perdure("retention")
    assert code == 0, error
    kept_from = (TODAY - timedelta(days=400)).date().replace(day=1)
    assert str(kept_from) in out
    assert oldest_published(home) == kept_from, "from the published file too"
    assert held(home) == (TODAY.date() - kept_from).days + 1
    code, out, _ = perdure("retention")
    assert (code, "Nothing" in out) == (0, True)


def test_more_than_an_ordinary_night_needs_a_yes(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, SURPRISING)
    code, _, error = perdure("retention")
    assert (code, "--yes" in error, "privacy.retention_days" in error) == (2, True, True)
    kept = (TODAY.date() - (TODAY - timedelta(days=400)).date().replace(day=1)).days + 1
    assert f"{(900 - kept) / 900:.0%} of all" in error, error
    assert held(home) == len(SURPRISING)
    assert perdure("retention", "--yes")[0] == 0
    assert oldest_published(home) == (TODAY - timedelta(days=400)).date().replace(day=1)


def test_the_margin_is_a_setting(tmp_path: Path) -> None:
    home = a_home(tmp_path, SURPRISING)
    assert night.retention_stage(home, Settings(privacy=Privacy(retention_margin=0.6)))["raw.interaction"] > 400


# -- nights ---------------------------------------------------------------------------------------------------------------


def artifacts(home: Home) -> dict[str, str]:
    with sqlite3.connect(home.prefect / "prefect.db") as connection:
        rows = connection.execute("select key, data from artifact").fetchall()
    connection.close()
    return dict(rows)


@pytest.mark.server
@pytest.mark.parametrize("ages, code, is_deleted", [(ORDINARY, 0, True), (SURPRISING, 3, False), (STALE, 3, False)])
def test_every_night_keeps_the_promise_or_says_that_it_does_not(
    tmp_path: Path, ages: range, code: int, is_deleted: bool, child: Callable[..., tuple[int, str]]
) -> None:
    home = a_home(tmp_path, ages)
    ended, said = child(home, "nightly", "--no-export")
    assert ended == code, said
    assert (held(home) < len(ages)) is is_deleted
    with duckdb.connect(str(home.published), read_only=True) as connection:
        assert connection.execute("select count(*) from core.interaction").fetchall() == [(held(home),)]
    if not is_deleted:
        assert "Warning: retention" in said
        assert "perdure retention" in said
        assert "retention" in artifacts(home)["night"]


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the command line in a process of its own, with few tables."""
    import os
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]

    def call(home: Home, *words: str) -> tuple[int, str]:
        code = (
            f"import sys; sys.path[:0] = [{str(root)!r}, {str(root / 'tests')!r}]\n"
            "from worlds import tables; import pipelines.build, pipelines.publish\n"
            "few = tables(['pair_panel']); pipelines.build.load_catalog = pipelines.publish.load_catalog = lambda: few\n"
            "from pipelines.cli import app, run\n"
            f"sys.exit(run(lambda: app({list(words)!r}, standalone_mode=True)))"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
        environment |= {"PERDURE_HOME": str(home.path), "PERDURE_KEY": KEY}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return call


def test_where_every_source_fails_retention_runs_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import flows

    ran: list[str] = []

    class Failing:
        def with_options(self, **_: object) -> Any:
            def fail(*_: object) -> None:
                raise UserError("slack: the token is wrong")

            return fail

    home = a_home(tmp_path, range(3))
    monkeypatch.setattr(flows, "sync_task", Failing())
    monkeypatch.setattr(flows.sync, "configured_sources", lambda _: ["slack"])
    monkeypatch.setattr(flows, "get_run_logger", lambda: __import__("logging").getLogger("night"))
    monkeypatch.setattr(flows, "retention_task", lambda _: ran.append("retention") or {"deleted": {}, "refused": None})
    with pytest.raises(UserError, match="token"):
        flows.nightly.fn(home=str(home.path))
    assert ran == ["retention"]


def test_retention_that_fails_costs_the_night_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    from pipelines import flows

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flows, "retention_task", full)
    done = flows._retained("home", logging.getLogger("night"))
    assert done["deleted"] == {}
    assert "no room left" in done["refused"]


def test_a_night_without_anything_due_writes_nothing_anew(tmp_path: Path) -> None:
    home = a_home(tmp_path, range(30))
    with open_warehouse(home, Settings()) as warehouse:
        before = warehouse.memo("published")
    place = home.warehouse.stat().st_ino
    assert set(night.retention_stage(home, Settings()).values()) == {0}
    assert home.warehouse.stat().st_ino == place
    with open_warehouse(home, Settings()) as warehouse:
        assert warehouse.memo("published") == before
        assert warehouse.memo("build") == "finished"
        # once a month the file is written anew, so that the bytes of what was deleted at its source go too
        warehouse.remember("compacted", "2001-01")
    night.retention_stage(home, Settings())
    assert home.warehouse.stat().st_ino != place


# -- the doctor -----------------------------------------------------------------------------------------------------------


def test_the_doctor_says_when_retention_last_ran(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, ORDINARY)
    told = finding(home)
    assert (told.verdict, "never" in told.detail, "perdure retention" in told.fix) == ("warning", True, True)
    perdure("retention")
    told = finding(home)
    assert (told.verdict, f"last ran {TODAY:%Y-%m-%d}" in told.detail) == ("ok", True)


def test_the_doctor_says_that_retention_was_refused(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, SURPRISING)
    assert perdure("retention")[0] == 2
    told = finding(home)
    assert (told.verdict, "perdure retention" in told.fix) == ("warning", True)


def test_a_young_home_has_nothing_to_be_warned_of(tmp_path: Path) -> None:
    told = finding(a_home(tmp_path, range(30)))
    assert (told.verdict, "nothing is older" in told.detail) == ("ok", True)


def test_a_killed_retention_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = a_home(tmp_path, ORDINARY)

    def killed(_: Warehouse) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Warehouse, "compact", killed)
        with pytest.raises(KeyboardInterrupt):
            night.retention_stage(home, Settings())
    place = home.warehouse.stat().st_ino
    night.retention_stage(home, Settings())
    assert home.warehouse.stat().st_ino != place, "the deleted bytes are out of the file, at the latest by the run after"


def test_the_run_is_recorded_with_its_reason(tmp_path: Path, perdure: Perdure) -> None:
    home = a_home(tmp_path, SURPRISING)
    perdure("retention")
    with open_warehouse(home, Settings()) as warehouse:
        ((outcome, counts),) = warehouse.run("select outcome, counts from raw.run where command = 'retention'")
    assert (outcome, json.loads(counts)["refused"]) == ("failed", "share")
