"""Real data through the importers: everything in it is accounted for, and what is published of it is found again."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from worlds import tables

from connectors import events_file
from connectors.pseudonyms import Pseudonymiser
from connectors.slack import export
from metrics.parameters import Parameters
from pipelines.build import build
from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.oracle
NAMES = Pseudonymiser(bytes(range(32)))


def events(source: Path, target: Path, start: int) -> Path:
    """Write an edge list of `from to seconds` as an events file with ids and, for every other person, addresses."""
    with gzip.open(source) as file:
        edges = np.loadtxt(file, dtype=np.int64)
    name = [f"p{number}@firm.example" if number % 2 else f"p{number}" for number in range(int(edges[:, :2].max()) + 1)]
    with target.open("w", encoding="utf-8") as out:
        out.write("at,sender,recipient\n")
        out.writelines(f"{seconds + start},{name[sender]},{name[recipient]}\n" for sender, recipient, seconds in edges.tolist())
    return target


@pytest.mark.parametrize(
    "place, start, interactions, arcs",
    [("eu_core/email-Eu-core-temporal.txt.gz", 1_577_836_800, 332_334, 24_929), ("collegemsg/CollegeMsg.txt.gz", 0, 59_835, 20_296)],
)
def test_edge_lists_through_the_events_importer(
    oracle_data: Path, tmp_path: Path, place: str, start: int, interactions: int, arcs: int
) -> None:
    path = events(oracle_data / place, tmp_path / "events.csv", start)
    warehouse = Warehouse(None)
    for batch in events_file.read(path, NAMES):
        warehouse.store(batch, any_time=True)
    assert sum(warehouse.store(batch, any_time=True).changed_interaction_count for batch in events_file.read(path, NAMES)) == 0
    build(warehouse, Parameters(), catalog=tables(["pair_panel"]))
    assert warehouse.value("select count(*) from core.interaction where exclusion is null") == interactions
    found = warehouse.value(
        "select sum(cast(ab_count > 0 as integer) + cast(ba_count > 0 as integer)) "
        "from metrics.pair_panel where panel_kind = 'all' and medium = 'any'"
    )
    assert found == arcs


def test_a_real_slack_export_is_accounted_for(oracle_data: Path) -> None:
    warehouse = Warehouse(None)
    for _ in range(2):
        for batch in export.read(oracle_data / "slack_houston", NAMES):
            warehouse.store(batch)
    build(warehouse, Parameters(), catalog=tables([]))
    kept = dict(warehouse.run("select coalesce(exclusion, 'interaction'), count(*) from core.interaction group by 1"))
    quarantined = warehouse.value("select count(*) from raw.quarantine")
    assert sum(kept.values()) + quarantined == 1_382
    assert kept["join_or_leave"] > 300
    assert warehouse.value("select count(*) from raw.space") == 16
    authors = warehouse.value("select count(distinct sender_key) from raw.interaction")
    assert authors == 71
