"""The night as a Prefect flow: run for real, without a server of its own, and nothing secret in Prefect's database."""

from __future__ import annotations

import importlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("night")
    lines = [
        f"2024-0{month}-{day:02}T10:00,p{day % 7}@firm.example,p{(day * month) % 6 + 7}@firm.example"
        for month in (1, 2, 3)
        for day in range(1, 28)
    ]
    (folder / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
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
