# description: How many ties, and ties to other teams, newcomers have made 30, 60 and 90 days after joining, by month of joining and
#   medium.
# question: Do new people find their way into the network, and through which media?
# grain: cohort, medium, horizon_days
# role: people over cohort | person_count
# role: people among person_count | stated_count
# role: people apart | excluded_count
# role: estimate over person_count | mean_ties, median_ties, mean_cross_team_ties, median_cross_team_ties
# role: share over person_count | without_tie_ratio
# role: interval of mean_ties | lower_mean_ties, upper_mean_ties
# role: interval of median_ties | lower_median_ties, upper_median_ties
# role: interval of mean_cross_team_ties | lower_mean_cross_team_ties, upper_mean_cross_team_ties
# role: words | reason
# column: cohort | text | Month of joining, as 2026-01; `all` for all months.
# column: medium | text | The medium; `any` for all together.
# column: horizon_days | days | Days since joining: 30, 60 or 90.
# column: person_count | count | Newcomers who are counted: all of those days were observed and they stayed.
# column: excluded_count | count | Newcomers who are not: too recent, gone before the day, or a gap in collection.
# column: stated_count | count | How many of those counted have a stated day of joining; the others are dated by their first contact.
# column: mean_ties | score | Mean number of ties made by then.
# column: lower_mean_ties | score | Lower bound of its interval (Student's t).
# column: upper_mean_ties | score | Upper bound.
# column: median_ties | score | Median number of ties made by then.
# column: lower_median_ties | score | Lower bound of its interval (order statistics).
# column: upper_median_ties | score | Upper bound.
# column: mean_cross_team_ties | score | Mean number of those ties that are to other teams; empty where nobody's team is known.
# column: lower_mean_cross_team_ties | score | Lower bound of its interval.
# column: upper_mean_cross_team_ties | score | Upper bound.
# column: median_cross_team_ties | score | Median number of ties to other teams.
# column: without_tie_ratio | ratio | Share of the newcomers without any tie by then.
# column: reason | text | Why figures are empty: not_observed (all were excluded).
# unique: cohort, medium, horizon_days
# not_null: cohort, medium, horizon_days, person_count, excluded_count
# assert: lower_mean_ties <= mean_ties and mean_ties <= upper_mean_ties
# assert: lower_median_ties <= median_ties and median_ties <= upper_median_ties
# assert: without_tie_ratio between 0 and 1
# assert: (mean_ties is null) = (reason is not null)
# caveat: A newcomer is counted when all days until the horizon were observed: nobody has no ties because nobody was looking.
# caveat: Cohorts differ in the work they were hired for; a difference between months is not the doing of the month's welcome.
# caveat: Where the day of joining is not stated, the first contact stands for it, and people who never had one are missing.
# reference: Morrison (2002), Newcomers' relationships: the role of social network ties during socialization, Academy of Management
#   Journal 45, 1149-1160.
"""Newcomers' ties by cohort and medium."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from metrics.parameters import Parameters

Floats = NDArray[np.float64]

COLUMNS: Final = (
    "cohort", "medium", "horizon_days", "person_count", "excluded_count", "stated_count", "mean_ties", "lower_mean_ties", "upper_mean_ties",
    "median_ties", "lower_median_ties", "upper_median_ties", "mean_cross_team_ties", "lower_mean_cross_team_ties",
    "upper_mean_cross_team_ties", "median_cross_team_ties", "without_tie_ratio", "reason",
)  # fmt: skip


def newcomer_integration(newcomer_tie: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Means and medians of newcomers' ties.

    Args:
        newcomer_tie: One row a newcomer, medium and horizon.
        parameters: `confidence` is used.

    Returns:
        One row for each cohort (and all), medium and horizon; see the header of this file.
    """
    frame = newcomer_tie.to_pandas()
    frame["cohort"] = [value.strftime("%Y-%m") for value in pd.to_datetime(frame["cohort_date"])]
    both = pd.concat([frame, frame.assign(cohort="all")], ignore_index=True)
    rows = [
        {"cohort": cohort, "medium": medium, "horizon_days": float(horizon), **_row(part, parameters.confidence)}
        for (cohort, medium, horizon), part in both.groupby(["cohort", "medium", "horizon_days"])
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(part: pd.DataFrame, confidence: float) -> dict[str, Any]:
    counted = part[part["status"] == "counted"]
    row: dict[str, Any] = {"person_count": len(counted), "excluded_count": len(part) - len(counted)}
    row["stated_count"] = int((counted["evidence"] == "stated").sum())
    if counted.empty:
        return row | {"reason": "not_observed"}
    ties, crossing = (np.sort(counted[name].dropna().to_numpy(dtype=float)) for name in ("tie_count", "cross_team_tie_count"))
    row["mean_ties"], row["lower_mean_ties"], row["upper_mean_ties"] = mean_interval(ties, confidence)
    row["median_ties"], row["lower_median_ties"], row["upper_median_ties"] = median_interval(ties, confidence)
    row |= {"without_tie_ratio": float((ties == 0).mean()), "reason": None}
    if not len(crossing):
        return row
    names = ("mean_cross_team_ties", "lower_mean_cross_team_ties", "upper_mean_cross_team_ties")
    row |= dict(zip(names, mean_interval(crossing, confidence), strict=True))
    return row | {"median_cross_team_ties": float(np.median(crossing))}


def mean_interval(values: Floats, confidence: float) -> tuple[float, float | None, float | None]:
    """Mean of counts with Student's interval, not below zero; no interval for fewer than two values."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None
    half = float(stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, max(0.0, mean - half), mean + half


def median_interval(values: Floats, confidence: float) -> tuple[float, float | None, float | None]:
    """Median of sorted values with the interval between order statistics; none where there are too few for the confidence."""
    count = len(values)
    # the greatest k with P(fewer than k of n values lie below the median) <= alpha / 2
    k = int(stats.binom.ppf((1 - confidence) / 2, count, 0.5))
    if stats.binom.cdf(k, count, 0.5) > (1 - confidence) / 2:
        k -= 1
    if k < 0:
        return float(np.median(values)), None, None
    return float(np.median(values)), float(values[k]), float(values[count - 1 - k])
