"""Threads across days: a late reply changes other days, however long ago the thread began and whether or not that is stored."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from worlds import batch, event, tables

from metrics.parameters import Parameters
from pipelines import threads
from pipelines.build import build
from pipelines.warehouse import Warehouse

CATALOG = tables(())
NAMES = ("core.contact", "core.thread_day", "core.pair_day")


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {name: warehouse.run(f"select * from {name} order by all") for name in NAMES}


def long_threads(seed: int) -> list[dict[str, Any]]:
    """Threads whose replies come days to years after their beginning; of some the beginning is not stored."""
    random = np.random.default_rng(seed)
    rows = []
    for thread in range(1, 25):
        began = date(2023, 1, 1) + timedelta(days=int(random.integers(0, 500)))
        shared = {"medium": str(random.choice(["slack_channel", "slack_dm", "teams_channel", "email"])), "thread_key": thread * 100}
        if thread % 4:
            rows.append(event(began, int(random.integers(1, 8)), interaction_key=thread * 100, reply_count=3, **shared))
        for number in range(1, 4):
            day = began + timedelta(days=int(random.choice([0, 1, 9, 70, 400])))
            moment = datetime.combine(day, datetime.min.time()) + timedelta(hours=number)
            rows.append(event(moment, int(random.integers(1, 8)), interaction_key=thread * 100 + number, **shared))
    return rows


@pytest.mark.parametrize("look_back", [(60, 600), (1, 5), ()])
def test_nights_of_long_threads_give_what_one_build_gives(look_back: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LOOK_BACK_DAYS", look_back)
    rows = sorted(long_threads(len(look_back)), key=lambda row: str(row["occurred_at"]))
    late = np.random.default_rng(1).permutation(len(rows))[:20]
    nights = [*np.array_split(np.setdiff1d(np.arange(len(rows)), late), 5), late]
    warehouse = Warehouse(None)
    for night in nights:
        warehouse.store(batch([rows[place] for place in night]))
        build(warehouse, Parameters(), catalog=CATALOG)
    clean = Warehouse(None)
    clean.store(batch(rows))
    build(clean, Parameters(), catalog=CATALOG)
    assert contents(warehouse) == contents(clean)
    assert warehouse.value("select count(*) from core.contact where evidence = 'replied'") > 20


@pytest.mark.parametrize("first_is_stored, looked_back", [(True, [60]), (False, [60, 600])])
def test_only_a_thread_without_its_beginning_is_looked_for_in_all_of_history(
    first_is_stored: bool, looked_back: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = {"medium": "slack_channel", "thread_key": 10}
    old = [event(date(2020, 1, 1), 1, 2, interaction_key=1)]
    began = [event("2024-02-20", 1, interaction_key=10, **thread)] if first_is_stored else []
    warehouse = Warehouse(None)
    warehouse.store(batch([*old, *began, event("2024-02-21", 2, interaction_key=11, **thread)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    asked: list[datetime] = []
    original = Warehouse.run

    def run(self: Warehouse, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        if sql.startswith("select count(distinct interaction_key), min(occurred_at) from raw.interaction"):
            asked.append(parameters[0])
        return original(self, sql, parameters)

    monkeypatch.setattr(Warehouse, "run", run)
    warehouse.store(batch([event("2024-03-01", 3, interaction_key=12, **thread)]))
    build(warehouse, Parameters(), catalog=CATALOG)
    # once for the days that the reply touches, once for the threads that are answered on them
    assert sorted({(asked[0] - since).days + looked_back[0] for since in asked[: len(looked_back)]}) == looked_back
    assert warehouse.run("select from_key, to_key from core.contact where date = '2024-03-01' order by 2") == (
        [(3, 1), (3, 2)] if first_is_stored else [(3, 2)]
    )
