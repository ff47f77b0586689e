# description: The age at which half of the ties have ended, for the same groups as tie_survival, with its interval; and what two simple
#   laws of decay say where half have not ended within the time observed.
# question: How long does it take until half of the relationships that begin have faded?
# grain: grouping, level
# role: people | person_count
# role: pairs | tie_count
# role: pairs among tie_count | ended_count
# role: estimate over tie_count | half_life_weeks, followed_weeks
# role: interval of half_life_weeks | lower_weeks, upper_weeks
# role: estimate over ended_count | exponential_weeks, weibull_weeks, weibull_shape
# role: interval of exponential_weeks | exponential_lower_weeks, exponential_upper_weeks
# role: words | is_extrapolated, reason
# role: pairs | left_out_count
# column: grouping | text | By what ties are grouped: all, origin_medium, settled (all whose media at the start are known, counted like
#   medium_mix, which is to be compared with it), medium_mix, is_cross_team, external_kind; threshold sets other beginnings beside `all`.
# column: level | text | The group; own stands for ties within the own organisation. Under threshold: days (a tie begins with its
#   `tie_active_days`th day in touch, exchange or not) and more_days (with the second day in touch after that).
# column: tie_count | count | Ties that began and are counted.
# column: left_out_count | count | Ties that began and are not counted: too soon after collection did for their age to be known, or too late
#   to tell.
# column: person_count | count | People in those ties.
# column: ended_count | count | How many of the ties ended.
# column: half_life_weeks | weeks | Age at which half have ended, from the survival curve; empty if not reached.
# column: lower_weeks | weeks | Lower bound of its interval; given also where the half-life is not reached but is known to be longer than
#   this.
# column: upper_weeks | weeks | Upper bound; empty where it was not reached.
# column: followed_weeks | weeks | Up to which age the curve says anything.
# column: exponential_weeks | weeks | Half-life if ties that outlast their first day end at the same rate at every age.
# column: exponential_lower_weeks | weeks | Lower bound of its interval.
# column: exponential_upper_weeks | weeks | Upper bound.
# column: weibull_weeks | weeks | Half-life if that rate rises or falls with a power of age (Weibull).
# column: weibull_shape | index | That power plus one: below 1 ties that have lasted fade more slowly than new ones, above 1 faster.
# column: is_extrapolated | flag | Whether half had not ended within the time observed, so that only the two laws speak, about ages that
#   nobody has seen.
# column: reason | text | Why half_life_weeks is empty: not_reached or too_few (fewer than ten ties at risk).
# unique: grouping, level
# not_null: grouping, level, tie_count, left_out_count, person_count, ended_count, is_extrapolated
# assert: (half_life_weeks is null) = (reason is not null)
# assert: lower_weeks <= half_life_weeks and half_life_weeks <= upper_weeks
# caveat: Where is_extrapolated is set, the half-life is a guess from a law of decay: the longer than followed_weeks, the less it is
#   worth.
# caveat: What counts as a beginning decides the half-life: most pairs that exchange a message and its answer never do so again. Read all,
#   threshold days and threshold more_days together, and tie_stock_survival first.
# caveat: Groups differ in more than what names them; read differences as associations.
# caveat: For settled and medium_mix the half-life is the age at which half of those have ended that were alive when their media were known
#   (`landmark_days`).
# reference: Brookmeyer, Crowley (1982), A confidence interval for the median survival time, Biometrics 38.
"""Half-lives of ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from metrics.durability._survival import Curve, Group, Lives, from_later, groups, lives_of, spells, weibull
from metrics.parameters import Parameters

COLUMNS = (
    "grouping", "level", "tie_count", "left_out_count", "person_count", "ended_count", "half_life_weeks", "lower_weeks", "upper_weeks",
    "followed_weeks",
    "exponential_weeks", "exponential_lower_weeks", "exponential_upper_weeks", "weibull_weeks", "weibull_shape",
    "is_extrapolated", "reason",
)  # fmt: skip

THRESHOLDS = ("days", "more_days")


def tie_half_life(tie_spell: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Median age at which ties end, one a group, with exponential and Weibull half-lives beside it.

    Args:
        tie_spell: One row for each tie and observed stretch.
        parameters: `confidence` is used.

    Returns:
        One row for each group; see the header of this file.
    """
    listed = spells(tie_spell)
    found = [*groups(listed), *(_beginning(listed, level) for level in THRESHOLDS if len(listed))]
    return pd.DataFrame([_row(group, parameters.confidence) for group in found], columns=list(COLUMNS))


def _beginning(listed: pd.DataFrame, level: str) -> Group:
    """All ties, their lives counted from another beginning."""
    later = from_later(listed, f"{level}_tie_date")
    lives, counted = lives_of(later)
    return Group(
        "threshold", level, lives, counted, len(later[["person_a_key", "person_b_key", "spell_number"]].drop_duplicates()) - counted
    )


def _weeks(days: float | None) -> float | None:
    return None if days is None or not np.isfinite(days) else round(days / 7, 6)


def _row(group: Group, confidence: float) -> dict[str, Any]:
    curve = Curve.of(group.lives)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "grouping": group.grouping,
        "level": group.level,
        "tie_count": group.tie_count,
        "left_out_count": group.left_out_count,
        "person_count": curve.dyads.person_count,
        "ended_count": int(group.lives.ended.sum()),
        "is_extrapolated": False,
    }
    if not curve.last_age:
        return row | {"reason": "too_few"}
    row["followed_weeks"] = _weeks(curve.last_age)
    half = curve.reached(0.5)
    # the bound of survival from below passes a half first: it gives the earlier age
    lower, upper = curve.reached_between(0.5, confidence)
    return row | {
        "half_life_weeks": _weeks(half),
        "lower_weeks": _weeks(lower),
        "upper_weeks": _weeks(upper),
        "is_extrapolated": half is None,
        "reason": "not_reached" if half is None else None,
        **_laws(curve, confidence),
    }


def _laws(curve: Curve, confidence: float) -> dict[str, float | None]:
    """Half-lives by the two laws, which hold after the first day: the many that end on the day they qualify follow neither."""
    lives = curve.lives
    first = int(lives.entry.min()) + 1
    is_new = lives.entry < first
    kept_share = float(1 - np.mean(lives.ended[is_new] & (lives.exit[is_new] == first)))
    later = Lives(np.maximum(lives.entry, first), lives.exit, lives.ended, lives.a, lives.b).where(lives.exit > first)
    ended, exposure = int(later.ended.sum()), float((later.exit - later.entry).sum())
    fitted = weibull(later)
    if fitted is None:
        return {}
    if kept_share <= 0.5:
        return {"exponential_weeks": _weeks(first), "weibull_weeks": _weeks(first), "weibull_shape": round(fitted[1], 6)}
    rate, left = ended / exposure, float(np.log(2 * kept_share))
    days = np.where(lives.exit > first, lives.exit - np.maximum(lives.entry, first), 0)
    ends = lives.ended & (lives.exit > first)
    # influences of each tie on log(kept share) and on the rate, and of both on the half-life
    on_share = np.where(is_new, (1 - (lives.ended & (lives.exit == first))) / kept_share - 1, 0.0) / max(int(is_new.sum()), 1)
    on_rate = (ends - rate * days) / exposure
    on_age = on_share / rate - left / rate**2 * on_rate
    variance = max(float(curve.dyads.squares(on_age[:, None])[0]), float((on_age**2).sum()))
    width = float(np.exp(curve.dyads.quantile(confidence) * np.sqrt(variance) / (left / rate)))
    scale, shape = fitted
    return {
        "exponential_weeks": _weeks(first + left / rate),
        "exponential_lower_weeks": _weeks(first + left / rate / width),
        "exponential_upper_weeks": _weeks(first + left / rate * width),
        "weibull_weeks": _weeks(scale * (left + (first / scale) ** shape) ** (1 / shape)),
        "weibull_shape": round(shape, 6),
    }
