"""Reading Microsoft 365 up to a fixed moment: the directory, then mail, calls, calendars, chats and channels.

Each stream goes on from its own cursors, mailbox by mailbox; what could not be read becomes coverage. The order matters
in one place: calls before calendars, since call records say who attended an online meeting.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from connectors.automatic import Automatic
from connectors.microsoft365 import calendar_stream, calls_stream, directory, teams_stream
from connectors.microsoft365.client import Graph
from connectors.microsoft365.mail_stream import read_mail
from connectors.microsoft365.people import People
from connectors.microsoft365.run import Run
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.state import State


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
        until: Read nothing newer; by default now. Fixed for the whole run.
        state: Cursors of earlier runs.

    Raises:
        UserError: If the sign-in is refused, or the directory may not be read.
        GraphError: If the directory cannot be read although it may be.
    """
    bound = (until if until is not None else datetime.now(UTC)).astimezone(UTC)
    begin = since.astimezone(UTC) if since is not None else None
    people = People(pseudonyms, settings.opted_out, automatic=Automatic(settings.automatic_senders), tenants=(settings.tenant_id,))
    async with Graph(settings) as graph:
        found: directory.Directory | None = None
        async with aclosing(directory.read(graph, people, state, bound.date())) as batches:
            async for batch, done in batches:
                found = done
                yield batch
        if found is None:
            return
        run = Run(settings, graph, people, found, state, begin, bound)
        for stream in _streams(run):
            async with aclosing(stream) as parts:
                async for batch in parts:
                    yield batch


def _streams(run: Run) -> list[Any]:
    settings = run.settings
    calls = calls_stream.Calls(run) if settings.calls or settings.attendance_reports else None
    joins: dict[int, set[tuple[int, int]]] = {}
    streams: list[Any] = []
    if settings.mail:
        streams.append(read_mail(run))
    if calls is not None and settings.calls:
        streams.append(calls.read())
    if settings.calendar:
        streams.append(calendar_stream.read(run, calls.attendance if calls is not None else None, joins))
    if calls is not None:
        streams.append(calls.finish(joins))
    if settings.chats:
        streams.append(teams_stream.read_chats(run))
    if settings.channels:
        streams.append(teams_stream.read_channels(run))
    return streams
