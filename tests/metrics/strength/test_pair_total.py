"""Totals of pairs, added to night by night, are those that one build sums up."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from mixed_world import mixed
from worlds import SOURCE, batch, event, tables

from connectors.records import Batch
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse

CATALOG = tables(["pair_strength"])
PARAMETERS = Parameters(panels=("week", "month"), tie_active_days=2)
NAMES = ("metrics.pair_total", "metrics.pair_panel", "metrics.pair_strength")


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {name: warehouse.run(f"select * from {name} order by all") for name in NAMES}


def in_one(*stored: Batch, as_of: date | None = None) -> dict[str, list[tuple[Any, ...]]]:
    warehouse = Warehouse(None)
    for each in stored:
        warehouse.store(each)
    build(warehouse, PARAMETERS, catalog=CATALOG, as_of=as_of)
    return contents(warehouse)


def in_nights(world: Batch, seed: int) -> list[Batch]:
    """The same records night by night: most come on their own day, some late, in one case long before all others."""
    interactions = world.records["interaction"]
    random = np.random.default_rng(seed)
    order = np.argsort(interactions["occurred_at"].to_numpy(), kind="stable")
    late = random.random(len(order)) < 0.04
    night = np.sort(random.integers(0, 8, len(order)))
    night[late] = random.integers(0, 8, int(late.sum()))
    return [Batch(SOURCE, "events", {**world.records, "interaction": interactions.take(order[night == each])}) for each in range(8)]


@pytest.mark.parametrize("seed", range(2))
def test_nights_give_what_one_build_gives(seed: int) -> None:
    world = mixed(seed + 40, count=900)
    warehouse = Warehouse(None)
    stored: list[Batch] = []
    for each in in_nights(world, seed):
        warehouse.store(each)
        stored.append(each)
        build(warehouse, PARAMETERS, catalog=CATALOG)
        assert contents(warehouse) == in_one(*stored)


def test_a_build_as_of_an_earlier_day_and_one_of_today_again() -> None:
    world = mixed(50, count=900)
    last = pc.max(world.records["interaction"]["occurred_at"]).as_py().date()
    warehouse = Warehouse(None)
    warehouse.store(world)
    for days in (0, 40, 20, 60, 0):
        as_of = last - timedelta(days=days)
        build(warehouse, PARAMETERS, catalog=CATALOG, as_of=as_of)
        assert contents(warehouse) == in_one(world, as_of=as_of)


@pytest.mark.parametrize("broken_at", ["metrics.pair_panel", "metrics.pair_strength", "raw.memo values"])
def test_a_build_that_breaks_off_after_the_totals_counts_nothing_twice(broken_at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = mixed(60, count=400)
    nights = in_nights(world, 5)
    warehouse = Warehouse(None)
    original = Warehouse.run
    state = {"is_after_totals": False, "breaks": 0}

    def run(self: Warehouse, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        state["is_after_totals"] |= sql.startswith("delete from metrics.pair_panel")
        if state["is_after_totals"] and sql.startswith(f"insert into {broken_at}"):
            state["breaks"] += 1
            raise RuntimeError("power cut")
        return original(self, sql, parameters)

    for number, each in enumerate(nights):
        warehouse.store(each)
        if number > 2:
            with monkeypatch.context() as patch:
                patch.setattr(Warehouse, "run", run)
                with pytest.raises(RuntimeError, match="power cut"):
                    build(warehouse, PARAMETERS, catalog=CATALOG)
            state["is_after_totals"] = False
        if number != 5:  # two nights after each other break off
            build(warehouse, PARAMETERS, catalog=CATALOG)
            assert contents(warehouse) == in_one(*nights[: number + 1])
    assert state["breaks"] == 5


def test_only_pairs_with_changed_days_are_summed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [event(f"2024-01-{day:02}", 1 + day % 3, 4, interaction_key=day) for day in range(1, 31)]
    warehouse = Warehouse(None)
    warehouse.store(batch(rows))
    build(warehouse, PARAMETERS, catalog=CATALOG)
    # one pair's new day, and another's old one
    warehouse.store(batch([event("2024-01-31", 1, 4, interaction_key=40), event("2024-01-05", 2, 4, interaction_key=41)]))
    seen: dict[str, list[tuple[Any, ...]]] = {}
    original = Warehouse.run

    def run(self: Warehouse, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        if sql.startswith("insert into metrics.pair_total"):
            for name in ("touched_pair", "added_pair", "pair_total_before"):
                seen[name] = original(self, f"select person_a_key, person_b_key from {name} order by all")
        return original(self, sql, parameters)

    monkeypatch.setattr(Warehouse, "run", run)
    build(warehouse, PARAMETERS, catalog=CATALOG)
    # on 5 January, which was built anew, 3 and 4 were in contact too
    assert seen == {"touched_pair": [(2, 4), (3, 4)], "added_pair": [(1, 4)], "pair_total_before": [(1, 4)]}
