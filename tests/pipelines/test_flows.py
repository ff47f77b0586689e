"""The night as a Prefect flow: run for real, without a server of its own, and nothing secret in Prefect's database."""

from __future__ import annotations

import importlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines import flows

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("night")
    today = datetime.now(UTC)
    lines = [
        f"{today - timedelta(days=age):%Y-%m-%d}T10:00,p{age % 7}@firm.example,p{(age * 3) % 6 + 7}@firm.example,email" for age in range(81)
    ]
    # two people alone use a medium of their own
    lines += [f"{today - timedelta(days=age):%Y-%m-%d}T11:00,p1@firm.example,p2@firm.example,teams_chat" for age in range(20)]
    (folder / "events.csv").write_text("\n".join(["at,sender,recipient,medium", *lines]), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
    environment |= {"PERDURE_HOME": str(folder / "home"), "PERDURE_KEY": "5a" * 32, "PREFECT_LOGGING_LEVEL": "DEBUG"}

    def perdure(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines.cli", *words]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)

    assert perdure("import", "events", str(folder / "events.csv")).returncode == 0
    return folder / "home", perdure("nightly")


def ask(home: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(home / "prefect" / "prefect.db") as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


@pytest.mark.server
def test_the_night_ends_with_everything_in_its_place(night: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, done = night
    assert done.returncode == 0, done.stderr
    assert (home / "analytics.duckdb").exists()
    assert (home / "exports" / "latest" / "datapackage.json").exists()
    assert ask(home, "select state_type from flow_run") == [("COMPLETED",)]
    assert {name.partition("-")[0] for (name,) in ask(home, "select name from task_run")} >= {"build", "publish", "export"}


@pytest.mark.server
def test_the_summary_is_an_artifact_of_counts(night: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    ((text,),) = ask(night[0], "select data from artifact where key = 'night'")
    assert "What the night brought" in text
    assert "| core.pair_day |" in text


@pytest.mark.server
def test_no_key_and_no_address_reaches_prefect(night: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, done = night
    told = (done.stdout + done.stderr).encode() + b"".join(path.read_bytes() for path in (home / "prefect").rglob("*") if path.is_file())
    assert b"5a" * 32 not in told
    assert b"firm.example" not in told


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows of a table artifact, which Prefect keeps as text within JSON."""
    held = json.loads(text)
    return json.loads(held) if isinstance(held, str) else held  # type: ignore[no-any-return]


@pytest.mark.server
def test_no_cell_about_few_people_is_in_prefects_artifacts(night: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    home, _ = night
    shown = dict(ask(home, "select key, data from artifact"))
    assert "night" in shown
    for text in shown.values():
        for number in re.findall(r"\| (\d[\d,]*) (?=\|)", text):
            assert int(number.replace(",", "")) % 5 == 0, text
    # what two people did is in no table of media: as exported, it is withheld
    with duckdb.connect(str(home / "analytics.duckdb"), read_only=True) as connection:
        (few,) = connection.execute("select sum(interaction_count) from core.coverage_day where medium = 'teams_chat'").fetchall()
    assert few == (20,)
    if "coverage" in shown:
        assert "teams_chat" not in {row["medium"] for row in rows_of(shown["coverage"])}
    exported = pq.read_table(home / "exports" / "latest" / "parquet" / "metrics.medium_scorecard.parquet")
    if "scorecard" in shown:
        released = {row["medium"]: row["started_tie_count"] for row in exported.to_pylist()}
        assert {row["medium"]: row["started_tie_count"] for row in rows_of(shown["scorecard"])} == released


ALONE = """
import os; os.umask(0o022)
from pipelines.flows import nightly
nightly()
"""


@pytest.mark.server
def test_a_flow_started_by_anything_writes_for_its_owner_alone(tmp_path: Path) -> None:
    """As a worker or a script starts it, under the usual mask: database, exports, logs, and Prefect's own home."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
    environment |= {"PERDURE_HOME": str(tmp_path / "home"), "PERDURE_KEY": "5a" * 32, "PREFECT_HOME": str(tmp_path / "prefect")}
    environment |= {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180", "HOME": str(tmp_path)}
    today = datetime.now(UTC)
    lines = [f"{today - timedelta(days=age):%Y-%m-%d}T10:00,p{age % 7}@firm.example,p{age % 6 + 7}@firm.example" for age in range(40)]
    (tmp_path / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    for command in (["-m", "pipelines.cli", "import", "events", str(tmp_path / "events.csv")], ["-c", ALONE]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False, umask=0o022
        )
        assert done.returncode == 0, done.stderr
    written = [path for folder in ("home", "prefect") for path in (tmp_path / folder).rglob("*") if not path.is_symlink()]
    assert {"analytics.duckdb", "prefect.db", "datapackage.json"} <= {path.name for path in written}
    assert [path.name for path in written if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("count, shown", [(0, "0"), (1, "under 5"), (4, "under 5"), (5, "5"), (12, "10"), (13, "15"), (26_004, "26,005")])
def test_prefect_is_shown_counts_in_fives(count: int, shown: str) -> None:
    assert flows._coarse(count) == shown


def test_coverage_is_shown_of_the_last_period_that_was_told_and_of_no_medium_of_few() -> None:
    days = ["observed_day_count", "partial_day_count", "missing_day_count", "gap_day_count"]
    table = pa.table(
        {
            "panel_kind": ["month", "month", "month", "all"],
            "panel_start": [date(2026, 2, 1), date(2026, 3, 1), date(2026, 3, 1), date(2026, 4, 1)],
            "source": ["x"] * 4,
            "medium": ["email", "email", "call", "email"],
            **{name: pa.array([28, 31, None, 59], pa.int64()) for name in days},
        }
    )
    (row,) = flows._latest_coverage(table)
    assert (row["medium"], row["panel_start"], row["observed_day_count"]) == ("email", "2026-03-01", 31)
    assert flows._latest_coverage(table.slice(0, 0)) == []


def test_every_deployment_names_a_flow_and_a_schedule() -> None:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    names = {deployment["name"]: deployment for deployment in declared["deployments"]}
    assert set(names) == {"nightly", "weekly-export", "monthly-retention"}
    for deployment in names.values():
        file, _, function = deployment["entrypoint"].partition(":")
        assert (ROOT / file).exists()
        flow = getattr(importlib.import_module("pipelines.flows"), function)
        assert set(deployment.get("parameters", {})) <= set(flow.parameters.properties)
        assert deployment["schedules"][0]["cron"]
        assert deployment["work_pool"]["name"] == "local"
