"""A small organisation, published once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from organisations import TEAMS, organisation
from releases import HOSTILE
from worlds import built

from metrics.disclosure import DisclosurePolicy
from metrics.parameters import Parameters
from pipelines.exports.release import Release, release
from pipelines.publish import publish


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published file of an organisation two of whose teams have names that a browser or a spreadsheet would run."""
    path = tmp_path_factory.mktemp("report") / "analytics.duckdb"
    names = (*HOSTILE, *TEAMS[2:])
    batch, declarations = organisation(people=80, days=330, names=names)
    with built(batch, declarations=declarations) as warehouse:
        publish(warehouse, path, Parameters())
    return path


@pytest.fixture(scope="session")
def allowed(demo: Path) -> Release:
    """Its release."""
    return release(demo, DisclosurePolicy())
