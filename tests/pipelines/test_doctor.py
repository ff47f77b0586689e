"""`perdure doctor` names what would keep a night from running, with its fix; `perdure status` says what the next night does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from worlds import tables

from pipelines import cli, night, sync
from pipelines.cli import app, run
from pipelines.doctor import Finding, examine
from pipelines.home import Home
from pipelines.settings import Settings
from pipelines.sync import open_warehouse

Perdure = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was filled, built and published once; each test gets a copy to harm."""
    folder = tmp_path_factory.mktemp("sound")
    events = folder / "events.csv"
    # recent, or retention would be overdue
    today = datetime.now(UTC)
    lines = [f"{today - timedelta(days=day):%Y-%m-%d}T10:00,p{day % 7},p{day % 6 + 7}" for day in range(1, 28)]
    events.write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    home = Home(folder / "home").create()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERDURE_KEY", "5a" * 32)
        for place in ("build", "publish"):
            patched.setattr(f"pipelines.{place}.load_catalog", lambda: tables(["pair_panel"]))
        sync.import_events(home, Settings(), events)
        night.build_stage(home, Settings())
        night.publish_stage(home, Settings())
    return home.path


@pytest.fixture
def home(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**12}))
    shutil.copytree(sound, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str]) -> Perdure:
    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=False)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


def found(home: Home) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(home) if finding.verdict != "ok"}


def test_a_sound_home_is_sound(home: Home, perdure: Perdure) -> None:
    assert found(home) == {}
    code, out, _ = perdure("doctor", "--json")
    assert code == 0
    assert {"versions", "permissions", "key", "clock", "disk", "lock", "schema", "prefect", "published file"} <= {
        row["name"] for row in json.loads(out)
    }


def test_no_home_is_named_with_its_fix(tmp_path: Path) -> None:
    (finding,) = [finding for finding in examine(Home(tmp_path / "nowhere")) if finding.verdict == "mend"]
    assert (finding.name, "perdure init" in finding.fix) == ("home", True)


def open_to_others(home: Home) -> None:
    home.published.chmod(0o644)


def another_key(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.remember("key fingerprint", "0" * 16)


def newer(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.run("insert into main.schema_version values (999, 'future', now(), null)")


def broken_file(home: Home) -> None:
    home.warehouse.write_bytes(b"no database at all" * 1000)


def broken_publication(home: Home) -> None:
    home.published.write_bytes(b"no database at all" * 1000)


def wrong_setting(home: Home) -> None:
    home.settings_file.write_text("[measure]\ntime_zon = 'UTC'\n", encoding="utf-8")
    home.settings_file.chmod(0o600)


def clock_went_back(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.run("update raw.run set started_at = timestamp '2100-01-01'")


@pytest.mark.parametrize(
    "harm, name, fix",
    [
        (open_to_others, "permissions", "chmod -R go-rwx"),
        (another_key, "key", "restore that key"),
        (newer, "schema", "install that version"),
        (broken_file, "warehouse", "from a backup"),
        (broken_publication, "published file", "perdure publish"),
        (wrong_setting, "settings", "perdure.toml"),
        (clock_went_back, "clock", "NTP"),
    ],
)
def test_each_harm_is_found_with_its_fix_and_exit_code_2(
    home: Home, perdure: Perdure, harm: Callable[[Home], None], name: str, fix: str
) -> None:
    harm(home)
    (finding,) = [finding for finding in examine(home) if finding.verdict == "mend"]
    assert (finding.name, fix in finding.fix) == (name, True), finding
    code, out, error = perdure("doctor")
    assert (code, "Traceback" in out + error) == (2, False)


def shell(finding: Finding) -> None:
    """Do what the fix says, word for word."""
    (command,) = re.findall(r"`(.+?)`", finding.fix)
    subprocess.run(["sh", "-c", command], check=True)


def with_the_command(finding: Finding, perdure: Perdure) -> None:
    """Run the `perdure` command that the fix names."""
    (command,) = re.findall(r"`perdure (\w+)`", finding.fix)
    assert perdure(command)[0] == 0


def leave_leftovers(home: Home) -> None:
    for name in ("analytics.duckdb.next", "warehouse.duckdb.compact"):
        (home.path / name).touch(0o600)
    (home.path / "warehouse.duckdb.tmp").mkdir(0o700)


def leave_unbuilt(home: Home) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.remember("build", "unfinished")


@pytest.mark.parametrize("harm, name", [(open_to_others, "permissions"), (leave_leftovers, "leftovers")])
def test_the_shell_commands_that_are_advised_mend_it(home: Home, harm: Callable[[Home], None], name: str) -> None:
    harm(home)
    shell(found(home)[name])
    assert found(home) == {}
    assert home.warehouse.exists()


@pytest.mark.parametrize("harm, name", [(broken_publication, "published file"), (leave_unbuilt, "build")])
def test_the_perdure_commands_that_are_advised_mend_it(
    home: Home, perdure: Perdure, harm: Callable[[Home], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(["pair_panel"]))
    harm(home)
    with_the_command(found(home)[name], perdure)
    assert found(home) == {}


@pytest.mark.parametrize("name", ["warehouse.duckdb", "perdure.toml"])
def test_what_is_restored_from_a_copy_is_sound_again(home: Home, sound: Path, name: str) -> None:
    (broken_file if name == "warehouse.duckdb" else wrong_setting)(home)
    assert {"warehouse", "settings"} & set(found(home))
    if name == "warehouse.duckdb":
        shutil.copy2(sound / name, home.path / name)
    else:
        home.settings_file.write_text("[measure]\ntime_zone = 'UTC'\n", encoding="utf-8")
    assert found(home) == {}


def test_a_key_that_is_restored_is_sound_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_KEY", "6b" * 32)
    assert "restore that key" in found(home)["key"].fix
    monkeypatch.delenv("PERDURE_KEY")
    assert "restore the key" in found(home)["key"].fix
    home.key_file.write_text("5a" * 32, encoding="ascii")
    home.key_file.chmod(0o644)
    assert set(found(home)) == {"permissions", "key"}
    shell(found(home)["permissions"])
    assert found(home) == {}


def test_where_the_home_is_on_an_encrypted_disk_is_said(home: Home) -> None:
    (finding,) = [finding for finding in examine(home) if finding.name == "encryption"]
    assert finding.verdict == "ok"
    assert "dm-crypt" in finding.detail or "encrypted disk" in finding.detail


def test_a_full_disk_a_lost_key_and_a_silent_prefect(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    monkeypatch.delenv("PERDURE_KEY")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    named = found(home)
    assert set(named) == {"disk", "key", "prefect"}
    assert "restore" in named["key"].detail
    assert "prefect server start" in named["prefect"].fix


def test_what_only_deserves_a_warning_keeps_no_night_from_running(home: Home) -> None:
    (home.path / "analytics.duckdb.next").touch(0o600)
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.remember("build", "unfinished")
        warehouse.run("update raw.run set ended_at = ended_at - interval 3 days")
    named = found(home)
    assert {name: finding.verdict for name, finding in named.items()} == dict.fromkeys(("leftovers", "build", "last night"), "warning")
    with open_warehouse(home, Settings()):
        assert "a run is writing (process" in found(home)["lock"].detail


def test_status_says_what_happened_and_what_the_next_night_will_do(home: Home, perdure: Perdure) -> None:
    code, out, _ = perdure("status", "--json")
    told = json.loads(out)
    assert code == 0
    assert [run["command"] for run in told["runs"]] == ["publish", "build", "import events"]
    assert json.loads(told["runs"][1]["counts"])["days"] == 27
    (coverage,) = told["days"]
    assert (coverage["interactions"], coverage["observed_days"], coverage["partial_days"], coverage["unseen_days"]) == (27, 27, 0, 0)
    assert told["next_night"][0] == "build: nothing stored has changed since the last"
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.run("insert into raw.touched_day values (date '2024-01-03')")
        warehouse.run("insert into raw.run values ('x', 'sync slack', $1, null, null, null)", [datetime.now(UTC).replace(tzinfo=None)])
    out = perdure("status")[1]
    assert "1 days changed since the last" in out
    assert "killed, or still running" in " ".join(out.split())


def test_who_ran_what_is_recorded_without_arguments_and_names(home: Home, perdure: Perdure) -> None:
    secret = "ann@firm.example"
    for words in (("status",), ("sql", f"select '{secret}'"), ("about", secret), ("forget", secret)):
        perdure(*words)
    path = home.logs / "audit.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(row["command"], row["exit_code"]) for row in rows] == [("status", 0), ("sql", 0), ("about", 0), ("forget", 2)]
    assert {row["user_number"] for row in rows} == {os.getuid()}
    assert set(rows[0]) == {"command", "user_number", "began_at", "ended_at", "exit_code"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text(encoding="utf-8")
