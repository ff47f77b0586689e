"""From single messages to curves: ties planted with known rates of ending, seen through a gap in collection."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from worlds import built, edge_events

from connectors.records import Batch
from pipelines.warehouse import Warehouse

HAZARD = {"email": 0.008, "slack_dm": 0.012}
CONTACTS_A_DAY = 0.4
LENGTH = 420
GAP = (200, 230)
TABLES = ("tie_survival", "tie_half_life", "medium_hazard")


def messages(seed: int, people: int = 120, ties: int = 700) -> Batch:
    """Ties that begin at any time, by mail or chat, and end at a constant rate; until then messages at random, in either direction."""
    random = np.random.default_rng(seed)
    codes = random.choice(people * (people - 1) // 2, ties, replace=False)
    a = ((1 + np.sqrt(1 + 8 * codes)) / 2).astype(int)
    b = codes - a * (a - 1) // 2
    media = np.where(random.random(ties) < 0.5, "email", "slack_dm")
    begins = random.uniform(-100, LENGTH, ties)
    lasts = random.exponential([1 / HAZARD[medium] for medium in media])
    counts = random.poisson(CONTACTS_A_DAY * lasts)
    tie = np.repeat(np.arange(ties), counts)
    moments = begins[tie] + random.random(len(tie)) * lasts[tie]
    seen = (moments >= 0) & (moments < LENGTH) & ~((moments >= GAP[0]) & (moments < GAP[1]))
    tie, moments = tie[seen], moments[seen]
    swap = random.random(len(tie)) < 0.5
    found = edge_events((moments * 86_400).astype(int), np.where(swap, b[tie], a[tie]) + 1, np.where(swap, a[tie], b[tie]) + 1)
    records = found.records["interaction"]
    found.records["interaction"] = records.set_column(
        records.schema.get_field_index("medium"), records.schema.field("medium"), pa.array(media[tie])
    )
    return found


def covered(warehouse: Warehouse) -> dict[str, bool]:
    """Whether each interval holds what was planted."""
    # the last message of a tie that ends at rate h, with m messages a day: alive t days after any message with chance exp(-h t) m / (m + h)
    curve = warehouse.run(
        "select level, lower_ratio, upper_ratio from metrics.tie_survival where grouping = 'origin_medium' and age_days = 90"
    )
    halves = warehouse.run("select level, lower_weeks, upper_weeks from metrics.tie_half_life where grouping = 'origin_medium'")
    term, low, high = warehouse.run(
        "select term, lower_ratio, upper_ratio from metrics.medium_hazard "
        "where model = 'origin_medium' and term_kind = 'medium' and reason is null"
    )[0]
    ratio = HAZARD["slack_dm"] / HAZARD["email"]
    left = {level: CONTACTS_A_DAY / (CONTACTS_A_DAY + hazard) for level, hazard in HAZARD.items()}
    return {
        **{f"curve {level}": lower <= np.exp(-90 * HAZARD[level]) * left[level] <= upper for level, lower, upper in curve},
        **{
            f"half-life {level}": lower <= np.log(2 * left[level]) / HAZARD[level] / 7 <= (np.inf if upper is None else upper)
            for level, lower, upper in halves
        },
        "hazard ratio": low <= (ratio if term == "slack_dm" else 1 / ratio) <= high,
    }


def found(seed: int) -> dict[str, bool]:
    return covered(built(messages(seed), only=TABLES, silence_days=30))


def test_planted_rates_are_found_in_short() -> None:
    hits = [hit for seed in range(2) for hit in found(seed).values()]
    assert len(hits) == 10
    assert np.mean(hits) >= 0.7


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_planted_rates_are_found() -> None:
    draws = [found(1000 + seed) for seed in range(200)]
    shares = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    print({name: round(share, 3) for name, share in shares.items()})  # noqa: T201
    assert min(shares.values()) >= 0.9
