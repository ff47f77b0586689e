# description: For past cuts, the probability that a model fitted on still earlier cuts gave each pair, beside what then happened: what
#   durability_validation is computed from.
# grain: outcome, cut_number, person_a_key, person_b_key
# column: outcome | text | active (in contact in the horizon) or lasting (in contact in both halves of it).
# column: cut_number | count | The cut; see prediction_cut.
# column: person_a_key | key | The person with the lesser key.
# column: person_b_key | key | The other person.
# column: fitted_pair_count | count | Pairs (of all earlier cuts together) that the model was fitted on.
# column: is_hit | flag | Whether it came true.
# column: model_ratio | ratio | Probability by the model.
# column: recency_ratio | ratio | Probability by a logistic regression on the time since the last contact alone.
# column: frequency_ratio | ratio | The same on the number of active days alone.
# column: day_decay_ratio | ratio | The same on the day-decay score alone.
# column: mutual_ratio | ratio | The same on whether contact went both ways alone.
# unique: outcome, cut_number, person_a_key, person_b_key
# not_null: outcome, cut_number, person_a_key, person_b_key, fitted_pair_count, is_hit, model_ratio
# assert: model_ratio > 0 and model_ratio < 1
# caveat: The same pair may stand in several cuts.
# restricted: yes
"""Held-out predictions by rolling origin: every model saw only horizons that had closed before the cut it is tested on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from metrics.durability._prediction_logit import fit
from metrics.durability._prediction_terms import OUTCOMES, TERMS, design, feature_frame, is_enough

Floats = NDArray[np.float64]

SINGLE: Final = {"recency": "recency", "frequency": "active_days", "day_decay": "decay_medium", "mutual": "mutual"}
"""Scores to be beaten, and the term of the model that each is."""

SCHEMA: Final = pa.schema(
    [
        ("outcome", pa.string()),
        ("cut_number", pa.int64()),
        ("person_a_key", pa.int64()),
        ("person_b_key", pa.int64()),
        ("fitted_pair_count", pa.int64()),
        ("is_hit", pa.bool_()),
        *((f"{name}_ratio", pa.float64()) for name in ("model", *SINGLE)),
    ]
)


def durability_held_out(pair_cut_feature: pa.Table, prediction_cut: pd.DataFrame) -> pa.Table:
    """Fit on the cuts whose horizons closed before each test cut, and predict it.

    Args:
        pair_cut_feature: What was known of each pair on each cut.
        prediction_cut: The cuts.

    Returns:
        One row an outcome, test cut and pair; none for test cuts before which too little was known.
    """
    cuts = prediction_cut[prediction_cut["role"] == "fit"].sort_values("cut_number")
    rows = feature_frame(pair_cut_feature, cuts)
    terms = design(rows)
    cut_of = rows["cut_number"].to_numpy(np.int64)
    first, second = (rows[name].to_numpy(np.int64) for name in ("person_a_key", "person_b_key"))
    names = [term.name for term in TERMS]
    parts: list[pa.Table] = []
    for outcome, column in OUTCOMES.items():
        hit = rows[column].to_numpy(dtype=bool, na_value=False)
        for cut in cuts[cuts["is_test"]].itertuples():
            known = cuts.loc[cuts["horizon_to"] <= cut.cut_date, "cut_number"].to_numpy(np.int64)
            seen, held = np.isin(cut_of, known), cut_of == cut.cut_number
            y = hit[seen].astype(np.float64)
            if not held.any() or not is_enough(y):
                continue
            columns: dict[str, Any] = {
                "outcome": np.full(int(held.sum()), outcome),
                "cut_number": cut_of[held],
                "person_a_key": first[held],
                "person_b_key": second[held],
                "fitted_pair_count": np.full(int(held.sum()), int(seen.sum())),
                "is_hit": hit[held],
                "model_ratio": fit(terms[seen], y).predict(terms[held]),
            }
            for name, term in SINGLE.items():
                place = [names.index(term)]
                columns[f"{name}_ratio"] = fit(terms[seen][:, place], y).predict(terms[held][:, place])
            parts.append(pa.table(columns).cast(SCHEMA))
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()
