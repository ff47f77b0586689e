"""What commands say of what was read and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from pipelines.exit_codes import DONE_WITH_GAPS

_SAID: Final = {
    "own_workspace_unknown": "which workspace is the own one cannot be told, and nobody is taken for a colleague by guess: "
    "import it again with --team-id or --own-domain",
    "no_addresses": "who was forgotten is known again only where the account was stored: it shows no addresses",
    "members_unknown": "in that many direct messages it does not show who reads them",
}
"""What a reason means, where it has to be said in words."""


def warn(breaks: list[str]) -> None:
    """Say each sentence as a warning."""
    for line in breaks:
        typer.echo(f"Warning: {line.rstrip('.')}.", err=True)


def tell_failed(failed: Mapping[str, str]) -> None:
    """Say which sources were not read, and why."""
    for name, reason in failed.items():
        typer.echo(f"{name} was not read: {reason}", err=True)


def tell(report: Any, *, exits: bool = True) -> None:
    """Say what was read and what was not, and end with the exit code for gaps where there are some."""
    typer.echo(f"{report.source}: {report.interaction_count:,} interactions read, {report.changed_count:,} new or changed.")
    for label, counts in (("quarantined", report.quarantined), ("not observed", report.missing)):
        for reason, count in sorted(counts.items()):
            typer.echo(f"  {label}: {count:,} ({reason})", err=True)
            if reason in _SAID:
                typer.echo(f"    {_SAID[reason]}", err=True)
    for note in report.notes:
        typer.echo(f"  {note}", err=True)
    if exits and report.has_gaps:
        raise typer.Exit(DONE_WITH_GAPS)
