"""Any events make figures, or say why they make none: every table is built of worlds that no other tool's data should surprise it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from worlds import batch, edge_events, event, tables

from connectors.records import Batch, table
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse

START = datetime(2024, 3, 1, 12, tzinfo=UTC)


def drawn(seed: int, people: int, days: int, count: int, medium: str = "email") -> Batch:
    """Events between people drawn at random, without teams, in one medium."""
    random = np.random.default_rng(seed)
    first = random.integers(0, people, count)
    second = (first + random.integers(1, people, count)) % people
    return edge_events(np.sort(random.integers(0, days * 86_400, count)), first + 1, second + 1, medium=medium)


def bipartite() -> Batch:
    """Customers write to agents, who never answer; nobody writes within a side."""
    random = np.random.default_rng(5)
    count = 1_500
    return edge_events(np.sort(random.integers(0, 120 * 86_400, count)), random.integers(1, 60, count), random.integers(100, 108, count))


def two_sources_with_the_same_numbers() -> Batch:
    """Account 1 of one tool is not account 1 of the other, and both tools number their messages from 1."""
    one = drawn(7, 12, 80, 600)
    other = drawn(8, 12, 80, 600, medium="teams_chat")
    accounts = [
        {**row, "source": "other", "person_id": f"{row['account_key'] + 500:016x}{1:016x}"} for row in other.records["account"].to_pylist()
    ]
    events = [{**row, "source": "other"} for row in other.records["interaction"].to_pylist()]
    records = {
        kind: table(kind, [*one.records[kind].to_pylist(), *rows]) for kind, rows in (("account", accounts), ("interaction", events))
    }
    return replace(one, records={**one.records, **records})


WORLDS: dict[str, Callable[[], Batch]] = {
    "one_message": lambda: batch([event(START, 1, 2)]),
    "nobody_answers_on_one_day": lambda: batch([event(START + timedelta(seconds=n), n + 1, n + 2) for n in range(8)]),
    "ten_people_three_days": lambda: drawn(1, 10, 3, 200),
    "ten_people_a_year": lambda: drawn(2, 10, 365, 4_000),
    "meetings_only": lambda: drawn(3, 25, 100, 1_500, medium="meeting_online"),
    "bipartite": bipartite,
    "two_sources": two_sources_with_the_same_numbers,
    "notes_to_oneself": lambda: batch([event(START + timedelta(days=n), 1, 1) for n in range(40)]),
}


def frames(made: Batch, **parameters: Any) -> dict[str, list[dict[str, Any]]]:
    with Warehouse(None) as warehouse:
        warehouse.store(made)
        build(warehouse, Parameters(**parameters), catalog=tables(None))
        return {name: warehouse.arrow(f"select * from {name}").to_pylist() for name in tables(None) if name.startswith("metrics.")}


@pytest.mark.parametrize("name", WORLDS)
def test_every_table_is_built(name: str) -> None:
    # a table's own checks run as it is built; here, that predictions are made or refused with a reason, never without
    found = frames(WORLDS[name]())
    for row in found["metrics.pair_durability"]:
        assert (row["p_active_ratio"] is None) == (row["reason"] is not None)
        assert row["p_active_ratio"] is None or 0 < row["p_active_ratio"] < 1
    for row in found["metrics.durability_model"]:
        assert (row["coefficient"] is None) == (row["reason"] is not None)
    if name == "two_sources":
        assert len({key for row in found["metrics.pair_durability"] for key in (row["person_a_key"], row["person_b_key"])}) == 24


def test_signs_are_those_that_anyone_would_expect() -> None:
    """Pairs with habits of their own: the more often and the more lately, the likelier again; the longer silent, the less."""
    random = np.random.default_rng(11)
    rows = []
    for pair, (a, b) in enumerate(combinations(range(1, 41), 2)):
        if random.random() < 0.5:
            continue
        begins, lives, every = random.integers(-60, 200), random.exponential(90), random.lognormal(1.6, 0.8)
        day = float(begins)
        while day < min(begins + lives, 240):
            if day >= 0:
                rows.append((int(day * 86_400), *((a, b) if pair % 3 else (b, a))))
            day += random.exponential(every) + 0.2
    seconds, first, second = np.array(sorted(rows)).T
    with Warehouse(None) as warehouse:
        warehouse.store(edge_events(seconds, first, second))
        build(warehouse, Parameters(), catalog=tables(["durability_model", "durability_validation"]))
        told = dict(warehouse.run("select term, coefficient from metrics.durability_model where outcome = 'active'"))
        score = dict(
            warehouse.run("select score, auc_ratio from metrics.durability_validation where outcome = 'active' and cut_number = 0")
        )
        slope = warehouse.value(
            "select calibration_slope from metrics.durability_validation where outcome = 'active' and cut_number = 0 and score = 'model'"
        )
    assert told["recency"] < 0
    assert told["gap_ratio"] < 0
    assert told["active_days"] + told["active_weeks"] + told["decay_short"] + told["decay_medium"] + told["decay_long"] > 0
    assert score["model"] > max(value for name, value in score.items() if name != "model") - 0.01
    assert 0.8 < slope < 1.25
