"""How the build on Spark grows: the partitioned tables of made-up organisations, on Spark and on this machine alone.

    python tests/benchmarks/bench_spark.py --rows 200000 1000000 5000000 --master local[2]

Prints a table and, with --json, writes the figures. Tables are compared row by row where both were built.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from worlds import edge_events

from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.catalog import load_catalog
from pipelines.spark import SparkEngine
from pipelines.warehouse import Warehouse

CATALOG = {
    name: spec
    for name, spec in load_catalog().items()
    if spec.schema == "core" or spec.partition or name in ("metrics.observed_day", "metrics.observed_stretch")
}
ROWS_A_PERSON = 250
DAYS = 365


def stored(folder: Path, rows: int, seed: int = 7) -> Path:
    """A warehouse of e-mail over a year among people who mostly write to those near them: 250 messages a person."""
    random = np.random.default_rng([seed, rows])
    people = max(100, rows // ROWS_A_PERSON)
    sender = random.integers(0, people, rows)
    recipient = (sender + 1 + np.minimum(random.geometric(0.08, rows), people - 2)) % people
    turned = random.random(rows) < 0.4
    sender, recipient = np.where(turned, recipient, sender), np.where(turned, sender, recipient)
    path = folder / "warehouse.duckdb"
    with Warehouse(path, memory_limit="4GB") as warehouse:
        warehouse.store(edge_events(np.sort(random.integers(0, DAYS * 86_400, rows)), sender + 1, recipient + 1))
    return path


def measured(path: Path, master: str | None) -> tuple[float, float]:
    """Build once; return the seconds that Spark took to start, and those of the build without them."""
    with Warehouse(path, memory_limit="4GB") as warehouse:
        if master is None:
            began = time.perf_counter()
            build(warehouse, Parameters(), catalog=CATALOG)
            return 0.0, time.perf_counter() - began
        with SparkEngine(path.with_name("exchange"), master=master) as engine:
            began = time.perf_counter()
            session = engine.session
            session.range(10).count()
            started = time.perf_counter()
            build(warehouse, Parameters(), catalog=CATALOG, engine=engine)
            return started - began, time.perf_counter() - started


def differing(left: Path, right: Path) -> list[str]:
    """The tables that differ in any row."""
    with Warehouse(left) as warehouse:
        warehouse.run(f"attach '{right}' as other (read_only)")
        count = "select count(*) from (select * from {a} except all select * from {b})"
        pairs = [(name, f"other.{name}") for name in CATALOG]
        return [a for a, b in pairs if warehouse.value(count.format(a=a, b=b)) or warehouse.value(count.format(a=b, b=a))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000, 5_000_000])
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--compare", action="store_true", help="Build on this machine alone too, and compare the tables.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = []
    sys.stdout.write(f"{'interactions':>14} {'start s':>8} {'spark s':>8} {'rows/s':>10} {'alone s':>8} {'exponent':>9}\n")
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            start, spark = measured(stored(Path(folder), rows), arguments.master)
            alone = math.nan
            if arguments.compare:
                (Path(folder) / "alone").mkdir()
                alone = measured(stored(Path(folder) / "alone", rows), None)[1]
                wrong = differing(Path(folder) / "warehouse.duckdb", Path(folder) / "alone" / "warehouse.duckdb")
                if wrong:
                    raise SystemExit(f"these tables differ: {wrong}")
        before = found[-1] if found else None
        exponent = math.log(spark / before["spark_seconds"]) / math.log(rows / before["interactions"]) if before else math.nan
        found.append({"interactions": rows, "start_seconds": start, "spark_seconds": spark, "alone_seconds": alone, "exponent": exponent})
        sys.stdout.write(f"{rows:>14,} {start:>8.1f} {spark:>8.1f} {rows / spark:>10,.0f} {alone:>8.1f} {exponent:>9.2f}\n")
        sys.stdout.flush()
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
