"""The published file is not replaced by one that has lost most of its history.

A private file that was moved away, or restored from an old backup, is soon filled again with a few days, and builds without a
fault; publishing it would put those days in the place of years. What retention deleted is no loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from connectors.errors import UserError
from pipelines.warehouse import RETAINED, Warehouse

LEAST_KEPT: Final = 0.5
"""Of the published interactions, at least so large a share has to be in the new file, day by day."""
_BY_DAY: Final = "select date, sum(interaction_count)::bigint from core.medium_day group by date"


class HistoryLostError(UserError):
    """The new file lacks most of what the published one has; nothing was published."""


def require_history(warehouse: Warehouse, published: Path) -> None:
    """Compare what is to be published with what is, and refuse where most of it would be lost.

    Raises:
        HistoryLostError: If less than half of the published interactions are in the private file.
    """
    if not published.exists() or not warehouse.has_table("core", "medium_day"):
        return
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            before: dict[date, int] = dict(connection.execute(_BY_DAY).fetchall())
    except duckdb.Error:
        return  # it cannot be read, or is of another kind: there is nothing to lose
    after: dict[date, int] = dict(warehouse.run(_BY_DAY))
    first = date.fromisoformat(warehouse.memo(RETAINED) or "0001-01-01")
    if kept_ratio(before, after, first) < LEAST_KEPT:
        raise HistoryLostError(
            f"publish: nothing was published: {published.name} has {sum(before.values()):,} interactions, and the private file only "
            f"{sum(after.values()):,}, so that most of the history would be lost; was warehouse.duckdb moved away, or is it an old copy? "
            "Put the right one in its place; or, if the history is meant to go, run `perdure publish --force` (in a flow, force=true)"
        )


def kept_ratio(before: Mapping[date, int], after: Mapping[date, int], first: date) -> float:
    """Return what share of the interactions from `first` on is kept, day by day: more on one day makes up for no other."""
    counted = {day: count for day, count in before.items() if day >= first}
    total = sum(counted.values())
    return sum(min(count, after.get(day, 0)) for day, count in counted.items()) / total if total else 1.0
