# description: How well durability is foreseen, on past cuts that the model had not seen: by the model, and by each simple score alone.
# question: How far can these forecasts be trusted?
# grain: outcome, score, cut_number
# role: people in pairs | pair_count
# role: pairs | fitted_pair_count
# role: calendar | cut_date
# role: share over pair_count | hit_ratio
# role: estimate over pair_count | auc_ratio, brier_score, calibration_slope, calibration_intercept
# role: interval of auc_ratio | auc_low_ratio, auc_high_ratio
# role: interval of calibration_slope | calibration_slope_low, calibration_slope_high
# role: words | reason
# column: outcome | text | active (in contact in the horizon) or lasting (in contact in both halves of it).
# column: score | text | model, or one score alone: recency, frequency (active days), day_decay, mutual.
# column: cut_number | count | The cut; 0 for the mean over all tested cuts.
# column: cut_date | date | Its date; empty for the mean.
# column: pair_count | count | Pairs tested.
# column: fitted_pair_count | count | Pairs of earlier cuts fitted on; empty for the mean.
# column: hit_ratio | ratio | Share of the tested pairs for which it came true.
# column: auc_ratio | ratio | Chance that a pair that stayed in contact had been ranked above one that did not: .5 is a coin, 1 is perfect.
# column: auc_low_ratio | ratio | Lower end of its interval.
# column: auc_high_ratio | ratio | Upper end.
# column: brier_score | score | Mean squared error of the probability: 0 is perfect, lower is better.
# column: calibration_slope | score | 1 where probabilities are as bold as they should be; below 1 they are too bold.
# column: calibration_slope_low | score | Lower end of its interval; empty for the mean.
# column: calibration_slope_high | score | Upper end.
# column: calibration_intercept | log_odds | 0 where probabilities are right on average; above 0 they were too low.
# column: reason | text | Why there is nothing: too_little_history or too_few; empty otherwise.
# unique: outcome, score, cut_number
# not_null: outcome, score, cut_number
# assert: auc_low_ratio <= auc_ratio and auc_ratio <= auc_high_ratio
# assert: brier_score between 0 and 1
# caveat: Past cuts overlap, so four of them say less than four independent trials would.
# caveat: A forecast that was good until now can fail when the organisation changes.
# reference: DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44, 837-845, with persons as clusters.
# reference: Cox (1958), Two further applications of a model for binary regression, Biometrika 45, 562-565: calibration slope.
"""Rolling-origin validation of the durability model against simple scores."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from metrics.durability._prediction_scores import auc, brier, calibration
from metrics.durability._prediction_terms import OUTCOMES
from metrics.dyadic import dyadic_variance
from metrics.panels import number_people
from metrics.parameters import Parameters

Floats = NDArray[np.float64]

SCORES: Final = ("model", "recency", "frequency", "day_decay", "mutual")
FIGURES: Final = ("hit_ratio", "auc_ratio", "brier_score", "calibration_slope", "calibration_intercept")
SCHEMA: Final = pa.schema(
    [
        ("outcome", pa.string()),
        ("score", pa.string()),
        ("cut_number", pa.int64()),
        ("cut_date", pa.date32()),
        ("pair_count", pa.int64()),
        ("fitted_pair_count", pa.int64()),
        *(
            (name, pa.float64())
            for name in (
                "hit_ratio",
                "auc_ratio",
                "auc_low_ratio",
                "auc_high_ratio",
                "brier_score",
                "calibration_slope",
                "calibration_slope_low",
                "calibration_slope_high",
                "calibration_intercept",
            )
        ),
        ("reason", pa.string()),
    ]
)


def durability_validation(durability_held_out: pa.Table, prediction_cut: pd.DataFrame, parameters: Parameters) -> pa.Table:
    """Score the held-out predictions.

    Args:
        durability_held_out: Predictions for past cuts, and what happened.
        prediction_cut: The cuts.
        parameters: `confidence`.

    Returns:
        One row an outcome, score and tested cut, and one for the mean over cuts. The mean's interval allows for people and pairs
        that stand in several cuts.
    """
    if prediction_cut.empty:
        return SCHEMA.empty_table()
    z = float(stats.norm.ppf((1 + parameters.confidence) / 2))
    order = [(name, "ascending") for name in ("outcome", "cut_number", "person_a_key", "person_b_key")]
    rows = durability_held_out.sort_by(order).to_pandas()
    dates = dict(zip(prediction_cut["cut_number"], prediction_cut["cut_date"], strict=True))
    has_tests = bool(prediction_cut["is_test"].any())
    found: list[dict[str, Any]] = []
    for outcome in OUTCOMES:
        held = rows[rows["outcome"] == outcome]
        for score in SCORES:
            if held.empty:
                reason = "too_few" if has_tests else "too_little_history"
                found.append({"outcome": outcome, "score": score, "cut_number": 0, "reason": reason})
                continue
            parts = []
            for number, part in held.groupby("cut_number"):
                line, influence = _one_cut(part, score, z)
                line |= {"cut_number": int(number), "cut_date": pd.Timestamp(dates[number]).date()}
                line["fitted_pair_count"] = int(part["fitted_pair_count"].iloc[0])
                parts.append((line, part, influence))
            lines = [line for line, _, _ in parts]
            mean: dict[str, Any] = {name: _mean([line[name] for line in lines]) for name in FIGURES}
            pooled = pd.concat([part[["person_a_key", "person_b_key"]].assign(i=influence / len(parts)) for _, part, influence in parts])
            mean |= _interval(mean["auc_ratio"], pooled.groupby(["person_a_key", "person_b_key"], as_index=False)["i"].sum(), z)
            mean |= {"cut_number": 0, "pair_count": len(held)}
            found += [{"outcome": outcome, "score": score, **line} for line in (mean, *lines)]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _one_cut(part: pd.DataFrame, score: str, z: float) -> tuple[dict[str, Any], Floats]:
    y = part["is_hit"].to_numpy(dtype=np.float64)
    probability = part[f"{score}_ratio"].to_numpy(dtype=np.float64)
    value, influence = auc(probability, y)
    slope, error, shift = calibration(probability, y)
    line: dict[str, Any] = {
        "pair_count": len(y),
        "hit_ratio": float(y.mean()),
        "auc_ratio": _known(value),
        "brier_score": brier(probability, y),
        "calibration_slope": _known(slope),
        "calibration_slope_low": _known(slope - z * error),
        "calibration_slope_high": _known(slope + z * error),
        "calibration_intercept": _known(shift),
    }
    return line | _interval(line["auc_ratio"], part[["person_a_key", "person_b_key"]].assign(i=influence), z), influence


def _interval(value: float | None, influence: pd.DataFrame, z: float) -> dict[str, float | None]:
    if value is None:
        return {"auc_low_ratio": None, "auc_high_ratio": None}
    _, (first, second) = number_people(influence["person_a_key"].to_numpy(np.int64), influence["person_b_key"].to_numpy(np.int64))
    error = float(np.sqrt(dyadic_variance(influence["i"].to_numpy(np.float64), first, second)))
    return {"auc_low_ratio": max(value - z * error, 0.0), "auc_high_ratio": min(value + z * error, 1.0)}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
