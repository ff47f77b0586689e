"""Two media among the same 608 students over four weeks: the published persistence and its adjusted association.

What `science.md` leaves open was found on the data: the first and the last fourteen days are two periods; every pair with a call
(answered or missed) or a text in the first is followed; it is kept if there is either in the second. The association of using both
is against texts alone, with log(1 + contacts) held equal and a term for calls alone; its z treats pairs as independent.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metrics.media.medium_persistence import medium_persistence
from metrics.parameters import Parameters

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def students(oracle_data: Path) -> pd.DataFrame:
    folder = oracle_data / "copenhagen"
    parts = []
    for medium, file in (("call", "calls.csv"), ("sms", "sms.csv")):
        raw = pd.read_csv(folder / file).iloc[:, :3]
        raw.columns = ["second", "u", "v"]
        parts.append(raw.assign(medium=medium))
    events = pd.concat(parts, ignore_index=True)
    return events.assign(
        a=events[["u", "v"]].min(axis=1),
        b=events[["u", "v"]].max(axis=1),
        day=events["second"] // 86400,
        is_second=events["second"] >= 14 * 86400,
    )


@pytest.fixture(scope="module")
def persistence(students: pd.DataFrame) -> pd.DataFrame:
    later = set(students.loc[students["is_second"], ["a", "b"]].itertuples(index=False, name=None))
    rows = []
    for (a, b), part in students[~students["is_second"]].groupby(["a", "b"]):
        is_mutual = (part["u"] == a).any() and (part["u"] == b).any()
        days = part["day"].nunique()
        rows.append(
            {
                "panel_kind": "fortnight",
                "panel_start": date(2020, 1, 1),
                "person_a_key": a,
                "person_b_key": b,
                "media": sorted(part["medium"].unique()),
                "media_contact_counts": [int(count) for _, count in sorted(part["medium"].value_counts().items())],
                "contact_count": len(part),
                "active_days": days,
                "quiet_days": int(13 - part["day"].max()),
                "partner_count": 10,
                "is_tie": bool(is_mutual or days >= 3),
                "is_active_next": (a, b) in later,
                "sample_ratio": 1.0,
            }
        )
    return medium_persistence(pa.Table.from_pylist(rows), Parameters()).set_index(["population", "contrast", "medium", "adjustment"])


def test_all_that_is_published_was_read(students: pd.DataFrame) -> None:
    assert students["medium"].value_counts().to_dict() == {"sms": 24_333, "call": 3_600}
    assert len(np.union1d(students["u"], students["v"])) == 608


def test_persistence_by_medium_is_the_published_one(persistence: pd.DataFrame) -> None:
    raw = persistence["kept_ratio"]
    assert round(raw["contact", "exclusive", "call", "contacts"], 3) == 0.363
    assert round(raw["contact", "exclusive", "sms", "contacts"], 3) == 0.556
    assert round(raw["contact", "exclusive", "several", "contacts"], 3) == 0.782


def test_adjusted_association_of_both_is_the_published_one(persistence: pd.DataFrame) -> None:
    both = persistence.loc[("contact", "exclusive", "several", "contacts")]
    assert both["reference_medium"] == "sms"
    assert round(both["association"], 2) == 0.41
    assert round(both["independent_z"], 1) == 1.9
    assert abs(both["z_score"]) < 3


def test_association_vanishes_when_active_days_are_held_equal(persistence: pd.DataFrame) -> None:
    both = persistence.loc[("contact", "exclusive", "several", "active_days")]
    assert both["association"] == pytest.approx(-0.072, abs=0.005)
    assert abs(both["z_score"]) < 1


def test_raw_persistence_overstates_what_frequency_explains(persistence: pd.DataFrame) -> None:
    both = persistence.loc[("contact", "exclusive", "several", "contacts")]
    call = persistence.loc[("contact", "exclusive", "call", "contacts")]
    assert both["kept_ratio"] - call["kept_ratio"] > 2 * (both["adjusted_ratio"] - call["adjusted_ratio"])
    assert np.all(persistence["lower_ratio"] <= persistence["kept_ratio"])
