"""Meetings that were stored and may be withdrawn: remembered for as long as calendars are read again.

The organiser's mailbox tells what of theirs is gone. A meeting of an outside organiser, of a group or of a leaver lies in other
people's mailboxes only, and once all of them have removed it, it is nowhere any more. So each night remembers which meetings it met and
in whose mailboxes, as keyed hashes in one cursor a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import orjson

from connectors.columns import to_microseconds, utc_day
from connectors.microsoft365.calendar import MEDIA, Meeting
from connectors.state import State

_PREFIX: Final = "met:"
_HOLDERS: Final = 3
"""Of many holders so many are remembered: those with the least keys."""


class KnownMeetings:
    """The meetings of the last days, as stored by earlier runs and met in this one.

    Args:
        state: Cursors of earlier runs.
        since: Older meetings are forgotten.
    """

    def __init__(self, state: State, since: datetime) -> None:
        self._oldest = str(since.date())
        self._days: dict[str, dict[str, list[Any]]] = {}
        self._dirty: set[str] = set()
        for name, value in state.cursors(_PREFIX).items():
            day = name.removeprefix(_PREFIX)
            try:
                entries = orjson.loads(value)
            except ValueError:
                entries = None
            if isinstance(entries, dict) and day >= self._oldest:
                self._days[day] = entries
            else:
                # too old, or not to be read: that costs only that a withdrawal is not seen
                self._days[day] = {}
                self._dirty.add(day)

    def meet(self, meetings: Iterable[Meeting]) -> Iterable[Meeting]:
        """Give meetings on, remembering those that lie in somebody else's mailbox than their organiser's."""
        for meeting in meetings:
            day = str(utc_day(meeting.start))
            holders = meeting.holders()[:_HOLDERS]
            if day >= self._oldest and holders:
                entry = [meeting.start, MEDIA.index(meeting.medium), meeting.organiser, holders]
                entries = self._days.setdefault(day, {})
                if entries.get(str(meeting.key)) != entry:
                    entries[str(meeting.key)] = entry
                    self._dirty.add(day)
            yield meeting

    def withdrawn(
        self, seen: set[int], low: datetime, high: datetime, is_read: Callable[[int, int], bool], is_asked: Callable[[int], bool]
    ) -> list[tuple[int, int, str, int | None]]:
        """Return, and forget, the meetings of a window that are nowhere any more: key, start, medium and organiser.

        A mailbox that is gone took its copies along, which says nothing; neither does one that could not be read this time.

        Args:
            seen: The keys of all meetings met in the window.
            low: Start of the window.
            high: End of it.
            is_read: Whether an account's mailbox was read whole at a moment.
            is_asked: Whether an account's mailbox is to be read at all in this run.
        """
        found: list[tuple[int, int, str, int | None]] = []
        begin, end = to_microseconds(low), to_microseconds(high)
        for day, entries in self._days.items():
            if not str(low.date()) <= day <= str(high.date()):
                continue
            for key, (start, medium, organiser, holders) in list(entries.items()):
                if int(key) in seen or not begin <= start < end:
                    continue
                asked = [holder for holder in holders if holder is not None and is_asked(holder)]
                is_organisers_word = organiser is not None and is_read(organiser, start)
                if is_organisers_word or (asked and all(is_read(holder, start) for holder in asked)):
                    del entries[key]
                    self._dirty.add(day)
                    if not is_organisers_word:
                        # what its organiser's mailbox says is swept with all that is theirs
                        found.append((int(key), start, MEDIA[medium], organiser))
        return sorted(found, key=lambda gone: gone[0])

    def cursors(self) -> dict[str, str]:
        """Return the cursors that changed since the last call; days without entries are removed."""
        found = {}
        for day in sorted(self._dirty):
            entries = self._days[day]
            found[f"{_PREFIX}{day}"] = orjson.dumps(entries, option=orjson.OPT_SORT_KEYS).decode() if entries else ""
        self._dirty.clear()
        return found
