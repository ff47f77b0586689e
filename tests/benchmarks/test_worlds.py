"""The made-up world of the benchmarks builds, and the short cut to pair-days agrees with the build where rules are the same."""

import pytest
from benchmarks.worlds import World, land, store

from pipelines.warehouse import Warehouse

WORLD = World(people=120, days=60, seed=3, interactions=8_000)


def test_a_world_has_about_as_many_interactions_as_asked_for_and_the_same_every_time() -> None:
    first, again = (World(people=120, days=60, seed=3, interactions=8_000) for _ in range(2))
    assert [batch.records["interaction"] for batch in first.batches()] == [batch.records["interaction"] for batch in again.batches()]
    assert sum(batch.records["interaction"].num_rows for batch in first.batches()) == pytest.approx(8_000, rel=0.05)


def test_records_that_are_landed_straight_are_those_that_are_stored() -> None:
    query = "select * replace (list_sort(participants) as participants) from raw.interaction order by all"
    with Warehouse(None) as stored, Warehouse(None) as landed:
        store(stored, WORLD)
        land(landed, WORLD)
        assert landed.run(query) == stored.run(query)
        for table in ("account", "membership", "touched_day"):
            assert landed.run(f"select * from raw.{table} order by all") == stored.run(f"select * from raw.{table} order by all")
