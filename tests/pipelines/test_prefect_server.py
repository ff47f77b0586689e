"""Prefect for real: a server, a pool, the deployments of prefect.yaml, a worker, and the three flows run to completion.

The night reads both services with a key and secrets that lie in Secret blocks, at DEBUG; then every byte is searched. README's
automations are created word for word, and a night that fails makes one of them call.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from connectors.sandbox import World
from connectors.sandbox.canaries import secret_words
from connectors.sandbox.sandbox import Sandbox
from pipelines.flows import LIMITED

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("nightly/nightly", "weekly-export/weekly-export", "monthly-retention/monthly-retention")

pytestmark = [pytest.mark.server, pytest.mark.full, pytest.mark.timeout(5400)]


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


KEY = "5a" * 32
BLOCKS = """
import json, os, sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
given = json.loads(sys.stdin.read())
for name, value in given["secrets"].items():
    Secret(value=value).save(name)
hook = CustomWebhookNotificationBlock(name="perdure", url=given["url"], json_data={"text": "{{subject}}"}, allow_private_urls=True)
print(hook.save("perdure-hook"))
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(World(people=12, days=15, seed=5)) as served:
        yield served


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    lines = [f"2024-0{m}-{d:02}T10:00,p{d % 7}@firm.example,p{(d * m) % 6 + 7}@firm.example" for m in (1, 2, 3) for d in range(1, 28)]
    (tmp_path / "events.csv").write_text("\n".join(["at,sender,recipient", *lines]), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PERDURE_HOME": str(tmp_path / "home"),
        "PERDURE_CHECKOUT": str(ROOT),
        "PERDURE_KEY": KEY,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "pipelines.cli", "import", "events", str(tmp_path / "events.csv")]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    return tmp_path, environment


@contextmanager
def hook() -> Iterator[tuple[str, list[str]]]:
    """A webhook on loopback, and what it was told."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", told
    finally:
        server.shutdown()
        server.server_close()


def with_services(environment: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    """The environment of a worker that reads both services, with every secret in a Secret block."""
    del environment["PERDURE_KEY"]
    chosen = {
        "PRIVACY__KEY_BLOCK": "perdure-key",
        "SLACK__TOKEN": "block:slack-token",
        "SLACK__BASE_URL": sandbox.slack_url,
        "SLACK__PACE": "10000",
        "MICROSOFT365__TENANT_ID": sandbox.tenant_id,
        "MICROSOFT365__CLIENT_ID": sandbox.client_id,
        "MICROSOFT365__CLIENT_SECRET": "block:graph-secret",
        "MICROSOFT365__AUTHORITY": sandbox.authority,
        "MICROSOFT365__BASE_URL": sandbox.graph_url,
        "SLACK__HISTORY_DAYS": "2000",
        "MICROSOFT365__HISTORY_DAYS": "2000",
    }
    return environment | {f"PERDURE_{name}": value for name, value in chosen.items()}


def written(*folders: Path) -> bytes:
    """Everything that lies in the folders, and the logs beside them."""
    return b"\0".join(path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()).lower()


def ran(module: str, folder: Path, environment: dict[str, str], *words: str, where: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=environment,
        cwd=where or folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


prefect = partial(ran, "prefect")
perdure = partial(ran, "pipelines.cli")


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
        until(lambda flow=flow: states(folder).get(flow) in {"COMPLETED", "FAILED", "CRASHED"}, 1500)  # type: ignore[misc]
    assert states(folder) == dict.fromkeys((name.partition("/")[0] for name in NAMES), "COMPLETED")


def events_of(folder: Path) -> set[str]:
    with sqlite3.connect(f"file:{folder / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as connection:
        found = {name for (name,) in connection.execute("select distinct event from events where event like 'perdure.%'")}
    connection.close()
    return found


def automations(block_id: str) -> str:
    """README's example, with the id of the block that the server gave."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(automations:.*?)```", readme, flags=re.DOTALL)
    return example.replace("THE-BLOCK-ID", block_id)


def test_deployments_run_on_a_server_by_a_worker(world: tuple[Path, dict[str, str]], sandbox: Sandbox) -> None:
    folder, environment = world
    port = free_port()
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    secrets = {"perdure-key": KEY, "slack-token": sandbox.token, "graph-secret": sandbox.client_secret}
    server = ("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    with hook() as (url, told), process(folder, environment, *server):
        until(lambda: answers(environment["PREFECT_API_URL"]), 900)
        made = subprocess.run(
            [sys.executable, "-c", BLOCKS], input=json.dumps({"secrets": secrets, "url": url}), env=environment, cwd=folder,
            capture_output=True, text=True, timeout=900, check=True,
        )  # fmt: skip
        environment = with_services(environment, sandbox)
        prefect(folder, environment, "work-pool", "create", "local", "--type", "process")
        for name in LIMITED:
            prefect(folder, environment, "concurrency-limit", "create", f"perdure-{name}", "1")
        prefect(folder, environment, "--no-prompt", "deploy", "--all", where=ROOT)
        (folder / "automations.yaml").write_text(automations(made.stdout.strip()), encoding="utf-8")
        prefect(folder, environment, "automation", "create", "--from-file", "automations.yaml")
        # whatever any library says at DEBUG while a night runs (the server itself would log each step of its database)
        loud = environment | {"PREFECT_LOGGING_ROOT_LEVEL": "DEBUG"}
        with process(folder, loud, "-m", "prefect", "worker", "start", "--pool", "local"):
            run_all(folder, environment)
            assert events_of(folder) & {"perdure.night.done", "perdure.night.gaps"}
            # three nights were missed: the next one says so, and catches up by itself
            published = folder / "home" / "analytics.duckdb"
            os.utime(published, (time.time() - 3 * 86_400,) * 2)
            prefect(folder, environment, "deployment", "run", "nightly/nightly", "--watch")
            until(lambda: "perdure.night.late" in events_of(folder), 300)
            assert published.stat().st_mtime > time.time() - 3_600
            # a night that fails calls whoever the automation names
            prefect(folder, environment, "deployment", "run", "nightly/nightly", "--param", f"home={folder / 'nowhere'}")
            until(lambda: any("perdure" in text for text in told), 900)
        perdure(folder, environment, "doctor")
        # the key's rotation changes the block, and the next night reads under what the block then holds
        told_of = json.loads(perdure(folder, environment, "rotate-key", "--yes", "--json"))
        assert (told_of["key_count"], told_of["place"], told_of["to_do"]) == (2, "privacy.key_block", [])
        assert not (folder / "home" / "key").exists()
        perdure(folder, environment, "sync", "slack")
        perdure(folder, environment, "build")
    assert (folder / "home" / "exports" / "latest" / "datapackage.json").exists()
    (folder / "events.csv").unlink()
    held = written(folder)
    assert len(held) > 1_000_000
    for secret in (*secrets.values(), "firm.example", *secret_words(), *addresses(sandbox)):
        assert secret.lower().encode() not in held, secret
    assert held.count(b"5a" * 32) == 0
    with sqlite3.connect(folder / "prefect" / "prefect.db") as connection:
        shown = {key for (key,) in connection.execute("select distinct key from artifact")}
        tasks = {name.rpartition("-")[0] for (name,) in connection.execute("select name from task_run")}
        parameters = {text for (text,) in connection.execute("select parameters from flow_run")}
        results = {text for (text,) in connection.execute("select data from flow_run_state where data is not null")}
    connection.close()
    assert {"night", "coverage", "report-en", "report-fr", "retention"} <= shown
    assert {"sync", "build", "publish", "export", "retention"} <= tasks
    assert all(set(json.loads(text)) <= {"home", "export", "force"} for text in parameters)
    assert not any("secret" in str(text) for text in results)


def addresses(sandbox: Sandbox) -> list[str]:
    return [person.address for person in sandbox.organisation.people]


def test_serve_is_one_process(world: tuple[Path, dict[str, str]]) -> None:
    folder, environment = world
    port = free_port()
    with process(folder, environment, "-m", "pipelines.cli", "serve", "--port", str(port)):
        environment = environment | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        until(lambda: answers(environment["PREFECT_API_URL"]), 900)
        until(lambda: "monthly-retention" in prefect(folder, environment, "deployment", "ls"), 900)
        run_all(folder, environment)
