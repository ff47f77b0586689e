# description: In which order relationships take up media: how often one medium is the next new one after another, against the number
#   expected
#   if each tie's media were shuffled over its days of use.
# question: Which media open the door to which: do chats lead to meetings, or meetings to chats?
# grain: from_medium, to_medium
# role: people | person_count
# role: pairs | tie_count
# role: pairs among tie_count | transition_count
# role: share over tie_count | transition_ratio
# role: estimate over transition_count | over_null_ratio, z_score, clustered_z, median_days, lower_quartile_days, upper_quartile_days
# role: pairs | null_count
# role: interval of over_null_ratio | lower_over_null_ratio, upper_over_null_ratio
# role: words | reason
# column: from_medium | text | The medium that was taken up before.
# column: to_medium | text | The next new medium in the same tie.
# column: tie_count | count | Ties that use both, whose beginning was seen, and whose media did not begin in the same instant.
# column: person_count | count | People in them.
# column: transition_count | count | In how many of them to_medium is the next new medium after from_medium.
# column: transition_ratio | ratio | Of all steps from from_medium to a next new medium, the share that leads to to_medium.
# column: null_count | count | The expected transition_count when labels are shuffled, rounded.
# column: over_null_ratio | ratio | transition_count divided by the (unrounded) expected number: above 1, more often than use alone
#   explains.
# column: lower_over_null_ratio | ratio | Lower bound of its interval, which allows for people who are in many ties.
# column: upper_over_null_ratio | ratio | Upper bound.
# column: z_score | z | Observed less expected, over the standard deviation of the shuffled number.
# column: clustered_z | z | The same over a standard error that allows for people who are in many ties; trust the smaller of the two.
# column: median_days | days | Median days from the first use of from_medium to that of to_medium, where it was the next.
# column: lower_quartile_days | days | A quarter of them took at most so long.
# column: upper_quartile_days | days | Three quarters took at most so long.
# column: reason | text | Why the ratio is empty: too_few (fewer than 10 ties use both).
# unique: from_medium, to_medium
# not_null: from_medium, to_medium, tie_count, person_count, transition_count
# assert: transition_count <= tie_count
# assert: transition_ratio between 0 and 1
# assert: lower_over_null_ratio <= over_null_ratio + 1e-9 and over_null_ratio <= upper_over_null_ratio + 1e-9
# assert: (over_null_ratio is null) = (reason is not null)
# caveat: Order is not cause: a project may begin by e-mail and meet later whatever the e-mails say.
# caveat: Only ties whose beginning was seen are counted, so old relationships are missing; ties too young to have taken up a second
#   medium are too.
# caveat: A medium introduced, or collected, later than another comes second in every tie; read beside the coverage table.
# caveat: Days come in bursts; the shuffle supposes that any of a tie's days could have been in any of its media.
# reference: Haythornthwaite (2005), Social networks and Internet connectivity effects, Information, Communication & Society 8, 125-147.
# reference: Plackett (1975), The analysis of permutations, Applied Statistics 24, 193-202: orders under shuffled labels.
"""Order of first use of media in ties."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from metrics.media._dyads import Dyads
from metrics.media._order import next_probabilities
from metrics.parameters import Parameters

MINIMUM_TIES: Final = 10

COLUMNS: Final = (
    "from_medium", "to_medium", "tie_count", "person_count", "transition_count", "transition_ratio", "null_count", "over_null_ratio",
    "lower_over_null_ratio", "upper_over_null_ratio", "z_score", "clustered_z", "median_days", "lower_quartile_days", "upper_quartile_days",
    "reason",
)  # fmt: skip


def medium_escalation(tie_medium_use: pa.Table, parameters: Parameters) -> pd.DataFrame:
    """Transitions between media in the order of first use.

    Args:
        tie_medium_use: One row a tie and medium.
        parameters: `confidence` and `seed` are used.

    Returns:
        One row for each ordered couple of media that some tie uses both of; see the header of this file.
    """
    cells = _cells(_usable(tie_medium_use), np.random.default_rng(parameters.seed))
    steps: dict[str, int] = defaultdict(int)
    for (before, _), cell in cells.items():
        steps[before] += int(cell["is_next"].sum())
    rows = [_row(before, after, cell, steps[before], parameters.confidence) for (before, after), cell in sorted(cells.items())]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _usable(table: pa.Table) -> pd.DataFrame:
    """Ties whose beginning was seen, of at least two media, no two of which began in the same instant."""
    frame: pd.DataFrame = table.to_pandas()
    frame = frame[~frame["is_left_truncated"].astype(bool)]
    pair = frame.groupby(["person_a_key", "person_b_key"])
    frame = frame[(pair["medium"].transform("size") > 1) & (pair["first_at"].transform("nunique") == pair["medium"].transform("size"))]
    return frame.sort_values(["person_a_key", "person_b_key", "first_at"], ignore_index=True)


def _cells(frame: pd.DataFrame, rng: np.random.Generator) -> dict[tuple[str, str], dict[str, NDArray[Any]]]:
    """(before, after) -> arrays over the ties that use both: persons, whether after came next, its probability, days between."""
    media, code = np.unique(frame["medium"].to_numpy(dtype=str), return_inverse=True)
    is_first = np.ones(len(frame), dtype=bool)
    a, b = frame["person_a_key"].to_numpy(dtype=np.int64), frame["person_b_key"].to_numpy(dtype=np.int64)
    is_first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    starts = np.flatnonzero(is_first)
    sizes = np.diff(np.append(starts, len(frame)))
    weight = frame["active_days"].to_numpy(dtype=float)
    day = frame["first_at"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 86_400e6
    parts: dict[tuple[int, int], list[tuple[NDArray[Any], ...]]] = defaultdict(list)
    for size in np.unique(sizes):
        rows = starts[sizes == size][:, None] + np.arange(size)
        chance = next_probabilities(weight[rows], rng)
        for i in range(int(size)):
            for j in (j for j in range(int(size)) if j != i):
                label = code[rows[:, i]] * len(media) + code[rows[:, j]]
                for value in np.unique(label):
                    these = label == value
                    at = rows[these]
                    parts[divmod(int(value), len(media))].append(
                        (a[at[:, 0]], b[at[:, 0]], np.full(len(at), j == i + 1), chance[these, i, j], day[at[:, j]] - day[at[:, i]])
                    )
    names = ("a", "b", "is_next", "chance", "days")
    return {
        (str(media[before]), str(media[after])): dict(zip(names, map(np.concatenate, zip(*listed, strict=True)), strict=True))
        for (before, after), listed in parts.items()
    }


def _row(before: str, after: str, cell: dict[str, NDArray[Any]], steps: int, confidence: float) -> dict[str, Any]:
    observed, expected = int(cell["is_next"].sum()), float(cell["chance"].sum())
    dyads = Dyads(cell["a"], cell["b"])
    row: dict[str, Any] = {
        "from_medium": before, "to_medium": after, "tie_count": len(cell["a"]), "person_count": dyads.person_count,
        "transition_count": observed, "transition_ratio": observed / steps if steps else None, "null_count": round(expected),
    }  # fmt: skip
    if observed:
        quartiles = np.quantile(cell["days"][cell["is_next"]], [0.25, 0.5, 0.75])
        row |= dict(zip(("lower_quartile_days", "median_days", "upper_quartile_days"), map(float, quartiles), strict=True))
    if len(cell["a"]) < MINIMUM_TIES:
        return row | {"reason": "too_few"}
    residual = cell["is_next"] - cell["chance"]
    shuffled = float((cell["chance"] * (1 - cell["chance"])).sum())
    # residuals about the null: under it their sum of squares is the shuffled variance, people's habits add to it
    error = float(np.sqrt(max(dyads.variance(residual), shuffled)))
    half = dyads.quantile(confidence) * error
    return row | {
        "over_null_ratio": observed / expected,
        "lower_over_null_ratio": max(0.0, (observed - half) / expected),
        "upper_over_null_ratio": (observed + half) / expected,
        "z_score": (observed - expected) / np.sqrt(shuffled),
        "clustered_z": (observed - expected) / error,
        "reason": None,
    }
