"""Where things lie in what was given: one export, several beside each other, or an Enterprise organisation's with its workspaces.

An export is known by its lists; an organisation's keeps what only one workspace has under `teams/<workspace>/`, with lists of
its own, and is one export with several parts. Every file that is named like a day is a part's, or is named as left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Final

from connectors.slack.archive import Entry

USER_LISTS: Final = ("users.json", "org_users.json")
CONVERSATION_LISTS: Final[Mapping[str, tuple[str, bool]]] = {
    "channels.json": ("slack_channel", False),
    "groups.json": ("slack_channel", True),
    "mpims.json": ("slack_group_dm", True),
    "dms.json": ("slack_dm", True),
    "file_conversations.json": ("slack_channel", True),
}
"""List of conversations -> what its conversations are if they do not say it themselves, and whether they are private."""
_LISTS: Final = frozenset((*USER_LISTS, *CONVERSATION_LISTS))
_DAY_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.json", re.IGNORECASE)
_LIKE_A_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}.*\.json[l]?", re.IGNORECASE)
_NO_CONVERSATIONS: Final = frozenset({"__macosx", "__uploads", "__avatars"})
"""Folders of other tools for what people attached: a file in them may be called anything."""
_FOR_FILES: Final = re.compile(r'[<>:"/\\|?*]')


@dataclass(slots=True)
class Part:
    """A folder with lists of its own and the conversations beside them.

    Attributes:
        root: The folder.
        lists: The lists, by name.
        days: Folder of a conversation, day and file, in order.
        above: The parts in whose folders this one lies, the nearest first: their lists hold here too.
    """

    root: PurePosixPath
    lists: dict[str, Entry] = field(default_factory=dict)
    days: list[tuple[str, date, Entry]] = field(default_factory=list)
    above: tuple[Part, ...] = ()


@dataclass(slots=True)
class Export:
    """One export.

    Attributes:
        parts: Its parts: the organisation's or workspace's own first, then those of single workspaces.
        left_out: Files that are named like a day and belong to no conversation.
    """

    parts: list[Part] = field(default_factory=list)
    left_out: list[Entry] = field(default_factory=list)

    @property
    def span(self) -> tuple[date, date] | None:
        """The first and the last day of which there is a file."""
        found = [day for part in self.parts for _, day, _ in part.days]
        return (min(found), max(found)) if found else None

    @property
    def day_count(self) -> int:
        """How many day files are read."""
        return sum(len(part.days) for part in self.parts)

    def has(self, name: str) -> bool:
        """Return whether any part has a list."""
        return any(name in part.lists for part in self.parts)


def exports(files: Iterable[Entry]) -> list[Export]:
    """Return the exports that some files make up, in the order of their folders."""
    parts: dict[PurePosixPath, Part] = {}
    left_out: list[Entry] = []
    for entry in files:
        path = entry.path
        name = path.name.lower()
        if any(part.lower() in _NO_CONVERSATIONS for part in path.parts[:-1]):
            continue
        if name in _LISTS:
            parts.setdefault(path.parent, Part(path.parent)).lists.setdefault(name, entry)
        elif (day := _day(path)) is not None and len(path.parts) > 1:
            root = path.parent.parent
            folder = unicodedata.normalize("NFC", path.parent.name)
            parts.setdefault(root, Part(root)).days.append((folder, day, entry))
        elif _LIKE_A_DAY.fullmatch(path.name):
            left_out.append(entry)
    found: dict[PurePosixPath, Export] = {}
    for root in sorted(parts, key=lambda root: root.parts):
        part = parts[root]
        part.days.sort(key=lambda item: (item[0], item[1], item[2].path))
        top = _organisation_of(root, parts)
        part.above = tuple(parts[each] for each in root.parents if each in parts and _is_within(each, top))
        found.setdefault(top, Export()).parts.append(part)
    for entry in left_out:
        holder = next((each for each in entry.path.parents if each in found), None) or min(found, default=None)
        if holder is not None:
            found[holder].left_out.append(entry)
    return list(found.values())


def _organisation_of(root: PurePosixPath, parts: Mapping[PurePosixPath, Part]) -> PurePosixPath:
    """Return the export that a part belongs to: itself, or the organisation's whose `teams` folder it lies in."""
    if root.parent.name.lower() == "teams":
        return root.parent.parent
    # a folder without lists below one that has some is no export of its own
    if not parts[root].lists:
        for each in root.parents:
            if each in parts and parts[each].lists:
                return _organisation_of(each, parts)
    return root


def _is_within(path: PurePosixPath, top: PurePosixPath) -> bool:
    return path == top or top in path.parents


def _day(path: PurePosixPath) -> date | None:
    found = _DAY_FILE.fullmatch(path.name)
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def folder_names(name: str) -> tuple[str, ...]:
    """Return the spellings under which a conversation's folder may be found: as it is, in one case, and as Windows can hold it."""
    normal = unicodedata.normalize("NFC", name)
    folded = normal.casefold()
    return tuple(dict.fromkeys((normal, folded, _FOR_FILES.sub("_", folded).rstrip(" ."))))
