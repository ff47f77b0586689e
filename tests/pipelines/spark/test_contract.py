"""The contract: `perdure build --engine spark` gives every table that the one-machine build gives, row by row.

Run as a user runs it: the command in a process of its own, on a local cluster of two executors, one of which is killed
while it works.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import pyspark
import pytest
from mixed_world import mixed

from connectors.errors import UserError
from connectors.records import Batch
from pipelines import night, spark, sync
from pipelines.catalog import load_catalog
from pipelines.home import Home
from pipelines.initialise import initialise
from pipelines.settings import Settings

CLUSTER = "local-cluster[2,1,1024]"
EXECUTOR = "org.apache.spark.executor.CoarseGrainedExecutorBackend"


@pytest.fixture(autouse=True)
def _needs_java() -> None:
    try:
        spark.require()
    except UserError as missing:
        pytest.skip(str(missing))


def stored(path: Path, world: Batch) -> Home:
    """A home with the world stored and nothing built."""
    home = Home(path).create()
    initialise(home)
    with sync.open_warehouse(home, Settings()) as warehouse:
        warehouse.store(world)
    return home


def tables(home: Home) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for name in load_catalog()}


@dataclass
class Running:
    """A build on Spark, in a process of its own."""

    process: subprocess.Popen[str]
    home: Home

    def executors(self) -> list[psutil.Process]:
        """The executors' Java processes."""
        try:
            below = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [process for process in below if _is_executor(process)]

    def busy_since_a_task_ended(self) -> bool:
        """Whether some tasks of the running stage are done, and others are not."""
        ended = [path for path in self.home.exchange.glob("*/_temporary/*/task_*") if path.is_dir()]
        return bool(ended)


def _is_executor(process: psutil.Process) -> bool:
    try:
        return EXECUTOR in process.cmdline() and "java" in process.name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    running: list[Running] = []
    # a local cluster keeps its executors' logs with Spark itself
    logs = Path(pyspark.__file__).parent / "work"
    before = set(logs.glob("*"))

    def begin(home: Home, *words: str) -> Running:
        command = [sys.executable, "-m", "pipelines.cli", "--home", str(home.path), "build", "-q", "--engine", "spark", *words]
        with (tmp_path / "spark.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        running.append(Running(process, home))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
            each.process.wait()
    for folder in set(logs.glob("*")) - before:
        shutil.rmtree(folder, ignore_errors=True)


def kill_an_executor(running: Running) -> int:
    """Kill one executor, Java and Python workers, while the first stage that writes is half done; return its process id."""
    while not (running.busy_since_a_task_ended() and len(running.executors()) == 2):
        assert running.process.poll() is None, "the build ended before an executor could be killed"
        time.sleep(0.02)
    victim = running.executors()[0]
    for process in (*victim.children(recursive=True), victim):
        process.kill()
    return victim.pid


def built_on_one_machine(home: Home, path: Path) -> dict[str, list[tuple[object, ...]]]:
    shutil.copytree(home.path, path)
    other = Home(path)
    night.build_stage(other, Settings())
    return tables(other)


def compare(world: Batch, tmp_path: Path, start: object, parts: int) -> None:
    home = stored(tmp_path / "home", world)
    running = start(home, "--master", CLUSTER, "--conf", f"spark.default.parallelism={parts}")  # type: ignore[operator]
    killed = kill_an_executor(running)
    seen = {process.pid for process in running.executors()}
    while running.process.poll() is None:
        seen |= {process.pid for process in running.executors()}
        time.sleep(0.1)
    said = (tmp_path / "spark.log").read_text(encoding="utf-8")
    assert running.process.returncode == 0, said
    assert "Built" in said
    assert len(seen - {killed}) >= 2, "no executor took the place of the killed one"
    found, expected = tables(home), built_on_one_machine(stored(tmp_path / "copy", world), tmp_path / "one")
    for name in load_catalog():
        assert found[name] == expected[name], name
    assert not home.exchange.exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.path.rglob("*"))


def test_spark_gives_the_tables_of_one_machine_though_an_executor_is_killed(tmp_path: Path, start: object) -> None:
    compare(mixed(11, people=24, days=150, count=1_500), tmp_path, start, parts=4)


@pytest.mark.full
@pytest.mark.parametrize("seed", [21, 22])
def test_spark_gives_the_tables_of_one_machine_on_a_larger_world(seed: int, tmp_path: Path, start: object) -> None:
    print(f"seed {seed}")  # noqa: T201
    compare(mixed(seed, people=120, days=420, count=40_000), tmp_path, start, parts=12)


def test_without_java_the_command_says_what_is_missing(tmp_path: Path) -> None:
    home = stored(tmp_path / "home", mixed(1, count=20))
    environment = {**os.environ, "PATH": str(tmp_path), "JAVA_HOME": ""}
    command = [sys.executable, "-m", "pipelines.cli", "--home", str(home.path), "build", "--engine", "spark"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "Java is not installed" in line
