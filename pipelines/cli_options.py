"""Options and arguments that several commands share."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
