"""The `perdure` command.

Exit codes: 0 done, 1 a bug, 2 something the user can mend, 3 done, but part of what was to be read could not be, or what is past
its time was not deleted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.errors import UserError
from pipelines.audit import record
from pipelines.cli_looking import dictionary, doctor, sql
from pipelines.cli_options import STATE as _global
from pipelines.cli_options import (
    AddressArgument,
    DateOrderOption,
    DayOption,
    EncodingOption,
    Engine,
    ForceOption,
    FormatOption,
    HomeOption,
    JsonOption,
    MediumOption,
    QuietOption,
    SinceOption,
    SourceArgument,
    TimeZoneOption,
    UntilOption,
    YesOption,
    as_day,
    be_sure,
    find_home,
    in_utc,
    is_quiet,
    opened_home,
    prepared_home,
    read_address,
)
from pipelines.cli_telling import tell, tell_failed, warn
from pipelines.exit_codes import DONE_WITH_GAPS, exit_code
from pipelines.home import Home
from pipelines.prefect_environment import run_nightly
from pipelines.progress import reporting

app = typer.Typer(
    name="perdure",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Measures how well an organisation's communication media support relationships that last.",
    epilog="Example: perdure demo",
)
importing = typer.Typer(
    no_args_is_help=True, help="Import a file of interactions.", epilog="Example: perdure import slack-export export.zip"
)
app.add_typer(importing, name="import")


@app.callback()
def _options(context: typer.Context, home: HomeOption = None, quiet: QuietOption = False) -> None:
    _global.update(home=home, quiet=quiet, command=context.invoked_subcommand)


@app.command(epilog="Example: perdure init --home /srv/perdure")
def init(home: HomeOption = None) -> None:
    """Make the home: folder, pseudonym key and a settings file with every setting explained."""
    from pipelines.initialise import initialise

    for line in initialise(find_home(home)):
        typer.echo(line)


@importing.command("slack-export", epilog="Example: perdure import slack-export acme-2026.zip")
def import_slack_export(
    path: Annotated[Path, typer.Argument(help="The export, as ZIP or folder.")],
    team_id: Annotated[str | None, typer.Option(help="The own workspace's id (T...; of an Enterprise organisation E...).")] = None,
    own_domain: Annotated[list[str] | None, typer.Option(help="A domain of the own organisation; may be given often.")] = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Import a Slack export (ZIP or folder). Importing it again changes nothing."""
    from pipelines import sync

    opened = prepared_home(home)
    with reporting(quiet=is_quiet(quiet)):
        report = sync.import_slack_export(*opened, path, team_id=team_id, own_domains=own_domain or ())
    tell(report)


@importing.command("events", epilog="Example: perdure import events mail.parquet --people people.csv")
def import_events(
    path: Annotated[
        Path,
        typer.Argument(
            help="Parquet or CSV: at, sender, recipient or recipients; optional interaction_id, medium, evidence, minutes. "
            "Or an export of another tool (see --format)."
        ),
    ],
    people: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: person, team, organisation; optional manager, office, valid_from, valid_to.")
    ] = None,
    source: Annotated[str, typer.Option(help="The name under which these events are kept; give each tool its own.")] = "events",
    format: FormatOption = None,
    time_zone: TimeZoneOption = None,
    date_order: DateOrderOption = None,
    encoding: EncodingOption = None,
    medium: MediumOption = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Import interactions from any other tool. Importing them again changes nothing."""
    from connectors.events_file import Options
    from pipelines import sync

    opened = prepared_home(home)
    options = Options(format, time_zone, None, date_order, encoding, medium)
    with reporting(quiet=is_quiet(quiet)):
        report = sync.import_events(*opened, path, people=people, source=source, options=options)
    tell(report)


@app.command(epilog="Example: perdure check")
def check(source: SourceArgument = None, home: HomeOption = None) -> None:
    """Sign in, prove each scope with one cheap call, and say what a missing one costs and how to grant it."""
    from pipelines import sync
    from pipelines.tables import print_checks

    settings = opened_home(home)[1]
    sources = [source.value] if source else sync.configured_sources(settings)
    if not sources:
        raise UserError("check: no service is configured; add a [slack] or [microsoft365] section to perdure.toml")
    checked, failed = sync.each_source(sources, lambda name: sync.check_source(settings, name))
    found = [row for rows in checked for row in rows]
    print_checks(found)
    tell_failed(failed)
    if failed or not all(row.works for row in found):
        raise typer.Exit(DONE_WITH_GAPS)


@app.command("sync", epilog="Example: perdure sync slack --since 2026-01-01")
def sync_services(
    source: SourceArgument = None, since: SinceOption = None, until: UntilOption = None, home: HomeOption = None, quiet: QuietOption = False
) -> None:
    """Read the configured services, going on where the last run ended. Interrupted anywhere, it goes on when run again."""
    from pipelines import sync

    opened = opened_home(home)
    sources = [source.value] if source else sync.configured_sources(opened[1])
    if not sources:
        raise UserError("sync: no service is configured; add a [slack] or [microsoft365] section to perdure.toml")
    with reporting(quiet=is_quiet(quiet)):
        reports, failed = sync.each_source(sources, lambda name: sync.sync_source(*opened, name, since=in_utc(since), until=in_utc(until)))
    for report in reports:
        tell(report, exits=False)
    tell_failed(failed)
    if lost := "; ".join(f"{report.source}: {report.lost}" for report in reports if report.lost):
        typer.echo(
            f"Not read at all: {lost}. `perdure check` says what is missing; what is not wanted can be switched off in perdure.toml."
        )
    if failed or any(report.has_gaps for report in reports):
        raise typer.Exit(DONE_WITH_GAPS)


@app.command(epilog="Example: perdure backfill slack --since 2025-01-01 --until 2026-01-01")
def backfill(
    since: Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%d"], help="The first day to read (UTC).")],
    source: SourceArgument = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The first day no longer to read (UTC); by default today.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Days a window; between windows a waiting night may run.")] = 30,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Read the past in windows, the newest first, without disturbing the nights. Interrupted anywhere, it goes on when run again."""
    from pipelines.backfill import backfill as run_backfill
    from pipelines.sync import configured_sources, each_source, patience

    opened = opened_home(home)
    sources = [source.value] if source else configured_sources(opened[1])
    if not sources:
        raise UserError("backfill: no service is configured; add a [slack] or [microsoft365] section to perdure.toml")
    start = since.replace(tzinfo=UTC)
    with reporting(quiet=is_quiet(quiet)), patience(60 * opened[1].nightly.wait_minutes):
        results, failed = each_source(sources, lambda name: run_backfill(*opened, name, start, in_utc(until), days=days))
    for done in results:
        read, changed = (sum(getattr(part, name) for part in done.reports) for name in ("interaction_count", "changed_count"))
        typer.echo(
            f"{done.source}: {len(done.reports)} of {done.windows} windows read ({done.done_before} were done before); "
            f"{read:,} interactions, {changed:,} new or changed. `perdure build` counts them in."
        )
    tell_failed(failed)
    if failed or any(done.with_gaps for done in results):
        typer.echo("Part of it could not be read; run it again to read those windows anew.", err=True)
        raise typer.Exit(DONE_WITH_GAPS)


@app.command(epilog="Example: perdure build --as-of 2026-09-30")
def build(
    as_of: DayOption = None,
    engine: Annotated[Engine | None, typer.Option(help="Where the heavy path runs; by default as settings say.")] = None,
    master: Annotated[str | None, typer.Option(help="Spark's master: local[4], yarn, k8s://...; by default as settings say.")] = None,
    conf: Annotated[list[str] | None, typer.Option(help="A setting of Spark, as name=value; may be given often.")] = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Bring core tables and metrics up to date with what is stored; each table's own checks included."""
    from pipelines import night
    from pipelines.engines import chosen

    opened = opened_home(home)
    settings = chosen(opened[1], engine, master, conf)
    with reporting(quiet=is_quiet(quiet)):
        report = night.build_stage(opened[0], settings, as_of=as_day(as_of))
    if report.is_unchanged:
        typer.echo(f"Nothing changed; figures are as of {report.as_of}.")
    else:
        typer.echo(
            f"Built {len(report.tables)} tables as of {report.as_of}: "
            f"{report.touched_day_count} days and {report.touched_panel_count} panels computed."
        )
    warn(report.breaks)


@app.command(epilog="Example: perdure publish")
def publish(force: ForceOption = False, home: HomeOption = None, quiet: QuietOption = False) -> None:
    """Replace the analysts' file (analytics.duckdb) at once; whoever reads the old one is not disturbed.

    Stops (exit code 2) where less than half of the published interactions are in the new file: the private file was moved, say.
    """
    from pipelines import night

    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        done = night.publish_stage(*opened, force=force)
    typer.echo(f"Published {done.table_count} tables, {done.byte_count / 1e6:.1f} MB: {done.path}")


exporting = typer.Typer(invoke_without_command=True, epilog="Example: perdure export --output /srv/share/perdure")
app.add_typer(exporting, name="export")


@exporting.callback()
def export(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option(help="Where to write; by default `exports` in the home.")] = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write leadership's export from the published file: Parquet, CSV and XLSX, through disclosure control."""
    if context.invoked_subcommand is not None:
        _global.update(home=home or _global["home"], quiet=is_quiet(quiet), command=f"export {context.invoked_subcommand}")
        return
    from pipelines import night

    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        done = night.export_stage(*opened, output=output)
    typer.echo(f"Exported {done.table_count} tables ({done.suppressed_cell_count} cells withheld): {done.folder}")


@exporting.command("facts", epilog="Example: perdure export facts --output /srv/lake/perdure-facts")
def export_facts(
    output: Annotated[Path | None, typer.Option(help="The folder, replaced as a whole; by default `facts` in the home.")] = None,
    home: HomeOption = None,
) -> None:
    """Write what figures are made of, person-level and pseudonymous, as Parquet by month for Spark, DuckDB, polars. Not for leadership."""
    from pipelines import facts

    done = facts.export_facts(find_home(home).require(), output)
    typer.echo(f"Wrote {len(done.rows)} tables, {sum(done.rows.values()):,} rows, {done.byte_count / 1e6:.1f} MB: {done.folder}")
    if not done.has_messages:
        typer.echo("interaction and contact were left out: settings say publish.messages = false.")
    typer.echo("Person-level: it may lie only where the private warehouse may; its README.md says who may read it.", err=True)


@app.command(epilog="Example: perdure report --lang fr --pdf")
def report(
    lang: Annotated[str, typer.Option(help="Language: en or fr.")] = "en",
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a PDF too, by headless Chromium where it is installed.")] = False,
    output: Annotated[Path | None, typer.Option(help="The file to write; by default report.<language>.html in the home.")] = None,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write leadership's report: one self-contained page, through disclosure control. Every export holds it too."""
    from pipelines import night

    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        written = night.report_stage(*opened, language=lang, output=output, as_pdf=pdf)
    typer.echo(f"Report: {written}")


@app.command(epilog="Example: perdure nightly --no-export")
def nightly(
    export: Annotated[
        bool | None, typer.Option("--export/--no-export", help="Whether to end with an export; by default as settings say.")
    ] = None,
    force: ForceOption = False,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Do what a night does, as the Prefect flow, without a server: sync, retention, build, check, publish, export.

    Where retention would delete under a doubtful clock, or far more than a night does, it deletes nothing, says so, and the night goes
    on and ends with exit code 3.
    """
    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        summary = run_nightly(opened[0], export, force)
    typer.echo(f"Done; figures are as of {summary['build']['as_of']}. Analysts' file: {opened[0].published}")
    warn(summary["build"]["breaks"])
    tell_failed(summary["failed"])
    warn([summary["retention"]["refused"]] if summary["retention"]["refused"] else [])
    if summary["has_gaps"]:
        typer.echo("Part of what was to be read could not be; `perdure status` says what.", err=True)
    if summary["has_gaps"] or summary["retention"]["refused"]:
        raise typer.Exit(DONE_WITH_GAPS)


@app.command(epilog="Example: perdure retention --yes")
def retention(
    yes: Annotated[bool, typer.Option("--yes", help="Delete even if that is far more than a night would delete.")] = False,
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="Believe this machine's clock although nothing that was read is as late as it says.")
    ] = False,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Delete single interactions past privacy.retention_days, from the private and the published file, as every night does.

    Whole months go; weekly and monthly panels stay. Nothing is deleted (exit code 2) where the machine's clock is more than a month
    later than anything that sources said, or where more would go than a month's part and privacy.retention_margin. There is no way back.
    """
    from pipelines import night

    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        done = night.retain_everywhere(*opened, yes=yes, trust_clock=trust_clock)
    count = done.deleted["raw.interaction"]
    days = opened[1].privacy.retention_days
    if any(done.deleted.values()):
        where = " and the published" if done.is_published else ""
        typer.echo(f"Deleted {count:,} interactions of before {done.first} from the private{where} file (privacy.retention_days: {days}).")
    else:
        typer.echo(f"Nothing is from before {done.first} (privacy.retention_days: {days}).")


@app.command(epilog="Example: perdure serve --port 4200")
def serve(
    port: Annotated[
        int, typer.Option(min=1024, max=65535, help="Loopback port of Prefect's server, unless PREFECT_API_URL names one.")
    ] = 4200,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run every schedule (nightly, weekly export, monthly retention) from one process, for small installations."""
    from pipelines.serve import run as run_schedules

    opened = opened_home(home)
    with reporting(quiet=is_quiet(quiet)):
        run_schedules(*opened, port)


@app.command(epilog="Example: perdure status --json")
def status(json: JsonOption = False, home: HomeOption = None) -> None:
    """Account for everything that was read: counted, excluded by reason, quarantined by reason; coverage, gaps, last runs.

    While another command writes, it answers with what was so when the last one ended, and says so.
    """
    from pipelines import night
    from pipelines.tables import print_status

    found = night.status(*opened_home(home))
    if json:
        typer.echo(found.as_json())
    else:
        print_status(found)


@app.command(epilog="Example: perdure about ann@example.org")
def about(address: AddressArgument, home: HomeOption = None) -> None:
    """Print, as JSON, what is held of a person: accounts, teams, counts by medium and month. Nobody else is named.

    While another command writes, it answers from the published file, and says so under `from`.
    """
    import json

    from pipelines import privacy

    typer.echo(json.dumps(privacy.about(*opened_home(home), read_address(address)), default=str, indent=2))


@app.command(epilog="Example: perdure forget ann@example.org --yes")
def forget(
    address: AddressArgument, yes: YesOption = False, json: JsonOption = False, home: HomeOption = None, quiet: QuietOption = False
) -> None:
    """Erase a person from everything that is stored and published, and keep them out of every later sync. There is no way back."""
    from pipelines import privacy
    from pipelines.tables import print_forgotten

    opened, asked = opened_home(home), read_address(address)
    be_sure(yes, "forget", "Erase this person from everything? There is no way back.")
    with reporting(quiet=is_quiet(quiet)):
        done = privacy.forget(*opened, asked)
    print_forgotten(done, as_json=json)


@app.command("rotate-key", epilog="Example: perdure rotate-key --yes")
def rotate_key(yes: YesOption = False, json: JsonOption = False, home: HomeOption = None, quiet: QuietOption = False) -> None:
    """Add a new key to the chain, re-key everything that is stored in one transaction, and publish it. Killed anywhere, run it again."""
    from pipelines.rotate import rotate
    from pipelines.tables import print_rotated

    opened = opened_home(home)
    be_sure(yes, "rotate-key", "Give every person and message another pseudonym? There is no way back.")
    with reporting(quiet=is_quiet(quiet)):
        done = rotate(*opened)
    print_rotated(done, as_json=json)


@app.command(epilog="Example: perdure demo --people 100 --days 180")
def demo(
    people: Annotated[int, typer.Option(min=10, max=20_000, help="How many people the made-up organisation has.")] = 200,
    days: Annotated[int, typer.Option(min=30, max=2_000, help="Over how many days.")] = 365,
    seed: Annotated[int, typer.Option(help="Seed of everything random in it.")] = 1,
    home: HomeOption = None,
    quiet: QuietOption = False,
) -> None:
    """Make up an organisation, collect from it as from a real one, and show the whole way to tables, metrics and export."""
    from pipelines.demo import run_demo

    place = find_home(home)
    with reporting(quiet=is_quiet(quiet)):
        lines = run_demo(place, people=people, days=days, seed=seed, nightly=lambda: run_nightly(place, True))
    for line in lines:
        typer.echo(line)


app.command(epilog="Example: perdure doctor")(doctor)
app.command(epilog='Example: perdure sql "select table_name, question from metrics.catalog"')(sql)
app.command(epilog="Example: perdure dictionary > dictionary.md")(dictionary)


def run(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code: a user's error becomes one line, anything else a traceback without values."""
    # everything perdure writes is for its owner alone
    os.umask(0o077)
    _global.update(command=None, found=None)
    began = datetime.now(UTC)
    code = exit_code(command)
    if isinstance(_global["found"], Home):
        record(_global["found"], _global["command"], began, code)
    return code


def main() -> None:
    """The console script."""
    sys.exit(run(lambda: app(standalone_mode=True)))


if __name__ == "__main__":
    main()
