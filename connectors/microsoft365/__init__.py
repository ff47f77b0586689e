"""Microsoft 365 by Microsoft Graph: directory, mail, calendars, Teams chats and channels, call records."""

from connectors.microsoft365.scopes import SCOPES, check
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.microsoft365.sync import fetch

__all__ = ["SCOPES", "Microsoft365Settings", "check", "fetch"]
