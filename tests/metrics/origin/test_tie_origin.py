"""What brought two people together, and how each kind of tie holds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from worlds import SOURCE, batch, built, days, event, table

from metrics.origin.tie_origin import tie_origin
from metrics.parameters import Parameters
from pipelines.declarations import Declarations

START = "2024-01-01"
SMALL = {"silence_days": 10, "landmark_days": 7}


def backdrop() -> list[dict[str, Any]]:
    return [event(moment, 900, 901) for moment in days(START, *range(60))]


def tie(a: int, b: int, **fields: Any) -> list[dict[str, Any]]:
    first, second = days(START, 20, 22)
    return [event(first, a, b, **fields), event(second, b, a, **fields)]


def institutions(
    events: list[dict[str, Any]], memberships: list[dict[str, Any]], declarations: Declarations | None = None, **others: Any
) -> pd.DataFrame:
    found = batch([*backdrop(), *events], **others)
    found.records["membership"] = table("membership", [{"source": SOURCE, "observed_on": date(2000, 1, 1), **row} for row in memberships])
    warehouse = built(found, declarations=declarations, only=["tie_institution"], **SMALL)
    frame = warehouse.connection.sql("select * from metrics.tie_institution where person_a_key < 900").df()
    return frame.set_index(["person_a_key", "person_b_key"]).drop(columns="spell_number").sort_index()


def place(person: int, team: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"account_key": person, "team": team, **fields}


def test_lines_of_management_reach_two_steps() -> None:
    people = [place(1, "north", manager_key=2), place(2, "head", manager_key=3), place(3, "board", manager_key=4), place(4, "owners")]
    found = institutions([*tie(1, 2), *tie(1, 3), *tie(1, 4)], people)
    assert found["is_manager_line"].tolist() == [True, True, False]
    assert found["is_institutional"].tolist() == [True, True, False]


def test_teams_known_and_unknown() -> None:
    found = institutions([*tie(1, 2), *tie(1, 3), *tie(1, 4)], [place(1, "north"), place(2, "north"), place(3, "south")])
    assert found["is_same_team"].tolist() == [True, False, False]
    assert [None if pd.isna(value) else bool(value) for value in found["is_institutional"]] == [True, False, None]


def test_standing_meetings() -> None:
    series = [{"source": SOURCE, "space_key": key, "kind": "meeting_series", "is_standing": key == 7} for key in (7, 8)]
    meetings = [
        event(moment, 1, other, medium="meeting_online", space_key=key)
        for other, key in ((2, 7), (3, 8))
        for moment in days(START, 20, 21, 22)
    ]
    found = institutions(meetings, [place(1, "north"), place(2, "south"), place(3, "south")], space=series)
    assert found["is_standing_meeting"].tolist() == [True, False]
    assert found["is_institutional"].tolist() == [True, False]


def test_declared_relationships() -> None:
    declared = Declarations(
        relationships=[
            ("north_south", "North with South", "north", "team", "south", "team", 3, 30),
            ("buddies", "Newcomers with West", "newcomers", "newcomers", "west", "team", 1, 30),
        ]
    )
    people = [place(1, "north"), place(2, "south"), place(3, "east", joined_on=date(2024, 1, 2)), place(4, "west"), place(5, "east")]
    found = institutions([*tie(1, 2), *tie(1, 4), *tie(3, 4), *tie(4, 5)], people, declared)
    assert found["is_declared"].tolist() == [True, False, True, False]


def test_survival_of_each_origin() -> None:
    count = 80
    kinds = np.arange(count) % 2 == 0
    ends = np.where(kinds, 300.0, np.where(np.arange(count) % 4 == 1, 50.0, 300.0))
    keys = {"person_a_key": 2 * np.arange(count), "person_b_key": 2 * np.arange(count) + 1, "spell_number": np.ones(count, int)}
    spells = pa.table(
        {
            **keys,
            "stretch_number": np.ones(count, int),
            "entry_age_days": np.zeros(count),
            "exit_age_days": ends,
            "is_ended": ends < 100,
            "is_at_risk": np.ones(count, bool),
            "origin_medium": ["email"] * count,
            "medium_mix": ["email"] * count,
            "is_cross_team": pa.array([None] * count, pa.bool_()),
            "is_external": np.zeros(count, bool),
            "external_kind": pa.array([None] * count, pa.string()),
            "landmark_age_days": np.full(count, 28.0),
            **{f"{threshold}tie_date": pa.array([date(2025, 1, 1)] * count) for threshold in ("", "days_", "more_days_")},
        }
    )
    flags = {
        f"is_{kind}": kinds if kind == "same_team" else np.zeros(count, bool) for kind in ("manager_line", "standing_meeting", "declared")
    }
    institution = pa.table({**keys, **flags, "is_same_team": kinds, "is_institutional": kinds})
    rows = tie_origin(spells, institution, Parameters()).set_index("origin")
    assert rows.index.tolist() == ["all", "institutional", "organic", "same_team"]
    assert rows["tie_ratio"].tolist() == [1, 0.5, 0.5, 0.5]
    assert rows["survival_90_ratio"].tolist() == [0.75, 1, 0.5, 1]
    assert rows.loc["organic", "lower_90_ratio"] < 0.5 < rows.loc["organic", "upper_90_ratio"]
    assert rows.loc["organic", "half_life_weeks"] == pytest.approx(50 / 7, abs=1e-6)
    assert rows["reason"].isna().all()


def test_few_ties_have_no_survival() -> None:
    warehouse = built([*backdrop(), *tie(1, 2)], only=["tie_origin"], **SMALL)
    rows = warehouse.run("select origin, tie_count, survival_90_ratio, reason from metrics.tie_origin order by origin")
    assert rows == [("all", 2, None, "too_few"), ("unknown", 2, None, "too_few")]
