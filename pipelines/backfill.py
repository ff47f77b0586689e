"""Reading the past without disturbing the nights: window by window, the newest first, each of them done for good.

A window is read as a sync with both ends given. What only tells how things are now (the directory's places, delta tokens,
statements of what could not be read lately) is left to the nights: of a window only its messages, meetings, accounts and
coverage are kept. Connectors never move a cursor back, and forward only where a window touches what was read.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.errors import UserError
from connectors.records import Batch
from pipelines import sync
from pipelines.home import Home
from pipelines.progress import reporter
from pipelines.settings import Settings
from pipelines.sync import SyncReport, open_warehouse

_OF_NOW: Final = ("run", "accounts:", "directory:", "unread:")
_CALLS_LAST: Final = timedelta(days=30)
_BREATH_SECONDS: Final = 1.5


@dataclass(slots=True)
class Backfill:
    """What a backfill did.

    Attributes:
        source: The source.
        windows: How many windows there are.
        done_before: How many an earlier run had done.
        reports: What was read of each window now.
        with_gaps: How many windows were not read whole; they are read again when the command is run again.
    """

    source: str
    windows: int
    done_before: int
    reports: list[SyncReport] = field(default_factory=list)
    with_gaps: int = 0


def windows(since: datetime, until: datetime, days: int) -> list[tuple[datetime, datetime]]:
    """Return the windows of [since, until), the newest first; the oldest may be shorter."""
    found = []
    high = until
    while high > since:
        low = max(since, high - timedelta(days=days))
        found.append((low, high))
        high = low
    return found


def backfill(
    home: Home,
    settings: Settings,
    source: str,
    since: datetime,
    until: datetime | None,
    *,
    days: int = 30,
    pause: Callable[[float], None] = time.sleep,
) -> Backfill:
    """Read [since, until) of a service, the newest window first. Interrupted, it goes on when run again.

    Args:
        home: The home.
        settings: The settings.
        source: The service.
        since: The first moment to read.
        until: The end; None for the day of today or, of an interrupted backfill from `since`, the day at which that ended.
        days: How many days a window has; each is one run under the lock.
        pause: How to wait between windows, so that a night that waits for the lock gets it.

    Raises:
        UserError: If the service is not configured, refuses the credentials, or the ends are the wrong way round.
    """
    name = f"backfill {source}"
    with open_warehouse(home, settings) as warehouse:
        state = json.loads(warehouse.memo(name) or "{}")
    if until is None:
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        until = datetime.fromisoformat(state["until"]) if state.get("since") == since.isoformat() else today
    if since >= until:
        raise UserError("backfill: --since must be before --until, and in the past")
    asked = {"since": since.isoformat(), "until": until.isoformat(), "days": days}
    finished: list[str] = state.get("done", []) if {key: state.get(key) for key in asked} == asked else []
    planned = windows(since, until, days)
    done = Backfill(source, len(planned), sum(low.isoformat() in finished for low, _ in planned))
    for number, (low, high) in enumerate(planned):
        reporter().update(f"{source} backfill", number, len(planned), f"{low:%Y-%m-%d} to {high:%Y-%m-%d}")
        if low.isoformat() in finished:
            continue
        report = sync.sync_source(home, _of_the_past(settings, source, low), source, since=low, until=high, keep=without_what_is_of_now)
        done.reports.append(report)
        if report.has_gaps:
            done.with_gaps += 1
        else:
            finished.append(low.isoformat())
        with open_warehouse(home, settings) as warehouse:
            warehouse.remember(name, json.dumps({**asked, "done": finished}))
        pause(_BREATH_SECONDS)
    reporter().update(f"{source} backfill", len(planned), len(planned))
    return done


def without_what_is_of_now(batch: Batch) -> Batch:
    """Return a batch without places (they are today's, not the window's) and without cursors that speak of now."""
    records = {kind: rows for kind, rows in batch.records.items() if kind != "membership"}
    cursors = {name: value for name, value in batch.cursors.items() if not name.startswith(_OF_NOW)}
    return replace(batch, records=records, cursors=cursors)


def _of_the_past(settings: Settings, source: str, since: datetime) -> Settings:
    """Return settings for a window of the past: no rolling sweep, and no call records where Graph no longer has them."""
    chosen: Any = getattr(settings, source)
    if chosen is None:
        return settings
    changes: dict[str, Any] = {}
    if source == "slack":
        changes["sweep_nights"] = 0
    elif since < datetime.now(UTC) - _CALLS_LAST:
        changes |= {"calls": False, "attendance_reports": False}
    return settings.model_copy(update={source: chosen.model_copy(update=changes)})
