"""Ties, bridges and their ends in real e-mail with a hole of 272 days in its collection (EU-core)."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import SOURCE, built, edge_events, table

from pipelines.warehouse import Warehouse

pytestmark = pytest.mark.oracle

# the published shares are those of the pairs of days 90 to 269 in days 270 to 359; here day 270 is the first of a month
START = date(2020, 1, 5)
CUT = START + timedelta(days=270)


def edges(folder: Path, name: str) -> np.ndarray:
    path = folder / "eu_core" / name
    if path.suffix == ".gz":
        with gzip.open(path) as file:
            return np.loadtxt(file, dtype=np.int64)
    return np.loadtxt(path, dtype=np.int64)


def colours(arcs: np.ndarray) -> dict[int, int]:
    """Nodes told apart by their neighbours, their neighbours' neighbours and so on (Weisfeiler and Leman)."""
    outgoing, incoming = defaultdict(list), defaultdict(list)
    for sender, recipient in arcs.tolist():
        outgoing[sender].append(recipient)
        incoming[recipient].append(sender)
    found = dict.fromkeys(np.unique(arcs).tolist(), 0)
    for _ in range(8):
        found = {
            node: hash((colour, tuple(sorted(found[n] for n in outgoing[node])), tuple(sorted(found[n] for n in incoming[node]))))
            for node, colour in found.items()
        }
    return found


def departments(folder: Path, arcs: np.ndarray) -> Mapping[int, str]:
    """Departments of the people of the temporal data, which are published for other numbers.

    Without its loops the static graph is the temporal one with its people numbered anew (24,929 arcs in both): they are matched by
    their place in it. A few with one and the same neighbour cannot be told apart and get the department of any of them.
    """
    static = edges(folder, "email-Eu-core.txt")
    labels = dict(edges(folder, "email-Eu-core-department-labels.txt").tolist())
    static = static[static[:, 0] != static[:, 1]]
    assert len(static) == len(arcs) == 24_929
    by_colour = {colour: node for node, colour in sorted(colours(static).items(), reverse=True)}
    return {node: f"department {labels[by_colour[colour]]}" for node, colour in colours(arcs).items()}


@pytest.fixture(scope="module")
def eu(oracle_data: Path) -> Warehouse:
    raw = edges(oracle_data, "email-Eu-core-temporal.txt.gz")
    arcs = np.unique(raw[:, :2], axis=0)
    found = edge_events(raw[:, 2], raw[:, 0] + 1, raw[:, 1] + 1, start=START.isoformat())
    found.records["membership"] = table(
        "membership",
        [
            {"source": SOURCE, "account_key": node + 1, "observed_on": date(2000, 1, 1), "team": team}
            for node, team in departments(oracle_data, arcs[arcs[:, 0] != arcs[:, 1]]).items()
        ],
    )
    return built(found, only=["tie_spell", "tie_half_life", "bridge_decay", "org_panel_churn"])


def kept(eu: Warehouse, grouping: str, level: str) -> tuple[float, float, float]:
    return eu.run(
        "select kept_ratio, lower_ratio, upper_ratio from metrics.bridge_decay "
        "where cut_date = $1 and cut_kind = 'month' and basis = 'contact' and grouping = $2 and level = $3",
        [CUT, grouping, level],
    )[0]


@pytest.mark.parametrize(
    "grouping, level, published",
    [("structure", "bridge", 0.206), ("structure", "embedded", 0.474), ("team", "cross_team", 0.388), ("team", "within_team", 0.587)],
)
def test_bridges_fade_faster(eu: Warehouse, grouping: str, level: str, published: float) -> None:
    share, lower, upper = kept(eu, grouping, level)
    assert share == pytest.approx(published, abs=0.0015)
    assert lower < share < upper


def test_the_hole_in_collection_ends_no_tie(eu: Warehouse) -> None:
    spells = eu.connection.sql("select * from metrics.tie_spell").df()
    hole = pd.Timestamp(START) + pd.Timedelta(days=525)
    before = spells[spells["first_date"] <= hole]
    latest = before.groupby(["person_a_key", "person_b_key"])["last_date"].max()
    # contact in the ninety days before the hole: not one has ended, whatever came after
    near = before[before["last_date"] > hole - pd.Timedelta(days=90)]
    assert len(near) > 4000
    assert not near["has_ended"].any()
    assert (near["exit_reason"] == "gap").sum() > 3500
    assert before[before["last_date"] <= hole - pd.Timedelta(days=92)]["has_ended"].mean() > 0.99
    assert len(latest) > 9000


def test_no_month_around_the_hole_has_counts(eu: Warehouse) -> None:
    rows = eu.run(
        "select panel_start, decayed_count, reason from metrics.org_panel_churn "
        "where panel_kind = 'month' and medium = 'any' and slice = 'all' and panel_start between date '2021-06-01' and date '2022-03-01'"
    )
    assert len(rows) == 10
    assert all(decayed is None and reason == "not_observed" for _, decayed, reason in rows)


def test_half_lives_within_and_across_departments(eu: Warehouse) -> None:
    found = dict(eu.run("select level, half_life_weeks from metrics.tie_half_life where grouping = 'is_cross_team'"))
    assert found["cross_team"] < found["within_team"]
