"""Tables that say they can be partitioned can: computed in parts by the code that Spark runs, they equal those of one build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixed_world import mixed
from worlds import SOURCE, batch, event

from connectors.records import Batch
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.build_errors import BuildError
from pipelines.catalog import CatalogError, TableSpec, load_catalog
from pipelines.declarations import Declarations
from pipelines.engines import in_waves
from pipelines.spark.engine import SparkEngine
from pipelines.spark.partition import WHICH, PartitionError, Stage
from pipelines.spark.stages import plan
from pipelines.warehouse import Warehouse

CATALOG = {
    name: spec
    for name, spec in load_catalog().items()
    if spec.schema == "core" or spec.partition or name in ("metrics.observed_day", "metrics.observed_stretch")
}
PARTITIONED = [name for name, spec in CATALOG.items() if spec.partition]
DECLARED = Declarations(
    organisations=[("own", "Own", "own"), ("acme", "Acme", "client")],
    domains=[(7001, "acme")],
    relationships=[("advice_acme", "Advice with Acme", "Advice", "team", "acme", "organisation", 2, 30)],
)
_CUT = {
    "thread": "hash(source, coalesce(thread_key, interaction_key))",
    "pair": "hash(least(from_key, to_key), greatest(from_key, to_key))",
}


class InParts(SparkEngine):
    """The Spark engine with the parts computed here one after the other: all but Spark itself."""

    parts = 3

    def _map(self, stage: Stage, kind: str, source: Path, target: Path, count: int) -> None:
        for number in range(self.parts):
            rows = duckdb.sql(f"select * from read_parquet('{source}') where {_CUT[kind]} % {self.parts} = {number}").to_arrow_table()
            for place, labelled in enumerate(stage.run(iter(rows.to_batches(max_chunksize=100)))):
                (name,) = set(labelled.column(WHICH).to_pylist())
                folder = target / f"{WHICH}={name}"
                folder.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_batches([labelled]).drop([WHICH]), folder / f"{number}-{place}.parquet")


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    return {name: warehouse.run(f"select * from {name} order by all") for name in CATALOG}


def built_in_one(*batches: Batch, **parameters: object) -> dict[str, list[tuple[object, ...]]]:
    with Warehouse(None) as warehouse:
        for each in batches:
            warehouse.store(each)
        build(warehouse, Parameters(**parameters), DECLARED, catalog=CATALOG)
        return contents(warehouse)


def built_in_parts(folder: Path, *batches: Batch, **parameters: object) -> dict[str, list[tuple[object, ...]]]:
    """Build after each batch, in parts."""
    with Warehouse(None) as warehouse, InParts(folder / "exchange") as engine:
        for each in batches:
            warehouse.store(each)
            build(warehouse, Parameters(**parameters), DECLARED, catalog=CATALOG, engine=engine)
        return contents(warehouse)


def pieces(whole: Batch, seed: int) -> list[Batch]:
    """The same records in three batches, threads torn apart."""
    interactions = whole.records["interaction"]
    order = np.random.default_rng(seed).permutation(interactions.num_rows)
    return [Batch(SOURCE, "events", {**whole.records, "interaction": interactions.take(part)}) for part in np.array_split(order, 3)]


@pytest.mark.parametrize("seed", range(2))
def test_every_table_equals_that_of_one_build(seed: int, tmp_path: Path) -> None:
    world = mixed(seed)
    expected, found = built_in_one(world), built_in_parts(tmp_path, world)
    for name in CATALOG:
        assert found[name] == expected[name], name
    for name in PARTITIONED:
        assert len(expected[name]) > 20, f"{name}: too few rows to tell"
    assert {row[6] for row in expected["core.contact"]} == {"addressed", "replied", "mentioned", "reacted", "copied", "co_present"}


def test_nights_in_parts_give_the_tables_of_one_clean_build(tmp_path: Path) -> None:
    world = mixed(2, count=900)
    assert built_in_parts(tmp_path, *pieces(world, 2)) == built_in_one(world)


def test_other_settings_reach_every_part(tmp_path: Path) -> None:
    world = mixed(5, count=600)
    chosen = {
        "time_zone": "Australia/Lord_Howe",
        "panels": ("week", "month"),
        "tie_active_days": 2,
        "silence_days": 14,
        "copied_share": 0.25,
    }
    assert built_in_parts(tmp_path, world, **chosen) == built_in_one(world, **chosen)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 140))
def test_every_table_equals_that_of_one_build_on_many_worlds(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")  # noqa: T201
    world = mixed(seed, people=40, days=400, count=6_000)
    expected = built_in_one(world)
    assert built_in_parts(tmp_path, world) == expected
    assert built_in_parts(tmp_path, *pieces(world, seed)) == expected


def test_a_small_chunk_lands_its_own_days_and_panels_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import build as build_module

    world = mixed(3, count=400)
    expected = built_in_one(world)
    monkeypatch.setattr(build_module, "CHUNK_INTERACTIONS", 50)
    monkeypatch.setattr(build_module, "PANEL_ROWS", 50)
    assert built_in_parts(tmp_path, world) == expected


def test_nothing_stored_builds_empty_tables(tmp_path: Path) -> None:
    found = built_in_parts(tmp_path, batch([]))
    assert not any(found[name] for name in PARTITIONED)


def test_interactions_without_any_contact_build(tmp_path: Path) -> None:
    world = batch([event("2026-01-05", 1, [], "slack_channel"), event("2026-01-06", 2, [], "slack_channel")])
    assert built_in_parts(tmp_path, world) == built_in_one(world)


def test_the_exchange_is_closed_to_others_and_gone_afterwards(tmp_path: Path) -> None:
    with InParts(tmp_path / "exchange") as engine:
        assert engine.exchange.stat().st_mode & 0o777 == 0o700
        (engine.exchange / "left.parquet").touch()
    assert not engine.exchange.exists()


def test_a_statement_that_fails_in_a_part_names_its_file(tmp_path: Path) -> None:
    broken = dict(CATALOG)
    spec = broken["metrics.pair_state"]
    broken["metrics.pair_state"] = replace(spec, body=spec.body.replace("from rated", "from nowhere"))
    with Warehouse(None) as warehouse, InParts(tmp_path / "exchange") as engine:
        warehouse.store(mixed(1, count=200))
        with pytest.raises((PartitionError, BuildError), match=r"pair_state.*nowhere"):
            build(warehouse, Parameters(), catalog=broken, engine=engine)


# -- what may be partitioned ------------------------------------------------------------------------------------------


def test_partitioned_metrics_read_nothing_that_is_built_from_others() -> None:
    catalog = load_catalog()
    ordered = in_waves([spec for spec in catalog.values() if spec.schema == "metrics"])
    seen: set[str] = set()
    for spec in ordered:
        assert {read for read in spec.reads if read.startswith("metrics.")} <= seen, spec.full_name
        seen.add(spec.full_name)
    places = [place for place, spec in enumerate(ordered) if spec.partition]
    assert places == list(range(places[0], places[-1] + 1))


def test_ties_their_lives_and_their_strength_are_partitioned() -> None:
    pair_level = {"pair_panel", "tie_spell", "pair_strength", "pair_state", "tie_medium_use"}
    assert {"core.interaction", "core.contact", "core.pair_day", *(f"metrics.{name}" for name in pair_level)} <= set(PARTITIONED)


def test_a_table_cut_up_otherwise_goes_to_no_part() -> None:
    spec = replace(CATALOG["metrics.pair_state"], reads=frozenset({"core.interaction"}))
    catalog: Mapping[str, TableSpec] = CATALOG | {spec.full_name: spec}
    with Warehouse(None) as warehouse:
        warehouse.store(mixed(1, count=50))
        build(warehouse, Parameters(), catalog=CATALOG, as_of=date(2025, 6, 1))
        with pytest.raises(CatalogError, match="too large to go to every part"):
            plan(warehouse, catalog, [spec])
