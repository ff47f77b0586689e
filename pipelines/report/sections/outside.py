"""Outside relationships."""

from __future__ import annotations

from pipelines.report.blocks import Section
from pipelines.report.cells import View
from pipelines.report.sections.shared import missing


def outside(view: View) -> Section:
    """By kind of organisation."""
    return missing(view, "outside", "metrics.organisation_panel_tie")
