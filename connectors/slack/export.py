"""A Slack export, as a ZIP or a folder: standard (public channels) or full (private channels and direct messages too).

Nothing is unpacked to disk. Day files are read one by one and large ones element by element, so that memory stays flat
however long a day was. A file that breaks is quarantined under a reason code; what stands before the fault and all other
files are still read. Reading an export again yields the same records, and several may be read in any order: what an older one
says only fills in what a newer one, or a night, did not show.

What it misleads about: an export shows each conversation as it is on the day of the export; members who left a group
direct message, and messages deleted before, are not in it. Without a list of channels, a channel is known by its
folder's name, so that a rename makes another channel of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePath
from typing import Any, Final

from connectors.columns import MICROSECOND, records, to_microseconds
from connectors.errors import UserError
from connectors.pseudonyms import Pseudonymiser, normalise_domain
from connectors.records import Authority, Batch
from connectors.slack import spaces
from connectors.slack.archive import BrokenFileError, Entry, elements, entries
from connectors.slack.direct import DirectMembers
from connectors.slack.faults import fingerprint, quarantined
from connectors.slack.layout import CONVERSATION_LISTS, USER_LISTS, Export, Part, exports, folder_names
from connectors.slack.messages import MessageParser
from connectors.slack.people import People
from connectors.slack.settings import SOURCE
from connectors.slack.spaces import Conversation
from connectors.slack.state import AS_OF, namespace_of, shown_until
from connectors.slack.workspaces import Evidence
from connectors.state import MemoryState, State

ROWS_A_BATCH: Final = 20_000
_FILES_A_BATCH: Final = 2_000
_DIRECT_FOLDER: Final = re.compile(r"D[A-Z0-9]{6,}", re.IGNORECASE)
_FILE_FOLDER: Final = re.compile(r"FC[^A-Za-z0-9]F[A-Z0-9]{6,}.*", re.IGNORECASE)
"""Comments on a canvas or a file: a conversation of a known kind, whether or not it is listed."""


def read(
    path: Path,
    pseudonyms: Pseudonymiser,
    *,
    team_id: str | None = None,
    own_domains: frozenset[str] = frozenset(),
    opted_out: frozenset[str] = frozenset(),
    state: State | None = None,
) -> Iterator[Batch]:
    """Read a Slack export, or all that lie in a folder, as batches for the warehouse.

    Args:
        path: The ZIP, or the folder it was unpacked to.
        pseudonyms: The organisation's pseudonyms.
        team_id: The own workspace's id (`T...`; of an Enterprise organisation `E...`); None to take it from what shows it for
            certain. Where nothing does, nobody counts as a colleague whom no address shows to be one.
        own_domains: Domains of the own organisation; whoever has an address there is no guest.
        opted_out: Keyed hashes (`person_id` or `account_key`) of those who asked to be left out.
        state: What was stored before: an export that is older than that takes nothing back.

    Yields:
        Batches of about 20,000 interactions, `units_done` of `units_total` day files; the last of an export holds coverage.

    Raises:
        UserError: If the path holds no Slack export, or a ZIP that is refused.
    """
    state = state or MemoryState()
    with entries(path) as files:
        found = exports(files)
        if not found:
            raise UserError(
                f"Slack export: {path} holds neither users.json, channels.json nor any day file (<channel>/2024-01-31.json); "
                "give the ZIP that Slack made, or the folder it unpacks to"
            )
        surveys = [_Survey(export, own_domains) for export in found]
        shown = shown_until(state)
        total = sum(export.day_count for export in found)
        done = 0
        # whoever is at home in one of them is a colleague in all
        own = set().union(*(survey.evidence.own(team_id) for survey in surveys))
        for survey in sorted(surveys, key=lambda survey: survey.as_of):
            namespace = namespace_of(state, team_id or min(survey.evidence.own(None), default=None))
            people = People(pseudonyms, own, own_domains=own_domains, opted_out=opted_out, namespace=namespace)
            people.is_undecided = survey.evidence.has_teams and not own
            reader = _Reader(survey, pseudonyms, people, team_id, is_told=bool(opted_out))
            authority: Authority = "yields" if survey.as_of < shown else "completes"
            for batch in reader.batches():
                yield replace(batch, units_done=done + batch.units_done, units_total=total, authority=authority)
            done += survey.export.day_count
            shown = max(shown, survey.as_of)
            yield Batch(SOURCE, "directory", cursors={AS_OF: str(shown)}, units_done=done, units_total=total)


class _Survey:
    """What the lists of an export show before it is read: whose it is, of when, and who bears which handle."""

    def __init__(self, export: Export, own_domains: frozenset[str]) -> None:
        self.export = export
        self.own_domains = frozenset(normalise_domain(domain) for domain in own_domains)
        self.evidence = Evidence()
        self.broken: dict[str, str] = {}
        self.handles: dict[str, set[str]] = {}
        self.has_addresses = False
        self.is_shared = False
        span = export.span
        self.as_of = to_microseconds(datetime.combine(span[1] + timedelta(days=1), time(), UTC)) if span else 0
        for part in export.parts:
            for name in USER_LISTS:
                for user in self.listed(part, name):
                    if isinstance(user, dict):
                        self._take(user, is_organisation=name == "org_users.json")
            for name in CONVERSATION_LISTS:
                for about in self.listed(part, name):
                    if isinstance(about, dict):
                        self.evidence.add_conversation(about)
                        self.is_shared |= about.get("is_ext_shared") is True
                        self.is_shared |= bool(about.get("connected_team_ids"))

    @property
    def has_users(self) -> bool:
        """Whether a list says who belongs to the workspace."""
        return any(self.export.has(name) for name in USER_LISTS)

    def listed(self, part: Part, name: str) -> Iterator[object]:
        """Give the elements of a list, as far as it can be read; there may be none. Holes are passed over."""
        if name in part.lists:
            try:
                for element in elements(part.lists[name]):
                    if element is not None:
                        yield element
            except BrokenFileError as broken:
                self.broken[str(part.lists[name].path)] = broken.reason

    def _take(self, user: dict[str, Any], *, is_organisation: bool) -> None:
        updated = user.get("updated")
        if type(updated) is int and 0 < updated < 2**33:
            self.as_of = max(self.as_of, updated * MICROSECOND)
        profile = user.get("profile")
        address = (profile.get("email") if isinstance(profile, dict) else None) or user.get("email")
        domain = normalise_domain(address.rpartition("@")[2]) if isinstance(address, str) else ""
        self.has_addresses |= bool(domain)
        self.evidence.add_user(user, is_organisation=is_organisation, has_own_address=domain in self.own_domains)
        handle, identity = user.get("name"), user.get("id")
        if isinstance(handle, str) and isinstance(identity, str):
            # of two who bear a handle one after the other, the one who is still there has it now
            bearers = self.handles.setdefault(handle.casefold(), set())
            if user.get("deleted") is not True or not bearers:
                bearers.add(identity)


class _Reader:
    """One reading of an export."""

    def __init__(self, survey: _Survey, pseudonyms: Pseudonymiser, people: People, team_id: str | None, *, is_told: bool) -> None:
        self.survey = survey
        self.export = survey.export
        self.pseudonyms = pseudonyms
        self.people = people
        self.team_id = team_id
        self.is_told = is_told
        self.parser = MessageParser(pseudonyms, people)
        self.by_folder: dict[tuple[PurePath, str], Conversation] = {}
        self.media: set[str] = set()
        self.direct = DirectMembers(survey.handles)
        self.coverage: list[dict[str, Any]] = []

    def batches(self) -> Iterator[Batch]:
        yield from self._directory()
        done = files = 0
        self.direct.learn_owner(
            (found, [entry for _, entry in days])
            for part, folder, days in self._folders()
            if (found := self._listed_as(part, folder)) is not None and found.medium == "slack_dm" and not found.members
        )
        for part, folder, held in self._folders():
            conversation = self._conversation(part, folder, [entry for _, entry in held])
            for day, entry in held:
                for _ in self._read_day(conversation, day, entry):
                    yield self._batch(done)
                    files = 0
                done, files = done + 1, files + 1
                if files >= _FILES_A_BATCH:
                    yield self._batch(done)
                    files = 0
        for left in self.export.left_out:
            self.parser.refuse_unit("no_conversation_folder", str(left.path), None)
        yield self._batch(done)
        self._decide()
        self._cover_media()
        unlisted = self.people.unlisted_records(self.people.unlisted())
        yield Batch(SOURCE, "directory", records(SOURCE, account=unlisted, coverage=self.coverage), units_done=done)

    def _folders(self) -> Iterator[tuple[Part, str, list[tuple[date, Entry]]]]:
        """Give each folder of messages, with its days."""
        for part in self.export.parts:
            for folder, days in groupby(part.days, key=itemgetter(0)):
                yield part, folder, [(day, entry) for _, day, entry in days]

    def _read_day(self, conversation: Conversation, day: date, entry: Entry) -> Iterator[None]:
        """Parse the messages of a day, and stop at each batch's worth."""
        try:
            for index, message in enumerate(elements(entry)):
                reason = self.parser.add(message, conversation)
                if reason is not None:
                    self.parser.refuse(reason, message, conversation, f"{entry.path}:{index}")
                if len(self.parser.columns) >= ROWS_A_BATCH:
                    yield
        except BrokenFileError as broken:
            self.parser.refuse_unit(broken.reason, str(entry.path), day)
            self._cover(conversation.space_key, conversation.medium, "partial", "broken_file", day, day)

    def _batch(self, done: int) -> Batch:
        columns, quarantine = self.parser.take()
        return Batch(SOURCE, "messages", {"interaction": columns.table(SOURCE), **records(SOURCE, quarantine=quarantine)}, units_done=done)

    # -- who and where ------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Where no list says whose export it is, let its messages say it, if they all say the same."""
        people = self.people
        if not people.own_teams and not self.survey.has_users:
            shown = people.shown_teams
            people.own_teams |= self.survey.evidence.own(self.team_id, shown)
            people.is_undecided = bool(shown) and not people.own_teams
        people.has_only_own = not (self.survey.has_users or self.survey.is_shared or people.shown_teams - people.own_teams)

    def _directory(self) -> Iterator[Batch]:
        """Yield accounts and spaces first, so that the messages after them meet known people."""
        for part in self.export.parts:
            for name in USER_LISTS:
                batch: list[object] = []
                for user in self.survey.listed(part, name):
                    batch.append(user)
                    if len(batch) >= ROWS_A_BATCH:
                        yield self._accounts(batch)
                        batch = []
                if batch:
                    yield self._accounts(batch)
        yield from self._spaces()

    def _accounts(self, users: list[object]) -> Batch:
        rows, refused = self.people.listed(users)
        return Batch(SOURCE, "directory", records(SOURCE, account=rows, quarantine=refused))

    def _spaces(self) -> Iterator[Batch]:
        rows: list[dict[str, Any]] = []
        ambiguous: dict[int, Conversation] = {}
        for part in self.export.parts:
            for name, (medium, is_private) in CONVERSATION_LISTS.items():
                for raw in self.survey.listed(part, name):
                    found = spaces.parse(raw, self.pseudonyms, self.people.namespace, medium=medium) if isinstance(raw, dict) else None
                    if found is None or not isinstance(raw, dict):
                        identity = f"conversation:{fingerprint(raw)}"
                        self.parser.quarantine.append(quarantined(self.pseudonyms, "directory", identity, "malformed_conversation"))
                        continue
                    if found.is_private is None:
                        found = replace(found, is_private=is_private)
                    rows.append(found.record())
                    taken = self._find_a_place(part, found, raw.get("name"))
                    if taken is not None:
                        ambiguous[taken.space_key] = taken
                    if len(rows) >= ROWS_A_BATCH:
                        yield Batch(SOURCE, "directory", records(SOURCE, space=rows))
                        rows = []
        for taken in ambiguous.values():
            self._cover(taken.space_key, taken.medium, "partial", "ambiguous_folder")
        for name, reason in self.survey.broken.items():
            self.parser.refuse_unit(reason, name, None)
        if rows:
            yield Batch(SOURCE, "directory", records(SOURCE, space=rows))

    def _find_a_place(self, part: Part, found: Conversation, folder: object) -> Conversation | None:
        """Note in which folder a conversation's messages lie; return the one that lies there already, if it is another.

        Direct messages lie under their id, everything else under its name; some tools use the id throughout.
        """
        taken = None
        for name in folder_names(found.channel):
            self.by_folder.setdefault((part.root, name), found)
        if isinstance(folder, str) and folder:
            for name in folder_names(folder):
                holder = self.by_folder.setdefault((part.root, name), found)
                if holder.channel != found.channel:
                    taken = holder
        return taken

    def _conversation(self, part: Part, folder: str, files: list[Entry]) -> Conversation:
        """Return the conversation whose messages lie in a folder; where no list names it, what the folder's name says."""
        found = self._listed_as(part, folder) or self._unlisted(folder)
        if found.is_direct:
            found, is_whole = self.direct.known(found, files)
            if not is_whole:
                found = replace(found, is_whole=False)
                self._cover(found.space_key, found.medium, "partial", "members_unknown")
        self.media.add(found.medium)
        return found

    def _listed_as(self, part: Part, folder: str) -> Conversation | None:
        """Return the conversation that the lists of a part, or of one above it, give a folder to."""
        for each in (part, *part.above):
            for name in folder_names(folder):
                if (each.root, name) in self.by_folder:
                    return self.by_folder[each.root, name]
        return None

    def _unlisted(self, folder: str) -> Conversation:
        handles = spaces.group_handles(folder)
        is_dm = _DIRECT_FOLDER.fullmatch(folder) is not None
        medium = "slack_group_dm" if handles or folder.startswith("mpdm-") else "slack_dm" if is_dm else "slack_channel"
        name = folder.upper() if is_dm else folder
        key = spaces.space_key(self.pseudonyms, self.people.namespace, name)
        if _FILE_FOLDER.fullmatch(folder) is None:
            self._cover(key, medium, "partial", "not_in_channel_list")
        return Conversation(name, key, medium, is_private=None if medium == "slack_channel" else True, handles=handles)

    # -- coverage -----------------------------------------------------------------------------------------------------

    def _cover(
        self, unit_key: int, medium: str | None, status: str, reason: str | None, first: date | None = None, last: date | None = None
    ) -> None:
        span = self.export.span
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
        present = self.media | {medium for name, (medium, _) in CONVERSATION_LISTS.items() if self.export.has(name)}
        for medium in ("slack_channel", "slack_group_dm", "slack_dm"):
            if medium in present:
                self._cover(0, medium, "observed", None)
            else:
                self._cover(self._unit(medium), medium, "missing", "not_in_export")
        if not self.export.has("groups.json"):
            self._cover(self._unit("private_channels"), "slack_channel", "missing", "not_in_export")
        # Slack itself lists only some of those who took part
        self._cover(self._unit("huddles"), "slack_huddle", "partial", "participants_incomplete")
        if self.people.is_undecided:
            self._cover(self._unit("own_workspace"), None, "partial", "own_workspace_unknown")
        if self.is_told and not self.survey.has_addresses:
            # who was forgotten is known again by the account alone, not by the address
            self._cover(self._unit("addresses"), None, "partial", "no_addresses")

    def _unit(self, name: str) -> int:
        return self.pseudonyms.key("slack:unit", name)
