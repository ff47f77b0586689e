"""Slack and Microsoft 365 on this machine: a synthetic organisation with planted truths, served over HTTP."""

from connectors.sandbox.events import write_events
from connectors.sandbox.organisation import Organisation, make
from connectors.sandbox.truth import TieTruth, Truth
from connectors.sandbox.world import World

__all__ = ["World", "Organisation", "make", "Truth", "TieTruth", "write_events"]
