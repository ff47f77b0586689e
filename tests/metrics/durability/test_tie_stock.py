"""What becomes of the ties alive on a day; silence of twenty days ends a tie here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from worlds import batch, built, days, eu_core, event

from connectors.records import table

START = "2024-01-01"
SMALL = {"silence_days": 20, "landmark_days": 7}
# the days on which the first of a month is counted from 1 January 2024: 1 March is day 60
CUT, LENGTH = 60, 270


def stock(contacts: dict[tuple[int, int], range], memberships: Sequence[dict[str, Any]] = (), **options: Any) -> list[tuple[Any, ...]]:
    backdrop = [event(moment, 900, 901) for moment in days(START, *range(LENGTH))]
    written = [event(moment, a, b) for (a, b), listed in contacts.items() for moment in days(START, *listed)]
    made = batch([*backdrop, *written])
    made.records["membership"] = table("membership", list(memberships))
    warehouse = built(made, only=["tie_stock_survival"], **{**SMALL, **options})
    return warehouse.run(
        "select horizon_days, tie_count, left_out_count, alive_count, round(alive_ratio, 4), reason from metrics.tie_stock_survival "
        "where grouping = 'all' and cut_date = date '2024-03-01' order by horizon_days"
    )


def test_alive_thirty_ninety_and_a_hundred_and_eighty_days_later() -> None:
    # beside the backdrop: four end after day 80, four after day 120, three live on; one is over before the day, one begins after it
    ends = [80] * 4 + [120] * 4 + [LENGTH] * 3
    contacts = {(2 * n + 1, 2 * n + 2): range(40, end, 5) for n, end in enumerate(ends)}
    contacts |= {(101, 102): range(5, 35, 5), (103, 104): range(70, 200, 5)}
    assert stock(contacts) == [
        (30.0, 12, 0, 8, round(8 / 12, 4), None),
        (90.0, 12, 0, 4, round(4 / 12, 4), None),
        (180.0, 12, 0, 4, round(4 / 12, 4), None),
    ]


def test_a_leaver_s_ties_are_left_out_and_few_ties_have_no_share() -> None:
    contacts = {(1, 2): range(40, 98, 5), (3, 4): range(40, LENGTH, 5)}
    gone = {"source": "test", "account_key": 2, "observed_on": date(2024, 1, 1), "left_on": days(START, 100)[0].date()}
    found = stock(contacts, [gone])
    assert found == [(30.0, 3, 0, 3, None, "too_few"), (90.0, 3, 1, 2, None, "too_few"), (180.0, 3, 1, 2, None, "too_few")]


def test_what_was_not_watched_long_enough_is_not_told() -> None:
    listed = stock({(1, 2): range(40, LENGTH, 5)}, silence_days=60)
    # 270 days, 60 of silence: the end of day 60 + 180 is not known
    assert [row[-1] for row in listed] in (["too_few", "too_few", "not_observed"], [])


@pytest.mark.oracle
def test_the_stock_of_eu_core(oracle_data: object) -> None:
    """About 2,645 ties on one day, of which 65% live three months later and 55% half a year later; beginnings by their threshold."""
    warehouse = built(eu_core(oracle_data), only=["tie_stock_survival", "tie_half_life"])  # type: ignore[arg-type]
    rows = dict(
        warehouse.run(
            "select horizon_days, (tie_count, alive_ratio) from metrics.tie_stock_survival "
            "where grouping = 'all' and cut_date = date '2020-07-01'"
        )
    )
    (count, at_90), (_, at_180) = rows[90.0], rows[180.0]
    assert count == pytest.approx(2645, rel=0.05)
    assert (at_90, at_180) == pytest.approx((0.65, 0.55), abs=0.05)
    half = dict(warehouse.run("select level, half_life_weeks from metrics.tie_half_life where grouping in ('all', 'threshold')"))
    assert [half[level] for level in ("all", "days", "more_days")] == pytest.approx([2.6, 8.0, 15.1], abs=0.7)
