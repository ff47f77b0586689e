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
import statsmodels.api as sm
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


ADJUSTED = """
with pair as (
    select
        person_a_key as a, person_b_key as b, sum(ab_count + ba_count) as contacts, $cut - max(date) as recency,
        sum(ab_count) > 0 and sum(ba_count) > 0 as is_mutual, bool_or(is_cross_team) as is_cross_team
    from core.pair_day where date >= $cut - 180 and date < $cut group by all
),
side as (select a as one, b as other from pair union all select b, a from pair),
common as (
    select p.a, p.b, count(*) as common_count from pair as p
    join side as x on x.one = p.a join side as y on y.one = p.b and y.other = x.other group by all
),
later as (select distinct person_a_key as a, person_b_key as b from core.pair_day where date >= $cut and date < $cut + 90)
select p.*, coalesce(c.common_count, 0) as common_count, l.a is not null as is_kept
from pair as p left join common as c using (a, b) left join later as l on l.a = p.a and l.b = p.b
"""


def test_what_goes_with_fading_when_frequency_recency_and_common_contacts_are_held(eu: Warehouse) -> None:
    """Mutual pairs are kept more often (.600 against .322), yet not for being mutual (-.46); pairs across departments less (-.49)."""
    rows = eu.connection.execute(ADJUSTED, {"cut": CUT}).df()
    kept = rows.groupby("is_mutual")["is_kept"].mean()
    assert [kept[True], kept[False]] == pytest.approx([0.600, 0.322], abs=5e-4)
    held = {
        "contacts": np.log(rows["contacts"].astype(float)),
        "recency": np.log(rows["recency"].astype(float)),
        "common": np.log1p(rows["common_count"]),
        "is_mutual": rows["is_mutual"].astype(float),
        "is_cross_team": rows["is_cross_team"].astype(float),
    }
    fitted = sm.Logit(rows["is_kept"].astype(float), sm.add_constant(pd.DataFrame(held))).fit(disp=0)
    assert fitted.params["is_cross_team"] == pytest.approx(-0.49, abs=0.005)
    assert fitted.tvalues["is_cross_team"] == pytest.approx(-9.1, abs=0.05)
    # how recency and common contacts were scaled is not published
    assert fitted.params["is_mutual"] == pytest.approx(-0.46, abs=0.03)
    assert fitted.tvalues["is_mutual"] == pytest.approx(-6.6, abs=0.3)
