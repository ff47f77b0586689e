"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def oracle_data() -> Path:
    """The folder of real data that published values are checked on; the test is skipped where it is absent."""
    folder = Path(os.environ.get("PERDURE_ORACLE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data here: put it in ../shared/data or set PERDURE_ORACLE_DATA")
    return folder
