"""Nights on which a service is down, half there, changes its shape or refuses the credentials: the others go on, nothing is lost."""

from __future__ import annotations

import hashlib
import itertools
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from worlds import tables

from connectors.errors import UserError
from connectors.microsoft365.client import Graph
from connectors.records import SCHEMAS, Batch
from connectors.sandbox import World
from connectors.sandbox.faults import Faults
from connectors.sandbox.sandbox import Sandbox
from connectors.slack.client import SlackClient
from pipelines import night, sync
from pipelines.cli import run
from pipelines.faults import explained
from pipelines.home import Home
from pipelines.settings import Settings
from pipelines.sync import open_warehouse

QUICK: dict[str, Any] = {"retries": 1, "backoff_seconds": 0.01}
QUICK_GRAPH: dict[str, Any] = {"attempts": 2, "retry_seconds": 0.01, "longest_pause_seconds": 0.05, "resync_jitter_seconds": 0}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(World(people=20, days=20, seed=5)) as served:
        yield served


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    for place in ("build", "publish"):
        monkeypatch.setattr(f"pipelines.{place}.load_catalog", lambda: tables(["pair_panel"]))
    return Home(tmp_path / "home").create()


def settings(sandbox: Sandbox, slack: dict[str, Any] | None = None, graph: dict[str, Any] | None = None) -> Settings:
    return Settings(
        slack={**sandbox.slack_settings(), **QUICK, "sweep_nights": 0, **(slack or {})},  # type: ignore[arg-type]
        microsoft365={**sandbox.graph_settings(), **QUICK_GRAPH, "calls": False, **(graph or {})},  # type: ignore[arg-type]
    )


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def stored(home: Home, source: str) -> list[tuple[Any, ...]]:
    with open_warehouse(home, Settings()) as warehouse:
        return warehouse.run(
            "select interaction_key, occurred_at, medium, sender_key, participants, exclusion from raw.interaction where source = $1 order by 1",  # noqa: E501
            [source],
        )


def test_a_service_that_is_down_all_night_is_named_and_read_the_next_night(
    home: Home, sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = sandbox.organisation.ends
    down = settings(sandbox, slack={"base_url": f"http://127.0.0.1:{closed_port()}/api/"})
    sync.sync_source(home, down, "microsoft365", until=ends)
    code = run(lambda: sync.sync_source(home, down, "slack", until=ends))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert (code, line.startswith("perdure: slack")) == (2, True)
    night.build_stage(home, down)
    night.publish_stage(home, down)
    assert home.published.exists()
    with open_warehouse(home, down) as warehouse:
        assert ("sync slack", "failed") in warehouse.run("select command, outcome from raw.run")
    sync.sync_source(home, settings(sandbox), "slack", until=ends)
    clean = Home(tmp_path / "clean").create()
    sync.sync_source(clean, settings(sandbox), "slack", until=ends)
    assert stored(home, "slack") == stored(clean, "slack")


@pytest.mark.parametrize("source, change", [("slack", {"token": "xoxb-revoked"}), ("microsoft365", {"client_secret": "wrong-9f3a"})])
def test_refused_credentials_are_one_line_that_names_the_setting_and_not_the_secret(
    home: Home, sandbox: Sandbox, source: str, change: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    refused = settings(sandbox, slack=change) if source == "slack" else settings(sandbox, graph=change)
    code = run(lambda: sync.sync_source(home, refused, source, until=sandbox.organisation.ends))
    error = capsys.readouterr().err
    (line,) = error.strip().splitlines()
    assert (code, source in line) == (2, True)
    assert not any(secret in line for secret in change.values())


def test_credentials_that_expire_midway_cost_only_the_rest_of_the_night(
    home: Home, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = sandbox.organisation.ends
    chosen = settings(sandbox, slack={"page_size": 20})
    count = 0
    from connectors.slack import sync as slack_sync

    whole = slack_sync.fetch

    async def expiring(*arguments: Any) -> Any:
        nonlocal count
        async for batch in whole(*arguments):
            yield batch
            count += batch.stream == "messages"
            if count == 2:
                raise UserError("slack.token: Slack does not accept it (token_expired); put the token of your installed app in the setting")

    monkeypatch.setattr("connectors.slack.fetch", expiring)
    with pytest.raises(UserError, match="token_expired"):
        sync.sync_source(home, chosen, "slack", until=ends)
    monkeypatch.undo()
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    partly = len(stored(home, "slack"))
    sync.sync_source(home, chosen, "slack", until=ends)
    clean = Home(tmp_path / "clean").create()
    sync.sync_source(clean, settings(sandbox), "slack", until=ends)
    assert 0 <= partly <= len(stored(home, "slack"))
    assert stored(home, "slack") == stored(clean, "slack")


def test_half_a_source_is_coverage_and_not_silence(home: Home) -> None:
    with Sandbox(World(people=20, days=20, seed=5)) as served:
        ends = served.organisation.ends
        whole = sync.sync_source(home, settings(served), "microsoft365", until=ends)
    closed = range(0, 20, 2)
    with Sandbox(World(people=20, days=20, seed=5), graph={"closed_mailboxes": frozenset(closed)}) as served:
        half = Home(home.path / "half").create()
        report = sync.sync_source(half, settings(served), "microsoft365", until=ends)
    assert report.has_gaps
    assert sum(report.missing.values()) >= 5
    assert 0 < report.interaction_count < whole.interaction_count
    with open_warehouse(half, Settings()) as warehouse:
        assert warehouse.value("select count(distinct unit_key) from raw.coverage where status = 'missing' and unit_key <> 0") >= 5
    night.build_stage(half, Settings())
    with open_warehouse(half, Settings()) as warehouse:
        assert warehouse.value("select count(*) from core.coverage_day where status = 'partial' and unread_unit_count > 0") > 0


Change = Callable[[dict[str, Any], int], None]


def with_a_new_field(found: dict[str, Any], number: int) -> None:
    if {"id", "ts", "ok", "value"} & set(found):  # a map of people has no fields
        found["aFieldOfNextYear"] = {"value": [number, None, {"text": "new"}], "kind": "unknown"}


def with_another_type(found: dict[str, Any], number: int) -> None:
    """Of every fourth message or meeting the sender is no longer what it was."""
    for name, other in (("user", {"id": "U1"}), ("from", "someone"), ("organizer", ["someone"])):
        if name in found and number % 4 == 0 and {"ts", "internetMessageId", "iCalUId", "createdDateTime"} & set(found):
            found[name] = other


def drifted(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both services answer in another shape: each object of each answer is changed before the connector sees it."""
    count = itertools.count()

    def deep(held: Any) -> Any:
        for part in held.values() if isinstance(held, dict) else held if isinstance(held, list) else ():
            deep(part)
        if isinstance(held, dict):
            change(held, next(count))
        return held

    slack, graph = SlackClient.call_with_headers, Graph.get

    async def call(self: Any, method: str, **parameters: Any) -> Any:
        data, headers = await slack(self, method, **parameters)
        return deep(data), headers

    async def get(self: Any, builder: Any, **options: Any) -> Any:
        return deep(await graph(self, builder, **options))

    monkeypatch.setattr(SlackClient, "call_with_headers", call)
    monkeypatch.setattr(Graph, "get", get)


@pytest.mark.parametrize("source", ["slack", "microsoft365"])
def test_a_field_that_appears_changes_nothing_and_one_of_another_type_is_quarantined_by_name(
    home: Home, sandbox: Sandbox, tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, clean = sandbox.organisation.ends, Home(tmp_path / "clean").create()
    whole = sync.sync_source(clean, settings(sandbox), source, until=ends)
    with monkeypatch.context() as patched:
        drifted(with_a_new_field, patched)
        grown = Home(tmp_path / "grown").create()
        assert not sync.sync_source(grown, settings(sandbox), source, until=ends).quarantined
    assert stored(grown, source) == stored(clean, source)
    with monkeypatch.context() as patched:
        drifted(with_another_type, patched)
        report = sync.sync_source(home, settings(sandbox), source, until=ends)
    assert sum(report.quarantined.values()) > 10
    assert set(report.quarantined) <= {"wrong_type", "missing_sender"}, "a code names what was wrong, and no value"
    assert 0 < report.interaction_count < whole.interaction_count
    # mended, the same days are read once more: all that was quarantined is there, nothing twice
    with open_warehouse(home, Settings()) as warehouse:
        warehouse.run("delete from raw.cursor")
    sync.sync_source(home, settings(sandbox), source, until=ends)
    assert stored(home, source) == stored(clean, source)


def test_a_night_whose_clock_was_behind_loses_nothing_once_it_is_right(home: Home, tmp_path: Path) -> None:
    with Sandbox(World(people=20, days=20, seed=5)) as served:
        ends = served.organisation.ends
        for back, wrong in ((8, 0), (5, 4), (2, 0), (0, 0)):
            served.now = ends - timedelta(days=back)
            for source in ("slack", "microsoft365"):
                sync.sync_source(home, settings(served), source, until=served.now - timedelta(days=wrong))
        clean = Home(tmp_path / "clean").create()
        for source in ("slack", "microsoft365"):
            sync.sync_source(clean, settings(served), source, until=ends)
    for place in (home, clean):
        night.build_stage(place, Settings())
    lived, expected = figures(home), figures(clean)
    assert lived["core.contact"] == expected["core.contact"]


@pytest.mark.parametrize("off, said", [(timedelta(days=4), "ahead of"), (timedelta(hours=-3), "behind")])
def test_a_night_whose_clock_is_wrong_does_not_begin(
    home: Home, sandbox: Sandbox, off: timedelta, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + off

    monkeypatch.setattr("pipelines.clock.datetime", Clock)
    for source in ("slack", "microsoft365"):
        code = run(lambda source=source: sync.sync_source(home, settings(sandbox), source))  # type: ignore[misc]
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert (code, f"minutes {said} that of {source}; set it" in line) == (2, True), line
    assert not home.warehouse.exists()


class Killed(Exception):
    """Raised where a night is to end as if its process were gone: what is stored by then is all that stays."""


def dying(after: int) -> Callable[[Batch], Batch]:
    """A `keep` that lets so many batches be stored and then ends the night."""
    left = after

    def keep(batch: Batch) -> Batch:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return batch

    return keep


HARMS = ("nothing", "missed", "down", "refused", "killed")
ODDS = (60, 10, 10, 10, 10)


def soak(folder: Path, days: int, rate: float, seed: int, builds_every: int) -> Counter[str]:
    """Nights with faults over a world in which time passes, against one reading of it without any.

    A tenth of all requests fails; besides, each source is, of a hundred nights, not read at all on 10, down on 10, refuses its
    credentials on 10, and has its reading killed after a few batches on 10. Every few nights the tables are built.
    """
    world, chance = World(people=20, days=days, seed=seed), random.Random(seed)
    faults = Faults(rate=rate, seed=seed)
    home, clean = Home(folder / "home").create(), Home(folder / "clean").create()
    options = {"slack": {"retries": 8, "late_reply_days": 30}, "graph": {"attempts": 10}}
    done: Counter[str] = Counter()
    with Sandbox(world, faults) as served:
        ends: datetime = served.organisation.ends
        for day in range(1, days + 1):
            served.now = min(ends, ends - timedelta(days=days - day))
            for source in ("slack", "microsoft365"):
                (harm,) = chance.choices(HARMS, ODDS)
                done[harm] += 1
                if harm != "missed":
                    harmed_night(home, served, source, harm, options, chance)
            if day % builds_every == 0:
                night.build_stage(home, settings(served, **options))
        assert sum(faults.counts.values()) > days
        # what is deleted at the source is marked here and was never seen there
        faults.rate = 0.0
        for source in ("slack", "microsoft365"):
            sync.sync_source(home, settings(served, **options), source, until=served.now)
            sync.sync_source(clean, settings(served, **options), source, until=served.now)
    give_places(home, clean)
    for place in (home, clean):
        night.build_stage(place, Settings())
    lived, expected = figures(home), figures(clean)
    assert {name for name in expected if lived[name] != expected[name]} == set(), f"seed {seed}"
    return done


def harmed_night(home: Home, served: Sandbox, source: str, harm: str, options: dict[str, Any], chance: random.Random) -> None:
    chosen, keep = settings(served, **options), None
    nowhere = f"http://127.0.0.1:{closed_port()}"
    if harm == "down":
        chosen = settings(served, slack={"base_url": f"{nowhere}/api/"}, graph={"base_url": f"{nowhere}/v1.0"})
    elif harm == "refused":
        chosen = settings(served, slack={"token": "xoxb-revoked"}, graph={"client_secret": "wrong-9f3a"})
    elif harm == "killed":
        keep = dying(chance.randrange(6))
    try:
        sync.sync_source(home, chosen, source, until=served.now, keep=keep)
    except Exception as error:
        if harm not in {"down", "refused", "killed"} or not (isinstance(error, Killed | UserError) or explained(error)):
            raise


def give_places(home: Home, clean: Home) -> None:
    """Tell the clean home in which team people were on each day: a directory says only how things are now."""
    with open_warehouse(home, Settings()) as warehouse:
        places = warehouse.arrow("select * from raw.membership")
    with open_warehouse(clean, Settings()) as warehouse:
        warehouse.run("delete from raw.membership")
        warehouse.store(Batch("microsoft365", "directory", {"membership": places.cast(SCHEMAS["membership"])}))


def figures(home: Home) -> dict[str, str]:
    """Every table of core and metrics as a hash of its rows, but for what only somebody who was there each night can have seen.

    That is: what was deleted at the source since, accounts that are gone or were under another address, and why a reading
    once failed.
    """
    # knowledge_reach has everyone among those who could be reached, also whoever is gone from the directory since
    seen_by_night = ("core.account", "core.account_kind", "core.person", "core.membership", "core.coverage_day", "metrics.knowledge_reach")
    with open_warehouse(home, Settings()) as warehouse:
        names = [name for (name,) in warehouse.run("select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('core', 'metrics')")]  # fmt: skip  # noqa: E501
        kept = {
            name: "exclusion is distinct from 'deleted'" if name == "core.interaction" else "true"
            for name in names
            if name not in seen_by_night
        }
        return {
            name: hashlib.sha256(repr(warehouse.run(f"select * from {name} where {condition} order by all")).encode()).hexdigest()
            for name, condition in kept.items()
        }


def test_a_soak_of_nights_with_faults_ends_in_what_one_clean_reading_gives(home: Home, tmp_path: Path) -> None:
    soak(tmp_path, days=6, rate=0.1, seed=11, builds_every=3)


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_soak_of_sixty_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setenv("PERDURE_KEY", "5a" * 32)
    done = soak(tmp_path, days=60, rate=0.1, seed=seed, builds_every=10)
    assert set(done) == set(HARMS), "the seed draws every harm"
