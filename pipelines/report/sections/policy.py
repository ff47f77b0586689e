"""What a policy did."""

from __future__ import annotations

from pipelines.report.blocks import Section
from pipelines.report.cells import View
from pipelines.report.sections.shared import missing


def policy(view: View) -> Section:
    """Event study."""
    return missing(view, "policy", "metrics.policy_effect")
