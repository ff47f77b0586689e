"""From connectors into the warehouse: imports of files, and the nightly reading of services."""

from __future__ import annotations

import asyncio
import importlib
import os
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from connectors import events_file
from connectors.checks import ScopeCheck
from connectors.errors import UserError
from connectors.records import Batch
from pipelines.clock import CONFIRMED, refuse_wrong_clock
from pipelines.faults import explained
from pipelines.home import Home
from pipelines.keys import load_pseudonymiser, verify_key
from pipelines.progress import reporter
from pipelines.settings import Settings
from pipelines.status import keep_status
from pipelines.warehouse import Warehouse

SERVICES: Final = ("slack", "microsoft365")
"""The services that a night reads, each a settings section and a package of `connectors`, in this order."""


NOT_A_FAULT: Final = frozenset(
    {
        "not_in_export",
        "participants_incomplete",
        "own_conversations_only",
        "excluded_by_settings",
        "own_workspace_unknown",
        "no_addresses",
        "members_unknown",
    }
)
"""Reasons of coverage that say what a source, a token or the settings never show, rather than what could not be read this time."""


class SourceError(Exception):
    """Reading a source failed in a way that nobody foresaw: a bug, told by kind and place.

    Prefect keeps and logs the messages of exceptions, and that of an error raised while a record is parsed may quote the
    record. PERDURE_DEBUG=1 lets the error itself through.
    """


@dataclass(slots=True)
class SyncReport:
    """What was read and what of it was new.

    Attributes:
        source: The source's name.
        interaction_count: Messages, meetings and calls read.
        changed_count: How many of them were new or different.
        quarantined: Reason -> records that made no sense.
        missing: Reason -> units (mailboxes, channels) that could not be read.
        lost_streams: Stream that could not be read at all -> reason.
        by_stream: Stream -> messages, meetings and calls read in it.
        notes: What else is to be told.
    """

    source: str
    interaction_count: int = 0
    changed_count: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    lost_streams: dict[str, str] = field(default_factory=dict)
    by_stream: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def has_gaps(self) -> bool:
        """Whether something that was to be read could not be. What a file's layout never holds is no fault of the run."""
        return bool({*self.missing, *self.lost_streams.values()} - NOT_A_FAULT)

    @property
    def lost(self) -> str:
        """The streams that could not be read at all, in words; empty if there is none."""
        return ", ".join(f"{stream} ({reason})" for stream, reason in sorted(self.lost_streams.items()) if reason not in NOT_A_FAULT)

    def add(self, batch: Batch, interactions: int, changed: int) -> None:
        """Count a stored batch."""
        self.interaction_count += interactions
        self.changed_count += changed
        if "quarantine" in batch.records:
            self.quarantined.update(batch.records["quarantine"].column("reason").to_pylist())
        if "coverage" in batch.records:
            for row in batch.records["coverage"].select(["stream", "unit_key", "medium", "status", "reason"]).to_pylist():
                reason = row["reason"] or "unknown"
                if row["status"] == "observed":
                    continue
                if row["unit_key"] == 0 and row["status"] == "missing" and reason not in NOT_A_FAULT:
                    # Slack reads several media in one stream, and can lose one of them
                    is_medium = self.source == "slack" and row["medium"] is not None
                    self.lost_streams[row["medium"] if is_medium else row["stream"]] = reason
                elif row["unit_key"] != 0 or self.source == "slack":
                    self.missing[reason] += 1


def open_warehouse(home: Home, settings: Settings) -> Warehouse:
    """Open the home's warehouse for writing, under its lock; inside `patience`, wait for another run to end."""
    return Warehouse(
        home.warehouse,
        time_zone=settings.measure.time_zone,
        memory_limit=settings.warehouse.memory_limit,
        wait_seconds=_PATIENCE.get(),
    )


_PATIENCE: ContextVar[float] = ContextVar("patience", default=0.0)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Inside, whoever opens the warehouse waits up to so long while another run is writing."""
    token = _PATIENCE.set(seconds)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


def store_all(warehouse: Warehouse, batches: Iterable[Batch], report: SyncReport, *, any_time: bool = False) -> SyncReport:
    """Store batches as they come, each in its own transaction, and say how far it is."""
    for batch in batches:
        _store(warehouse, batch, report, any_time=any_time)
    return report


def _store(warehouse: Warehouse, batch: Batch, report: SyncReport, *, any_time: bool = False) -> None:
    stored = warehouse.store(batch, any_time=any_time)
    report.add(batch, stored.interaction_count, stored.changed_interaction_count)
    # what the stream itself brought: the source's other streams have lines of their own
    report.by_stream[batch.stream] += stored.interaction_count
    count = report.by_stream[batch.stream]
    detail = f"{count:,} interactions" if count else ""
    reporter().update(f"{report.source} {batch.stream}", batch.units_done, batch.units_total, detail, count)


def import_slack_export(
    home: Home, settings: Settings, path: Path, *, team_id: str | None = None, own_domains: Iterable[str] = ()
) -> SyncReport:
    """Import a Slack export, ZIP or folder. Importing it again changes nothing.

    Args:
        home: The home.
        settings: The settings; what `[slack]` says of the own workspace and the own domains holds here too.
        path: The export.
        team_id: The own workspace's id.
        own_domains: Further domains of the own organisation.

    Raises:
        UserError: If it is no Slack export, or one that would write outside its folder or unpack without bound.
    """
    from connectors.slack import export as slack_export

    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    chosen = settings.slack
    with open_warehouse(home, settings) as warehouse, warehouse.recorded("import slack-export") as counts:
        verify_key(warehouse, pseudonyms)
        _note_slack_keys(warehouse)
        batches = slack_export.read(
            path,
            pseudonyms,
            team_id=team_id or (chosen.team_id if chosen else None),
            own_domains=frozenset(own_domains) | (chosen.own_domains if chosen else frozenset()),
            opted_out=warehouse.tombstones.marks | (chosen.opted_out if chosen else frozenset()),
            state=warehouse.state("slack"),
        )
        report = store_all(warehouse, batches, SyncReport("slack"))
        counts.update(interactions=report.interaction_count, changed=report.changed_count, quarantined=report.quarantined)
        keep_status(warehouse, home, settings)
        return report


def _note_slack_keys(warehouse: Warehouse) -> None:
    """Note, before anything of Slack is read into a home, by which keys it knows Slack's accounts (`connectors.slack.state`)."""
    from connectors.slack.state import BY_WORKSPACE, KEYS

    keys = warehouse.memo("slack keys")
    if keys is None:
        is_old = warehouse.value("select exists (select 1 from raw.account where source = 'slack')")
        keys = BY_WORKSPACE if is_old else "everywhere"
        warehouse.remember("slack keys", keys)
    # told again each time: cursors may be taken away, so that everything is read anew
    warehouse.store(Batch("slack", "directory", cursors={KEYS: keys if keys == BY_WORKSPACE else ""}))


def import_events(
    home: Home,
    settings: Settings,
    path: Path,
    *,
    people: Path | None = None,
    source: str = "events",
    options: events_file.Options | None = None,
    now: datetime | None = None,
) -> SyncReport:
    """Import an events file and the people file beside it. Importing them again changes nothing.

    Args:
        home: The home.
        settings: The settings.
        path: The events file.
        people: The people file.
        source: The name under which the events are kept.
        options: What is said of the file where it does not say it itself.
        now: The moment after which a time cannot be; by default the clock's.

    Raises:
        UserError: If a file cannot be read for certain, or nothing of it can be used.
    """
    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    given = options or events_file.Options()
    if given.home_zone is None and "time_zone" in settings.measure.model_fields_set:
        given = replace(given, home_zone=settings.measure.time_zone)
    with open_warehouse(home, settings) as warehouse, warehouse.recorded("import events") as counts:
        verify_key(warehouse, pseudonyms)
        report = SyncReport(source)
        named: set[str] = set()
        read = events_file.read(path, pseudonyms, source=source, people=people, options=given, now=now, notes=report.notes)
        for batch in read:
            named |= events_file.organisations(batch)
            _store(warehouse, batch, report, any_time=True)
        report.notes += _undeclared(named, settings)
        counts.update(interactions=report.interaction_count, changed=report.changed_count, quarantined=report.quarantined)
        keep_status(warehouse, home, settings)
        return report


def _undeclared(named: set[str], settings: Settings) -> list[str]:
    """Return what to tell of organisations that a people file names and settings do not: their people stand under `unknown`."""
    declared = {"own", settings.organisation.name.casefold(), "unknown"}
    declared |= {name.casefold() for other in settings.organisations for name in (other.key, other.name)}
    return [
        f"the people file names the organisation {name}, which settings do not; its people count as of an unknown one, "
        f"until it is declared under [[organisations]] (or as [organisation] name, if it is the own one)"
        for name in sorted(named)
        if name.casefold() not in declared
    ]


def configured_sources(settings: Settings) -> list[str]:
    """Return the services that settings configure, in the order in which they are read."""
    return [name for name in SERVICES if getattr(settings, name) is not None]


Result = TypeVar("Result")


def each_source(sources: Iterable[str], work: Callable[[str], Result]) -> tuple[list[Result], dict[str, str]]:
    """Do something with each service, so that one that is down leaves the others done.

    Args:
        sources: The services' names.
        work: What to do.

    Returns:
        The results of those that could be done, and service -> reason of those that could not.

    Raises:
        Exception: That of the first service, if none could be done.
    """
    results: list[Result] = []
    failed: dict[str, str] = {}
    errors: list[Exception] = []
    for source in sources:
        try:
            results.append(work(source))
        except Exception as error:
            errors.append(error)
            failed[source] = str(error) if isinstance(error, UserError | SourceError) else explained(error) or type(error).__name__
    if errors and not results:
        raise errors[0]
    return results, failed


def sync_source(
    home: Home,
    settings: Settings,
    source: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    keep: Callable[[Batch], Batch] | None = None,
) -> SyncReport:
    """Read one configured service up to a fixed moment, going on from its cursors.

    Args:
        home: The home.
        settings: The settings, which configure the service.
        source: `slack` or `microsoft365`.
        since: Read nothing older; by default as far back as the service's settings say.
        until: Read nothing newer; by default now. Fixed for the whole run, or a busy service would never end.
        keep: What to keep of each batch; by default all of it.

    Raises:
        UserError: If the service is not configured, or refuses the credentials.
    """
    chosen = getattr(settings, source, None)
    if chosen is None:
        raise UserError(f"{source}: not configured; add a [{source}] section to perdure.toml")
    pseudonyms = load_pseudonymiser(home.key_file, secret_block=settings.privacy.key_block)
    theirs = refuse_wrong_clock(source, chosen.base_url) if until is None else None
    with open_warehouse(home, settings) as warehouse, warehouse.recorded(f"sync {source}") as counts:
        verify_key(warehouse, pseudonyms)
        if theirs is not None:
            warehouse.remember(CONFIRMED, theirs.isoformat())
        chosen = _without_the_forgotten(chosen, warehouse)
        if source == "slack":
            _note_slack_keys(warehouse)
        batches = _connector(source).fetch(chosen, pseudonyms, since, until or datetime.now(UTC), warehouse.state(source))
        report = asyncio.run(_store_stream(warehouse, batches, SyncReport(source), keep or _all))
        counts.update(
            interactions=report.interaction_count, changed=report.changed_count, quarantined=report.quarantined, missing=report.missing
        )
        keep_status(warehouse, home, settings)
        return report


def _without_the_forgotten(chosen: Any, warehouse: Warehouse) -> Any:
    """Return a service's settings with the tombstones of the forgotten among those who are left out."""
    given = chosen.opted_out
    return chosen.model_copy(update={"opted_out": type(given)([*given, *sorted(warehouse.tombstones.marks)])})


def check_source(settings: Settings, source: str) -> list[ScopeCheck]:
    """Prove a configured service's credentials and scopes, with one cheap call each.

    Raises:
        UserError: If the service is not configured, or refuses the credentials.
    """
    chosen = getattr(settings, source, None)
    if chosen is None:
        raise UserError(f"{source}: not configured; add a [{source}] section to perdure.toml")
    checks: list[ScopeCheck] = asyncio.run(_connector(source).check(chosen))
    return checks


def _connector(source: str) -> Any:
    """Return a connector's package; imported late, since the vendors' kits take seconds to load."""
    return importlib.import_module(f"connectors.{source}")


def _all(batch: Batch) -> Batch:
    return batch


async def _store_stream(
    warehouse: Warehouse, batches: AsyncIterator[Batch], report: SyncReport, keep: Callable[[Batch], Batch]
) -> SyncReport:
    async for batch in _guarded(report.source, batches):
        _store(warehouse, keep(batch), report)
    return report


async def _guarded(source: str, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    """Give a connector's batches; of an error that nobody foresaw only its kind and place get past this point."""
    unforeseen: Exception | None = None
    while unforeseen is None:
        try:
            batch = await anext(batches)
        except StopAsyncIteration:
            return
        except Exception as error:
            if isinstance(error, UserError) or explained(error) is not None or os.environ.get("PERDURE_DEBUG") == "1":
                raise
            unforeseen = SourceError(f"{source}: {type(error).__name__} at {_place(error)}")
        else:
            yield batch
    # outside the except block, so that the error which may quote content does not hang on this one
    raise unforeseen


def _place(error: Exception) -> str:
    """Return where an error was raised: the innermost lines of our own code, the innermost first."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "connectors" in Path(frame.filename).parts]
    return ", from ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[:-4:-1]) or "an unknown place"
