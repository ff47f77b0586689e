"""Minimum wages and teen employment: all ATT(g, t) of the did and csdid packages' own documentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metrics.policy._staggered import Cell, cells, combine, event_study, wald

pytestmark = pytest.mark.oracle

# README of d2cml-ai/csdid (est_method "dr", xformla "lemp~1") and of bcallaway11/did (est_method "reg", xformla ~1): the same twelve
PLAIN = {
    (2004, 2004): -0.0105,
    (2004, 2005): -0.0704,
    (2004, 2006): -0.1373,
    (2004, 2007): -0.1008,
    (2006, 2004): 0.0065,
    (2006, 2005): -0.0028,
    (2006, 2006): -0.0046,
    (2006, 2007): -0.0412,
    (2007, 2004): 0.0305,
    (2007, 2005): -0.0027,
    (2007, 2006): -0.0311,
    (2007, 2007): -0.0261,
}
# standard errors printed by did's README; they are bootstrapped, so they differ from run to run
ERRORS = (0.0241, 0.0313, 0.0380, 0.0337, 0.0223, 0.0196, 0.0188, 0.0202, 0.0154, 0.0168, 0.0190, 0.0182)
# vignette "Getting Started with the did Package" (xformla ~lpop, doubly robust)
WITH_POPULATION = {
    (2004, 2004): -0.0145,
    (2004, 2005): -0.0764,
    (2004, 2006): -0.1404,
    (2004, 2007): -0.1069,
    (2006, 2004): -0.0005,
    (2006, 2005): -0.0062,
    (2006, 2006): 0.0010,
    (2006, 2007): -0.0413,
    (2007, 2004): 0.0267,
    (2007, 2005): -0.0046,
    (2007, 2006): -0.0284,
    (2007, 2007): -0.0288,
}
EVENT_STUDY = {-3: 0.0305, -2: -0.0006, -1: -0.0245, 0: -0.0199, 1: -0.0510, 2: -0.1373, 3: -0.1008}
OVERALL, OVERALL_ERROR = -0.031, 0.0123


def estimated(folder: Path, covariate: str | None) -> tuple[list[Cell], int]:
    rows = pd.read_csv(folder / "did" / "mpdta.csv")
    outcome = rows.pivot_table(index="countyreal", columns="year", values="lemp")
    units = rows.groupby("countyreal").first().loc[outcome.index]
    covariates = units[[covariate]].to_numpy() if covariate else None
    starts = units["first.treat"].to_numpy(np.int64)
    times = [int(year) for year in outcome.columns]
    return cells(outcome.to_numpy(), starts, times, covariates, is_later_compared=False), len(units)


@pytest.mark.parametrize("covariate, published, pre_trend_p", [(None, PLAIN, 0.16812), ("lpop", WITH_POPULATION, 0.23267)])
def test_twelve_of_twelve(oracle_data: Path, covariate: str | None, published: dict[tuple[int, int], float], pre_trend_p: float) -> None:
    found, _ = estimated(oracle_data, covariate)
    assert {(cell.group, cell.time): round(cell.att, 4) for cell in found} == published
    assert wald([cell for cell in found if cell.time < cell.group])[0] == pytest.approx(pre_trend_p, abs=5e-6)


def test_standard_errors_event_study_and_overall_effect(oracle_data: Path) -> None:
    found, units = estimated(oracle_data, None)
    assert [cell.error for cell in found] == pytest.approx(ERRORS, rel=0.1)
    assert {block: round(effect.value, 4) for block, effect in event_study(found, units).items()} == EVENT_STUDY
    overall = combine([cell for cell in found if cell.time >= cell.group], units)
    assert overall is not None
    assert overall.value == pytest.approx(OVERALL, abs=5e-4)
    assert overall.error == pytest.approx(OVERALL_ERROR, rel=0.1)
