"""`status` and `about` answer while another command writes, at once, and say of when their answer is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worlds import tables

from pipelines import cli
from pipelines.cli import app, run
from pipelines.home import Home

ANN = "p1@firm.example"
KEY = "5a" * 32
Perdure = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Perdure:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERDURE_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(()))

    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=True)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


@pytest.fixture
def home(perdure: Perdure, tmp_path: Path) -> Home:
    lines = [f"2024-0{m}-{d:02}T10:00,p{d % 7}@firm.example,p{(d * m) % 6 + 7}@firm.example" for m in (1, 2, 3) for d in range(1, 28)]
    (tmp_path / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    assert perdure("import", "events", str(tmp_path / "events.csv"))[0] == 0
    return Home(tmp_path / "home")


@contextmanager
def writer(home: Home, held: str) -> Iterator[None]:
    """Another process that writes: under perdure's lock, or as any program that opened the file."""
    opened = {"perdure": "from pipelines.warehouse import Warehouse; w = Warehouse(p)", "another": "import duckdb; w = duckdb.connect(p)"}
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; p = Path({str(home.warehouse)!r})\n{opened[held]}\nprint('open', flush=True); sys.stdin.read()"  # noqa: E501
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        yield
    finally:
        child.communicate(timeout=60)


@pytest.mark.parametrize("held", ["perdure", "another"])
def test_status_and_about_answer_while_another_process_writes(home: Home, perdure: Perdure, held: str) -> None:
    with writer(home, held):
        code, out, error = perdure("status", "--json")
    assert code == 0, error
    assert json.loads(out)["sources"][0]["read_count"] == 81, "after an import too"
    assert (perdure("build")[0], perdure("publish")[0]) == (0, 0)
    before = json.loads(perdure("about", ANN)[1])
    with writer(home, held):
        began = time.monotonic()
        code, out, error = perdure("status", "--json")
        assert (code, time.monotonic() - began < 5) == (0, True), error
        told = json.loads(out)
        assert told["writer"]
        assert told["told_at"]
        assert told["sources"][0]["counted"] == 81
        assert "Another" in perdure("status")[1]
        code, out, error = perdure("about", ANN)
        assert code == 0, error
        now = json.loads(out)
        assert "analytics.duckdb" in now["from"]
        assert now["is_held"] is True
        assert len(now["accounts"]) == len(before["accounts"])
        assert now["rows_by_table"]["core.person"] == before["rows_by_table"]["core.person"]
        assert now["rows_by_table"]["core.contact"] == before["rows_by_table"]["core.contact"]
        unknown = json.loads(perdure("about", "nobody@firm.example")[1])
        assert (unknown["is_held"], unknown["accounts"], unknown["rows_by_table"]) == (None, [], {})
        assert perdure("about", "no address")[0] == 2
    assert home.state_file.stat().st_mode & 0o777 == 0o600


def test_about_under_another_key_is_refused_even_then(home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (perdure("build")[0], perdure("publish")[0]) == (0, 0)
    monkeypatch.setenv("PERDURE_KEY", "ab" * 32)
    with writer(home, "perdure"):
        code, _, error = perdure("about", ANN)
    assert (code, "another key" in error) == (2, True)


def test_a_state_that_is_lost_or_damaged_locks_nobody_out(home: Home, perdure: Perdure) -> None:
    for harm in (lambda: home.state_file.write_text("{", encoding="utf-8"), home.state_file.unlink):
        harm()
        with writer(home, "perdure"):
            code, out, _ = perdure("status")
        assert (code, "nothing was counted" in out) == (0, True)


def test_nobody_is_named_in_what_is_left_for_status(home: Home, perdure: Perdure) -> None:
    from connectors.pseudonyms import Pseudonymiser
    from pipelines.privacy import traces
    from pipelines.tombstones import person_key

    person = Pseudonymiser(bytes.fromhex(KEY)).person_id(ANN) or ""
    held = home.state_file.read_bytes()
    assert not [needle for needle in traces([person_key(person)], [person]) if needle in held]
