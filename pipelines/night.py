"""The stages of a night as plain functions over a home: flows call them as tasks, the command line one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

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
from pipelines.status import coverage_breaks, keep_status, status
from pipelines.sync import open_warehouse
from pipelines.warehouse import PUBLISHED, RETAINED

__all__ = ["Retained", "build_stage", "export_stage", "publish_stage", "report_stage", "retain_everywhere", "retention_stage", "status"]


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
        keep_status(warehouse, home, settings)
        return report


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
    text = report.render(home.published, language=language, policy=settings.disclosure())
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
