"""A Slack export, as a ZIP or a folder: standard (public channels) or full (private channels and direct messages too).

Nothing is unpacked to disk. Day files are read one by one and large ones element by element, so that memory stays flat
however long a day was. A file that breaks is quarantined under a reason code; what stands before the fault and all other
files are still read. Reading an export again yields the same records.

What it misleads about: an export shows each conversation as it is on the day of the export; members who left a group
direct message, and messages deleted before, are not in it. Without a list of channels, a channel is known by its
folder's name, so that a rename makes another channel of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final

from connectors.columns import records
from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser
from connectors.records import Batch
from connectors.slack import spaces
from connectors.slack.archive import BrokenFileError, Entry, elements, entries
from connectors.slack.faults import fingerprint, quarantined
from connectors.slack.messages import MessageParser
from connectors.slack.people import People, is_id
from connectors.slack.settings import SOURCE
from connectors.slack.spaces import Conversation

ROWS_A_BATCH: Final = 20_000
_FILES_A_BATCH: Final = 2_000
_USER_FILES: Final = ("users.json", "org_users.json")
_LISTS: Final[Mapping[str, tuple[str, bool]]] = {
    "channels.json": ("slack_channel", False),
    "groups.json": ("slack_channel", True),
    "mpims.json": ("slack_group_dm", True),
    "dms.json": ("slack_dm", True),
}
"""List of conversations -> its medium, and whether its conversations are private."""
_DAY_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.json")
_DIRECT_FOLDER: Final = re.compile(r"D[A-Z0-9]{6,}")
_NO_TEAM: Final = "export"


@dataclass(slots=True)
class _Layout:
    """Where things lie in the export."""

    lists: dict[str, Entry] = field(default_factory=dict)
    days: list[tuple[str, date, Entry]] = field(default_factory=list)

    @property
    def span(self) -> tuple[date, date] | None:
        found = [day for _, day, _ in self.days]
        return (min(found), max(found)) if found else None


def read(
    path: Path,
    pseudonyms: Pseudonymiser,
    *,
    team_id: str | None = None,
    own_domains: frozenset[str] = frozenset(),
    opted_out: frozenset[str] = frozenset(),
) -> Iterator[Batch]:
    """Read a Slack export as batches for the warehouse.

    Args:
        path: The ZIP, or the folder it was unpacked to.
        pseudonyms: The organisation's pseudonyms.
        team_id: The workspace's id (`T...`; of an organisation-wide export `E...`); None to take it from the user list. It is part
            of every key: give the one that the API reports, and the two sources agree on every message.
        own_domains: Domains of the own organisation; whoever has an address there is no guest.
        opted_out: Keyed hashes (`person_id` or `account_key`) of those who asked to be left out.

    Yields:
        Batches of about 20,000 interactions, `units_done` of `units_total` day files; the last holds coverage.

    Raises:
        UserError: If the path holds no Slack export, or a ZIP that is refused.
    """
    with entries(path) as files:
        layout = _layout(files)
        if not layout.days and not layout.lists:
            raise UserError(
                f"Slack export: {path} holds neither users.json, channels.json nor any day file (<channel>/2024-01-31.json); "
                "give the ZIP that Slack made, or the folder it unpacks to"
            )
        yield from _Reader(layout, pseudonyms, team_id, own_domains, opted_out).batches()


def _layout(files: list[Entry]) -> _Layout:
    """Find the export's root, which may lie in a folder of its own, and what stands in it."""
    wanted = (*_USER_FILES, *_LISTS)
    roots = [entry.path.parent for entry in files if entry.path.name in wanted and "__MACOSX" not in entry.path.parts]
    if not roots:
        roots = [entry.path.parent.parent for entry in files if _DAY_FILE.fullmatch(entry.path.name) and len(entry.path.parts) > 1]
    layout = _Layout()
    if not roots:
        return layout
    root = min(roots, key=lambda parent: (len(parent.parts), parent.parts))
    for entry in files:
        try:
            inside = entry.path.relative_to(root)
        except ValueError:
            continue
        if len(inside.parts) == 1 and inside.name in wanted:
            layout.lists[inside.name] = entry
        elif len(inside.parts) == 2 and (day := _day(inside)) is not None:
            layout.days.append((unicodedata.normalize("NFC", inside.parts[0]), day, entry))
    layout.days.sort(key=lambda item: item[:2])
    return layout


def _day(path: PurePosixPath) -> date | None:
    found = _DAY_FILE.fullmatch(path.name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


class _Reader:
    """One reading of an export."""

    def __init__(
        self, layout: _Layout, pseudonyms: Pseudonymiser, team_id: str | None, own_domains: frozenset[str], opted_out: frozenset[str]
    ) -> None:
        self.layout = layout
        self.broken: dict[str, str] = {}
        self.pseudonyms = pseudonyms
        team, own_teams = self._teams(team_id)
        self.people = People(pseudonyms, team, own_domains=own_domains, opted_out=opted_out)
        self.people.own_teams |= own_teams
        self.parser = MessageParser(pseudonyms, self.people)
        self.by_folder: dict[str, Conversation] = {}
        self.coverage: list[dict[str, Any]] = []

    def batches(self) -> Iterator[Batch]:
        total = len(self.layout.days)
        yield from self._directory(total)
        conversation, folder_before = None, None
        files = 0
        for done, (folder, day, entry) in enumerate(self.layout.days, 1):
            if conversation is None or folder != folder_before:
                conversation, folder_before = self._conversation(folder), folder
            place = f"{folder}/{day}"
            try:
                for index, message in enumerate(elements(entry)):
                    reason = self.parser.add(message, conversation)
                    if reason is not None:
                        self.parser.refuse(reason, message, conversation, f"{place}:{index}")
                    if len(self.parser.columns) >= ROWS_A_BATCH:
                        yield self._batch(done - 1, total)
                        files = 0
            except BrokenFileError as broken:
                self.parser.refuse_unit(broken.reason, place, day)
                self._cover(conversation.space_key, conversation.medium, "partial", "broken_file", day, day)
            files += 1
            if files >= _FILES_A_BATCH:
                yield self._batch(done, total)
                files = 0
        yield self._batch(total, total)
        self._cover_media()
        yield Batch(
            SOURCE,
            "directory",
            records(SOURCE, account=self.people.unlisted_records(self.people.unlisted()), coverage=self.coverage),
            units_done=total,
            units_total=total,
        )

    def _batch(self, done: int, total: int) -> Batch:
        columns, quarantine = self.parser.take()
        return Batch(
            SOURCE,
            "messages",
            {"interaction": columns.table(SOURCE), **records(SOURCE, quarantine=quarantine)},
            units_done=done,
            units_total=total,
        )

    # -- who and where ------------------------------------------------------------------------------------------------

    def _listed(self, name: str) -> Iterator[object]:
        """Give the elements of a list file, as far as it can be read; there may be none."""
        if name in self.layout.lists:
            try:
                yield from elements(self.layout.lists[name])
            except BrokenFileError as broken:
                self.broken[name] = broken.reason

    def _teams(self, team_id: str | None) -> tuple[str, set[str]]:
        """Return the id that keys are built with, and the ids of all workspaces that are the own organisation's."""
        teams: Counter[str] = Counter()
        enterprises: Counter[str] = Counter()
        for name in _USER_FILES:
            for user in self._listed(name):
                if isinstance(user, dict):
                    if is_id(user.get("team_id")):
                        teams[user["team_id"]] += 1
                    enterprise = user.get("enterprise_user")
                    if isinstance(enterprise, dict) and is_id(enterprise.get("enterprise_id")):
                        enterprises[enterprise["enterprise_id"]] += 1
        enterprise_id = _most_common(enterprises)
        if "org_users.json" in self.layout.lists:
            # an organisation-wide export: its workspaces are all its own
            return team_id or enterprise_id or _most_common(teams) or _NO_TEAM, set(enterprises) | set(teams)
        return team_id or _most_common(teams) or _NO_TEAM, {enterprise_id} if enterprise_id else set()

    def _directory(self, total: int) -> Iterator[Batch]:
        """Yield accounts and spaces first, so that the messages after them meet known people."""
        for name in _USER_FILES:
            batch: list[object] = []
            for user in self._listed(name):
                batch.append(user)
                if len(batch) >= ROWS_A_BATCH:
                    yield self._accounts(batch, total)
                    batch = []
            if batch:
                yield self._accounts(batch, total)
        yield from self._spaces(total)

    def _accounts(self, users: list[object], total: int) -> Batch:
        rows, refused = self.people.listed(users)
        return Batch(SOURCE, "directory", records(SOURCE, account=rows, quarantine=refused), units_total=total)

    def _spaces(self, total: int) -> Iterator[Batch]:
        rows: list[dict[str, Any]] = []
        ambiguous: dict[int, Conversation] = {}
        for name, (medium, is_private) in _LISTS.items():
            for raw in self._listed(name):
                found = spaces.parse(raw, self.pseudonyms, self.people.team, medium=medium) if isinstance(raw, dict) else None
                if found is None or not isinstance(raw, dict):
                    identity = f"conversation:{fingerprint(raw)}"
                    self.parser.quarantine.append(quarantined(self.pseudonyms, "directory", identity, "malformed_conversation"))
                    continue
                found = replace(found, is_private=is_private)
                rows.append(found.record())
                folder = raw.get("name")
                # direct messages lie under their id, everything else under its name; some tools use the id throughout
                self.by_folder.setdefault(found.channel, found)
                if isinstance(folder, str) and folder:
                    taken = self.by_folder.setdefault(unicodedata.normalize("NFC", folder), found)
                    if taken.channel != found.channel:
                        ambiguous[taken.space_key] = taken
                if len(rows) >= ROWS_A_BATCH:
                    yield Batch(SOURCE, "directory", records(SOURCE, space=rows), units_total=total)
                    rows = []
        for taken in ambiguous.values():
            self._cover(taken.space_key, taken.medium, "partial", "ambiguous_folder")
        for name, reason in self.broken.items():
            self.parser.refuse_unit(reason, name, None)
        if rows:
            yield Batch(SOURCE, "directory", records(SOURCE, space=rows), units_total=total)

    def _conversation(self, folder: str) -> Conversation:
        """Return the conversation whose messages lie in a folder; where no list names it, what the folder's name says."""
        found = self.by_folder.get(folder)
        if found is None:
            medium = "slack_group_dm" if folder.startswith("mpdm-") else "slack_dm" if _DIRECT_FOLDER.fullmatch(folder) else "slack_channel"
            key = self.pseudonyms.key("slack:space", f"{self.people.team}:{folder}")
            found = Conversation(folder, key, medium, is_private=None if medium == "slack_channel" else True)
            self._cover(key, medium, "partial", "not_in_channel_list")
        if found.medium != "slack_channel" and not found.members:
            found = found.with_members(self._senders(folder))
        self.by_folder[folder] = found
        return found

    def _senders(self, folder: str) -> tuple[str, ...]:
        """Return who wrote in a direct message of which no list names the members."""
        senders: dict[str, None] = {}
        for name, _, entry in self.layout.days:
            if name == folder:
                try:
                    for message in elements(entry):
                        if isinstance(message, dict) and is_id(message.get("user")) and message.get("subtype") is None:
                            senders[message["user"]] = None
                except BrokenFileError:
                    continue
        return tuple(senders)

    # -- coverage -----------------------------------------------------------------------------------------------------

    def _cover(
        self, unit_key: int, medium: str, status: str, reason: str | None, first: date | None = None, last: date | None = None
    ) -> None:
        span = self.layout.span
        if span is not None:
            self.coverage.append(
                {
                    "stream": "export",
                    "unit_key": unit_key,
                    "medium": medium,
                    "date_from": first or span[0],
                    "date_to": last or span[1],
                    "status": status,
                    "reason": reason,
                }
            )

    def _cover_media(self) -> None:
        """State what the export covers: every medium of which it has a list or a folder; the rest is missing.

        The missing ones are units of their own, not the whole medium: another source of the same workspace may have them.
        """
        present = {conversation.medium for conversation in self.by_folder.values()} | {
            medium for name, (medium, _) in _LISTS.items() if name in self.layout.lists
        }
        for medium in ("slack_channel", "slack_group_dm", "slack_dm"):
            if medium in present:
                self._cover(0, medium, "observed", None)
            else:
                self._cover(self.pseudonyms.key("slack:unit", medium), medium, "missing", "not_in_export")
        if "groups.json" not in self.layout.lists:
            self._cover(self.pseudonyms.key("slack:unit", "private_channels"), "slack_channel", "missing", "not_in_export")
        # Slack itself lists only some of those who took part
        self._cover(self.pseudonyms.key("slack:unit", "huddles"), "slack_huddle", "partial", "participants_incomplete")


def _most_common(counts: Counter[str]) -> str | None:
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None
