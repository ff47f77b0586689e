"""Retention: single interactions and contacts that are past their time are deleted, by every night and by `perdure retention`.

What is deleted is gone for good, so two things have to hold before anything is. Sources must not contradict the machine's clock:
under one that is two years ahead everything would seem to be past its time. And not much more than what nights delete from month
to month may be due, unless somebody says yes to it: years of history that were just read, or a setting that was typed wrong, would
otherwise go within a night.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from connectors.errors import UserError
from pipelines.clock import CONFIRMED
from pipelines.home import Home
from pipelines.settings import Privacy, Settings
from pipelines.sync import open_warehouse
from pipelines.warehouse import COMPACTED, Warehouse

COMMAND: Final = "retention"
"""Under which name the private file records its runs."""
AHEAD: Final = timedelta(days=31)
"""So much later than what sources last said a clock may be, and is believed."""
_VOUCHING: Final = 3
"""So many interactions (or a thousandth of all, if that is more) have to be as late as that: a single wrong date vouches for nothing."""
_LONGEST_MONTH: Final = 31


class RetentionRefusedError(UserError):
    """Nothing was deleted; the message says why and what to do.

    Args:
        cause: `clock` or `share`.
        message: The sentence.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def kept_from(privacy: Privacy, now: datetime) -> date:
    """Return the first day that is kept: whole months are deleted, those that ended more than `retention_days` ago."""
    return (now.date() - timedelta(days=privacy.retention_days)).replace(day=1)


def most_deleted(privacy: Privacy) -> float:
    """Return the share of all interactions that may be deleted unasked: what a month is of what is kept, and the margin."""
    return min(1.0, _LONGEST_MONTH / (privacy.retention_days + _LONGEST_MONTH) + privacy.retention_margin)


def retain(home: Home, settings: Settings, *, yes: bool = False, trust_clock: bool = False) -> dict[str, int]:
    """Delete what is past the retention period from the private file, in whole months; panels stay.

    Args:
        home: The home.
        settings: The settings; `privacy.retention_days` says how long single interactions are kept.
        yes: Whether more may be deleted than `most_deleted`.
        trust_clock: Whether to believe this machine's clock although sources contradict it.

    Returns:
        Table -> rows deleted.

    Raises:
        RetentionRefusedError: If sources contradict the clock, or too much would be deleted.
    """
    now = datetime.now(UTC)
    first = kept_from(settings.privacy, now)
    with open_warehouse(home, settings) as warehouse, warehouse.recorded(COMMAND) as counts:
        due, stored = warehouse.count_before(first)
        try:
            if due and not trust_clock:
                _require_clock(warehouse, now)
            if due and not yes:
                _require_share(settings.privacy, due, stored, first)
        except RetentionRefusedError as refused:
            counts["refused"] = refused.cause
            raise
        deleted = warehouse.delete_before(first)
        counts.update(deleted)
        _compact(warehouse, f"{now:%Y-%m}")
        return deleted


def _require_clock(warehouse: Warehouse, now: datetime) -> None:
    seen = last_seen(warehouse, now)
    if now - seen > AHEAD:
        raise RetentionRefusedError(
            "clock",
            f"retention: nothing was deleted: this machine's clock says {now:%Y-%m-%d}, but the last that sources said is of "
            f"{seen:%Y-%m-%d}; if the clock is wrong, set it (NTP); if it is right, and nothing was read for so long, run "
            "`perdure sync`, or `perdure retention --trust-clock`",
        )


def last_seen(warehouse: Warehouse, now: datetime) -> datetime:
    """Return the latest moment that sources vouch for: their own clock as last told, or several interactions as late as that."""
    told = warehouse.memo(CONFIRMED)
    count: int = warehouse.value("select count(*) from raw.interaction where occurred_at <= $1", [now.replace(tzinfo=None)])
    place = min(count, max(_VOUCHING, -(-count // 1000)))
    moments: list[tuple[Any, ...]] = warehouse.run(
        "select occurred_at from raw.interaction where occurred_at <= $1 order by occurred_at desc limit 1 offset $2",
        [now.replace(tzinfo=None), max(0, place - 1)],
    )
    found = [moment.replace(tzinfo=UTC) for (moment,) in moments]
    found += [datetime.fromisoformat(told)] if told else []
    return max(found, default=datetime.min.replace(tzinfo=UTC))


def _require_share(privacy: Privacy, due: int, stored: int, first: date) -> None:
    most = most_deleted(privacy)
    if due > most * stored:
        raise RetentionRefusedError(
            "share",
            f"retention: nothing was deleted: {due / stored:.0%} of all interactions are from before {first}, and without your word at "
            f"most {most:.0%} are deleted at once; run `perdure retention --yes` if they are to go, or raise privacy.retention_days",
        )


def _compact(warehouse: Warehouse, month: str) -> None:
    """Write the file anew after a deletion, and once a month for what sources deleted: its bytes would stay in free blocks."""
    last = warehouse.memo(COMPACTED)
    if last == month:
        return
    if last is not None:
        warehouse.compact()
    warehouse.remember(COMPACTED, month)
