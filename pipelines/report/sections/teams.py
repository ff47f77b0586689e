"""The map of teams."""

from __future__ import annotations

from pipelines.report.blocks import Section
from pipelines.report.cells import View
from pipelines.report.sections.shared import missing


def teams(view: View) -> Section:
    """Ties observed over expected between teams."""
    return missing(view, "teams", "metrics.team_pair_panel")
