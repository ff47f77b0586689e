"""What a command says and how it ends where a service, or a part of one, could not be read."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.checks import ScopeCheck
from connectors.errors import UserError
from connectors.records import Batch, table
from pipelines import cli
from pipelines.cli import app, run

Perdure = Callable[..., tuple[int, str, str]]
Services = Callable[..., None]
DAY = "2026-03-01"
SETTINGS = """
[slack]
token = "xoxb-1"
[microsoft365]
tenant_id = "tenant"
client_id = "client"
client_secret = "secret"
"""


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


def coverage(source: str, stream: str, status: str, reason: str | None, unit: int = 0) -> Batch:
    row = {"source": source, "stream": stream, "unit_key": unit, "medium": "call", "status": status, "reason": reason}
    day = date.fromisoformat(DAY)
    return Batch(source, stream, {"coverage": table("coverage", [{**row, "date_from": day, "date_to": day}])})


@pytest.fixture
def services(perdure: Perdure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Two services in the settings; each gives batches, or an error."""
    assert perdure("init")[0] == 0
    (tmp_path / "home" / "perdure.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)

    def given(**found: list[Batch] | Exception) -> None:
        def connector(source: str) -> Any:
            async def fetch(*_: Any) -> AsyncIterator[Batch]:
                for batch in _raised(found[source]):
                    yield batch

            async def check(_: Any) -> list[ScopeCheck]:
                _raised(found[source])
                return [ScopeCheck(source, "a.scope", True, "", "")]

            return SimpleNamespace(fetch=fetch, check=check)

        monkeypatch.setattr("pipelines.sync._connector", connector)
        monkeypatch.setattr("pipelines.sync.refuse_wrong_clock", lambda *_: None)

    return given


def _raised(found: Any) -> Any:
    if isinstance(found, Exception):
        raise found
    return found


@pytest.mark.parametrize("reason", ["missing_scope", "unavailable"])
def test_a_stream_that_went_missing_is_in_the_last_line_and_ends_with_3(perdure: Perdure, services: Services, reason: str) -> None:
    lost = [coverage("microsoft365", "calls", "missing", reason), coverage("microsoft365", "mail", "observed", None)]
    services(slack=[], microsoft365=lost)
    code, out, _ = perdure("sync")
    assert code == 3
    assert f"microsoft365: calls ({reason})" in out.strip().splitlines()[-1]
    assert "mail" not in out


@pytest.mark.parametrize(
    "told",
    [
        ("observed", None, 0),
        ("partial", "out_of_scope", 0),
        ("missing", "not_in_export", 0),
        ("missing", "excluded_by_settings", 0),
    ],
)
def test_what_is_no_fault_of_the_night_ends_with_0(perdure: Perdure, services: Services, told: tuple[str, str | None, int]) -> None:
    services(slack=[], microsoft365=[coverage("microsoft365", "calls", *told)])
    code, out, _ = perdure("sync")
    assert (code, "Not read" in out) == (0, False)


@pytest.mark.parametrize("command", [("sync",), ("check",), ("backfill", "--since", "2026-01-01", "--until", "2026-01-05")])
@pytest.mark.parametrize("down", ["slack", "microsoft365"])
def test_one_service_that_is_down_leaves_the_other_done(perdure: Perdure, services: Services, command: tuple[str, ...], down: str) -> None:
    error = UserError(f"{down}.base_url: nothing answers at 127.0.0.1:9")
    other = {"slack": "microsoft365", "microsoft365": "slack"}[down]
    services(**{down: error, other: []})
    code, out, said = perdure(*command)
    assert code == 3
    assert f"{down} was not read: {error}" in said
    assert other in out
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [("sync",), ("check",)])
def test_where_every_service_is_down_the_first_says_why(perdure: Perdure, services: Services, command: tuple[str, ...]) -> None:
    services(slack=UserError("slack.token: refused"), microsoft365=UserError("microsoft365: refused"))
    code, _, said = perdure(*command)
    assert (code, said.strip()) == (2, "perdure: slack.token: refused")


@pytest.mark.parametrize("command", [("sync", "microsoft365"), ("check", "microsoft365")])
@pytest.mark.parametrize("setting", ["base_url", "authority"])
def test_a_closed_port_fails_in_seconds_and_names_the_setting(
    perdure: Perdure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], setting: str
) -> None:
    perdure("init")
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    monkeypatch.setattr("pipelines.sync.refuse_wrong_clock", lambda *_: None)
    urls = {"base_url": "http://127.0.0.1:9/v1.0", "authority": "http://127.0.0.1:9"}
    text = SETTINGS.partition("[microsoft365]")[2] + "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    (tmp_path / "home" / "perdure.toml").write_text(f"[microsoft365]{text}", encoding="utf-8")
    began = time.monotonic()
    code, _, said = perdure(*command)
    assert time.monotonic() - began < 20
    # who signs in is asked first
    assert (code, said.strip().count("\n")) == (2, 0)
    assert "microsoft365.authority: nothing answers at 127.0.0.1:9" in said
