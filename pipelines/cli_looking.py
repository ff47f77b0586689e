"""Commands that only look: at the home, at the published file, and at what its tables mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_options import HomeOption, JsonOption, find_home
from pipelines.exit_codes import USER_ERROR


def sql(
    query: Annotated[str, typer.Argument(help="One statement, run read-only on the published file.")],
    output: Annotated[Path | None, typer.Option(help="Write the result to this .csv or .parquet file instead of printing it.")] = None,
    home: HomeOption = None,
) -> None:
    """Query the published file, read-only. No other file can be read or written by the statement."""
    from pipelines.query import run_query
    from pipelines.tables import print_table, write_table

    result = run_query(find_home(home).require().published, query)
    if output is None:
        print_table(result)
    else:
        write_table(result, output)
        typer.echo(f"{result.num_rows:,} rows: {output}")


def dictionary(settings: Annotated[bool, typer.Option("--settings", help="Print the table of settings instead.")] = False) -> None:
    """Print the data dictionary (every table, column, unit, caveat) as Markdown."""
    from pipelines.dictionary import data_dictionary, settings_table

    typer.echo(settings_table() if settings else data_dictionary(), nl=False)


def doctor(json: JsonOption = False, home: HomeOption = None) -> None:
    """Examine all that a night needs: versions, permissions, key, clock, disk, lock, schema, Prefect, published file; each with its fix."""
    from pipelines.doctor import examine
    from pipelines.tables import print_findings

    findings = examine(find_home(home))
    print_findings(findings, as_json=json)
    if any(found.verdict == "mend" for found in findings):
        raise typer.Exit(USER_ERROR)
