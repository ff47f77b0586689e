"""The command line as its users meet it: every command with an example, exit codes that scripts can trust, nothing half said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import typer
from typer.main import get_command

from pipelines import cli
from pipelines.cli import app, run

README = Path(__file__).resolve().parents[2] / "README.md"
Perdure = Callable[..., tuple[int, str, str]]


@pytest.fixture
def perdure(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Perdure:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=False)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    lines = [f"2024-0{month}-{day:02}T10:00,p{day % 7},p{(day * month) % 6 + 7}" for month in range(1, 6) for day in range(1, 28)]
    path.write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    return path


def commands(group: object = None, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, command in (group or get_command(app)).commands.items():  # type: ignore[attr-defined]
        found |= commands(command, f"{prefix}{name} ") if hasattr(command, "commands") else {f"{prefix}{name}": command}
    return found


def test_every_command_has_help_and_an_example() -> None:
    for name, command in commands().items():
        assert command.help, name  # type: ignore[attr-defined]
        assert f"perdure {name}" in command.epilog, name  # type: ignore[attr-defined]
        for parameter in command.params:  # type: ignore[attr-defined]
            assert parameter.name in ("help",) or parameter.help, f"{name} {parameter.name}"


def test_every_command_is_in_the_readme_and_every_command_of_the_readme_exists() -> None:
    text = README.read_text(encoding="utf-8")
    known = set(commands())
    for name in known:
        assert f"perdure {name}" in text, name
    first_words = {name.split()[0] for name in known}
    for name in re.findall(r"^\s*(?:\.venv/bin/)?perdure ([a-z-]+)", text, flags=re.MULTILINE):
        assert name in first_words, name


def test_the_whole_way_by_hand(perdure: Perdure, events: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert perdure("import", "events", str(events))[0] == 0
    assert perdure("build")[0] == 0
    code, out, _ = perdure("build")
    assert (code, "Nothing changed" in out) == (0, True)
    assert perdure("publish")[0] == 0
    assert perdure("export")[0] == 0
    code, out, _ = perdure("status", "--json")
    (source,) = json.loads(out)["sources"]
    assert (source["read_count"], source["counted"]) == (135, 135)
    code, out, _ = perdure("sql", "select count(*) as contact_count from core.contact")
    assert (code, "135" in out) == (0, True)
    target = tmp_path / "panels.csv"
    assert perdure("sql", "select panel_kind from core.panel order by 1", "--output", str(target))[0] == 0
    assert target.read_text(encoding="utf-8").splitlines()[1] == '"all"'
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.rglob("*") if not path.is_symlink())


def test_importing_again_changes_nothing(perdure: Perdure, events: Path) -> None:
    perdure("import", "events", str(events))
    assert "0 new or changed" in perdure("import", "events", str(events))[1]


def test_an_import_of_nothing_is_no_success_and_leaves_nothing(perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("at,sender,recipient\n1 Smarch 2026,a,b\n", encoding="utf-8")
    code, _, error = perdure("import", "events", str(tmp_path / "bad.csv"))
    assert (code, "2026-03-01T09:00:00" in error) == (2, True)
    assert json.loads(perdure("status", "--json")[1])["sources"] == []


def test_an_export_is_known_by_its_header_and_options_reach_the_file(perdure: Perdure, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(
        "Received,SenderAddress,RecipientAddress,Status\n3/4/2026 9:00,a@own.example,b@own.example,Delivered\n", encoding="utf-8"
    )
    words = ("import", "events", str(tmp_path / "trace.csv"))
    code, _, error = perdure(*words)
    assert (code, "--date-order" in error) == (2, True)
    code, out, error = perdure(*words, "--date-order", "day-first", "--format", "message-trace")
    assert (code, "1 interactions read" in out, "read as message-trace" in error) == (0, True, True)


@pytest.mark.parametrize(
    "words, said",
    [
        (("build",), "run `perdure init`"),
        (("import", "events", "nowhere.csv"), "no such file"),
        (("sql", "select 1"), "run `perdure init`"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(perdure: Perdure, words: tuple[str, ...], said: str) -> None:
    code, _, error = perdure(*words)
    assert code == 2
    assert said in error.splitlines()[-1]
    assert "Traceback" not in error


def test_a_bug_is_exit_code_1_and_its_message_is_withheld(perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    word = "@".join(["ann", "example.org"])

    def broken(*_: object) -> None:
        raise ValueError(word)

    monkeypatch.setattr("pipelines.initialise.initialise", broken)
    code, out, error = perdure("init")
    assert code == 1
    assert "ValueError" in error
    assert word not in out + error


def test_an_unknown_setting_suggests_the_nearest(perdure: Perdure, tmp_path: Path) -> None:
    perdure("init")
    settings = tmp_path / "home" / "perdure.toml"
    settings.write_text("[measure]\ntime_zon = 'Europe/Paris'\n", encoding="utf-8")
    code, _, error = perdure("build")
    assert (code, "did you mean measure.time_zone?" in error) == (2, True)


def test_another_key_is_refused(perdure: Perdure, events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perdure("import", "events", str(events))
    monkeypatch.setenv("PERDURE_KEY", "ab" * 32)
    code, _, error = perdure("import", "events", str(events))
    assert (code, "another key" in error) == (2, True)


def test_init_touches_nothing_that_exists(perdure: Perdure, tmp_path: Path) -> None:
    perdure("init")
    before = {path: path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert perdure("init")[0] == 0
    assert before == {path: path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "statement",
    [
        "create table core.x (n integer)",
        "insert into core.person select * from core.person",
        "copy core.person to 'x.csv'",
        "attach 'x.duckdb'",
        "select * from read_csv('/etc/hosts')",
        "select * from '/etc/hosts'",
        "install httpfs",
        "set enable_external_access = true",
        "select 1; select 2",
    ],
)
def test_sql_reads_the_published_file_and_nothing_else(perdure: Perdure, tmp_path: Path, statement: str) -> None:
    home = tmp_path / "home"
    perdure("init")
    with duckdb.connect(str(home / "analytics.duckdb")) as connection:
        connection.execute("create schema core")
        connection.execute("create table core.person (person_key bigint)")
    before = (home / "analytics.duckdb").read_bytes()
    code, _, error = perdure("sql", statement)
    assert (code, error.startswith("perdure: sql:")) == (2, True)
    assert (home / "analytics.duckdb").read_bytes() == before


def test_a_usage_error_is_exit_code_2(perdure: Perdure) -> None:
    assert perdure("build", "--as-of", "soon")[0] == 2


def test_typer_is_told_not_to_show_local_variables() -> None:
    assert isinstance(app, typer.Typer)
    assert not app.pretty_exceptions_enable
