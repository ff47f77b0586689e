"""Published and recomputed values of reciprocity on EU-core mail and CollegeMsg messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from worlds import built, college, eu_core

pytestmark = pytest.mark.oracle
TABLES = ("org_panel_reciprocity", "pair_panel_balance", "medium_response_time")


def whole(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.arrow(
        "select * from metrics.org_panel_reciprocity where panel_kind = 'all' and medium = 'any'"
    ).to_pylist()[0]
    return found


def test_eu_core(oracle_data: Path) -> None:
    world = built(eu_core(oracle_data), only=TABLES)
    found = whole(world)
    assert world.value("select count(*) from core.interaction") == 332_334
    assert (found["contact_count"], found["arc_count"], found["person_count"]) == (332_334, 24_929, 986)
    assert found["r"] == pytest.approx(0.711, abs=5e-4)
    assert found["rho"] == pytest.approx(0.704, abs=5e-4)
    assert found["r_w"] == pytest.approx(0.580, abs=5e-4)
    # degrees and strengths: exact
    assert (found["r_null"], found["rho_degree"]) == (pytest.approx(0.1298, abs=5e-5), pytest.approx(0.668, abs=5e-4))
    assert (found["r_w_null"], found["rho_w"]) == (pytest.approx(0.0583, abs=5e-5), pytest.approx(0.554, abs=5e-4))
    # strengths alone: drawn, with a sampling error of .001
    assert found["rho_strength"] == pytest.approx(0.429, abs=0.003)
    assert found["r_w_strength_null"] == pytest.approx(0.435, abs=0.003)
    assert found["rho_w_strength"] == pytest.approx(0.257, abs=0.004)
    assert found["r_low"] < 0.711 < found["r_high"]
    # nothing is said of months in the gap of collection
    assert (
        world.value("select count(*) from metrics.org_panel_reciprocity where panel_start > '2021-06-30' and reason = 'not_observed'") == 8
    )
    # pairs weighed by their contacts give the weighted reciprocity again
    mean = "sum(balance * contact_count) / sum(contact_count)"
    assert world.value(f"select {mean} from metrics.pair_panel_balance where panel_kind = 'all' and medium = 'any'") == pytest.approx(
        found["r_w"]
    )
    answers = world.arrow("select * from metrics.medium_response_time where medium = 'email'").to_pylist()[0]
    assert answers["median_switch_hours"] == pytest.approx(7.7, abs=0.05)


def test_college(oracle_data: Path) -> None:
    world = built(college(oracle_data), only=("org_panel_reciprocity",))
    found = whole(world)
    assert world.value("select count(*) from core.interaction") == 59_835
    assert (found["contact_count"], found["arc_count"]) == (59_835, 20_296)
    assert found["r"] == pytest.approx(0.636, abs=5e-4)
    assert found["r_w"] == pytest.approx(0.610, abs=5e-4)
    assert (found["r_null"], found["rho_degree"]) == (pytest.approx(0.0613, abs=5e-5), pytest.approx(0.613, abs=5e-4))
    assert (found["r_w_null"], found["rho_w"]) == (pytest.approx(0.0363, abs=5e-5), pytest.approx(0.596, abs=6e-4))
    # drawn, with a standard deviation of .0015
    assert found["r_w_strength_null"] == pytest.approx(0.182, abs=0.005)
    assert found["rho_w_strength"] == pytest.approx(0.524, abs=0.005)
