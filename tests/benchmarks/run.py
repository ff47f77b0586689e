"""Every benchmark, as JSON and as a table.

    python tests/benchmarks/run.py                       # small: a few minutes
    python tests/benchmarks/run.py --size full           # the sizes of FIGURES.md: an hour, 12 GB of disk
    python tests/benchmarks/run.py --only build graphs   # some of them

Seconds depend on the machine; ratios within one run, growth exponents and peak memory travel.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE.parent)]

from benchmarks import bench_build, bench_graphs  # noqa: E402

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "build": [20_000, 40_000, 80_000],
        "compared": 20_000,
        "history": (20_000, [1, 2]),
        "graphs": {500: 5_000, 1_000: 10_000, 2_000: 20_000},
        "networkx": 200,
    },
    "small": {
        "build": [200_000, 500_000, 1_000_000],
        "compared": 500_000,
        "history": (200_000, [1, 2, 4]),
        "graphs": {2_000: 50_000, 6_000: 150_000, 20_000: 500_000},
        "networkx": 1_000,
    },
    "full": {
        "build": [1_000_000, 5_000_000, 25_000_000, 50_000_000],
        "compared": 5_000_000,
        "history": (5_000_000, [1, 2, 5]),
        "graphs": bench_graphs.SIZES,
        "networkx": 2_000,
    },
}
OTHERS = {
    "sources": {"small": ["--messages", "20000"], "full": ["--messages", "1000000"]},
    "metrics": {"small": ["--people", "300"], "full": ["--people", "20000"]},
    "reciprocity": {"small": ["--people", "5000", "--arcs", "125000"], "full": []},
    "report": {"small": ["--people", "1000"], "full": ["--people", "20000"]},
}
"""Benchmarks that are programs of their own, with their options by size; metrics takes a folder too."""


PARTS = ["build", "history", "graphs", *OTHERS]


def run(size: str, only: list[str], folder: Path) -> dict[str, Any]:
    """Run the chosen benchmarks; name -> figures."""
    sizes = SIZES[size]
    found: dict[str, Any] = {}
    if "build" in only:
        found["build"] = bench_build.run(folder, sizes["build"], sizes["compared"])
    if "history" in only:
        found["history"] = bench_build.by_history(folder, *sizes["history"])
    if "graphs" in only:
        found["graphs"] = bench_graphs.run(sizes["graphs"], sizes["networkx"])
    for name in OTHERS:
        if name in only and size in OTHERS[name]:
            found[name] = _other(name, OTHERS[name][size], folder)
    return found


def _other(name: str, options: list[str], folder: Path) -> str:
    """Run a benchmark that is a program of its own, and return what it prints."""
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", *options, *(["--folder", str(folder)] if name == "metrics" else [])]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE.parent}"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def printed(found: dict[str, Any]) -> str:
    """The figures as a table for people."""
    lines: list[str] = []
    if "build" in found:
        heads = f"{'interactions':>14} {'build s':>9} {'peak GB':>8} {'M/s':>7} {'publish s':>9} {'night s':>8}"
        lines.append(f"{heads}  which is store, build and publish without copying")
        for count, each in found["build"]["sizes"].items():
            night = each["night"]["seconds"]
            lines.append(
                f"{count:>14,} {each['build']['seconds']:>9.1f} {each['build']['peak_gigabytes']:>8.2f} "
                f"{count / each['build']['seconds'] / 1e6:>7.2f} {each['publish']['seconds']:>9.1f} "
                f"{each['night']['without_copying']:>8.1f}  " + ", ".join(f"{part:.1f}" for part in night.values())
            )
        lines += ["", f"{'stage':<36} " + " ".join(f"{count:>12,}" for count in found["build"]["sizes"]) + "  growth exponents"]
        for name, grown in found["build"]["exponents"].items():
            seconds = [each["build"]["stages"].get(name) for each in found["build"]["sizes"].values()]
            cells = " ".join(f"{'' if value is None else format(value, '.1f'):>12}" for value in seconds)
            lines.append(f"{name:<36} {cells}  " + ", ".join(f"{value:.2f}" for value in grown))
        both = found["build"]["compared"]
        results = f"results that DIFFER: {both['differences']}" if both["differences"] else "equal results"
        lines += ["", f"the same {both['interactions']:,} interactions, {results}:"]
        for name in ("perdure", "pandas_networkx", "polars_pair_day_only"):
            lines.append(f"  {name:<24} {both[name]['seconds']:>8.1f} s {both[name]['peak_gigabytes']:>6.2f} GB")
        lines.append(
            f"  times faster than pandas and networkx: {both['times_faster_than_pandas_networkx']:.1f} "
            f"(than them without their nulls: {both['times_faster_than_without_its_nulls']:.1f})"
        )
    if "history" in found:
        lines += [
            "",
            f"a night of one organisation ({found['history']['interactions_a_year']:,} interactions a year), by its years of history:",
        ]
        for step, grown in found["history"]["exponents"].items():
            cells = " ".join(f"{({**each['seconds'], **each})[step]:>9.2f}" for each in found["history"]["years"].values())
            lines.append(f"{step:<36} {cells}  " + ", ".join(f"{value:.2f}" for value in grown))
    if "graphs" in found:
        people = list(found["graphs"]["sizes"])
        lines += [
            "",
            f"{'measure of networks of people':<36} "
            + " ".join(f"{count:>9,}" for count in people)
            + "  growth exponents; times faster than networkx",
        ]
        for name, grown in found["graphs"]["exponents"].items():
            cells = " ".join(f"{found['graphs']['sizes'][count]['seconds'][name]:>9.2f}" for count in people)
            faster = found["graphs"]["networkx"]["times_faster"].get(name)
            lines.append(f"{name:<36} {cells}  " + ", ".join(f"{value:.2f}" for value in grown) + (f"; {faster:.0f}" if faster else ""))
        for what, key in (
            ("all", "all_seconds"),
            ("peak GB", "peak_gigabytes"),
            ("error of top betweenness", "betweenness_relative_error_of_top_hundredth"),
        ):
            lines.append(f"{what:<36} " + " ".join(f"{found['graphs']['sizes'][count][key]:>9.2f}" for count in people))
    lines += [f"\n{name}\n{found[name]}" for name in OTHERS if name in found]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="where large files go; kept, so that a second run need not make them again")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = {
            "measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
            **run(options.size, options.only, folder),
        }
    sys.stdout.write(f"{figures['measured_at']}, {figures['machine']}\n{printed(figures)}\n")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
