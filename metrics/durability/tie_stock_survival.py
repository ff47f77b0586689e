# description: Of the ties that are alive on a day, the share that is alive 30, 90 and 180 days later: what becomes of the relationships
#   that the organisation has, by the media that carry them, whether they cross teams, and the kind of the other organisation.
# question: Of the relationships that we have today, how many shall we still have in three months, in half a year?
# grain: cut_date, grouping, level, horizon_days
# role: people | person_count
# role: pairs | tie_count
# role: pairs among tie_count | left_out_count, alive_count
# role: share over tie_count | alive_ratio
# role: interval of alive_ratio | lower_ratio, upper_ratio
# role: words | reason
# column: cut_date | date | The day on which the stock of ties is taken: the first of a month, the latest twelve that can be followed.
# column: grouping | text | By what ties are grouped: all, medium_mix (kinds of media used in the `silence_days` days before),
#   is_cross_team, external_kind.
# column: level | text | The group; own stands for ties within the own organisation.
# column: horizon_days | days | 30, 90 or 180 days after cut_date.
# column: tie_count | count | Ties of the group alive on cut_date.
# column: left_out_count | count | Those of which nothing can be said: one of the two left before the horizon. They are not in the share.
# column: person_count | count | People in the ties that are in the share.
# column: alive_count | count | Ties alive at the horizon; empty if not observed.
# column: alive_ratio | ratio | alive_count / (tie_count - left_out_count).
# column: lower_ratio | ratio | Lower bound of its interval.
# column: upper_ratio | ratio | Upper bound.
# column: reason | text | Why the share is empty: not_observed (the days until then, and `silence_days` more, were not all observed) or
#   too_few (fewer than ten ties).
# unique: cut_date, grouping, level, horizon_days
# not_null: cut_date, grouping, level, horizon_days, tie_count, left_out_count, person_count
# assert: alive_ratio between 0 and 1 and alive_count <= tie_count - left_out_count
# assert: lower_ratio <= alive_ratio + 1e-9 and alive_ratio <= upper_ratio + 1e-9
# assert: (alive_ratio is null) = (reason is not null)
# caveat: The stock of a day holds mostly ties that have lasted, since those are there on most days. It says what becomes of the
#   relationships one has; tie_half_life says what becomes of those that begin, which is far less and
#   depends on what counts as a beginning.
# caveat: Groups differ in more than what names them; read differences as associations.
# caveat: The interval allows for people who are in many ties. Stocks of different days hold many of the same ties: do not add them.
# reference: Cox (1969), Some sampling problems in technology (length-biased sampling), in New Developments in Survey Sampling.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23, 564-577.
"""What becomes of the ties that are alive on a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._survival import MINIMUM_AT_RISK
from metrics.dyadic import share_interval
from metrics.panels import number_people
from metrics.parameters import Parameters

HORIZONS: Final = (30, 90, 180)
GROUPINGS: Final = ("all", "medium_mix", "is_cross_team", "external_kind")
COLUMNS: Final = (
    "cut_date", "grouping", "level", "horizon_days", "tie_count", "left_out_count", "person_count", "alive_count",
    "alive_ratio", "lower_ratio", "upper_ratio", "reason",
)  # fmt: skip


def tie_stock_survival(tie_stock: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Shares of the ties of a day that are alive later, by group and horizon.

    Args:
        tie_stock: One row for each tie alive on each day.
        parameters: `confidence` is used.

    Returns:
        One row for each day, group and horizon; see the header of this file.
    """
    frame: pd.DataFrame = tie_stock.to_pandas().sort_values(["cut_date", "person_a_key", "person_b_key"], ignore_index=True)
    frame["all"] = "all"
    frame["is_cross_team"] = frame["is_cross_team"].astype("boolean").map({True: "cross_team", False: "within_team"})
    frame["external_kind"] = np.where(frame["is_external"], frame["external_kind"], "own")
    return pd.DataFrame(list(_rows(frame, parameters.confidence)), columns=list(COLUMNS))


def _rows(frame: pd.DataFrame, confidence: float) -> Iterator[dict[str, Any]]:
    for cut, of_day in frame.groupby("cut_date", sort=True):
        for grouping in GROUPINGS:
            for level, ties in of_day.groupby(grouping, sort=True):
                for horizon in HORIZONS:
                    key = {"cut_date": cut, "grouping": grouping, "level": level, "horizon_days": float(horizon)}
                    yield {**key, **_share(ties, horizon, confidence)}


def _share(ties: pd.DataFrame, horizon: int, confidence: float) -> dict[str, Any]:
    alive = ties[f"is_alive_{horizon}"].astype("boolean")
    known = alive.notna().to_numpy(dtype=bool)
    y = np.asarray(alive[known], dtype=np.float64)
    a, b = (ties.loc[known, name].to_numpy(dtype=np.int64) for name in ("person_a_key", "person_b_key"))
    people, (first, second) = number_people(a, b)
    row: dict[str, Any] = {"tie_count": len(ties), "left_out_count": 0, "person_count": len(people)}
    if not ties[f"is_observed_{horizon}"].all():
        return row | {"person_count": 0, "reason": "not_observed"}
    row |= {"left_out_count": len(ties) - len(y), "alive_count": int(y.sum())}
    if len(y) < MINIMUM_AT_RISK:
        return row | {"reason": "too_few"}
    share = share_interval(y, np.ones(len(y)), first, second, confidence)
    return row | {"alive_ratio": share.estimate, "lower_ratio": share.low, "upper_ratio": share.high}
