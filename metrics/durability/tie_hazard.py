# description: At what rate ties end at each age, in bands of thirty days, for the same groups as tie_survival.
# question: When are relationships most at risk of fading: when they are new, or later?
# grain: grouping, level, age_from_days
# role: people | person_count
# role: pairs | tie_count
# role: pairs among tie_count | ended_count
# role: volume | exposure_days
# role: design | age_to_days
# role: estimate over ended_count | ended_per_30_days_ratio
# role: interval of ended_per_30_days_ratio | lower_ratio, upper_ratio
# role: words | reason
# column: grouping | text | By what ties are grouped: all, origin_medium, settled (all whose media at the start are known, counted like
#   medium_mix, which is to be compared with it), medium_mix, is_cross_team, external_kind.
# column: level | text | The group; own stands for ties within the own organisation.
# column: age_from_days | days | The band's first age.
# column: age_to_days | days | The first age after it.
# column: person_count | count | People in ties that were watched within the band.
# column: tie_count | count | Ties (or ties in a stretch of observed time) that were watched within the band.
# column: exposure_days | days | Days that those were at risk within the band, added up.
# column: ended_count | count | How many ended.
# column: ended_per_30_days_ratio | ratio | Ends per tie in thirty days of being at risk: 30 x ended / exposure. Empty if too few were
#   watched.
# column: lower_ratio | ratio | Lower bound of its interval.
# column: upper_ratio | ratio | Upper bound.
# column: reason | text | Why it is empty: too_few (fewer than ten ties in the band, or less than thirty days at risk).
# unique: grouping, level, age_from_days
# not_null: grouping, level, age_from_days, age_to_days, tie_count, exposure_days, ended_count
# assert: lower_ratio <= ended_per_30_days_ratio and ended_per_30_days_ratio <= upper_ratio
# assert: (ended_per_30_days_ratio is null) = (reason is not null)
# caveat: A rate can exceed 1: ties then end faster than once in thirty days.
# caveat: The first band holds the many pairs that spoke just enough to count as a tie and then no more.
# caveat: Groups differ in more than what names them; read differences as associations. A falling rate may mean that ties grow stronger,
#   or that the weak ones are gone.
# reference: Aalen, Borgan, Gjessing (2008), Survival and Event History Analysis, section 5.2 (occurrence and exposure).
"""Hazard of ties by age."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._survival import MINIMUM_AT_RISK, Dyads, Group, groups, rate, spells
from metrics.parameters import Parameters

BAND_DAYS = 30
COLUMNS = (
    "grouping", "level", "age_from_days", "age_to_days", "person_count", "tie_count", "exposure_days", "ended_count",
    "ended_per_30_days_ratio", "lower_ratio", "upper_ratio", "reason",
)  # fmt: skip


def tie_hazard(tie_spell: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Ends per tie in thirty days at risk, by group and age.

    Args:
        tie_spell: One row for each tie and observed stretch.
        parameters: `confidence` is used.

    Returns:
        One row for each group and band of age; see the header of this file.
    """
    rows = [row for group in groups(spells(tie_spell)) for row in _bands(group, parameters.confidence)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _bands(group: Group, confidence: float) -> Iterator[dict[str, Any]]:
    lives = group.lives
    oldest = int(lives.exit.max()) if len(lives) else 0
    for low in range(0, oldest, BAND_DAYS):
        high = low + BAND_DAYS
        watched = lives.where((lives.entry < high) & (lives.exit > low))
        dyads = Dyads.of(watched.a, watched.b)
        found = rate(watched, dyads, confidence, low, high)
        is_known = len(watched) >= MINIMUM_AT_RISK and found.exposure >= BAND_DAYS
        values = [found.rate, found.lower, found.upper] if is_known else [None] * 3
        yield {
            "grouping": group.grouping,
            "level": group.level,
            "age_from_days": float(low),
            "age_to_days": float(high),
            "person_count": dyads.person_count,
            "tie_count": len(watched),
            "exposure_days": found.exposure,
            "ended_count": found.ended,
            **dict(
                zip(
                    ("ended_per_30_days_ratio", "lower_ratio", "upper_ratio"),
                    (np.nan if value is None else round(BAND_DAYS * value, 9) for value in values),
                    strict=True,
                )
            ),
            "reason": None if is_known else "too_few",
        }
