"""Choosing what computes the tables: by setting or option, checked before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import UserError
from pipelines import engines, flows, night, spark, sync
from pipelines.doctor import examine
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import BuildSettings, Settings, load_settings
from pipelines.spark import session
from pipelines.writer_lock import WriterLockedError


def test_by_default_the_warehouse_computes_everything(tmp_path: Path) -> None:
    with engines.opened_engine(Home(tmp_path), Settings().build) as engine:
        assert engine is None


def test_options_win_over_settings() -> None:
    settings = Settings(build=BuildSettings(engine="spark", master="yarn", conf=("a=1",)))
    assert engines.chosen(settings, None, None, None).build == settings.build
    assert engines.chosen(settings, "duckdb", None, None).build.engine == "duckdb"
    found = engines.chosen(settings, None, "local[2]", ["spark.x=a=b", "spark.y=2"]).build
    assert (found.engine, found.master, found.conf) == ("spark", "local[2]", ("spark.x=a=b", "spark.y=2"))


def test_a_setting_of_spark_without_a_value_is_refused() -> None:
    with pytest.raises(UserError, match="--conf: each is written name=value"):
        engines.chosen(Settings(), "spark", None, ["spark.executor.memory"])


def test_settings_reach_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "require", lambda: None)
    wanted = BuildSettings(engine="spark", master="local[3]", conf=("spark.x=a=b",), exchange=str(tmp_path / "shared"))
    with engines.opened_engine(Home(tmp_path / "home"), wanted) as engine:
        assert isinstance(engine, spark.SparkEngine)
        assert (engine.master, engine.conf) == ("local[3]", {"spark.x": "a=b"})
        assert engine.exchange.parent == tmp_path / "shared"
        assert engine.exchange.name.startswith("perdure-home-")
        assert engine.exchange.is_dir()
    assert not engine.exchange.exists()
    assert (tmp_path / "shared").is_dir()


@pytest.mark.parametrize(
    "line, said",
    [('engine = "sparc"', "build.engine"), ('conf = ["spark.x"]', "build.conf"), ('engin = "spark"', "did you mean build.engine")],
)
def test_a_wrong_setting_stops_before_anything_is_read(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "perdure.toml"
    file.write_text(f"[build]\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        load_settings(file)


def test_a_night_on_spark_stops_before_the_first_request_where_spark_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home").create()
    initialise(home)
    monkeypatch.setenv("PERDURE_BUILD__ENGINE", "spark")
    monkeypatch.setattr(session, "java_command", lambda: None)
    read: list[str] = []
    monkeypatch.setattr(flows.sync, "configured_sources", lambda _: read.append("asked") or [])
    with pytest.raises(UserError, match="Java is not installed"):
        flows.nightly.fn(home=str(home.path))
    assert not read


def test_what_spark_needs_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'perdure\[spark\]'"):
        spark.require()
    monkeypatch.undo()
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setattr(session, "java_command", lambda: str(old))
    with pytest.raises(UserError, match="Java 11 is too old; install 17"):
        spark.require()


def test_the_doctor_says_what_spark_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home").create()
    initialise(home)
    assert "engine" not in {found.name for found in examine(home)}
    monkeypatch.setenv("PERDURE_BUILD__ENGINE", "spark")
    monkeypatch.setattr(session, "java_command", lambda: None)
    (found,) = (found for found in examine(home) if found.name == "engine")
    assert found.verdict == "mend"
    assert "Java is not installed" in found.detail


def test_a_build_that_must_wait_leaves_the_folder_of_the_running_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "require", lambda: None)
    home = Home(tmp_path / "home").create()
    initialise(home)
    home.exchange.mkdir()
    (home.exchange / "1-pair.parquet").touch()
    with sync.open_warehouse(home, Settings()), pytest.raises(WriterLockedError):
        night.build_stage(home, Settings(build=BuildSettings(engine="spark")))
    assert (home.exchange / "1-pair.parquet").exists()
