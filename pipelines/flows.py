"""Prefect flows: thin over the plain functions of `pipelines.night` and `pipelines.sync`.

A flow's parameters, logs, artifacts, events and results hold counts and the home's place, never a secret, an address or
a record: what moves between tasks moves through the warehouse.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.logging import get_run_logger

from connectors.errors import UserError
from pipelines import night, sync
from pipelines.engines import require_engine
from pipelines.faults import explained
from pipelines.home import Home
from pipelines.retention import RetentionRefusedError
from pipelines.settings import Settings, load_settings

# before any flow runs: whoever starts one (a worker, `serve`, a script), what it writes, and what Prefect writes for it, is for its
# owner alone, as what commands write
os.umask(0o077)

LIMITED: Final = ("slack", "microsoft365", "build", "publish", "export", "retention")
"""Each source and stage runs once at a time: the tag of its task is `perdure-` and this name."""
_HOUR: Final = 3600
_BASE: Final = 5
"""What Prefect shows is counted in fives, and fewer than five of anything are not told apart."""
_LATE: Final = timedelta(hours=30)
_RESOURCE: Final = {"prefect.resource.id": "perdure.night", "prefect.resource.name": "perdure nightly"}
_SCORES: Final = ("medium", "started_tie_count", "kept_90_ratio", "lower_kept_90_ratio", "upper_kept_90_ratio")


def _open(home: str | None) -> tuple[Home, Settings]:
    os.umask(0o077)  # whatever was imported since may have changed it
    found = Home.find(Path(home) if home else None).require()
    return found, load_settings(found.settings_file)


def _patience(settings: Settings) -> Any:
    return sync.patience(60 * settings.nightly.wait_minutes)


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    """Return whether a failure may pass by itself: what only the user can mend is not tried again."""
    try:
        state.result()
    except UserError:
        return False
    except Exception:
        return True
    return False


@task(
    name="sync",
    retries=3,
    retry_delay_seconds=[30, 120, 300],
    retry_jitter_factor=0.5,
    retry_condition_fn=_may_pass,
    timeout_seconds=12 * _HOUR,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def sync_task(home: str, source: str) -> dict[str, Any]:
    """Read one service since its last cursor."""
    place, settings = _open(home)
    with _patience(settings):
        report = sync.sync_source(place, settings, source)
    counts = _coarse(report.interaction_count), _coarse(report.changed_count)
    get_run_logger().info("%s: %s interactions read, %s new or changed", source, *counts)
    return {
        "source": source,
        "read": report.interaction_count,
        "changed": report.changed_count,
        "missing": dict(report.missing),
        "quarantined": dict(report.quarantined),
        "has_gaps": report.has_gaps,
    }


@task(
    name="build",
    retries=1,
    retry_delay_seconds=60,
    retry_condition_fn=_may_pass,
    timeout_seconds=12 * _HOUR,
    tags=["perdure-build"],
    cache_policy=NO_CACHE,
    persist_result=False,
)
def build_task(home: str, as_of: date | None = None) -> dict[str, Any]:
    """Bring core tables and metrics up to date; a table that fails its checks stops the night before publishing."""
    place, settings = _open(home)
    with _patience(settings):
        report = night.build_stage(place, settings, as_of=as_of)
    logger = get_run_logger()
    logger.info("%d days and %d panels rebuilt", report.touched_day_count, report.touched_panel_count)
    for line in report.breaks:
        logger.warning("%s", line)
    return {
        "as_of": str(report.as_of),
        "days": report.touched_day_count,
        "panels": report.touched_panel_count,
        "is_unchanged": report.is_unchanged,
        "tables": report.tables,
        "breaks": report.breaks,
    }


@task(
    name="publish",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=_may_pass,
    timeout_seconds=_HOUR,
    tags=["perdure-publish"],
    cache_policy=NO_CACHE,
    persist_result=False,
)
def publish_task(home: str, force: bool = False) -> dict[str, Any]:
    """Replace the analysts' file; one that has lost most of its history replaces it only if forced."""
    place, settings = _open(home)
    with _patience(settings):
        done = night.publish_stage(place, settings, force=force)
    return {"tables": done.table_count, "bytes": done.byte_count}


@task(
    name="export",
    retries=1,
    retry_delay_seconds=30,
    retry_condition_fn=_may_pass,
    timeout_seconds=2 * _HOUR,
    tags=["perdure-export"],
    cache_policy=NO_CACHE,
    persist_result=False,
)
def export_task(home: str) -> dict[str, Any]:
    """Write leadership's export, through disclosure control."""
    done = night.export_stage(*_open(home))
    _show_export(done.folder)
    return {"folder": done.folder.name, "tables": done.table_count, "suppressed": done.suppressed_cell_count}


@task(
    name="retention",
    retries=1,
    retry_delay_seconds=60,
    retry_condition_fn=_may_pass,
    timeout_seconds=4 * _HOUR,
    tags=["perdure-retention"],
    cache_policy=NO_CACHE,
    persist_result=False,
)
def retention_task(home: str) -> dict[str, Any]:
    """Delete what is older than the retention period; where that is not safe unasked, delete nothing and say why."""
    place, settings = _open(home)
    try:
        with _patience(settings):
            return {"deleted": night.retention_stage(place, settings), "refused": None}
    except RetentionRefusedError as refused:
        get_run_logger().warning("%s", refused)
        return {"deleted": {}, "refused": str(refused)}


def _told_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Raise the event on which an automation can wake somebody; the error itself stays in the run."""
    del flow_run, state
    emit_event("perdure.night.failed", resource=_RESOURCE, payload={"flow": flow.name})


@flow(name="nightly", persist_result=False, on_failure=[_told_of_failure], on_crashed=[_told_of_failure])
def nightly(home: str | None = None, export: bool | None = None, force: bool = False) -> dict[str, Any]:
    """Sync, delete what is past its time, build, check, publish and export: everything that a night does.

    A source that fails does not keep the others from being read and published; where every source fails, the night does.

    Args:
        home: The home; by default `$PERDURE_HOME`, else `./perdure-home`.
        export: Whether to end with an export; by default as settings say.
        force: Whether to publish even a file that has lost most of the published history.

    Returns:
        Stage -> counts. Key `has_gaps` says whether something that was to be read could not be; `failed` names the sources
        that failed, with the reason; `refused` under `retention` says why what is past its time was not deleted.
    """
    place, settings = _open(home)
    path = str(place.path)
    require_engine(settings.build)  # before anything is read, not after
    logger = get_run_logger()
    if late := _lateness(place):
        logger.warning("the last night ended %s ago; this one catches up", late)
        emit_event("perdure.night.late", resource=_RESOURCE, payload={"hours": round(late / timedelta(hours=1))})
    synced: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    errors: list[BaseException] = []
    sources = sync.configured_sources(settings)
    for source in sources:
        try:
            synced.append(sync_task.with_options(tags=[f"perdure-{source}"])(path, source))
        except Exception as error:
            errors.append(error)
            failed[source] = str(error) if isinstance(error, UserError) else explained(error) or type(error).__name__
            logger.error("%s was not read: %s", source, failed[source])
    retained = _retained(path, logger)  # what people were promised does not wait for a source to answer
    if errors and not synced:
        raise errors[0]
    summary: dict[str, Any] = {"sync": synced, "failed": failed, "has_gaps": bool(failed) or any(part["has_gaps"] for part in synced)}
    summary["retention"] = retained
    summary["build"] = build_task(path)
    summary["publish"] = publish_task(path, force)
    if settings.nightly.export if export is None else export:
        summary["export"] = export_task(path)
    create_markdown_artifact(_as_markdown(summary), key="night", description="What the night brought")
    emit_event(
        "perdure.night.gaps" if summary["has_gaps"] or summary["build"]["breaks"] or retained["refused"] else "perdure.night.done",
        resource=_RESOURCE,
        payload={
            "as_of": summary["build"]["as_of"],
            "failed": sorted(failed),
            "breaks": len(summary["build"]["breaks"]),
            "is_retained": retained["refused"] is None,
        },
    )
    return summary


def _retained(path: str, logger: Any) -> dict[str, Any]:
    """Run the task of retention; where it fails, the rest of the night goes on, and says so."""
    try:
        done: dict[str, Any] = retention_task(path)
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else explained(error) or type(error).__name__
        logger.error("retention failed: %s", reason)
        return {"deleted": {}, "refused": f"retention failed ({reason}); `perdure retention` tries it again"}
    return done


def _lateness(home: Home) -> timedelta | None:
    """Return how long ago the published file was written, if that is longer than a night is apart from the next."""
    if not home.published.exists():
        return None
    age = datetime.now(UTC) - datetime.fromtimestamp(home.published.stat().st_mtime, UTC)
    return age if age > _LATE else None


@flow(name="weekly-export", persist_result=False, on_failure=[_told_of_failure], on_crashed=[_told_of_failure])
def weekly_export(home: str | None = None) -> dict[str, Any]:
    """Write leadership's export from what is published."""
    return export_task(str(_open(home)[0].path))


@flow(name="monthly-retention", persist_result=False, on_failure=[_told_of_failure], on_crashed=[_told_of_failure])
def monthly_retention(home: str | None = None, force: bool = False) -> dict[str, Any]:
    """Delete what is older than the retention period, then build and publish again without it: for whom no night runs."""
    path = str(_open(home)[0].path)
    done: dict[str, Any] = retention_task(path)
    build_task(path)
    publish_task(path, force)
    rows = [f"| {name} | {_coarse(count)} |" for name, count in done["deleted"].items()]
    refused = [f"**Warning**: {done['refused']}.", ""] if done["refused"] else []
    create_markdown_artifact("\n".join([*refused, "| Table | Rows deleted |", "|---|---|", *rows]), key="retention")
    return done


# -- artifacts: rounded counts, and figures that have left already ----------------------------------------------------


def _coarse(count: int) -> str:
    """Return a count as Prefect may show it: whoever reads there is nobody who may see what one person did."""
    return f"{_BASE * round(count / _BASE):,}" if count >= _BASE else "0" if count == 0 else f"under {_BASE}"


def _show_export(folder: Path) -> None:
    """Show the scorecard and the coverage as exported, behind disclosure control, and where the report lies."""
    scorecard = _exported(folder, "metrics.medium_scorecard")
    if scorecard is not None:
        shown = [name for name in _SCORES if name in scorecard.column_names]
        rows = [
            {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
            for row in scorecard.select(shown).to_pylist()
        ]
        if rows:
            create_table_artifact(rows, key="scorecard", description="The media, as exported")
    coverage = _exported(folder, "metrics.coverage_panel")
    if coverage is not None and (periods := _latest_coverage(coverage)):
        create_table_artifact(periods, key="coverage", description="Days by what was seen of each medium in the last period, as exported")
    for report in sorted(folder.glob("report.*.html")):
        create_link_artifact(report.as_uri(), key=f"report-{report.name.split('.')[1]}", link_text=f"Report of {folder.name}")


def _exported(folder: Path, name: str) -> pa.Table | None:
    """Return a table of an export; None where it holds none of that name."""
    path = folder / "parquet" / f"{name}.parquet"
    return pq.read_table(path) if path.exists() else None


def _latest_coverage(coverage: pa.Table) -> list[dict[str, Any]]:
    """The days of the last period that was told, by medium and by what was seen of them; a medium of few people has none to show."""
    kinds = set(coverage["panel_kind"].to_pylist())
    told = coverage.filter(pc.equal(coverage["panel_kind"], "month" if "month" in kinds else "week"))
    last = pc.max(told["panel_start"]).as_py()
    if last is None:
        return []
    columns = [
        "panel_kind",
        "panel_start",
        "source",
        "medium",
        "observed_day_count",
        "partial_day_count",
        "missing_day_count",
        "gap_day_count",
    ]
    rows = told.filter(pc.equal(told["panel_start"], pa.scalar(last))).select(columns).to_pylist()
    return [{**row, "panel_start": row["panel_start"].isoformat()} for row in rows if row["observed_day_count"] is not None]


def _as_markdown(summary: dict[str, Any]) -> str:
    """Return the night's summary as Markdown: rounded counts only."""
    lines = ["# What the night brought", "", "| Source | Read | New or changed | Not readable | Quarantined |", "|---|---|---|---|---|"]
    for part in summary["sync"]:
        missing, quarantined = sum(part["missing"].values()), sum(part["quarantined"].values())
        counts = " | ".join(_coarse(count) for count in (part["read"], part["changed"], missing, quarantined))
        lines.append(f"| {part['source']} | {counts} |")
    lines += [f"| {source} | not read: {reason} | | | |" for source, reason in summary["failed"].items()]
    built = summary["build"]
    warnings = [*built["breaks"], *([summary["retention"]["refused"]] if summary["retention"]["refused"] else [])]
    lines += ["", *(f"**Warning**: {line}.\n" for line in warnings)]
    lines += [
        f"Figures as of **{built['as_of']}**: {built['days']} days and {built['panels']} panels rebuilt. "
        f"Every one of {len(built['tables'])} tables passed its own checks.",
        "",
        "| Table | Rows |",
        "|---|---|",
    ]
    lines += [f"| {name} | {_coarse(count)} |" for name, count in sorted(built["tables"].items())]
    return "\n".join(lines)
