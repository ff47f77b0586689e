"""Resilience."""

from __future__ import annotations

from pipelines.report.blocks import Section
from pipelines.report.cells import View
from pipelines.report.sections.shared import missing


def resilience(view: View) -> Section:
    """Turnover and newcomers."""
    return missing(view, "resilience", "metrics.newcomer_integration")
