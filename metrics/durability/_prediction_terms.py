"""What the durability model weighs: nineteen terms that a leader can read, each computed from the contacts of one window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the model.

    Attributes:
        name: The column name it has in `durability_model`.
        words: What a higher value means, in plain words.
        value: Its value for each row of `pair_cut_feature`.
    """

    name: str
    words: str
    value: Callable[[pd.DataFrame], Floats]


def _column(name: str) -> Callable[[pd.DataFrame], Floats]:
    return lambda rows: rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _log(name: str, plus: float = 0.0) -> Callable[[pd.DataFrame], Floats]:
    column = _column(name)
    return lambda rows: np.log(column(rows) + plus)


def _gap_ratio(rows: pd.DataFrame) -> Floats:
    # a one-day tie has no gap of its own: it is taken to return once a window
    usual = np.where(rows["mean_gap_days"].isna(), rows["window_days"], rows["mean_gap_days"]).astype(np.float64)
    return np.log((_column("recency_days")(rows) + 1) / (usual + 1))


def _burstiness(rows: pd.DataFrame) -> Floats:
    mean, deviation = (_column(name)(rows) for name in ("mean_gap_days", "deviation_gap_days"))
    return np.nan_to_num((deviation - mean) / (deviation + mean))


def _balance(rows: pd.DataFrame) -> Floats:
    one, other = _column("ab_count")(rows), _column("ba_count")(rows)
    return np.asarray(2 * np.minimum(one, other) / np.maximum(one + other, 1), dtype=np.float64)


def _mutual(rows: pd.DataFrame) -> Floats:
    return np.asarray((_column("ab_count")(rows) > 0) & (_column("ba_count")(rows) > 0), dtype=np.float64)


def _overlap(rows: pd.DataFrame) -> Floats:
    shared = _column("shared_count")(rows)
    others = _column("least_degree")(rows) + _column("most_degree")(rows) - 2 - shared
    return np.asarray(shared / np.maximum(others, 1), dtype=np.float64)


TERMS: Final = (
    Term("recency", "it is longer since their last contact", _log("recency_days", 1)),
    Term("active_days", "they were in contact on more days", _log("active_days")),
    Term("active_weeks", "they were in contact in more weeks", _log("active_weeks")),
    Term("weight", "more of their contact is direct (few others addressed with it)", _log("weight", 0.1)),
    Term("gap_ratio", "they are silent for longer than their usual gap", _gap_ratio),
    Term("age", "their contact goes back further", _log("age_days", 1)),
    Term("shared_contacts", "more people are in live contact with both", _log("shared_score", 1)),
    Term("decay_short", "they were in contact on more of the very latest days", _log("decay_short_score", 0.01)),
    Term("decay_medium", "they were in contact on more of the later days", _log("decay_score", 0.01)),
    Term("decay_long", "they were in contact on more days, later ones counting more", _log("decay_long_score", 0.01)),
    Term("idle", "either has long not been in contact with anybody", _log("idle_days", 1)),
    Term("least_activity", "the less active of the two is active on more days", _log("least_active_days")),
    Term("least_degree", "the less connected of the two has more contacts", _log("least_degree")),
    Term("most_degree", "the more connected of the two has more contacts", _log("most_degree")),
    Term("least_kept", "the one who keeps fewer ties keeps more of them", _log("least_kept_ratio")),
    Term("balance", "contact is more even in both directions", _balance),
    Term("mutual", "contact goes both ways at all", _mutual),
    Term("burstiness", "their contact comes in bursts rather than regularly", _burstiness),
    Term("overlap", "a larger share of their contacts is shared", _overlap),
)
"""Seventeen terms of the literature's task, with shared contacts weighed by how alive they are, and two on what each of the two does
with their other ties."""


def design(rows: pd.DataFrame) -> Floats:
    """The terms of each row (rows x terms), not standardised.

    Args:
        rows: Rows of `pair_cut_feature` with `window_days` of their cut.
    """
    return np.column_stack([term.value(rows) for term in TERMS]) if len(rows) else np.empty((0, len(TERMS)))


INTERCEPT: Final = "intercept"
OUTCOMES: Final = {"active": "is_active_next", "lasting": "is_lasting_next"}
"""What is predicted, and the column of `pair_cut_feature` that says whether it came true."""

MINIMUM_OUTCOMES: Final = 50
"""A model is fitted only where at least so many pairs were, and so many were not, in contact afterwards."""


def is_enough(y: Floats) -> bool:
    """Whether both outcomes occur often enough to fit on."""
    return bool(min(y.sum(), len(y) - y.sum()) >= MINIMUM_OUTCOMES)


def feature_frame(pair_cut_feature: pa.Table, cuts: pd.DataFrame) -> pd.DataFrame:
    """The rows of these cuts, in a fixed order, with the cut's `window_days`."""
    numbers = pa.array(sorted(int(number) for number in cuts["cut_number"]), type=pa.int64())
    kept = pair_cut_feature.filter(pc.is_in(pair_cut_feature["cut_number"], numbers))
    rows: pd.DataFrame = kept.to_pandas().merge(cuts[["cut_number", "window_days"]], on="cut_number")
    return rows.sort_values(["cut_number", "person_a_key", "person_b_key"], ignore_index=True)
