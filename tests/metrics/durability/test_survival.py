"""Curves, half-lives and rates against hand-derived values, lifelines and planted truths."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import date

import lifelines
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.durability._survival import Curve, Dyads, Lives, rate, weibull
from metrics.durability.tie_half_life import tie_half_life
from metrics.durability.tie_hazard import tie_hazard
from metrics.durability.tie_survival import tie_survival
from metrics.parameters import Parameters

COLUMNS = {
    "person_a_key": pa.int64(), "person_b_key": pa.int64(), "spell_number": pa.int64(), "stretch_number": pa.int64(),
    "entry_age_days": pa.float64(), "exit_age_days": pa.float64(), "is_ended": pa.bool_(), "is_at_risk": pa.bool_(),
    "origin_medium": pa.string(), "medium_mix": pa.string(), "is_cross_team": pa.bool_(), "is_external": pa.bool_(),
    "external_kind": pa.string(), "landmark_age_days": pa.float64(),
    "tie_date": pa.date32(), "days_tie_date": pa.date32(), "more_days_tie_date": pa.date32(),
}  # fmt: skip


def lives(*rows: tuple[int, int, bool], people: list[tuple[int, int]] | None = None) -> Lives:
    """Ties of (entry, exit, ended), each between two people of its own unless told otherwise."""
    pairs = people or [(2 * number, 2 * number + 1) for number in range(len(rows))]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Lives(columns[0], columns[1], columns[2], np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))


def table(found: Lives, **others: object) -> pa.Table:
    """A table of spells as the metrics read it."""
    count = len(found)
    values = {
        "person_a_key": found.a, "person_b_key": found.b, "spell_number": np.arange(count), "stretch_number": np.ones(count, int),
        "entry_age_days": found.entry, "exit_age_days": found.exit, "is_ended": found.ended, "is_at_risk": np.ones(count, bool),
        "origin_medium": ["email"] * count, "medium_mix": ["email"] * count, "is_cross_team": [None] * count,
        "is_external": np.zeros(count, bool), "external_kind": [None] * count, "landmark_age_days": [28.0] * count,
        "tie_date": [date(2025, 1, 1)] * count, "days_tie_date": [None] * count, "more_days_tie_date": [None] * count, **others,
    }  # fmt: skip
    return pa.table({name: pa.array(values[name]).cast(kind) for name, kind in COLUMNS.items()})


def drawn(seed: int, count: int = 400, people: int = 60, hazard: float = 0.01, late: float = 0.3) -> Lives:
    """Ties that end at a constant rate; some come under observation late, all are watched for at most 300 days."""
    random = np.random.default_rng(seed)
    a = random.integers(0, people, count)
    b = (a + random.integers(1, people, count)) % people
    ages = random.geometric(1 - np.exp(-hazard), count)
    entry = np.where(random.random(count) < late, random.integers(1, 60, count), 0)
    until = random.integers(100, 300, count)
    seen = ages > entry
    return Lives(entry, np.minimum(ages, until), ages <= until, np.minimum(a, b), np.maximum(a, b)).where(seen)


class TestByHand:
    def test_curve(self) -> None:
        # day 1: 4 at risk (one enters after day 2), 1 ends: 3/4; day 3: 4 at risk, 1 ends: 9/16; day 5: 2 at risk, 2 end: 0
        curve = Curve.of(lives((0, 1, True), (0, 3, True), (0, 5, True), (0, 4, False), (2, 5, True)), minimum_at_risk=1)
        assert curve.at_risk[1:6].tolist() == [4, 3, 4, 3, 2]
        assert curve.survival[1:6] == pytest.approx([0.75, 0.75, 0.5625, 0.5625, 0.0])
        assert curve.reached(0.5) == 5
        assert curve.reached(0.6) == 3

    def test_one_early_end_among_late_entries_does_not_pull_the_curve_down(self) -> None:
        rows = [(0, 1, True), (0, 9, False), *[(3, 9, False)] * 20, (3, 5, True)]
        assert Curve.of(lives(*rows), minimum_at_risk=1).survival[5] == pytest.approx(0.5 * 21 / 22)
        assert Curve.of(lives(*rows), minimum_at_risk=10).survival[5] == pytest.approx(21 / 22)

    def test_the_curve_stops_where_few_are_left(self) -> None:
        assert Curve.of(lives(*[(0, 7, False)] * 8, *[(0, 20, False)] * 4), minimum_at_risk=10).last_age == 7

    def test_greenwood_is_the_variance_of_independent_ties(self) -> None:
        curve = Curve.of(lives((0, 1, True), (0, 3, True), (0, 5, False), (0, 5, False)), minimum_at_risk=1)
        people = curve.dyads.person_count
        # 1/(4 x 3) + 1/(3 x 2); each pair of people has one tie, so that only the correction for few people is left
        assert curve.log_variance(np.array([4]))[0] == pytest.approx((1 / 12 + 1 / 6) * people / (people - 1))

    def test_people_in_many_ties_widen_the_band(self) -> None:
        rows = [(0, 10, True)] * 20 + [(0, 50, False)] * 20
        alone = Curve.of(lives(*rows))
        hubs = Curve.of(lives(*rows, people=[(0 if number < 20 else 1, number + 2) for number in range(40)]))
        narrow, wide = alone.band(np.array([20]), 0.95), hubs.band(np.array([20]), 0.95)
        assert wide[0][0] < narrow[0][0] < 0.5 < narrow[1][0] < wide[1][0]

    def test_dyadic_products(self) -> None:
        # ties 01, 12, 34 with influence 1, 2, 3: pairs that share a person: 01 with 12 (twice), each with itself
        dyads = Dyads.of(np.array([0, 1, 3]), np.array([1, 2, 4]))
        assert dyads.squares(np.array([[1.0], [2.0], [3.0]]))[0] == pytest.approx((1 + 4 + 9 + 2 * 2) * 5 / 4)
        assert dyads.products(np.array([[1.0], [2.0], [3.0]]))[0, 0] == pytest.approx((1 + 4 + 9 + 2 * 2) * 5 / 4)

    def test_two_ties_of_a_pair_count_once_for_both_people(self) -> None:
        dyads = Dyads.of(np.array([0, 0]), np.array([1, 1]))
        assert dyads.squares(np.array([[1.0], [2.0]]))[0] == pytest.approx(9 * 2 / 1)

    def test_rate_in_a_band_of_ages(self) -> None:
        found = rate(lives((0, 40, True), (10, 35, True), (0, 20, False)), Dyads.of(np.array([0, 2, 4]), np.array([1, 3, 5])), 0.95, 30, 60)
        assert (found.ended, found.exposure) == (2, 15)
        assert found.rate == pytest.approx(2 / 15)

    def test_without_ends_the_rate_has_an_upper_bound(self) -> None:
        found = rate(lives((0, 100, False)), Dyads.of(np.array([0]), np.array([1])), 0.95)
        assert (found.rate, found.lower) == (0, 0)
        assert found.upper == pytest.approx(-np.log(0.025) / 100)


class TestTables:
    def test_rows_of_the_curve(self) -> None:
        rows = tie_survival(table(lives(*[(0, 5, True)] * 10, *[(0, 40, False)] * 30)), Parameters())
        whole = rows[rows["grouping"] == "all"].set_index("age_days")
        assert whole["survival_ratio"].loc[[0, 7, 35]].tolist() == [1, 0.75, 0.75]
        assert whole["at_risk_count"].loc[[0, 7, 35]].tolist() == [40, 30, 30]
        assert whole["ended_count"].loc[7] == 10
        assert whole["reason"].loc[42] == "not_observed"
        assert set(rows["grouping"]) == {"all", "origin_medium", "settled", "medium_mix", "external_kind"}

    def test_kinds_of_media_count_from_the_landmark(self) -> None:
        rows = tie_survival(table(lives(*[(0, 5, True)] * 10, *[(0, 40, True)] * 10, *[(0, 50, False)] * 10)), Parameters())
        mix = rows[rows["grouping"] == "medium_mix"].set_index("age_days")
        assert (mix["tie_count"] == 20).all()
        assert (mix["left_out_count"] == 10).all()
        assert mix["survival_ratio"].loc[[35, 42]].tolist() == [1, 0.5]

    def test_too_few_ties_say_nothing(self) -> None:
        rows = tie_survival(table(lives(*[(0, 5, True)] * 9)), Parameters())
        assert rows["survival_ratio"].isna().all()
        assert set(rows["reason"]) == {"too_few"}
        half = tie_half_life(table(lives(*[(0, 5, True)] * 9)), Parameters())
        assert half["half_life_weeks"].isna().all()
        assert set(half["reason"]) == {"too_few"}

    def test_a_half_life_that_was_not_reached_is_empty_and_extrapolated(self) -> None:
        ends = [(0, 10 * number, True) for number in range(1, 11)]
        row = tie_half_life(table(lives(*ends, *[(0, 100, False)] * 30)), Parameters()).set_index("grouping").loc["all"]
        assert row["reason"] == "not_reached"
        assert pd.isna(row["half_life_weeks"])
        assert row["is_extrapolated"]
        assert row["exponential_weeks"] > row["followed_weeks"]

    def test_half_life(self) -> None:
        row = tie_half_life(table(lives(*[(0, 70, True)] * 15, *[(0, 90, False)] * 15)), Parameters()).set_index("grouping").loc["all"]
        assert row["half_life_weeks"] == 10
        assert row["lower_weeks"] <= 10
        assert row["reason"] is None

    def test_hazard_by_age(self) -> None:
        rows = tie_hazard(table(lives(*[(0, 15, True)] * 10, *[(0, 60, False)] * 20)), Parameters())
        first = rows[(rows["grouping"] == "all") & (rows["age_from_days"] == 0)].iloc[0]
        assert first["ended_per_30_days_ratio"] == pytest.approx(30 * 10 / (150 + 600))
        assert first["lower_ratio"] < first["ended_per_30_days_ratio"] < first["upper_ratio"]

    def test_no_ties_no_rows(self) -> None:
        empty = table(lives((0, 5, True))).slice(0, 0)
        assert tie_survival(empty, Parameters()).empty
        assert tie_half_life(empty, Parameters()).empty
        assert tie_hazard(empty, Parameters()).empty

    @settings(max_examples=15, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(0, 20))
    def test_order_and_names_of_people_change_nothing(self, random, seed: int) -> None:
        found = drawn(seed, 80, 15)
        order = list(range(len(found)))
        random.shuffle(order)
        names = np.array(random.sample(range(1000), 15))
        a, b = names[found.a], names[found.b]
        other = Lives(found.entry, found.exit, found.ended, np.minimum(a, b), np.maximum(a, b)).where(np.array(order))
        for metric in (tie_survival, tie_half_life, tie_hazard):
            before, after = metric(table(found), Parameters()), metric(table(other), Parameters())
            numbers = before.select_dtypes("number").columns
            np.testing.assert_allclose(before[numbers], after[numbers], rtol=1e-6)


class TestAgainstLifelines:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_curve(self, seed: int) -> None:
        found = drawn(seed)
        curve = Curve.of(found, minimum_at_risk=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin = lifelines.KaplanMeierFitter().fit(found.exit, found.ended, entry=found.entry)
        ages = np.arange(1, curve.last_age)
        expected = twin.survival_function_at_times(ages).to_numpy()
        np.testing.assert_allclose(curve.survival[ages], expected, rtol=1e-9)

    def test_band_of_independent_ties(self) -> None:
        found = drawn(4, late=0)
        apart = Lives(found.entry, found.exit, found.ended, np.arange(len(found)), np.arange(len(found)) + 10_000)
        curve = Curve.of(apart, minimum_at_risk=1)
        twin = lifelines.KaplanMeierFitter(alpha=0.05).fit(found.exit, found.ended)
        ages = np.array([20, 60, 120])
        expected = twin.confidence_interval_.reindex(twin.timeline).ffill()
        for side, column in enumerate(expected.columns):
            np.testing.assert_allclose(curve.band(ages, 0.95)[side], expected[column].loc[ages], atol=1e-3)

    def test_weibull(self) -> None:
        random = np.random.default_rng(5)
        ages = np.ceil(200 * random.weibull(0.7, 2000)).astype(int)
        entry = np.where(random.random(2000) < 0.3, random.integers(1, 50, 2000), 0)
        found = Lives(entry, np.minimum(ages, 400), ages <= 400, np.arange(2000), np.arange(2000)).where(ages > entry)
        fitted = weibull(found)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twin = lifelines.WeibullFitter().fit(found.exit, found.ended, entry=found.entry)
        assert fitted is not None
        assert fitted == pytest.approx((twin.lambda_, twin.rho_), rel=1e-3)


def coverage(seeds: int, check: Callable[[int], bool]) -> float:
    return float(np.mean([check(seed) for seed in range(seeds)]))


def curve_covers(seed: int) -> bool:
    curve = Curve.of(drawn(1000 + seed))
    lower, upper = curve.band(np.array([90]), 0.95)
    return bool(lower[0] <= np.exp(-0.9) <= upper[0])


def half_life_covers(seed: int) -> bool:
    lower, upper = Curve.of(drawn(2000 + seed)).reached_between(0.5, 0.95)
    return bool((lower or 0) <= np.ceil(np.log(2) / 0.01) and (upper is None or np.log(2) / 0.01 <= upper))


def exponential_covers(seed: int) -> bool:
    row = tie_half_life(table(drawn(3000 + seed)), Parameters()).iloc[0]
    return bool(row["exponential_lower_weeks"] <= np.log(2) / 0.01 / 7 <= row["exponential_upper_weeks"])


def rate_covers(seed: int) -> bool:
    found = drawn(4000 + seed)
    estimate = rate(found, Dyads.of(found.a, found.b), 0.95, 30, 60)
    # with whole days, of ties alive at the start of a day 1 - exp(-hazard) end on it
    return estimate.lower is not None and estimate.upper is not None and estimate.lower <= 1 - np.exp(-0.01) <= estimate.upper


CHECKS = [curve_covers, half_life_covers, exponential_covers, rate_covers]


@pytest.mark.parametrize("check", CHECKS)
def test_intervals_cover_planted_truths_in_short(check: Callable[[int], bool]) -> None:
    assert coverage(30, check) >= 0.8  # 30 draws at .95 fall below this once in two thousand times


@pytest.mark.full
@pytest.mark.parametrize("check", CHECKS)
def test_intervals_cover_planted_truths(check: Callable[[int], bool]) -> None:
    share = coverage(200, check)
    print(f"{check.__name__}: {share:.3f} of 200 intervals cover the truth")  # noqa: T201
    assert share >= 0.9
