"""The model's arithmetic against twins, and its fit on planted coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from statsmodels.discrete.discrete_model import Logit

from metrics.durability._prediction_logit import RIDGE, dyadic_meat, fit, newton, standard_errors
from metrics.durability._prediction_scores import auc, bins, brier, calibration
from metrics.durability._prediction_terms import TERMS, design


def sample(seed: int, rows: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    terms = random.normal(2, 3, size=(rows, 4))
    y = (random.random(rows) < 1 / (1 + np.exp(-(0.3 * (terms[:, 0] - 2) - 0.2 * (terms[:, 1] - 2))))).astype(float)
    first = random.integers(1, 60, rows)
    return terms, y, first, first + random.integers(1, 40, rows)


def test_the_ridge_is_that_of_scikit_learn() -> None:
    terms, y, _, _ = sample(0)
    model = fit(terms, y)
    twin = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000).fit((terms - model.mean) / model.scale, y)
    assert model.coefficient == pytest.approx(twin.coef_[0], abs=1e-5)
    assert model.intercept == pytest.approx(twin.intercept_[0], abs=1e-5)
    assert model.predict(terms) == pytest.approx(twin.predict_proba((terms - model.mean) / model.scale)[:, 1], abs=1e-5)


def test_without_penalty_it_is_that_of_statsmodels() -> None:
    terms, y, _, _ = sample(1)
    x = np.column_stack([np.ones(len(y)), terms])
    beta, information = newton(x, y, np.zeros(5))
    twin = Logit(y, x).fit(disp=0)
    assert beta == pytest.approx(np.asarray(twin.params), abs=1e-6)
    assert np.linalg.inv(information) == pytest.approx(np.asarray(twin.cov_params()), rel=1e-4)


def test_a_term_that_does_not_vary_does_no_harm() -> None:
    terms, y, first, second = sample(2)
    terms[:, 3] = 7
    model = fit(terms, y)
    assert model.coefficient[3] == pytest.approx(0)
    assert np.isfinite(standard_errors(model, terms, y, first, second)).all()


def test_rows_that_share_a_person_are_dependent() -> None:
    scores = np.array([[1.0], [2.0], [4.0], [8.0]])
    # 1-2 and 1-3 share 1; 1-2 stands twice; 4-5 shares nobody
    first, second = np.array([1, 1, 1, 4]), np.array([2, 3, 2, 5])
    brute = sum(scores[i, 0] * scores[j, 0] for i in range(4) for j in range(4) if {first[i], second[i]} & {first[j], second[j]})
    assert dyadic_meat(scores, first, second)[0, 0] == pytest.approx(brute)


def test_errors_grow_where_people_differ() -> None:
    random = np.random.default_rng(3)
    first, second = np.triu_indices(50, 1)
    person = random.normal(size=50)
    terms = (person[first] + person[second])[:, None]
    mood = random.normal(0, 2, size=50)
    y = (random.random(len(first)) < 1 / (1 + np.exp(-(mood[first] + mood[second])))).astype(float)
    model = fit(terms, y)
    robust = standard_errors(model, terms, y, first, second)[1]
    plain = np.sqrt(np.diag(np.linalg.inv(model.information)))[1]
    assert robust > 2 * plain


def test_auc_is_that_of_scikit_learn_and_its_error_that_of_delong() -> None:
    random = np.random.default_rng(4)
    y = (random.random(400) < 0.3).astype(float)
    score = np.round(y + random.normal(size=400), 1)  # with equal scores
    value, influence = auc(score, y)
    assert value == pytest.approx(roc_auc_score(y, score))
    hit, miss = score[y > 0][:, None], score[y <= 0][None]
    wins = (hit > miss) + 0.5 * (hit == miss)
    delong = wins.mean(axis=1).var() / wins.shape[0] + wins.mean(axis=0).var() / wins.shape[1]
    assert (influence**2).sum() == pytest.approx(delong)
    assert np.isnan(auc(score[y > 0], y[y > 0])[0])


def test_calibration_of_what_is_right_and_of_what_is_too_bold() -> None:
    random = np.random.default_rng(5)
    odds = random.normal(size=20_000)
    y = (random.random(20_000) < 1 / (1 + np.exp(-odds))).astype(float)
    right, bold, low = (1 / (1 + np.exp(-value)) for value in (odds, 2 * odds, odds - 0.5))
    assert calibration(right, y)[0] == pytest.approx(1, abs=0.05)
    assert calibration(right, y)[2] == pytest.approx(0, abs=0.05)
    assert calibration(bold, y)[0] == pytest.approx(0.5, abs=0.03)
    assert calibration(low, y)[2] == pytest.approx(0.5, abs=0.05)
    assert brier(right, y) < brier(bold, y)
    for part in bins(right, y, 0.999):
        assert part.low <= part.predicted <= part.high
        assert part.count == 2000


def test_terms_by_hand() -> None:
    rows = pd.DataFrame(
        {
            "window_days": [180, 180],
            "recency_days": [9.0, 4.0],
            "age_days": [99.0, 4.0],
            "active_days": [4, 1],
            "active_weeks": [3, 1],
            "ab_count": [6, 1],
            "ba_count": [2, 0],
            "weight": [2.9, 0.4],
            "mean_gap_days": [30.0, np.nan],
            "deviation_gap_days": [10.0, np.nan],
            "decay_short_score": [0.99, 0.49],
            "decay_score": [1.99, 0.99],
            "decay_long_score": [2.99, 0.99],
            "shared_count": [2, 0],
            "shared_score": [1.0, 0.0],
            "least_degree": [5, 1],
            "most_degree": [9, 1],
            "least_active_days": [20, 1],
            "idle_days": [0.0, 4.0],
            "least_kept_ratio": [0.5, 1.0],
        }
    )
    found = dict(zip([term.name for term in TERMS], design(rows).T, strict=True))
    assert found["recency"] == pytest.approx(np.log([10, 5]))
    assert found["gap_ratio"] == pytest.approx(np.log([10 / 31, 5 / 181]))
    assert found["burstiness"] == pytest.approx([-0.5, 0])
    assert found["balance"] == pytest.approx([0.5, 0])
    assert list(found["mutual"]) == [1, 0]
    assert found["overlap"] == pytest.approx([2 / 10, 0])
    assert found["weight"] == pytest.approx(np.log([3.0, 0.5]))
    assert design(rows.iloc[:0]).shape == (0, len(TERMS))
    assert len({term.name for term in TERMS}) == len(TERMS) == 19
