"""Rotation of the key: every table equal but for the pseudonyms, the same address the same person, killed anywhere it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from worlds import tables

from connectors.pseudonyms import Pseudonymiser
from connectors.sandbox import World
from connectors.sandbox.sandbox import Sandbox
from pipelines import cli, facts, night, privacy, rekey, rotate, sync
from pipelines.catalog import load_catalog
from pipelines.cli import app, run
from pipelines.doctor import examine
from pipelines.home import Home
from pipelines.keys import load_pseudonymiser
from pipelines.settings import Settings
from pipelines.sync import open_warehouse
from pipelines.tombstones import person_key

GONE = "p3@firm.example"
METRICS = ("pair_panel", "tie_spell")


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(World(people=12, days=20, seed=5)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def settings(served: Sandbox) -> Settings:
    return Settings(
        slack={**served.slack_settings(), "sweep_nights": 0},  # type: ignore[arg-type]
        microsoft365={**served.graph_settings(), "retry_seconds": 0.01},  # type: ignore[arg-type]
        organisation={"domains": ["firm.example"]},  # type: ignore[arg-type]
    )


def write_events(folder: Path) -> Path:
    lines = [
        f"2024-12-{day:02}T{hour}:00,p{day % 7}@firm.example,p{(day * hour) % 6 + 7}@firm.example"
        for day in range(1, 29)
        for hour in (10, 11, 15)
    ]
    (folder / "events.csv").write_text("\n".join(["at,sender,recipient", *lines, "soon,a,b"]), encoding="utf-8")
    return folder / "events.csv"


@pytest.fixture(scope="module")
def sound(served: Sandbox, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with both services, a file, kept panels of long ago and a forgotten person, wholly built."""
    folder = tmp_path_factory.mktemp("sound")
    home = Home(folder / "home").create()
    home.key_file.write_text("5a" * 32 + "\n", encoding="ascii")
    home.key_file.chmod(0o600)
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("PERDURE_KEY", raising=False)
        few = tables(METRICS)
        for place in ("build", "publish"):
            patched.setattr(f"pipelines.{place}.load_catalog", lambda: few)
        sync.import_events(home, settings, write_events(folder))
        for source in ("slack", "microsoft365"):
            sync.sync_source(home, settings, source, until=served.organisation.ends)
        night.build_stage(home, settings)
        night.publish_stage(home, settings)
        privacy.forget(home, settings, GONE)
        with open_warehouse(home, settings) as warehouse:
            warehouse.run(
                "insert into metrics.pair_panel by name (select * replace (date '2015-01-01' as panel_start) from metrics.pair_panel "
                "where panel_kind = 'month' and medium = 'any')"
            )
            warehouse.remember("retained from", "2020-01-01")
    return home.path


@pytest.fixture
def home(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("PERDURE_KEY", raising=False)
    monkeypatch.setenv("PERDURE_HOME", str(tmp_path / "home"))
    few = tables(METRICS)
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: few)
    shutil.copytree(sound, tmp_path / "home")
    return Home(tmp_path / "home")


def pseudonyms_of(home: Home) -> tuple[set[int], set[str]]:
    with open_warehouse(home, Settings()) as warehouse:
        columns = rekey._key_columns(warehouse)
        keys = {
            key
            for table, names in columns.items()
            for name in names
            for (key,) in warehouse.run(f"select distinct {name} from {table}")
            if key
        }
        ids = {
            name.replace("-", "")
            for (name,) in warehouse.run("select cast(person_id as varchar) from core.account where person_id is not null")
        }
        return keys, ids | {name for (name,) in warehouse.run("select unnest(list_append(alias_ids, person_id)) from raw.account") if name}


def without_pseudonyms(home: Home) -> dict[str, list[Any]]:
    """Every table's rows without keys and ids, sides in no order: what a rotation must leave as it is."""
    with open_warehouse(home, Settings()) as warehouse:
        columns = rekey._key_columns(warehouse)
        found = {}
        for (table,) in warehouse.run(
            "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('raw', 'core', 'metrics')"
        ):
            if table in {"raw.memo", "raw.run", "raw.cursor"}:
                continue
            names = [row[0] for row in warehouse.connection.execute(f"select * from {table} limit 0").description or ()]
            hidden = {*columns.get(table, []), "person_id", "alias_ids", "participants"}
            kept = [name for name in names if name not in hidden]
            sides = {name: "_".join(rekey._SIDES.get(part, part) for part in name.split("_")) for name in kept}
            sql = [
                f"list_sort([cast({name} as varchar), cast({sides[name]} as varchar)])" if "person_a_key" in names and sides[name] != name and sides[name] in kept  # noqa: E501
                else name for name in kept
            ]  # fmt: skip
            sql += ["list_sort(list_transform(participants, lambda p: p.evidence))"] if "participants" in names else []
            found[table] = warehouse.run(f"select {', '.join(sql or ['1'])} from {table} order by all")
        return found


def directed(home: Home, pseudonyms: Pseudonymiser, sender: str, recipient: str) -> list[tuple[Any, ...]]:
    """What one person sent to another, wherever the pair's order puts it."""
    a, b = (person_key(pseudonyms.person_id(f"{name}@firm.example") or "") for name in (sender, recipient))
    column = "ab" if a < b else "ba"
    with open_warehouse(home, Settings()) as warehouse:
        return [
            row
            for table, when in (("core.pair_day", "date"), ("metrics.pair_panel", "panel_start"))
            for row in warehouse.run(
                f"select {when}, {column}_count, {column}_weight from {table} where person_a_key = $1 and person_b_key = $2 order by all",
                [min(a, b), max(a, b)],
            )
        ]


def test_every_table_is_equal_but_for_the_pseudonyms(home: Home, settings: Settings) -> None:
    before, (keys, ids), rows = load_pseudonymiser(home.key_file), pseudonyms_of(home), without_pseudonyms(home)
    pairs = [("p1", "p8"), ("p2", "p9"), ("p4", "p11"), ("p5", "p12"), ("p6", "p10")]
    sent = [directed(home, before, *pair) for pair in pairs]
    assert sum(map(len, sent)) > 10
    with open_warehouse(home, settings) as warehouse, warehouse.transaction():
        counts = rekey.rekey(warehouse, rotate.Rotation(b"\7" * 32))
    assert {"raw.interaction", "raw.cursor", "raw.quarantine", "core.contact", "metrics.pair_panel"} <= set(counts)
    assert without_pseudonyms(home) == rows
    after = Pseudonymiser(bytes.fromhex("5a" * 32), [b"\7" * 32])
    assert [directed(home, after, *pair) for pair in pairs] == sent
    new_keys, new_ids = pseudonyms_of(home)
    assert (new_keys & keys, new_ids & ids) == (set(), set())
    assert (len(new_keys), len(new_ids)) == (len(keys), len(ids))
    with open_warehouse(home, settings) as warehouse:
        assert warehouse.value("select count(*) from core.pair_day where person_a_key >= person_b_key") == 0
        assert warehouse.value("select count(*) from core.contact where evidence = 'co_present' and from_key > to_key") == 0
        assert warehouse.value("select count(*) from core.contact as c anti join core.person as p on p.person_key = c.from_key") == 0
        assert (
            warehouse.value(
                "select count(*) from core.person as p join core.account as a using (person_id) where a.person_key <> p.person_key"
            )
            == 0
        )


def test_after_a_rotation_nothing_is_read_twice_and_the_forgotten_stay_out(
    home: Home, settings: Settings, served: Sandbox, tmp_path: Path
) -> None:
    before = load_pseudonymiser(home.key_file)
    done = rotate.rotate(home, settings)
    assert (done.key_count, done.place, done.to_do) == (2, "key file key", [])
    assert home.key_file.stat().st_mode & 0o777 == 0o600
    with open_warehouse(home, settings) as warehouse:
        raw = {
            name: warehouse.value(f"select concat(count(*), ':', bit_xor(hash(t))) from raw.{name} as t")
            for name in ("interaction", "account", "space", "quarantine")
        }
    sync.import_events(home, settings, write_events(tmp_path))
    for source in ("slack", "microsoft365"):
        assert sync.sync_source(home, settings, source, until=served.organisation.ends).changed_count == 0
    with open_warehouse(home, settings) as warehouse:
        after = {name: warehouse.value(f"select concat(count(*), ':', bit_xor(hash(t))) from raw.{name} as t") for name in raw}
        assert after == raw, "the same address is the same person, the same message the same message"
        assert warehouse.value("select count(*) from raw.interaction where exclusion = 'opted_out'") > 0
    chain = load_pseudonymiser(home.key_file)
    assert privacy.about(home, settings, GONE)["is_forgotten"]
    assert chain.person_id(GONE) != before.person_id(GONE)
    with duckdb.connect(str(home.published), read_only=True) as reader:
        ids = {str(name).replace("-", "") for (name,) in reader.execute("select person_id from core.person").fetchall()}
    assert chain.person_id("p1@firm.example") in ids
    assert not {before.person_id("p1@firm.example"), chain.person_id(GONE)} & ids


def test_no_old_pseudonym_is_left_in_any_byte(home: Home, settings: Settings) -> None:
    keys, ids = pseudonyms_of(home)
    facts.export_facts(home, None)
    assert rotate.rotate(home, settings).facts == [str(home.facts)]
    with duckdb.connect() as connection:
        read = f"select from_key from read_parquet('{home.facts}/contact/*/*.parquet')"
        in_facts = {key for (key,) in connection.execute(read).fetchall()}
    assert in_facts
    assert not in_facts & keys
    # of all the needles those that random bytes do not hold by chance
    needles = privacy.traces(sorted(keys)[::7], sorted(ids))
    for path in home.path.rglob("*"):
        if path.is_file() and path != home.key_file:
            held = path.read_bytes()
            assert not any(needle in held for needle in needles if len(needle) >= 8), path.name


class Killed(BaseException):
    """Stands for the process's end."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    "moment",
    [
        "pipelines.rotate.rekey",
        "pipelines.rotate._put",
        "pipelines.rotate.remove_leftovers",
        "pipelines.rotate._finish",
        pytest.param("pipelines.night.publish_stage", marks=pytest.mark.full),
    ],
)
def test_killed_anywhere_it_goes_on_when_run_again(home: Home, settings: Settings, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    rows = without_pseudonyms(home)
    with monkeypatch.context() as patched:
        patched.setattr(moment, killed)
        with pytest.raises(Killed):
            rotate.rotate(home, settings)
    midway = (home.path / "key.next").exists()
    assert midway == (moment in {"pipelines.rotate.rekey", "pipelines.rotate._put"})
    named = {finding.name: finding for finding in examine(home) if finding.verdict != "ok"}
    assert "rotate-key" in named["key" if midway else "rotation"].detail + named["key" if midway else "rotation"].fix
    if midway:
        with pytest.raises(Exception, match="run `perdure rotate-key` again"):
            night.build_stage(home, settings)
    else:
        # a night comes first: it may not bring a file of the old pseudonyms up to date with new ones
        night.build_stage(home, settings)
        assert night.publish_stage(home, settings).is_whole
    again = rotate.rotate(home, settings)
    assert again.key_count == 2, "no key is added for a rotation that had begun"
    assert len(home.key_file.read_text(encoding="ascii").split()) == 2
    assert not (home.path / "key.next").exists()
    compared = without_pseudonyms(home)
    assert {name for name in rows if name.startswith("raw.") and rows[name] != compared[name]} == set()
    assert {"key", "rotation"} & {finding.name for finding in examine(home) if finding.verdict != "ok"} == set()
    if moment == "pipelines.rotate.remove_leftovers":
        assert rotate.rotate(home, settings).key_count == 3, "a rotation that ended is no reason not to begin another"


def test_a_key_of_the_environment_is_written_to_the_home_and_the_user_is_told(
    home: Home, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.key_file.unlink()
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    cli._global.update(home=None, quiet=True)
    assert run(lambda: app(["rotate-key"], standalone_mode=True)) == 2
    assert "give --yes" in capsys.readouterr().err
    assert run(lambda: app(["rotate-key", "--yes", "--json"], standalone_mode=True)) == 0
    told = capsys.readouterr().out
    assert "PERDURE_KEY still holds the key from before" in json.loads(told)["to_do"][0]
    assert "5a" * 32 not in told
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    assert run(lambda: app(["build"], standalone_mode=True)) == 2
    assert "PERDURE_KEY: holds the key from before a rotation; unset it" in capsys.readouterr().err
    monkeypatch.delenv("PERDURE_KEY")
    assert run(lambda: app(["build"], standalone_mode=True)) == 0


def test_every_documented_key_column_is_one_that_a_rotation_replaces() -> None:
    for name, spec in load_catalog().items():
        for column in spec.columns:
            if column.unit == "key":
                assert column.name.endswith("_key"), f"{name}.{column.name}"
            if column.unit == "id":
                assert column.name == "person_id", f"{name}.{column.name}"
                assert "person_key" in {other.name for other in spec.columns}, name


def test_without_data_there_is_nothing_to_rotate(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(Exception, match="nothing is stored yet"):
        rotate.rotate(Home(tmp_path / "home").create(), settings)
