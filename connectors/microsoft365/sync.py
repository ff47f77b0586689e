"""Reading Microsoft 365 up to a fixed moment: the directory, then mail, calls, calendars, chats and channels, side by side.

Each stream goes on from its own cursors, mailbox by mailbox; what could not be read becomes coverage. Streams have limits of their own
at Graph, so they do not wait for each other, but in one place: calls before calendars, since call records say who attended an
online meeting.

A run that is interrupted is gone on with by the next, up to the interrupted one's own moment: what it read whole is not asked for again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.automatic import Automatic
from connectors.microsoft365 import calendar_stream, calls_stream, directory, teams_stream
from connectors.microsoft365.client import Graph
from connectors.microsoft365.mail_stream import read_mail
from connectors.microsoft365.people import People
from connectors.microsoft365.pump import side_by_side
from connectors.microsoft365.run import Run
from connectors.microsoft365.settings import SOURCE, Microsoft365Settings
from connectors.microsoft365.times import graph_time
from connectors.microsoft365.windows import parse_cursor
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.state import State

_NIGHT: Final = "run:until"
_GOES_ON_WITHIN: Final = timedelta(hours=12)


async def fetch(
    settings: Microsoft365Settings,
    pseudonyms: Pseudonymiser,
    since: datetime | None,
    until: datetime | None,
    state: State,
) -> AsyncGenerator[Batch, None]:
    """Read everything that settings switch on, and yield it as batches that are each true once stored.

    Args:
        settings: How to sign in and what to read.
        pseudonyms: The organisation's pseudonyms.
        since: Read from here on; by default from where the last run ended, or as far back as settings say.
        until: Read nothing newer; by default now. Fixed for the whole run. Where a run up to an earlier moment of the last hours was
            interrupted, it is that moment: the run after reads on from there.
        state: Cursors of earlier runs.

    Raises:
        UserError: If the sign-in is refused, or the directory may not be read.
        GraphError: If the directory cannot be read although it may be.
    """
    bound = (until if until is not None else datetime.now(UTC)).astimezone(UTC)
    begin = since.astimezone(UTC) if since is not None else None
    unfinished = None if begin is not None else _unfinished(state, bound)
    bound = unfinished or bound
    people = People(pseudonyms, settings.opted_out, automatic=Automatic(settings.automatic_senders), tenants=(settings.tenant_id,))
    async with Graph(settings) as graph:
        found: directory.Directory | None = None
        async with aclosing(directory.read(graph, people, state, bound.date())) as batches:
            async for batch, done in batches:
                found = done
                yield batch
        if found is None:
            return
        run = Run(settings, graph, people, found, state, begin, bound, is_resumed=unfinished is not None)
        if begin is None:
            yield Batch(SOURCE, directory.STREAM, cursors={_NIGHT: graph_time(bound)})
        async with aclosing(side_by_side(_streams(run))) as batches_of_all:
            async for batch in batches_of_all:
                yield batch
        if begin is None:
            yield Batch(SOURCE, directory.STREAM, cursors={_NIGHT: ""})


def _unfinished(state: State, bound: datetime) -> datetime | None:
    """Return up to which moment a run was to read that was interrupted a short while ago, or None."""
    moment = parse_cursor(state.cursor(_NIGHT))
    return moment if moment is not None and timedelta(0) <= bound - moment <= _GOES_ON_WITHIN else None


def _streams(run: Run) -> list[AsyncGenerator[Batch, None]]:
    settings = run.settings
    streams = []
    if settings.mail:
        streams.append(read_mail(run))
    if settings.calls or settings.attendance_reports or settings.calendar:
        streams.append(_meetings_and_calls(run))
    if settings.chats:
        streams.append(teams_stream.read_chats(run))
    if settings.channels:
        streams.append(teams_stream.read_channels(run))
    return streams


async def _meetings_and_calls(run: Run) -> AsyncGenerator[Batch, None]:
    """Read call records, then calendars, then settle which calls are meetings."""
    settings = run.settings
    calls = calls_stream.Calls(run) if settings.calls or settings.attendance_reports else None
    joins: dict[int, set[tuple[int, int]]] = {}
    streams = []
    if calls is not None and settings.calls:
        streams.append(calls.read())
    if settings.calendar:
        streams.append(calendar_stream.read(run, calls.attendance if calls is not None else None, joins))
    if calls is not None:
        streams.append(calls.finish(joins))
    for stream in streams:
        async with aclosing(stream) as batches:
            async for batch in batches:
                yield batch
