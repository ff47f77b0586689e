"""A small organisation, published once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from organisations import published_organisation

from metrics.disclosure import DisclosurePolicy
from pipelines.exports.release import Release, release


@pytest.fixture(scope="session")
def demo() -> Path:
    """Its published file."""
    return published_organisation()


@pytest.fixture(scope="session")
def allowed(demo: Path) -> Release:
    """Its release."""
    return release(demo, DisclosurePolicy())
