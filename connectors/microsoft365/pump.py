"""Many mailboxes at once with bounded memory: workers make parts, parts become batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import pyarrow as pa

from connectors.columns import Interactions, records
from connectors.microsoft365.settings import SOURCE
from connectors.records import Batch

_ROWS_A_BATCH: Final = 20_000
_PARTS_A_BATCH: Final = 256
_SECONDS_A_BATCH: Final = 5.0
_BATCHES_AHEAD: Final = 2

Unit = TypeVar("Unit")


@dataclass(slots=True)
class Part:
    """What a worker hands over at once.

    Attributes:
        interactions: Interactions.
        rows: Record kind -> rows without their source.
        cursors: Cursors that are true once this and every earlier part of the same worker is stored.
        units: How many units are done with this part.
    """

    interactions: Interactions | None = None
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    units: int = 0


Extras = Callable[[], tuple[dict[str, list[dict[str, Any]]], dict[str, str]]]
"""Gives the rows and cursors that go along with a batch."""
Emit = Callable[[Part], Awaitable[None]]


async def each(units: Iterable[Unit], work: Callable[[Unit, Emit], Awaitable[None]], *, workers: int) -> AsyncGenerator[Part, None]:
    """Yield the parts that `work` emits for each unit, a few units at a time.

    The queue between is short, so that a slow reader slows the workers down. An error of a worker ends all of them.
    """
    queue: asyncio.Queue[Part | None] = asyncio.Queue(maxsize=2 * workers)
    waiting: Iterator[Unit] = iter(units)

    async def worker() -> None:
        for unit in waiting:
            await work(unit, queue.put)

    async def all_workers() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(worker())
        except asyncio.CancelledError:
            # the reader is gone: nobody would take an end mark
            raise
        except BaseException:
            await queue.put(None)
            raise
        await queue.put(None)

    running = asyncio.create_task(all_workers())
    try:
        while (part := await queue.get()) is not None:
            yield part
        await _result(running)
    finally:
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def side_by_side(streams: Iterable[AsyncGenerator[Batch, None]]) -> AsyncGenerator[Batch, None]:
    """Yield the batches of several streams as they come, and in the order in which they were made.

    A batch holds the accounts met since the batch before it, of whichever stream; stored in another order, a run that is killed could
    leave an interaction without its accounts. The streams wait for a slow reader. An error of one ends all of them.
    """
    made: asyncio.Queue[Batch | None] = asyncio.Queue()
    room = asyncio.Semaphore(_BATCHES_AHEAD)

    async def pull(stream: AsyncGenerator[Batch, None]) -> None:
        async with aclosing(stream):
            async for batch in stream:
                # nothing is awaited between making and queueing
                made.put_nowait(batch)
                await room.acquire()

    async def all_streams() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(pull(stream))
        finally:
            made.put_nowait(None)

    running = asyncio.create_task(all_streams())
    try:
        while (batch := await made.get()) is not None:
            yield batch
            room.release()
        await _result(running)
    finally:
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _result(running: asyncio.Task[None]) -> None:
    """Wait for a task; of the errors in its groups raise the first."""
    failure: BaseException | None = None
    try:
        await running
    except BaseExceptionGroup as group:
        failure = group
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
    if failure is not None:
        raise failure


class Batcher:
    """Joins parts to batches that are worth a transaction.

    Args:
        stream: The stream's name.
        total: How many units there are.
        extra: What else to add to each batch: rows of accounts met and faults found so far, and cursors.
    """

    def __init__(self, stream: str, total: int, extra: Extras) -> None:
        self._stream = stream
        self._total = total
        self._extra = extra
        self._done = 0
        self._begin()

    def _begin(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._cursors: dict[str, str] = {}
        self._parts = 0
        self._count = 0
        self._began = time.monotonic()

    def put(self, part: Part) -> None:
        """Take a part."""
        if part.interactions is not None and len(part.interactions):
            self._tables.append(part.interactions.table(SOURCE))
            self._count += len(part.interactions)
        for kind, rows in part.rows.items():
            self._rows.setdefault(kind, []).extend(rows)
        self._cursors.update(part.cursors)
        self._done += part.units
        self._parts += 1

    def due(self) -> Batch | None:
        """Return what was taken as a batch, if it is time for one."""
        is_due = self._count >= _ROWS_A_BATCH or self._parts >= _PARTS_A_BATCH or time.monotonic() - self._began > _SECONDS_A_BATCH
        return self.flush() if is_due else None

    def flush(self) -> Batch:
        """Return what was taken since the last batch as one."""
        rows, cursors = self._extra()
        for kind, more in self._rows.items():
            rows.setdefault(kind, []).extend(more)
        found = records(SOURCE, **rows)
        if self._tables:
            found["interaction"] = pa.concat_tables(self._tables).combine_chunks()
        batch = Batch(SOURCE, self._stream, found, {**cursors, **self._cursors}, self._done, self._total)
        self._begin()
        return batch
