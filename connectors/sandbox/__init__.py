"""Slack and Microsoft 365 on this machine: a synthetic organisation with planted truths, served over HTTP.

async with Sandbox(World(people=60, days=90)) as sandbox:
    sandbox.slack_url, sandbox.token            # for connectors.slack
    sandbox.graph_url, sandbox.client_secret    # for connectors.microsoft365
    sandbox.truth                               # what was planted
"""

from connectors.sandbox.events import write_events
from connectors.sandbox.faults import Faults
from connectors.sandbox.from_events import organisation_of
from connectors.sandbox.organisation import Organisation, make
from connectors.sandbox.sandbox import Sandbox
from connectors.sandbox.slack_export import write_slack_export
from connectors.sandbox.truth import TieTruth, Truth
from connectors.sandbox.world import World

__all__ = [
    "World",
    "Organisation",
    "make",
    "Truth",
    "TieTruth",
    "write_events",
    "write_slack_export",
    "organisation_of",
    "Faults",
    "Sandbox",
]
