"""Erasure on a machine without room: what is left of the person is said, wherever the room ran out; and a short list when it is done."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from worlds import tables

from pipelines import cli, facts, night, privacy, sync
from pipelines.cli import app, run
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import Settings
from pipelines.sync import open_warehouse

ROOT = Path(__file__).resolve().parents[2]
ANN = "p1@firm.example"
KEY = "5a" * 32
Perdure = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    lines = [f"2024-0{m}-{d:02}T10:00,p{d % 7}@firm.example,p{(d * m) % 6 + 7}@firm.example" for m in (1, 2, 3) for d in range(1, 28)]
    (folder / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    home = Home(folder / "home").create()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERDURE_KEY", KEY)
        for place in ("build", "publish"):
            patched.setattr(f"pipelines.{place}.load_catalog", lambda: tables(()))
        initialise(home)
        sync.import_events(home, Settings(), folder / "events.csv")
        night.build_stage(home, Settings())
        night.publish_stage(home, Settings())
    return home.path


@pytest.fixture
def home(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERDURE_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(()))
    shutil.copytree(sound, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str]) -> Perdure:
    def call(*words: str) -> tuple[int, str, str]:
        cli._global.update(home=None, quiet=True)
        code = run(lambda: app(list(words), standalone_mode=True))
        out, error = capsys.readouterr()
        return code, out, error

    return call


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def duckdb_full(*_: object, **__: object) -> Any:
    raise duckdb.IOException('IO Error: Could not write all bytes to file "x": wrote=0 wanted=262144: No space left on device')


@pytest.mark.parametrize("failure", [full, duckdb_full])
@pytest.mark.parametrize("place", ["pipelines.night.build_stage", "pipelines.warehouse.Warehouse.compact", "pipelines.publish._write"])
def test_out_of_room_after_the_erasure_it_says_where_the_person_still_stands(
    home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch, place: str, failure: Callable[..., Any]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(place, failure)
        code, _, error = perdure("-q", "forget", ANN, "--yes")
    assert code == 2
    (line,) = error.strip().splitlines()
    for words in ("still stands in the published file", "analytics.duckdb", "no room left", "perdure forget"):
        assert words in line, line
    # with room again, the same command ends it
    assert perdure("-q", "forget", ANN, "--yes")[0] == 0
    assert not named(home)


def named(home: Home) -> list[str]:
    from connectors.pseudonyms import Pseudonymiser
    from pipelines.tombstones import person_key

    person = Pseudonymiser(bytes.fromhex(KEY)).person_id(ANN) or ""
    needles = privacy.traces([person_key(person)], [person])
    return [path.name for path in home.path.rglob("*") if path.is_file() and any(needle in path.read_bytes() for needle in needles)]


def test_out_of_room_in_the_erasure_itself_nothing_is_erased_and_it_is_said(
    home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.tombstones.Tombstones.erase", duckdb_full)
    code, _, error = perdure("-q", "forget", ANN, "--yes")
    (line,) = error.strip().splitlines()
    assert code == 2
    for words in ("nothing was erased", "published file", "no room left"):
        assert words in line, line


@pytest.mark.parametrize("failure", [full, duckdb_full])
def test_facts_that_cannot_be_written_anew_are_named(
    home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch, failure: Callable[..., Any]
) -> None:
    facts.export_facts(home)
    monkeypatch.setattr(facts, "_fill", failure)
    code, _, error = perdure("-q", "forget", ANN, "--yes")
    (line,) = error.strip().splitlines()
    assert code == 2
    assert "still holds what was erased" in line
    assert "still stands in the published file" not in line


def test_any_other_fault_after_the_erasure_says_it_too(home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is a bug, with its own exit code; but that the person is still published must not be left out."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pipelines.publish._write", broken)
    code, _, error = perdure("-q", "forget", ANN, "--yes")
    assert code == 1
    assert "still stands in the published file" in error


def test_a_history_that_was_lost_keeps_the_person_published_and_says_so(home: Home, perdure: Perdure, tmp_path: Path) -> None:
    home.warehouse.unlink()
    (tmp_path / "few.csv").write_text(f"at,sender,recipient\n2024-01-01T10:00,{ANN},p2@firm.example\n", encoding="utf-8")
    assert perdure("import", "events", str(tmp_path / "few.csv"))[0] == 0
    code, _, error = perdure("-q", "forget", ANN, "--yes")
    assert code == 2
    assert "still stands in the published file" in error
    assert "--force" in error


def test_a_compaction_without_room_leaves_nothing_behind(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_warehouse(home, Settings()) as warehouse:
        run_sql = warehouse.run

        def failing(sql: str, *rest: Any) -> Any:
            if sql.startswith("copy from database"):
                duckdb_full()
            return run_sql(sql, *rest)

        monkeypatch.setattr(warehouse, "run", failing)
        with pytest.raises(duckdb.IOException):
            warehouse.compact()
        assert [path.name for path in home.path.iterdir() if ".compact" in path.name] == []
        monkeypatch.undo()
        assert warehouse.value("select count(*) from raw.interaction") == 81


@pytest.fixture
def small(home: Home, tmp_path: Path) -> Iterator[Path]:
    """A real file system with hardly more room than the home takes."""
    place = tmp_path / "small"
    place.mkdir()
    size = sum(path.stat().st_size for path in home.path.rglob("*") if path.is_file()) // 1024 + 600
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here (the places are tried one by one by the other tests)")
    shutil.copytree(home.path, place / "home")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_on_a_full_file_system_no_traceback_and_the_published_file_is_named(small: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        "from worlds import tables; import pipelines.build, pipelines.publish\n"
        "few = tables(()); pipelines.build.load_catalog = pipelines.publish.load_catalog = lambda: few\n"
        "from pipelines.cli import app, run\n"
        f"sys.exit(run(lambda: app(['-q', 'forget', {ANN!r}, '--yes'], standalone_mode=True)))"
    )
    environment = {"PERDURE_HOME": str(small / "home"), "PERDURE_KEY": KEY, "PATH": "/usr/bin:/bin", "HOME": str(small.parent)}

    def forget() -> tuple[int, str]:
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=200, check=False)
        return done.returncode, done.stderr

    ended, error = forget()
    assert ended == 2, error
    assert "Traceback" not in error
    assert "published file" in error
    assert "no room left" in error
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    assert forget() == (0, "")
    assert not named(Home(small / "home"))


def test_the_list_of_searched_files_is_short(home: Home, perdure: Perdure) -> None:
    for number in range(300):
        place = home.exports / f"2024-03-{number % 28 + 1:02}" / "parquet"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.parquet").write_bytes(b"figures")
        (home.path / f"note-{number}.txt").write_bytes(b"a note")
    code, out, _ = perdure("-q", "forget", ANN, "--yes")
    assert code == 0
    assert len(out.splitlines()) < 40
    assert "exports (300 files)" in out
    assert "analytics.duckdb" in out
    assert "more" in out
    assert "note-299.txt" not in out


def test_a_file_that_goes_while_it_is_searched_is_no_fault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = home.path / "gone.txt"
    gone.write_bytes(b"a note")
    opened = Path.open

    def going(self: Path, *rest: Any, **options: Any) -> Any:
        gone.unlink(missing_ok=True)
        return opened(self, *rest, **options)

    monkeypatch.setattr(Path, "open", going)
    done = privacy.forget(home, Settings(), ANN)
    assert "gone.txt" not in done.searched
