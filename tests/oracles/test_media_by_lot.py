"""Media drawn by lot on real data: a comparison of media finds nothing in them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from worlds import Batch, college, eu_core

from metrics.media.medium_persistence import medium_persistence
from metrics.parameters import Parameters

pytestmark = pytest.mark.oracle
MEDIA = {"email": 0.6, "slack_dm": 0.3, "teams_chat": 0.1}


def periods(data: Batch, days: int, label: np.ndarray) -> pa.Table:
    """Rows of `pair_panel_media` for periods of so many days."""
    table = data.records["interaction"]
    second = table["occurred_at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    day = (second - second.min()) // 86_400
    sender = table["sender_key"].to_numpy()
    recipient = table["participants"].combine_chunks().flatten().field("account_key").to_numpy()
    frame = pd.DataFrame({"day": day, "period": day // days, "a": np.minimum(sender, recipient), "b": np.maximum(sender, recipient)})
    frame = frame.assign(forth=sender < recipient, medium=np.array(list(MEDIA))[label])
    frame = frame[frame["a"] != frame["b"]]
    pairs = frame.groupby(["period", "a", "b"])
    found = pairs.agg(contact_count=("day", "size"), active_days=("day", "nunique"), last=("day", "max"), ways=("forth", "nunique"))
    found = found.reset_index()
    counts = frame.groupby(["period", "a", "b", "medium"]).size().reset_index(name="n").sort_values(["period", "a", "b", "medium"])
    grouped = counts.groupby(["period", "a", "b"])
    found["media"] = grouped["medium"].agg(list).to_numpy()
    found["media_contact_counts"] = grouped["n"].agg(list).to_numpy()
    ends = pd.concat([found[["period", end]].set_axis(["period", "person"], axis=1) for end in ("a", "b")]).value_counts()
    partners = [ends.loc[list(zip(found["period"], found[end], strict=True))].to_numpy() for end in ("a", "b")]
    later = set(zip(found["period"] - 1, found["a"], found["b"], strict=True))
    found["is_active_next"] = [key in later for key in zip(found["period"], found["a"], found["b"], strict=True)]
    # the last period has none after it, and periods in a gap of collection say nothing
    per = found.groupby("period").size()
    sound = [number for number in per.index if per.get(number + 1, 0) > per[number] / 4]
    found = found.assign(
        panel_kind="month", quiet_days=days - 1 - found["last"] % days, partner_count=np.minimum(*partners), sample_ratio=1.0,
        panel_start=[date.fromordinal(737_000 + int(number)) for number in found["period"]],
        is_tie=(found["ways"] > 1) | (found["active_days"] >= 3),
    )  # fmt: skip
    found = found[found["period"].isin(sound)].rename(columns={"a": "person_a_key", "b": "person_b_key"})
    return pa.Table.from_pandas(found.drop(columns=["period", "last", "ways"]), preserve_index=False)


@pytest.mark.parametrize("load, days, lotteries", [(eu_core, 30, 8), (college, 14, 30)])
def test_media_drawn_by_lot_are_alike(load: Any, days: int, lotteries: int, oracle_data: Path) -> None:
    data = load(oracle_data)
    random = np.random.default_rng(5)
    called = {"volume": [], "contacts": []}
    corrected = []
    for _ in range(lotteries):
        label = random.choice(len(MEDIA), data.records["interaction"].num_rows, p=list(MEDIA.values()))
        found = medium_persistence(periods(data, days, label), Parameters())
        for adjustment, calls in called.items():
            rows = found[(found["adjustment"] == adjustment) & found["association"].notna()]
            calls += list((rows["lower_association"] > 0) | (rows["upper_association"] < 0))
        rows = found[found["adjustment"] == "volume"]
        corrected.append(bool((rows["adjusted_p_ratio"] < 0.05).any()))
        # the raw share is that of the lottery: it measures how much a medium is used
        uses = found[(found["contrast"] == "uses") & (found["adjustment"] == "volume") & (found["population"] == "contact")]
        assert (uses["kept_ratio"] - uses["lottery_kept_ratio"]).abs().max() < 0.03
        assert np.ptp(uses["kept_ratio"]) > 0.02
    shares = {adjustment: float(np.mean(calls)) for adjustment, calls in called.items()}
    assert len(called["volume"]) >= 10 * lotteries
    assert shares["volume"] <= 0.07, shares
    assert np.mean(corrected) <= 0.17
