"""The stages of a night as plain functions over a home: flows call them as tasks, the command line one by one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from connectors.errors import UserError
from pipelines import exports, facts
from pipelines.build import BuildReport, build
from pipelines.engines import opened_engine
from pipelines.exports import ExportReport
from pipelines.history import require_history
from pipelines.home import Home
from pipelines.keys import load_pseudonymiser, verify_key
from pipelines.progress import reporter
from pipelines.publish import Published, publish
from pipelines.retention import retain
from pipelines.settings import Settings, load_declarations
from pipelines.sync import configured_sources, open_warehouse
from pipelines.warehouse import PUBLISHED, RETAINED, Warehouse


def build_stage(home: Home, settings: Settings, *, as_of: date | None = None) -> BuildReport:
    """Bring core tables and metrics up to date, checks included."""
    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    declarations = load_declarations(settings, home.path, pseudonyms)
    with (
        open_warehouse(home, settings) as warehouse,
        warehouse.recorded("build") as counts,
        # after the lock: the engine empties its folder, which may be another run's
        opened_engine(home, settings.build) as engine,
    ):
        verify_key(warehouse, pseudonyms)
        say = reporter()
        report = build(
            warehouse,
            settings.measure,
            declarations,
            as_of=as_of,
            progress=lambda stage, done, total: say.update("build", done, total, stage),
            engine=engine,
        )
        report.breaks = coverage_breaks(warehouse)
        counts.update(
            days=report.touched_day_count,
            panels=report.touched_panel_count,
            is_unchanged=report.is_unchanged,
            tables=len(report.tables),
            breaks=len(report.breaks),
        )
        return report


def coverage_breaks(warehouse: Warehouse) -> list[str]:
    """Return a sentence for each medium and day of the last week on which far less was seen than usual (`core.coverage_day`)."""
    if not warehouse.has_table("core", "coverage_day"):
        return []
    rows = warehouse.run(
        "select source, medium, date, interaction_count from core.coverage_day "
        "where reason = 'drop' and date > (select max(date) from core.coverage_day) - 7 order by date, source, medium"
    )
    return [
        f"{source} {medium}, {day}: {count:,} interactions, at least 30% fewer than is usual on that weekday. "
        "A holiday, or part of the source was not read; it is marked in core.coverage_day and is no sign of decay"
        for source, medium, day, count in rows
    ]


def publish_stage(home: Home, settings: Settings, *, force: bool = False) -> Published:
    """Replace the analysts' file at once.

    Raises:
        HistoryLostError: If the new file would have lost most of the old one's history, and this is not forced.
    """
    with open_warehouse(home, settings) as warehouse, warehouse.recorded("publish") as counts:
        if not force:
            require_history(warehouse, home.published)
        done = publish(warehouse, home.published, settings.measure, messages=settings.publish.messages)
        # after the retention period, facts that were exported earlier must not reach back further than this
        counts.update(tables=done.table_count, bytes=done.byte_count, facts_renewed=len(facts.renew_if_older(home)))
        return done


def export_stage(home: Home, settings: Settings, *, output: Path | None = None) -> ExportReport:
    """Write leadership's export from the published file, through disclosure control."""
    if not home.published.exists():
        raise UserError("export: nothing is published yet; run `perdure build` and `perdure publish` first")
    return exports.export(home.published, output or home.exports, settings.disclosure())


def report_stage(home: Home, settings: Settings, *, language: str = "en", output: Path | None = None, as_pdf: bool = False) -> Path:
    """Write leadership's report from the published file, as one HTML page or as PDF, and return where it is."""
    from pipelines import report  # takes a second: it draws charts

    if not home.published.exists():
        raise UserError("report: nothing is published yet; run `perdure build` and `perdure publish` first")
    page = (output or home.path / f"report.{language}.html").with_suffix(".html")
    text = report.render(home.published, language=language, policy=settings.disclosure(), previous=exports.last_export(home.exports))
    page.write_text(text, encoding="utf-8")
    if as_pdf:
        report.pdf(page, page.with_suffix(".pdf"))
    return page.with_suffix(".pdf") if as_pdf else page


def retention_stage(home: Home, settings: Settings, *, yes: bool = False, trust_clock: bool = False) -> dict[str, int]:
    """Delete interactions older than the retention period, in whole months; panels stay.

    Raises:
        RetentionRefusedError: If sources contradict the clock, or more than an ordinary night's would be deleted (`pipelines.retention`).
    """
    return retain(home, settings, yes=yes, trust_clock=trust_clock)


@dataclass(frozen=True, slots=True)
class Retained:
    """What `perdure retention` did: table -> rows deleted, the first day that is kept, and whether it published anew."""

    deleted: dict[str, int]
    first: date
    is_published: bool


def retain_everywhere(home: Home, settings: Settings, *, yes: bool = False, trust_clock: bool = False) -> Retained:
    """Do the stage of retention, and where it deleted anything, or an earlier run was ended midway, build and publish without it.

    Raises:
        RetentionRefusedError: As `retention_stage`.
    """
    deleted = retention_stage(home, settings, yes=yes, trust_clock=trust_clock)
    with open_warehouse(home, settings) as warehouse:
        first = date.fromisoformat(warehouse.memo(RETAINED) or "")
        is_due = any(deleted.values()) or warehouse.memo(PUBLISHED) is None
    is_published = home.published.exists() and is_due
    if is_published:
        build_stage(home, settings)
        publish_stage(home, settings)
    return Retained(deleted, first, is_published)


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
    """What `perdure status` shows."""

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
    """Account for everything that was read, and say what is published and what the next build will do."""
    if not home.warehouse.exists():
        raise UserError("status: nothing is stored yet; run `perdure import` or `perdure sync` first")
    with open_warehouse(home, settings) as warehouse:
        return Status(
            sources=[
                _account(warehouse, source)
                for (source,) in warehouse.run(
                    "select distinct source from raw.interaction union select source from raw.quarantine order by 1"
                )
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
