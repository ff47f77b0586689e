"""Slack: the Web API and exports, through one parser that drops content at the door.

`fetch` reads the API night by night, `export.read` an export; both yield the same records under the same keys. `check`
proves the token's scopes.
"""

from connectors.slack.check import SCOPES, check
from connectors.slack.client import SlackClient, SlackError, SlackUnavailableError
from connectors.slack.settings import SlackSettings
from connectors.slack.sync import fetch

__all__ = ["SCOPES", "check", "fetch", "SlackSettings", "SlackClient", "SlackError", "SlackUnavailableError"]
