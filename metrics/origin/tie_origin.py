# description: How many ties the organisation itself brought about (a line of management, a standing meeting, a shared team, a declared
#   relationship) and how many came about by themselves, and how long each kind holds.
# question: Which relationships does the organisation create, which do people create, and which of them last?
# grain: origin
# role: people | person_count
# role: design | is_exclusive
# role: pairs | tie_count
# role: estimate over tie_count | tie_ratio, half_life_weeks
# role: pairs among tie_count | followed_count
# role: pairs among followed_count | ended_count
# role: share over followed_count | survival_90_ratio, survival_180_ratio
# role: interval of survival_90_ratio | lower_90_ratio, upper_90_ratio
# role: interval of survival_180_ratio | lower_180_ratio, upper_180_ratio
# role: words | reason
# column: origin | text | all, institutional (any of the four), organic (none of them), manager_line, standing_meeting, same_team,
#   declared, unknown. A tie may have several of the four.
# column: is_exclusive | flag | Whether the row is one of institutional, organic and unknown, which add up to all.
# column: tie_count | count | Ties that began in the observed time, of known and unknown age.
# column: tie_ratio | ratio | Their share of all.
# column: person_count | count | People in them.
# column: followed_count | count | How many of them are in the survival figures: of known age, and watched.
# column: ended_count | count | How many of those ended.
# column: survival_90_ratio | ratio | Share alive 90 days after they qualified.
# column: lower_90_ratio | ratio | Lower bound of its interval.
# column: upper_90_ratio | ratio | Upper bound.
# column: survival_180_ratio | ratio | Share alive 180 days after they qualified.
# column: lower_180_ratio | ratio | Lower bound of its interval.
# column: upper_180_ratio | ratio | Upper bound.
# column: half_life_weeks | weeks | Age at which half have ended; empty if that was not reached.
# column: reason | text | Why survival is empty: too_few (fewer than ten ties at risk) or not_observed (none watched for 90, or for 180
#   days).
# unique: origin
# not_null: origin, is_exclusive, tie_count, person_count, followed_count, ended_count
# assert: survival_180_ratio <= survival_90_ratio + 1e-9
# assert: lower_90_ratio <= survival_90_ratio and survival_90_ratio <= upper_90_ratio
# assert: (survival_180_ratio is null) = (reason is not null)
# caveat: Standing meetings and line management bring contact by themselves: that such ties last need not mean that anyone would miss
#   them.
# caveat: Organic means that none of the four is seen. Projects, a shared floor or an introduction leave no trace here.
# caveat: Origin is read from the start of a tie; what became of team or manager later plays no part. Differences are associations.
# caveat: Where the directory does not show the team of one of the two and nothing else brought them together, the origin is unknown, not
#   organic.
# reference: McEvily, Soda, Tortoriello (2014), More formally: rediscovering the missing link between formal organization and informal
#   social structure, Academy of Management Annals 8.
"""Origins of ties and how each survives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._survival import Curve, lives_of, spells
from metrics.parameters import Parameters

AGES = (90, 180)
KINDS = ("manager_line", "standing_meeting", "same_team", "declared")
_KEYS = ["person_a_key", "person_b_key", "spell_number"]
COLUMNS = (
    "origin", "is_exclusive", "tie_count", "tie_ratio", "person_count", "followed_count", "ended_count",
    "survival_90_ratio", "lower_90_ratio", "upper_90_ratio", "survival_180_ratio", "lower_180_ratio", "upper_180_ratio",
    "half_life_weeks", "reason",
)  # fmt: skip


def tie_origin(tie_spell: pa.Table, tie_institution: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Count ties by what brought them about, with the survival of each kind.

    Args:
        tie_spell: One row for each tie and observed stretch.
        tie_institution: One row for each tie: which institutions stood at its start.
        parameters: `confidence` is used.

    Returns:
        One row for each origin that occurs; see the header of this file.
    """
    frame = spells(tie_spell).merge(tie_institution.to_pandas(), on=_KEYS, how="left")
    institutional = frame["is_institutional"].astype("boolean")
    origins = {
        "all": np.ones(len(frame), dtype=bool),
        "institutional": institutional.fillna(False).to_numpy(dtype=bool),
        "organic": (~institutional).fillna(False).to_numpy(dtype=bool),
        **{kind: frame[f"is_{kind}"].astype("boolean").fillna(False).to_numpy(dtype=bool) for kind in KINDS},
        "unknown": institutional.isna().to_numpy(dtype=bool),
    }
    total = int((frame["stretch_number"] == 1).sum())
    rows = [_row(origin, frame[mask], total, parameters.confidence) for origin, mask in origins.items() if mask.any()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(origin: str, frame: pd.DataFrame, total: int, confidence: float) -> dict[str, Any]:
    lives, followed = lives_of(frame)
    curve = Curve.of(lives)
    ties = int((frame["stretch_number"] == 1).sum())
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "origin": origin,
        "is_exclusive": origin in ("institutional", "organic", "unknown"),
        "tie_count": ties,
        "tie_ratio": ties / total,
        "person_count": len(pd.concat([frame["person_a_key"], frame["person_b_key"]]).unique()),
        "followed_count": followed,
        "ended_count": int(lives.ended.sum()),
    }
    if not curve.last_age:
        return row | {"reason": "too_few"}
    for age in AGES:
        if age <= curve.last_age:
            lower, upper = curve.band(np.array([age]), confidence)
            row |= {
                f"survival_{age}_ratio": round(float(curve.survival[age]), 9),
                f"lower_{age}_ratio": round(float(lower[0]), 9),
                f"upper_{age}_ratio": round(float(upper[0]), 9),
            }
    half = curve.reached(0.5)
    row["half_life_weeks"] = None if half is None else round(half / 7, 6)
    return row | {"reason": None if curve.last_age >= AGES[-1] else "not_observed"}
