"""Dyadic variances, logistic regression, shuffled orders and standardised survival, against brute force and other libraries."""

from __future__ import annotations

import itertools

import lifelines
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from metrics.media import _order
from metrics.media._dyads import Dyads, ratio_interval
from metrics.media._logit import fit
from metrics.media._order import next_probabilities
from metrics.media.medium_survival import alive_share, medium_survival
from metrics.parameters import Parameters


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_dyadic_variance_is_the_sum_over_pairs_that_share_a_person(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 6, 30)
    b = (a + 1 + rng.integers(0, 5, 30)) % 6
    score = rng.normal(size=30)
    brute = sum(score[i] * score[j] for i in range(30) for j in range(30) if {a[i], b[i]} & {a[j], b[j]}) * (6 / 5)
    same = sum(score[i] * score[j] for i in range(30) for j in range(30) if {a[i], b[i]} == {a[j], b[j]})
    dyads = Dyads(a, b)
    assert dyads.person_count == 6
    assert dyads.variance(score) == pytest.approx(max(brute, same))


def test_interval_of_a_share_is_wilsons_and_widens_with_the_variance() -> None:
    low, high = ratio_interval(0.3, 0.3 * 0.7 / 50, 50, 1.959964)
    assert (low, high) == pytest.approx(proportion_confint(15, 50, method="wilson"), abs=1e-6)
    wide = ratio_interval(0.3, 4 * 0.3 * 0.7 / 50, 50, 1.959964)
    assert wide[0] < low < high < wide[1]
    assert ratio_interval(0.0, 0.0, 50, 1.959964)[0] == 0.0


def test_logistic_regression_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    x = np.stack([np.ones(400), rng.integers(0, 3, 400), rng.integers(0, 2, 400)], axis=1).astype(float)
    y = (rng.random(400) < 1 / (1 + np.exp(-(x @ [-0.5, 0.8, -0.3])))).astype(float)
    rows, group = np.unique(x, axis=0, return_inverse=True)
    found, twin = fit(rows, group, y), sm.Logit(y, x).fit(disp=0)
    assert found is not None
    np.testing.assert_allclose(found.beta, twin.params, atol=1e-8)
    np.testing.assert_allclose(found.inverse, twin.cov_params(), atol=1e-8)
    np.testing.assert_allclose(found.influence.sum(axis=0), 0, atol=1e-9)


def test_separation_and_collinearity_have_no_fit() -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0]])
    assert fit(x, np.array([0] * 10 + [1] * 10), np.array([0.0] * 10 + [1.0] * 10)) is None
    x = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    assert fit(x, np.array([0, 0, 0, 1, 1, 1]), np.array([0.0, 1, 1, 0, 1, 0])) is None


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_next_medium_under_shuffled_labels(days: list[int]) -> None:
    weights = np.array([days], dtype=float)
    found = next_probabilities(weights, np.random.default_rng(0))[0]
    brute = np.zeros_like(found)
    for order in itertools.permutations(range(len(days))):
        chance, left = 1.0, float(sum(days))
        for medium in order:
            chance, left = chance * days[medium] / left, left - days[medium]
        for before, after in itertools.pairwise(order):
            brute[before, after] += chance
    np.testing.assert_allclose(found, brute, atol=1e-12)
    assert found.sum() == pytest.approx(len(days) - 1)


def test_shuffling_labels_over_days_gives_those_probabilities() -> None:
    days, rng = [5, 2, 1], np.random.default_rng(8)
    labels = np.repeat([0, 1, 2], days)
    seen = np.zeros((3, 3))
    for _ in range(20_000):
        order = list(dict.fromkeys(rng.permutation(labels).tolist()))
        for before, after in itertools.pairwise(order):
            seen[before, after] += 1 / 20_000
    np.testing.assert_allclose(next_probabilities(np.array([days], dtype=float), rng)[0], seen, atol=0.012)


def test_orders_of_many_media_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 4.0]])
    exact = next_probabilities(weights, np.random.default_rng(1))
    monkeypatch.setattr(_order, "EXACT_MEDIA", 2)
    np.testing.assert_allclose(next_probabilities(weights, np.random.default_rng(1)), exact, atol=0.05)


def test_share_alive_is_that_of_lifelines_with_late_entry() -> None:
    rng = np.random.default_rng(3)
    entry = rng.integers(0, 20, 300) * (rng.random(300) < 0.5)
    exit_ = entry + rng.integers(1, 200, 300)
    ended = rng.random(300) < 0.7
    found = alive_share(entry, exit_, ended, 90)
    assert found is not None
    twin = lifelines.KaplanMeierFitter().fit(exit_, ended, entry=entry)
    assert found.value == pytest.approx(float(twin.predict(90)), abs=1e-9)
    assert (found.influence**2).sum() == pytest.approx(found.value**2 * _greenwood(entry, exit_, ended, 90), rel=0.02)
    assert alive_share(entry, exit_, ended, 10_000) is None


def _greenwood(entry: np.ndarray, exit_: np.ndarray, ended: np.ndarray, horizon: int) -> float:
    total = 0.0
    for day in range(1, horizon + 1):
        at_risk = int(((entry < day) & (exit_ >= day)).sum())
        ends = int((ended & (exit_ == day)).sum())
        total += ends / (at_risk * (at_risk - ends))
    return total


def spell_rows(medium: str, start_active_days: int, exits: list[int], first: int) -> list[dict[str, object]]:
    """Ties between people of their own, at the landmark on day 28, ended so many days after it (alive where negative)."""
    return [
        {
            "person_a_key": first + 2 * number, "person_b_key": first + 2 * number + 1, "spell_number": 1, "stretch_number": 1,
            "entry_age_days": 0.0, "exit_age_days": 28.0 + abs(exit_), "is_ended": exit_ > 0, "is_at_risk": True,
            "origin_medium": medium, "landmark_age_days": 28.0, "start_active_days": start_active_days,
        }
        for number, exit_ in enumerate(exits)
    ]  # fmt: skip


def test_standardisation_removes_what_early_strength_explains() -> None:
    # weak ties: half are gone by day 90; strong ones: a tenth. The first medium has mostly weak ones, the second mostly strong
    weak, strong = [50, -300], [50, *[-300] * 9]
    rows = spell_rows("email", 1, weak * 20, 0) + spell_rows("email", 5, strong, 1000)
    rows += spell_rows("slack_dm", 1, weak * 5, 2000) + spell_rows("slack_dm", 5, strong * 4, 3000)
    table = medium_survival(pa.Table.from_pylist(rows), Parameters())
    at_90 = table[table["horizon_days"] == 90].set_index("medium")
    assert at_90.loc["email", "kept_ratio"] == pytest.approx(29 / 50)
    assert at_90.loc["slack_dm", "kept_ratio"] == pytest.approx(41 / 50)
    # of all 100 ties half are weak: .5 x .5 + .5 x .9 for either medium
    assert at_90["adjusted_ratio"].to_numpy() == pytest.approx([0.7, 0.7, 0.7])
    assert at_90["covered_ratio"].to_numpy() == pytest.approx([1, 1, 1])
    assert (at_90["adjusted_lower_ratio"] < 0.7).all()
    assert (at_90["adjusted_upper_ratio"] > 0.7).all()


def test_survival_says_why_it_says_nothing() -> None:
    rows = spell_rows("email", 1, [50] * 9, 0) + spell_rows("slack_dm", 3, [-100] * 20, 500)
    table = medium_survival(pa.Table.from_pylist(rows), Parameters()).set_index(["medium", "horizon_days"])
    assert table.loc[("email", 90), "reason"] == "too_few"
    assert table.loc[("slack_dm", 180), "reason"] == "not_observed"
    # all of the medium's ties are of one strength, which is not all that there is
    assert table.loc[("slack_dm", 90), "reason"] == "no_overlap"
    assert table.loc[("slack_dm", 90), "kept_ratio"] == 1.0
    assert pd.isna(table.loc[("slack_dm", 90), "adjusted_ratio"])
