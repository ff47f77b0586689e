# description: For each relationship on the last day built: where it stands, and the chance that it will be in contact again, from the
#   model that durability_model shows, as durability_validation found it to hold.
# grain: person_a_key, person_b_key
# column: person_a_key | key | The person with the lesser key.
# column: person_b_key | key | The other person.
# column: state | text | forming, active, weakening, dormant, ended or revived; see pair_state for what each means.
# column: is_tie | flag | Whether it ever was a tie.
# column: first_date | date | First active day.
# column: last_date | date | Last active day.
# column: active_days | count | Active days in all.
# column: silence_days | days | Observed days since the last active day.
# column: gap_ratio | ratio | Silence divided by the mean gap between active days; empty for one-day ties.
# column: is_gap_flagged | flag | Whether that is above `gap_ratio_limit`; empty for one-day ties.
# column: p_active_ratio | ratio | Chance of contact within the next `horizon_days` observed days.
# column: p_lasting_ratio | ratio | Chance of contact in both halves of them.
# column: window_days | count | Observed days of contact from which this is predicted.
# column: horizon_days | count | Observed days ahead for which it is predicted.
# column: reason | text | Why there is no chance given: too_little_history, too_few (pairs to fit on), gap_in_window (collection was
#   interrupted) or out_of_window (last contact before the window); empty otherwise.
# unique: person_a_key, person_b_key
# not_null: person_a_key, person_b_key, state, is_tie
# assert: p_active_ratio between 0 and 1 and p_lasting_ratio between 0 and 1
# assert: p_lasting_ratio <= p_active_ratio
# assert: (p_active_ratio is null) = (reason is not null)
# caveat: A chance speaks of pairs like this one, not of these two people; it must never be used to judge anybody.
# caveat: Chances rest on recorded contact alone.
# reference: see durability_model and pair_state.
# restricted: yes
"""Today's chances, from the published coefficients."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from metrics.durability._prediction_terms import INTERCEPT, OUTCOMES, TERMS, design, feature_frame

Floats = NDArray[np.float64]

COLUMNS: Final = (
    "person_a_key",
    "person_b_key",
    "state",
    "is_tie",
    "first_date",
    "last_date",
    "active_days",
    "silence_days",
    "gap_ratio",
    "is_gap_flagged",
    "p_active_ratio",
    "p_lasting_ratio",
    "window_days",
    "horizon_days",
    "reason",
)


def pair_durability(
    pair_state: pd.DataFrame, pair_cut_feature: pa.Table, prediction_cut: pd.DataFrame, durability_model: pd.DataFrame
) -> pd.DataFrame:
    """State and chances of every pair that was ever in contact.

    Args:
        pair_state: Where each relationship stands.
        pair_cut_feature: What is known of each pair in today's window.
        prediction_cut: The cuts; the last is today's.
        durability_model: Coefficients on standardised terms.

    Returns:
        One row a pair. The chance of lasting is never above that of any contact.
    """
    found = pair_state.sort_values(["person_a_key", "person_b_key"], ignore_index=True)
    today = prediction_cut[prediction_cut["role"] == "score"]
    rows = feature_frame(pair_cut_feature, today)
    terms = design(rows)
    known = rows[["person_a_key", "person_b_key"]].copy()
    reasons: list[str] = []
    for outcome in OUTCOMES:
        model = durability_model[durability_model["outcome"] == outcome].set_index("term")
        chance = np.full(len(rows), np.nan)
        if model["coefficient"].notna().any():
            chance = _chance(model, terms)
        elif len(model) and outcome == "active":
            reasons.append(str(model["reason"].iloc[0]))
        known[f"p_{outcome}_ratio"] = chance
    known["p_lasting_ratio"] = known[["p_active_ratio", "p_lasting_ratio"]].min(axis=1, skipna=False)
    found = found.merge(known, on=["person_a_key", "person_b_key"], how="left")
    reasons = [str(reason) for reason in today["reason"] if pd.notna(reason)] + reasons
    why = reasons[0] if reasons else "out_of_window"
    found["reason"] = [why if missing else None for missing in found["p_active_ratio"].isna()]
    for name in ("window_days", "horizon_days"):
        found[name] = int(today[name].iloc[0]) if len(today) else None
    return found[list(COLUMNS)]


def _chance(model: pd.DataFrame, terms: Floats) -> Floats:
    lines = model.loc[[term.name for term in TERMS]]
    mean, scale, coefficient = (lines[name].to_numpy(np.float64) for name in ("term_mean", "term_deviation", "coefficient"))
    intercept = float(model["coefficient"].to_dict()[INTERCEPT])
    return np.asarray(special.expit(intercept + (terms - mean) / scale @ coefficient), dtype=np.float64)
