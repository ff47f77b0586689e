# description: Of the ties that came into being, the share that is still alive at each age, by the medium in which they began, the kinds
#   of media they used at their start, whether they cross teams, and the kind of the other organisation (Kaplan-Meier with late entry).
# question: How long do relationships last, and does it differ by how they began?
# grain: grouping, level, age_days
# role: people | person_count
# role: pairs | tie_count, left_out_count, at_risk_count
# role: pairs among tie_count | ended_count
# role: share over at_risk_count | survival_ratio
# role: interval of survival_ratio | lower_ratio, upper_ratio
# role: words | reason
# column: grouping | text | By what ties are grouped: all, origin_medium, settled (all whose media at the start are known, counted like
#   medium_mix, which is to be compared with it), medium_mix, is_cross_team, external_kind.
# column: level | text | The group; own stands for ties within the own organisation.
# column: age_days | days | Days since the tie qualified: every week, and 30, 90, 180 and 365.
# column: tie_count | count | Ties in the curve.
# column: left_out_count | count | Ties of the group that are in no curve by age: begun too soon after collection did, or qualified too
#   late to tell.
# column: person_count | count | People in those ties.
# column: at_risk_count | count | Ties that are alive and watched just after this age.
# column: ended_count | count | Ties that ended since the age before.
# column: survival_ratio | ratio | Share alive after this age; for settled and medium_mix, of those alive when their media were
#   known. Empty if not
#   observed.
# column: lower_ratio | ratio | Lower bound of its interval.
# column: upper_ratio | ratio | Upper bound.
# column: reason | text | Why the share is empty: too_few (fewer than ten ties at risk) or not_observed (no tie was watched to that age).
# unique: grouping, level, age_days
# not_null: grouping, level, age_days, tie_count, left_out_count, person_count, at_risk_count, ended_count
# assert: survival_ratio between 0 and 1
# assert: lower_ratio <= survival_ratio + 1e-9 and survival_ratio <= upper_ratio + 1e-9
# assert: (survival_ratio is null) = (reason is not null)
# caveat: Groups differ in more than what names them: ties that begin by e-mail are between other people than those that begin in a chat.
#   Read differences as associations.
# caveat: A tie ends when silence follows, so that rare but faithful contact looks short-lived.
# caveat: The band allows for people who are in many ties; it holds at each age by itself, not for the whole curve at once.
# caveat: Where ties began before collection did their age is unknown and they are left out: the oldest ties are missing here.
# reference: Kaplan, Meier (1958), Nonparametric estimation from incomplete observations, JASA 53; late entry after Tsai, Jewell, Wang
#   (1987), Biometrika 74.
# reference: Aronow, Samii, Assenova (2015), Cluster-robust variance estimation for dyadic data, Political Analysis 23.
"""Survival curves of ties."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._survival import Curve, Group, groups, spells
from metrics.parameters import Parameters

MILESTONES = (30, 90, 180, 365)
COLUMNS = (
    "grouping", "level", "age_days", "tie_count", "left_out_count", "person_count", "at_risk_count", "ended_count",
    "survival_ratio", "lower_ratio", "upper_ratio", "reason",
)  # fmt: skip


def tie_survival(tie_spell: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Kaplan-Meier curves of ties with late entry, one a group.

    Args:
        tie_spell: One row for each tie and observed stretch.
        parameters: `confidence` is used.

    Returns:
        One row for each group and age; see the header of this file.
    """
    parts = [_rows(group, parameters.confidence) for group in groups(spells(tie_spell))]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _rows(group: Group, confidence: float) -> pd.DataFrame:
    curve = Curve.of(group.lives)
    horizon = len(curve.at_risk) - 2
    ages = np.array([0])
    if curve.last_age:
        ages = np.array(sorted({*range(0, horizon + 7, 7), *(age for age in MILESTONES if age <= horizon + 7)}))
    known = ages <= (curve.last_age or -1)
    survival, lower, upper = (np.full(len(ages), np.nan) for _ in range(3))
    if known.any():
        survival[known] = curve.survival[ages[known]]
        lower[known], upper[known] = curve.band(ages[known], confidence)
    beyond = np.zeros(16, dtype=np.int64)
    at_risk = np.concatenate([curve.at_risk, beyond])[ages + 1]
    ended = np.cumsum(np.concatenate([curve.ended, beyond]))[ages]
    return pd.DataFrame(
        {
            "grouping": group.grouping,
            "level": group.level,
            "age_days": ages.astype(float),
            "tie_count": group.tie_count,
            "left_out_count": group.left_out_count,
            "person_count": curve.dyads.person_count,
            "at_risk_count": at_risk,
            "ended_count": np.diff(ended, prepend=0),
            "survival_ratio": np.round(survival, 9),
            "lower_ratio": np.round(lower, 9),
            "upper_ratio": np.round(upper, 9),
            "reason": [
                None if is_known else "too_few" if count or not curve.last_age else "not_observed"
                for is_known, count in zip(known, at_risk, strict=True)
            ],
        },
        columns=list(COLUMNS),
    )
