"""What several commands share: options, arguments, and the home that they work on."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from connectors.errors import UserError
from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.settings import Settings


STATE: Final[dict[str, Any]] = {"home": None, "quiet": False, "command": None, "found": None}
"""What was given before the command's name, which command runs, and on which home."""


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
ForceOption = Annotated[bool, typer.Option("--force", help="Publish even if most of the published history is missing from the new file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

FormatOption = Annotated[
    str | None,
    typer.Option(
        help="Read an export as it is: message-trace, google-calendar, google-chat, zoom, viva-p2p or orgnet. By default the header tells."
    ),
]
TimeZoneOption = Annotated[str | None, typer.Option(help="Time zone (IANA name) of times that name none.")]
DateOrderOption = Annotated[str | None, typer.Option(help="day-first or month-first, for dates such as 3/4/2026.")]
EncodingOption = Annotated[str | None, typer.Option(help="Encoding of a CSV file that is not UTF-8 and does not say so, such as cp1252.")]
MediumOption = Annotated[str | None, typer.Option(help="The medium of rows that name none.")]


def in_utc(moment: datetime | None) -> datetime | None:
    """Return a day given as an option as an instant in UTC."""
    return moment.replace(tzinfo=UTC) if moment else None


def as_day(moment: datetime | None) -> date | None:
    """Return a day given as an option as a date."""
    return moment.date() if moment else None


def be_sure(yes: bool, command: str, question: str) -> None:
    """Ask before what has no way back.

    Raises:
        UserError: If the answer is no, or nobody is there to give one.
    """
    if not yes and not (sys.stdin.isatty() and typer.confirm(question)):
        raise UserError(f"{command}: nothing was done; give --yes to confirm")


def read_address(given: str) -> str:
    """Return the address given as an argument, or on standard input for `-`."""
    return sys.stdin.readline().strip() if given == "-" else given


def find_home(given: Path | None) -> Home:
    """Return the home that the command, or `perdure` before it, was given."""
    found = Home.find(given or STATE["home"])
    STATE["found"] = found
    return found


def is_quiet(given: bool) -> bool:
    """Return whether the command, or `perdure` before it, was told to show no progress."""
    return given or bool(STATE["quiet"])


def opened_home(given: Path | None) -> tuple[Home, Settings]:
    """Return the home, which must exist, and its settings."""
    from pipelines.settings import load_settings  # takes a second: it knows every connector's settings

    home = find_home(given).require()
    return home, load_settings(home.settings_file)


def prepared_home(given: Path | None) -> tuple[Home, Settings]:
    """Return the home, made with key and settings on first use."""
    from pipelines.initialise import initialise
    from pipelines.settings import load_settings

    home = find_home(given)
    if not home.settings_file.exists():
        for line in initialise(home):
            typer.echo(line, err=True)
    return home, load_settings(home.settings_file)
