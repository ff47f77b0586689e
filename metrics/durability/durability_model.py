# description: What goes with a relationship that lasts, in this organisation's own past: the model behind pair_durability, term by term.
#   A logistic regression with a light ridge; each coefficient is the change in log-odds for one standard deviation more of the term,
#   with the others held.
# question: What do relationships that stay in touch have in common here?
# grain: outcome, term
# role: people | fitted_person_count
# role: pairs | fitted_pair_count
# role: design | meaning, fitted_cut_count, window_days, horizon_days
# role: calendar | fitted_to
# role: words | finding, direction, reason
# role: estimate over fitted_pair_count | coefficient, term_mean, term_deviation
# role: interval of coefficient | coefficient_low, coefficient_high
# column: outcome | text | active (in contact in the horizon) or lasting (in contact in both halves of it).
# column: term | text | The term; intercept for a pair that is average in every term.
# column: meaning | text | What more of it means.
# column: finding | text | What goes with it, as a sentence, where the interval leaves no doubt of the direction.
# column: direction | text | more_likely, less_likely or unclear (the interval includes 0); empty for the intercept.
# column: coefficient | log_odds | Change in log-odds for one standard deviation more; for the intercept, the log-odds themselves.
# column: coefficient_low | log_odds | Lower end of its interval.
# column: coefficient_high | log_odds | Upper end.
# column: term_mean | score | Mean of the term (most terms are logarithms).
# column: term_deviation | score | Its standard deviation.
# column: fitted_pair_count | count | Pairs fitted on, over all cuts together.
# column: fitted_person_count | count | People in them.
# column: fitted_cut_count | count | Past cuts fitted on.
# column: fitted_to | date | Last day of contact that the model has seen.
# column: window_days | count | Observed days from which is predicted.
# column: horizon_days | count | Observed days ahead for which is predicted.
# column: reason | text | Why there is no model: too_little_history or too_few; empty otherwise.
# unique: outcome, term
# not_null: outcome, term
# assert: coefficient_low <= coefficient and coefficient <= coefficient_high
# assert: term_deviation > 0
# caveat: These are associations, not causes: making people write to each other more evenly need not make a relationship last.
# caveat: The terms overlap (someone in touch on more days is in touch in more weeks), so a coefficient says what a term adds to the others;
#   its sign can differ from what the term shows alone.
# caveat: Intervals allow for pairs sharing people, not for the choice of terms; the ridge draws coefficients slightly towards 0.
# reference: Hidalgo, Rodriguez-Sickert (2008), The dynamics of a mobile phone network, Physica A 387, 3017-3024.
# reference: Navarro, Miritello, Canales, Moro (2017), Temporal patterns behind the strength of persistent ties, EPJ Data Science 6, 31.
"""The durability model, fitted on every past cut whose horizon has closed; refitted as months close."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from metrics.durability._prediction_logit import fit, standard_errors
from metrics.durability._prediction_terms import INTERCEPT, OUTCOMES, TERMS, design, feature_frame, is_enough
from metrics.parameters import Parameters

SCHEMA: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("outcome", "term", "meaning", "finding", "direction")),
        *((name, pa.float64()) for name in ("coefficient", "coefficient_low", "coefficient_high", "term_mean", "term_deviation")),
        ("fitted_pair_count", pa.int64()),
        ("fitted_person_count", pa.int64()),
        ("fitted_cut_count", pa.int64()),
        ("fitted_to", pa.date32()),
        ("window_days", pa.int64()),
        ("horizon_days", pa.int64()),
        ("reason", pa.string()),
    ]
)


def durability_model(pair_cut_feature: pa.Table, prediction_cut: pd.DataFrame, parameters: Parameters) -> pa.Table:
    """Fit the model for both outcomes.

    Args:
        pair_cut_feature: What was known of each pair on each cut, and what happened.
        prediction_cut: The cuts.
        parameters: `confidence`.

    Returns:
        One row an outcome and term; where there is too little to fit on, one row an outcome with the reason.
    """
    if prediction_cut.empty:
        return SCHEMA.empty_table()
    cuts = prediction_cut[prediction_cut["role"] == "fit"]
    rows = feature_frame(pair_cut_feature, cuts)
    terms = design(rows)
    first, second = (rows[name].to_numpy(np.int64) for name in ("person_a_key", "person_b_key"))
    z = float(stats.norm.ppf((1 + parameters.confidence) / 2))
    horizon = int(prediction_cut["horizon_days"].iloc[0])
    found: list[dict[str, Any]] = []
    for outcome, column in OUTCOMES.items():
        shared = {"outcome": outcome, "window_days": int(prediction_cut["window_days"].iloc[0]), "horizon_days": horizon}
        y = rows[column].to_numpy(dtype=np.float64, na_value=np.nan)
        if cuts.empty or not is_enough(y):
            found.append({**shared, "term": INTERCEPT, "reason": "too_little_history" if cuts.empty else "too_few"})
            continue
        model = fit(terms, y)
        errors = standard_errors(model, terms, y, first, second)
        shared |= {
            "fitted_pair_count": len(y),
            "fitted_person_count": len(np.union1d(first, second)),
            "fitted_cut_count": len(cuts),
            "fitted_to": pd.Timestamp(cuts["horizon_to"].max()).date(),
        }
        lines = [(INTERCEPT, "an average pair", model.intercept, 0.0, 1.0)]
        lines += [
            (term.name, term.words, float(coefficient), float(mean), float(scale))
            for term, coefficient, mean, scale in zip(TERMS, model.coefficient, model.mean, model.scale, strict=True)
        ]
        for (name, words, coefficient, mean, scale), error in zip(lines, errors, strict=True):
            low, high = coefficient - z * float(error), coefficient + z * float(error)
            direction = "unclear" if low <= 0 <= high else "more_likely" if low > 0 else "less_likely"
            line: dict[str, Any] = {
                "term": name,
                "meaning": words,
                "coefficient": coefficient,
                "coefficient_low": low,
                "coefficient_high": high,
                "term_mean": mean,
                "term_deviation": scale,
            }
            if name != INTERCEPT:
                line["direction"] = direction
                line["finding"] = _sentence(words, direction, outcome, horizon) if direction != "unclear" else None
            found.append({**shared, **line})
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _sentence(words: str, direction: str, outcome: str, horizon: int) -> str:
    likelihood = "more" if direction == "more_likely" else "less"
    future = f"in contact within the next {horizon} observed days"
    if outcome == "lasting":
        future = f"in contact in both halves of the next {horizon} observed days"
    return f"Other things equal, where {words}, the pair is {likelihood} likely to be {future}."
