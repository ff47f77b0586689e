# description: What each declared change of policy did to meeting hours, new ties, ties kept and contact across teams: against teams that
#   had not started (staggered policies), or against the organisation's own trend (policies for everyone at once).
# question: Did the change of policy do what it was meant to do?
# grain: policy_key, outcome, estimand
# role: people | person_count
# role: design | method, treated_team_count, compared_team_count, comparison
# role: calendar | before_count, after_count
# role: estimate over person_count | effect, baseline, autocorrelation, p_value_ratio, pre_trend_p_ratio, residual_p_ratio
# role: interval of effect | effect_low, effect_high
# role: words | is_seasonal, reason
# role: estimate over person_count | adjusted_p_ratio, detectable_effect, margin, equivalence_p_ratio
# column: policy_key | text | The policy.
# column: outcome | text | meeting_hours (a member and week), tie_formation (new ties a member and week), persistence (share of pairs in
#   contact in the four weeks before who are in contact in a week) or cross_team (share of days in contact that are with another team).
# column: person_count | count | People in the teams that the policy is for, or in the organisation, in their fullest week.
# column: method | text | staggered (difference in differences between teams) or interrupted (time series of the whole organisation).
# column: estimand | text | average (over the time since the start), level (step at the start) or slope (change a week); the latter two for
#   interrupted only.
# column: effect | score | The effect, in units of the outcome.
# column: effect_low | score | Lower end of its interval.
# column: effect_high | score | Upper end.
# column: p_value_ratio | ratio | How likely so large an effect would be by chance if there were none.
# column: adjusted_p_ratio | ratio | The same after Benjamini and Hochberg's correction for all outcomes and policies of the same estimand;
#   an effect is spoken of only below .05.
# column: detectable_effect | score | How large an effect, either way, would have been told from none in four cases out of five: smaller
#   ones cannot be ruled out by an interval that holds 0.
# column: margin | score | How small an effect counts as no difference: `policy_margin` of the mean outcome before.
# column: equivalence_p_ratio | ratio | How easily chance gives an estimate so close to 0 if the effect were as large as the margin (two
#   one-sided tests): only below .05 is it shown that the policy changed no more than the margin.
# column: baseline | score | Mean outcome before, of the teams that started (staggered) or of the organisation.
# column: treated_team_count | count | Teams that started within the observed time; empty for interrupted.
# column: compared_team_count | count | Teams that never started; empty for interrupted.
# column: comparison | text | never_started, not_yet_started (teams that started later served too) or own_trend.
# column: before_count | count | Blocks of four weeks (staggered) or weeks (interrupted) before the first start.
# column: after_count | count | The same since the first start.
# column: pre_trend_p_ratio | ratio | How likely the differences before the start would be by chance; small = the teams were already moving
#   apart, so distrust the effect. Empty for interrupted.
# column: autocorrelation | score | How much one week carries over into the next beyond trends, on average over what the series allows;
#   interrupted only.
# column: residual_p_ratio | ratio | Small = errors hang together beyond that, so distrust the interval; interrupted only.
# column: is_seasonal | flag | Whether the year's course was allowed for; interrupted only.
# column: reason | text | Why there is no effect given: too_few_teams, too_few_weeks, not_observed, no_variation, false_alarms (this
#   figure of an interrupted series calls more than 7% of changes that are not there: withheld); empty otherwise.
# unique: policy_key, outcome, estimand
# not_null: policy_key, outcome, method, estimand
# assert: effect_low <= effect and effect <= effect_high
# assert: (effect is null) = (reason is not null)
# caveat: A staggered effect is causal only if teams that started would otherwise have gone as the others did; pre_trend_p_ratio can refute
#   that, never prove it. With few teams it falls below .05 in up to one in ten cases where nothing is wrong.
# caveat: Ties run between teams, so a policy for one team also touches the teams it is compared with; the effect is then understated.
# caveat: With few teams the interval is wide and rests on few differences; below ten teams a side take it as a hint.
# caveat: An interrupted series cannot tell the policy from anything else that happened in the same weeks, nor, in less than a year and a
#   half, from the season.
# caveat: An interrupted interval allows for drifts that last for months, which a year of weeks can hardly tell from an effect: it is wide,
#   and an effect has to be large to stand out.
# caveat: An interval that holds 0 shows no absence: see detectable_effect, and equivalence_p_ratio for when it does.
# caveat: Of interrupted series the mean change and the slope of cross_team and the slope of meeting_hours are withheld: planted worlds
#   without any effect (tests/planted/FIGURES.md) had 10.5%, 11.5% and 12% of them called. Their changes of level are given.
# caveat: Where an organisation's own drift hardly fades (nineteen twentieths of it left a week later), a change of slope that is not there
#   is called one in up to one case out of seven in a year of weeks, and a mean change in one out of twelve (tests/metrics/policy).
# caveat: Four outcomes are looked at for each policy; one in twenty would seem to change by chance alone.
# caveat: A team that starts within a block of four weeks counts as started in the whole block.
# reference: Callaway, Sant'Anna (2021), Difference-in-differences with multiple time periods, Journal of Econometrics 225, 200-230.
# reference: Wagner, Soumerai, Zhang, Ross-Degnan (2002), Segmented regression analysis of interrupted time series studies, Journal of
#   Clinical Pharmacy and Therapeutics 27, 299-309.
# reference: Benjamini, Hochberg (1995), Controlling the false discovery rate, J. R. Stat. Soc. B 57, 289-300.
# reference: Schuirmann (1987), A comparison of the two one-sided tests procedure, J. Pharmacokin. Biopharm. 15, 657-680.
# reference: Harville (1974), Bayesian inference for variance components using only error contrasts, Biometrika 61, 383-385: the weights
#   of the laws of the errors.
"""Effects of policies, by the design that their start allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import special

from metrics.many import benjamini_hochberg
from metrics.panels import generator
from metrics.parameters import Parameters
from metrics.policy._design import OUTCOMES, Blocks, Start, blocks, people_under, policy_week, series, starts
from metrics.policy._interrupted import interrupted
from metrics.policy._staggered import combine, event_study, largest, wald

DRAWS: Final = 999
POWER: Final = 0.8
FALSE_ALARMS: Final = {("cross_team", "average"), ("cross_team", "slope"), ("meeting_hours", "slope")}
"""Outcomes and estimands of interrupted series whose own rate of false alarms is above 7% in planted worlds without an effect."""

SCHEMA: Final = pa.schema(
    [
        ("policy_key", pa.string()),
        ("outcome", pa.string()),
        ("person_count", pa.int64()),
        ("method", pa.string()),
        ("estimand", pa.string()),
        *((name, pa.float64()) for name in ("effect", "effect_low", "effect_high", "p_value_ratio", "adjusted_p_ratio")),
        *((name, pa.float64()) for name in ("detectable_effect", "margin", "equivalence_p_ratio", "baseline")),
        ("treated_team_count", pa.int64()),
        ("compared_team_count", pa.int64()),
        ("comparison", pa.string()),
        ("before_count", pa.int64()),
        ("after_count", pa.int64()),
        ("pre_trend_p_ratio", pa.float64()),
        ("autocorrelation", pa.float64()),
        ("residual_p_ratio", pa.float64()),
        ("is_seasonal", pa.bool_()),
        ("reason", pa.string()),
    ]
)


def policy_effect(team_week_outcome: pd.DataFrame, policy: pd.DataFrame, parameters: Parameters) -> pa.Table:
    """Estimate each policy's effect on each outcome.

    Args:
        team_week_outcome: Outcomes by team and week.
        policy: The policies declared.
        parameters: `confidence`, `seed`.

    Returns:
        One row a policy, outcome and estimand.
    """
    rows: list[dict[str, Any]] = []
    for start in starts(policy):
        person_count = people_under(team_week_outcome, start)
        for outcome, column in OUTCOMES.items():
            shared = {"policy_key": start.key, "outcome": outcome, "person_count": person_count}
            if start.is_for_all:
                found = _interrupted(team_week_outcome, start, outcome, column, parameters)
            else:
                found = [_staggered(team_week_outcome, start, outcome, column, parameters)]
            rows += [{**shared, **line} for line in found]
    for estimand in ("average", "level", "slope"):
        known = [row for row in rows if row["estimand"] == estimand and row.get("p_value_ratio") is not None]
        if known:
            adjusted = benjamini_hochberg(np.array([row["p_value_ratio"] for row in known]))
            for row, value in zip(known, adjusted, strict=True):
                row["adjusted_p_ratio"] = float(value)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _seen(low: float, high: float, below: Callable[[float], float], baseline: float | None, parameters: Parameters) -> dict[str, Any]:
    """What would have been seen with so wide an interval, and whether the effect is shown to be no more than the margin."""
    half, tail = (high - low) / 2, float(special.ndtri((1 + parameters.confidence) / 2))
    line: dict[str, Any] = {"detectable_effect": half * (1 + float(special.ndtri(POWER)) / tail)}
    if baseline:
        margin = parameters.policy_margin * abs(baseline)
        line |= {"margin": margin, "equivalence_p_ratio": float(np.clip(max(below(-margin), 1 - below(margin)), 0, 1))}
    return line


def _staggered(weeks: pd.DataFrame, start: Start, outcome: str, column: str, parameters: Parameters) -> dict[str, Any]:
    line: dict[str, Any] = {"method": "staggered", "estimand": "average"}
    design = blocks(weeks, start, column)
    if isinstance(design, str):
        return line | {"reason": design}
    line |= {
        "treated_team_count": design.treated_count,
        "compared_team_count": design.compared_count,
        "comparison": "not_yet_started" if design.is_later_compared else "never_started",
        "before_count": sum(time < design.anchor for time in design.times),
        "after_count": sum(time >= design.anchor for time in design.times),
        "baseline": _known(design.baseline),
    }
    found = design.cells()
    effect = combine([cell for cell in found if cell.time >= cell.group], len(design.starts))
    if effect is None or effect.freedom < 1:
        return line | {"reason": "too_few_teams"}
    if effect.error < 1e-12:
        return line | {"reason": "no_variation"}
    low, high = effect.interval(parameters.confidence)
    line |= {"effect": effect.value, "effect_low": low, "effect_high": high, "p_value_ratio": effect.p_value}
    line |= _seen(
        low, high, lambda number: float(special.stdtr(effect.freedom, (number - effect.value) / effect.error)), line["baseline"], parameters
    )
    return line | {"pre_trend_p_ratio": _pre_trend(design, parameters.seed, start.key, outcome)}


def _pre_trend(design: Blocks, seed: int, key: str, outcome: str) -> float | None:
    """The package's Wald test where there are units enough for it, otherwise the largest of the differences before the start."""
    found = [cell for cell in design.cells() if cell.time < cell.group]
    p_value, _ = wald(found)
    if np.isfinite(p_value):
        return p_value
    effects = {distance: effect for distance, effect in event_study(found, len(design.starts)).items() if effect.error > 1e-12}
    if not effects:
        return None
    drawn = largest(effects, DRAWS, generator(seed, "pre_trend", key, outcome))
    seen = max(effect.normal_score for effect in effects.values())
    return float((1 + (drawn >= seen).sum()) / (DRAWS + 1))


def _interrupted(weeks: pd.DataFrame, start: Start, outcome: str, column: str, parameters: Parameters) -> list[dict[str, Any]]:
    numbers, values, mondays = series(weeks, column)
    first = (policy_week(start.first) - mondays[0]).days // 7 if mondays else 0
    is_after = numbers >= first
    line: dict[str, Any] = {
        "method": "interrupted",
        "comparison": "own_trend",
        "before_count": int((~is_after).sum()),
        "after_count": int(is_after.sum()),
        "baseline": _known(float(values[~is_after].mean())) if (~is_after).any() else None,
    }
    found = interrupted(numbers, values, first) if len(numbers) else "not_observed"
    if isinstance(found, str):
        return [line | {"estimand": "average", "reason": found}]
    line |= {
        "autocorrelation": found.autocorrelation,
        "residual_p_ratio": _known(found.residual_p),
        "is_seasonal": found.is_seasonal,
    }
    rows = []
    for estimand, change in (("average", found.average), ("level", found.level), ("slope", found.slope)):
        if (outcome, estimand) in FALSE_ALARMS:
            rows.append({**line, "estimand": estimand, "reason": "false_alarms"})
            continue
        low, high = change.interval(parameters.confidence)
        effect = {"effect": change.value, "effect_low": low, "effect_high": high, "p_value_ratio": _known(change.p_value)}
        # a slope is a change a week: no share of the outcome says how small it may be
        baseline = None if estimand == "slope" else line["baseline"]
        rows.append({**line, "estimand": estimand, **effect, **_seen(low, high, change.below, baseline, parameters)})
    return rows


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
