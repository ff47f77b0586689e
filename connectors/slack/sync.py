"""A night's reading of Slack: the directory, then every conversation, up to an end that is frozen when the run begins."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any, Final

import pyarrow as pa

from connectors.columns import records, to_instant, to_microseconds
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.slack.access import Workspace, sign_in
from connectors.slack.client import SlackClient, SlackError, SlackUnavailableError
from connectors.slack.directory import ACCOUNT_CURSOR, Directory
from connectors.slack.history import ConversationReader
from connectors.slack.messages import MessageParser
from connectors.slack.progress import CONVERSATION_CURSOR, MEMBERS_CURSOR, THREAD_CURSOR, Progress, parse_members
from connectors.slack.settings import SOURCE, SlackSettings
from connectors.slack.spaces import Conversation
from connectors.slack.state import RUN, namespace_of
from connectors.state import State

_LOGGER: Final = logging.getLogger(__name__)
ROWS_A_BATCH: Final = 20_000
_CONVERSATIONS_A_BATCH: Final = 200
_SECONDS_A_BATCH: Final = 2.0
_FAILURES_IN_A_ROW: Final = 3


async def fetch(
    settings: SlackSettings,
    pseudonyms: Pseudonymiser,
    since: datetime | None,
    until: datetime,
    state: State,
    *,
    client: SlackClient | None = None,
) -> AsyncGenerator[Batch, None]:
    """Read what is new or has changed, as batches that may be stored one by one.

    The first run reads `settings.history_days` back (or from `since`); later runs read on where each conversation was left, and a
    trailing window again. It never skips: a later `since` than what was read changes nothing, an earlier one reads back to it.
    Killing the process between batches loses nothing; the next run goes on in the middle of a conversation.

    Args:
        settings: The connector's settings.
        pseudonyms: The organisation's pseudonyms.
        since: From when on to read; None to go on.
        until: The end, exclusive, usually now: what is sent or answered later is left to the next run.
        state: What earlier runs stored; it is asked only between batches, never while one is being stored.
        client: A client that is open already (for tests and for counting requests); None to open one.

    Yields:
        Batches of accounts and spaces, then of messages, then of coverage. `units_done` counts conversations.

    Raises:
        UserError: If the token is refused, TLS fails, or the app is of the class limited to 15 messages a request.
        SlackUnavailableError: If Slack did not answer for several conversations in a row.
    """
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(SlackClient(settings))
        run = _Run(client, settings, pseudonyms, since, until, state)
        async for batch in await stack.enter_async_context(aclosing(run.batches())):
            # a token that shows less than the one before takes nothing back
            yield replace(batch, authority="completes")


@dataclass(slots=True)
class _Piece:
    """What a worker hands over to become a batch."""

    records: dict[str, pa.Table]
    cursors: dict[str, str]
    finished: int


@dataclass(slots=True)
class _Question:
    """A worker asks which messages of a space are stored; only the consumer's turn may ask the state."""

    space_key: int
    since: int
    until: int
    answer: asyncio.Future[set[int]]


@dataclass(slots=True)
class _Ended:
    """A worker has no more to do, or failed."""

    error: Exception | None = None


@dataclass(slots=True)
class _Task:
    """One conversation to read."""

    conversation: Conversation
    progress: Progress
    marks: dict[str, str] = field(default_factory=dict)
    is_sweep: bool = False


class _Run:
    """One run: reads the directory, shares conversations out to workers, and turns what they hand over into batches."""

    def __init__(
        self,
        client: SlackClient,
        settings: SlackSettings,
        pseudonyms: Pseudonymiser,
        since: datetime | None,
        until: datetime,
        state: State,
    ) -> None:
        self.client = client
        self.settings = settings
        self.pseudonyms = pseudonyms
        self.until = to_microseconds(until.astimezone(UTC))
        self.today = to_instant(self.until).date()
        self.is_explicit = since is not None
        first = until - timedelta(days=settings.history_days) if since is None else since
        self.since = min(to_microseconds(first.astimezone(UTC)), self.until)
        self.state = state
        self.queue: asyncio.Queue[_Piece | _Question | _Ended] = asyncio.Queue(maxsize=2)
        self.handing_over = asyncio.Lock()
        self.directory: Directory
        self.failures_in_a_row = 0
        self.media: set[str] = set()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        workspace = await sign_in(self.client)
        namespace = namespace_of(self.state, workspace.team)
        self.directory = Directory(self.client, workspace, self.settings, self.pseudonyms, (self._last_day(), self.today), namespace)
        self.directory.remember(self.state.cursors(ACCOUNT_CURSOR), self.today)
        async for rows in self.directory.read():
            tables = records(SOURCE, **rows)
            if tables:
                yield Batch(SOURCE, "directory", tables)
        tasks, coverage, cursors = self._plan(workspace)
        yield Batch(SOURCE, "directory", records(SOURCE, coverage=[*self.directory.coverage, *coverage]), cursors, 0, len(tasks))
        async for batch in self._read(tasks):
            yield batch
        yield Batch(
            SOURCE,
            "messages",
            records(SOURCE, coverage=self._observed()),
            {RUN: str(self.until)},
            units_done=len(tasks),
            units_total=len(tasks),
        )
        _LOGGER.info(
            "slack: %d conversations read, %d swept, %d requests, %d tried again",
            len(tasks),
            sum(task.is_sweep for task in tasks),
            sum(self.client.requests.values()),
            sum(self.client.faults.values()),
        )

    def _last_day(self) -> date:
        """The day on which the run before this one ended, or on which a first run begins."""
        before = self.state.cursor(RUN)
        start = int(before) if before is not None and before.isdigit() else self.since
        return to_instant(min(start, self.until)).date()

    def _observed(self) -> list[dict[str, Any]]:
        """State that the media were looked at in this run's days."""
        span = {"stream": "messages", "unit_key": 0, "date_from": self._last_day(), "date_to": self.today, "status": "observed"}
        missing = {row["medium"] for row in self.directory.coverage if row["unit_key"] == 0 and row["status"] == "missing"}
        return [{**span, "medium": medium} for medium in sorted(self.media - missing)]

    # -- what to read -------------------------------------------------------------------------------------------------

    def _plan(self, workspace: Workspace) -> tuple[list[_Task], list[dict[str, Any]], dict[str, str]]:
        """Return the conversations to read, and what is to be said of those that are not."""
        known: dict[int, Progress] = {}
        for name, value in self.state.cursors(CONVERSATION_CURSOR).items():
            progress = Progress.parse(value)
            if progress is not None:
                known[int(name.removeprefix(CONVERSATION_CURSOR))] = progress
        members = self.state.cursors(MEMBERS_CURSOR)
        tasks: dict[int, _Task] = {}
        coverage: list[dict[str, Any]] = []
        cursors: dict[str, str] = {}
        listed = set()
        for conversation in self.directory.conversations:
            key = conversation.space_key
            listed.add(key)
            self.media.add(conversation.medium)
            progress = known.get(key)
            is_channel = conversation.medium == "slack_channel" and not conversation.is_discovered
            if is_channel and workspace.is_bot and conversation.is_member is False:
                # Slack would refuse it, one request a channel and night
                row, name, value = self.unread(conversation, progress or self._unbegun(conversation), "not_in_channel")
                coverage.append(row)
                cursors[name] = value
                continue
            if progress is not None and progress.is_finished and conversation.is_archived and not self._goes_back(progress):
                continue
            if not conversation.has_members and f"{MEMBERS_CURSOR}{key}" in members:
                conversation = replace(conversation, member_keys=parse_members(members[f"{MEMBERS_CURSOR}{key}"]))
                self.directory.people.meet(conversation.member_keys)
            tasks[key] = _Task(conversation, progress or self._unbegun(conversation))
        for key, progress in known.items():
            if key not in listed and not progress.is_gone and progress.medium not in self.directory.unlisted_media:
                # deleted, or the token's owner was removed: said once, from where it was left to now
                progress.is_gone = True
                coverage.append(self._missing(key, progress.medium, to_instant(progress.through).date(), "not_listed"))
                cursors[f"{CONVERSATION_CURSOR}{key}"] = progress.dump()
                cursors[f"{MEMBERS_CURSOR}{key}"] = ""
        for name, value in self.state.cursors(THREAD_CURSOR).items():
            space_key = int(name.split(":")[1])
            if space_key in tasks:
                tasks[space_key].marks[name] = value
            elif space_key not in listed and (space_key not in known or known[space_key].medium not in self.directory.unlisted_media):
                cursors[name] = ""
        self._choose_sweeps(list(tasks.values()))
        return list(tasks.values()), coverage, cursors

    def _unbegun(self, conversation: Conversation) -> Progress:
        return Progress(conversation.medium, floor=self.since, through=self.since)

    def _goes_back(self, progress: Progress) -> bool:
        return self.is_explicit and self.since < progress.floor

    def _choose_sweeps(self, tasks: list[_Task]) -> None:
        """Mark a share of the conversations to be read whole: those for which that is longest ago."""
        if self.settings.sweep_nights == 0:
            return
        share = math.ceil(len(tasks) / self.settings.sweep_nights)
        today = self.today.isoformat()
        due = [task for task in tasks if task.progress.is_known and task.progress.begun is None and task.progress.swept < today]
        due.sort(key=lambda task: (task.progress.swept, task.conversation.space_key))
        for task in due[:share]:
            task.is_sweep = True

    # -- what could not be read ---------------------------------------------------------------------------------------

    def _missing(self, space_key: int, medium: str, first: date, reason: str) -> dict[str, Any]:
        return {
            "stream": "messages",
            "unit_key": space_key,
            "medium": medium,
            "date_from": min(first, self.today),
            "date_to": self.today,
            "status": "missing",
            "reason": reason,
        }

    def unread(self, conversation: Conversation, progress: Progress, reason: str) -> tuple[dict[str, Any], str, str]:
        """Return the coverage row of a conversation that cannot be read, and the cursor that remembers since when."""
        if progress.missing_since is None:
            progress.missing_since = to_instant(min(progress.through, self.until)).date().isoformat()
        first = progress.missing_from
        assert first is not None  # noqa: S101  (set above)
        row = self._missing(conversation.space_key, conversation.medium, first, reason)
        return row, f"{CONVERSATION_CURSOR}{conversation.space_key}", progress.dump()

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _read(self, tasks: list[_Task]) -> AsyncGenerator[Batch, None]:
        waiting = iter(tasks)
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(min(self.settings.concurrency, len(tasks)))]
        running, done = len(workers), 0
        try:
            while running:
                item = await self.queue.get()
                if isinstance(item, _Question):
                    if not item.answer.done():
                        item.answer.set_result(self.state.stored_keys(item.space_key, to_instant(item.since), to_instant(item.until)))
                elif isinstance(item, _Ended):
                    running -= 1
                    if item.error is not None:
                        raise item.error
                else:
                    done += item.finished
                    yield Batch(SOURCE, "messages", item.records, item.cursors, done, len(tasks))
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, waiting: Iterator[_Task]) -> None:
        """Read conversations until none is left; whatever happens, say that it ended."""
        ended = _Ended()
        try:
            sink = _Sink(self)
            for task in waiting:
                await self._read_one(task, sink)
                sink.finished += 1
                await sink.flush_if_full()
            await sink.flush()
        except Exception as error:
            ended = _Ended(error)
        await self.queue.put(ended)

    async def _read_one(self, task: _Task, sink: _Sink) -> None:
        reader = ConversationReader(self.client, self.settings, self.until, sink, self.directory.members, self._ask)
        conversation, progress = task.conversation, task.progress
        swept = progress.swept
        try:
            await reader.read(conversation, progress, task.marks, since=self.since, is_explicit=self.is_explicit, is_sweep=task.is_sweep)
            self.failures_in_a_row = 0
            return
        except SlackError as error:
            reason = error.code
        except SlackUnavailableError:
            self.failures_in_a_row += 1
            if self.failures_in_a_row >= _FAILURES_IN_A_ROW:
                raise
            reason = "unavailable"
        # the pages that were read of it stand, and so does what the progress says of them
        progress.swept = swept
        row, name, value = self.unread(conversation, progress, reason)
        sink.rows["coverage"].append(row)
        sink.cursors[name] = value

    async def _ask(self, space_key: int, since: int, until: int) -> set[int]:
        question = _Question(space_key, since, until, asyncio.get_running_loop().create_future())
        await self.queue.put(question)
        return await question.answer


class _Sink:
    """What one worker has gathered and not handed over yet."""

    def __init__(self, run: _Run) -> None:
        self.parser = MessageParser(run.pseudonyms, run.directory.people, run.directory.usergroups)
        self.rows: dict[str, list[dict[str, Any]]] = {"coverage": [], "sweep": []}
        self.cursors: dict[str, str] = {}
        self.finished = 0
        self._run = run
        self._since = monotonic()

    async def flush_if_full(self) -> None:
        """Hand over what has been gathered, if that is a batch's worth or took a while."""
        is_full = len(self.parser.columns) >= ROWS_A_BATCH or self.finished >= _CONVERSATIONS_A_BATCH
        if is_full or (monotonic() - self._since > _SECONDS_A_BATCH and (self.cursors or len(self.parser.columns))):
            await self.flush()

    async def flush(self) -> None:
        """Hand over what has been gathered.

        The accounts that it is the first to name go with it, asked for under a lock: another worker's batch that names
        them too comes after this one.
        """
        run = self._run
        async with run.handing_over:
            columns, quarantine = self.parser.take()
            rows, self.rows = self.rows, {"coverage": [], "sweep": []}
            cursors, self.cursors = self.cursors, {}
            finished, self.finished = self.finished, 0
            accounts, account_cursors = await run.directory.resolve(run.directory.people.unlisted(), run.today)
            tables = records(SOURCE, account=accounts, quarantine=quarantine, **rows)
            if len(columns):
                tables = {"interaction": columns.table(SOURCE), **tables}
            if tables or cursors or finished:
                await run.queue.put(_Piece(tables, {**cursors, **account_cursors}, finished))
        self._since = monotonic()
