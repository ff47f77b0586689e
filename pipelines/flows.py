"""Prefect flows: thin over the plain functions of `pipelines.night` and `pipelines.sync`.

A flow's parameters, logs and results hold counts and the home's place, never a secret, an address or a record: what
moves between tasks moves through the warehouse.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from pipelines import night, sync
from pipelines.home import Home
from pipelines.settings import Settings, load_settings


def _open(home: str | None) -> tuple[Home, Settings]:
    found = Home.find(Path(home) if home else None).require()
    return found, load_settings(found.settings_file)


@task(name="sync", retries=3, retry_delay_seconds=[30, 120, 300], retry_jitter_factor=0.5, cache_policy=NO_CACHE, persist_result=False)
def sync_task(home: str, source: str) -> dict[str, Any]:
    """Read one service since its last cursor."""
    place, settings = _open(home)
    report = sync.sync_source(place, settings, source)
    get_run_logger().info("%s: %d interactions read, %d new or changed", source, report.interaction_count, report.changed_count)
    return {
        "source": source,
        "read": report.interaction_count,
        "changed": report.changed_count,
        "missing": dict(report.missing),
        "quarantined": dict(report.quarantined),
        "has_gaps": report.has_gaps,
    }


@task(name="build", cache_policy=NO_CACHE, persist_result=False)
def build_task(home: str, as_of: date | None = None) -> dict[str, Any]:
    """Bring core tables and metrics up to date; a table that fails its checks stops the night before publishing."""
    report = night.build_stage(*_open(home), as_of=as_of)
    get_run_logger().info("%d days and %d panels rebuilt", report.touched_day_count, report.touched_panel_count)
    return {
        "as_of": str(report.as_of),
        "days": report.touched_day_count,
        "panels": report.touched_panel_count,
        "is_unchanged": report.is_unchanged,
        "tables": report.tables,
    }


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_task(home: str) -> dict[str, Any]:
    """Replace the analysts' file."""
    done = night.publish_stage(*_open(home))
    return {"tables": done.table_count, "bytes": done.byte_count}


@task(name="export", cache_policy=NO_CACHE, persist_result=False)
def export_task(home: str) -> dict[str, Any]:
    """Write leadership's export, through disclosure control."""
    done = night.export_stage(*_open(home))
    return {"folder": done.folder.name, "tables": done.table_count, "suppressed": done.suppressed_cell_count}


@flow(name="nightly", persist_result=False)
def nightly(home: str | None = None, export: bool | None = None) -> dict[str, Any]:
    """Sync, build, check, publish and export: everything that a night does.

    Args:
        home: The home; by default `$PERDURE_HOME`, else `./perdure-home`.
        export: Whether to end with an export; by default as settings say.

    Returns:
        Stage -> counts. Key `has_gaps` says whether something that was to be read could not be.
    """
    place, settings = _open(home)
    path = str(place.path)
    synced = [sync_task(path, source) for source in sync.configured_sources(settings)]
    summary: dict[str, Any] = {"sync": synced, "has_gaps": any(part["has_gaps"] for part in synced)}
    summary["build"] = build_task(path)
    summary["publish"] = publish_task(path)
    if settings.nightly.export if export is None else export:
        summary["export"] = export_task(path)
    create_markdown_artifact(_as_markdown(summary), key="night", description="What the night brought")
    return summary


@flow(name="weekly-export", persist_result=False)
def weekly_export(home: str | None = None) -> dict[str, Any]:
    """Write leadership's export from what is published."""
    return export_task(str(_open(home)[0].path))


@flow(name="monthly-retention", persist_result=False)
def monthly_retention(home: str | None = None) -> dict[str, int]:
    """Delete what is older than the retention period, then build and publish again without it."""
    place, settings = _open(home)
    deleted = night.retention_stage(place, settings)
    build_task(str(place.path))
    publish_task(str(place.path))
    create_markdown_artifact(
        "\n".join(["| Table | Rows deleted |", "|---|---|", *(f"| {name} | {count:,} |" for name, count in deleted.items())]),
        key="retention",
    )
    return deleted


def _as_markdown(summary: dict[str, Any]) -> str:
    """Return the night's summary as Markdown: counts only."""
    lines = ["# What the night brought", "", "| Source | Read | New or changed | Not readable | Quarantined |", "|---|---|---|---|---|"]
    for part in summary["sync"]:
        missing, quarantined = sum(part["missing"].values()), sum(part["quarantined"].values())
        lines.append(f"| {part['source']} | {part['read']:,} | {part['changed']:,} | {missing:,} | {quarantined:,} |")
    built = summary["build"]
    lines += [
        "",
        f"Figures as of **{built['as_of']}**: {built['days']} days and {built['panels']} panels rebuilt.",
        "",
        "| Table | Rows |",
        "|---|---|",
    ]
    lines += [f"| {name} | {count:,} |" for name, count in sorted(built["tables"].items())]
    return "\n".join(lines)
