"""Reading Microsoft 365 up to a fixed moment: the directory, then mail, calls, calendars, chats and channels, side by side.

Each stream goes on from its own cursors, mailbox by mailbox; what could not be read becomes coverage. Streams have limits of their own
at Graph, so they do not wait for each other, but in one place: calls before calendars, since call records say who attended an
online meeting.

A run that is interrupted is gone on with by the next, up to the interrupted one's own moment: what it read whole is not asked for again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.columns import Interactions
from connectors.microsoft365 import calendar_stream, calls_stream, directory, teams_stream
from connectors.microsoft365.client import Graph, GraphError
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.mail import SELECT, STREAM, MailParser
from connectors.microsoft365.people import Member, People
from connectors.microsoft365.pump import Batcher, Emit, Part, each, side_by_side
from connectors.microsoft365.run import ROWS_A_PART, Run
from connectors.microsoft365.settings import SOURCE, Microsoft365Settings
from connectors.microsoft365.times import graph_time
from connectors.microsoft365.windows import Coverage, parse_cursor
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
    people = People(pseudonyms, settings.opted_out)
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


@dataclass(slots=True)
class _MailReader:
    run: Run
    parser: MailParser
    coverage: Coverage

    async def read(self, member: Member, emit: Emit) -> None:
        """Read a mailbox's Sent Items, and what came from outside."""
        run, windows = self.run, self.coverage.windows
        start = windows.start(member.key)
        if start >= run.until:
            await emit(Part(units=1))
            return
        messages = run.graph.client.users.by_user_id(member.user_id).mail_folders
        sources: list[tuple[Any, str, bool]] = [(messages.by_mail_folder_id("sentitems").messages, "sentDateTime", True)]
        if run.settings.external_mail == "inbox":
            sources.append((messages.by_mail_folder_id("inbox").messages, "receivedDateTime", False))
        elif run.settings.external_mail == "all_folders":
            sources.append((run.graph.client.users.by_user_id(member.user_id).messages, "receivedDateTime", False))
        rows = Interactions()
        try:
            for builder, field, is_sent in sources:
                query: dict[str, Any] = {
                    "select": list(SELECT),
                    "filter": f"{field} ge {graph_time(start)} and {field} lt {graph_time(run.until)}",
                    "top": run.settings.page_size,
                }
                async for page in run.graph.pages(builder, unit=member.user_id, **query):
                    if is_sent:
                        self.parser.sent(page.values, rows, member.key)
                    else:
                        self.parser.received(page.values, rows)
                    if len(rows) >= ROWS_A_PART:
                        await emit(Part(rows))
                        rows = Interactions()
        except GraphError as error:
            self.coverage.fail(member.key, error)
            await emit(Part(rows, units=1))
            return
        part = self.coverage.done(member.key)
        part.interactions = rows
        part.cursors |= windows.cursor(member.key, run.until)
        await emit(part)


async def read_mail(run: Run) -> AsyncGenerator[Batch, None]:
    """Read the mail of every mailbox in scope."""
    faults = Faults(run.people.pseudonyms, STREAM)
    coverage = Coverage(run.windows(STREAM, timedelta(hours=run.settings.overlap_hours)), ("email",))
    reader = _MailReader(run, MailParser(run.people, faults), coverage)
    batcher = Batcher(STREAM, len(run.mailboxes), run.extras(faults))
    doubtful = {member.key for member in run.mailboxes if coverage.windows.unread(member.key) is not None}
    # those refused the last time come first: whether they can be read decides which copies count
    for turn in (True, False):
        members = [member for member in run.mailboxes if (member.key in doubtful) == turn]
        async with aclosing(each(members, reader.read, workers=run.settings.concurrency)) as parts:
            async for part in parts:
                batcher.put(part)
                if (batch := batcher.due()) is not None:
                    yield batch
        run.people.unread.update(coverage.failed)
    batcher.put(coverage.finish())
    yield batcher.flush()
