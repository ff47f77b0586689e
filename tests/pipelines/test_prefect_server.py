"""Prefect for real: a server, a pool, the deployments of prefect.yaml, a worker, and the three flows run to completion."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("nightly/nightly", "weekly-export/weekly-export", "monthly-retention/monthly-retention")

pytestmark = [pytest.mark.server, pytest.mark.full, pytest.mark.timeout(1500)]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def process(folder: Path, environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[bytes]]:
    log = (folder / f"{words[1].replace('.', '-')}-{'-'.join(words[2:4])}.log").open("wb")
    child = subprocess.Popen([sys.executable, *words], env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        log.close()


def until(condition: Callable[[], object], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(1)


def answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=2):  # noqa: S310  (loopback)
            return True
    except (URLError, OSError):
        return False


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    lines = [f"2024-0{m}-{d:02}T10:00,p{d % 7}@firm.example,p{(d * m) % 6 + 7}@firm.example" for m in (1, 2, 3) for d in range(1, 28)]
    (tmp_path / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PERDURE_HOME": str(tmp_path / "home"),
        "PERDURE_CHECKOUT": str(ROOT),
        "PERDURE_KEY": "5a" * 32,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "pipelines.cli", "import", "events", str(tmp_path / "events.csv")]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    return tmp_path, environment


def prefect(folder: Path, environment: dict[str, str], *words: str, where: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        env=environment,
        cwd=where or folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def states(folder: Path) -> dict[str, str]:
    with sqlite3.connect(f"file:{folder / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "select f.name, r.state_type from flow_run as r join flow as f on f.id = r.flow_id where r.state_type <> 'SCHEDULED'"
        ).fetchall()
    connection.close()
    return dict(rows)


def run_all(folder: Path, environment: dict[str, str]) -> None:
    for name in NAMES:
        prefect(folder, environment, "deployment", "run", name)
        flow = name.partition("/")[0]
        until(lambda flow=flow: states(folder).get(flow) in {"COMPLETED", "FAILED", "CRASHED"}, 400)  # type: ignore[misc]
    assert states(folder) == dict.fromkeys((name.partition("/")[0] for name in NAMES), "COMPLETED")


def test_deployments_run_on_a_server_by_a_worker(world: tuple[Path, dict[str, str]]) -> None:
    folder, environment = world
    port = free_port()
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    with process(folder, environment, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)):
        until(lambda: answers(environment["PREFECT_API_URL"]), 180)
        prefect(folder, environment, "work-pool", "create", "local", "--type", "process")
        prefect(folder, environment, "--no-prompt", "deploy", "--all", where=ROOT)
        with process(folder, environment, "-m", "prefect", "worker", "start", "--pool", "local"):
            run_all(folder, environment)
        doctor = [sys.executable, "-m", "pipelines.cli", "doctor"]
        assert subprocess.run(doctor, env=environment, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 0
    assert (folder / "home" / "analytics.duckdb").exists()
    assert (folder / "home" / "exports" / "latest" / "datapackage.json").exists()
    held = b"".join(path.read_bytes() for path in (folder / "prefect").rglob("*") if path.is_file())
    held += b"".join(path.read_bytes() for path in folder.glob("*.log"))
    for secret in (b"5a" * 32, b"firm.example"):
        assert secret not in held
    with sqlite3.connect(folder / "prefect" / "prefect.db") as connection:
        shown = {key for (key,) in connection.execute("select distinct key from artifact")}
        events = {name for (name,) in connection.execute("select distinct event from events where event like 'perdure.%'")}
    connection.close()
    assert {"night", "coverage", "report-en", "report-fr", "retention"} <= shown
    assert events & {"perdure.night.done", "perdure.night.gaps"}


def test_serve_is_one_process(world: tuple[Path, dict[str, str]]) -> None:
    folder, environment = world
    port = free_port()
    with process(folder, environment, "-m", "pipelines.cli", "serve", "--port", str(port)):
        environment = environment | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        until(lambda: answers(environment["PREFECT_API_URL"]), 180)
        until(lambda: "monthly-retention" in prefect(folder, environment, "deployment", "ls"), 120)
        run_all(folder, environment)
