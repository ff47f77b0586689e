"""What goes wrong with machines and files: one line that names cause and mend, an exit code, nothing lost, the published file in place."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from worlds import batch, edge_events, event, tables

from connectors.errors import UserError
from metrics.parameters import Parameters
from pipelines import cli, night, sync
from pipelines.build import build
from pipelines.cli import app, run
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import Settings
from pipelines.sync import open_warehouse, patience
from pipelines.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
KEY = "5a" * 32
Perdure = Callable[..., tuple[int, str, str]]
CATALOG = tables(["pair_panel"])


def write_events(path: Path, days: range, *, a_day: int = 4) -> Path:
    lines = [
        f"2024-{1 + day // 28:02}-{1 + day % 28:02}T{8 + n % 12:02}:{n % 60:02},p{(day + n) % 7}@firm.example,p{(day * n) % 6 + 7}@firm.example"  # noqa: E501
        for day in days
        for n in range(a_day)
    ]
    path.write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    home = Home(folder / "home").create()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERDURE_KEY", KEY)
        initialise(home)
        for place in ("build", "publish"):
            patched.setattr(f"pipelines.{place}.load_catalog", lambda: CATALOG)
        sync.import_events(home, Settings(), write_events(folder / "events.csv", range(28)))
        night.build_stage(home, Settings())
        night.publish_stage(home, Settings())
    return home.path


@pytest.fixture
def home(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PERDURE_KEY", KEY)
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: CATALOG)
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


def one_line(code: int, error: str, *words: str) -> None:
    assert code == 2, error
    (line,) = error.strip().splitlines()
    assert line.startswith("perdure: ")
    for word in words:
        assert word in line, line


def contents(path: Path) -> dict[str, str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute("select schema_name || '.' || table_name from duckdb_tables() where table_name <> 'about'").fetchall()
        return {
            name: hashlib.sha256(repr(connection.execute(f"select * from {name} order by all").fetchall()).encode()).hexdigest()
            for (name,) in names
        }


# -- two runs, locks ----------------------------------------------------------------------------------------------------


def test_a_second_run_is_told_who_writes_and_a_night_waits(home: Home, perdure: Perdure) -> None:
    with open_warehouse(home, Settings()):
        code, _, error = perdure("build")
        one_line(code, error, "another run is writing (process", "wait until it ends")
        assert perdure("sql", "select count(*) from core.person")[0] == 0, "analysts are never locked out"
    held = open_warehouse(home, Settings())
    threading.Timer(1.2, held.close).start()
    began = time.monotonic()
    with patience(30), open_warehouse(home, Settings()):
        assert time.monotonic() - began >= 1
    with open_warehouse(home, Settings()), pytest.raises(UserError, match="another run"), patience(0.6):
        open_warehouse(home, Settings())


# -- damaged files ------------------------------------------------------------------------------------------------------


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(300_000))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    held = bytearray(path.read_bytes())
    for place in range(4096, len(held), 4096):
        held[place] ^= 0xFF
    path.write_bytes(bytes(held))


@pytest.mark.parametrize("harm", [random_bytes, cut_short, flipped])
def test_a_damaged_warehouse_is_named_and_the_published_file_stays(
    home: Home, perdure: Perdure, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    before = home.published.read_bytes()
    harm(home.warehouse)
    code, _, error = perdure("import", "events", str(write_events(tmp_path / "more.csv", range(28, 40))))
    one_line(code, error, "restore")
    assert home.published.read_bytes() == before
    assert perdure("sql", "select count(*) from core.person")[0] == 0
    assert perdure("doctor")[0] == 2


@pytest.mark.parametrize("harm", [random_bytes, cut_short, emptied, flipped, Path.unlink])
def test_a_damaged_or_missing_published_file_is_replaced(home: Home, perdure: Perdure, harm: Callable[[Path], None]) -> None:
    expected = contents(home.published)
    harm(home.published)
    code, _, error = perdure("sql", "select count(*) from core.contact")
    assert code in {0, 2}
    if code:
        assert "perdure publish" in error or "does not exist" in error, error
    assert perdure("publish")[0] == 0
    assert contents(home.published) == expected


def test_a_lost_warehouse_begins_anew_and_ends_equal(home: Home, sound: Path, perdure: Perdure) -> None:
    expected = contents(home.published)
    home.warehouse.unlink()
    code, _, error = perdure("publish")
    one_line(code, error, "perdure build")
    assert contents(home.published) == expected
    assert perdure("import", "events", str(sound.parent / "events.csv"))[0] == 0
    assert (perdure("build")[0], perdure("publish")[0]) == (0, 0)
    assert contents(home.published) == expected


# -- versions -------------------------------------------------------------------------------------------------------------


def test_a_file_of_a_newer_version_is_refused_and_one_of_an_older_is_brought_up(home: Home, perdure: Perdure) -> None:
    before = home.published.read_bytes()
    with open_warehouse(home, Settings()) as warehouse:
        # as version 1 left it
        for name in ("tombstone", "touched_pair", "unpublished", "unpublished_pair"):
            warehouse.run(f"drop table raw.{name}")
        warehouse.run("alter table raw.interaction drop column is_received")
        warehouse.run("delete from main.schema_version where version > 1")
    assert perdure("build")[0] == 0
    with open_warehouse(home, Settings()) as warehouse:
        assert warehouse.value("select count(*) from raw.tombstone") == 0
        warehouse.run("insert into main.schema_version values (999, 'future', now(), null)")
    code, _, error = perdure("build")
    one_line(code, error, "newer perdure", "install that version")
    assert home.published.read_bytes() == before


# -- the key --------------------------------------------------------------------------------------------------------------


def test_a_lost_key_is_not_replaced_by_a_new_one(home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERDURE_KEY")
    assert perdure("init")[0] == 0
    assert not home.key_file.exists()
    code, _, error = perdure("build")
    one_line(code, error, "restore it from your copy")


def test_a_wrong_key_and_an_open_key_are_refused(home: Home, perdure: Perdure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_KEY", "ab" * 32)
    code, _, error = perdure("build")
    one_line(code, error, "another key", "restore that key")
    monkeypatch.delenv("PERDURE_KEY")
    home.key_file.write_text(KEY, encoding="ascii")
    home.key_file.chmod(0o644)
    code, _, error = perdure("build")
    one_line(code, error, "chmod 600")
    monkeypatch.setenv("PERDURE_KEY", "soon")
    code, _, error = perdure("build")
    one_line(code, error, "64 hexadecimal digits")
    assert "soon" not in error


# -- disk -----------------------------------------------------------------------------------------------------------------


def child(home: Path, *words: str, before: str = "") -> tuple[int, str]:
    """Run the command line in a process of its own, with few tables, after `before`."""
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n{before}\n"
        "from worlds import tables; import pipelines.build, pipelines.publish\n"
        "few = tables(['pair_panel']); pipelines.build.load_catalog = pipelines.publish.load_catalog = lambda: few\n"
        "from pipelines.cli import app, run\n"
        f"sys.exit(run(lambda: app({list(words)!r}, standalone_mode=True)))"
    )
    environment = {"PERDURE_HOME": str(home), "PERDURE_KEY": KEY, "PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home.parent, capture_output=True, text=True, timeout=200, check=False
    )
    return done.returncode, done.stderr


def test_a_full_disk_while_importing_loses_nothing(home: Home, tmp_path: Path) -> None:
    before = home.published.read_bytes()
    more = write_events(tmp_path / "more.csv", range(28, 56), a_day=200)
    limit = 50_000
    # no file may grow beyond the limit: to DuckDB that is a disk without room
    code, error = child(
        home.path,
        "-q",
        "import",
        "events",
        str(more),
        before=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))",
    )
    one_line(code, error, "no room left", "nothing is lost")
    assert home.published.read_bytes() == before
    assert sync.import_events(home, Settings(), more).interaction_count == 28 * 200
    with open_warehouse(home, Settings()) as warehouse:
        assert warehouse.value("select count(*) from raw.interaction") == 28 * 4 + 28 * 200


def test_a_full_file_system_loses_nothing(home: Home, tmp_path: Path) -> None:
    """A real one: a tmpfs with a little more room than the home takes."""
    place = tmp_path / "small"
    place.mkdir()
    size = sum(path.stat().st_size for path in home.path.rglob("*") if path.is_file()) // 1024 + 400
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here (the limit of a file's size is tried by the other test)")
    try:
        small = Home(place / "home")
        shutil.copytree(home.path, small.path)
        before = small.published.read_bytes()
        more = write_events(tmp_path / "more.csv", range(28, 56), a_day=200)
        code, error = child(small.path, "-q", "import", "events", str(more))
        one_line(code, error, "no room left", "nothing is lost")
        assert small.published.read_bytes() == before
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        assert child(small.path, "-q", "import", "events", str(more)) == (0, "")
        with open_warehouse(small, Settings()) as warehouse:
            assert warehouse.value("select count(*) from raw.interaction") == 28 * 4 + 28 * 200
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.full
@pytest.mark.parametrize("share", [0.4, 1.01])
def test_a_full_disk_loses_nothing(home: Home, tmp_path: Path, share: float) -> None:
    before = contents(home.published)
    more = write_events(tmp_path / "more.csv", range(28, 112), a_day=60)
    # no file may grow beyond the limit: to DuckDB that is a disk without room
    limit = int(max(home.warehouse.stat().st_size, 1) * share)
    capped = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    said = ""
    for words in (("-q", "import", "events", str(more)), ("-q", "build"), ("-q", "publish")):
        code, said = child(home.path, *words, before=capped)
        if code:
            # a night stops at the first stage that fails
            one_line(code, said, "no room left", "nothing is lost")
            break
    assert said
    assert contents(home.published) == before, "the last good file stays"
    assert not home.published.with_name("analytics.duckdb.next").exists()
    # with room again the same commands end in what an undisturbed home has
    clean = tmp_path / "clean"
    for folder in (home.path, clean):
        if folder == clean:
            shutil.copytree(home.path, clean)
            (clean / "warehouse.duckdb").unlink()
            (clean / "warehouse.duckdb.wal").unlink(missing_ok=True)
            assert child(clean, "-q", "import", "events", str(write_events(tmp_path / "events.csv", range(28))))[0] == 0
        for words in (("-q", "import", "events", str(more)), ("-q", "build"), ("-q", "publish")):
            code, error = child(folder, *words)
            assert code == 0, error
    assert contents(home.published) == contents(clean / "analytics.duckdb")


@pytest.fixture
def read_only(home: Home, tmp_path: Path) -> Iterator[Path]:
    """A copy of the home that cannot be written: a read-only mount for root, to whom modes mean nothing."""
    place = tmp_path / "mounted"
    place.mkdir()
    if os.geteuid() != 0:
        shutil.copytree(home.path, place / "home")
        for path in (place / "home").rglob("*"):
            path.chmod(0o500 if path.is_dir() else 0o400)
        (place / "home").chmod(0o500)
        yield place / "home"
        subprocess.run(["chmod", "-R", "u+rwx", str(place)], check=False)
        return
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(place)], check=False, capture_output=True).returncode:
        pytest.skip("root may not mount here, and nothing else is read-only to root")
    try:
        shutil.copytree(home.path, place / "home")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        yield place / "home"
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_home_that_cannot_be_written_is_named(read_only: Path, perdure: Perdure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_HOME", str(read_only))
    before = (read_only / "warehouse.duckdb").read_bytes()
    code, _, error = perdure("import", "events", str(write_events(tmp_path / "more.csv", range(28, 30))))
    one_line(code, error, "cannot be written to")
    assert (read_only / "warehouse.duckdb").read_bytes() == before
    assert perdure("sql", "select count(*) from core.person")[0] == 0
    assert perdure("doctor")[0] == 2


# -- time -----------------------------------------------------------------------------------------------------------------


def test_no_hour_of_a_clock_change_is_lost_or_counted_twice() -> None:
    moments = [datetime(2024, 3, 30, 22, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(8)]
    moments += [datetime(2024, 10, 26, 21, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(12)]
    warehouse = Warehouse(None, time_zone="Europe/Paris")
    for part in (moments[:5], moments[5:], moments):
        warehouse.store(batch([event(moment, 1, 2, interaction_key=int(moment.timestamp())) for moment in part]))
        build(warehouse, Parameters(time_zone="Europe/Paris"), catalog=CATALOG)
    # midnight in Paris is 23:00 UTC in winter (30 March) and 22:00 UTC in summer (26 October)
    assert warehouse.run("select date, ab_count from core.pair_day order by 1") == [
        (date(2024, 3, 30), 2),
        (date(2024, 3, 31), 6),
        (date(2024, 10, 26), 2),
        (date(2024, 10, 27), 10),
    ]


def test_a_message_from_the_future_does_not_move_the_figures_on() -> None:
    warehouse = Warehouse(None)
    today = datetime.now(UTC)
    warehouse.store(batch([event(today - timedelta(days=3), 1, 2), event(today + timedelta(days=400), 1, 2)]))
    report = build(warehouse, Parameters(), catalog=CATALOG)
    assert report.as_of == today.date()
    assert warehouse.value("select max(date_to) from core.observation") <= today.date()


# -- volume ---------------------------------------------------------------------------------------------------------------


def test_a_tenfold_day_is_built_within_a_small_memory() -> None:
    big_day(everyday=2_000, memory="400MB")


@pytest.mark.full
def test_a_tenfold_day_of_a_large_firm_is_built_within_a_small_memory() -> None:
    big_day(everyday=100_000, memory="1GB")


def big_day(everyday: int, memory: str) -> None:
    chance = np.random.default_rng(3)
    counts = [everyday] * 9 + [10 * everyday]
    seconds = np.concatenate([86_400 * day + chance.integers(0, 86_400, count) for day, count in enumerate(counts)])
    sender = chance.integers(1, 2_000, len(seconds))
    recipient = (sender + chance.integers(1, 1_900, len(seconds))) % 2_000 + 1
    same = sender == recipient
    recipient[same] = sender[same] % 2_000 + 1
    with tempfile.TemporaryDirectory() as folder, Warehouse(Path(folder) / "warehouse.duckdb", memory_limit=memory) as warehouse:
        warehouse.store(edge_events(seconds, sender, recipient))
        build(warehouse, Parameters(), catalog=CATALOG)
        assert warehouse.value("select count(*) from core.contact") == len(seconds)
        assert warehouse.value("select sum(ab_count + ba_count) from core.pair_day where date = date '2020-01-10'") == 10 * everyday
        assert warehouse.run("select date from core.coverage_day where reason = 'drop'") == []


def test_a_night_that_sees_less_than_usual_is_published_with_a_warning_and_is_no_decay(
    home: Home, perdure: Perdure, tmp_path: Path
) -> None:
    people = range(1, 41)
    start = datetime(2024, 1, 1, 9, tzinfo=UTC)
    last = 69
    rows = [event(start + timedelta(days=day, minutes=n), n, n % 40 + 1) for day in range(last + 1) for n in people]
    seen = [row for row in rows if (row["occurred_at"] - start).days < last] + rows[-40:-20]
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.store(batch(seen))
    code, _, error = perdure("build")
    assert (code, "Warning: test email, 2024-03-10: at least 30% fewer" in error) == (0, True)
    assert "no sign of decay" in error
    assert perdure("publish")[0] == 0
    with duckdb.connect(str(home.published), read_only=True) as connection:
        drops = connection.execute("select date, status from core.coverage_day where reason = 'drop' and source = 'test'").fetchall()
        assert drops == [(date(2024, 3, 10), "partial")]
        assert (
            connection.execute("select count(*) from metrics.pair_panel where panel_kind = 'all' and medium = 'any' and is_tie").fetchall()[
                0
            ][0]
            >= 40
        )
    assert any("2024-03-10" in line for line in night.status(home, Settings()).breaks)
