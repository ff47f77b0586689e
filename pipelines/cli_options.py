"""Options and arguments that several commands share."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.errors import UserError


class Service(StrEnum):
    """The services that can be read."""

    slack = "slack"
    microsoft365 = "microsoft365"


class Engine(StrEnum):
    """What can compute the tables."""

    duckdb = "duckdb"
    spark = "spark"


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of the warehouse, key, settings and exports. [env: PERDURE_HOME]", show_default="perdure-home"),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DayOption = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The last day that figures speak of.")]

SourceArgument = Annotated[Service | None, typer.Argument(help="Only this one; by default all that are configured.")]
SinceOption = Annotated[datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="Read nothing older (UTC).")]
UntilOption = Annotated[datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="Read nothing newer (UTC); by default now.")]
AddressArgument = Annotated[
    str, typer.Argument(help="An e-mail address, or a person_id; - reads it from standard input, so that it stands in no shell history.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def utc(moment: datetime | None) -> datetime | None:
    """Return a day of an option as its first moment in UTC."""
    return moment.replace(tzinfo=UTC) if moment else None


def day(moment: datetime | None) -> date | None:
    """Return a day of an option as a date."""
    return moment.date() if moment else None


def be_sure(yes: bool, command: str, question: str) -> None:
    """Ask before what has no way back.

    Raises:
        UserError: If the answer is no, or nobody is there to give one.
    """
    if not yes and not (sys.stdin.isatty() and typer.confirm(question)):
        raise UserError(f"{command}: nothing was done; give --yes to confirm")


def address_of(given: str) -> str:
    """Return an address as it was given, or the first line of standard input for `-`."""
    return sys.stdin.readline().strip() if given == "-" else given
