"""From stored interactions to pairs by day, ties, reciprocity, cross-team share and strength; then a night's increment, and publishing."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks import rivals
from benchmarks.interactions import DAY_COUNT, FIRST_DAY, as_batch, land, organisation_of
from benchmarks.measure import exponents, measured
from worlds import tables

from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.home import sync_to_disk
from pipelines.publish import publish
from pipelines.warehouse import Warehouse

WANTED = ("pair_panel", "pair_strength", "org_panel_reciprocity", "org_panel_cross_team")
"""Ties, strength, reciprocity and cross-team share, with all that they read."""
MEMORY = "3GB"
INCREMENT = 100_000


def landed(path: Path, count: int, years: int = 1, *, has_channels: bool = True) -> None:
    """A warehouse with so many interactions of some years, not built; they end on the same day, however many they are."""
    first = FIRST_DAY - timedelta(days=DAY_COUNT * (years - 1))
    with Warehouse(path, memory_limit=MEMORY) as warehouse:
        land(warehouse, organisation_of(count // years, has_channels=has_channels), count, first, DAY_COUNT * years)


def built(path: Path) -> dict[str, Any]:
    """Build the wanted tables; seconds by table, rows by table."""
    stage: Counter[str] = Counter()
    last = [time.perf_counter(), "core.days"]

    def note(name: str, done: int, total: int) -> None:
        del done, total
        now = time.perf_counter()
        stage[str(last[1])] += now - float(last[0])
        last[:] = [now, "core.days" if name == "days" else name]

    with Warehouse(path, memory_limit=MEMORY) as warehouse:
        report = build(warehouse, Parameters(), catalog=tables(WANTED), progress=note)
    note("", 0, 0)
    return {"stages": dict(stage), "rows": report.tables, "days": report.touched_day_count, "panels": report.touched_panel_count}


def published_whole(path: Path, published: Path) -> int:
    """Publish for the first time; return the file's size."""
    with Warehouse(path, memory_limit=MEMORY) as warehouse:
        return publish(warehouse, published, messages=False, catalog=tables(WANTED)).byte_count


def a_night(path: Path, published: Path, a_year: int) -> dict[str, Any]:
    """Store 100,000 new interactions of the day after the last, build and publish; seconds of each, and of copying the published file."""
    day = FIRST_DAY + timedelta(days=DAY_COUNT)
    seconds = {}
    batch = as_batch(organisation_of(a_year), min(INCREMENT, a_year // 10), day)
    with Warehouse(path, memory_limit=MEMORY) as warehouse:
        began = time.perf_counter()
        warehouse.store(batch)
        seconds["store"] = time.perf_counter() - began
        began = time.perf_counter()
        report = build(warehouse, Parameters(), catalog=tables(WANTED))
        seconds["build"] = time.perf_counter() - began
        began = time.perf_counter()
        done = publish(warehouse, published, messages=False, catalog=tables(WANTED))
        seconds["publish"] = time.perf_counter() - began
    if done.is_whole:
        raise RuntimeError("the night's publication was to be one by what changed")
    began = time.perf_counter()
    shutil.copyfile(published, published.with_suffix(".copy"))
    sync_to_disk(published.with_suffix(".copy"))
    copying = time.perf_counter() - began
    published.with_suffix(".copy").unlink()
    return {
        "seconds": seconds,
        "copying": copying,
        "without_copying": sum(seconds.values()) - copying,
        "days": report.touched_day_count,
        "panels": report.touched_panel_count,
    }


def run(folder: Path, sizes: list[int], compared: int) -> dict[str, Any]:
    """Measure every size, and compare one of them with pandas, networkx and polars."""
    found: dict[str, Any] = {"sizes": {}}
    for count in sizes:
        path = folder / f"of-{count}.duckdb"
        if not path.exists():
            _, landing = measured(landed, path, count)
        else:
            landing = {}
        work = folder / "work.duckdb"
        shutil.copyfile(path, work)
        os.sync()  # what was copied is not written out while the build is measured
        result, building = measured(built, work)
        size, publishing = measured(published_whole, work, folder / "published.duckdb")
        os.sync()
        night, nightly = measured(a_night, work, folder / "published.duckdb", count)
        found["sizes"][count] = {
            "land": landing,
            "build": {**building, **result},
            "publish": {**publishing, "gigabytes": size / 1e9},
            "night": {**nightly, **night},
        }
        work.unlink()
    stages = found["sizes"][sizes[0]]["build"]["stages"]
    found["exponents"] = {
        "build": exponents({count: found["sizes"][count]["build"]["seconds"] for count in sizes}),
        "publish": exponents({count: found["sizes"][count]["publish"]["seconds"] for count in sizes}),
        "night": exponents({count: found["sizes"][count]["night"]["without_copying"] for count in sizes}),
        **{name: exponents({count: found["sizes"][count]["build"]["stages"].get(name, 0) for count in sizes}) for name in stages if name},
    }
    found["compared"] = compare(folder, compared)
    return found


def by_history(folder: Path, a_year: int, years: list[int]) -> dict[str, Any]:
    """Measure a night of one and the same organisation on histories of several lengths."""
    nights: dict[int, Any] = {}
    for each in years:
        path, published = folder / f"years-{each}.duckdb", folder / "published.duckdb"
        path.unlink(missing_ok=True)
        for function, *arguments in ((landed, a_year * each, each), (built,), (published_whole, published)):
            measured(function, path, *arguments)
        os.sync()
        nights[each], _ = measured(a_night, path, published, a_year)
        path.unlink()
    steps = {each: {**night["seconds"], "without_copying": night["without_copying"]} for each, night in nights.items()}
    return {
        "interactions_a_year": a_year,
        "years": nights,
        "exponents": {step: exponents({each: steps[each][step] for each in years}) for step in steps[years[0]]},
    }


def compare(folder: Path, count: int) -> dict[str, Any]:
    """Build and rivals on the same interactions, one after the other, with equal results."""
    path = folder / f"compared-{count}.duckdb"
    path.unlink(missing_ok=True)
    measured(_landed_without_channels, path, count)
    rivals.flattened(path, folder)
    _, ours = measured(built, path)
    by_pandas, pandas = measured(rivals.by_pandas, folder)
    by_polars, polars = measured(rivals.by_polars, folder)
    wrong = rivals.differences(path, by_pandas, by_polars)
    path.unlink()
    return {
        "differences": wrong,
        "interactions": count,
        "perdure": ours,
        "pandas_networkx": pandas,
        "polars_pair_day_only": polars,
        "times_faster_than_pandas_networkx": pandas["seconds"] / ours["seconds"],
        "times_faster_than_without_its_nulls": (pandas["seconds"] - by_pandas["null_seconds"]) / ours["seconds"],
    }


def _landed_without_channels(path: Path, count: int) -> None:
    landed(path, count, has_channels=False)
