# description: The days on which predictions are fitted, tested and made: from the contacts of the `window_days` observed days up to
#   a cut it is predicted who will be in contact in the `horizon_days` after it. Cuts never look across a long gap in collection.
# grain: cut_number
# role: calendar | role, is_test, cut_date, cut_day_number, window_days, window_from, horizon_days, middle_date, horizon_to, reason
# column: cut_number | count | 1 for the earliest.
# column: role | text | fit (a past day whose horizon has closed: used to fit, and maybe to test) or score (today: nobody knows yet).
# column: is_test | flag | Whether predictions are tested on this cut, by a model fitted on cuts whose horizons closed before it.
# column: cut_date | date | The cut: last day of its window.
# column: cut_day_number | count | That day on the clock of observed days.
# column: window_days | count | Observed days in the window.
# column: window_from | date | First day of the window.
# column: horizon_days | count | Observed days in the horizon.
# column: middle_date | date | Last day of the first half of the horizon; empty for today.
# column: horizon_to | date | Last day of the horizon; empty for today.
# column: reason | text | Why nothing can be predicted today: too_little_history or gap_in_window; empty otherwise.
# unique: cut_number
# not_null: cut_number, role, is_test, cut_date, cut_day_number
# assert: role in ('fit', 'score')
# assert: role = 'score' or horizon_to > cut_date
# assert: window_from <= cut_date
# caveat: Windows and horizons are in observed days; over short gaps they are somewhat longer on the calendar.
# caveat: While less than 450 days are observed, horizons are shorter than the usual 90 days.
"""Choose the cuts: one rule for every organisation, from how long it has been observed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.parameters import Parameters

RUNGS: Final = ((180, 90), (90, 60), (45, 30), (21, 14), (10, 6))
"""Windows and horizons in observed days: the largest for which a window and three horizons have been observed is taken."""

MOST_CUTS: Final = 13
"""How many past cuts are used at most, so that the model speaks of the organisation as it has been of late."""

TEST_CUTS: Final = 4
MONTHLY_WINDOW: Final = 90
"""From this window on, cuts count back from the last month that is over, so the model stays the same for a month; shorter histories
cannot spare those days."""

OBSERVED_SHARE: Final = 0.9
"""Windows and horizons of which less was observed are not used."""

COLUMNS: Final = (
    "cut_number",
    "role",
    "is_test",
    "cut_date",
    "cut_day_number",
    "window_days",
    "window_from",
    "horizon_days",
    "middle_date",
    "horizon_to",
    "reason",
)


def _spans(days: Sequence[date], first: int, last: int) -> bool:
    """Whether observed days number `first` to `last` (from 1) lie close enough together on the calendar."""
    if first < 1 or last > len(days):
        return False
    return ((days[last - 1] - days[first - 1]).days + 1) * OBSERVED_SHARE <= last - first + 1


def choose_cuts(days: Sequence[date], newest: int, window: int, horizon: int) -> list[int]:
    """Past cuts, as numbers of observed days, earliest first.

    They go back from the newest whose horizon is closed on day `newest`, a third of a horizon apart, at most `MOST_CUTS`; where a
    window or a horizon would reach across a long gap, the next earlier day on which none does is taken.
    """
    step = max(1, round(horizon / 3))
    cuts: list[int] = []
    cut = newest - horizon
    while cut >= window and len(cuts) < MOST_CUTS:
        if _spans(days, cut - window + 1, cut) and _spans(days, cut + 1, cut + horizon):
            cuts.append(cut)
            cut -= step
        else:
            cut -= 1
    return cuts[::-1]


def choose_tests(cuts: Sequence[int], horizon: int) -> list[int]:
    """Up to four of the cuts, evenly over those that come after the first cut's horizon has closed."""
    eligible = [cut for cut in cuts if cut - horizon >= cuts[0]]
    if len(eligible) <= TEST_CUTS:
        return eligible
    return [eligible[int(place)] for place in np.round(np.linspace(0, len(eligible) - 1, TEST_CUTS))]


def choose_rung(days: Sequence[date], parameters: Parameters) -> tuple[int, int, list[int]]:
    """Window, horizon and past cuts: the largest rung (or the one that settings name) that leaves at least two cuts to test on."""
    named = (parameters.prediction_window_days, parameters.prediction_horizon_days)
    rungs = (named,) if all(named) else RUNGS
    for window, horizon in rungs:
        if not all(named) and len(days) < window + 3 * horizon:
            continue
        newest = len(days)
        if window >= MONTHLY_WINDOW:
            month = days[-1].replace(day=1)
            newest = sum(day < month for day in days)
        cuts = choose_cuts(days, newest, window, horizon)
        if len(choose_tests(cuts, horizon)) >= 2:
            return window, horizon, cuts
    return (*rungs[-1], [])


def prediction_cut(observed_day: pd.DataFrame, parameters: Parameters) -> pa.Table:
    """The cuts of this build, the past ones and today's.

    Args:
        observed_day: The clock of observed days.
        parameters: `prediction_window_days`, `prediction_horizon_days`.

    Returns:
        One row a cut. With too little history there is only today's, with the reason.
    """
    seen = observed_day.loc[observed_day["is_observed"], "date"].sort_values()
    days = [pd.Timestamp(day).date() for day in seen]
    rows: list[dict[str, Any]] = []
    if days:
        window, horizon, cuts = choose_rung(days, parameters)
        tests = set(choose_tests(cuts, horizon)) if cuts else set()
        last = pd.Timestamp(observed_day["date"].max()).date()
        for cut in cuts:
            rows.append(
                {
                    "role": "fit",
                    "is_test": cut in tests,
                    "cut_date": days[cut - 1],
                    "cut_day_number": cut,
                    "window_from": days[cut - window],
                    "middle_date": days[cut + horizon // 2 - 1],
                    "horizon_to": days[cut + horizon - 1],
                }
            )
        reason = None
        if not cuts:
            reason = "too_little_history"
        elif not _spans(days, len(days) - window + 1, len(days)) or (last - days[-1]).days > (1 - OBSERVED_SHARE) * window:
            reason = "gap_in_window"
        first = days[max(len(days) - window, 0)]
        rows.append(
            {
                "role": "score",
                "is_test": False,
                "cut_date": last,
                "cut_day_number": len(days),
                "window_from": first,
                "reason": reason,
            }
        )
        for number, row in enumerate(rows, start=1):
            row |= {"cut_number": number, "window_days": window, "horizon_days": horizon}
    kinds = {
        "cut_number": pa.int64(),
        "role": pa.string(),
        "is_test": pa.bool_(),
        "cut_day_number": pa.int64(),
        "window_days": pa.int64(),
        "horizon_days": pa.int64(),
        "reason": pa.string(),
    }
    return pa.table({name: pa.array([row.get(name) for row in rows], type=kinds.get(name, pa.date32())) for name in COLUMNS})
