"""What every stream of one run shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from connectors.microsoft365.client import Graph
from connectors.microsoft365.directory import Directory
from connectors.microsoft365.faults import Faults
from connectors.microsoft365.people import Member, People
from connectors.microsoft365.settings import Microsoft365Settings
from connectors.microsoft365.windows import Windows
from connectors.state import State

ROWS_A_PART: Final = 5_000
"""A worker hands over what it has once it holds this many interactions, so that memory stays flat."""


@dataclass(slots=True)
class Run:
    """One reading of the service.

    Attributes:
        settings: The connector's settings.
        graph: The signed-in client.
        people: The accounts.
        directory: What the directory said.
        state: Cursors of earlier runs.
        since: What the run was asked to begin at, or None.
        until: The fixed upper bound.
        is_resumed: Whether it goes on with a reading that was interrupted.
    """

    settings: Microsoft365Settings
    graph: Graph
    people: People
    directory: Directory
    state: State
    since: datetime | None
    until: datetime
    is_resumed: bool = False

    @property
    def mailboxes(self) -> list[Member]:
        """The members whose mailboxes are to be read."""
        return self.directory.mailboxes

    @property
    def chatters(self) -> list[Member]:
        """The members whose chats are to be read."""
        return self.directory.chatters

    def windows(self, stream: str, overlap: timedelta, *, share: float | None = None) -> Windows:
        """Return a stream's windows."""
        history = timedelta(days=self.settings.history_days)
        return Windows(stream, self.state, self.since, self.until, history, overlap, share, self.is_resumed)

    def extras(self, faults: Faults) -> Callable[[], tuple[dict[str, list[dict[str, Any]]], dict[str, str]]]:
        """Return what gives each batch the accounts met and the faults found since the batch before."""

        def taken() -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
            registry = self.directory.registry
            accounts = registry.changed_accounts(self.people.new_ids(), listed=False)
            rows = {"account": self.people.new_addresses() + accounts, "quarantine": list(faults.rows)}
            faults.rows.clear()
            return rows, registry.cursors()

        return taken
