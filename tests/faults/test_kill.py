"""Killed at any moment and run again, a night gives the tables of one clean run."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from connectors.sandbox import World
from connectors.sandbox.sandbox import Sandbox

NIGHT = """
import json, sys
from datetime import datetime
from pathlib import Path
import connectors.microsoft365, connectors.slack
from connectors.events_file import landed
landed.ROWS_A_BATCH = 400
from pipelines import build, night, sync
from pipelines.home import Home
from pipelines.settings import Settings
build.CHUNK_INTERACTIONS = 500
home, settings = Home(Path(sys.argv[1])).create(), Settings(**json.loads(sys.argv[4]))
print("begun", flush=True)
sync.import_events(home, settings, Path(sys.argv[2]), people=Path(sys.argv[3]))
for source in ("slack", "microsoft365"):
    sync.sync_source(home, settings, source, until=datetime.fromisoformat(sys.argv[5]))
night.build_stage(home, settings)
night.publish_stage(home, settings)
"""


@dataclass(frozen=True)
class Night:
    """What a night reads: two files and two services."""

    events: Path
    people: Path
    services: dict[str, Any]
    until: datetime


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("world")
    chance = np.random.default_rng(5)
    people = [f"p{number}@firm.example" for number in range(40)]
    lines = ["at,sender,recipients,medium,minutes"]
    for _ in range(3_000):
        sender, *others = chance.choice(people, 1 + int(chance.integers(1, 4)), replace=False)
        medium = chance.choice(["email", "slack_dm", "meeting_online"])
        lines.append(
            f"{1_700_000_000 + int(chance.integers(200 * 86_400))},{sender},{';'.join(others)},{medium},{30 if 'meeting' in medium else ''}"
        )
    (folder / "events.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "people.csv").write_text(
        "\n".join(["person,team", *(f"{name},team {place % 4}" for place, name in enumerate(people))]), encoding="utf-8"
    )
    with Sandbox(World(people=12, days=15, seed=5)) as served:
        services = {
            "slack": {**served.slack_settings(), "page_size": 20},
            "microsoft365": {**served.graph_settings(), "retry_seconds": 0.01, "window_days": 5},
        }
        yield Night(folder / "events.csv", folder / "people.csv", services, served.organisation.ends)


def begin(home: Path, world: Night) -> subprocess.Popen[str]:
    environment = {"PERDURE_KEY": "5a" * 32, "PATH": "/usr/bin:/bin"}
    what = (str(home), str(world.events), str(world.people), json.dumps(world.services), world.until.isoformat())
    command = [sys.executable, "-X", "faulthandler", "-c", NIGHT, *what]
    victim = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2])
    assert victim.stdout is not None
    assert victim.stdout.readline() == "begun\n"
    victim.stdout.close()
    return victim


def ended(night: subprocess.Popen[str]) -> int:
    """Wait for a night that nobody kills; one that never ends says where it stands."""
    try:
        return night.wait(timeout=600)
    except subprocess.TimeoutExpired:
        night.send_signal(signal.SIGABRT)
        night.wait()
        raise


def contents(home: Path) -> dict[str, str]:
    """Every published table but those that say when it was published, as a hash of its rows."""
    with duckdb.connect(str(home / "analytics.duckdb"), read_only=True) as connection:
        names = connection.execute("select schema_name || '.' || table_name from duckdb_tables() where table_name <> 'about'").fetchall()
        return {
            name: hashlib.sha256(repr(connection.execute(f"select * from {name} order by all").fetchall()).encode()).hexdigest()
            for (name,) in names
        }


def killed_and_run_again(folder: Path, world: Night, kills: int, seed: int) -> None:
    clean = folder / "clean"
    started = time.monotonic()
    assert ended(begin(clean, world)) == 0
    lasted = time.monotonic() - started
    expected = contents(clean)
    chance = random.Random(seed)
    moments = [chance.uniform(0, lasted) for _ in range(kills)]
    # several kills of one home in a row, as a bad night would have them
    for number, group in enumerate(moments[place : place + 3] for place in range(0, kills, 3)):
        home = folder / f"home{number}"
        for moment in group:
            victim = begin(home, world)
            try:
                victim.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                victim.kill()
                victim.wait()
        assert ended(begin(home, world)) == 0
        assert contents(home) == expected, f"seed {seed}, kills {group}"


def test_a_night_killed_at_random_points(tmp_path: Path, world: Night) -> None:
    killed_and_run_again(tmp_path, world, kills=3, seed=int(time.time()))


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(10))
def test_a_night_killed_at_two_hundred_random_points(tmp_path: Path, world: Night, seed: int) -> None:
    killed_and_run_again(tmp_path, world, kills=20, seed=seed)
