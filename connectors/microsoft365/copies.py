"""Copies of meetings that were read and not yet joined, kept so that a run that is killed is gone on with.

A meeting is known once every mailbox was read. Until then each mailbox's copies lie in a cursor of its own, as keyed hashes, which is
removed once the window is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from connectors.microsoft365.calendar import Meeting
from connectors.state import State

_PREFIX: Final = "copies:"


class Copies:
    """What an interrupted run read of calendars, and what this one has.

    Args:
        state: Cursors of earlier runs.
        is_resumed: Whether the last run was interrupted and this one goes on with it; otherwise nothing of it is used.
    """

    def __init__(self, state: State, *, is_resumed: bool) -> None:
        self._held: dict[str, str] = state.cursors(_PREFIX)
        self._used = dict(self._held) if is_resumed else {}

    def of(self, mailbox: int, begin: int, end: int) -> list[Meeting] | None:
        """Return the copies of a mailbox in a window that it was read over before, or None if it was not."""
        value = self._used.get(f"{_PREFIX}{mailbox}")
        try:
            noted = None if value is None else orjson.loads(value)
        except ValueError:
            return None
        if not isinstance(noted, dict) or noted["window"] != [begin, end]:
            return None
        return [Meeting.of_note(note) for note in noted["copies"]]

    def note(self, mailbox: int, begin: int, end: int, copies: Iterable[Meeting]) -> dict[str, str]:
        """Return the cursor that keeps the copies of a mailbox that was read whole."""
        name = f"{_PREFIX}{mailbox}"
        self._held[name] = ""
        return {name: orjson.dumps({"window": [begin, end], "copies": [copy.noted() for copy in copies]}).decode()}

    def cleared(self) -> dict[str, str]:
        """Return the cursors that remove what was kept: the window is stored."""
        gone, self._held, self._used = dict.fromkeys(self._held, ""), {}, {}
        return gone
