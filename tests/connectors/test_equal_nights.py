"""Nights on which both services misbehave, or that are killed, leave the tables of calm ones, row by row: raw, core and metrics.

Everything is real but the services: the sandbox over HTTP, the vendors' own kits, the store, the build.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import Faults, Organisation, Sandbox, World, make
from pipelines import night, sync
from pipelines.home import Home
from pipelines.settings import Settings
from pipelines.sync import open_warehouse
from pipelines.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
KEY = "5a" * 32
NIGHTS = (5, 2, 0)
"""On how many days before the end a night begins."""
SOURCES = ("slack", "microsoft365")
Tables = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return make(World(people=16, days=35, seed=5, thread_share=0.4, late_reply_share=0.3, mover_share=0.2))


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_KEY", KEY)


def settings(sandbox: Sandbox) -> dict[str, Any]:
    """Every conversation is swept each third night, so that what sweeps do is compared too."""
    return {
        "slack": {**sandbox.slack_settings(), "backoff_seconds": 0.001, "sweep_nights": 3},
        "microsoft365": {**sandbox.graph_settings(), "retry_seconds": 0.001, "resync_jitter_seconds": 0},
    }


def moments(organisation: Organisation) -> list[datetime]:
    return [organisation.ends - timedelta(days=before) for before in NIGHTS]


def one_night(home: Home, chosen: Settings, until: datetime) -> None:
    """Sync both services and build, as a night does."""
    for source in SOURCES:
        sync.sync_source(home, chosen, source, until=until)
    night.build_stage(home, chosen)


def all_nights(folder: Path, organisation: Organisation, faults: Faults) -> Tables:
    home = Home(folder).create()
    with Sandbox(organisation, faults) as sandbox:
        for moment in moments(organisation):
            sandbox.now = moment
            one_night(home, Settings(**settings(sandbox)), moment)
    return contents(home)


def contents(home: Home) -> Tables:
    """Every table but the log of runs, whose times are its own; sums of floats depend on their order in the last digits."""
    with open_warehouse(home, Settings()) as warehouse:
        return {name: _rows(warehouse, name) for name in _names(warehouse)}


def _names(warehouse: Warehouse) -> list[str]:
    rows = warehouse.run(
        "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('raw', 'core', 'metrics') and not temporary"
    )
    return [name for (name,) in rows if name != "raw.run"]


def _rows(warehouse: Warehouse, name: str) -> list[tuple[Any, ...]]:
    rows = warehouse.run(f"select * from {name}")
    return sorted((tuple(float(f"{one:.10g}") if isinstance(one, float) else one for one in row) for row in rows), key=repr)


def assert_equal(found: Tables, expected: Tables, about: str) -> None:
    assert found.keys() == expected.keys(), about
    for name, rows in expected.items():
        wrong = [row for row in found[name] if row not in rows][:3]
        lost = [row for row in rows if row not in found[name]][:3]
        assert found[name] == rows, f"{about}: {name} has {wrong} in place of {lost}"


def without_turns(tables: Tables) -> Tables:
    """The tables without the day on which each channel was last read whole.

    A few channels have their turn every night. Killed after its turns, a night has more of them when it is run again: read
    more often, but not otherwise.
    """
    cursors = [
        tuple(re.sub(r'"swept":"[^"]*"', '"swept":""', one) if isinstance(one, str) else one for one in row) for row in tables["raw.cursor"]
    ]
    return {**tables, "raw.cursor": sorted(cursors, key=repr)}


@pytest.fixture(scope="module")
def calm(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERDURE_KEY", KEY)
        found = all_nights(tmp_path_factory.mktemp("calm") / "home", organisation, Faults())
    assert all(found[name] for name in ("raw.interaction", "core.contact", "metrics.pair_panel", "metrics.tie_spell"))
    assert not found["raw.quarantine"]
    return found


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 101))])
def test_nights_with_a_fifth_of_requests_failing_leave_the_tables_of_calm_ones(
    organisation: Organisation, calm: Tables, tmp_path: Path, seed: int
) -> None:
    faults = Faults(rate=0.2, seed=seed)
    found = all_nights(tmp_path / "home", organisation, faults)
    assert sum(faults.counts.values()) > 50
    assert_equal(found, calm, f"seed {seed}")


# -- killed -------------------------------------------------------------------------------------------------------------

NURSERY = f"""
import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import json, os
from datetime import datetime
from pathlib import Path
import connectors.slack, connectors.microsoft365, msgraph.graph_service_client
from connectors.slack import sync as slack_sync
from connectors.microsoft365 import pump
from pipelines import build, night, sync
from pipelines.home import Home
from pipelines.settings import Settings
# batches and chunks small enough to be killed between
slack_sync.ROWS_A_BATCH, pump._PARTS_A_BATCH, build.CHUNK_INTERACTIONS = 20, 3, 200
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            home, settings = Home(Path(asked["home"])).create(), Settings(**asked["settings"])
            until = datetime.fromisoformat(asked["until"])
            for source in {SOURCES}:
                sync.sync_source(home, settings, source, until=until)
            night.build_stage(home, settings)
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Nursery:
    """A process that has loaded everything and forks a night at a time, so that a night to be killed costs no start."""

    process: subprocess.Popen[str]

    def begin(self, home: Path, sandbox: Sandbox, until: datetime) -> int:
        assert self.process.stdin is not None
        asked = {"home": str(home), "settings": settings(sandbox), "until": until.isoformat()}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return int(self._line())

    def outcome(self) -> int:
        return int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    environment = {**os.environ, "PERDURE_KEY": KEY}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()


def killed_nights(folder: Path, organisation: Organisation, nursery: Nursery, faults: Faults, chance: random.Random, kills: int) -> Tables:
    """Begin each night, kill it at a random moment, again and again, then let it end."""
    home = folder / "home"
    lasts = 2.0
    with Sandbox(organisation, faults) as sandbox:
        for moment in moments(organisation):
            sandbox.now = moment
            for _ in range(kills):
                victim = nursery.begin(home, sandbox, moment)
                time.sleep(chance.uniform(0, lasts))
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                assert nursery.outcome() in (-signal.SIGKILL, 0)
            began = time.monotonic()
            nursery.begin(home, sandbox, moment)
            assert nursery.outcome() == 0
            lasts = min(lasts, time.monotonic() - began)
    return contents(Home(home))


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 13))])
def test_nights_killed_at_random_points_and_run_again_leave_the_tables_of_calm_ones(
    organisation: Organisation, calm: Tables, nursery: Nursery, tmp_path: Path, seed: int
) -> None:
    # three nights: nine kills a seed, on top of one request in ten that fails
    faults = Faults(rate=0.1, seed=seed)
    found = killed_nights(tmp_path, organisation, nursery, faults, random.Random(seed), kills=3)
    assert_equal(without_turns(found), without_turns(calm), f"seed {seed}")
