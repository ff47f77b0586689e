"""Content never lands, from services either: both kits with every logger at DEBUG, requests that fail, a parser that breaks, Prefect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import Faults, Sandbox, World
from connectors.sandbox.canaries import secret_words
from connectors.sandbox.graph_directory import object_id
from connectors.sandbox.slack_messages import user_id

ROOT = Path(__file__).resolve().parent.parent
KEY = "5a" * 32
CHILD = """
import itertools, logging, sys
from pathlib import Path
from pipelines.home import Home
from pipelines.prefect_environment import prepare
prepare(Home.find(None))
from pipelines import flows
from connectors.microsoft365.mail import MailParser
from connectors.slack.messages import MessageParser

handler = logging.FileHandler(sys.argv[1])
for name in ("", "prefect", "prefect.flow_runs", "prefect.task_runs", "prefect.server"):
    logging.getLogger(name).addHandler(handler)
    logging.getLogger(name).setLevel(logging.DEBUG)

def breaks(kind, name, times):
    # twice, in the middle of a page, with an error that quotes all it was given; then it works
    whole, calls = getattr(kind, name), itertools.count(1)
    def broken(self, message, *rest):
        if next(calls) in times:
            raise ValueError(f"cannot read {message!r}")
        return whole(self, message, *rest)
    setattr(kind, name, broken)

breaks(MessageParser, "add", {40, 70})
breaks(MailParser, "_take", {30, 50})
flows.sync_task = flows.sync_task.with_options(retry_delay_seconds=0)
# exports and the whole of the metrics are searched in test_canary.py; here a few tables do
from worlds import tables
import pipelines.build, pipelines.publish
few = tables(["pair_panel"])
pipelines.build.load_catalog = pipelines.publish.load_catalog = lambda: few
from pipelines.cli import app, run
sys.exit(max(run(lambda words=words: app(words, standalone_mode=True)) for words in (["check"], ["nightly", "--no-export"], ["status"])))
"""


def section(name: str, values: dict[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value!r}" for key, value in values.items()), ""])


@pytest.mark.server
def test_no_word_no_name_and_no_id_of_a_service_is_written_anywhere(tmp_path: Path) -> None:
    home, scratch, log = tmp_path / "home", tmp_path / "scratch", tmp_path / "everything.log"
    home.mkdir()
    scratch.mkdir()
    with Sandbox(World(people=16, days=40, seed=3, thread_share=0.4), Faults(rate=0.1, seed=3)) as sandbox:
        organisation = sandbox.organisation
        slack = {**sandbox.slack_settings(), "backoff_seconds": 0.001}
        graph = {**sandbox.graph_settings(), "retry_seconds": 0.001, "resync_jitter_seconds": 0.0, "history_days": 3650}
        (home / "perdure.toml").write_text(
            # all of it is older than an ordinary night keeps: a night that may delete that much says so and ends with 3
            section("slack", slack | {"history_days": 3650})
            + section("microsoft365", graph)
            + section("privacy", {"retention_days": 3650}),
            encoding="utf-8",
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PERDURE_"))}
        environment |= {"PERDURE_HOME": str(home), "PERDURE_KEY": KEY, "TMPDIR": str(scratch), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        environment |= {f"PREFECT_LOGGING_{part}LEVEL": "DEBUG" for part in ("", "SERVER_")}
        environment["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "600"
        command = [sys.executable, "-c", CHILD, str(log)]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, timeout=1000, check=False)
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        assert sum(sandbox.faults.counts.values()) > 20
    # both parsers broke twice, and each time the night went on; what the log says of it is kind and place
    text = log.read_text(encoding="utf-8")
    for told in ("SourceError('slack: ValueError at ", "SourceError('microsoft365: ValueError at "):
        assert told in text
    assert (home / "analytics.duckdb").exists()
    places = {str(path): path.read_bytes() for folder in (home, scratch) for path in folder.rglob("*") if path.is_file()}
    assert str(home / "prefect" / "prefect.db") in places
    places |= {"log": text.encode(), "output": done.stdout + done.stderr}
    own = range(organisation.roster.own)
    secrets = [*secret_words(), *(user_id(number).lower() for number in own), *(object_id(number).lower() for number in own)]
    secrets += [sandbox.token.lower(), sandbox.client_secret.lower(), KEY]
    for place, held in places.items():
        found = held.lower()
        for secret in secrets:
            is_given = place.endswith("perdure.toml") and secret in (sandbox.token, sandbox.client_secret)
            assert secret.encode() not in found or is_given, f"{secret} in {place}"
