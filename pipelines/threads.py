"""Threads across days: a reply changes what earlier messages of its thread mean, and is made sense of by them.

Both questions look through raw messages of other days than the touched ones. Threads are answered within days or weeks, so that they look
back a few weeks first, and through everything only where the first message of a thread is not found there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pipelines.changes import THREADED, touch_days
from pipelines.local_time import instants_around
from pipelines.warehouse import Warehouse

_LOOK_BACK_DAYS: Final = (60, 600)
_EVER: Final = datetime(1, 1, 1)  # noqa: DTZ001  (instants are naive UTC inside DuckDB)

TOUCHED_THREADS_FROM: Final = """
set variable touched_threads_from = (
    select least(getvariable('touched_from'), min(first_at))
    from answered_thread
    where date >= getvariable('touched_from')::date and date <= getvariable('touched_to')::date
)
"""
"""Since when a table has to look for the messages of threads that are answered on a touched day."""


def touch_by_threads(warehouse: Warehouse, time_zone: str) -> None:
    """Touch days of the other messages of a changed thread: who is answered may have changed with it."""
    if not warehouse.value("select count(*) from raw.touched_thread"):
        return
    first, last = warehouse.run("select min(date), max(date) from raw.touched_day")[0]
    # a thread changes when a message of it does, which touches its day
    since = _begun(warehouse, "select thread_key from raw.touched_thread", instants_around(first, last)[0]) if first else _EVER
    touch_days(
        warehouse,
        time_zone,
        # by key alone, and materialized: comparing the media of all messages would cost more than all the rest
        "with message as materialized (select medium, occurred_at from raw.interaction "
        f"where occurred_at >= timestamp '{since}' and thread_key in (select thread_key from raw.touched_thread)) "
        f"select occurred_at from message where {THREADED}",
    )
    warehouse.run("delete from raw.touched_thread")


def note_answered_threads(warehouse: Warehouse, low: datetime, high: datetime) -> None:
    """Make `answered_thread`: of each day (UTC) between two instants, when the oldest thread began that was answered on it."""
    warehouse.run(
        "create or replace temp table reply as select distinct source, thread_key, occurred_at::date as date from raw.interaction "
        f"where {THREADED} and thread_key <> interaction_key and occurred_at >= $1 and occurred_at < $2",
        [low, high],
    )
    since = _begun(warehouse, "select thread_key from reply", low)
    messages = "from raw.interaction where occurred_at >= $1 and"
    keys = "(select thread_key from reply)"
    warehouse.run(
        "create or replace temp table answered_thread as "
        f"with message as (select source, thread_key, occurred_at {messages} thread_key in {keys} "
        # a first message that was read before anybody answered bears no thread
        f"union all select source, interaction_key, occurred_at {messages} interaction_key in {keys}), "
        "thread as (select source, thread_key, min(occurred_at) as first_at from message group by all) "
        "select r.date, min(t.first_at) as first_at from reply as r "
        "join thread as t on t.source = r.source and t.thread_key = r.thread_key group by r.date",
        [since],
    )
    warehouse.run("drop table reply")


def _begun(warehouse: Warehouse, threads: str, low: datetime) -> datetime:
    """Return since when messages of some threads (SQL of their keys) may be stored: when the oldest of their first messages was sent.

    The first message of a thread is the one whose key the thread bears. Where one is not stored, it may have begun at any time.
    """
    wanted, oldest = warehouse.run(
        f"select count(distinct thread_key), (select min(occurred_at) from raw.interaction) from ({threads}) as t"
    )[0]
    for days in _LOOK_BACK_DAYS:
        since = low - timedelta(days=days)
        if oldest is None or since <= oldest:
            break
        found, first = warehouse.run(
            "select count(distinct interaction_key), min(occurred_at) from raw.interaction "
            f"where occurred_at >= $1 and interaction_key in ({threads})",
            [since],
        )[0]
        if found == wanted:
            return min(first, low) if found else low
    return _EVER
