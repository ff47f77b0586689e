"""The benchmarks in their tiniest form: they run, perdure and its rivals agree, and growth is computed. No seconds are asserted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import bench_build, bench_graphs, bench_reciprocity, measure, rivals, run
from benchmarks.interactions import as_batch, land, organisation_of
from worlds import tables

from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse


def test_growth_exponents() -> None:
    assert measure.exponents({100: 1.0, 10: 0.1, 1000: 100.0}) == pytest.approx([1.0, 2.0])
    assert measure.exponents({10: 0.0, 100: 1.0}) == []


def test_a_benchmark_agrees_with_its_rivals_and_is_printed(tmp_path: Path) -> None:
    history = bench_build.by_history(tmp_path, 2_000, [2])
    assert (history["years"][2]["days"], history["years"][2]["panels"]) == (1, 2)
    found = {
        "build": bench_build.run(tmp_path, [3_000, 6_000], 1_500),
        "history": history,
        "graphs": bench_graphs.run({100: 1_000, 200: 2_000}, 100),
    }
    build_figures = found["build"]["sizes"][6_000]["build"]
    assert build_figures["rows"]["core.interaction"] == 6_000
    assert build_figures["peak_gigabytes"] > 0
    # one day and one month more than the year, and the whole time
    assert found["build"]["sizes"][6_000]["night"]["days"] == 1
    assert found["build"]["sizes"][6_000]["night"]["panels"] == 2
    assert set(found["build"]["exponents"]) >= {"build", "night", "core.days", "metrics.pair_panel"}
    assert found["build"]["compared"]["differences"] == []
    text = run.printed(found)
    assert "times faster than pandas and networkx" in text
    assert "removal_curve" in text
    assert "by its years of history" in text
    json.dumps(found)


def test_the_rivals_agree_where_groups_make_ties_and_differ_where_they_draw_the_line_elsewhere(tmp_path: Path) -> None:
    # nobody writes to more than five here: with the usual setting only meetings would be groups
    parameters, path = Parameters(direct_size=2), tmp_path / "w.duckdb"
    bench_build.landed(path, 2_000, has_channels=False)
    rivals.flattened(path, tmp_path)
    with Warehouse(path) as warehouse:
        build(warehouse, parameters, catalog=tables(bench_build.WANTED))
    found = rivals.by_pandas(tmp_path, parameters)
    assert found["panel"]["is_group_tie"].any()
    assert any("rho_w" in figures for figures in found["reciprocity"].values())
    assert rivals.differences(path, found, rivals.by_polars(tmp_path, parameters)) == []
    elsewhere = rivals.differences(path, rivals.by_pandas(tmp_path), rivals.by_polars(tmp_path))
    assert {line.split(" of ")[1].split(",")[0] for line in elsewhere} == {"core.pair_day", "metrics.pair_panel", "org_panel_cross_team"}


def test_the_null_of_reciprocity_holds_to_degrees_and_strengths() -> None:
    # more people than a matrix of all pairs is made for
    found = bench_reciprocity.null(2_000, 30_000)
    assert found["worst_miss"] < 1e-6
    assert 0 < found["r_w_null"] < 0.1


def test_made_up_interactions_are_the_same_for_the_same_seed_and_stored_as_they_are() -> None:
    organisation = organisation_of(50_000)
    first, second = (list(organisation.interactions(2_000)) for _ in range(2))
    assert all(one.equals(other) for one, other in zip(first, second, strict=True))
    keys = np.concatenate([part["interaction_key"].to_numpy() for part in first])
    assert len(np.unique(keys)) == len(keys) == 2_000
    warehouse = Warehouse(None)
    land(warehouse, organisation, 2_000)
    build(warehouse, Parameters(), catalog=tables(()))
    # what was landed at once is what storing it batch by batch would have landed: storing it again changes nothing
    batch = as_batch(organisation, 2_000, *(bench_build.FIRST_DAY, bench_build.DAY_COUNT), first_number=0)
    assert warehouse.store(batch).changed_interaction_count == 0
    evidence = dict(warehouse.run("select evidence, count(*) from core.contact group by evidence"))
    assert set(evidence) == {"addressed", "replied", "mentioned", "copied", "co_present"}
