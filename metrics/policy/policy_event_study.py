# description: The effect of each policy that started in some teams before others, by time since the start: what teams that started did
#   differently from those that had not, before (where it should be nothing) and after.
# question: When did the change of policy show, and were the teams alike before it?
# grain: policy_key, outcome, block
# role: people | person_count
# role: calendar | is_before
# role: estimate over person_count | effect
# role: interval of effect | effect_low, effect_high, band_low, band_high
# role: design | team_count
# column: policy_key | text | The policy.
# column: outcome | text | meeting_hours, tie_formation, persistence or cross_team; see policy_effect.
# column: person_count | count | People in the teams that the policy is for, in their fullest week.
# column: block | count | Blocks of four weeks since the start; negative before it.
# column: is_before | flag | Whether it checks the time before the start.
# column: effect | score | The effect, in units of the outcome; before the start, the change since the block before.
# column: effect_low | score | Lower end of its own interval.
# column: effect_high | score | Upper end.
# column: band_low | score | Lower end of the band that holds for all blocks of this policy and outcome together.
# column: band_high | score | Upper end.
# column: team_count | count | Teams that started and were observed at that time.
# unique: policy_key, outcome, block
# not_null: policy_key, outcome, block, is_before, effect, team_count
# assert: is_before = (block < 0)
# assert: band_low <= effect_low + 1e-12 and effect_high <= band_high + 1e-12
# caveat: Later blocks rest on the teams that started early; the curve can bend because the teams in it change.
# caveat: Policies that began for everyone at once have no such curve; see policy_effect.
# reference: Callaway, Sant'Anna (2021), Difference-in-differences with multiple time periods, Journal of Econometrics 225, 200-230.
"""Event studies with simultaneous bands."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from metrics.panels import generator
from metrics.parameters import Parameters
from metrics.policy._design import OUTCOMES, blocks, people_under, starts
from metrics.policy._staggered import event_study, largest

DRAWS: Final = 999
SCHEMA: Final = pa.schema(
    [
        ("policy_key", pa.string()),
        ("outcome", pa.string()),
        ("person_count", pa.int64()),
        ("block", pa.int64()),
        ("is_before", pa.bool_()),
        *((name, pa.float64()) for name in ("effect", "effect_low", "effect_high", "band_low", "band_high")),
        ("team_count", pa.int64()),
    ]
)


def policy_event_study(team_week_outcome: pd.DataFrame, policy: pd.DataFrame, parameters: Parameters) -> pa.Table:
    """Effects by time since the start, of every staggered policy on every outcome.

    Args:
        team_week_outcome: Outcomes by team and week.
        policy: The policies declared.
        parameters: `confidence`, `seed`.

    Returns:
        One row a policy, outcome and block; none where there are too few teams.
    """
    rows: list[dict[str, Any]] = []
    for start in starts(policy):
        person_count = people_under(team_week_outcome, start)
        for outcome, column in OUTCOMES.items():
            design = blocks(team_week_outcome, start, column) if not start.is_for_all else "too_few_teams"
            if isinstance(design, str):
                continue
            effects = {block: effect for block, effect in event_study(design.cells(), len(design.starts)).items() if effect.error > 1e-12}
            drawn = largest(effects, DRAWS, generator(parameters.seed, "band", start.key, outcome))
            # the band's reach, as a normal quantile that each effect's own degrees of freedom widen
            quantile = max(float(np.quantile(drawn, parameters.confidence)), float(stats.norm.ppf((1 + parameters.confidence) / 2)))
            for block, effect in effects.items():
                low, high = effect.interval(parameters.confidence)
                reach = float(stats.t.isf(stats.norm.sf(quantile), effect.freedom)) * effect.error
                rows.append(
                    {
                        "policy_key": start.key,
                        "outcome": outcome,
                        "person_count": person_count,
                        "block": block,
                        "is_before": block < 0,
                        "effect": effect.value,
                        "effect_low": low,
                        "effect_high": high,
                        "band_low": effect.value - reach,
                        "band_high": effect.value + reach,
                        "team_count": effect.unit_count,
                    }
                )
    return pa.Table.from_pylist(rows, schema=SCHEMA)
