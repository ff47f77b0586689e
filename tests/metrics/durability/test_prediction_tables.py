"""Features, states and chances on built worlds."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from narrow import built_only
from worlds import days, event

from metrics.durability._prediction_terms import TERMS
from pipelines.warehouse import Warehouse

STATE = ("metrics.pair_state",)
DURABILITY = ("metrics.pair_durability", "metrics.durability_validation", "metrics.durability_calibration")
WIDE = {"gap_minimum_expected": 1e9}


def state(warehouse: Warehouse, a: int, b: int) -> str:
    return str(warehouse.value(f"select state from metrics.pair_state where person_a_key = {a} and person_b_key = {b}"))


def test_each_state_by_hand() -> None:
    last = 300
    contact = {
        (1, 2): range(0, last + 1, 10),  # regular until today
        (1, 3): [0, 10, 20],  # silent for 280 days
        (1, 4): [0, 10, 20, 180, 190, 295],  # a silence of 160 days broken 120 and more days ago, then silent for 105, broken 5 days ago
        (1, 5): [290, 294, 296],  # first contact 10 days ago
        (1, 6): [100, *range(200, 256, 2)],  # every other day, then silent for 46: 8 times its gap is less
        (1, 7): [*range(122, 210, 8), 250, 290],  # eleven days in the ninety before, two in the last ninety
        (1, 8): [255],  # once, 45 days ago
        (1, 9): [280],  # once, 20 days ago
        (1, 10): [*range(100, 260, 7)],  # weekly, silent for six weeks: six times its gap
    }
    rows = [event(moment, a, b) for (a, b), listed in contact.items() for moment in days("2024-01-01", *listed)]
    warehouse = built_only(STATE, rows, **WIDE)
    expected = {
        (1, 2): "active",
        (1, 3): "ended",
        (1, 4): "revived",
        (1, 5): "forming",
        (1, 6): "dormant",
        (1, 7): "weakening",
        (1, 8): "dormant",
        (1, 9): "forming",
        (1, 10): "weakening",
    }
    assert {pair: state(warehouse, *pair) for pair in expected} == expected
    gap = warehouse.run("select mean_gap_days, gap_ratio, is_gap_flagged from metrics.pair_state where person_b_key = 3")
    assert gap == [(10, 28, True)]
    assert warehouse.run("select gap_ratio, is_gap_flagged from metrics.pair_state where person_b_key = 8") == [(None, None)]


def test_features_by_hand() -> None:
    contact = {
        (1, 2): [55, 60, 69],
        (1, 3): [69],
        (2, 3): [40, 68],
        (3, 4): [30, 62],
        (2, 4): [0, 71],  # day 0 is before the window; day 71 after the cut
        (8, 9): range(100),  # the clock
    }
    rows = [event(moment, a, b) for (a, b), listed in contact.items() for moment in days("2024-01-01", *listed)]
    rows.append(event("2024-03-10T15:00", 2, 1))  # day 69 again, the other way
    warehouse = built_only(["metrics.pair_cut_feature"], rows, **WIDE, prediction_window_days=45, prediction_horizon_days=15)
    cut = "select cut_number from metrics.prediction_cut where cut_day_number = 70"
    names = [
        "recency_days",
        "age_days",
        "active_days",
        "active_weeks",
        "ab_count",
        "ba_count",
        "weight",
        "mean_gap_days",
        "deviation_gap_days",
        "shared_count",
        "least_degree",
        "most_degree",
        "least_active_days",
        "idle_days",
        "least_kept_ratio",
        "is_active_next",
    ]
    select = f"select {', '.join(names)} from metrics.pair_cut_feature where cut_number = ({cut})"
    # the cut is day 69 (from 0); the window days 25 to 69, its first half ages 22.5 and more
    pair = dict(zip(names, warehouse.run(f"{select} and person_a_key = 1 and person_b_key = 2")[0], strict=True))
    assert pair == pytest.approx(
        {
            "recency_days": 0,
            "age_days": 14,
            "active_days": 3,
            "active_weeks": 3,
            "ab_count": 3,
            "ba_count": 1,
            "weight": 4,
            "mean_gap_days": 7,
            "deviation_gap_days": 2,
            "shared_count": 1,
            "least_degree": 2,
            "most_degree": 2,
            "least_active_days": 3,
            "idle_days": 0,
            # 1 has no tie as old as that (1 of 1); 2 has that with 3 and kept it (2 of 2)
            "least_kept_ratio": 1,
            "is_active_next": False,
        }
    )
    # 2 and 4 were in contact before the window and after the cut only
    assert warehouse.run(f"{select} and person_a_key = 2 and person_b_key = 4") == []
    later = warehouse.run(
        f"select shared_score, decay_score, decay_short_score, decay_long_score from metrics.pair_cut_feature "
        f"where cut_number = ({cut}) and person_a_key = 1 and person_b_key = 2"
    )[0]
    ages = np.array([0, 9, 14])
    # shared with 3: the lesser of 1-3 (a day of age 0) and 2-3 (ages 1 and 29), half-life a third of the window
    assert later[0] == pytest.approx(min(1, 2 ** (-1 / 15) + 2 ** (-29 / 15)))
    assert later[1:] == pytest.approx([(2.0 ** (-ages / life)).sum() for life in (15, 5, 45)])


def society(people: int, count: int, seed: int) -> list[dict[str, object]]:
    """Pairs in touch at rates of their own, some of which stop for good: what lasts can be foreseen, not perfectly."""
    random = np.random.default_rng(seed)
    rows = []
    for a in range(1, people + 1):
        for b in random.choice(np.arange(1, people + 1), 4, replace=False):
            if a == b:
                continue
            rate = random.gamma(1, 0.08)
            end = count if random.random() < 0.6 else random.integers(0, count)
            active = np.flatnonzero(random.random(int(end)) < rate)
            rows += [
                event(moment, a, int(b)) if random.random() < 0.6 else event(moment, int(b), a)
                for moment in days("2024-01-01", *active.tolist())
            ]
    return rows


@pytest.fixture(scope="module")
def organisation() -> Warehouse:
    return built_only(DURABILITY, society(90, 140, 1))


def test_chances_follow_from_the_published_coefficients(organisation: Warehouse) -> None:
    rows = organisation.connection.sql("select * from metrics.pair_durability where p_active_ratio is not null").df()
    assert len(rows) > 50
    assert rows["p_active_ratio"].between(0, 1).all()
    assert (rows["p_lasting_ratio"] <= rows["p_active_ratio"]).all()
    in_window = organisation.value("select count(*) from metrics.pair_cut_feature where is_active_next is null")
    assert len(rows) == in_window
    out = organisation.run("select distinct reason from metrics.pair_durability where p_active_ratio is null")
    assert out in ([], [("out_of_window",)])


def test_the_model_is_told_term_by_term(organisation: Warehouse) -> None:
    rows = organisation.connection.sql("select * from metrics.durability_model where outcome = 'active'").df()
    assert list(rows["term"]) == ["intercept", *(term.name for term in TERMS)]
    assert (rows["coefficient_low"] < rows["coefficient_high"]).all()
    told = rows[rows["finding"].notna()]
    assert set(told["direction"]) <= {"more_likely", "less_likely"}
    assert told["finding"].str.startswith("Other things equal, where ").all()
    assert organisation.value("select max(fitted_to) from metrics.durability_model") <= organisation.value(
        "select max(date) from metrics.observed_day"
    )


def test_the_model_does_better_than_chance_and_says_how_sure_it_is(organisation: Warehouse) -> None:
    rows = organisation.connection.sql("select * from metrics.durability_validation where outcome = 'active' and cut_number = 0").df()
    model = rows.set_index("score").loc["model"]
    assert model["auc_low_ratio"] > 0.6
    assert model["auc_low_ratio"] < model["auc_ratio"] < model["auc_high_ratio"]
    assert set(rows["score"]) == {"model", "recency", "frequency", "day_decay", "mutual"}
    assert organisation.value("select sum(pair_count) from metrics.durability_calibration where outcome = 'active'") == model["pair_count"]


def test_the_same_days_give_the_same_figures(organisation: Warehouse) -> None:
    again = built_only(DURABILITY, society(90, 140, 1)[::-1])
    for table in ("durability_model", "durability_validation", "pair_durability"):
        assert again.run(f"select * from metrics.{table} order by all") == organisation.run(f"select * from metrics.{table} order by all")


def test_with_too_little_history_states_are_given_and_chances_are_not() -> None:
    rows = [event(moment, 1, 2) for moment in days("2024-01-01", 0, 5, 12)]
    warehouse = built_only(DURABILITY, rows, **WIDE)
    found = warehouse.run("select state, p_active_ratio, reason from metrics.pair_durability")
    assert found == [("forming", None, "too_little_history")]
    assert warehouse.run("select distinct reason from metrics.durability_model") == [("too_little_history",)]
    assert warehouse.run("select distinct reason, auc_ratio from metrics.durability_validation") == [("too_little_history", None)]


def test_with_few_pairs_chances_are_not_given() -> None:
    rows = [event(moment, 1, 2) for moment in days("2024-01-01", *range(0, 120, 3))]
    warehouse = built_only(DURABILITY, rows, **WIDE)
    assert warehouse.run("select state, reason from metrics.pair_durability") == [("active", "too_few")]
    assert warehouse.run("select distinct reason from metrics.durability_validation") == [("too_few",)]


def test_nothing_at_all_is_nothing() -> None:
    warehouse = built_only(DURABILITY, [event("2024-01-01", 1, [])], as_of=date(2024, 1, 1))
    assert warehouse.value("select count(*) from metrics.pair_durability") == 0
