"""How long report and exports of a large organisation take, from its published file: by step, as JSON and as a table.

    PYTHONPATH=.:tests python -m benchmarks.bench_report --people 20000 [--json result.json]

What it costs depends on how many rows the organisation-level tables have, and those grow with teams, not with people. So the file is a real
one of a small organisation in which the tables that speak of teams, pairs of teams and other organisations are replaced by made-up ones of
the size that many people give: teams of about fourteen, each in contact with sixty others a month, over thirteen months. Counts fit
together as real ones do (a month is at most the whole time, the whole time at most the months together), so that disclosure control has
the same web to look at. Teams of fewer than five people, and pairs of teams joined by fewer, are plenty: that is what makes it work.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from organisations import published_organisation

from metrics.disclosure import DisclosurePolicy
from pipelines.catalog import UNIT_TYPES, load_catalog
from pipelines.exports import export
from pipelines.exports.release import release
from pipelines.report import render_release

Array = npt.NDArray[Any]

TEAM_SIZE: Final = 14
NEIGHBOURS: Final = 60
MONTHS: Final = 13
REACHED: Final = 100
"""Of so many teams knowledge reach is shown one by one."""
GOAL_SECONDS: Final = 60


class Organisation:
    """Sizes of teams, which of them are in contact, and by how many people, month by month."""

    def __init__(self, people: int, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        count = max(people // TEAM_SIZE, 4)
        self.teams = np.array([f"Team {number:04d}" for number in range(count)])
        self.size = np.maximum(self.random.lognormal(np.log(TEAM_SIZE) - 0.125, 0.5, count).astype(int), 2)
        first = np.repeat(np.arange(count), NEIGHBOURS // 2)
        second = self.random.integers(0, count, len(first))
        pairs = np.unique(np.column_stack([np.minimum(first, second), np.maximum(first, second)]), axis=0)
        self.a, self.b = np.unique(np.vstack([pairs, np.column_stack([np.arange(count)] * 2)]), axis=0).T
        smaller = np.minimum(self.size[self.a], self.size[self.b])
        joined = np.where(self.a == self.b, smaller, np.minimum(1 + self.random.geometric(0.3, len(self.a)), smaller))
        self.present = self.random.random((MONTHS, len(self.a))) < 0.7
        self.by_month = np.where(self.present, self.random.binomial(joined, 0.7, (MONTHS, len(self.a))), 0)
        most, total = self.by_month.max(axis=0), self.by_month.sum(axis=0)
        self.whole = np.minimum(np.maximum(most, joined), total)
        self.active = self.random.binomial(self.size, 0.97, (MONTHS, count))

    def panels(self, each: Callable[[int | None], dict[str, Array]]) -> dict[str, Array]:
        """Columns of all months and of the whole time, one below the other."""
        parts = [each(month) for month in (*range(MONTHS), None)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def pair_rows(self, month: int | None) -> dict[str, Array]:
        """Dimensions and counts of pairs of teams in a month, or over the whole time."""
        at = np.flatnonzero(self.present[month]) if month is not None else np.arange(len(self.a))
        active = self.active[month] if month is not None else self.size
        joined = self.by_month[month][at] if month is not None else self.whole[at]
        start = date(2025, 1 + month, 1) if month is not None and month < 12 else date(2025, 1, 1) if month is None else date(2026, 1, 1)
        return {
            "panel_kind": np.full(len(at), "all" if month is None else "month"),
            "panel_start": np.full(len(at), np.datetime64(start)),
            "team_a": self.teams[self.a[at]],
            "team_b": self.teams[self.b[at]],
            "is_within": self.a[at] == self.b[at],
            "person_count": joined,
            "team_a_person_count": active[self.a[at]],
            "team_b_person_count": active[self.b[at]],
            "tie_count": joined * 2,
        }

    def reliance_rows(self, month: int | None) -> dict[str, Array]:
        """The same of pairs of different teams, counted on both sides together."""
        rows = self.pair_rows(month)
        between = ~rows["is_within"]
        kept = {name: values[between] for name, values in rows.items()}
        return {
            **{name: kept[name] for name in ("panel_kind", "panel_start", "team_a", "team_b", "tie_count")},
            "person_count": kept["person_count"] * 2,
        }

    def weeks(self) -> dict[str, Array]:
        """Teams by week."""
        weeks = np.arange(np.datetime64("2025-01-06"), np.datetime64("2026-02-02"), 7)
        return {
            "team": np.repeat(self.teams, len(weeks)),
            "week_start": np.tile(weeks, len(self.teams)),
            "person_count": np.repeat(self.size, len(weeks)),
        }

    def reach(self) -> dict[str, Array]:
        """The largest teams by one another."""
        largest = np.argsort(-self.size, kind="stable")[:REACHED]
        names = np.array([*self.teams[largest], "any"])
        sizes = np.array([*self.size[largest], self.size.sum()])
        count = len(names)
        return {
            "from_team": np.repeat(names, count),
            "to_team": np.tile(names, count),
            "from_person_count": np.repeat(sizes, count),
            "to_person_count": np.tile(sizes, count),
        }

    def others(self, count: int) -> dict[str, Array]:
        """Other organisations by month, under kinds and all together."""
        kinds = np.array(["client", "supplier", "partner", "public_body"])
        kind = kinds[np.arange(count) % 4]
        people = 1 + self.random.geometric(0.12, count)
        own = 1 + self.random.geometric(0.12, count)

        def month(number: int | None) -> dict[str, Array]:
            there = people if number is None else np.maximum(self.random.binomial(people, 0.8), 1)
            here = own if number is None else np.maximum(self.random.binomial(own, 0.8), 1)
            rows = [(k, f"other_{n:04d}", o, t) for n, (k, o, t) in enumerate(zip(kind, here, there, strict=True))]
            rows += [(k, "any", here[kind == k].sum() - 1, there[kind == k].sum()) for k in kinds]
            rows += [("any", "any", here.sum() - 9, there.sum())]
            columns = list(zip(*rows, strict=True))
            start = np.datetime64("2025-01-01") if number is None else np.datetime64(f"{2025 + number // 12}-{1 + number % 12:02}-01")
            return {
                "panel_kind": np.full(len(rows), "all" if number is None else "month"),
                "panel_start": np.full(len(rows), start),
                "external_kind": np.array(columns[0]),
                "external_organisation": np.array(columns[1]),
                "internal_person_count": np.array(columns[2]),
                "external_person_count": np.array(columns[3]),
                "tie_count": np.array(columns[3]),
            }

        return self.panels(month)


def published(people: int, path: Path, seed: int = 1) -> dict[str, int]:
    """Write the published file of an organisation of so many people; returns the rows of the tables that were replaced."""
    shutil.copy(published_organisation(), path)
    path.chmod(0o600)
    made = Organisation(people, seed)
    tables = {
        "team_pair_panel": made.panels(made.pair_rows),
        "team_pair_reliance": made.panels(made.reliance_rows),
        "team_week_outcome": made.weeks(),
        "knowledge_reach": made.reach(),
        "organisation_panel_tie": made.others(max(people // 40, 10)),
    }
    catalog = load_catalog()
    random = np.random.default_rng(seed)
    with duckdb.connect(str(path)) as connection:
        for name, columns in tables.items():
            spec = catalog[f"metrics.{name}"]
            rows = len(next(iter(columns.values())))
            others = {
                column.name: _plausible(UNIT_TYPES[column.unit], column.unit, rows, random)
                for column in spec.columns
                if column.name not in columns
            }
            filled = {column.name: (columns | others)[column.name] for column in spec.columns}
            rows_made = pa.table(filled)  # noqa: F841 - DuckDB finds it by its name
            connection.execute(f"delete from metrics.{name}")
            connection.execute(f"insert into metrics.{name} select * from rows_made")
            connection.execute("update metrics.catalog set row_count = $1 where table_name = $2", [rows, name])
    return {name: len(next(iter(columns.values()))) for name, columns in tables.items()}


def _plausible(kind: str, unit: str, rows: int, random: np.random.Generator) -> pa.Array:
    """Values of a column that nothing here depends on."""
    if kind == "bigint":
        return pa.array(random.integers(0, 200, rows))
    if kind == "double":
        return pa.array(random.random(rows) * (10 if unit in ("days", "hours", "weeks") else 1))
    if kind == "boolean":
        return pa.array(random.random(rows) < 0.1)
    return pa.nulls(rows, {"varchar": pa.string(), "date": pa.date32(), "timestamp": pa.timestamp("us")}.get(kind, pa.string()))


def measure(people: int, folder: Path) -> dict[str, Any]:
    """Seconds of each step, and what came of it."""
    path = folder / "analytics.duckdb"
    rows = published(people, path)
    seconds: dict[str, float] = {}
    processor: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start, used = time.perf_counter(), time.process_time()
        result = work()
        seconds[name] = round(time.perf_counter() - start, 2)
        processor[name] = round(time.process_time() - used, 2)
        return result

    allowed = timed("disclosure", lambda: release(path, DisclosurePolicy()))
    for language in ("en", "fr"):
        timed(f"report {language}", lambda language=language: render_release(allowed, language=language))
    first = timed("export", lambda: export(path, folder / "exports"))
    timed("export over the last", lambda: export(path, folder / "exports"))
    cells, done = allowed.controlled.audit
    return {
        "people": people,
        "rows": rows,
        "seconds": seconds,
        "processor_seconds": processor,
        "cells": len(cells.keys),
        "withheld_cells": int(done.withheld.sum()),
        "blank_cells": int(done.blank.sum()),
        "coarser_cells": int((done.base > DisclosurePolicy().rounding_base).sum()),
        "rounds": done.round_count,
        "withheld_rows": first.withheld_row_count,
        "megabytes": round(first.byte_count / 1e6, 1),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.people, Path(folder))
    text = json.dumps(found, indent=2)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    out = sys.stdout
    out.write(text + "\n\n")
    out.write(f"{'step':<24}{'seconds':>10}{'processor':>12}\n")
    for name, value in found["seconds"].items():
        out.write(f"{name:<24}{value:>10.2f}{found['processor_seconds'][name]:>12.2f}\n")
    whole = found["seconds"]["export over the last"]
    out.write(f"\n{options.people:,} people: report in two languages and exports in {whole:.1f} s; the goal is {GOAL_SECONDS} s.\n")


if __name__ == "__main__":
    main()
