"""Which days predictions are fitted and tested on: one rule, from the observed time alone."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.durability.prediction_cut import OBSERVED_SHARE, choose_cuts, choose_rung, choose_tests, prediction_cut
from metrics.parameters import Parameters

START = date(2020, 1, 1)


def observed(count: int, gap: range = range(0)) -> pd.DataFrame:
    seen = [number not in gap for number in range(count)]
    rows = pd.DataFrame({"date": [START + timedelta(days=number) for number in range(count)], "is_observed": seen})
    return rows.assign(day_number=rows["is_observed"].cumsum())


@pytest.mark.parametrize(
    "count, expected", [(803, (180, 90)), (450, (180, 90)), (449, (90, 60)), (193, (45, 30)), (28, (10, 6)), (63, (21, 14))]
)
def test_windows_follow_from_the_observed_time(count: int, expected: tuple[int, int]) -> None:
    days = [START + timedelta(days=number) for number in range(count)]
    assert choose_rung(days, Parameters())[:2] == expected


def test_settings_come_before_the_rule() -> None:
    days = [START + timedelta(days=number) for number in range(400)]
    assert choose_rung(days, Parameters(prediction_window_days=30, prediction_horizon_days=20))[:2] == (30, 20)


def test_too_little_history_is_said() -> None:
    rows = prediction_cut(observed(20), Parameters()).to_pylist()
    assert [(row["role"], row["reason"]) for row in rows] == [("score", "too_little_history")]
    assert prediction_cut(observed(0), Parameters()).num_rows == 0


def test_today_is_not_foreseen_across_a_gap() -> None:
    rows = prediction_cut(observed(803, range(525, 798)), Parameters()).to_pylist()
    assert rows[-1]["reason"] == "gap_in_window"
    for row in rows[:-1]:
        assert row["horizon_to"] < START + timedelta(days=525)


def test_long_windows_stay_the_same_for_a_month() -> None:
    first, second = (prediction_cut(observed(count), Parameters()).to_pylist() for count in (520, 530))
    assert first[:-1] == second[:-1]
    assert first[-1]["cut_date"] != second[-1]["cut_date"]


def test_no_model_sees_what_it_is_tested_on() -> None:
    rows = [row for row in prediction_cut(observed(300), Parameters()).to_pylist() if row["role"] == "fit"]
    tests = [row for row in rows if row["is_test"]]
    assert len(tests) == 4
    for row in tests:
        assert any(other["horizon_to"] <= row["cut_date"] for other in rows)


@given(st.integers(60, 500), st.integers(0, 300), st.integers(0, 80), st.sampled_from([(45, 30), (21, 14), (10, 6)]))
def test_cuts_never_look_across_a_long_gap(count: int, gap_from: int, gap_length: int, rung: tuple[int, int]) -> None:
    window, horizon = rung
    rows = observed(count, range(gap_from, gap_from + gap_length))
    days = list(rows.loc[rows["is_observed"], "date"])
    cuts = choose_cuts(days, len(days), window, horizon)
    assert cuts == sorted(set(cuts))
    for cut in cuts:
        for first, last in ((cut - window + 1, cut), (cut + 1, cut + horizon)):
            assert 1 <= first <= last <= len(days)
            assert (last - first + 1) >= OBSERVED_SHARE * ((days[last - 1] - days[first - 1]).days + 1)
    if cuts:
        assert set(choose_tests(cuts, horizon)) <= set(cuts)
