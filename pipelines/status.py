"""What became of everything that was read: `perdure status`, which answers while another command writes too.

DuckDB lets nobody read a file that another process writes. So whoever wrote leaves in the home what status would have said then, and
that is told, with its time, as long as somebody writes. It holds counts, and nobody's pseudonym.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from connectors.errors import UserError
from pipelines.home import Home
from pipelines.keys import FINGERPRINT
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from pipelines.writer_lock import WriterLockedError


def coverage_breaks(warehouse: Warehouse) -> list[str]:
    """Return a sentence for each medium and day of the last week on which far less was seen than usual (`core.coverage_day`)."""
    if not warehouse.has_table("core", "coverage_day"):
        return []
    rows = warehouse.run(
        "select source, medium, date from core.coverage_day "
        "where reason = 'drop' and date > (select max(date) from core.coverage_day) - 7 order by date, source, medium"
    )
    return [
        f"{source} {medium}, {day}: at least 30% fewer interactions than is usual on that weekday. "
        "A holiday, or part of the source was not read; it is marked in core.coverage_day and is no sign of decay"
        for source, medium, day in rows
    ]


@dataclass(frozen=True, slots=True)
class Account:
    """What became of everything that was read from one source: the parts sum to `read_count`."""

    source: str
    read_count: int
    counted: int
    excluded: dict[str, int]
    quarantined: dict[str, int]
    sender_count: int
    space_count: int


@dataclass(frozen=True, slots=True)
class Status:
    """What `perdure status` shows; `told_at` is when that was so, and `writer` who writes now, where somebody does."""

    sources: list[Account]
    runs: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    sizes: dict[str, int]
    touched_day_count: int
    days: list[dict[str, Any]]
    breaks: list[str]
    next_night: list[str]
    accounts: list[dict[str, Any]]
    threads: list[dict[str, Any]]
    told_at: str = ""
    writer: str = ""

    def as_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(
            {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "sources": [_fields(s) for s in self.sources]},
            default=str,
            indent=2,
        )


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in Account.__dataclass_fields__}


def status(home: Home, settings: Settings) -> Status:
    """Account for everything that was read, and say what is published and what the next build will do.

    While another command writes, that is what was so when the last one ended.
    """
    from pipelines.sync import open_warehouse  # which leaves a status behind itself

    if not home.warehouse.exists():
        raise UserError("status: nothing is stored yet; run `perdure import` or `perdure sync` first")
    try:
        with open_warehouse(home, settings) as warehouse:
            return keep_status(warehouse, home, settings)
    except WriterLockedError as locked:
        return replace(_kept(home), writer=str(locked).removeprefix("warehouse: "))


def keep_status(warehouse: Warehouse, home: Home, settings: Settings) -> Status:
    """Return the status, and leave it in the home for whoever asks while somebody writes."""
    found = _status(warehouse, home, settings)
    beside = home.state_file.with_name(home.state_file.name + ".next")
    try:
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps({"fingerprint": warehouse.memo(FINGERPRINT), "status": json.loads(found.as_json())}))
        beside.replace(home.state_file)
    except OSError:
        pass  # the next one that writes leaves it; what was done is done
    return found


def kept_fingerprint(home: Home) -> str | None:
    """Return the fingerprint of the key that the data was last stored under, as far as it was left in the home."""
    found: str | None = _state(home).get("fingerprint")
    return found


def _state(home: Home) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(home.state_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _kept(home: Home) -> Status:
    told = _state(home).get("status")
    if told is None:
        return Status([], [], [], [], {}, 0, [], [], [], [], [])
    return Status(**{**told, "sources": [Account(**account) for account in told["sources"]]})


def _status(warehouse: Warehouse, home: Home, settings: Settings) -> Status:
    return Status(
        sources=[
            _account(warehouse, source)
            for (source,) in warehouse.run("select distinct source from raw.interaction union select source from raw.quarantine order by 1")
        ],
        runs=_dicts(
            warehouse,
            "select command, date_trunc('second', started_at) as started_at, date_trunc('second', ended_at) as ended_at, "
            "coalesce(outcome, 'killed, or still running') as outcome, counts "
            "from raw.run order by raw.run.started_at desc limit 10",
        ),
        coverage=_dicts(
            warehouse,
            "select source, stream, medium, status, reason, count(*) as unit_count, "
            "min(date_from) as date_from, max(date_to) as date_to "
            "from raw.coverage group by all order by all",
        ),
        gaps=_table(warehouse, "gap"),
        days=recent_days(warehouse),
        breaks=coverage_breaks(warehouse),
        next_night=_next_night(warehouse, settings),
        accounts=_table(warehouse, "account_kind"),
        threads=_table(warehouse, "thread_completeness"),
        sizes={path.name: path.stat().st_size for path in (home.warehouse, home.published) if path.exists()},
        touched_day_count=warehouse.value("select count(*) from raw.touched_day"),
        told_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def recent_days(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Coverage of the last four weeks, by source and medium: how many days were whole, partial, or not seen."""
    if not warehouse.has_table("core", "coverage_day"):
        return []
    return _dicts(
        warehouse,
        "select source, medium, sum(interaction_count)::bigint as interactions, "
        "count(*) filter (where status = 'observed') as observed_days, "
        "count(*) filter (where status = 'partial') as partial_days, count(*) filter (where status in ('missing', 'gap')) as unseen_days "
        "from core.coverage_day where date > (select max(date) from core.coverage_day) - 28 group by all order by all",
    )


def _next_night(warehouse: Warehouse, settings: Settings) -> list[str]:
    """What the next night will do, a sentence each."""
    from pipelines.sync import configured_sources

    said = []
    for source in configured_sources(settings):
        last = warehouse.value("select max(ended_at) from raw.run where command = $1 and outcome = 'done'", [f"sync {source}"])
        cursors = warehouse.value("select count(*) from raw.cursor where source = $1", [source])
        said.append(
            f"{source}: read on from {cursors:,} cursors; last read {last:%Y-%m-%d %H:%M} UTC"
            if last is not None
            else f"{source}: go on with the first reading"
            if cursors
            else f"{source}: read for the first time, {getattr(settings, source).history_days} days back"
        )
    days = warehouse.value("select count(*) from raw.touched_day")
    if warehouse.memo("build") == "unfinished":
        said.append("build: finish the last one, which did not end")
    said.append(f"build: {days:,} days changed since the last" if days else "build: nothing stored has changed since the last")
    said.append("publish: replace the analysts' file" + (", then export" if settings.nightly.export else ""))
    return said


def _account(warehouse: Warehouse, source: str) -> Account:
    # with core built, also what core excludes (over the cap, bots known only by their account)
    table = (
        "core.interaction"
        if warehouse.has_table("core", "interaction") and not warehouse.value("select count(*) from raw.touched_day")
        else "raw.interaction"
    )
    by_reason = dict(warehouse.run(f"select exclusion, count(*) from {table} where source = $1 group by 1 order by 2 desc", [source]))
    quarantined = dict(warehouse.run("select reason, count(*) from raw.quarantine where source = $1 group by 1 order by 2 desc", [source]))
    counted = by_reason.pop(None, 0)
    senders, spaces = warehouse.run(
        "select count(distinct sender_key), count(distinct space_key) from raw.interaction where source = $1",
        [source],
    )[0]
    return Account(source, counted + sum(by_reason.values()) + sum(quarantined.values()), counted, by_reason, quarantined, senders, spaces)


def _table(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    """Return a small core table, or nothing where it is not built yet."""
    return _dicts(warehouse, f"select * from core.{name} order by all") if warehouse.has_table("core", name) else []


def _dicts(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.arrow(sql).to_pylist()
    return rows
