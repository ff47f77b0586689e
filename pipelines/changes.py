"""What a change of stored interactions means for the next build: the days it touches, and the threads.

The changed interactions stand in the temporary table `delta` (source, interaction_key, occurred_at, medium, thread_key).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipelines.local_time import local_date

if TYPE_CHECKING:
    from pipelines.warehouse import Warehouse

THREADED: Final = "medium in ('slack_channel', 'slack_dm', 'slack_group_dm', 'teams_channel')"
"""The condition of messages that may answer one another across days. An e-mail's conversation is not followed."""


def note_changes(warehouse: Warehouse, before: str | None = None) -> None:
    """Note the days and threads of `delta` for the next build.

    Args:
        warehouse: The private file, in the transaction that makes the change.
        before: SQL of occurred_at, medium and thread_key as they were stored before, where they may be others.
    """
    # a message may open a thread whose replies were stored before it: both keys are noted
    changes = "select occurred_at, medium, unnest([thread_key, interaction_key]) as thread_key from delta" + (
        f" union all {before}" if before else ""
    )
    touch_days(warehouse, warehouse.time_zone, f"select occurred_at from ({changes}) as c where occurred_at is not null")
    warehouse.run(
        f"insert into raw.touched_thread select distinct thread_key from ({changes}) as c "
        f"where thread_key is not null and {THREADED} and thread_key not in (select thread_key from raw.touched_thread)"
    )


def touch_days(warehouse: Warehouse, time_zone: str, times: str) -> None:
    """Touch the local days of some instants, given as SQL of a column occurred_at."""
    warehouse.run(
        f"insert into raw.touched_day select distinct {local_date('occurred_at')} as date from ({times}) as t "
        f"where {local_date('occurred_at')} not in (select date from raw.touched_day)",
        {"time_zone": time_zone},
    )
