"""One seed's verdicts: for each planted quantity, whether the interval in the published table holds the truth; for each null, what is
said of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from metrics.policy._design import blocks, starts
from planted import truths
from planted.society import Society, society

TABLES: Final = {
    "default": ("medium_hazard", "org_panel_reciprocity", "policy_effect"),
    "alike": (
        "medium_hazard", "tie_half_life", "tie_survival", "medium_survival", "org_panel_cross_team", "org_panel_reciprocity",
        "newcomer_integration", "policy_effect",
    ),
    "apart": ("medium_hazard", "policy_effect"),
}  # fmt: skip
MONTH: Final = "2025-06-01"
"""The month that is looked at: months that follow on each other hold much the same ties, and would count one verdict many times."""


@dataclass(frozen=True)
class Cover:
    """An interval and the truth.

    Attributes:
        quantity: What was planted.
        level: Of which medium, age or the like.
        estimate: The estimate; None where the table gives an interval only.
        truth: The truth.
        low: Lower bound.
        high: Upper bound; infinite where the table knows none.
    """

    quantity: str
    level: str
    estimate: float | None
    truth: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True)
class Null:
    """What was said of an effect that is not there."""

    family: str
    level: str
    is_called: bool


Verdict = Cover | Null


def verdicts(seed: int, newcomer_worlds: int = 100) -> list[Verdict]:
    """Build the three organisations of a seed and judge their tables."""
    found: list[Verdict] = []
    one = society("default", seed, TABLES["default"])
    with one.warehouse:
        found += [*_media_used(one), *_reciprocity(one, "multiplex"), *_policy_for_all(one)]
    one = society("alike", seed, TABLES["alike"])
    with one.warehouse:
        found += [*_origin_medium(one), *_lives(one), *_reciprocity(one, "single medium"), *_cross_team(one)]
        found += [*_newcomers(one, newcomer_worlds), *_no_policy(one)]
    one = society("apart", seed, TABLES["apart"])
    with one.warehouse:
        found += [*_no_medium(one), *_policy_by_team(one)]
    return found


def _cover(quantity: str, level: str, estimate: Any, truth: float, low: Any, high: Any) -> Iterator[Cover]:
    """The verdict, if the table says anything: a lower bound at least."""
    if not pd.isna(low):
        known = None if pd.isna(estimate) else float(estimate)
        yield Cover(quantity, level, known, truth, float(low), math.inf if pd.isna(high) else float(high))


def _log_ratio(quantity: str, row: Any, truth: float) -> Iterator[Cover]:
    yield from _cover(quantity, row.term, math.log(row.hazard_ratio), truth, math.log(row.lower_ratio), math.log(row.upper_ratio))


def _hazard_rows(one: Society, model: str | None = None) -> Iterator[Any]:
    rows = one.table("medium_hazard")
    return rows[rows["reason"].isna() & ((rows["model"] == model) | (model is None))].itertuples()


def _media_used(one: Society) -> Iterator[Verdict]:
    for row in _hazard_rows(one, "media_used"):
        if row.term_kind == "medium":
            yield from _log_ratio("log hazard ratio, medium used", row, truths.log_hazard_ratio(one.world, row.term, row.reference_medium))
        else:
            truth = truths.control_log_hazard_ratio(one.world, row.term)
            yield from _log_ratio("log hazard ratio, control", row, truth)


def _origin_medium(one: Society) -> Iterator[Verdict]:
    for row in _hazard_rows(one, "origin_medium"):
        if row.term_kind == "medium":
            truth = truths.log_hazard_ratio(one.world, row.term, row.reference_medium)
            yield from _log_ratio("log hazard ratio, medium of origin", row, truth)
        else:
            yield Null("hazard ratio of a control", row.term, bool(row.is_distinct))


def _no_medium(one: Society) -> Iterator[Verdict]:
    for row in _hazard_rows(one):
        family = f"hazard ratio of a medium ({row.model})" if row.term_kind == "medium" else "hazard ratio of a control"
        yield Null(family, row.term, bool(row.is_distinct))
        yield Null("hazard ratio that changes with age", row.term, abs(row.proportionality_z) > 2)


def _lives(one: Society) -> Iterator[Verdict]:
    world = one.world
    for row in one.table("tie_half_life").itertuples():
        if row.grouping == "origin_medium":
            kind = truths.KIND[row.level]
            truth = truths.half_life(world, kind)
            yield from _cover("half-life in weeks", row.level, row.half_life_weeks, truth, row.lower_weeks, row.upper_weeks)
            bounds = row.exponential_lower_weeks, row.exponential_upper_weeks
            yield from _cover("half-life in weeks, exponential law", row.level, row.exponential_weeks, truth, *bounds)
        elif row.grouping == "medium_mix" and "+" not in row.level:
            truth = truths.half_life_from_landmark(world, row.level, 28)
            yield from _cover(
                "half-life in weeks from the landmark", row.level, row.half_life_weeks, truth, row.lower_weeks, row.upper_weeks
            )
    curve = one.table("tie_survival")
    for row in curve[(curve["grouping"] == "origin_medium") & (curve["age_days"] == 90)].itertuples():
        truth = truths.survival(world, truths.KIND[row.level], 90)
        yield from _cover("survival at 90 days", row.level, row.survival_ratio, truth, row.lower_ratio, row.upper_ratio)
    kept = one.table("medium_survival")
    for row in kept[(kept["medium"] != "any") & (kept["horizon_days"] == 90)].itertuples():
        truth = truths.kept_from_landmark(world, truths.KIND[row.medium], 90)
        yield from _cover("kept 90 days from the landmark", row.medium, row.kept_ratio, truth, row.lower_ratio, row.upper_ratio)
        bounds = row.adjusted_lower_ratio, row.adjusted_upper_ratio
        yield from _cover("kept 90 days from the landmark, adjusted", row.medium, row.adjusted_ratio, truth, *bounds)


def _month(one: Society, table: str) -> pd.DataFrame:
    rows = one.table(table)
    return rows[(rows["panel_kind"] == "month") & (pd.to_datetime(rows["panel_start"]) == MONTH)]


def _reciprocity(one: Society, society_name: str) -> Iterator[Verdict]:
    for row in _month(one, "org_panel_reciprocity").itertuples():
        # a group of three is made of mutual ties only
        if "group" not in row.medium:
            yield from _cover(f"reciprocity, {society_name}", row.medium, row.r, truths.reciprocity(one.world), row.r_low, row.r_high)


def _cross_team(one: Society) -> Iterator[Verdict]:
    for row in _month(one, "org_panel_cross_team").itertuples():
        # which chat and channel a tie has depends on its teams: only mail is the same for all
        if row.medium in ("any", "email"):
            bounds = row.cross_team_share_low, row.cross_team_share_high
            yield from _cover("cross-team share", row.medium, row.cross_team_share, truths.cross_team_share(one.world), *bounds)


def _newcomers(one: Society, worlds: int) -> Iterator[Verdict]:
    rows = one.table("newcomer_integration")
    rows = rows[(rows["cohort"] == "all") & (rows["medium"] == "any")].set_index("horizon_days")
    for horizon, truth in zip(truths.HORIZONS, truths.newcomer_ties(worlds), strict=True):
        row = rows.loc[horizon]
        bounds = row["lower_mean_ties"], row["upper_mean_ties"]
        yield from _cover("newcomer's ties", f"{horizon} days", row["mean_ties"], truth, *bounds)


def _policy_for_all(one: Society) -> Iterator[Verdict]:
    weeks = one.table("team_week_outcome")
    begun = one.organisation.settings()["policies"][0]["starts_on"]
    after = weeks[weeks["team"].isna() & (pd.to_datetime(weeks["week_start"]) >= pd.Timestamp(begun))]
    change = truths.policy_for_all(one.world, float(after["meeting_hours"].mean()))
    rows = one.table("policy_effect")
    for row in rows[rows["outcome"] == "meeting_hours"].itertuples():
        truth = 0.0 if row.estimand == "slope" else change
        yield from _cover("policy for everyone, meeting hours", row.estimand, row.effect, truth, row.effect_low, row.effect_high)


def _policy_by_team(one: Society) -> Iterator[Verdict]:
    declared = one.warehouse.connection.sql("select * from core.policy").df()
    design = blocks(one.table("team_week_outcome"), starts(declared)[0], "meeting_hours")
    rows = one.table("policy_effect")
    row = rows[rows["outcome"] == "meeting_hours"].iloc[0]
    if not isinstance(design, str):
        truth = truths.policy_by_team(one.world, design)
        yield from _cover("policy by team, meeting hours", "average", row["effect"], truth, row["effect_low"], row["effect_high"])


def _no_policy(one: Society) -> Iterator[Verdict]:
    rows = one.table("policy_effect")
    for row in rows[rows["reason"].isna()].itertuples():
        family = "policy by team" if row.method == "staggered" else "policy for everyone"
        yield Null(family, f"{row.outcome}, {row.estimand}", row.p_value_ratio < 0.05)
        if row.method == "staggered" and not pd.isna(row.pre_trend_p_ratio):
            yield Null("trend before a policy by team", row.outcome, row.pre_trend_p_ratio < 0.05)
