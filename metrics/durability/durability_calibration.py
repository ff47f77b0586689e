# description: Whether pairs given a chance of, say, 70% did stay in contact in 70 of 100 cases: ten groups of pairs by their held-out
#   probability, over all tested cuts together.
# question: When the model says 70%, is it 70%?
# grain: outcome, bin_number
# role: people in pairs | pair_count
# role: estimate over pair_count | predicted_ratio
# role: share over pair_count | observed_ratio
# role: interval of observed_ratio | observed_low_ratio, observed_high_ratio
# column: outcome | text | active (in contact in the horizon) or lasting (in contact in both halves of it).
# column: bin_number | count | 1 for the least likely tenth of pairs.
# column: pair_count | count | Pairs in the group.
# column: predicted_ratio | ratio | Mean probability that they were given.
# column: observed_ratio | ratio | Share for which it came true.
# column: observed_low_ratio | ratio | Lower end of its interval.
# column: observed_high_ratio | ratio | Upper end.
# unique: outcome, bin_number
# not_null: outcome, bin_number, pair_count, predicted_ratio, observed_ratio
# assert: observed_low_ratio <= observed_ratio + 1e-9 and observed_ratio <= observed_high_ratio + 1e-9
# caveat: Intervals take pairs for independent and are somewhat too narrow.
# reference: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212: the interval.
"""Calibration of the held-out predictions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from metrics.durability._prediction_scores import bins
from metrics.durability._prediction_terms import OUTCOMES
from metrics.parameters import Parameters

SCHEMA: Final = pa.schema(
    [
        ("outcome", pa.string()),
        ("bin_number", pa.int64()),
        ("pair_count", pa.int64()),
        *((f"{name}_ratio", pa.float64()) for name in ("predicted", "observed", "observed_low", "observed_high")),
    ]
)


def durability_calibration(durability_held_out: pa.Table, parameters: Parameters) -> pa.Table:
    """Predicted against observed, in ten groups an outcome; none where nothing was tested."""
    rows = durability_held_out.to_pandas()
    found: list[dict[str, Any]] = []
    for outcome in OUTCOMES:
        held = rows[rows["outcome"] == outcome]
        probability, y = held["model_ratio"].to_numpy(np.float64), held["is_hit"].to_numpy(np.float64)
        for number, part in enumerate(bins(probability, y, parameters.confidence), start=1):
            found.append(
                {
                    "outcome": outcome,
                    "bin_number": number,
                    "pair_count": part.count,
                    "predicted_ratio": part.predicted,
                    "observed_ratio": part.observed,
                    "observed_low_ratio": part.low,
                    "observed_high_ratio": part.high,
                }
            )
    return pa.Table.from_pylist(found, schema=SCHEMA)
