"""How long the metrics of a large made-up organisation take to build, and how much memory: by metric, as JSON and as a table.

    PYTHONPATH=.:tests python -m benchmarks.bench_metrics --people 1000 --folder /tmp/bench [--json result.json]

The world is drawn, stored and built up to core tables once and kept in the folder, by another process. What is measured is then
the build of every table of schema `metrics` on a copy of that file, in a process of its own with DuckDB's memory limited
(`--memory`), so that the peak is that of the build: resident memory, DuckDB and Python together.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.worlds import World, land

from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import load_catalog
from pipelines.warehouse import Warehouse


def prepare(world: World, path: Path, memory: str) -> None:
    """Draw a world, store it and build its core tables."""
    catalog = {name: spec for name, spec in load_catalog().items() if spec.schema == "core"}
    with Warehouse(path, memory_limit=memory) as warehouse:
        land(warehouse, world)
        build(warehouse, Parameters(), world.declarations(), catalog=catalog)


def measure(world: World, path: Path, memory: str) -> dict[str, Any]:
    """Build the metrics on a file whose core tables stand; the first entries are what a build does before its metrics."""
    steps: list[tuple[str, float, float]] = []

    def note(stage: str, done: int, total: int) -> None:
        del done, total
        steps.append((stage, time.perf_counter(), _peak_megabytes()))
        _forget_peak()

    with Warehouse(path, memory_limit=memory) as warehouse:
        rows = {
            name: warehouse.value(f"select count(*) from {name}")
            for name in ("raw.interaction", "core.contact", "core.pair_day", "core.person")
        }
        started = time.perf_counter()
        _forget_peak()
        report = build(warehouse, Parameters(), world.declarations(), progress=note)
        ended, last_peak = time.perf_counter(), _peak_megabytes()
    by_metric = [
        {"table": stage, "seconds": round(after - before, 2), "peak_megabytes": round(peak), "rows": report.tables.get(stage)}
        for (stage, before, _), (_, after, peak) in zip(steps, [*steps[1:], ("", ended, last_peak)], strict=True)
        if stage.startswith("metrics.")
    ]
    first = next(moment for stage, moment, _ in steps if stage.startswith("metrics."))
    return {
        "people": world.people,
        "days": world.days,
        "seed": world.seed,
        "rows": rows,
        "seconds": round(ended - first, 1),
        "seconds_before_metrics": round(first - started, 1),
        "peak_megabytes": round(max([last_peak, *(peak for _, _, peak in steps)])),
        "by_metric": sorted(by_metric, key=lambda entry: -entry["seconds"]),
    }


def printed(result: dict[str, Any]) -> str:
    """The result as a table for people."""
    lines = [
        f"{result['people']:,} people, {result['days']} days: "
        + ", ".join(f"{count:,} {name.partition('.')[2]}" for name, count in result["rows"].items()),
        f"metrics: {result['seconds']} s, peak {result['peak_megabytes']:,} MB (before them {result['seconds_before_metrics']} s)",
        f"{'table':<40}{'seconds':>10}{'peak MB':>10}{'rows':>12}",
    ]
    for entry in result["by_metric"]:
        lines.append(f"{entry['table']:<40}{entry['seconds']:>10.2f}{entry['peak_megabytes']:>10,}{entry['rows'] or 0:>12,}")
    return "\n".join(lines)


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _forget_peak() -> None:
    """Let the kernel count the peak anew, so that each metric has its own; where that is not possible it only ever rises."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


def main() -> None:
    """Prepare where need be, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interactions", type=int)
    parser.add_argument("--memory", default="4GB", help="DuckDB's memory limit")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--prepare", action="store_true", help="only draw the world and build its core tables")
    options = parser.parse_args()
    world = World(options.people, options.days, options.seed, options.interactions)
    prepared = options.folder / f"world-{options.people}-{options.days}-{options.seed}-{options.interactions or 'default'}.duckdb"
    if options.prepare:
        options.folder.mkdir(parents=True, exist_ok=True)
        unfinished = prepared.with_suffix(".unfinished.duckdb")
        unfinished.unlink(missing_ok=True)
        prepare(world, unfinished, options.memory)
        unfinished.rename(prepared)
        return
    if not prepared.exists():
        subprocess.run([sys.executable, "-m", "benchmarks.bench_metrics", *sys.argv[1:], "--prepare"], check=True)
    copied = options.folder / f"measured-{options.people}.duckdb"
    shutil.copy(prepared, copied)
    result = measure(world, copied, options.memory)
    copied.unlink()
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(printed(result) + "\n")


if __name__ == "__main__":
    main()
