# description: Of the ties that began in a medium and whose first weeks were seen, the share still alive 90 and 180 days later, as it is
#   and as it
#   would be if ties of every medium had been equally strong in those weeks.
# question: Do ties that begin in this medium last longer than their early strength explains?
# grain: medium, horizon_days
# role: people | person_count
# role: pairs | tie_count
# role: share over tie_count | kept_ratio, adjusted_ratio
# role: interval of kept_ratio | lower_ratio, upper_ratio
# role: interval of adjusted_ratio | adjusted_lower_ratio, adjusted_upper_ratio
# role: estimate over tie_count | covered_ratio
# role: words | reason
# column: medium | text | The medium of the first day; `any` for all ties.
# column: horizon_days | days | Days since the tie was `landmark_days` past qualifying: 90 or 180.
# column: tie_count | count | Ties that were watched from then on.
# column: person_count | count | People in them.
# column: kept_ratio | ratio | Share still alive after horizon_days (Kaplan-Meier).
# column: lower_ratio | ratio | Lower bound of its interval, which allows for people who are in many ties.
# column: upper_ratio | ratio | Upper bound.
# column: adjusted_ratio | ratio | The same, weighted so that early strength (days with contact in the first `landmark_days`: 1, 2-3,
#   4-7, 8 and more) is
#   distributed as among all ties.
# column: adjusted_lower_ratio | ratio | Lower bound of its interval.
# column: adjusted_upper_ratio | ratio | Upper bound.
# column: covered_ratio | ratio | The share of all ties whose class of strength has enough ties of this medium; the others are judged
#   with the next
#   class, so that the adjustment is coarser where this is less than 1.
# column: reason | text | Why the adjusted share is empty: too_few (fewer than ten ties), no_overlap (ties of one strength only) or
#   not_observed (nobody was watched so long).
# unique: medium, horizon_days
# not_null: medium, horizon_days, tie_count, person_count
# assert: kept_ratio between 0 and 1 and adjusted_ratio between 0 and 1
# assert: lower_ratio <= kept_ratio + 1e-9 and kept_ratio <= upper_ratio + 1e-9
# assert: adjusted_lower_ratio <= adjusted_ratio + 1e-9 and adjusted_ratio <= adjusted_upper_ratio + 1e-9
# assert: (adjusted_ratio is null) = (reason is not null)
# caveat: Early strength is one difference between media; tasks, teams and the people themselves are others. Associations, not effects.
# caveat: Ties that ended within their first weeks are not counted here; tie_survival has them.
# reference: Anderson, Cain, Gelber (1983), Analysis of survival by tumor response, J. Clin. Oncol. 1: landmarks.
# reference: Hernan, Robins (2020), Causal Inference: What If, ch. 13: standardisation.
"""Survival of ties by medium of origin, standardised to equal early strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from metrics.media._dyads import Dyads
from metrics.parameters import Parameters

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

HORIZONS: Final = (90, 180)
MINIMUM_TIES: Final = 10
MINIMUM_COVERED: Final = 0.8
STRENGTH_EDGES: Final = (2, 4, 8)
"""Strata of early active days: 1, 2-3, 4-7, 8 and more."""

COLUMNS: Final = (
    "medium", "horizon_days", "tie_count", "person_count", "kept_ratio", "lower_ratio", "upper_ratio",
    "adjusted_ratio", "adjusted_lower_ratio", "adjusted_upper_ratio", "covered_ratio", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ties:
    """Ties from their landmark on: at risk on days in (entry, exit]."""

    entry: Ints
    exit: Ints
    ended: Flags
    a: Ints
    b: Ints
    stratum: Ints

    def where(self, mask: Flags) -> _Ties:
        return _Ties(self.entry[mask], self.exit[mask], self.ended[mask], self.a[mask], self.b[mask], self.stratum[mask])


@dataclass(frozen=True, slots=True)
class _Share:
    """A share still alive, and what each tie adds to it."""

    value: float
    influence: Floats
    fewest: int


def medium_survival(tie_spell: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Survival from the landmark on by medium of origin, raw and standardised.

    Args:
        tie_spell: One row a tie and observed stretch.
        parameters: `confidence` is used.

    Returns:
        One row for each medium of origin (and `any`) and horizon; see the header of this file.
    """
    frame = tie_spell.select(
        [
            "person_a_key", "person_b_key", "spell_number", "stretch_number", "entry_age_days", "exit_age_days", "is_ended", "is_at_risk",
            "origin_medium", "landmark_age_days", "start_active_days",
        ]
    ).to_pandas()  # fmt: skip
    frame = frame[frame["is_at_risk"].astype(bool) & frame["landmark_age_days"].notna() & frame["start_active_days"].notna()]
    frame = frame[frame["exit_age_days"] > frame["landmark_age_days"]]
    frame = frame.sort_values(["person_a_key", "person_b_key", "spell_number", "stretch_number"], ignore_index=True)
    landmark = frame["landmark_age_days"].to_numpy(dtype=float)
    ties = _Ties(
        entry=np.maximum(frame["entry_age_days"].to_numpy(dtype=float) - landmark, 0).astype(np.int64),
        exit=(frame["exit_age_days"].to_numpy(dtype=float) - landmark).astype(np.int64),
        ended=frame["is_ended"].to_numpy(dtype=bool),
        a=frame["person_a_key"].to_numpy(dtype=np.int64),
        b=frame["person_b_key"].to_numpy(dtype=np.int64),
        stratum=np.searchsorted(STRENGTH_EDGES, frame["start_active_days"].to_numpy(dtype=float), side="right").astype(np.int64),
    )
    is_first = ~frame.duplicated(["person_a_key", "person_b_key", "spell_number"]).to_numpy(dtype=bool)
    origin = frame["origin_medium"].to_numpy(dtype=str)
    weights = np.bincount(ties.stratum[is_first], minlength=len(STRENGTH_EDGES) + 1).astype(float)
    rows = []
    for medium in ["any", *sorted(set(origin))]:
        mask = np.ones(len(frame), dtype=bool) if medium == "any" else origin == medium
        for horizon in HORIZONS:
            row = {"medium": medium, "horizon_days": horizon, "tie_count": int(is_first[mask].sum())}
            rows.append(row | _row(ties.where(mask), weights / max(weights.sum(), 1), horizon, parameters.confidence))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(ties: _Ties, weights: Floats, horizon: int, confidence: float) -> dict[str, Any]:
    dyads = Dyads(ties.a, ties.b)
    row: dict[str, Any] = {"person_count": dyads.person_count}
    if len(ties.a) < MINIMUM_TIES:
        return row | {"reason": "too_few"}
    raw = alive_share(ties.entry, ties.exit, ties.ended, horizon)
    if raw is None:
        return row | {"reason": "not_observed"}
    row |= dict(zip(("kept_ratio", "lower_ratio", "upper_ratio"), _bounded(raw, dyads, confidence), strict=True))
    parts = _classes(ties, weights, horizon)
    own = sum(float(weights[members[0]]) for members, _ in parts if len(members) == 1)
    row["covered_ratio"] = min(own, 1.0)
    if len(parts) < 2 and own < MINIMUM_COVERED:
        return row | {"reason": "no_overlap"}
    value, fewest = 0.0, 0
    influence = np.zeros(len(ties.a))
    for members, part in parts:
        weight = float(weights[members].sum())
        value, fewest = value + weight * part.value, fewest + part.fewest
        influence[np.isin(ties.stratum, members)] = weight * part.influence
    adjusted = _Share(min(value, 1.0), influence, fewest)
    names = ("adjusted_ratio", "adjusted_lower_ratio", "adjusted_upper_ratio")
    return row | dict(zip(names, _bounded(adjusted, dyads, confidence), strict=True)) | {"reason": None}


def _classes(ties: _Ties, weights: Floats, horizon: int) -> list[tuple[list[int], _Share]]:
    """Classes of strength with enough ties to say something, from the strongest down; a class with too few joins the next."""
    found: list[tuple[list[int], _Share]] = []
    waiting: list[int] = []
    for stratum in (stratum for stratum in reversed(range(len(weights))) if weights[stratum] > 0):
        waiting.append(stratum)
        part = _share_of(ties, waiting, horizon)
        if part is not None:
            found.append((waiting, part))
            waiting = []
    if waiting and found:
        members = found.pop()[0] + waiting
        part = _share_of(ties, members, horizon)
        # a class that is watched long enough by itself is so with others
        if part is not None:
            found.append((members, part))
    return found


def _share_of(ties: _Ties, members: list[int], horizon: int) -> _Share | None:
    mask = np.isin(ties.stratum, members)
    return alive_share(ties.entry[mask], ties.exit[mask], ties.ended[mask], horizon)


def alive_share(entry: Ints, exit_: Ints, ended: Flags, horizon: int, minimum_at_risk: int = 5) -> _Share | None:
    """Kaplan-Meier's share alive after day `horizon`, with late entry, and what each tie adds to its error.

    Returns:
        None where fewer than `minimum_at_risk` ties are at risk on some day until then.
    """
    if not len(entry):
        return None
    days = np.arange(1, horizon + 1)
    at_risk = np.searchsorted(np.sort(entry), days) - np.searchsorted(np.sort(exit_), days)
    if at_risk.min() < minimum_at_risk:
        return None
    ends = np.bincount(exit_[ended & (exit_ <= horizon)], minlength=horizon + 1)[1:]
    alive = at_risk - ends
    value = float(np.prod(alive / at_risk))
    step = np.where(alive > 0, ends / (at_risk * np.maximum(alive, 1)), 0.0)
    summed = np.concatenate([[0.0], np.cumsum(step)])
    jump = np.concatenate([[0.0], np.where(alive > 0, 1 / np.maximum(alive, 1), 0.0)])
    influence = np.where(ended & (exit_ <= horizon), jump[np.minimum(exit_, horizon)], 0.0)
    influence = influence - (summed[np.minimum(exit_, horizon)] - summed[np.minimum(entry, horizon)])
    return _Share(value, -value * influence, int(at_risk.min()))


def _bounded(share: _Share, dyads: Dyads, confidence: float) -> tuple[float, float, float]:
    """The share with its interval on the log-minus-log scale; at 0 and 1 the exact bound of none among the fewest at risk."""
    value, tail = share.value, ((1 - confidence) / 2) ** (1 / max(share.fewest, 1))
    if value <= 0:
        return 0.0, 0.0, 1 - tail
    if value >= 1:
        return 1.0, tail, 1.0
    error = np.sqrt(dyads.variance(share.influence)) / (value * abs(np.log(value)))
    width = float(np.exp(dyads.quantile(confidence) * error))
    return value, value**width, float(value ** (1 / width))
