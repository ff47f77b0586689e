"""How a build stops: on one machine or on many, for a fault of the code or of the figures."""

from __future__ import annotations

from connectors.errors import UserError


class BuildError(Exception):
    """A table could not be built; the message names its file and what was being computed."""


class CheckFailedError(UserError):
    """A table breaks one of its own checks; nothing of it was written."""
