"""A synthetic organisation as a full Slack export: lists of conversations, users, and a file for every conversation and day."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from connectors.sandbox.calendar import DAY
from connectors.sandbox.evolution import Clock, Evolution
from connectors.sandbox.organisation import Organisation
from connectors.sandbox.slack_directory import Directory
from connectors.sandbox.slack_messages import Messages, channel_id

_FILES = {"public_channel": "channels.json", "private_channel": "groups.json", "mpim": "mpims.json", "im": "dms.json"}


def write_slack_export(organisation: Organisation, path: Path, *, now: datetime | None = None, is_full: bool = True) -> Path:
    """Write a Slack export as a ZIP and return its path.

    Args:
        organisation: The organisation.
        path: The file to write.
        now: The moment of the export; by default the end of the observed time.
        is_full: Whether private channels and direct messages are in it, as in an export of the Business plan.
    """
    clock = Clock(now or organisation.ends)
    messages = Messages(organisation, Evolution.of(organisation), clock)
    directory = Directory(organisation, clock)
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in (_FILES.values() if is_full else ["channels.json"])}
    log = organisation.log
    order = np.argsort(log.space, kind="stable")
    ordered = log.space[order]
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        outside: set[int] = set()
        for space in directory.spaces:
            kind = directory.kind(space)
            if _FILES[kind] not in lists:
                continue
            low, high = np.searchsorted(ordered, [space.number, space.number + 1])
            events = messages.visible(order[low:high])
            if not len(events):
                continue
            outside.update(number for number in space.members if not organisation.people[number].is_internal)
            about = directory.conversation(space, with_members=True)
            lists[_FILES[kind]].append(_listed(about, kind))
            folder = about["name"] if kind != "im" else about["id"]
            days = log.at[events] // DAY
            for day in np.unique(days).tolist():
                built = [messages.build(event, channel=channel_id(space)) for event in events[days == day].tolist()]
                name = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
                archive.writestr(f"{folder}/{name}.json", orjson.dumps(built, option=orjson.OPT_INDENT_2))
        users = directory.users() + [directory.person(number) for number in sorted(outside)]
        archive.writestr("users.json", orjson.dumps(users, option=orjson.OPT_INDENT_2))
        archive.writestr("integration_logs.json", b"[]")
        for name, listed in lists.items():
            archive.writestr(name, orjson.dumps(listed, option=orjson.OPT_INDENT_2))
    return path


def _listed(about: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a conversation as an export lists it: fewer fields, with members."""
    wanted = ["id", "name", "created", "creator", "is_archived", "is_general", "members", "topic", "purpose"]
    return {name: about[name] for name in (["id", "created", "members"] if kind == "im" else wanted) if name in about}
