"""Tables on a terminal and in files."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from connectors.checks import ScopeCheck
from connectors.errors import UserError
from pipelines.doctor import Finding
from pipelines.privacy import Forgotten, Surroundings
from pipelines.rotate import Rotated
from pipelines.status import Status

_ROWS_SHOWN = 200
_NAMES_SHOWN = 12


def print_table(table: pa.Table, *, title: str | None = None) -> None:
    """Print a table: at most 200 rows, numbers to the right, nulls empty."""
    console = Console()
    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for field in table.schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        shown.add_column(field.name, justify="right" if numeric else "left", overflow="fold")
    for row in table.slice(0, _ROWS_SHOWN).to_pylist():
        shown.add_row(*(_text(value) for value in row.values()))
    console.print(shown, markup=False)
    if table.num_rows > _ROWS_SHOWN:
        console.print(f"... {table.num_rows - _ROWS_SHOWN:,} more rows; --output writes them all", highlight=False)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as CSV or Parquet, by the file's ending.

    Raises:
        UserError: If the ending is neither.
    """
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        flat = [column.cast(pa.string()) if not pa.types.is_nested(column.type) else _joined(column) for column in table.columns]
        pcsv.write_csv(pa.table(dict(zip(table.column_names, flat, strict=True))), path)
    else:
        raise UserError("--output: name a .csv or a .parquet file")


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else "; ".join(str(part) for part in value) for value in column.to_pylist()], pa.string())


def print_checks(checks: list[ScopeCheck]) -> None:
    """Print what a check of credentials found: what works, and of the rest what it costs and how to grant it."""
    console = Console()
    table = Table(show_edge=False, pad_edge=False)
    for name in ("source", "scope", "works", "without it", "how to grant it"):
        table.add_column(name, overflow="fold")
    for row in checks:
        table.add_row(row.source, row.scope, "yes" if row.works else "no", "" if row.works else row.costs, "" if row.works else row.grant)
    console.print(table, highlight=False, markup=False)


def print_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Print what `perdure doctor` found."""
    if as_json:
        sys.stdout.write(json.dumps([found.as_dict() for found in findings], indent=2) + "\n")
        return
    table = Table(show_edge=False, pad_edge=False)
    for name in ("what", "", "found", "what to do"):
        table.add_column(name, overflow="fold")
    for found in findings:
        table.add_row(found.name, found.verdict, found.detail, found.fix)
    Console().print(table, highlight=False, markup=False)


def print_forgotten(done: Forgotten, *, as_json: bool) -> None:
    """Print what erasing a person did."""
    if as_json:
        sys.stdout.write(json.dumps(done.as_dict(), indent=2) + "\n")
        return
    console = Console()
    console.print(
        f"Erased {done.accounts} accounts; {done.rebuilt_days} days computed again. The person is kept out from now on.", highlight=False
    )
    for name, count in done.rows.items():
        console.print(f"  {name}: {count:,} rows removed or changed", highlight=False)
    console.print(f"No trace found in: {_listed(done.searched)}", highlight=False, markup=False)
    _print_surroundings(console, done)
    console.print("Backups and copies outside the home are yours to erase.", highlight=False)


def print_rotated(done: Rotated, *, as_json: bool) -> None:
    """Print what rotating the key did."""
    if as_json:
        sys.stdout.write(json.dumps(done.as_dict(), indent=2) + "\n")
        return
    console = Console()
    where = f"; the new key is in: {done.place}" if done.place else ""
    console.print(f"{sum(done.rows.values()):,} rows re-keyed; the chain has {done.key_count} keys{where}", highlight=False, markup=False)
    for each in done.to_do:
        console.print(f"To do: {each}", highlight=False, markup=False)
    _print_surroundings(console, done)
    console.print("Backups and copies outside the home are under the old key still. Keep a copy of the new key, apart from the data.")


def _print_surroundings(console: Console, done: Surroundings) -> None:
    for title, names in (
        ("Leftovers of killed runs removed", done.removed),
        ("Facts written anew, or removed", done.facts),
        ("Exports (they hold no pseudonym, and stay)", done.exports),
        ("Not written by perdure; look through them yourself", done.unmanaged),
    ):
        if names:
            console.print(f"{title}: {_listed(names)}", highlight=False, markup=False)


def _listed(names: list[str]) -> str:
    """Return names as one line that stays short; --json has them all."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f", and {more:,} more" if more > 0 else "")


def print_status(status: Status) -> None:
    """Print what `perdure status` found, for people."""
    console = Console()
    if status.writer:
        since = f"what follows was so at {status.told_at}" if status.told_at else "nothing was counted before it"
        console.print(f"{status.writer[0].upper()}{status.writer[1:]}; {since}.", highlight=False, markup=False)
        console.print()
    for account in status.sources:
        table = Table(
            title=f"{account.source}: {account.read_count:,} records read",
            title_justify="left",
            show_header=False,
            show_edge=False,
            pad_edge=False,
        )
        table.add_column()
        table.add_column(justify="right")
        table.add_row("interactions that may make contacts", f"{account.counted:,}")
        for reason, count in account.excluded.items():
            table.add_row(f"excluded: {reason}", f"{count:,}")
        for reason, count in account.quarantined.items():
            table.add_row(f"quarantined: {reason}", f"{count:,}")
        table.add_row("sum", f"{account.counted + sum(account.excluded.values()) + sum(account.quarantined.values()):,}")
        table.add_row("authors", f"{account.sender_count:,}")
        table.add_row("spaces (channels, chats, series)", f"{account.space_count:,}")
        console.print(table, highlight=False)
        console.print()
    _section(console, "Coverage as the sources state it", status.coverage)
    _section(console, "Coverage of the last four weeks, in days", status.days)
    _section(console, "Gaps: stretches on which nothing was collected", status.gaps)
    _section(console, "Accounts that the sources list", status.accounts)
    _section(console, "Threads: replies that their first messages state, and replies that are stored", status.threads)
    _section(console, "Last runs", status.runs)
    sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in status.sizes.items())
    console.print(f"Files: {sizes}", highlight=False)
    for line in status.breaks:
        console.print(f"Warning: {line}", highlight=False, markup=False)
    console.print(f"The next night ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC now):", highlight=False)
    for line in status.next_night:
        console.print(f"  {line}", highlight=False, markup=False)


def _section(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    console.print(table, highlight=False)
    console.print()
